//! The evidence of a rollout: what its state keeps of all windows judged so far, and what it comes to.
//!
//! K, α and the shares of the metrics are fixed when the first exposure begins: that is what the
//! promise "wrong with chance at most α" is about. A metric that is redefined later begins anew,
//! which spends a fresh part of α, so it is counted and shown. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    cause::{Arrivals, CommonCause, SampleRatio},
    certificate::Certificate,
    check::Check,
    guard::Watched,
    mean::MeanEvidence,
    sample::{Arms, Counts, Opening, Window},
    sequential::{EProcess, Smoothed, log_sum},
    tempering::Dispersion,
};
use crate::rollout::plan::{AnalysisPlan, Bounds, MetricPlan, Mode, Test};

/// A bound that one answer in a hundred passes says nothing before so many canary samples.
const RARE_SAMPLES_MIN: u64 = 300;
/// Keeps the threshold of a metric without a share finite.
const SHARE_MIN: f64 = 1e-9;

/// Kept in the state, committed with the cursor. At most 16 KiB as JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Analysis {
    /// K: exposures with a component of their own; 0: none has begun yet.
    pub components: u32,
    /// As fixed when the first exposure began.
    pub alpha: f64,
    /// Exposures begun, those without a component too.
    pub exposures: u32,
    pub metrics: BTreeMap<String, Tested>,
    /// Judged time of the running exposure by the source's clock.
    pub judged_ms: u64,
    /// Errors of the running exposure in windows that were judged and whole: what `minSamples` asks.
    pub judged: Window,
    pub cause: CommonCause,
    pub arrivals: Arrivals,
    pub sample_ratio: SampleRatio,
    pub guards: Watched,
    /// Newest answers of custom queries and literal checks in this exposure.
    pub checks: BTreeMap<String, Check>,
    /// Metrics whose evidence began anew after a change of the plan.
    pub restarts: u32,
}

/// One metric's evidence.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Tested {
    /// Of alpha; fixed when its evidence began.
    pub share: f64,
    /// One per bound of the plan; ratios have one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bounds: Vec<BoundEvidence>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<MeanEvidence>,
    /// Of `max`, the absolute limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<EProcess>,
}

/// Evidence of one counted ratio.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BoundEvidence {
    /// The bucket bound of the running exposure, in the histogram's unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<f64>,
    /// Judged counts of the running exposure.
    pub counts: Window,
    /// Canary samples of the whole rollout.
    pub seen: u64,
    pub theta_b: Smoothed,
    pub harm: EProcess,
    pub certificate: Certificate,
    pub dispersion: Dispersion,
}

impl Tested {
    fn of(metric: &MetricPlan) -> Self {
        let bounds = match &metric.test {
            Test::Events { .. } => 1,
            Test::Beyond { bounds, .. } => match bounds {
                Bounds::Quantiles(quantiles) => quantiles.len(),
                Bounds::Fixed(_) => 1,
            },
            Test::Mean { .. } | Test::Literal { .. } | Test::Query { .. } => 0,
        };
        let is_mean = matches!(metric.test, Test::Mean { .. });
        let has_limit = matches!(metric.test, Test::Events { max: Some(_), .. });
        Self {
            share: metric.share,
            bounds: vec![BoundEvidence::default(); bounds],
            mean: is_mean.then(MeanEvidence::default),
            limit: has_limit.then(EProcess::default),
        }
    }

    fn has_evidence(&self) -> bool {
        self.mean.is_some() || !self.bounds.is_empty()
    }

    fn start_component(&mut self, metric: &MetricPlan, components: u32) {
        for bound in &mut self.bounds {
            bound.harm.start_component(components);
        }
        if let Some(limit) = &mut self.limit {
            limit.start_component(components);
        }
        if let (Some(mean), Test::Mean { max_ratio, .. }) = (&mut self.mean, &metric.test) {
            mean.start_component(components, *max_ratio);
        }
    }

    fn open(&mut self, metric: &MetricPlan, components: u32, opening: &Opening) {
        self.start_component(metric, components);
        let ats = opening.bounds.get(&metric.name);
        let hours = opening.baseline.get(&metric.name);
        let is_fixed = matches!(metric.test, Test::Events { .. });
        for (i, bound) in self.bounds.iter_mut().enumerate() {
            let at = ats.and_then(|ats| ats.get(i)).copied();
            let hour = hours.and_then(|hours| hours.get(i)).copied();
            if bound.theta_b.rate().is_none() || (!is_fixed && at != bound.at) {
                bound.theta_b = Smoothed::of_hour(hour.unwrap_or_default());
            }
            if at != bound.at {
                // Windows of two bounds are not to be compared.
                bound.dispersion.last.clear();
            }
            bound.at = at;
            bound.counts = Window::default();
            bound.certificate = Certificate::default();
        }
    }
}

impl Analysis {
    /// Begins an exposure.
    pub fn open(&mut self, plan: &AnalysisPlan, exposures: usize, opening: &Opening) {
        if self.components == 0 {
            self.components = u32::try_from(exposures).unwrap_or(u32::MAX).max(1);
            self.alpha = plan.alpha;
            let hour = opening.baseline.get(super::sample::ERRORS);
            let hour = hour.and_then(|hours| hours.first()).copied();
            self.cause.seed(hour.unwrap_or_default());
        }
        self.adopt(plan, Tested::of);
        self.exposures += 1;
        for metric in &plan.metrics {
            if let Some(tested) = self.metrics.get_mut(&metric.name) {
                tested.open(metric, self.components, opening);
            }
        }
        self.judged_ms = 0;
        self.judged = Window::default();
        self.arrivals = Arrivals::default();
        self.sample_ratio.open();
        self.guards.open();
        self.checks.clear();
    }

    /// Brings the metrics into line with a plan that may have changed (T13): those that left are
    /// dropped, those that came begin now, which is counted: it spends a fresh part of alpha. A share
    /// given to evidence that was only looked at so far would be given in hindsight: it begins anew.
    fn adopt(&mut self, plan: &AnalysisPlan, fresh: impl Fn(&MetricPlan) -> Tested) {
        let is_first = self.exposures == 0;
        let planned = |name: &String| plan.metrics.iter().any(|m| m.name == *name);
        self.metrics.retain(|name, _| planned(name));
        for metric in &plan.metrics {
            let share = self.metrics.get(&metric.name).map(|tested| tested.share);
            if metric.share > 0.0 && share.is_some_and(|share| share <= 0.0) {
                self.forget(&metric.name);
            } else if share.is_some() {
                continue;
            }
            let tested = fresh(metric);
            let acts = metric.mode != Mode::Observe && tested.has_evidence();
            self.restarts += u32::from(acts && !is_first);
            self.metrics.insert(metric.name.clone(), tested);
        }
    }

    /// A plan that changed within an exposure: what is new begins at once, so that nothing is left
    /// unjudged until the next.
    pub(super) fn adopt_now(&mut self, plan: &AnalysisPlan) {
        let components = self.components;
        if components > 0 {
            self.adopt(plan, |metric| {
                let mut tested = Tested::of(metric);
                tested.start_component(metric, components);
                tested
            });
        }
    }

    pub(super) fn forget(&mut self, metric: &str) {
        self.checks.remove(metric);
        self.metrics.remove(metric);
    }

    /// The bucket bounds of the running exposure by metric, as [`super::sample::Opening`] gave them.
    #[must_use]
    pub fn bounds(&self) -> BTreeMap<String, Vec<f64>> {
        let bounds = self.metrics.iter().filter_map(|(name, tested)| {
            let ats: Option<Vec<f64>> = tested.bounds.iter().map(|bound| bound.at).collect();
            ats.filter(|ats| !ats.is_empty())
                .map(|ats| (name.clone(), ats))
        });
        bounds.collect()
    }

    /// `ln E` of a metric: of several bounds the mean of their E. 0 for what has no evidence.
    #[must_use]
    pub fn log_evidence(&self, metric: &MetricPlan) -> f64 {
        let Some(tested) = self.metrics.get(&metric.name) else {
            return 0.0;
        };
        if let (Some(mean), Test::Mean { max_ratio, .. }) = (&tested.mean, &metric.test) {
            return mean.log_value(self.components, *max_ratio);
        }
        if tested.bounds.is_empty() {
            return 0.0;
        }
        let weight = 1.0 / tested.bounds.len() as f64;
        let bounds = tested.bounds.iter().enumerate();
        log_sum(bounds.map(|(i, bound)| {
            let log = bound.harm.log_value(self.components);
            let is_early = bound.seen < RARE_SAMPLES_MIN && is_rare(&metric.test, i);
            (weight, if is_early { log.min(0.0) } else { log })
        }))
    }

    /// Where a metric's `ln E` acts by itself: `ln(1/(α·share))`, `ln(1/α)` unless it is enforced.
    #[must_use]
    pub fn log_threshold(&self, plan: &AnalysisPlan, metric: &MetricPlan) -> f64 {
        let share = match metric.mode {
            Mode::Enforce => (self.share(metric) / self.spent(plan)).max(SHARE_MIN),
            Mode::PauseOnly | Mode::Observe => 1.0,
        };
        -(self.alpha_or(plan) * share).ln()
    }

    /// `ln E` of the certificate and where it is reached; `None`: none is asked of this metric. All
    /// bounds must be proven: the least counts, and one that is not known is not proven.
    #[must_use]
    pub fn log_certificate(&self, plan: &AnalysisPlan, metric: &MetricPlan) -> Option<(f64, f64)> {
        tolerance(&metric.test)?;
        let tested = self.metrics.get(&metric.name)?;
        let is_beyond = matches!(metric.test, Test::Beyond { .. });
        let logs = tested.bounds.iter().map(|bound| {
            let log = bound.certificate.log_value();
            let is_known = !is_beyond || bound.at.is_some();
            if is_known { log } else { log.min(0.0) }
        });
        let reached = -plan.beta.max(f64::MIN_POSITIVE).ln();
        logs.min_by(f64::total_cmp).map(|log| (log, reached))
    }

    /// α as fixed, or as planned while no exposure has begun.
    #[must_use]
    pub fn alpha_or(&self, plan: &AnalysisPlan) -> f64 {
        let alpha = if self.components == 0 {
            plan.alpha
        } else {
            self.alpha
        };
        alpha.clamp(f64::MIN_POSITIVE, 1.0)
    }

    /// What the shares come to, at least 1. Those of another plan that were fixed and those that came
    /// with this one may be more than there is: then each has its part of the whole.
    fn spent(&self, plan: &AnalysisPlan) -> f64 {
        let enforced = plan.metrics.iter().filter(|m| m.mode == Mode::Enforce);
        let spent: f64 = enforced.map(|m| self.share(m).max(0.0)).sum();
        spent.max(1.0)
    }

    fn share(&self, metric: &MetricPlan) -> f64 {
        let tested = self.metrics.get(&metric.name);
        tested.map_or(metric.share, |tested| tested.share)
    }
}

/// `ln E_total = ln Σ share·E` over the enforced metrics; what is not shared out lies still at 1.
/// The candidate is worse at `ln(1/α)`: valid whatever the metrics have to do with each other.
#[must_use]
pub fn total(analysis: &Analysis, plan: &AnalysisPlan) -> f64 {
    let spent = analysis.spent(plan);
    let enforced = plan.metrics.iter().filter(|m| m.mode == Mode::Enforce);
    let terms: Vec<(f64, f64)> = enforced
        .map(|m| (analysis.share(m).max(0.0) / spent, analysis.log_evidence(m)))
        .collect();
    let shared: f64 = terms.iter().map(|(share, _)| share).sum();
    let rest = ((1.0 - shared).max(0.0), 0.0);
    log_sum(
        terms
            .into_iter()
            .chain([rest])
            .collect::<Vec<_>>()
            .into_iter(),
    )
}

/// The points of the certificate, 0..1.
#[must_use]
pub fn tolerance(test: &Test) -> Option<f64> {
    match test {
        Test::Events { tolerance, .. } | Test::Beyond { tolerance, .. } => *tolerance,
        Test::Mean { .. } | Test::Literal { .. } | Test::Query { .. } => None,
    }
}

/// The bound that only one answer in a hundred passes.
fn is_rare(test: &Test, bound: usize) -> bool {
    let Test::Beyond { bounds, null, .. } = test else {
        return false;
    };
    match bounds {
        Bounds::Quantiles(quantiles) => quantiles
            .get(bound)
            .is_some_and(|q| !(0.011..=0.989).contains(q)),
        Bounds::Fixed(_) => null.ratio <= 0.0 && null.margin <= 0.011,
    }
}

/// Adds counts of both arms.
pub(super) fn add(to: &mut Window, more: Window) {
    add_counts(&mut to.canary, more.canary);
    add_counts(&mut to.stable, more.stable);
}

fn add_counts(to: &mut Counts, more: Counts) {
    to.n = to.n.saturating_add(more.n);
    to.e = to.e.saturating_add(more.e.min(more.n));
}

/// Rates of both arms, `None` without samples.
#[must_use]
pub fn rates(window: Window) -> Arms<Option<f64>> {
    let rate = |c: Counts| (c.n > 0).then(|| c.e as f64 / c.n as f64);
    Arms {
        canary: rate(window.canary),
        stable: rate(window.stable),
    }
}
