//! What a plan would take at the traffic of now: for a dry run, before anybody is exposed. Pure.

use serde::Serialize;
use serin_proto::unit::Share;

use super::{evidence::tolerance, sequential::divergence, why::allowed};
use crate::rollout::plan::{AnalysisPlan, Events, MetricPlan, Mode, Null, Plan, PlanStep, Test};

/// By how much the candidates fail more whose detection is foretold: 4 points, 10, all of it.
const HARMS: [f64; 3] = [0.04, 0.10, 1.0];
/// How much a component's start and the prior cost, beside `ln K`.
const OVERHEAD: f64 = 1.5;
/// A forecast of longer is none.
const FORECAST_MS_MAX: f64 = 365.0 * 86_400_000.0;

/// The route's traffic as it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Present {
    /// Requests of the whole route, a second.
    pub per_s: f64,
    /// Errors of the stable arm, 0..1.
    pub errors: f64,
    /// From a count to its reading: two scrapes, at least 5 s.
    pub reading_delay_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Forecast {
    pub steps: Vec<StepForecast>,
    /// From the first step to the end of the bake, without gates, warm-ups and acknowledgements;
    /// `None`: not at this traffic.
    pub least_ms: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepForecast {
    /// Percent.
    pub share: f64,
    pub canary_per_s: f64,
    /// Canary samples within `minDuration`.
    pub samples: u64,
    /// Until duration, samples and certificate are enough; `None`: not at this traffic.
    pub least_ms: Option<u64>,
    pub detections: Vec<Detection>,
}

/// A candidate that fails more would be found so soon, in the median.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Detection {
    /// Ratio of errors, 0..1.
    pub errors: f64,
    pub samples: u64,
    /// Reading delay and half an interval included.
    pub ms: u64,
}

#[must_use]
pub fn forecast(plan: &Plan, present: Present) -> Forecast {
    let steps: Vec<StepForecast> = plan
        .steps
        .iter()
        .map(|step| of_step(plan, step, present))
        .collect();
    let each: Option<Vec<u64>> = steps.iter().map(|step| step.least_ms).collect();
    let least_ms = each.map(|each| {
        let steps: u64 = each.into_iter().fold(0, u64::saturating_add);
        steps.saturating_add(plan.promotion.bake_ms)
    });
    Forecast { steps, least_ms }
}

fn of_step(plan: &Plan, step: &PlanStep, present: Present) -> StepForecast {
    let share = step.share.as_ratio();
    let canary_per_s = present.per_s.max(0.0) * share;
    let in_duration = canary_per_s * step.min_duration_ms as f64 / 1000.0;
    StepForecast {
        share: share * 100.0,
        canary_per_s,
        samples: in_duration as u64,
        least_ms: least_ms(&plan.analysis, step, present),
        detections: detections(plan, canary_per_s, present),
    }
}

fn least_ms(plan: &AnalysisPlan, step: &PlanStep, present: Present) -> Option<u64> {
    let share = step.share.as_ratio();
    let has_control = step.share < Share::ALL;
    let thinner = if has_control {
        share.min(1.0 - share)
    } else {
        share
    };
    let per_s = present.per_s.max(0.0);
    let mut seconds = vec![step.min_samples as f64 / (per_s * thinner)];
    if step.certificate {
        let asked = plan.metrics.iter().filter(|m| m.mode != Mode::Observe);
        let proven = asked.filter(|m| is_errors(m)).filter_map(|metric| {
            let n = samples_to_prove(plan.beta, metric, present.errors)?;
            Some(n / (per_s * share))
        });
        seconds.extend(proven);
    }
    let least = step.min_duration_ms as f64;
    let least = seconds.into_iter().fold(least, |ms, s| ms.max(s * 1000.0));
    (least <= FORECAST_MS_MAX).then_some(least.round() as u64)
}

fn detections(plan: &Plan, canary_per_s: f64, present: Present) -> Vec<Detection> {
    let enforced = |m: &&MetricPlan| m.mode == Mode::Enforce && is_errors(m);
    let Some(metric) = plan.analysis.metrics.iter().find(enforced) else {
        return Vec::new();
    };
    let Test::Events { null, .. } = metric.test else {
        return Vec::new();
    };
    let limit = (null.ratio * present.errors + null.margin).min(1.0);
    let asked = -(plan.analysis.alpha * metric.share.max(1e-9)).ln();
    let components = u32::try_from(plan.exposures()).unwrap_or(u32::MAX);
    let wait = present.reading_delay_ms as f64 + plan.analysis.interval_ms as f64 / 2.0;
    let found = HARMS.into_iter().filter_map(|harm| {
        let errors = (present.errors + harm).min(1.0);
        let samples = samples_to_tell(asked, components, errors, limit)?;
        let ms = samples / canary_per_s * 1000.0 + wait;
        (ms <= FORECAST_MS_MAX).then_some(Detection {
            errors,
            samples: samples as u64,
            ms: ms as u64,
        })
    });
    found.collect()
}

fn is_errors(metric: &MetricPlan) -> bool {
    let errors = Events::Errors;
    matches!(metric.test, Test::Events { of, .. } if of == errors)
}

/// Canary samples until a rate above its limit is proven harmful, in the median:
/// `(ln(1/(α·share)) + ln K + 1.5)/KL(p_c‖limit)`.
fn samples_to_tell(log_threshold: f64, components: u32, p_c: f64, limit: f64) -> Option<f64> {
    let per_sample = divergence(p_c, limit);
    let asked = log_threshold + f64::from(components.max(1)).ln() + OVERHEAD;
    (p_c > limit && per_sample > 0.0).then(|| (asked / per_sample).ceil())
}

/// Canary samples a certificate needs if the canary is as good as the stable arm:
/// `ln(1/β)/KL(p_b‖r·p_b+Δ)`; `None`: none is asked of this metric.
fn samples_to_prove(beta: f64, metric: &MetricPlan, stable: f64) -> Option<f64> {
    let (Test::Events { null, .. } | Test::Beyond { null, .. }) = metric.test else {
        return None;
    };
    let margin = tolerance(&metric.test)?;
    let line = allowed(Null { margin, ..null }, Some(stable))?;
    let per_sample = divergence(stable.min(line), line);
    (per_sample > 0.0).then(|| (-beta.max(f64::MIN_POSITIVE).ln() / per_sample).ceil())
}

#[cfg(test)]
mod tests;
