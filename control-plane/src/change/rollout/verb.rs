//! Pause, resume, promote, abort, undo, retry, skip-step, and gates.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use serin_proto::{Fault, fault::Pointer, unit::Revision, v1};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{begin, said, shown, write};
use crate::{
    auth::{Actor, Right},
    change::{
        Asked, Refusal,
        audit::{self, Verb as Word},
        commit::{Deed, Judged, carry_out},
        idempotency::{self, Known, Slot},
    },
    clock,
    plane::Plane,
    rollout::{
        commit::{Current, prepare},
        event::{Event, Illegal, Undo, Verb},
        machine,
        state::{Phase, State},
        traffic,
    },
};

/// What a verb came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ran {
    /// Where the rollout stands now; of a retry, the new one.
    pub(crate) state: Json,
    #[serde(skip)]
    pub(crate) revision: Revision,
    /// The id of the audit record; `None`: nothing was left to do.
    pub(crate) audit: Option<String>,
}

/// Does what a person asks of a rollout. With a number it is done only if that is still the
/// rollout's newest.
///
/// # Errors
/// In this order: [`Refusal::Forbidden`], [`Refusal::NotFound`], [`Refusal::StaleSeq`],
/// [`Refusal::Illegal`]; besides, those of idempotency and store.
pub(crate) async fn verb(
    plane: &Arc<Plane>,
    actor: &Actor,
    asked: Asked,
    id: &str,
    (verb, expected_seq): (Verb, Option<u64>),
) -> Result<Ran, Refusal> {
    plane.require(actor, Right::RunRollouts)?;
    audit::check_reason(&asked.reason)?;
    let route = plane.rollouts.route(plane, id).await?;
    let (actor, id) = (actor.clone(), id.to_owned());
    let work = move |plane: Arc<Plane>| async move {
        let deed = Run {
            route,
            id,
            verb,
            expected_seq,
            actor: &actor,
            asked: &asked,
        };
        carry_out(&plane, &actor, &asked, &deed).await
    };
    plane.finish(work).await
}

struct Run<'a> {
    route: String,
    id: String,
    verb: Verb,
    expected_seq: Option<u64>,
    actor: &'a Actor,
    asked: &'a Asked,
}

impl Deed for Run<'_> {
    type Answer = Ran;
    // `abort` needs the store and nothing else.
    const RESTS_ON_VIEW: bool = false;

    async fn judge(&self, plane: &Plane, id: &str) -> Result<Judged<Ran>, Refusal> {
        let slot = match &self.asked.idempotency {
            Some(key) => match idempotency::look(plane, self.actor, key).await? {
                Known::Done(answer, revision) => {
                    return Ok(Judged::Answer(Self::done(answer, revision)));
                }
                Known::New(slot, _) => Some(slot),
            },
            None => None,
        };
        let current = Current::read(&*plane.store, &self.route).await?;
        let unknown = || Refusal::NotFound(format!("rollouts/{}", self.id));
        let state = current.state.clone().ok_or_else(unknown)?;
        self.check(&state)?;
        match self.verb {
            Verb::Retry => self.retry(plane, id, &current, slot).await,
            _ => self.step(id, &current, &state, slot),
        }
    }

    fn done(answer: Ran, revision: Revision) -> Ran {
        Ran { revision, ..answer }
    }
}

impl Run<'_> {
    fn check(&self, state: &State) -> Result<(), Refusal> {
        if let Some(expected) = self.expected_seq
            && expected != state.seq
        {
            return Err(Refusal::StaleSeq {
                state: shown(state)?,
                seq: state.seq,
            });
        }
        if state.rollout_id != self.id {
            return Err(Refusal::Illegal {
                verb: word(&self.verb).as_str(),
                why: format!("it has ended, and {} followed it", state.rollout_id),
                legal: Vec::new(),
            });
        }
        Ok(())
    }

    fn step(
        &self,
        id: &str,
        current: &Current,
        state: &State,
        slot: Option<Slot>,
    ) -> Result<Judged<Ran>, Refusal> {
        let verb = match &self.verb {
            Verb::Undo(_) => Verb::Undo(undo(state, current)?),
            verb => verb.clone(),
        };
        if let Verb::Gate { gate, .. } = &verb
            && let Some(unknown) = unknown_gate(state, gate)
        {
            return Err(unknown);
        }
        let event = Event::Verb(verb);
        let step = machine::step(state, &event, clock::unix().as_secs()).map_err(refused)?;
        let word = word(&self.verb);
        let said = said(self.actor, self.asked, word.as_str(), id);
        let prepared = prepare(current, Some(state), None, vec![step], &said)?;
        let answer = Ran {
            state: shown(&prepared.state)?,
            revision: current.as_of,
            audit: None,
        };
        if self.asked.dry_run || prepared.changes.is_empty() {
            return Ok(Judged::Answer(answer));
        }
        let answer = Ran {
            audit: Some(id.to_owned()),
            ..answer
        };
        write(prepared, word, Vec::new(), slot, answer)
    }

    /// The same plan once more, as a rollout of its own.
    async fn retry(
        &self,
        plane: &Plane,
        id: &str,
        current: &Current,
        slot: Option<Slot>,
    ) -> Result<Judged<Ran>, Refusal> {
        let old = current.state.as_ref();
        let plan = old.map(|old| old.plan.clone()).unwrap_or_default();
        if let Some(old) = old {
            let event = Event::Verb(Verb::Retry);
            machine::step(old, &event, clock::unix().as_secs()).map_err(refused)?;
        }
        let begun = begin::begin(plane, current, &plan, begin::Ids::new(), true).await?;
        let said = said(self.actor, self.asked, Word::Retry.as_str(), id);
        let prepared = begun.prepare(current, &said)?;
        let answer = Ran {
            state: shown(&prepared.state)?,
            revision: current.as_of,
            audit: Some(id.to_owned()),
        };
        write(prepared, Word::Retry, begun.guards, slot, answer)
    }
}

/// What an undo depends on beside the state.
///
/// # Errors
/// [`Refusal::InUse`]: others moved the traffic since the promotion.
fn undo(state: &State, current: &Current) -> Result<Undo, Refusal> {
    let live = current
        .route
        .as_ref()
        .and_then(|route| route.traffic.clone());
    let live = live.unwrap_or_default();
    let left = traffic::wanted(state, &live);
    let traffic_unchanged = is_same(&live, &left);
    if state.phase == Phase::Succeeded && !traffic_unchanged {
        let at = Pointer::root().key("traffic");
        let weights = |traffic: &v1::Traffic| format!("{:?}", traffic.weights);
        let message = format!(
            "was moved since the promotion: it is {}, the promotion left {}",
            weights(&live),
            weights(&left)
        );
        return Err(Refusal::InUse(vec![Fault::new(
            &at,
            "traffic_changed",
            message,
        )]));
    }
    let ended = OffsetDateTime::parse(&state.ended_at, &Rfc3339).ok();
    let since = ended.map(|ended| (clock::wall() - ended).whole_milliseconds().max(0));
    Ok(Undo {
        since_end_ms: since.map_or(0, |since| u64::try_from(since).unwrap_or(u64::MAX)),
        traffic_unchanged,
    })
}

fn is_same(a: &v1::Traffic, b: &v1::Traffic) -> bool {
    let meant = |traffic: &v1::Traffic| {
        let mut traffic = traffic.clone();
        traffic.weights.retain(|_, percent| *percent != 0.0);
        traffic
    };
    meant(a) == meant(b)
}

/// A gate that no plan of a running rollout names.
fn unknown_gate(state: &State, gate: &str) -> Option<Refusal> {
    let known: Vec<&str> = machine::gates(state).collect();
    if state.phase.is_terminal() || known.contains(&gate) {
        return None;
    }
    let known = match known.as_slice() {
        [] => "none".to_owned(),
        names => names.join(", "),
    };
    let what = format!("gate {gate:?}: the plan names {known}");
    Some(Refusal::NotFound(what))
}

fn refused(illegal: Illegal) -> Refusal {
    Refusal::Illegal {
        verb: illegal.verb,
        why: illegal.why,
        legal: illegal.legal,
    }
}

/// A verb's word in audits and histories.
pub(super) fn word(verb: &Verb) -> Word {
    match verb {
        Verb::Pause { .. } => Word::Pause,
        Verb::Resume => Word::Resume,
        Verb::Promote { .. } => Word::Promote,
        Verb::Abort => Word::Abort,
        Verb::Undo(_) => Word::Undo,
        Verb::Retry => Word::Retry,
        Verb::SkipStep => Word::SkipStep,
        Verb::Gate { .. } => Word::Gate,
    }
}
