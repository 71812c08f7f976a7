//! A route's timeouts, retries, breaker, health probe and cache.
//!
//! Only what is *written* is compared: an unwritten timeout is cut to the total, so it cannot be
//! wrong.

use std::time::Duration;

use super::Findings;
use crate::{fault::Pointer, v1};

/// `timeouts.total` when it is not written.
const TOTAL_DEFAULT: Duration = Duration::from_secs(600);
/// Most further tries at one target.
const ATTEMPTS_MAX: f64 = 10.0;

pub(super) fn check(route: &v1::Route, at: &Pointer, findings: &mut Findings) {
    if let Some(timeouts) = &route.timeouts {
        check_timeouts(timeouts, &at.key("timeouts"), findings);
    }
    if let Some(retry) = &route.retry {
        check_retry(retry, &at.key("retry"), findings);
    }
    if let Some(breaker) = &route.breaker {
        check_breaker(breaker, &at.key("breaker"), findings);
    }
    if let Some(health) = &route.health {
        let at = at.key("health");
        if findings.required(&at.key("path"), &health.path) && !is_path(&health.path) {
            findings.fault(
                &at.key("path"),
                "bad_path",
                "is no path: write e.g. /models",
            );
        }
        findings.duration(&at.key("interval"), &health.interval);
    }
    if let Some(cache) = &route.cache {
        let at = at.key("cache");
        findings.required(&at.key("ttl"), &cache.ttl);
        findings.duration(&at.key("ttl"), &cache.ttl);
        findings.count(&at.key("maxBytes"), cache.max_bytes);
    }
    findings.word(
        &at.key("whenAllOpen"),
        &route.when_all_open,
        &["tryLeastBad", "reject"],
    );
    findings.word(
        &at.key("onClientDisconnect"),
        &route.on_client_disconnect,
        &["cancel", "drain"],
    );
}

fn check_timeouts(timeouts: &v1::RouteTimeouts, at: &Pointer, findings: &mut Findings) {
    let total = findings.duration(&at.key("total"), &timeouts.total);
    let total_is_bad = total.is_none() && !timeouts.total.is_empty();
    let total_text = if timeouts.total.is_empty() {
        "600s by default"
    } else {
        &timeouts.total
    };
    let parts = [
        ("firstToken", &timeouts.first_token),
        ("idle", &timeouts.idle),
        ("answer", &timeouts.answer),
    ];
    for (field, text) in parts {
        let Some(part) = findings.duration(&at.key(field), text) else {
            continue;
        };
        if !total_is_bad && part > total.unwrap_or(TOTAL_DEFAULT) {
            let message = format!(
                "{text} is longer than total, which is {total_text}: shorten it or raise total"
            );
            findings.fault(&at.key(field), "longer_than_total", message);
        }
    }
}

fn check_retry(retry: &v1::Retry, at: &Pointer, findings: &mut Findings) {
    findings.range(
        &at.key("attempts"),
        retry.attempts.map(f64::from),
        0.0..=ATTEMPTS_MAX,
    );
    findings.range(&at.key("budget"), retry.budget, 0.0..=100.0);
    let backoff = findings.duration(&at.key("backoff"), &retry.backoff);
    let most = findings.duration(&at.key("maxBackoff"), &retry.max_backoff);
    if let (Some(backoff), Some(most)) = (backoff, most)
        && backoff > most
    {
        let message = format!(
            "{} is longer than maxBackoff {}",
            retry.backoff, retry.max_backoff
        );
        findings.fault(&at.key("backoff"), "out_of_range", message);
    }
}

fn check_breaker(breaker: &v1::Breaker, at: &Pointer, findings: &mut Findings) {
    findings.count(&at.key("consecutiveFailures"), breaker.consecutive_failures);
    findings.count(&at.key("minRequests"), breaker.min_requests);
    findings.range(&at.key("successRatio"), breaker.success_ratio, 0.0..=1.0);
    findings.duration(&at.key("window"), &breaker.window);
    let open = findings.duration(&at.key("openFor"), &breaker.open_for);
    let most = findings.duration(&at.key("maxOpenFor"), &breaker.max_open_for);
    if let (Some(open), Some(most)) = (open, most)
        && open > most
    {
        let message = format!(
            "{} is longer than maxOpenFor {}",
            breaker.open_for, breaker.max_open_for
        );
        findings.fault(&at.key("openFor"), "out_of_range", message);
    }
}

fn is_path(text: &str) -> bool {
    text.starts_with('/') && text.bytes().all(|b| b.is_ascii_graphic() && b != b'#')
}
