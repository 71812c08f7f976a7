//! What the analysis knows of each metric, as it is told.

use crate::{
    analysis::{evidence, explain, sample::Arms},
    rollout::{plan::Plan, state::State},
};

/// The evidence of a rollout.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Evidence {
    pub(super) rows: Vec<Row>,
    /// Of all metrics together.
    pub(super) total: Option<Weighed>,
    /// The candidate's part of the samples is not its share.
    pub(super) sample_ratio_alarm: bool,
    /// Metrics of this rollout whose evidence began anew.
    pub(super) restarts: u32,
}

/// One metric.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Row {
    pub(super) metric: String,
    /// Of this exposure; nothing for a check.
    pub(super) samples: Arms<Option<u64>>,
    /// Events over samples; nothing for a metric that counts none, or has none yet.
    pub(super) rate: Arms<Option<f64>>,
    /// What a check said of the candidate.
    pub(super) said: Option<f64>,
    /// What the candidate's rate may not exceed now; `None`: it is not judged by a rate.
    pub(super) limit: Option<f64>,
    /// `None`: a check, which has none.
    pub(super) harm: Option<Weighed>,
    /// `None`: no certificate is asked of it.
    pub(super) certificate: Option<Weighed>,
}

/// Evidence and what it takes, both as natural logarithms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Weighed {
    pub(super) log: f64,
    pub(super) threshold: f64,
}

/// What the analysis of a state comes to.
pub(super) fn of(plan: &Plan, state: &State) -> Evidence {
    let (plan, analysis) = (&plan.analysis, &state.analysis);
    let rows = explain::metrics(plan, analysis).into_iter().map(row);
    let total = Weighed {
        log: evidence::total(analysis, plan),
        threshold: -analysis.alpha_or(plan).ln(),
    };
    Evidence {
        rows: rows.collect(),
        total: Some(total),
        sample_ratio_alarm: analysis.sample_ratio.alarm,
        restarts: analysis.restarts,
    }
}

fn row(of: explain::Row) -> Row {
    let counts = matches!(of.kind, "events" | "beyond");
    let is_tested = counts || of.kind == "mean";
    let harm = Weighed {
        log: of.harm.log_evidence,
        threshold: of.harm.log_threshold,
    };
    let certificate = of.log_certificate.zip(of.log_certificate_threshold);
    Row {
        samples: Arms {
            canary: of.canary.n,
            stable: of.stable.n,
        },
        rate: Arms {
            canary: of.canary.rate,
            stable: of.stable.rate,
        },
        said: of.canary.value,
        // A ratio of means is no limit of a rate.
        limit: of.allowed.filter(|_| counts),
        harm: is_tested.then_some(harm),
        certificate: certificate.map(|(log, threshold)| Weighed { log, threshold }),
        metric: of.name,
    }
}
