//! Every metric the control plane exposes, as values, and the closed label sets they have.
//!
//! Label `path` is the template of an address (`/api/v1/routes/{name}`), `method` of gRPC a method of
//! our own services; what nobody serves is [`UNMATCHED`]. Label `router` is the id under which a live
//! router reports.

pub mod flagger;
pub mod rollout;

use super::{
    Metric,
    family::{counter, gauge, histogram},
};

/// Label `path` or `method` of a request for what does not exist.
pub const UNMATCHED: &str = "_unmatched";

/// One transaction of the store, seconds.
pub const TXN_DURATIONS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
/// From a change to its acknowledgement by a router, seconds.
pub const ACK_DURATIONS: [f64; 13] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];
/// One request to the API, seconds.
pub const HTTP_DURATIONS: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

pub const LEADER: Metric = gauge("serin_cp_leader", "1 while this control plane leads.", &[]);
pub const BUILD_INFO: Metric = gauge(
    "serin_cp_build_info",
    "1, with the version that runs.",
    &["version", "commit"],
);
pub const STORE_REVISION: Metric = gauge(
    "serin_cp_store_revision",
    "Newest revision of the store that was seen.",
    &[],
);
pub const STORE_WATCH_UP: Metric = gauge(
    "serin_cp_store_watch_up",
    "1 while the documents are being followed.",
    &[],
);
pub const DOCUMENTS: Metric = gauge("serin_cp_documents", "Documents in the store.", &["kind"]);
pub const ROUTERS: Metric = gauge(
    "serin_cp_routers",
    "Routers that report; lagging: the newest change not acknowledged for five seconds.",
    &["state"],
);
pub const ROUTER_ACK: Metric = histogram(
    "serin_cp_router_ack_seconds",
    "Time from a change to the report of a router that serves it.",
    &[],
    &ACK_DURATIONS,
);
pub const ROUTER_APPLIED_REVISION: Metric = gauge(
    "serin_cp_router_applied_revision",
    "Revision of the newest change a router serves.",
    &["router"],
);
pub const ROUTER_REJECTED_DOCUMENTS: Metric = gauge(
    "serin_cp_router_rejected_documents",
    "Documents a router does not serve as they are stored.",
    &["router"],
);
pub const STORE_TXN: Metric = counter(
    "serin_cp_store_txn_total",
    "Transactions of this control plane by what became of them.",
    &["backend", "result"],
);
pub const STORE_TXN_DURATION: Metric = histogram(
    "serin_cp_store_txn_duration_seconds",
    "Time of a transaction of the store.",
    &["backend"],
    &TXN_DURATIONS,
);
pub const HTTP_REQUESTS: Metric = counter(
    "serin_cp_http_requests_total",
    "Requests to the API.",
    &["method", "path", "code"],
);
pub const HTTP_REQUEST_DURATION: Metric = histogram(
    "serin_cp_http_request_duration_seconds",
    "Time from a request's head to the head of its answer.",
    &["method", "path"],
    &HTTP_DURATIONS,
);
pub const GRPC_REQUESTS: Metric = counter(
    "serin_cp_grpc_requests_total",
    "Calls by gRPC.",
    &["method", "code"],
);
pub const AUTH_FAILURES: Metric = counter(
    "serin_cp_auth_failures_total",
    "Requests that were refused for their token or its role.",
    &["reason"],
);
pub const AUDIT_ENTRIES: Metric = counter(
    "serin_cp_audit_entries_total",
    "Audit records that this control plane wrote.",
    &["kind", "verb"],
);
pub const WATCH_CLIENTS: Metric = gauge(
    "serin_cp_watch_clients",
    "Clients that follow the stream of changes.",
    &[],
);

/// All of them, in the order of the contract.
pub const ALL: [Metric; 49] = [
    LEADER,
    BUILD_INFO,
    STORE_REVISION,
    STORE_WATCH_UP,
    DOCUMENTS,
    rollout::INFO,
    rollout::PHASE,
    rollout::VERDICT,
    rollout::PAUSED,
    rollout::STEP,
    rollout::STEPS,
    rollout::SHARE,
    rollout::LAST_EVALUATION,
    rollout::RATE,
    rollout::SAMPLES,
    rollout::LIMIT,
    rollout::SAMPLES_REQUIRED,
    rollout::LOG_EVIDENCE,
    rollout::LOG_EVIDENCE_THRESHOLD,
    rollout::LOG_CERTIFICATE,
    rollout::LOG_CERTIFICATE_THRESHOLD,
    rollout::SAMPLE_RATIO_ALARM,
    rollout::ACK_LAG,
    rollout::EVIDENCE_RESTARTS,
    rollout::VERDICTS,
    rollout::DECISIONS,
    rollout::TRANSITIONS_TAKEN,
    rollout::COMPLETED,
    rollout::DURATION,
    rollout::PAUSE_DURATION,
    rollout::TICK_DURATION,
    rollout::QUERY_DURATION,
    rollout::SOURCE_UP,
    rollout::QUERY_ERRORS,
    rollout::WEBHOOK_REQUESTS,
    rollout::WEBHOOK_DURATION,
    rollout::OUTBOX_PENDING,
    STORE_TXN,
    STORE_TXN_DURATION,
    ROUTERS,
    ROUTER_ACK,
    ROUTER_APPLIED_REVISION,
    ROUTER_REJECTED_DOCUMENTS,
    HTTP_REQUESTS,
    HTTP_REQUEST_DURATION,
    GRPC_REQUESTS,
    AUTH_FAILURES,
    AUDIT_ENTRIES,
    WATCH_CLIENTS,
];

/// What became of a transaction (label `result`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TxnResult {
    Ok,
    /// A guard did not hold.
    Conflict,
    /// The guard that did not hold says that its writer leads no more.
    Fenced,
    /// Nobody knows whether it was written.
    Unknown,
    /// Nothing was written.
    Error,
}

impl TxnResult {
    pub const ALL: [Self; 5] = [
        Self::Ok,
        Self::Conflict,
        Self::Fenced,
        Self::Unknown,
        Self::Error,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Conflict => "conflict",
            Self::Fenced => "fenced",
            Self::Unknown => "unknown",
            Self::Error => "error",
        }
    }
}

/// How a router keeps up (label `state`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RouterState {
    /// It serves what is newest, or is on its way.
    Live,
    /// The newest change has not been acknowledged for five seconds.
    Lagging,
}

impl RouterState {
    pub const ALL: [Self; 2] = [Self::Live, Self::Lagging];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Lagging => "lagging",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Kind, *};

    #[test]
    fn names_begin_with_the_planes_own_prefix_and_are_there_once() {
        for (i, metric) in ALL.iter().enumerate() {
            let name = metric.name;
            assert!(name.starts_with("serin_cp_"), "{name}");
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
                ALL[i + 1..].iter().all(|other| other.name != name),
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
            assert!(rises, "{}", metric.name);
        }
    }

    #[test]
    fn every_word_is_said_once() {
        let results = TxnResult::ALL.map(TxnResult::as_str);
        let states = RouterState::ALL.map(RouterState::as_str);
        let completed = rollout::Completed::ALL.map(rollout::Completed::as_str);
        let webhooks = rollout::WebhookResult::ALL.map(rollout::WebhookResult::as_str);
        for words in [
            &results[..],
            &states[..],
            &completed[..],
            &webhooks[..],
            &rollout::PHASES[..],
            &rollout::PAUSE_REASONS[..],
            &rollout::TRANSITIONS[..],
            &rollout::DECISION_WORDS[..],
        ] {
            for (i, word) in words.iter().enumerate() {
                assert!(!words[..i].contains(word), "{word}");
            }
        }
    }
}
