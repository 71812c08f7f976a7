//! Is this history true? The chain of hashes, and every transition made once more. Pure.
//!
//! Each event is put through the very function that decided; what comes out must be what the
//! records say. A history that begins in the midst of a rollout is checked as a chain until the
//! next rollout begins.

use super::{
    event::Event,
    machine::{Analyst, Statistics, step_by},
    record::{Record, point},
    state::State,
};

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
    agrees(record, first)
}

fn replayed(analyst: &dyn Analyst, before: State, record: &Record) -> Result<State, String> {
    if record.rollout_id != before.rollout_id {
        return Err("its rollout has no beginning".to_owned());
    }
    if record.from != Some(before.phase) && record.events.len() < 2 {
        return Err(format!("it was not {:?} before", record.from));
    }
    let count = record.events.len();
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
        state = step.state;
    }
    agrees(record, &state)?;
    Ok(state)
}

fn agrees(record: &Record, state: &State) -> Result<(), String> {
    let same = record.seq == state.seq
        && record.to == state.phase
        && record.after == point(state)
        && record.plan_hash == state.plan_hash
        && record.guard == state.guard;
    if same {
        return Ok(());
    }
    Err(format!(
        "it says {:?} at {} %, its events make {:?} at {} %",
        record.to, record.after.share, state.phase, state.share
    ))
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
