//! A route's policies in units, with the defaults of what was left out.
//!
//! Documents hold what was written; this is the one place that knows what was meant. Texts that
//! cannot be read count as absent: `validate` has refused them before they came here.

use std::time::Duration;

use serin_proto::{unit::parse_duration, v1};

use crate::{
    pick::Lease, request::deadline::Limits, retry::Policy as RetryPolicy,
    target::breaker::Policy as BreakerPolicy,
};

/// Time to a provider's TCP connection, and then to its TLS, unless the provider says otherwise.
pub(crate) const CONNECT_DEFAULT: Duration = Duration::from_secs(3);

/// What to do once no target of a plan may be entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenAllOpen {
    TryLeastBad,
    Reject,
}

/// A route's time limits.
pub(crate) fn limits(written: Option<&v1::RouteTimeouts>) -> Limits {
    let written = written.cloned().unwrap_or_default();
    let total_ms = millis(&written.total, 600_000);
    // What was not written is cut to the total; what was is at most the total already.
    let limit = |text: &str, default_ms| millis(text, default_ms).min(total_ms);
    Limits {
        first_token_ms: limit(&written.first_token, 30_000),
        idle_ms: limit(&written.idle, 60_000),
        answer_ms: limit(&written.answer, 300_000),
        total_ms,
    }
}

pub(crate) fn when_all_open(word: &str) -> WhenAllOpen {
    if word == "reject" {
        WhenAllOpen::Reject
    } else {
        WhenAllOpen::TryLeastBad
    }
}

pub(crate) fn retry(written: Option<&v1::Retry>) -> RetryPolicy {
    let written = written.cloned().unwrap_or_default();
    RetryPolicy {
        attempts: written.attempts.unwrap_or(1),
        backoff: duration(&written.backoff, Duration::from_millis(250)),
        max_backoff: duration(&written.max_backoff, Duration::from_secs(4)),
    }
}

/// Retries allowed, in percent of traffic.
pub(crate) fn retry_budget(written: Option<&v1::Retry>) -> f64 {
    written.and_then(|retry| retry.budget).unwrap_or(20.0)
}

pub(crate) fn breaker(written: Option<&v1::Breaker>) -> BreakerPolicy {
    let written = written.cloned().unwrap_or_default();
    BreakerPolicy {
        consecutive_failures: written.consecutive_failures.unwrap_or(5),
        window_ms: millis(&written.window, 10_000),
        open_for_ms: millis(&written.open_for, 1_000),
        max_open_for_ms: millis(&written.max_open_for, 60_000),
    }
}

/// How long a rollout's canary keeps its share without word from the store; `None`: no rollout, or one
/// that lends nothing any more.
pub(crate) fn lease(written: Option<&v1::TrafficRollout>) -> Option<Lease> {
    let ttl = &written?.exposure_ttl;
    parse_duration(ttl).ok().map(Lease::new)
}

/// A written duration, or what it means to have written none.
pub(crate) fn duration(text: &str, default: Duration) -> Duration {
    if text.is_empty() {
        default
    } else {
        parse_duration(text).unwrap_or(default)
    }
}

fn millis(text: &str, default_ms: u64) -> u64 {
    let millis = duration(text, Duration::from_millis(default_ms)).as_millis();
    u64::try_from(millis).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_written_is_cut_to_the_total() {
        let written = v1::RouteTimeouts {
            total: "10s".into(),
            ..Default::default()
        };
        let cut = limits(Some(&written));
        let all = [cut.first_token_ms, cut.idle_ms, cut.answer_ms, cut.total_ms];
        assert_eq!(all, [10_000; 4]);
        assert_eq!(limits(None).first_token_ms, 30_000);
    }
}
