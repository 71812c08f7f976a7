//! Metrics and their rules in words for people. Pure.

use super::{measure::is_below, why::percent};
use crate::rollout::plan::{Distribution, MetricPlan, Mode, Null, Test};

#[must_use]
pub fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "enforce",
        Mode::PauseOnly => "pauseOnly",
        Mode::Observe => "observe",
    }
}

#[must_use]
pub fn kind(test: &Test) -> &'static str {
    match test {
        Test::Events { .. } => "events",
        Test::Beyond { .. } => "beyond",
        Test::Mean { .. } => "mean",
        Test::Query { .. } => "query",
        Test::Literal { .. } => "literal",
    }
}

/// Of a bound.
#[must_use]
pub fn unit(test: &Test) -> Option<&'static str> {
    let Test::Beyond { of, .. } = test else {
        return None;
    };
    Some(match of {
        Distribution::Ttft | Distribution::Duration => "s",
        Distribution::OutputTokens => "tokens",
        Distribution::Cost => "USD",
    })
}

/// `errors`, `ttft > 3 s`; of what is asked for what lies below, `output-tokens ≤ 16 tokens`.
/// `i`: which bound of the metric it is.
#[must_use]
pub fn title(metric: &MetricPlan, bound: Option<f64>, i: usize) -> String {
    let sign = match &metric.test {
        Test::Beyond { bounds, .. } if is_below(bounds, i) => '≤',
        _ => '>',
    };
    match (bound, unit(&metric.test)) {
        (Some(bound), Some(unit)) => format!("{} {sign} {bound} {unit}", metric.name),
        _ => metric.name.clone(),
    }
}

/// What a metric allows: `≤ stable + 0.5 points, ≤ 10 %`.
#[must_use]
pub fn rule(metric: &MetricPlan) -> String {
    match &metric.test {
        Test::Events { null, max, .. } => {
            let max = max.map(|max| format!(", ≤ {}", percent(max)));
            format!("{}{}", of_null(*null), max.unwrap_or_default())
        }
        Test::Beyond { null, .. } => of_null(*null),
        Test::Mean { max_ratio, .. } => format!("≤ {max_ratio} × stable"),
        Test::Literal { min, max, .. } | Test::Query { min, max, .. } => {
            let min = min.map(|min| format!("≥ {min}"));
            let max = max.map(|max| format!("≤ {max}"));
            let both: Vec<String> = min.into_iter().chain(max).collect();
            both.join(", ")
        }
    }
}

fn of_null(null: Null) -> String {
    let points = points(null.margin);
    match null.ratio {
        r if r <= 0.0 => format!("≤ {}", percent(null.margin)),
        r if (r - 1.0).abs() < 1e-9 => format!("≤ stable + {points}"),
        r => format!("≤ {r} × stable + {points}"),
    }
}

fn points(margin: f64) -> String {
    let points = (margin * 1e6).round() / 1e4;
    let is_one = (points - 1.0).abs() < 1e-9;
    format!("{points} {}", if is_one { "point" } else { "points" })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rollout::plan::Plan;

    #[test]
    fn a_bound_of_the_lower_half_is_told_as_the_other_way_round() {
        let rollout = json!({
            "route": "chat", "candidate": "b", "steps": [{"weight": 5}],
            "analysis": {"metrics": [{"name": "output-tokens"}]},
        });
        let rollout = serde_json::from_value(rollout).unwrap();
        let plan = Plan::compile(&rollout).unwrap();
        let metric = &plan.analysis.metrics[0];
        assert_eq!(title(metric, Some(16.0), 0), "output-tokens ≤ 16 tokens");
        assert_eq!(title(metric, Some(512.0), 1), "output-tokens > 512 tokens");
        assert_eq!(title(metric, None, 0), "output-tokens");
    }
}
