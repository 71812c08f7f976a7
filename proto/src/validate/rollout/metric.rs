//! The metrics of a plan: known, judged by one test, and within alpha together.
//!
//! A field that a metric has no use for is a fault: who wrote it believes that it limits something.

use super::{listed, variables};
use crate::{
    fault::Pointer,
    metric::family::{DURATIONS, TTFTS},
    suggest::nearest,
    v1,
    validate::Findings,
};

/// Judged by events, by a distribution, and Flagger's names of two of them.
const EVENTS: [&str; 3] = ["errors", "rejections", "abandoned"];
const TIMES: [&str; 2] = ["ttft", "duration"];
const ALL: [&str; 9] = [
    "errors",
    "rejections",
    "abandoned",
    "ttft",
    "duration",
    "output-tokens",
    "cost",
    SUCCESS_RATE,
    REQUEST_DURATION,
];
const SUCCESS_RATE: &str = "request-success-rate";
const REQUEST_DURATION: &str = "request-duration";
/// Each bound is evidence of its own.
const QUANTILES_MAX: usize = 8;
/// Shares are written in decimals: 0.1 + 0.2 is no more than 0.3.
const SHARES_SLACK: f64 = 1e-9;
/// Filled in by Serin; Flagger calls route and candidate name and target.
const VARIABLES: [&str; 7] = [
    "route",
    "candidate",
    "stable",
    "interval",
    "rollout",
    "name",
    "target",
];

pub(super) fn check_all(analysis: &v1::Analysis, at: &Pointer, findings: &mut Findings) {
    let list = at.key("metrics");
    let names = analysis.metrics.iter().map(|metric| metric.name.as_str());
    listed(&list, names, findings);
    for (i, metric) in analysis.metrics.iter().enumerate() {
        let at = list.at(i);
        check_fields(metric, &at, findings);
        if metric.query.is_empty() {
            built_in(metric, &at, findings);
        } else {
            query(metric, analysis, &at, findings);
        }
    }
    shares(&analysis.metrics, &list, findings);
}

/// Somebody has to be able to give the certificate that a step asks for.
pub(super) fn check_certificate(rollout: &v1::Rollout, at: &Pointer, findings: &mut Findings) {
    let asked = rollout.steps.iter().position(|step| step.certificate);
    let metrics = rollout.analysis.iter().flat_map(|a| &a.metrics);
    let gives = |m: &v1::AnalysisMetric| {
        is_enforced(m) && (m.name == "errors" && m.judge.is_empty() || m.tolerance.is_some())
    };
    let mut metrics = metrics.peekable();
    if let (Some(i), Some(_)) = (asked, metrics.peek())
        && !metrics.any(gives)
    {
        let message = "no enforced metric gives a certificate: list errors, or set tolerance";
        let at = at.key("steps").at(i).key("certificate");
        findings.fault(&at, "no_certificate", message);
    }
}

fn is_enforced(metric: &v1::AnalysisMetric) -> bool {
    matches!(metric.mode.as_str(), "" | "enforce")
}

/// Each field for itself.
fn check_fields(metric: &v1::AnalysisMetric, at: &Pointer, findings: &mut Findings) {
    findings.name(&at.key("name"), &metric.name);
    findings.range(&at.key("share"), metric.share, 0.0..=1.0);
    findings.range(&at.key("max"), metric.max, 0.0..=100.0);
    let most = f64::INFINITY;
    findings.range(
        &at.key("maxRatio"),
        metric.max_ratio,
        f64::MIN_POSITIVE..=most,
    );
    findings.range(&at.key("tolerance"), metric.tolerance, 0.01..=100.0);
    if metric.quantiles.len() > QUANTILES_MAX {
        let message = format!("at most {QUANTILES_MAX} are possible");
        findings.fault(&at.key("quantiles"), "too_many", message);
    }
    for (i, quantile) in metric.quantiles.iter().enumerate() {
        if !(*quantile > 0.0 && *quantile < 1.0) {
            let message = format!("{quantile} is not between 0 and 1");
            findings.fault(&at.key("quantiles").at(i), "out_of_range", message);
        }
    }
    if let Some(margin) = &metric.margin {
        let at = at.key("margin");
        findings.range(&at.key("points"), margin.points, 0.0..=100.0);
        findings.range(&at.key("ratio"), margin.ratio, 0.0..=most);
    }
    let modes = ["enforce", "pauseOnly", "observe"];
    findings.word(&at.key("mode"), &metric.mode, &modes);
    findings.word(&at.key("judge"), &metric.judge, &["threshold"]);
    findings.duration(&at.key("interval"), &metric.interval);
    findings.count(&at.key("failureLimit"), metric.failure_limit);
    if let Some(v1::ThresholdRange {
        min: Some(min),
        max: Some(max),
    }) = metric.threshold_range
        && min > max
    {
        let message = format!("min {min} is above max {max}");
        findings.fault(&at.key("thresholdRange"), "out_of_range", message);
    }
}

fn query(
    metric: &v1::AnalysisMetric,
    analysis: &v1::Analysis,
    at: &Pointer,
    findings: &mut Findings,
) {
    if ALL.contains(&metric.name.as_str()) {
        let message = format!("{} is built in: give the query another name", metric.name);
        findings.fault(&at.key("name"), "built_in", message);
    }
    let range = metric.threshold_range.unwrap_or_default();
    if range.min.is_none() && range.max.is_none() {
        let message = "is missing: a query needs min, max or both";
        findings.fault(&at.key("thresholdRange"), "missing", message);
    }
    no_use(metric, &["thresholdRange", "failureLimit"], at, findings);
    let at = at.key("query");
    let Ok(named) = variables(&metric.query) else {
        return findings.fault(&at, "bad_template", "has {{ without }}");
    };
    let mut unknown: Vec<&str> = named
        .into_iter()
        .filter(|name| {
            let own = name.strip_prefix("variables.");
            !VARIABLES.contains(name)
                && !own.is_some_and(|own| analysis.variables.contains_key(own))
        })
        .collect();
    unknown.sort_unstable();
    for name in unknown {
        let known = VARIABLES.join(", ");
        let message =
            format!("{{{{ {name} }}}} is not known: {known}, or one of analysis.variables");
        findings.fault(&at, "unknown_variable", message);
    }
}

fn built_in(metric: &v1::AnalysisMetric, at: &Pointer, findings: &mut Findings) {
    let name = metric.name.as_str();
    let range = metric.threshold_range;
    match name {
        "" => {}
        SUCCESS_RATE => {
            no_use(
                metric,
                &["thresholdRange", "judge", "tolerance"],
                at,
                findings,
            );
            needs(range.and_then(|r| r.min), "min", at, findings);
            other(range.and_then(|r| r.max), "max", at, findings);
            let at = at.key("thresholdRange").key("min");
            findings.range(&at, range.and_then(|r| r.min), 0.0..=100.0);
        }
        REQUEST_DURATION => {
            let used = ["thresholdRange", "judge", "tolerance", "margin"];
            no_use(metric, &used, at, findings);
            needs(range.and_then(|r| r.max), "max", at, findings);
            other(range.and_then(|r| r.min), "min", at, findings);
            bound(metric, &DURATIONS, at, findings);
        }
        _ if EVENTS.contains(&name) => {
            no_use(metric, &["margin", "max", "tolerance"], at, findings);
        }
        _ if TIMES.contains(&name) => {
            times(metric, at, findings);
        }
        "output-tokens" => {
            let used: &[&str] = match metric.max_ratio {
                Some(_) => &["maxRatio"],
                None => &["quantiles", "margin", "tolerance"],
            };
            no_use(metric, used, at, findings);
        }
        "cost" => no_use(metric, &["maxRatio"], at, findings),
        _ => {
            let hint = nearest(name, ALL.into_iter())
                .map(|near| format!("; did you mean {near}?"))
                .unwrap_or_default();
            let message = format!(
                "{name:?} is no metric: write {}, or a query{hint}",
                ALL.join(", ")
            );
            findings.fault(&at.key("name"), "unknown_metric", message);
        }
    }
}

/// `ttft`, `duration`: against the stable arm, against a number, or by their means.
fn times(metric: &v1::AnalysisMetric, at: &Pointer, findings: &mut Findings) {
    let used: &[&str] = match (metric.threshold_range, metric.max_ratio) {
        (Some(_), _) => &["thresholdRange", "margin", "tolerance"],
        (None, Some(_)) => &["maxRatio"],
        // Nothing literal is left to count; the exact test has more to say anyway.
        (None, None) => &["quantiles", "margin", "tolerance", "judge"],
    };
    no_use(metric, used, at, findings);
    if let Some(range) = metric.threshold_range {
        needs(range.max, "max", at, findings);
        other(range.min, "min", at, findings);
    } else if !metric.judge.is_empty() {
        let message = "needs a thresholdRange: without one it is judged by the exact test";
        findings.warn(&at.key("judge"), "not_used", message);
    }
    let bounds: &[f64] = if metric.name == "ttft" {
        &TTFTS
    } else {
        &DURATIONS
    };
    bound(metric, bounds, at, findings);
}

/// A limit in milliseconds is one of the histogram's bounds, or becomes the next one.
fn bound(metric: &v1::AnalysisMetric, bounds: &[f64], at: &Pointer, findings: &mut Findings) {
    let Some(max_ms) = metric.threshold_range.and_then(|range| range.max) else {
        return;
    };
    let at = at.key("thresholdRange").key("max");
    let next = bounds.iter().find(|bound| **bound * 1_000.0 >= max_ms);
    match next {
        _ if max_ms.is_nan() || max_ms <= 0.0 => {
            findings.fault(&at, "out_of_range", "must be above 0 (milliseconds)");
        }
        None => {
            let last = bounds.last().copied().unwrap_or_default() * 1_000.0;
            let message = format!("{max_ms} ms is beyond what is measured: at most {last}");
            findings.fault(&at, "out_of_range", message);
        }
        Some(bound) if *bound * 1_000.0 > max_ms => {
            let message = format!(
                "{max_ms} ms is no bound of the histogram: judged at {} ms",
                bound * 1_000.0
            );
            findings.warn(&at, "rounded_up", message);
        }
        Some(_) => {}
    }
}

fn needs(value: Option<f64>, side: &str, at: &Pointer, findings: &mut Findings) {
    if value.is_none() {
        let message = format!("is missing: thresholdRange: {{{side}: …}}");
        findings.fault(&at.key("thresholdRange").key(side), "missing", message);
    }
}

fn other(value: Option<f64>, side: &str, at: &Pointer, findings: &mut Findings) {
    if value.is_some() {
        let at = at.key("thresholdRange").key(side);
        findings.fault(
            &at,
            "does_not_apply",
            "has no meaning for this metric: remove it",
        );
    }
}

/// Fields that say how it is judged, other than those the metric has a use for.
fn no_use(metric: &v1::AnalysisMetric, used: &[&str], at: &Pointer, findings: &mut Findings) {
    let written = [
        ("margin", metric.margin.is_some()),
        ("max", metric.max.is_some()),
        ("maxRatio", metric.max_ratio.is_some()),
        ("quantiles", !metric.quantiles.is_empty()),
        ("thresholdRange", metric.threshold_range.is_some()),
        ("judge", !metric.judge.is_empty()),
        ("tolerance", metric.tolerance.is_some()),
        ("failureLimit", metric.failure_limit.is_some()),
    ];
    for (field, _) in written
        .into_iter()
        .filter(|(field, written)| *written && !used.contains(field))
    {
        let message = format!("has no meaning for {} here: remove it", metric.name);
        findings.fault(&at.key(field), "does_not_apply", message);
    }
}

/// Enforced metrics share alpha; those without a share divide what the others leave.
fn shares(metrics: &[v1::AnalysisMetric], at: &Pointer, findings: &mut Findings) {
    let spends = |m: &&v1::AnalysisMetric| {
        let is_literal = m.judge == "threshold" && m.threshold_range.is_some();
        is_enforced(m) && m.query.is_empty() && !is_literal
    };
    for (i, metric) in metrics.iter().enumerate() {
        if metric.share.is_some() && !spends(&metric) {
            let message = "spends nothing of alpha: its share is not used";
            findings.warn(&at.at(i).key("share"), "not_used", message);
        }
    }
    let given: f64 = metrics.iter().filter(spends).filter_map(|m| m.share).sum();
    if given > 1.0 + SHARES_SLACK {
        let message = format!("shares of enforced metrics sum to {given}: at most 1");
        findings.fault(at, "shares_sum", message);
    }
    let is_without = |m: &&v1::AnalysisMetric| m.share.is_none();
    let without = metrics.iter().filter(spends).filter(is_without).count();
    let zero = metrics.iter().filter(spends).any(|m| m.share == Some(0.0));
    if zero || without > 0 && (given - 1.0).abs() <= SHARES_SLACK {
        let message = "an enforced metric has no share of alpha and could never act: leave it some, \
                       or write mode: observe";
        findings.fault(at, "shares_sum", message);
    }
}
