//! What can happen to a rollout. A state and an event make the next state, and nothing else does:
//! time, chance, measurements and people come in here. Pure.
//!
//! Events are kept in the history, so every decision can be made again by whoever doubts it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serin_proto::{unit::Share, v1};

use super::state::{State, Told};
use crate::analysis::{
    judge::Guard,
    sample::{Measured, Opening, Untold},
};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Event {
    Tick(Box<Tick>),
    /// A webhook answered the question `n`; an answer to an older one is passed over.
    Hook {
        name: String,
        n: u32,
        answer: HookAnswer,
    },
    /// Somebody asked.
    Verb(Verb),
    /// Somebody lowered the candidate's share by PUT traffic (T21), not to 0.
    Lowered {
        share: f64,
    },
    /// Somebody changed the proportions of the other targets: scaled to 100, without the candidate.
    Rebased {
        base_weights: BTreeMap<String, f64>,
    },
    /// Another plan for the same candidate (T13, policy `nextStep`).
    Replanned {
        plan: Box<v1::Rollout>,
    },
    /// Another candidate, definition, or a restart takes its place (T12).
    Superseded {
        by: String,
    },
    /// The candidate's or a stable target's definition is another one than it was (a hard guard).
    Redefined {
        target: String,
    },
}

/// An interval has passed at the leader.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Tick {
    /// Since the last one, at most two intervals.
    pub elapsed_ms: u64,
    pub fleet: FleetSeen,
    pub reading: Reading,
}

/// The routers, as far as decisions need them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FleetSeen {
    /// Reports under a live lease.
    pub live: u32,
    /// Those that serve the route's newest revision.
    pub acked: u32,
    /// Some router holds: it does not know the store, or the control plane waits for an adoption.
    pub store_changed: bool,
}

/// What was read at a tick, as [`super::machine::wanted`] said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reading {
    /// Nothing was to be read.
    #[default]
    None,
    /// The source could not be asked, or its answer cannot be trusted.
    Failed(Untold),
    /// Pending: series and queries were looked for.
    Checked(Checked),
    /// An exposure begins.
    Opening(Box<Opening>),
    Window(Box<Measured>),
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Checked {
    /// Routers that expose the candidate's canary series.
    pub canary_series_on: u32,
    /// Queries that cannot be asked, and why.
    pub faults: Vec<String>,
    /// Breaker open, or down, on at least half of the routers: the probe of Preflight.
    pub candidate_down: bool,
    /// Those routers, and all whose samples are fresh.
    #[serde(skip_serializing_if = "is_zero")]
    pub down_on: u32,
    #[serde(skip_serializing_if = "is_zero")]
    pub fresh: u32,
}

/// Left out, so that records from before these were counted keep their hashes.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it so")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HookAnswer {
    /// Any 2xx: open, passed, or (of type `rollback`) roll back.
    Yes,
    /// 2xx with `{"verdict":"wait"}`
    Wait,
    /// 409, or `{"verdict":"rollback"}`
    Rollback,
    /// Another status.
    No,
    /// No answer in time, or no connection.
    Unanswered,
}

/// What people ask of a rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verb {
    Pause {
        suspend: bool,
    },
    Resume,
    Promote {
        full: bool,
    },
    Abort,
    Undo(Undo),
    /// From Paused(Frozen) it supersedes (see [`super::machine::begin`]); here only whether it may.
    Retry,
    SkipStep,
    Gate {
        gate: String,
        open: bool,
    },
}

/// What an undo depends on beside the state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Undo {
    /// Wall time since the end.
    pub since_end_ms: u64,
    /// The traffic is what the promotion left.
    pub traffic_unchanged: bool,
}

/// An event in the state or the history, with the seconds-resolution wall time for people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// Unix seconds.
    pub at: u64,
    pub event: Event,
}

/// What an event came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub state: State,
    /// A record is written, and the route if its traffic becomes another.
    pub transition: Option<Transition>,
    /// After the commit, at least once, in the way of nothing.
    pub effects: Vec<Effect>,
}

/// One of rollout.md 4.4, or none of them worth a record.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// `t1` … `t22`, `t17a`; `gate`, `rebase`, `checkpoint`
    pub name: &'static str,
    /// For people.
    pub reason: String,
    pub decision: Decision,
    /// The verdict it was decided by; the state may have begun anew since.
    pub verdict: Option<Told>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    Hold,
    Advance,
    Pause,
    Promote,
    StepBack,
    RollBack,
}

/// A side effect.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Ask this webhook of the plan (by its place) now; its answer is an [`Event::Hook`]. Not kept:
    /// it is asked again at a later tick if nobody answered.
    Ask { webhook: usize, n: u32 },
    /// Deliver until it is taken: webhooks `event` and `post-rollout`, alerts.
    Deliver { n: u32, message: Message },
}

/// What is told to others, kept in the outbox until it is taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// `webhook` or `alert`
    pub to: Receiver,
    pub name: String,
    pub severity: super::plan::Severity,
    /// For people.
    pub text: String,
    /// Flagger's word for the phase.
    pub phase: String,
    /// As the webhook's body has it under `serin`.
    pub at: Standing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Receiver {
    Webhook,
    Alert,
}

/// Where the rollout stood when something was told or asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Standing {
    pub rollout_id: String,
    pub seq: u64,
    pub step: i64,
    pub weight: f64,
    pub verdict: String,
    pub phase: String,
    pub checksum: String,
}

/// A verb that may not be used now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{verb} is not possible now: {why}")]
pub struct Illegal {
    pub verb: &'static str,
    pub why: String,
    /// Verbs that may be used now.
    pub legal: Vec<&'static str>,
}

/// A guard in words of an event.
#[must_use]
pub fn guard_word(guard: Guard) -> &'static str {
    match guard {
        Guard::BreakerOpen => "breaker_open",
        Guard::FailFast => "fail_fast",
        Guard::Absolute => "absolute",
        Guard::Webhook => "webhook",
        Guard::DefinitionChanged => "definition_changed",
    }
}

/// Whether a share is one.
#[must_use]
pub fn share_of(percent: f64) -> Share {
    Share::try_from(percent).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_older_programs_did_not_count_changes_no_hash_of_theirs() {
        let old = r#"{"canarySeriesOn":2,"faults":[],"candidateDown":false}"#;
        let read: Checked = serde_json::from_str(old).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), old);
    }
}
