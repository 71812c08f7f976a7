//! Every metric the router exposes, as values.
//!
//! Buckets are part of the contract: the bounds decide what a quantile can tell, and a changed bound
//! is another series. Histograms of durations carry seconds.

use super::{Kind, Metric};

/// Whole requests and attempts, seconds.
pub const DURATIONS: [f64; 21] = [
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 45.0,
    60.0, 120.0, 300.0, 600.0,
];
/// What the router adds, seconds.
pub const OVERHEADS: [f64; 13] = [
    25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
];
/// First content of a stream, seconds.
pub const TTFTS: [f64; 21] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0,
    20.0, 30.0, 60.0, 120.0,
];
/// One output token, seconds.
pub const TIMES_PER_TOKEN: [f64; 16] = [
    0.001, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5,
];
/// Tokens of one answer.
pub const OUTPUT_TOKEN_COUNTS: [f64; 18] = [
    16.0, 32.0, 64.0, 128.0, 192.0, 256.0, 384.0, 512.0, 768.0, 1024.0, 1536.0, 2048.0, 3072.0,
    4096.0, 8192.0, 16384.0, 32768.0, 65536.0,
];
/// Cost of one answer, US dollars.
pub const COSTS: [f64; 18] = [
    1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0,
    2.0, 5.0,
];

pub const REQUESTS: Metric = counter(
    "serin_requests_total",
    "Requests by what callers saw.",
    &["route", "operation", "stream", "code"],
);
pub const REQUEST_DURATION: Metric = histogram(
    "serin_request_duration_seconds",
    "Time from a request's head to the end of its answer.",
    &["route", "operation", "stream"],
    &DURATIONS,
);
pub const OVERHEAD: Metric = histogram(
    "serin_overhead_seconds",
    "Time the router itself adds.",
    &["phase"],
    &OVERHEADS,
);
pub const REQUESTS_IN_FLIGHT: Metric = gauge(
    "serin_requests_in_flight",
    "Requests that are being answered.",
    &["route"],
);
pub const STREAMS_IN_FLIGHT: Metric = gauge(
    "serin_streams_in_flight",
    "Streamed answers that are under way.",
    &["route"],
);
pub const UPSTREAM_REQUESTS: Metric = counter(
    "serin_upstream_requests_total",
    "Attempts at targets; role first is exactly one per request.",
    &["route", "target", "arm", "role", "outcome", "reason"],
);
pub const UPSTREAM_DURATION: Metric = histogram(
    "serin_upstream_duration_seconds",
    "Time of an attempt that succeeded or timed out.",
    &["route", "target", "arm", "role"],
    &DURATIONS,
);
pub const UPSTREAM_TTFT: Metric = histogram(
    "serin_upstream_ttft_seconds",
    "Time from an attempt's start to the first content of its stream.",
    &["route", "target", "arm", "role"],
    &TTFTS,
);
pub const UPSTREAM_TIME_PER_OUTPUT_TOKEN: Metric = histogram(
    "serin_upstream_time_per_output_token_seconds",
    "Time per output token after the first, of streams with two or more.",
    &["route", "target", "arm", "role"],
    &TIMES_PER_TOKEN,
);
pub const ANALYSIS_SAMPLES: Metric = counter(
    "serin_analysis_samples_total",
    "Attempts of role first, at most one per affinity value and arm in ten seconds.",
    &["route", "target", "arm", "role", "outcome", "reason"],
);
pub const TOKENS: Metric = counter(
    "serin_tokens_total",
    "Tokens by kind; the kinds are disjoint.",
    &["route", "target", "arm", "type", "source"],
);
pub const COST: Metric = counter(
    "serin_cost_usd_total",
    "Cost in US dollars, at the configured prices.",
    &["route", "target", "arm"],
);
pub const OUTPUT_TOKENS: Metric = histogram(
    "serin_output_tokens",
    "Output tokens of an answer, role first only.",
    &["route", "target", "arm"],
    &OUTPUT_TOKEN_COUNTS,
);
pub const REQUEST_COST: Metric = histogram(
    "serin_request_cost_usd",
    "Cost of an answer in US dollars, role first only.",
    &["route", "target", "arm"],
    &COSTS,
);
pub const RETRIES: Metric = counter(
    "serin_retries_total",
    "Further tries at the same target, by what went wrong before.",
    &["route", "target", "reason"],
);
pub const FALLBACKS: Metric = counter(
    "serin_fallbacks_total",
    "Moves to the next target, by what went wrong before.",
    &["route", "from", "to", "reason"],
);
pub const BREAKER_STATE: Metric = gauge(
    "serin_breaker_state",
    "1 for the state a breaker is in; closed means traffic flows, half_open that the next request is, or a request under way was sent as, its probe.",
    &["route", "target", "state"],
);
pub const BREAKER_TRANSITIONS: Metric = counter(
    "serin_breaker_transitions_total",
    "Changes of a breaker's state.",
    &["route", "target", "to"],
);
pub const TARGET_UP: Metric = gauge(
    "serin_target_up",
    "1 if a target may be sent to, 0 if its credential or health forbids it.",
    &["route", "target"],
);
pub const TARGET_WEIGHT: Metric = gauge(
    "serin_target_weight_ratio",
    "Share of the route's traffic, 0 to 1.",
    &["route", "target"],
);
pub const CLIENT_DISCONNECTS: Metric = counter(
    "serin_client_disconnects_total",
    "Callers that left, by where they were.",
    &["route", "phase"],
);
pub const CONFIG_REVISION: Metric = gauge(
    "serin_config_revision",
    "Revision of the snapshot that serves.",
    &[],
);
pub const CONFIG_WATCH_UP: Metric = gauge(
    "serin_config_watch_up",
    "1 while the store is being followed.",
    &[],
);
pub const CONFIG_LAST_PROGRESS: Metric = gauge(
    "serin_config_last_progress_timestamp_seconds",
    "When the store was last heard of, Unix time.",
    &[],
);
pub const CONFIG_REJECTED_DOCUMENTS: Metric = gauge(
    "serin_config_rejected_documents",
    "Documents that were refused and whose last good form serves.",
    &[],
);
pub const CONFIG_APPLIES: Metric = counter(
    "serin_config_applies_total",
    "Changes of configuration by what became of them.",
    &["result"],
);
pub const CONFIG_UNKNOWN_FIELDS: Metric = counter(
    "serin_config_unknown_fields_total",
    "Fields of stored documents that this version does not know.",
    &[],
);
pub const ACTOR_MESSAGES_DROPPED: Metric = counter(
    "serin_actor_messages_dropped_total",
    "Messages to actors whose mailbox was full.",
    &["actor"],
);
pub const PANICS: Metric = counter(
    "serin_panics_total",
    "Panics of our own code that were caught.",
    &["place"],
);
pub const SNAPSHOT_WRITE_FAILURES: Metric = counter(
    "serin_snapshot_write_failures_total",
    "Attempts to write the snapshot file that failed.",
    &[],
);
pub const BUILD_INFO: Metric = gauge(
    "serin_build_info",
    "1, with the version that runs.",
    &["version", "commit"],
);

/// All of them, in the order of the contract.
pub const ALL: [Metric; 31] = [
    REQUESTS,
    REQUEST_DURATION,
    OVERHEAD,
    REQUESTS_IN_FLIGHT,
    STREAMS_IN_FLIGHT,
    UPSTREAM_REQUESTS,
    UPSTREAM_DURATION,
    UPSTREAM_TTFT,
    UPSTREAM_TIME_PER_OUTPUT_TOKEN,
    ANALYSIS_SAMPLES,
    TOKENS,
    COST,
    OUTPUT_TOKENS,
    REQUEST_COST,
    RETRIES,
    FALLBACKS,
    BREAKER_STATE,
    BREAKER_TRANSITIONS,
    TARGET_UP,
    TARGET_WEIGHT,
    CLIENT_DISCONNECTS,
    CONFIG_REVISION,
    CONFIG_WATCH_UP,
    CONFIG_LAST_PROGRESS,
    CONFIG_REJECTED_DOCUMENTS,
    CONFIG_APPLIES,
    CONFIG_UNKNOWN_FIELDS,
    ACTOR_MESSAGES_DROPPED,
    PANICS,
    SNAPSHOT_WRITE_FAILURES,
    BUILD_INFO,
];

pub(super) const fn counter(
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
) -> Metric {
    Metric {
        name,
        help,
        kind: Kind::Counter,
        labels,
        buckets: &[],
    }
}

pub(super) const fn gauge(
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
) -> Metric {
    Metric {
        name,
        help,
        kind: Kind::Gauge,
        labels,
        buckets: &[],
    }
}

pub(super) const fn histogram(
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    buckets: &'static [f64],
) -> Metric {
    Metric {
        name,
        help,
        kind: Kind::Histogram,
        labels,
        buckets,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_follow_prometheus() {
        for (i, metric) in ALL.iter().enumerate() {
            let name = metric.name;
            assert!(name.starts_with("serin_"), "{name}");
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
                "{name}"
            );
            assert_eq!(
                name.ends_with("_total"),
                metric.kind == Kind::Counter,
                "{name}"
            );
            assert!(
                metric.help.ends_with('.') && !metric.help.contains('\n'),
                "{name}"
            );
            assert!(
                ALL.iter().skip(i + 1).all(|other| other.name != name),
                "{name} is there twice"
            );
            assert!(!metric.labels.contains(&"le"), "{name}");
        }
    }

    #[test]
    fn only_histograms_have_buckets_and_their_bounds_rise() {
        for metric in ALL {
            let is_histogram = metric.kind == Kind::Histogram;
            assert_eq!(is_histogram, !metric.buckets.is_empty(), "{}", metric.name);
            let rises = metric.buckets.windows(2).all(|pair| pair[0] < pair[1]);
            assert!(
                rises && metric.buckets.iter().all(|bound| bound.is_finite()),
                "{}",
                metric.name
            );
        }
    }
}
