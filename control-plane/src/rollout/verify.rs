//! Is this history true? The chain of hashes, and every transition made once more. Pure.
//!
//! Each event is put through the very function that decided; what comes out must be what the
//! records say, their evidence included. A history that begins in the midst of a rollout, or with one
//! that another version began, is checked as a chain until the next rollout begins. Whoever writes a whole history anew, from its first
//! state on, is not found out here: the newest hash, kept elsewhere, is what tells.

mod difference;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value as Json;

use super::{
    event::{Decision, Event, Transition},
    machine::{Analyst, Statistics, step_by},
    plan::Plan,
    record::{ActorKind, Record, VERSION, evidence, point},
    state::{Clocks, Counters, Gate, Phase, State},
};
use crate::analysis::evidence::Analysis;

pub use difference::Difference;
use difference::compare;

/// By how much computed numbers may differ, relatively: another machine's logarithms.
const EVIDENCE_TOLERANCE: f64 = 1e-6;
const NOTHING: Option<()> = None;

/// What was found true.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    pub records: u64,
    /// Rollouts whose every transition was made again.
    pub rollouts: u64,
    /// Events that were put through the machine.
    pub events: u64,
    /// Decisions of the controller that were made again, those to wait left out.
    pub decisions: u64,
    /// Records whose evidence was made again.
    pub evidence: u64,
    /// Records of rollouts that an older program began, whose machine and words may have been others:
    /// the chain alone was checked.
    pub outdated: u64,
    /// Records at the beginning whose rollout began before them: the chain alone was checked.
    pub unreplayed: u64,
    /// The newest record's hash.
    pub head: String,
}

/// The first record that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {seq}: {difference}")]
pub struct Broken {
    pub seq: u64,
    pub difference: Difference,
}

/// Checks the records of one route, the oldest first.
///
/// # Errors
/// The first record that is not what it should be.
pub fn verify(records: &[Record]) -> Result<Verified, Broken> {
    verify_by(&Statistics, records)
}

pub(super) fn verify_by(analyst: &dyn Analyst, records: &[Record]) -> Result<Verified, Broken> {
    let mut verified = Verified::default();
    let mut state: Option<State> = None;
    let mut previous: Option<&Record> = None;
    let mut is_outdated = false;
    for record in records {
        let broken = |difference| Broken {
            seq: record.seq,
            difference,
        };
        chained(previous, record).map_err(broken)?;
        if record.state.is_some() {
            is_outdated = record.version < VERSION;
        }
        state = match (&record.state, state) {
            _ if is_outdated => {
                verified.outdated += 1;
                None
            }
            (Some(first), before) => {
                begun(before.as_ref(), record, first).map_err(broken)?;
                verified.rollouts += 1;
                Some(State::clone(first))
            }
            (None, Some(before)) => {
                exactly("/version", &record.version, &VERSION).map_err(broken)?;
                verified.events += record.events.len() as u64;
                Some(replayed(analyst, before, record).map_err(broken)?)
            }
            (None, None) => {
                verified.unreplayed += 1;
                None
            }
        };
        if let Some(state) = &mut state {
            verified.replayed(record, state).map_err(broken)?;
            state.events.clear();
            state.last_hash.clone_from(&record.hash);
        }
        verified.records += 1;
        verified.head.clone_from(&record.hash);
        previous = Some(record);
    }
    Ok(verified)
}

impl Verified {
    /// Its transition is the one that its events make: so must be what it shows for it.
    fn replayed(&mut self, record: &Record, state: &State) -> Result<(), Difference> {
        let is_decision = record.decision != Decision::Hold;
        self.decisions += u64::from(is_decision && record.actor.kind == ActorKind::Auto);
        self.evidence += 1;
        let recomputed = evidence(state);
        let at = "/evidence";
        compare(at, &record.evidence, &recomputed, EVIDENCE_TOLERANCE)
    }
}

/// Version, hash, link, number.
fn chained(previous: Option<&Record>, record: &Record) -> Result<(), Difference> {
    if record.version > VERSION {
        let known = format!("{VERSION} at most: verify it with the newer program that wrote it");
        return Err(Difference::new("/version", record.version, known));
    }
    exactly("/hash", &record.hash, &record.expected_hash())?;
    let Some(previous) = previous else {
        return Ok(());
    };
    exactly("/seq", &record.seq, &(previous.seq + 1))?;
    exactly("/prevHash", &record.prev_hash, &previous.hash)
}

/// A rollout begins where the one before has ended, and nobody but a person begins it.
fn begun(before: Option<&State>, record: &Record, first: &State) -> Result<(), Difference> {
    exactly("/transition", &record.transition, &"t1")?;
    exactly("/rolloutId", &record.rollout_id, &first.rollout_id)?;
    if let Some(before) = before.filter(|before| !before.phase.is_terminal()) {
        let none = format!("none: rollout {} has not ended", before.rollout_id);
        return Err(Difference::new("/transition", &record.transition, none));
    }
    exactly("/from", &record.from, &NOTHING)?;
    exactly("/before", &record.before, &NOTHING)?;
    exactly("/events", &record.events, &[NOTHING; 0])?;
    exactly("/actor/type", &record.actor.kind, &ActorKind::User)?;
    let hash = Plan::compile(&first.plan).map(|plan| plan.hash).ok();
    exactly("/state/planHash", &first.plan_hash, &hash)?;
    exactly("/state", first, &untouched(first))?;
    agrees(record, first)
}

/// What a start leaves a state with, whatever is started.
fn untouched(first: &State) -> State {
    State {
        phase: Phase::Pending,
        share: 0.0,
        clocks: Clocks::default(),
        counters: Counters::default(),
        analysis: Analysis::default(),
        next_plan: None,
        paused_in: None,
        pause_reasons: Vec::new(),
        step: None,
        passed: None,
        passed_share: 0.0,
        lowered_from: None,
        gates: first
            .gates
            .keys()
            .map(|name| (name.clone(), Gate::default()))
            .collect(),
        hooks: BTreeMap::new(),
        manual: false,
        verdict: None,
        promoted: false,
        undone: false,
        waived: Vec::new(),
        paused_for: String::new(),
        starved: false,
        failed: false,
        guard: None,
        ended_because: String::new(),
        by_hand: None,
        cursor_ms: 0,
        exposure_start_ms: 0,
        warmup_ms: 0,
        events: Vec::new(),
        ended_at: String::new(),
        ..first.clone()
    }
}

fn replayed(analyst: &dyn Analyst, before: State, record: &Record) -> Result<State, Difference> {
    exactly("/rolloutId", &record.rollout_id, &before.rollout_id)?;
    let Some(last) = record.events.last() else {
        return Err(Difference::new("/events", "empty", "one event at least"));
    };
    exactly("/actor/type", &record.actor.kind, &actor(&last.event))?;
    let newest = record.events.len() - 1;
    let mut state = before;
    for (i, kept) in record.events.iter().enumerate() {
        let (at, what) = (format!("/events/{i}"), kind(&kept.event));
        let step = step_by(analyst, &state, &kept.event, kept.at)
            .map_err(|illegal| Difference::new(&at, what, illegal))?;
        match &step.transition {
            None if i < newest => {}
            Some(moved) if i == newest => moves(record, &state, moved)?,
            None => {
                let none = format!("none: the {what} it ends with makes no transition");
                return Err(Difference::new("/transition", &record.transition, none));
            }
            Some(moved) => {
                let ends = format!("the last event of a record: it makes {}", moved.name);
                return Err(Difference::new(&at, what, ends));
            }
        }
        state = step.state;
    }
    agrees(record, &state)?;
    Ok(state)
}

/// Which transition its last event makes, from where, and by what it is decided.
fn moves(record: &Record, before: &State, moved: &Transition) -> Result<(), Difference> {
    exactly("/transition", &record.transition, &moved.name)?;
    exactly("/from", &record.from, &before.phase)?;
    exactly("/before", &record.before, &point(before))?;
    exactly("/decision", &record.decision, &moved.decision)?;
    exactly("/verdict", &record.verdict, &moved.verdict)
}

/// Where it is after its events.
fn agrees(record: &Record, state: &State) -> Result<(), Difference> {
    exactly("/seq", &record.seq, &state.seq)?;
    exactly("/to", &record.to, &state.phase)?;
    exactly("/after", &record.after, &point(state))?;
    exactly("/planHash", &record.plan_hash, &state.plan_hash)?;
    exactly(
        "/candidateHash",
        &record.candidate_hash,
        &state.candidate.hash,
    )?;
    exactly("/guard", &record.guard, &state.guard)
}

/// Two values that must be the very same, as JSON.
fn exactly(
    at: &str,
    stored: &impl Serialize,
    recomputed: &impl Serialize,
) -> Result<(), Difference> {
    let json = |value: serde_json::Result<Json>| value.unwrap_or_default();
    let (stored, recomputed) = (
        json(serde_json::to_value(stored)),
        json(serde_json::to_value(recomputed)),
    );
    compare(at, &stored, &recomputed, 0.0)
}

/// Whose an event is: the controller's, or a person's.
fn actor(event: &Event) -> ActorKind {
    match event {
        Event::Tick(_) | Event::Hook { .. } | Event::Redefined { .. } => ActorKind::Auto,
        Event::Verb(_)
        | Event::Lowered { .. }
        | Event::Rebased { .. }
        | Event::Replanned { .. }
        | Event::Superseded { .. } => ActorKind::User,
    }
}

fn kind(event: &Event) -> &'static str {
    match event {
        Event::Tick(_) => "tick",
        Event::Hook { .. } => "answer",
        Event::Verb(_) => "verb",
        Event::Lowered { .. } => "lowered",
        Event::Rebased { .. } => "rebased",
        Event::Replanned { .. } => "replanned",
        Event::Superseded { .. } => "superseded",
        Event::Redefined { .. } => "redefined",
    }
}

#[cfg(test)]
mod tests;
