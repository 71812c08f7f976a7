//! What the leader tells of rollouts, and the closed label sets of it.
//!
//! Phases, reasons and decisions are the words of the API in snake_case. The families whose names
//! begin with `serin_cp_rollout_`, verdicts and decisions are exposed by the leader alone.

use crate::metric::{
    Metric,
    family::{counter, gauge, histogram},
};

/// A whole rollout, or a pause of one, seconds: a minute to a week.
pub const LONG_DURATIONS: [f64; 12] = [
    60.0, 300.0, 600.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0, 28_800.0, 86_400.0, 172_800.0,
    345_600.0, 604_800.0,
];
/// A tick, a query, a webhook, seconds.
pub const SHORT_DURATIONS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

pub const INFO: Metric = gauge(
    "serin_cp_rollout_info",
    "1, with the newest rollout of a route.",
    &["route", "rollout", "candidate"],
);
pub const PHASE: Metric = gauge(
    "serin_cp_rollout_phase",
    "1 for the phase a rollout is in.",
    &["route", "phase"],
);
pub const VERDICT: Metric = gauge(
    "serin_cp_rollout_verdict",
    "1 for the newest verdict.",
    &["route", "verdict"],
);
pub const PAUSED: Metric = gauge(
    "serin_cp_rollout_paused",
    "1 for each reason for which a rollout is paused.",
    &["route", "reason"],
);
pub const STEP: Metric = gauge(
    "serin_cp_rollout_step",
    "The newest step begun, from 0; -1 before the first.",
    &["route"],
);
pub const STEPS: Metric = gauge("serin_cp_rollout_steps", "Steps of the plan.", &["route"]);
pub const SHARE: Metric = gauge(
    "serin_cp_rollout_share_ratio",
    "The candidate's share as it is wanted.",
    &["route"],
);
pub const LAST_EVALUATION: Metric = gauge(
    "serin_cp_rollout_last_evaluation_timestamp_seconds",
    "When the newest verdict was told.",
    &["route"],
);
pub const RATE: Metric = gauge(
    "serin_cp_rollout_rate_ratio",
    "Events over samples of this exposure, as they are judged.",
    &["route", "metric", "arm"],
);
pub const SAMPLES: Metric = gauge(
    "serin_cp_rollout_samples",
    "Samples of this exposure.",
    &["route", "metric", "arm"],
);
pub const LIMIT: Metric = gauge(
    "serin_cp_rollout_limit_ratio",
    "What the candidate's rate may not exceed now.",
    &["route", "metric"],
);
pub const SAMPLES_REQUIRED: Metric = gauge(
    "serin_cp_rollout_samples_required",
    "Samples that this step asks for, in each arm.",
    &["route"],
);
pub const LOG_EVIDENCE: Metric = gauge(
    "serin_cp_rollout_log_evidence",
    "Logarithm of the evidence that the candidate is worse, by metric and in total.",
    &["route", "metric"],
);
pub const LOG_EVIDENCE_THRESHOLD: Metric = gauge(
    "serin_cp_rollout_log_evidence_threshold",
    "Logarithm of the evidence that decides.",
    &["route", "metric"],
);
pub const LOG_CERTIFICATE: Metric = gauge(
    "serin_cp_rollout_log_certificate",
    "Logarithm of the evidence that the candidate is not worse.",
    &["route", "metric"],
);
pub const LOG_CERTIFICATE_THRESHOLD: Metric = gauge(
    "serin_cp_rollout_log_certificate_threshold",
    "Logarithm of the evidence that certifies it.",
    &["route", "metric"],
);
pub const SAMPLE_RATIO_ALARM: Metric = gauge(
    "serin_cp_rollout_sample_ratio_alarm",
    "1 while the candidate's part of the samples is not its share.",
    &["route"],
);
pub const ACK_LAG: Metric = gauge(
    "serin_cp_rollout_ack_lag_seconds",
    "For how long some router has not acknowledged the share.",
    &["route"],
);
pub const EVIDENCE_RESTARTS: Metric = counter(
    "serin_cp_rollout_evidence_restarts_total",
    "Metrics whose evidence began anew because they were redefined.",
    &["route"],
);
pub const VERDICTS: Metric = counter(
    "serin_cp_verdicts_total",
    "Verdicts, one a tick that judged.",
    &["route", "verdict"],
);
pub const DECISIONS: Metric = counter(
    "serin_cp_decisions_total",
    "What ticks decided.",
    &["route", "decision"],
);
pub const TRANSITIONS_TAKEN: Metric = counter(
    "serin_cp_rollout_transitions_total",
    "Transitions of rollouts.",
    &["route", "transition"],
);
pub const COMPLETED: Metric = counter(
    "serin_cp_rollout_completed_total",
    "Rollouts that ended, or were undone after their end.",
    &["route", "result"],
);
pub const DURATION: Metric = histogram(
    "serin_cp_rollout_duration_seconds",
    "Time from the start of a rollout to its end.",
    &["result"],
    &LONG_DURATIONS,
);
pub const PAUSE_DURATION: Metric = histogram(
    "serin_cp_rollout_paused_seconds",
    "Time for which rollouts were paused.",
    &["reason"],
    &LONG_DURATIONS,
);
pub const TICK_DURATION: Metric = histogram(
    "serin_cp_tick_duration_seconds",
    "Time of a tick of a rollout, from reading its state to the commit.",
    &[],
    &SHORT_DURATIONS,
);
pub const QUERY_DURATION: Metric = histogram(
    "serin_cp_metrics_query_seconds",
    "Time of a question to the metrics source.",
    &[],
    &SHORT_DURATIONS,
);
pub const SOURCE_UP: Metric = gauge(
    "serin_cp_metrics_source_up",
    "1 if the metrics source answered when it was asked last.",
    &[],
);
pub const QUERY_ERRORS: Metric = counter(
    "serin_cp_metrics_query_errors_total",
    "Questions to the metrics source that have no answer to be trusted.",
    &["reason"],
);
pub const WEBHOOK_REQUESTS: Metric = counter(
    "serin_cp_webhook_requests_total",
    "Requests to webhooks and receivers of alerts.",
    &["type", "result"],
);
pub const WEBHOOK_DURATION: Metric = histogram(
    "serin_cp_webhook_duration_seconds",
    "Time of a request to a webhook or a receiver of alerts.",
    &["type"],
    &SHORT_DURATIONS,
);
pub const OUTBOX_PENDING: Metric = gauge(
    "serin_cp_outbox_pending",
    "Messages that are still to be delivered.",
    &[],
);

/// Label `phase`.
pub const PHASES: [&str; 12] = [
    "pending",
    "waiting_rollout",
    "preflight",
    "progressing",
    "paused",
    "waiting_promotion",
    "promoting",
    "baking",
    "succeeded",
    "failed",
    "aborted",
    "superseded",
];
/// Label `reason` of pauses.
pub const PAUSE_REASONS: [&str; 8] = [
    "user",
    "suspended",
    "inconclusive",
    "metrics_unavailable",
    "routers_lagging",
    "store_changed",
    "blind",
    "frozen",
];
/// Label `transition`.
pub const TRANSITIONS: [&str; 23] = [
    "t1", "t2", "t3", "t4", "t5", "t6", "t7", "t8", "t9", "t10", "t11", "t12", "t13", "t14", "t15",
    "t16", "t17", "t17a", "t18", "t19", "t20", "t21", "t22",
];
/// Label `decision`.
pub const DECISION_WORDS: [&str; 6] = [
    "hold",
    "advance",
    "pause",
    "promote",
    "step_back",
    "roll_back",
];
/// Label `metric` of what all metrics together come to.
pub const TOTAL: &str = "total";

/// How a rollout ended (label `result`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Completed {
    Succeeded,
    Failed,
    Aborted,
    /// Another one took its place.
    Superseded,
    /// It had succeeded and was taken back.
    Undone,
}

impl Completed {
    pub const ALL: [Self; 5] = [
        Self::Succeeded,
        Self::Failed,
        Self::Aborted,
        Self::Superseded,
        Self::Undone,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
            Self::Superseded => "superseded",
            Self::Undone => "undone",
        }
    }
}

/// What a webhook answered (label `result`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WebhookResult {
    Ok,
    /// Not yet.
    Wait,
    /// Roll back now.
    Rollback,
    /// Any other answer, or no connection.
    Error,
    /// No answer in time.
    Timeout,
}

impl WebhookResult {
    pub const ALL: [Self; 5] = [
        Self::Ok,
        Self::Wait,
        Self::Rollback,
        Self::Error,
        Self::Timeout,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Wait => "wait",
            Self::Rollback => "rollback",
            Self::Error => "error",
            Self::Timeout => "timeout",
        }
    }
}
