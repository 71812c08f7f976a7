//! Keys, tiers and tokens: secrets, limits, budget, roles.
//!
//! A secret is a digest or a reference, exactly one of them. At most two are live at a time: the
//! old and the new one of a rotation. No message repeats a digest.

use std::collections::HashMap;

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Findings, provider::variable, relation::key_claims};
use crate::{fault::Pointer, name::is_name, token::Role, v1};

/// Secrets of one key that may be live at once.
const LIVE_SECRETS_MAX: usize = 2;

pub(super) fn check(
    key: &v1::Key,
    now: Option<OffsetDateTime>,
    at: &Pointer,
    findings: &mut Findings,
) {
    findings.name(&at.key("name"), &key.name);
    let mut live = 0;
    for (i, secret) in key.secrets.iter().enumerate() {
        let at = at.key("secrets").at(i);
        source([&secret.sha256, &secret.env, &secret.file], &at, findings);
        let expiry = expiry(&secret.expires_at, &at.key("expiresAt"), findings);
        let is_over = expiry.zip(now).is_some_and(|(expiry, now)| expiry <= now);
        live += usize::from(!is_over);
    }
    once(key, at, findings);
    if live > LIVE_SECRETS_MAX {
        let message =
            format!("has {live} live secrets, at most {LIVE_SECRETS_MAX}: remove the oldest");
        findings.fault(&at.key("secrets"), "too_many_secrets", message);
    }
    if key.routes.is_empty() {
        let message = "allows nothing: name routes, or \"*\" for all";
        findings.warn(&at.key("routes"), "no_routes", message);
    }
    for (i, route) in key.routes.iter().enumerate() {
        if route != "*" && !is_name(route) {
            let message = format!("{route:?} is neither a route's name nor \"*\"");
            findings.fault(&at.key("routes").at(i), "bad_name", message);
        }
    }
    figures(key.limits.as_ref(), key.budget.as_ref(), at, findings);
}

/// Whether another key has its secrets is for `across.rs`.
fn once(key: &v1::Key, at: &Pointer, findings: &mut Findings) {
    let mut seen = HashMap::new();
    for (spot, claim) in key_claims(key) {
        let first = *seen.entry(claim.clone()).or_insert(spot);
        if first != spot {
            let message = format!("is the same secret as {}", first.pointer(at).as_str());
            findings.fault(&spot.pointer(at), claim.code(), message);
        }
    }
}

/// Only who reads a file can hash what `env` and `file` name; a router would have nothing to
/// compare a caller's secret with.
pub(super) fn check_stored(key: &v1::Key, findings: &mut Findings) {
    for (i, secret) in key.secrets.iter().enumerate() {
        let at = Pointer::root().key("secrets").at(i);
        for (field, text) in [("env", &secret.env), ("file", &secret.file)] {
            if !text.is_empty() {
                let message = "is for files only: write sha256, the SHA-256 of the whole secret";
                findings.fault(&at.key(field), "bad_secret", message);
            }
        }
    }
}

pub(super) fn check_tier(tier: &v1::Tier, at: &Pointer, findings: &mut Findings) {
    findings.name(&at.key("name"), &tier.name);
    figures(tier.limits.as_ref(), tier.budget.as_ref(), at, findings);
}

pub(super) fn check_token(token: &v1::Token, findings: &mut Findings) {
    let at = Pointer::root();
    role(&token.role, &at.key("role"), findings);
    if findings.required(&at.key("sha256"), &token.sha256) {
        digest(&token.sha256, &at.key("sha256"), findings);
    }
    expiry(&token.expires_at, &at.key("expiresAt"), findings);
}

pub(super) fn role(word: &str, at: &Pointer, findings: &mut Findings) {
    if findings.required(at, word) {
        findings.word(at, word, &Role::ALL.map(Role::as_str));
    }
}

/// Where a secret comes from: exactly one of sha256, env, file.
pub(super) fn source([sha256, env, file]: [&String; 3], at: &Pointer, findings: &mut Findings) {
    let written = [sha256, env, file]
        .iter()
        .filter(|text| !text.is_empty())
        .count();
    if written != 1 {
        let message = format!("has {written} of sha256, env, file: write exactly one");
        findings.fault(at, "bad_secret", message);
    }
    if !sha256.is_empty() {
        digest(sha256, &at.key("sha256"), findings);
    }
    variable(env, &at.key("env"), findings);
}

/// Lists show eight digits of a digest; those are no digest to be written back.
fn digest(text: &str, at: &Pointer, findings: &mut Findings) {
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        let message = "is not 64 hex digits; the SHA-256 of the whole secret is meant";
        findings.fault(at, "bad_secret", message);
    }
}

fn expiry(text: &str, at: &Pointer, findings: &mut Findings) -> Option<OffsetDateTime> {
    if text.is_empty() {
        return None;
    }
    let parsed = OffsetDateTime::parse(text, &Rfc3339).ok();
    if parsed.is_none() {
        let message = format!("{text:?} is no RFC 3339 time: write e.g. \"2027-01-01T00:00:00Z\"");
        findings.fault(at, "bad_time", message);
    }
    parsed
}

fn figures(
    limits: Option<&v1::Limits>,
    budget: Option<&v1::Budget>,
    at: &Pointer,
    findings: &mut Findings,
) {
    if let Some(limits) = limits {
        let at = at.key("limits");
        findings.count(&at.key("requestsPerMinute"), limits.requests_per_minute);
        findings.count(&at.key("tokensPerMinute"), limits.tokens_per_minute);
        findings.count(&at.key("concurrency"), limits.concurrency);
    }
    let Some(budget) = budget else { return };
    let at = at.key("budget");
    match budget.usd {
        Some(usd) if usd > 0.0 => {}
        Some(_) => findings.fault(&at.key("usd"), "out_of_range", "must be more than 0"),
        None => findings.fault(&at.key("usd"), "missing", "is missing"),
    }
    findings.required(&at.key("period"), &budget.period);
    findings.duration(&at.key("period"), &budget.period);
}
