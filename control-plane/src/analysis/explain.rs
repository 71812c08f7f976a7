//! The evidence in numbers: what `explain`, the API and the metrics show. Pure.
//!
//! Whoever shows it computes nothing. Every number is finite; what is not known is left out.

use std::collections::BTreeMap;

use serde::Serialize;
use serin_proto::unit::Share;

use super::{
    check::Said,
    evidence::{Analysis, BoundEvidence, rates, total},
    judge::Stand,
    mean::mean,
    probability::above,
    sample::{Counts, Moments},
    why::{allowed, certainty, lacking},
    wording::{kind, mode, rule, title, unit},
};
use crate::rollout::plan::{AnalysisPlan, MetricPlan, Mode, Test};

/// An e-value that JSON can hold.
const LOG_SHOWN_MAX: f64 = 690.0;

/// All that can be told of the analysis.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explained {
    /// In the order of the plan, one row per bound.
    pub metrics: Vec<Row>,
    pub total: Total,
    pub guards: Guards,
    /// Until samples and certificates suffice at the rates of now; `None`: not at these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta_seconds: Option<u64>,
    pub sample_ratio_alarm: bool,
    /// Metrics whose evidence began anew.
    pub restarts: u32,
}

/// One metric, or one bound of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// As in the plan.
    pub name: String,
    /// For people: `ttft > 3 s`.
    pub title: String,
    /// `events`, `beyond`, `mean`, `query`, `literal`
    pub kind: &'static str,
    /// `enforce`, `pauseOnly`, `observe`
    pub mode: &'static str,
    /// The bucket bound, and what it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<&'static str>,
    pub canary: Side,
    pub stable: Side,
    /// What the canary's rate may not exceed now, 0..1; of a mean, the largest ratio.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed: Option<f64>,
    #[serde(flatten)]
    pub harm: Weight,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_certificate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_certificate_threshold: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_ratio: Option<f64>,
    /// Failed checks of this step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_limit: Option<u32>,
    /// That the canary's rate is above what is allowed, by this exposure's counts alone. It decides
    /// nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// Evidence counts for less by this factor, because failures come together; 1: it does not.
    pub phi: f64,
    /// What is allowed, in words.
    pub text: String,
}

/// Evidence against its threshold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Weight {
    /// `ln E`
    pub log_evidence: f64,
    /// `ln` of where it acts.
    pub log_threshold: f64,
    /// The same for people.
    pub evidence: f64,
    pub limit: f64,
    /// 0..1: how far it is from 1 to where it acts, on the scale of logarithms.
    pub limit_ratio: f64,
}

/// One arm in this exposure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Side {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub e: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<f64>,
    /// What a check said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Total {
    #[serde(flatten)]
    pub harm: Weight,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Guards {
    pub breaker_open: BreakerOpen,
    pub fail_fast: FailFast,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BreakerOpen {
    pub open: u32,
    pub routers: u32,
    pub for_ms: u64,
    pub limit_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailFast {
    pub ratio: f64,
    pub limit: f64,
    /// Requests of the canary that failed since the exposure began, and all; warm-up included.
    pub failed: u64,
    pub samples: u64,
    pub min_samples: u64,
}

/// Everything. `failed`: checks that failed within this step, as the machine counts them.
#[must_use]
pub fn explain(
    plan: &AnalysisPlan,
    stand: Stand,
    analysis: &Analysis,
    failed: &BTreeMap<String, u32>,
) -> Explained {
    let rows = plan.metrics.iter().flat_map(|metric| {
        let bounds = analysis.metrics.get(&metric.name).map(|t| t.bounds.len());
        (0..bounds.unwrap_or_default().max(1)).map(|i| {
            let mut row = row(plan, analysis, metric, i);
            (row.failed, row.failure_limit) = checked(plan, metric, failed);
            row
        })
    });
    let (log, limit) = (total(analysis, plan), -analysis.alpha_or(plan).ln());
    let harm = weight(log, limit);
    Explained {
        metrics: rows.collect(),
        total: Total {
            harm,
            text: format!("rolls back at {}", super::why::evidence(limit)),
        },
        guards: guards(plan, stand.share, analysis),
        eta_seconds: eta_seconds(plan, stand, analysis),
        sample_ratio_alarm: analysis.sample_ratio.alarm,
        restarts: analysis.restarts,
    }
}

/// One row per metric: of several bounds the counts of the one that says most, with the evidence of
/// the metric as a whole.
#[must_use]
pub fn metrics(plan: &AnalysisPlan, analysis: &Analysis) -> Vec<Row> {
    let rows = plan.metrics.iter().map(|metric| {
        let log = |b: &BoundEvidence| b.harm.log_value(analysis.components);
        let tested = analysis.metrics.get(&metric.name);
        let bounds = tested.into_iter().flat_map(|t| t.bounds.iter().enumerate());
        let worst = bounds.max_by(|a, b| log(a.1).total_cmp(&log(b.1)));
        let mut row = row(plan, analysis, metric, worst.map_or(0, |(i, _)| i));
        let threshold = analysis.log_threshold(plan, metric);
        row.harm = weight(analysis.log_evidence(metric), threshold);
        row
    });
    rows.collect()
}

/// Seconds until a pass lacks neither samples nor certificates, at the rates of now.
#[must_use]
pub fn eta_seconds(plan: &AnalysisPlan, stand: Stand, analysis: &Analysis) -> Option<u64> {
    let n = analysis.judged.canary.n;
    if n == 0 || analysis.judged_ms == 0 {
        return None;
    }
    let per_s = n as f64 / (analysis.judged_ms as f64 / 1000.0);
    let mut samples = stand.min_samples.saturating_sub(n) as f64;
    let acting = plan.metrics.iter().filter(|m| m.mode != Mode::Observe);
    for metric in acting.filter(|_| stand.certificate) {
        if let Some((log, reached)) = analysis.log_certificate(plan, metric)
            && log < reached
        {
            samples = samples.max(lacking(metric, analysis, reached - log)?);
        }
    }
    Some((samples / per_s).ceil() as u64)
}

fn row(plan: &AnalysisPlan, analysis: &Analysis, metric: &MetricPlan, i: usize) -> Row {
    let tested = analysis.metrics.get(&metric.name);
    let bound = tested.and_then(|tested| tested.bounds.get(i));
    let mean_arms = tested
        .and_then(|tested| tested.mean.as_ref())
        .map(|m| m.arms);
    let (canary, stable) = match (bound, mean_arms) {
        (Some(bound), _) => {
            let rate = rates(bound.counts);
            let canary = counted(bound.counts.canary, rate.canary);
            (canary, counted(bound.counts.stable, rate.stable))
        }
        (None, Some(arms)) => (averaged(arms.canary), averaged(arms.stable)),
        (None, None) => (said(metric, analysis), Side::default()),
    };
    let log = match bound {
        Some(bound) => bound.harm.log_value(analysis.components),
        None => analysis.log_evidence(metric),
    };
    let limit = match metric.test {
        Test::Events { null, .. } | Test::Beyond { null, .. } => {
            allowed(null, bound.and_then(|bound| bound.theta_b.rate()))
        }
        Test::Mean { max_ratio, .. } => Some(max_ratio),
        Test::Literal { .. } | Test::Query { .. } => None,
    };
    let certificate = analysis.log_certificate(plan, metric);
    let at = bound.and_then(|bound| bound.at);
    let certified = certificate.map(|(log, reached)| (log / reached).clamp(0.0, 1.0));
    Row {
        name: metric.name.clone(),
        title: title(metric, at, i),
        kind: kind(&metric.test),
        mode: mode(metric.mode),
        bound: at,
        unit: at.and_then(|_| unit(&metric.test)),
        canary,
        stable,
        allowed: limit,
        harm: weight(log, analysis.log_threshold(plan, metric)),
        log_certificate: certificate.map(|(log, _)| log),
        log_certificate_threshold: certificate.map(|(_, reached)| reached),
        certificate_ratio: certified,
        failed: None,
        failure_limit: None,
        probability: bound.and_then(|bound| probability(bound.counts.canary, limit?)),
        phi: bound.map_or(1.0, |bound| bound.dispersion.phi()),
        text: rule(metric),
    }
}

fn probability(canary: Counts, limit: f64) -> Option<f64> {
    (canary.n > 0).then(|| above(canary, limit))
}

fn counted(counts: Counts, rate: Option<f64>) -> Side {
    Side {
        n: Some(counts.n),
        e: Some(counts.e),
        rate,
        ..Side::default()
    }
}

fn averaged(of: Moments) -> Side {
    Side {
        n: Some(of.n),
        mean: mean(of),
        ..Side::default()
    }
}

fn said(metric: &MetricPlan, analysis: &Analysis) -> Side {
    let value = match analysis.checks.get(&metric.name).map(|check| &check.said) {
        Some(Said::Passed(value) | Said::Failed(value)) => Some(*value),
        _ => None,
    };
    Side {
        value: value.filter(|value| value.is_finite()),
        ..Side::default()
    }
}

fn checked(
    plan: &AnalysisPlan,
    metric: &MetricPlan,
    failed: &BTreeMap<String, u32>,
) -> (Option<u32>, Option<u32>) {
    let limit = match metric.test {
        Test::Query { failure_limit, .. } => failure_limit,
        Test::Literal { .. } => plan.threshold,
        _ => return (None, None),
    };
    let failed = failed.get(&metric.name).copied().unwrap_or_default();
    (Some(failed), Some(limit))
}

fn weight(log: f64, threshold: f64) -> Weight {
    Weight {
        log_evidence: log,
        log_threshold: threshold,
        evidence: log.min(LOG_SHOWN_MAX).exp(),
        limit: threshold.min(LOG_SHOWN_MAX).exp(),
        limit_ratio: certainty(log, threshold),
    }
}

fn guards(plan: &AnalysisPlan, share: Share, analysis: &Analysis) -> Guards {
    let (watched, limits) = (&analysis.guards, &plan.guards);
    Guards {
        breaker_open: BreakerOpen {
            open: watched.gauges.breaker_open,
            routers: watched.gauges.routers(),
            for_ms: watched.breaker_open_ms.unwrap_or_default(),
            limit_ms: limits.breaker_open_ms,
        },
        fail_fast: FailFast {
            ratio: watched.failing(limits, share).unwrap_or_default(),
            limit: limits.fail_fast_ratio,
            failed: watched.since.canary.e,
            samples: watched.since.canary.n,
            min_samples: limits.fail_fast_samples,
        },
    }
}
