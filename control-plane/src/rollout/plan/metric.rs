//! A metric as written → the test it is judged by. Pure.

use serin_proto::{metric::family, v1};

use super::{Bounds, Distribution, Events, Literal, MetricPlan, Mode, Null, Test};

/// Points of the certificate of `errors`.
const TOLERANCE: f64 = 2.0;
/// Candidate's mean over the stable one's.
const MAX_RATIO: f64 = 1.25;
/// An absolute limit on time is one on the p99: so many points may be slower.
const SLOWER_POINTS: f64 = 1.0;

/// Metrics of a plan that names none: what may get worse with no intention behind it, then what
/// differs by design, with wide margins, then what is only reported.
fn defaults() -> Vec<v1::AnalysisMetric> {
    let metric = |name: &str, share| v1::AnalysisMetric {
        name: name.to_owned(),
        share,
        ..Default::default()
    };
    let observed = |name| v1::AnalysisMetric {
        mode: "observe".to_owned(),
        ..metric(name, None)
    };
    vec![
        metric("errors", Some(0.6)),
        metric("rejections", Some(0.1)),
        metric("abandoned", Some(0.1)),
        metric("ttft", Some(0.1)),
        metric("duration", Some(0.1)),
        observed("cost"),
        observed("output-tokens"),
    ]
}

pub(super) fn all(
    written: &[v1::AnalysisMetric],
    interval_ms: u64,
    threshold: u32,
) -> Vec<MetricPlan> {
    let own;
    let metrics = if written.is_empty() {
        own = defaults();
        &own[..]
    } else {
        written
    };
    let mut plans: Vec<MetricPlan> = metrics
        .iter()
        .map(|metric| MetricPlan {
            name: metric.name.clone(),
            mode: match metric.mode.as_str() {
                "pauseOnly" => Mode::PauseOnly,
                "observe" => Mode::Observe,
                _ => Mode::Enforce,
            },
            share: 0.0,
            test: test(metric, interval_ms, threshold),
        })
        .collect();
    divide(&mut plans, metrics);
    plans
}

/// Shares of alpha: as written; those without one divide what is left.
fn divide(plans: &mut [MetricPlan], written: &[v1::AnalysisMetric]) {
    let spends = |plan: &MetricPlan| {
        plan.mode == Mode::Enforce
            && !matches!(plan.test, Test::Query { .. } | Test::Literal { .. })
    };
    let spenders = || {
        let both = plans.iter().zip(written);
        both.filter(|(plan, _)| spends(plan))
    };
    let given: f64 = spenders().filter_map(|(_, metric)| metric.share).sum();
    let without = spenders()
        .filter(|(_, metric)| metric.share.is_none())
        .count();
    let each = (1.0 - given).max(0.0) / (without.max(1) as f64);
    for (plan, metric) in plans.iter_mut().zip(written) {
        if spends(plan) {
            plan.share = metric.share.unwrap_or(each);
        }
    }
}

fn test(metric: &v1::AnalysisMetric, interval_ms: u64, threshold: u32) -> Test {
    let range = metric.threshold_range.unwrap_or_default();
    let is_literal = metric.judge == "threshold";
    match metric.name.as_str() {
        _ if !metric.query.is_empty() => Test::Query {
            promql: metric.query.clone(),
            interval_ms: super::compile::millis(&metric.interval, interval_ms),
            min: range.min,
            max: range.max,
            // As many failures as any check has in a step.
            failure_limit: metric.failure_limit.unwrap_or(threshold.saturating_sub(1)),
        },
        "errors" => events(metric, Events::Errors, 0.5),
        "rejections" => events(metric, Events::Rejections, 1.0),
        "abandoned" => events(metric, Events::Abandoned, 2.0),
        "request-success-rate" if is_literal => literal(Literal::SuccessRate, range),
        "request-duration" if is_literal => literal(Literal::P99, range),
        "request-success-rate" => Test::Events {
            of: Events::Errors,
            null: absolute(100.0 - range.min.unwrap_or_default()),
            max: None,
            tolerance: metric.tolerance.map(points),
        },
        "ttft" => times(metric, Distribution::Ttft, &family::TTFTS),
        "duration" | "request-duration" => {
            times(metric, Distribution::Duration, &family::DURATIONS)
        }
        "output-tokens" if metric.max_ratio.is_none() => Test::Beyond {
            of: Distribution::OutputTokens,
            bounds: quantiles(metric, &[0.1, 0.9]),
            null: null(metric, 10.0, 1.0),
            tolerance: metric.tolerance.map(points),
        },
        "output-tokens" => mean(metric, Distribution::OutputTokens),
        _ => mean(metric, Distribution::Cost),
    }
}

fn points(points: f64) -> f64 {
    points / 100.0
}

fn absolute(percent: f64) -> Null {
    Null {
        ratio: 0.0,
        margin: points(percent),
    }
}

fn null(metric: &v1::AnalysisMetric, default_points: f64, default_ratio: f64) -> Null {
    let margin = metric.margin.unwrap_or_default();
    Null {
        ratio: margin.ratio.unwrap_or(default_ratio),
        margin: points(margin.points.unwrap_or(default_points)),
    }
}

fn events(metric: &v1::AnalysisMetric, of: Events, default_points: f64) -> Test {
    let default_tolerance = (of == Events::Errors).then_some(TOLERANCE);
    Test::Events {
        of,
        null: null(metric, default_points, 1.0),
        max: metric.max.map(points),
        tolerance: metric.tolerance.or(default_tolerance).map(points),
    }
}

fn literal(of: Literal, range: v1::ThresholdRange) -> Test {
    Test::Literal {
        of,
        min: range.min,
        max: range.max,
    }
}

fn mean(metric: &v1::AnalysisMetric, of: Distribution) -> Test {
    Test::Mean {
        of,
        max_ratio: metric.max_ratio.unwrap_or(MAX_RATIO),
    }
}

fn quantiles(metric: &v1::AnalysisMetric, default: &[f64]) -> Bounds {
    Bounds::Quantiles(if metric.quantiles.is_empty() {
        default.to_vec()
    } else {
        metric.quantiles.clone()
    })
}

fn times(metric: &v1::AnalysisMetric, of: Distribution, bounds: &[f64]) -> Test {
    if let Some(max_ms) = metric.threshold_range.and_then(|range| range.max) {
        let next = bounds.iter().find(|bound| **bound * 1_000.0 >= max_ms);
        return Test::Beyond {
            of,
            bounds: Bounds::Fixed(next.copied().unwrap_or(max_ms / 1_000.0)),
            null: Null {
                ratio: 0.0,
                ..null(metric, SLOWER_POINTS, 0.0)
            },
            tolerance: metric.tolerance.map(points),
        };
    }
    if metric.max_ratio.is_some() {
        return mean(metric, of);
    }
    Test::Beyond {
        of,
        bounds: quantiles(metric, &[0.95]),
        null: null(metric, 5.0, 2.0),
        tolerance: metric.tolerance.map(points),
    }
}
