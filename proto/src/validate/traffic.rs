//! The live part of a route: weights, canary, fallback.
//!
//! Weights are percent with at most two decimals; they are summed in hundredths, so that 33.33,
//! 33.33 and 33.34 make exactly 100.

use super::Findings;
use crate::{fault::Pointer, suggest::nearest, unit::Share, v1};

/// Most targets that a message lists.
const NAMED_MAX: usize = 10;

pub(super) fn check(
    traffic: &v1::Traffic,
    route: &v1::Route,
    at: &Pointer,
    findings: &mut Findings,
) {
    weights(traffic, route, &at.key("weights"), findings);
    for (field, name) in [("canary", &traffic.canary), ("mirror", &traffic.mirror)] {
        if !name.is_empty() {
            target(name, route, &at.key(field), findings);
        }
    }
    let fallback = at.key("fallback");
    for (i, name) in traffic.fallback.iter().enumerate() {
        target(name, route, &fallback.at(i), findings);
    }
    let names = traffic
        .fallback
        .iter()
        .enumerate()
        .map(|(i, name)| (fallback.at(i), name.as_str()));
    findings.unique(names, "duplicate_fallback");
    if let Some(rollout) = &traffic.rollout {
        let ttl = at.key("rollout").key("exposureTtl");
        findings.duration(&ttl, &rollout.exposure_ttl);
    }
    warn_of_no_fallback(traffic, at, findings);
}

/// A target's name is one of the route's.
pub(super) fn target(name: &str, route: &v1::Route, at: &Pointer, findings: &mut Findings) {
    // No more is told, so no more is looked for.
    if findings.is_full() {
        return;
    }
    let names = || route.targets.iter().map(|target| target.name.as_str());
    if names().any(|known| known == name) {
        return;
    }
    let hint = match nearest(name, names()) {
        Some(near) => format!("did you mean {near}?"),
        None => {
            let more = if route.targets.len() > NAMED_MAX {
                ", …"
            } else {
                ""
            };
            let first: Vec<&str> = names().take(NAMED_MAX).collect();
            format!("it has {}{more}", first.join(", "))
        }
    };
    let message = format!("{name:?} is not a target of this route; {hint}");
    findings.fault(at, "unknown_target", message);
}

fn weights(traffic: &v1::Traffic, route: &v1::Route, at: &Pointer, findings: &mut Findings) {
    if traffic.weights.is_empty() {
        let message = "are missing: name the targets' percent, e.g. weights: {TARGET: 100}";
        return findings.fault(at, "missing", message);
    }
    let mut sum = 0;
    let mut all_are_shares = true;
    for (name, percent) in &traffic.weights {
        target(name, route, &at.key(name), findings);
        match Share::try_from(*percent) {
            Ok(share) => sum += u64::from(share.hundredths()),
            Err(bad) => {
                all_are_shares = false;
                findings.fault(&at.key(name), "bad_weight", bad.to_string());
            }
        }
    }
    if all_are_shares && sum != u64::from(Share::ALL.hundredths()) {
        let hundred = u64::from(Share::ALL.hundredths());
        let percent = |hundredths: u64| hundredths as f64 / 100.0;
        let (verb, by) = if sum < hundred {
            ("add", hundred - sum)
        } else {
            ("take", sum - hundred)
        };
        let message = format!(
            "weights sum to {}, not 100: {verb} {}",
            percent(sum),
            percent(by)
        );
        findings.fault(at, "weights_sum", message);
    }
}

/// Without a fallback, a target that fails is an error for its callers, though another could answer.
fn warn_of_no_fallback(traffic: &v1::Traffic, at: &Pointer, findings: &mut Findings) {
    let weighted = traffic
        .weights
        .values()
        .filter(|percent| **percent > 0.0)
        .count();
    if traffic.fallback.is_empty() && (weighted > 1 || !traffic.canary.is_empty()) {
        let message = "there is no fallback: when the chosen target fails, its callers see the \
                       error though another target could answer";
        findings.warn(at, "no_fallback", message);
    }
}
