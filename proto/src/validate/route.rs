//! A route for itself: names, targets, affinity, policies.
//!
//! Its live part is judged in `traffic.rs`, its timeouts and limits in `policy.rs`; whether its
//! providers exist, and whether its names clash with another route's, in `across.rs`.

use std::collections::HashMap;

use super::{Findings, policy, provider::is_token, relation::route_claims, traffic};
use crate::{fault::Pointer, name::is_alias, v1};

/// Longest model name or body field, in bytes.
const TEXT_BYTES_MAX: usize = 256;

pub(super) fn check(route: &v1::Route, at: &Pointer, findings: &mut Findings) {
    findings.name(&at.key("name"), &route.name);
    for (i, alias) in route.aliases.iter().enumerate() {
        if !is_alias(alias) {
            let rule = "1 to 128 of A-Z, a-z, 0-9, . _ : / @ -, beginning with a letter or digit";
            let message = format!("{alias:?} is no alias: {rule}");
            findings.fault(&at.key("aliases").at(i), "bad_alias", message);
        }
    }
    once(route, at, findings);
    targets(&route.targets, &at.key("targets"), findings);
    match &route.traffic {
        Some(traffic) => traffic::check(traffic, route, &at.key("traffic"), findings),
        None => {
            let message = "is missing: name the weights, e.g. traffic: {weights: {TARGET: 100}}";
            findings.fault(&at.key("traffic"), "missing", message);
        }
    }
    for (i, source) in route.affinity.iter().enumerate() {
        affinity(source, &at.key("affinity").at(i), findings);
    }
    policy::check(route, at, findings);
    warn_of_constant_affinity(route, at, findings);
}

/// Whether another route has its names is for `across.rs`.
fn once(route: &v1::Route, at: &Pointer, findings: &mut Findings) {
    let mut seen = HashMap::new();
    for (spot, claim) in route_claims(route) {
        let first = *seen.entry(claim.clone()).or_insert(spot);
        if first != spot {
            let message = claim.taken(&route.name, first);
            findings.fault(&spot.pointer(at), claim.code(), message);
        }
    }
}

fn targets(targets: &[v1::Target], at: &Pointer, findings: &mut Findings) {
    if targets.is_empty() {
        findings.fault(at, "missing", "a route has at least one target");
    }
    for (i, target) in targets.iter().enumerate() {
        let at = at.at(i);
        findings.name(&at.key("name"), &target.name);
        findings.required(&at.key("provider"), &target.provider);
        if findings.required(&at.key("model"), &target.model) {
            text(&target.model, &at.key("model"), findings);
        }
        findings.count(&at.key("maxConcurrency"), target.max_concurrency);
        if let Some(price) = &target.price {
            let at = at.key("price");
            findings.range(&at.key("input"), price.input, 0.0..=f64::INFINITY);
            findings.range(
                &at.key("cachedInput"),
                price.cached_input,
                0.0..=f64::INFINITY,
            );
            findings.range(&at.key("output"), price.output, 0.0..=f64::INFINITY);
            findings.range(&at.key("reasoning"), price.reasoning, 0.0..=f64::INFINITY);
        }
    }
    let names = targets
        .iter()
        .enumerate()
        .map(|(i, t)| (at.at(i).key("name"), t.name.as_str()));
    findings.unique(names, "duplicate_name");
}

fn text(text: &str, at: &Pointer, findings: &mut Findings) {
    if text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control) {
        let message = format!("has control characters or more than {TEXT_BYTES_MAX} bytes");
        findings.fault(at, "bad_text", message);
    }
}

fn affinity(source: &str, at: &Pointer, findings: &mut Findings) {
    let message = match source.split_once(':') {
        Some(("header", name)) if is_token(name) => return,
        Some(("header", _)) => "names no legal header: write header:NAME".to_owned(),
        Some(("body", field)) if !field.is_empty() => return text(field, at, findings),
        Some(("body", _)) => "names no field: write body:FIELD".to_owned(),
        _ if source == "conversation" || source == "key" => return,
        _ => format!("{source:?} is not one of header:NAME, body:FIELD, conversation, key"),
    };
    findings.fault(at, "bad_affinity", message);
}

/// With `key`, one application is one caller: its whole traffic lies on one side of a canary.
fn warn_of_constant_affinity(route: &v1::Route, at: &Pointer, findings: &mut Findings) {
    let has_canary = route
        .traffic
        .as_ref()
        .is_some_and(|traffic| !traffic.canary.is_empty());
    let Some(i) = route.affinity.iter().position(|source| source == "key") else {
        return;
    };
    if has_canary {
        let message = "all traffic of one application key is stable or canary together: a canary \
                       of 5 % may get none of it or all";
        findings.warn(&at.key("affinity").at(i), "constant_affinity", message);
    }
}
