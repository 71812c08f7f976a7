//! Rollouts as Flagger tells them, for boards and alerts that were made for it. Exposed by the leader,
//! and only where `server.metrics.flaggerAliases` asks for it.
//!
//! Names, labels and meanings are Flagger's (`pkg/metrics/recorder.go`, v1.42), `flagger_canary_total`
//! included, which is a gauge there. A canary is a route, its namespace always [`NAMESPACE`].

use crate::metric::{
    Metric,
    family::{counter, gauge, histogram},
};

use super::rollout::LONG_DURATIONS;

/// Label `namespace`. Where a scrape brings one of its own, Prometheus calls this `exported_namespace`.
pub const NAMESPACE: &str = "serin";
/// Label `deployment_strategy`.
pub const STRATEGY: &str = "canary";
/// Label `analysis_status` of a rollout that its analysis carried to the end, and of one that somebody
/// promoted past it.
pub const ANALYSIS: [&str; 2] = ["completed", "skipped"];

pub const STATUS: Metric = gauge(
    "flagger_canary_status",
    "Last known result: 0 running, 1 successful, 2 failed.",
    &["name", "namespace"],
);
pub const WEIGHT: Metric = gauge(
    "flagger_canary_weight",
    "Percent of the traffic, of the canary and of its primary.",
    &["workload", "namespace"],
);
pub const METRIC_ANALYSIS: Metric = gauge(
    "flagger_canary_metric_analysis",
    "Last result of a metric.",
    &["name", "namespace", "metric"],
);
pub const DURATION: Metric = histogram(
    "flagger_canary_duration_seconds",
    "Time from the start of a rollout to its end.",
    &["name", "namespace"],
    &LONG_DURATIONS,
);
pub const CANARIES: Metric = gauge(
    "flagger_canary_total",
    "Routes with a rollout.",
    &["namespace"],
);
pub const SUCCESSES: Metric = counter(
    "flagger_canary_successes_total",
    "Rollouts that succeeded.",
    &[
        "name",
        "namespace",
        "deployment_strategy",
        "analysis_status",
    ],
);
pub const FAILURES: Metric = counter(
    "flagger_canary_failures_total",
    "Rollouts that failed.",
    &[
        "name",
        "namespace",
        "deployment_strategy",
        "analysis_status",
    ],
);

/// All of them.
pub const ALL: [Metric; 7] = [
    STATUS,
    WEIGHT,
    METRIC_ANALYSIS,
    DURATION,
    CANARIES,
    SUCCESSES,
    FAILURES,
];
