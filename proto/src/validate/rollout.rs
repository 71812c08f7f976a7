//! A rollout's plan: words, durations, steps that rise, metrics that can be judged.
//!
//! All that can be said of a plan without its route is said here, so that a file, a request and
//! whoever compiles a plan refuse the same. `metric.rs` has the metrics, `receiver.rs` those who
//! are asked or told. Whether a route can take the plan is asked at its start.

mod metric;
mod receiver;

use std::collections::HashSet;

use super::Findings;
use crate::{
    fault::Pointer,
    unit::{BadShare, Share},
    v1,
};

/// Each has evidence of its own in the state, which is written with every tick.
const STEPS_MAX: usize = 50;
/// Metrics, webhooks and alerts of a plan, each.
const LISTED_MAX: usize = 32;
/// Shortest time between two ticks, in milliseconds.
const INTERVAL_MS_MIN: u128 = 1_000;
/// It closes again after use, so several steps may name it.
const USED_AGAIN: &str = "confirm-traffic-increase";

pub(super) fn check(rollout: &v1::Rollout, at: &Pointer, findings: &mut Findings) {
    findings.name(&at.key("route"), &rollout.route);
    findings.name(&at.key("candidate"), &rollout.candidate);
    check_steps(rollout, at, findings);
    gates(rollout, at, findings);
    if let Some(promotion) = &rollout.promotion {
        check_promotion(promotion, &at.key("promotion"), findings);
    }
    if let Some(analysis) = &rollout.analysis {
        check_analysis(analysis, &at.key("analysis"), findings);
    }
    let words: [(&str, &str, &[&str]); 2] = [
        (
            "onFail",
            &rollout.on_fail,
            &["rollback", "stepBack", "freeze"],
        ),
        ("planPolicy", &rollout.plan_policy, &["nextStep", "restart"]),
    ];
    for (field, text, words) in words {
        findings.word(&at.key(field), text, words);
    }
    findings.duration(&at.key("progressDeadline"), &rollout.progress_deadline);
    warn_of_nothing_left(rollout, at, findings);
    metric::check_certificate(rollout, at, findings);
}

fn check_steps(rollout: &v1::Rollout, at: &Pointer, findings: &mut Findings) {
    let none = v1::Analysis::default();
    let analysis = rollout.analysis.as_ref().unwrap_or(&none);
    let is_flagger = analysis.step_weight.is_some() || !analysis.step_weights.is_empty();
    let at = at.key("steps");
    if rollout.steps.is_empty() && !is_flagger {
        let message = "a rollout has at least one step, or analysis.stepWeight";
        findings.fault(&at, "missing", message);
    }
    if !rollout.steps.is_empty() && is_flagger {
        let message = "there are steps: stepWeight, maxWeight and stepWeights are not used";
        findings.warn(&at, "not_used", message);
    }
    let weights = Share::try_from(analysis.step_weight.unwrap_or(100.0));
    let most = Share::try_from(analysis.max_weight.unwrap_or(100.0));
    let expanded = match (weights, most) {
        (Ok(by), Ok(most)) if by > Share::NONE => most.hundredths().div_ceil(by.hundredths()),
        _ => 0,
    };
    let count = [
        rollout.steps.len(),
        analysis.step_weights.len(),
        usize::from(expanded),
    ];
    if count.into_iter().any(|count| count > STEPS_MAX) {
        let message = format!("a rollout has at most {STEPS_MAX} steps");
        findings.fault(&at, "too_many", message);
    }
    // What is there too often is told once.
    for (i, step) in rollout.steps.iter().enumerate().take(STEPS_MAX) {
        let at = at.at(i);
        if step.weight.is_none() {
            findings.fault(&at.key("weight"), "missing", "is missing");
        }
        findings.duration(&at.key("minDuration"), &step.min_duration);
        findings.count(&at.key("minSamples"), step.min_samples);
    }
    let weights = rollout.steps.iter().enumerate().take(STEPS_MAX);
    let weights = weights.filter_map(|(i, step)| Some((at.at(i).key("weight"), step.weight?)));
    rising(weights, findings);
}

/// Weights of steps: shares above zero, each above the one before.
fn rising(weights: impl Iterator<Item = (Pointer, f64)>, findings: &mut Findings) {
    let mut before = Share::NONE;
    for (at, percent) in weights {
        match Share::try_from(percent) {
            Ok(share) if share > before => before = share,
            Ok(share) => {
                let message = format!("{share} does not rise above {before}");
                findings.fault(&at, "steps_do_not_rise", message);
            }
            Err(bad) => findings.fault(&at, "bad_weight", bad.to_string()),
        }
    }
}

/// A gate has one place: it would be open at the second because of the first.
fn gates(rollout: &v1::Rollout, at: &Pointer, findings: &mut Findings) {
    let steps = rollout.steps.iter().enumerate();
    let mut named: Vec<(Pointer, &str)> = steps
        .map(|(i, step)| (at.key("steps").at(i).key("gate"), step.gate.as_str()))
        .collect();
    if let Some(promotion) = &rollout.promotion {
        named.push((at.key("promotion").key("gate"), &promotion.gate));
    }
    named.retain(|(_, name)| !name.is_empty());
    for (at, name) in &named {
        findings.name(at, name);
    }
    let once = named.into_iter().filter(|(_, name)| *name != USED_AGAIN);
    findings.unique(once, "duplicate_gate");
}

fn check_promotion(promotion: &v1::Promotion, at: &Pointer, findings: &mut Findings) {
    findings.duration(&at.key("bake"), &promotion.bake);
    findings.duration(&at.key("undoWindow"), &promotion.undo_window);
    findings.range(&at.key("holdback"), promotion.holdback, 0.0..=10.0);
    share(&at.key("holdback"), promotion.holdback, findings);
    findings.range(&at.key("stepWeight"), promotion.step_weight, 0.01..=100.0);
    share(&at.key("stepWeight"), promotion.step_weight, findings);
}

/// A percent that traffic can be split by, or absent; what is out of range is told elsewhere.
fn share(at: &Pointer, percent: Option<f64>, findings: &mut Findings) {
    if let Some(Err(bad @ BadShare::TooFine(_))) = percent.map(Share::try_from) {
        findings.fault(at, "bad_weight", bad.to_string());
    }
}

fn check_analysis(analysis: &v1::Analysis, at: &Pointer, findings: &mut Findings) {
    let durations = [
        ("inconclusiveDeadline", &analysis.inconclusive_deadline),
        ("blindMax", &analysis.blind_max),
        ("warmup", &analysis.warmup),
        ("scrapeInterval", &analysis.scrape_interval),
    ];
    for (field, text) in durations {
        findings.duration(&at.key(field), text);
    }
    interval(&at.key("interval"), &analysis.interval, findings);
    for (field, chance) in [("alpha", analysis.alpha), ("beta", analysis.beta)] {
        if let Some(chance) = chance.filter(|chance| !(*chance > 0.0 && *chance < 1.0)) {
            let message = format!("{chance} is no chance: write a number between 0 and 1");
            findings.fault(&at.key(field), "out_of_range", message);
        }
    }
    let words: [(&str, &str, &[&str]); 2] = [
        ("onNoData", &analysis.on_no_data, &["hold", "pause", "fail"]),
        (
            "onProviderError",
            &analysis.on_provider_error,
            &["hold", "pause"],
        ),
    ];
    for (field, text, words) in words {
        findings.word(&at.key(field), text, words);
    }
    let limit = analysis.consecutive_error_limit;
    findings.count(&at.key("consecutiveErrorLimit"), limit);
    findings.count(&at.key("threshold"), analysis.threshold);
    for (field, weight) in [
        ("stepWeight", analysis.step_weight),
        ("maxWeight", analysis.max_weight),
    ] {
        findings.range(&at.key(field), weight, 0.01..=100.0);
        share(&at.key(field), weight, findings);
    }
    let weights = analysis.step_weights.iter().enumerate();
    rising(
        weights.map(|(i, weight)| (at.key("stepWeights").at(i), *weight)),
        findings,
    );
    metric::check_all(analysis, at, findings);
    if let Some(guards) = &analysis.guards {
        check_guards(guards, &at.key("guards"), findings);
    }
    receiver::check_webhooks(&analysis.webhooks, &at.key("webhooks"), findings);
    receiver::check_alerts(&analysis.alerts, &at.key("alerts"), findings);
}

fn interval(at: &Pointer, text: &str, findings: &mut Findings) {
    let Some(interval) = findings.duration(at, text) else {
        return;
    };
    if interval.as_millis() < INTERVAL_MS_MIN {
        findings.fault(at, "out_of_range", "must be at least 1s");
    }
}

fn check_guards(guards: &v1::Guards, at: &Pointer, findings: &mut Findings) {
    findings.duration(&at.key("breakerOpen"), &guards.breaker_open);
    if let Some(fast) = &guards.fail_fast {
        let at = at.key("failFast");
        findings.count(&at.key("samples"), fast.samples);
        findings.range(&at.key("percent"), fast.percent, 0.01..=100.0);
    }
}

fn warn_of_nothing_left(rollout: &v1::Rollout, at: &Pointer, findings: &mut Findings) {
    let holdback = rollout.promotion.as_ref().and_then(|p| p.holdback);
    let last = rollout.steps.iter().rposition(|s| s.weight == Some(100.0));
    if let (Some(0.0), Some(i)) = (holdback, last) {
        let message = "nothing is left to compare with: at 100 with holdback 0 only absolute \
                       limits and guards speak";
        findings.warn(
            &at.key("steps").at(i).key("weight"),
            "nothing_to_compare",
            message,
        );
    }
}

/// At most [`LISTED_MAX`], no name twice.
fn listed<'a>(at: &Pointer, names: impl Iterator<Item = &'a str>, findings: &mut Findings) {
    let names: Vec<&str> = names.collect();
    if names.len() > LISTED_MAX {
        findings.fault(at, "too_many", format!("at most {LISTED_MAX} are possible"));
    }
    let named = names.into_iter().enumerate();
    findings.unique(
        named.map(|(i, name)| (at.at(i).key("name"), name)),
        "duplicate_name",
    );
}

/// Variables of a query, between `{{` and `}}`, and what is wrong with their braces.
fn variables(text: &str) -> Result<HashSet<&str>, ()> {
    let mut found = HashSet::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("{{") {
        let (name, left) = after.split_once("}}").ok_or(())?;
        found.insert(name.trim());
        rest = left;
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
