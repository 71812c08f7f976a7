//! Checks that count instead of testing: a custom query against its range, and Flagger's literal
//! point estimate of each interval, for those who ask for it. A failed check is counted by the
//! machine, per step; no answer is no failure. Pure.

use serde::{Deserialize, Serialize};

use super::sample::{Answered, Counts, Millis};
use crate::rollout::plan::{Literal, MetricPlan, Test};

/// The newest answer to a check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// When, by the source's clock.
    pub at: Millis,
    pub said: Said,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Said {
    Passed(f64),
    Failed(f64),
    /// No word for or against.
    Nothing,
    Error(String),
}

/// What an answer of a custom query means.
#[must_use]
pub fn of_query(answer: &Answered, min: Option<f64>, max: Option<f64>) -> Said {
    match answer {
        Answered::Value(value) if value.is_nan() => Said::Nothing,
        Answered::Value(value) if value.is_infinite() => Said::Error("it is infinite".to_owned()),
        Answered::Value(value) => within(*value, min, max),
        Answered::Nothing => Said::Nothing,
        Answered::Error(why) => Said::Error(why.clone()),
    }
}

/// Flagger's check of a built-in metric. For `P99` the events are answers slower than `max`.
#[must_use]
pub fn of_counts(of: Literal, counts: Counts, min: Option<f64>, max: Option<f64>) -> Said {
    if counts.n == 0 {
        return Said::Nothing;
    }
    let percent = 100.0 * counts.e.min(counts.n) as f64 / counts.n as f64;
    match of {
        Literal::SuccessRate => within(100.0 - percent, min, max),
        // At most one in a hundred is slower.
        Literal::P99 => within(percent, None, Some(1.0)),
    }
}

fn within(value: f64, min: Option<f64>, max: Option<f64>) -> Said {
    let is_inside = min.is_none_or(|min| value >= min) && max.is_none_or(|max| value <= max);
    if is_inside {
        Said::Passed(value)
    } else {
        Said::Failed(value)
    }
}

/// What a metric without evidence says against a pass, in words.
#[must_use]
pub fn objection(metric: &MetricPlan, check: Option<&Check>) -> Option<String> {
    if !matches!(metric.test, Test::Query { .. } | Test::Literal { .. }) {
        return None;
    }
    let name = &metric.name;
    match check.map(|check| &check.said) {
        None => Some(format!("{name} was not asked yet")),
        Some(Said::Passed(_)) => None,
        Some(Said::Nothing) => Some(format!("{name} has no data")),
        Some(Said::Failed(value)) => Some(format!("{name} is {value:.4}, out of its range")),
        Some(Said::Error(why)) => Some(format!("{name} could not be asked: {why}")),
    }
}
