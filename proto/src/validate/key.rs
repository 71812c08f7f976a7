//! Keys and tiers: secrets, limits, budget.
//!
//! A secret is a digest or a reference, exactly one of them. At most two are live at a time: the
//! old and the new one of a rotation. No message repeats a digest.

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Findings, provider::variable};
use crate::{fault::Pointer, name::is_name, v1};

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

pub(super) fn check_tier(tier: &v1::Tier, at: &Pointer, findings: &mut Findings) {
    findings.name(&at.key("name"), &tier.name);
    figures(tier.limits.as_ref(), tier.budget.as_ref(), at, findings);
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
    if !sha256.is_empty() && !is_digest(sha256) {
        let message = "is not 64 hex digits; the SHA-256 of the whole secret is meant";
        findings.fault(&at.key("sha256"), "bad_secret", message);
    }
    variable(env, &at.key("env"), findings);
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
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
