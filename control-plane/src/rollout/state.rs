//! Where a rollout stands: all that is kept under `rollouts/<route>/state`. Pure.
//!
//! Written whole with every step; at most 32 KiB as JSON. 64-bit integers are strings there, as in
//! proto3 JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serin_proto::v1;

use super::event::Kept;
use crate::analysis::{evidence::Analysis, judge::Guard, sample::Millis, verdict::Verdict};

/// Largest state, in bytes of JSON.
pub const BYTES_MAX: usize = 32 * 1_024;

/// Numbers as proto3 JSON writes 64-bit integers: strings; read as either.
pub mod text_u64 {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(number: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(number)
    }

    /// # Errors
    /// Neither a number nor a text of one.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(u64),
            Text(String),
        }
        match Either::deserialize(from)? {
            Either::Number(number) => Ok(number),
            Either::Text(text) => text.parse().map_err(D::Error::custom),
        }
    }
}

/// One rollout of one route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// 12 hex digits.
    pub rollout_id: String,
    /// Of the newest record of this route, across rollouts.
    #[serde(with = "text_u64")]
    pub seq: u64,
    /// Of the newest record; the next one names it.
    pub last_hash: String,
    pub route: String,
    pub candidate: Candidate,
    /// As written; what is meant is compiled from it.
    pub plan: v1::Rollout,
    pub plan_hash: String,
    /// A changed plan, from the next step on (T13).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next_plan: Option<v1::Rollout>,
    /// Components of the evidence, as the first plan had them.
    #[serde(default)]
    pub exposures: u32,
    #[serde(flatten)]
    pub phase: Phase,
    /// Where it was when it was paused.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub paused_in: Option<Phase>,
    /// Sorted, none twice; empty unless the phase is `Paused`.
    #[serde(default)]
    pub pause_reasons: Vec<PauseReason>,
    /// The newest step begun; `None` before the first.
    #[serde(default)]
    pub step: Option<u32>,
    /// The newest step passed; what `stepBack` and blindness return to.
    #[serde(default)]
    pub passed: Option<u32>,
    /// Its share, whatever plan came since; 0: none was passed.
    #[serde(default)]
    pub passed_share: f64,
    /// Percent, at most two decimals: the share wanted.
    pub share: f64,
    /// The share before it was lowered: what a resume returns to, with the step anew.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lowered_from: Option<f64>,
    pub salt: String,
    /// Without the candidate, summing to 100; the traffic that an abort returns to.
    pub base_weights: BTreeMap<String, f64>,
    /// By name, as people have set them.
    #[serde(default)]
    pub gates: BTreeMap<String, Gate>,
    /// By webhook name: what they answered last.
    #[serde(default)]
    pub hooks: BTreeMap<String, Hook>,
    /// Side effects asked for so far, of all kinds: the `n` of the next one's key.
    #[serde(default)]
    pub asks: u32,
    /// Somebody moved it by hand past what the analysis had said.
    #[serde(default)]
    pub manual: bool,
    pub clocks: Clocks,
    pub counters: Counters,
    #[serde(default)]
    pub verdict: Option<Told>,
    /// The promotion is recorded: the exposure lease is off.
    #[serde(default)]
    pub promoted: bool,
    /// The promotion was taken back afterwards (T20).
    #[serde(default)]
    pub undone: bool,
    /// Metrics that may pause and that somebody let pass.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub waived: Vec<String>,
    /// The metric that paused it.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub paused_for: String,
    /// Paused because there were no samples, not because they said too little.
    #[serde(default)]
    pub starved: bool,
    /// `fail` was told once: nothing of this rollout clears it.
    #[serde(default)]
    pub failed: bool,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub guard: Option<Guard>,
    /// Why it ended, for people.
    #[serde(default)]
    pub ended_because: String,
    /// The newest thing that somebody did to it, gates aside: of its records, and no part of what
    /// they are made of.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub by_hand: Option<ByHand>,
    /// Of the source: everything up to here was counted.
    #[serde(with = "text_u64", default)]
    pub cursor_ms: Millis,
    /// Of the source: where the running exposure began; 0: none runs.
    #[serde(with = "text_u64", default)]
    pub exposure_start_ms: Millis,
    /// Of the running exposure.
    #[serde(with = "text_u64", default)]
    pub warmup_ms: u64,
    /// Longest warm-up: `timeouts.total` of the route at the start.
    #[serde(with = "text_u64", default)]
    pub warmup_max_ms: u64,
    /// Pending waits so long at least: streams of an older definition may still end.
    #[serde(with = "text_u64", default)]
    pub settle_ms: u64,
    /// Rollouts of this route before, as long as their streams may run.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub past: Vec<Past>,
    #[serde(default)]
    pub analysis: Analysis,
    /// Of the newest step, Unix seconds by the clock of whoever made it.
    #[serde(with = "text_u64", default)]
    pub stepped_at: u64,
    /// Events since the newest record, the oldest first: the next record takes them along.
    #[serde(default)]
    pub events: Vec<Kept>,
    /// Wall times, RFC 3339, for people (and for `undoWindow`).
    pub started_at: String,
    #[serde(default)]
    pub ended_at: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    pub target: String,
    /// 12 hex digits of the SHA-256 of its definition.
    pub hash: String,
}

/// What somebody did to a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByHand {
    /// As history and audit call it.
    pub verb: String,
    /// Who: the token's name.
    pub by: String,
    /// Why, in his own words or the machine's; cut after [`BY_HAND_CHARS_MAX`].
    pub reason: String,
    /// RFC 3339.
    pub at: String,
}

/// Most characters of a reason that are kept in the state; its record has all of them.
pub const BY_HAND_CHARS_MAX: usize = 200;

/// A rollout that has ended: when its candidate may last have had traffic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Past {
    #[serde(flatten)]
    pub candidate: Candidate,
    /// RFC 3339.
    pub ended_at: String,
}

/// Where a rollout is. The words of the API; metrics have the same in snake_case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "phase", content = "sub")]
pub enum Phase {
    Pending,
    WaitingRollout,
    Preflight,
    Progressing(Sub),
    Paused,
    WaitingPromotion,
    /// `Sub` of the raise that is under way.
    Promoting(Sub),
    Baking(Sub),
    Succeeded,
    Failed,
    Aborted,
    Superseded,
}

/// Where an exposure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Sub {
    /// Routers are taking the share over.
    Applying,
    /// Counts are consumed, not judged.
    Warming,
    Analysing,
    /// All but the gate.
    Gated,
}

impl Phase {
    /// The word of the API, without its `sub`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::WaitingRollout => "WaitingRollout",
            Self::Preflight => "Preflight",
            Self::Progressing(_) => "Progressing",
            Self::Paused => "Paused",
            Self::WaitingPromotion => "WaitingPromotion",
            Self::Promoting(_) => "Promoting",
            Self::Baking(_) => "Baking",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Aborted => "Aborted",
            Self::Superseded => "Superseded",
        }
    }

    /// The words of all phases, in the order in which a rollout comes to them.
    pub const WORDS: [&'static str; 12] = [
        "Pending",
        "WaitingRollout",
        "Preflight",
        "Progressing",
        "Paused",
        "WaitingPromotion",
        "Promoting",
        "Baking",
        "Succeeded",
        "Failed",
        "Aborted",
        "Superseded",
    ];

    /// It has ended; only a verb changes the route for it.
    pub fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::Failed | Self::Aborted | Self::Superseded
        )
    }

    /// Preflight to Baking, paused included.
    pub fn is_active(self) -> bool {
        !self.is_terminal() && !matches!(self, Self::Pending | Self::WaitingRollout)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PauseReason {
    User,
    Suspended,
    Inconclusive,
    MetricsUnavailable,
    RoutersLagging,
    StoreChanged,
    Blind,
    Frozen,
}

/// A gate as people have set it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    pub open: bool,
}

/// What a webhook answered last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Hook {
    /// `open`, `passed`, `wait`, `closed`, `failed`; empty: none yet.
    pub answer: String,
    /// For people: `another status than 2xx`, `no answer in time`.
    pub why: String,
    /// A question is under way: the same is asked again until it is answered.
    pub asked: bool,
    /// Of that question, and of its key `rolloutId/seq/n`.
    pub n: u32,
    #[serde(with = "text_u64")]
    pub seq: u64,
}

/// Budgets that have run so far, in milliseconds of the leaders' monotonic clocks, at most two
/// intervals per tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Clocks {
    /// Since the phase (and step) began; stands still while paused.
    #[serde(with = "text_u64")]
    pub step_ms: u64,
    /// Judged time of this exposure by the source's clock: cursor less its start, pauses left out.
    #[serde(with = "text_u64")]
    pub exposure_ms: u64,
    /// Without a `pass`, in Analysing and Gated; without a candidate that is up, in Preflight.
    #[serde(with = "text_u64")]
    pub inconclusive_ms: u64,
    /// Without anything but `error`, while the share is above 0.
    #[serde(with = "text_u64")]
    pub blind_ms: u64,
    /// Acknowledgements are missing.
    #[serde(with = "text_u64")]
    pub unacked_ms: u64,
    #[serde(with = "text_u64")]
    pub paused_ms: u64,
    /// Since the newest window, by the leaders' clocks.
    #[serde(with = "text_u64")]
    pub unread_ms: u64,
    /// The part of it in which it was paused: no exposure.
    #[serde(with = "text_u64")]
    pub unread_paused_ms: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Counters {
    pub consecutive_errors: u32,
    /// By check: failures within this step.
    pub failed_checks: BTreeMap<String, u32>,
}

/// The newest verdict, for people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    pub kind: Verdict,
    pub why: String,
}
