//! Is this history true? The chain of hashes, and every transition made once more. Pure.
//!
//! Each event is put through the very function that decided; what comes out must be what the
//! records say. A history that begins in the midst of a rollout is checked as a chain until the
//! next rollout begins.

use std::collections::BTreeMap;

use super::{
    event::Event,
    machine::{Analyst, Statistics, step_by},
    plan::Plan,
    record::{ActorKind, Record, point},
    state::{Clocks, Counters, Gate, Phase, State},
};
use crate::analysis::evidence::Analysis;

/// What was found true.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    pub records: u64,
    /// Rollouts whose every transition was made again.
    pub rollouts: u64,
    /// Events that were put through the machine.
    pub events: u64,
    /// Records at the beginning whose rollout began before them: the chain alone was checked.
    pub unreplayed: u64,
}

/// The first record that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {seq}: {why}")]
pub struct Broken {
    pub seq: u64,
    pub why: String,
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
    for record in records {
        let broken = |why| Broken {
            seq: record.seq,
            why,
        };
        chained(previous, record).map_err(broken)?;
        state = match (&record.state, state) {
            (Some(first), before) => {
                begun(before.as_ref(), record, first).map_err(broken)?;
                verified.rollouts += 1;
                Some(State::clone(first))
            }
            (None, Some(before)) => {
                verified.events += record.events.len() as u64;
                Some(replayed(analyst, before, record).map_err(broken)?)
            }
            (None, None) => {
                verified.unreplayed += 1;
                None
            }
        };
        if let Some(state) = &mut state {
            state.events.clear();
            state.last_hash.clone_from(&record.hash);
        }
        verified.records += 1;
        previous = Some(record);
    }
    Ok(verified)
}

/// Hash, link, number.
fn chained(previous: Option<&Record>, record: &Record) -> Result<(), String> {
    if record.hash != record.expected_hash() {
        return Err("its hash is not that of what it says".to_owned());
    }
    let Some(previous) = previous else {
        return Ok(());
    };
    if record.prev_hash != previous.hash {
        return Err(format!("it does not follow record {}", previous.seq));
    }
    if record.seq != previous.seq + 1 {
        return Err(format!("it comes after record {}", previous.seq));
    }
    Ok(())
}

/// A rollout begins where the one before has ended.
fn begun(before: Option<&State>, record: &Record, first: &State) -> Result<(), String> {
    if record.transition != "t1" || first.rollout_id != record.rollout_id {
        return Err("it has a first state, and is not the beginning of its rollout".to_owned());
    }
    if before.is_some_and(|before| !before.phase.is_terminal()) {
        return Err("the rollout before it has not ended".to_owned());
    }
    if record.from.is_some() || record.before.is_some() || !record.events.is_empty() {
        return Err("it is the beginning, and something came before".to_owned());
    }
    if record.actor.kind != ActorKind::User {
        return Err("nobody but a person starts a rollout".to_owned());
    }
    let hash = Plan::compile(&first.plan).map(|plan| plan.hash);
    if hash.ok().as_ref() != Some(&first.plan_hash) || *first != untouched(first) {
        return Err("its first state is none that a start makes".to_owned());
    }
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
        cursor_ms: 0,
        exposure_start_ms: 0,
        warmup_ms: 0,
        events: Vec::new(),
        ended_at: String::new(),
        ..first.clone()
    }
}

fn replayed(analyst: &dyn Analyst, before: State, record: &Record) -> Result<State, String> {
    if record.rollout_id != before.rollout_id {
        return Err("its rollout has no beginning".to_owned());
    }
    let count = record.events.len();
    let Some(last) = record.events.last() else {
        return Err("nothing has happened".to_owned());
    };
    if record.actor.kind != actor(&last.event) {
        let (who, what) = (record.actor.kind, kind(&last.event));
        return Err(format!("{who:?} does not make a {what}"));
    }
    let mut state = before;
    for (i, kept) in record.events.iter().enumerate() {
        let step = step_by(analyst, &state, &kept.event, kept.at)
            .map_err(|illegal| format!("event {i}: {illegal}"))?;
        let name = step.transition.as_ref().map(|moved| moved.name);
        let expected = (i + 1 == count).then_some(record.transition.as_str());
        if name != expected {
            let what = kind(&kept.event);
            return Err(format!(
                "event {i} ({what}) makes {name:?}, not {expected:?}"
            ));
        }
        if let Some(moved) = &step.transition {
            followed(record, &state)?;
            if (record.decision, &record.verdict) != (moved.decision, &moved.verdict) {
                let (decision, verdict) = (moved.decision, &moved.verdict);
                return Err(format!("its events decide {decision:?} by {verdict:?}"));
            }
        }
        state = step.state;
    }
    agrees(record, &state)?;
    Ok(state)
}

/// Where it was before its last event.
fn followed(record: &Record, before: &State) -> Result<(), String> {
    if record.from != Some(before.phase) || record.before != Some(point(before)) {
        return Err(format!("it was not {:?} before", record.from));
    }
    Ok(())
}

fn agrees(record: &Record, state: &State) -> Result<(), String> {
    let same = record.seq == state.seq
        && record.to == state.phase
        && record.after == point(state)
        && record.plan_hash == state.plan_hash
        && record.candidate_hash == state.candidate.hash
        && record.guard == state.guard;
    if same {
        return Ok(());
    }
    Err(format!(
        "it says {:?} at {} %, its events make {:?} at {} %",
        record.to, record.after.share, state.phase, state.share
    ))
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
