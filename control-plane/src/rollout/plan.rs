//! A rollout's plan as it is meant: every default filled in, Flagger's words expanded. Pure.
//!
//! The document (`v1::Rollout`) is what somebody wrote and what is stored; a [`Plan`] is compiled
//! from it wherever it is needed, always to the same. Whether it can be started on a route is
//! another question (`machine/start.rs`).

mod compile;
mod metric;

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serin_proto::{Fault, unit::Share, v1};

use super::state::State;

pub(super) use compile::millis as compile_millis;

/// How a candidate's share rises, and what holds it back.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    pub route: String,
    pub candidate: String,
    /// At least one; shares rise strictly.
    pub steps: Vec<PlanStep>,
    pub promotion: Promotion,
    pub analysis: AnalysisPlan,
    pub on_fail: OnFail,
    pub policy: PlanPolicy,
    pub progress_deadline_ms: u64,
    /// 12 hex digits of the SHA-256 of the document with its defaults.
    #[serde(skip)]
    pub hash: String,
}

impl Plan {
    /// What a document means.
    ///
    /// # Errors
    /// Everything that is wrong with it, with pointers that begin at the plan.
    pub fn compile(document: &v1::Rollout) -> Result<Self, Vec<Fault>> {
        compile::compile(document, None)
    }

    /// What the plan of a state means: hashed when it was taken, and with each tick compiled anew.
    ///
    /// # Errors
    /// What this program cannot read of it.
    pub fn of(state: &State) -> Result<Self, Vec<Fault>> {
        compile::compile(&state.plan, Some(&state.plan_hash))
    }

    /// Exposures with a component of their own: one per step, and the bake.
    pub fn exposures(&self) -> usize {
        self.steps.len() + 1
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlanStep {
    #[serde(serialize_with = "hundredths")]
    pub share: Share,
    pub min_duration_ms: u64,
    pub min_samples: u64,
    /// Must be open before the next step; empty: none by name.
    pub gate: Option<String>,
    /// Needs proof of "not worse" before the next step.
    pub certificate: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Promotion {
    pub gate: Option<String>,
    pub bake_ms: u64,
    #[serde(serialize_with = "hundredths")]
    pub holdback: Share,
    pub undo_window_ms: u64,
    /// Raised by so much at a time; `None`: at once.
    #[serde(serialize_with = "maybe_hundredths")]
    pub step: Option<Share>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum OnFail {
    Rollback,
    StepBack,
    Freeze,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum PlanPolicy {
    NextStep,
    Restart,
}

/// How the candidate is judged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AnalysisPlan {
    pub interval_ms: u64,
    /// 0..1, exclusive: chance to roll back a candidate inside its margins, whole rollout.
    pub alpha: f64,
    /// 0..1, exclusive: chance to certify one that is outside, per certificate.
    pub beta: f64,
    /// In the order written.
    pub metrics: Vec<MetricPlan>,
    pub guards: Guards,
    pub on_no_data: OnNoData,
    pub on_provider_error: OnProviderError,
    pub consecutive_error_limit: u32,
    pub inconclusive_deadline_ms: u64,
    pub blind_max_ms: u64,
    /// Failed checks (custom queries, `rollout` webhooks, `judge: threshold`) per step.
    pub threshold: u32,
    pub webhooks: Vec<Webhook>,
    pub alerts: Vec<Alert>,
    /// As written; `None`: found out at each exposure (rollout.md 5.6).
    pub warmup_ms: Option<u64>,
    /// As written; `None`: found out from the source.
    pub scrape_interval_ms: Option<u64>,
    /// For `{{ variables.NAME }}` in queries.
    pub variables: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetricPlan {
    /// As written: `errors`, `request-success-rate`, the name of a query.
    pub name: String,
    pub mode: Mode,
    /// Of alpha; 0 where nothing is spent (observed, pause only, queries, means by pause).
    pub share: f64,
    pub test: Test,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Mode {
    /// Rolls back.
    Enforce,
    /// Pauses, never rolls back.
    PauseOnly,
    /// Is reported, never acts.
    Observe,
}

/// `p_c ≤ ratio · p_b + margin`, for every window. Ratio 0: an absolute limit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, serde::Deserialize)]
pub struct Null {
    pub ratio: f64,
    /// 0..1
    pub margin: f64,
}

/// What is counted, and against what.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Test {
    /// Events among samples.
    Events {
        of: Events,
        null: Null,
        /// Ratio that is never to be passed (`max`), judged by an e-process of its own at 0.001.
        max: Option<f64>,
        /// Margin of the certificate, 0..1; `None`: none is asked of it.
        tolerance: Option<f64>,
    },
    /// Answers beyond bucket bounds.
    Beyond {
        of: Distribution,
        bounds: Bounds,
        null: Null,
        tolerance: Option<f64>,
    },
    /// Candidate's mean over the stable one's.
    Mean { of: Distribution, max_ratio: f64 },
    /// Flagger's literal counting of a built-in metric: the point estimate of each interval.
    Literal {
        of: Literal,
        min: Option<f64>,
        max: Option<f64>,
    },
    /// A custom query, out of range counted.
    Query {
        promql: String,
        interval_ms: u64,
        min: Option<f64>,
        max: Option<f64>,
        failure_limit: u32,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Events {
    Errors,
    Rejections,
    Abandoned,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Distribution {
    /// Seconds, of streams.
    Ttft,
    /// Seconds, of whole attempts.
    Duration,
    OutputTokens,
    /// US dollars.
    Cost,
}

/// Where the bounds of a `Beyond` come from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Bounds {
    /// The smallest bound at or above these quantiles of the stable arm, read at each exposure. A
    /// quantile below one half asks for what lies *below* the largest bound at or under it.
    Quantiles(Vec<f64>),
    /// A bound of the histogram, in its unit.
    Fixed(f64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Literal {
    /// Percent of requests that succeeded.
    SuccessRate,
    /// Milliseconds, 99 % are faster.
    P99,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Guards {
    pub breaker_open_ms: u64,
    pub fail_fast_samples: u64,
    /// 0..1
    pub fail_fast_ratio: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum OnNoData {
    Hold,
    Pause,
    Fail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum OnProviderError {
    Hold,
    Pause,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Webhook {
    pub name: String,
    pub kind: HookKind,
    pub url: String,
    pub timeout_ms: u64,
    pub retries: u32,
    pub metadata: BTreeMap<String, String>,
    pub mute_alert: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum HookKind {
    ConfirmRollout,
    PreRollout,
    Rollout,
    ConfirmTrafficIncrease,
    ConfirmPromotion,
    Rollback,
    PostRollout,
    Event,
}

impl HookKind {
    pub const ALL: [Self; 8] = [
        Self::ConfirmRollout,
        Self::PreRollout,
        Self::Rollout,
        Self::ConfirmTrafficIncrease,
        Self::ConfirmPromotion,
        Self::Rollback,
        Self::PostRollout,
        Self::Event,
    ];

    /// As documents write it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::ConfirmRollout => "confirm-rollout",
            Self::PreRollout => "pre-rollout",
            Self::Rollout => "rollout",
            Self::ConfirmTrafficIncrease => "confirm-traffic-increase",
            Self::ConfirmPromotion => "confirm-promotion",
            Self::Rollback => "rollback",
            Self::PostRollout => "post-rollout",
            Self::Event => "event",
        }
    }

    pub(super) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// Who is told in a chat or by a webhook of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alert {
    pub name: String,
    pub format: AlertFormat,
    /// Written, or read from the environment or a file of the control plane at delivery.
    pub url: AlertUrl,
    /// Least severity that is told.
    pub severity: Severity,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum AlertFormat {
    Slack,
    /// `{name, namespace, phase, severity, message, metadata, serin}`
    Generic,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum AlertUrl {
    Written(String),
    Env(String),
    File(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    Warn,
    Error,
}

fn hundredths<S: Serializer>(share: &Share, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u16(share.hundredths())
}

fn maybe_hundredths<S: Serializer>(share: &Option<Share>, to: S) -> Result<S::Ok, S::Error> {
    share.map(Share::hundredths).serialize(to)
}

#[cfg(test)]
mod tests;
