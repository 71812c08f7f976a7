//! Why a verdict is what it is, in one sentence for people. Pure.

use super::{
    check::{self, Said},
    evidence::{Analysis, BoundEvidence, rates, total},
    judge::Stand,
    sample::{Counts, Measured, Window},
    sequential::divergence,
};
use crate::rollout::plan::{AnalysisPlan, MetricPlan, Mode, Null, Test};
use serin_proto::unit::Share;

/// `0.93 %`
#[must_use]
pub fn percent(ratio: f64) -> String {
    let percent = ratio * 100.0;
    if (percent - percent.round()).abs() < 1e-9 {
        format!("{percent:.0} %")
    } else {
        format!("{percent:.2} %")
    }
}

/// `2m4s`, whole seconds, rounded up; `over 30 days` beyond.
#[must_use]
pub fn lasting(ms: f64) -> String {
    let seconds = (ms / 1000.0).ceil();
    if !(0.0..=30.0 * 86_400.0).contains(&seconds) {
        return "over 30 days".to_owned();
    }
    let seconds = seconds as u64;
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (h, m) {
        (0, 0) => format!("{s}s"),
        (0, _) => format!("{m}m{s}s"),
        _ => format!("{h}h{m}m"),
    }
}

/// An e-value from its logarithm: `0.4`, `167`, `2.1e9`.
#[must_use]
pub fn evidence(log: f64) -> String {
    let e = log.min(600.0).exp();
    match e {
        _ if e < 10.0 => format!("{e:.1}"),
        _ if e < 100_000.0 => format!("{e:.0}"),
        _ => format!("{e:.1e}"),
    }
}

/// `errors 12/160 = 7.50 %, stable 29/3102 = 0.93 %`
fn both_arms(name: &str, window: Window) -> String {
    let arm = |c: Counts, rate: Option<f64>| match rate {
        Some(rate) => format!("{}/{} = {}", c.e, c.n, percent(rate)),
        None => "no samples".to_owned(),
    };
    let rate = rates(window);
    let canary = arm(window.canary, rate.canary);
    format!(
        "{name} {canary}, stable {}",
        arm(window.stable, rate.stable)
    )
}

fn named(metric: &MetricPlan, analysis: &Analysis) -> String {
    let name = &metric.name;
    let tested = analysis.metrics.get(name);
    let of_counts = tested.and_then(|tested| {
        let log = |b: &BoundEvidence| b.harm.log_value(analysis.components);
        let worst = tested
            .bounds
            .iter()
            .max_by(|a, b| log(a).total_cmp(&log(b)));
        worst.map(|bound| both_arms(name, bound.counts))
    });
    let of_mean = || {
        let ratio = tested?.mean?.ratio()?;
        Some(format!("{name} is {ratio:.2} times the stable arm's"))
    };
    of_counts.or_else(of_mean).unwrap_or_else(|| name.clone())
}

/// The metric that says most, and the evidence of all.
#[must_use]
pub(super) fn worse(plan: &AnalysisPlan, analysis: &Analysis) -> String {
    let (e, limit) = (
        evidence(total(analysis, plan)),
        evidence(-analysis.alpha_or(plan).ln()),
    );
    let part = |m: &MetricPlan| analysis.log_evidence(m) - analysis.log_threshold(plan, m);
    let enforced = plan.metrics.iter().filter(|m| m.mode == Mode::Enforce);
    let worst = enforced.max_by(|a, b| part(a).total_cmp(&part(b)));
    let worst = worst.map_or_else(String::new, |m| named(m, analysis));
    format!("{worst}; evidence of harm, all metrics together: {e} of {limit}")
}

/// What a pass rests on.
#[must_use]
pub(super) fn not_worse(plan: &AnalysisPlan, analysis: &Analysis) -> String {
    let limit = evidence(-analysis.alpha_or(plan).ln());
    let e = evidence(total(analysis, plan));
    let arms = both_arms("errors", analysis.judged);
    format!("{arms}; evidence of harm, all metrics together: {e} of {limit}")
}

/// A metric of mode `pauseOnly` that has passed its limit: its name, and why.
#[must_use]
pub(super) fn pause(plan: &AnalysisPlan, analysis: &Analysis) -> Option<(String, String)> {
    let mut watched = plan.metrics.iter().filter(|m| m.mode == Mode::PauseOnly);
    let passed = watched.find(|m| analysis.log_evidence(m) >= analysis.log_threshold(plan, m))?;
    let e = evidence(analysis.log_evidence(passed));
    let limit = evidence(analysis.log_threshold(plan, passed));
    let why = format!("{}: evidence {e} of {limit}", named(passed, analysis));
    Some((passed.name.clone(), why))
}

/// What could not be read, or not be trusted.
#[must_use]
pub(super) fn error(
    plan: &AnalysisPlan,
    analysis: &Analysis,
    measured: &Measured,
) -> Option<String> {
    if let Some(untold) = &measured.untold {
        return Some(untold.to_string());
    }
    let acting = plan.metrics.iter().filter(|m| m.mode != Mode::Observe);
    let mut failed = acting.filter_map(|metric| {
        let check = analysis.checks.get(&metric.name)?;
        // Once for each time that it was asked.
        let is_asked = measured.queries.contains_key(&metric.name);
        let is_error = is_asked && matches!(check.said, Said::Error(_));
        is_error.then(|| check::objection(metric, Some(check)))?
    });
    failed.next()
}

/// What a pass still lacks.
#[must_use]
pub(super) fn inconclusive(
    plan: &AnalysisPlan,
    stand: Stand,
    analysis: &Analysis,
) -> Option<String> {
    if let Some((now, before)) = analysis.cause.incident() {
        let (now, before) = (percent(now), percent(before));
        return Some(format!(
            "common cause: the stable arm itself fails {now}, {before} in the hour before"
        ));
    }
    samples(stand, analysis)
        .or_else(|| checks(plan, analysis))
        .or_else(|| certificate(plan, stand, analysis))
}

fn samples(stand: Stand, analysis: &Analysis) -> Option<String> {
    let wanted = stand.min_samples;
    let has_control = stand.share < Share::ALL;
    let Window { canary, stable } = Window {
        canary: analysis.judged.canary,
        stable: analysis.judged.stable,
    };
    // A bake asks for no number, but silence passes nowhere.
    let (arm, n, wanted) = if canary.n < wanted.max(1) {
        ("canary", canary.n, wanted.max(1))
    } else if has_control && stable.n < wanted {
        ("stable", stable.n, wanted)
    } else {
        return None;
    };
    let has = format!("errors has {n} of {wanted} {arm} samples");
    if n == 0 || analysis.judged_ms == 0 {
        return Some(has);
    }
    let per_ms = n as f64 / analysis.judged_ms as f64;
    let rate = rate_per_s(per_ms * 1000.0);
    let rest = lasting((wanted - n) as f64 / per_ms);
    Some(format!("{has}; at {rate}/s enough in {rest}"))
}

fn rate_per_s(rate: f64) -> String {
    match rate {
        _ if rate < 0.1 => format!("{rate:.3}"),
        _ if rate < 10.0 => format!("{rate:.1}"),
        _ => format!("{rate:.0}"),
    }
}

fn checks(plan: &AnalysisPlan, analysis: &Analysis) -> Option<String> {
    let mut acting = plan.metrics.iter().filter(|m| m.mode != Mode::Observe);
    acting.find_map(|m| check::objection(m, analysis.checks.get(&m.name)))
}

fn certificate(plan: &AnalysisPlan, stand: Stand, analysis: &Analysis) -> Option<String> {
    if !stand.certificate {
        return None;
    }
    let acting = plan.metrics.iter().filter(|m| m.mode != Mode::Observe);
    let compared = acting.filter(|m| stand.share < Share::ALL || !is_relative(&m.test));
    let mut missing = compared.filter_map(|metric| {
        let (log, reached) = analysis.log_certificate(plan, metric)?;
        (log < reached).then(|| uncertified(metric, analysis, (log, reached)))
    });
    missing.next()
}

fn uncertified(metric: &MetricPlan, analysis: &Analysis, (log, reached): (f64, f64)) -> String {
    let (e, limit, name) = (evidence(log), evidence(reached), &metric.name);
    let says = format!("{name} is not proven to be no worse yet: {e} of {limit}");
    match lacking(metric, analysis, reached - log) {
        Some(n) => format!("{says}; about {n:.0} canary samples more"),
        None => says,
    }
}

/// How far evidence is from 1 to where it acts, 0..1, on the scale of logarithms.
#[must_use]
pub fn certainty(log: f64, threshold: f64) -> f64 {
    (log / threshold.max(f64::MIN_POSITIVE)).clamp(0.0, 1.0)
}

/// Canary samples that a certificate still needs at the rates of now; `None`: it recedes.
#[must_use]
pub fn lacking(metric: &MetricPlan, analysis: &Analysis, log_missing: f64) -> Option<f64> {
    let (Test::Events { null, .. } | Test::Beyond { null, .. }) = metric.test else {
        return None;
    };
    let margin = super::evidence::tolerance(&metric.test)?;
    let bounds = analysis.metrics.get(&metric.name)?.bounds.iter();
    let log = |bound: &&BoundEvidence| bound.certificate.log_value();
    let bound = bounds.min_by(|a, b| log(a).total_cmp(&log(b)))?;
    let canary = rates(bound.counts).canary?;
    let limit = allowed(Null { margin, ..null }, bound.theta_b.rate())?;
    let per_sample = divergence(canary, limit) * bound.dispersion.eta();
    (canary < limit && per_sample > 0.0).then(|| (log_missing / per_sample).max(1.0).ceil())
}

/// What the canary's rate may be now, at most 1.
#[must_use]
pub fn allowed(null: Null, stable: Option<f64>) -> Option<f64> {
    if null.ratio <= 0.0 {
        return Some(null.margin.min(1.0));
    }
    stable.map(|stable| (null.ratio * stable + null.margin).min(1.0))
}

/// Whether it needs a control to be judged.
#[must_use]
pub fn is_relative(test: &Test) -> bool {
    match test {
        Test::Events { null, .. } | Test::Beyond { null, .. } => null.ratio > 0.0,
        Test::Mean { .. } => true,
        Test::Literal { .. } | Test::Query { .. } => false,
    }
}
