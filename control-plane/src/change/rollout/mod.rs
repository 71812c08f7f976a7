//! What people do with rollouts: begin one, and every verb. Any replica does it, with or without a
//! leader: one transaction under the guards of [`crate::rollout::commit`].

mod begin;
mod planned;
mod queries;
mod start;
mod verb;

use serde_json::Value as Json;
use serin_store::Compare;

use super::{
    Asked, Refusal,
    audit::{Differences, Verb as Word},
    commit::{Judged, Write},
    idempotency::Slot,
};
use crate::{
    auth::{Actor, Via},
    rollout::{
        commit::Prepared,
        machine, next,
        record::{self, ActorKind, Said},
        state::State,
    },
};

pub(crate) use start::{Started, start};
#[cfg(test)]
pub(crate) use verb::Ran;
pub(crate) use verb::verb;

/// What a person said, for the record.
pub(super) fn said(actor: &Actor, asked: &Asked, verb: &str, id: &str) -> Said {
    Said {
        actor: record::Actor {
            kind: ActorKind::User,
            id: actor.name.clone(),
            via: match actor.via {
                Via::Rest => "api".to_owned(),
                via => via.to_string(),
            },
        },
        verb: verb.to_owned(),
        reason: Some(asked.reason.clone()).filter(|reason| !reason.is_empty()),
        // The audit record's id: nobody else has it.
        nonce: id.to_owned(),
        at: crate::clock::unix().as_secs(),
    }
}

/// A prepared step as a change to be written, its answer kept for whoever asks again.
fn write<A: serde::Serialize>(
    prepared: Prepared,
    word: Word,
    more: Vec<Compare>,
    slot: Option<Slot>,
    answer: A,
) -> Result<Judged<A>, Refusal> {
    let mut guards = prepared.compares;
    guards.extend(more);
    let mut ops = prepared.ops;
    if let Some(slot) = slot {
        guards.push(slot.guard());
        ops.push(slot.keep(&answer)?);
    }
    Ok(Judged::Write(Box::new(Write {
        guards,
        ops,
        verb: word,
        differences: Differences::Many {
            changes: prepared.changes,
        },
        answer,
    })))
}

/// A state as the API shows it.
pub(crate) fn shown(state: &State) -> Result<Json, Refusal> {
    let told = serde_json::to_value(state);
    let mut told = told.map_err(|bad| Refusal::Internal(bad.to_string()))?;
    if state.phase.is_terminal() {
        told["endedBecause"] = next::ended(state).into();
    }
    Ok(told)
}

/// What a running rollout refuses to others.
pub(super) fn active(state: &State, why: impl Into<String>) -> Refusal {
    Refusal::RolloutActive {
        rollout_id: state.rollout_id.clone(),
        why: why.into(),
        legal: machine::legal(state),
    }
}
