//! One step of a rollout, one transaction: route, state, record, letters and audit, or nothing.
//!
//! ```text
//!   IF    we still lead (the controller alone; verbs of people need no leader)
//!     AND state and route are as they were read AND the next record is nobody's
//!   THEN  route (if its traffic becomes another), state, history/<seq>, outbox/<seq>-<n>, audit
//! ```
//! A step without a transition writes the state alone, under the same guards. Who loses reads again
//! and decides again. Where the store cannot say what became of it, the record with our nonce is
//! the receipt: whatever was sent before and after it excludes the other by these guards.

use serin_proto::{
    document::Document,
    key::{DocumentKey, Kind, StoreKey},
    unit::Revision,
    v1,
};
use serin_store::{Compare, Entry, Error, Key, Op, Outcome, Store, Txn};
use time::OffsetDateTime;

use super::{
    event::{Effect, Step},
    outbox::Letter,
    plan::{AnalysisPlan, Plan},
    record::{self, Record, Said},
    state::{BYTES_MAX, State},
    traffic,
};
use crate::{
    auth::{Actor, Role, Via},
    change::{Difference, Refusal, audit},
    clock,
    leader::Fence,
    plane::Plane,
};

/// What the controller is called in audits and histories.
pub(crate) const CONTROLLER: &str = "controller";

/// A route and its newest rollout as they were read.
#[derive(Clone, Debug)]
pub(crate) struct Current {
    /// `None`: there is none, or none that can be read.
    pub(crate) route: Option<v1::Route>,
    /// 0: there is none.
    pub(crate) route_revision: Revision,
    pub(crate) state: Option<State>,
    /// 0: there is none.
    pub(crate) state_revision: Revision,
    /// No older than both.
    pub(crate) as_of: Revision,
}

impl Current {
    /// Reads both, linearizably; they need not be of one revision, as both are guarded.
    ///
    /// # Errors
    /// [`Refusal::Unreadable`] for a state that is none; the store's.
    pub(crate) async fn read(store: &dyn Store, route: &str) -> Result<Self, Refusal> {
        let (state, _) = store.get(&state_key(route)).await?;
        let (entry, as_of) = store.get(&route_key(route)).await?;
        let route = entry.as_ref().and_then(|entry| {
            match Document::read_tolerant(Kind::Route, &entry.value)
                .ok()?
                .document
            {
                Document::Route(route) => Some(route),
                _ => None,
            }
        });
        Ok(Self {
            route,
            route_revision: entry.map(|entry| entry.mod_revision).unwrap_or_default(),
            state: state.as_ref().map(read_state).transpose()?,
            state_revision: state.map(|entry| entry.mod_revision).unwrap_or_default(),
            as_of,
        })
    }

    /// The rollout that has not ended.
    pub(crate) fn running(&self) -> Option<&State> {
        self.state
            .as_ref()
            .filter(|state| !state.phase.is_terminal())
    }
}

/// # Errors
/// [`Refusal::Unreadable`]
pub(crate) fn read_state(entry: &Entry) -> Result<State, Refusal> {
    serde_json::from_slice(&entry.value).map_err(|error| Refusal::Unreadable {
        revision: entry.mod_revision,
        why: format!("the rollout's state: {error}"),
    })
}

/// What steps come to, as it is to be written.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// Without fence and receipt.
    pub(crate) compares: Vec<Compare>,
    pub(crate) ops: Vec<Op>,
    /// For the audit; empty: there is nothing to tell.
    pub(crate) changes: Vec<Difference>,
    pub(crate) state: State,
    pub(crate) effects: Vec<Effect>,
    /// The newest record's key and nonce.
    receipt: Option<(Key, String)>,
}

/// Prepares steps that follow each other; the last one's state is written. `before`: the state that
/// the first of them follows in the history; `live`: the route's traffic with what else changes of
/// it in the same breath.
///
/// # Errors
/// [`Refusal::TooLarge`]: the state is.
pub(crate) fn prepare(
    current: &Current,
    before: Option<&State>,
    live: Option<&v1::Traffic>,
    steps: Vec<Step>,
    said: &Said,
) -> Result<Prepared, Refusal> {
    let nothing = || Refusal::Internal("no step is to be written".to_owned());
    let route = steps.first().map(|step| step.state.route.clone());
    let route = route.ok_or_else(nothing)?;
    let mut all = Prepared {
        compares: vec![
            Compare::ModRevision(state_key(&route), current.state_revision),
            Compare::ModRevision(route_key(&route), current.route_revision),
        ],
        ops: Vec::new(),
        changes: Vec::new(),
        state: before
            .or(steps.first().map(|step| &step.state))
            .cloned()
            .ok_or_else(nothing)?,
        effects: Vec::new(),
        receipt: None,
    };
    let mut before = before.cloned();
    for step in steps {
        let (state, effects) = (step.state.clone(), step.effects.clone());
        let (state, effects) = match record::write(before.as_ref(), step, said.clone()) {
            Some(written) => {
                all.record(&route, before.as_ref(), &written.record, &written.state);
                (written.state, written.effects)
            }
            None => (state, effects),
        };
        all.letters(&state, &effects, said.at);
        let asked = |effect: &Effect| matches!(effect, Effect::Ask { .. });
        all.effects.extend(effects.into_iter().filter(asked));
        before = Some(state.clone());
        all.state = state;
    }
    if all.receipt.is_some() {
        all.traffic(current, live);
    }
    all.keep_state(&route)?;
    Ok(all)
}

impl Prepared {
    fn record(&mut self, route: &str, before: Option<&State>, record: &Record, after: &State) {
        let key = StoreKey::RolloutRecord {
            route: route.to_owned(),
            seq: after.seq,
        };
        let at = Key::from(&key);
        let absent = Revision::default();
        self.compares
            .push(Compare::CreateRevision(at.clone(), absent));
        self.ops
            .push(Op::Put(at.clone(), record.bytes().into(), None));
        self.changes.push(Difference {
            key: key.to_string(),
            before: before.map(told),
            after: Some(told(after)),
        });
        self.receipt = Some((at, record.nonce.clone()));
    }

    fn letters(&mut self, state: &State, effects: &[Effect], at: u64) {
        let plan = Plan::compile(&state.plan).map(|plan| plan.analysis);
        let Ok(plan) = plan else { return };
        for effect in effects {
            if let Some((key, letter)) = letter(state, effect, &plan, at) {
                self.ops.push(Op::Put(key, letter.bytes(), None));
            }
        }
    }

    /// The route, if its traffic becomes another.
    fn traffic(&mut self, current: &Current, live: Option<&v1::Traffic>) {
        let Some(route) = &current.route else {
            return;
        };
        let before = route.traffic.clone().unwrap_or_default();
        let wanted = traffic::wanted(&self.state, live.unwrap_or(&before));
        if wanted == before {
            return;
        }
        let json = |traffic: &v1::Traffic| serde_json::to_value(traffic).ok();
        self.changes.push(Difference {
            key: document_key(&self.state.route).to_string(),
            before: json(&before),
            after: json(&wanted),
        });
        let route = Document::Route(v1::Route {
            traffic: Some(wanted),
            ..route.clone()
        });
        let key = route_key(&self.state.route);
        self.ops.push(Op::Put(key, route.to_json().into(), None));
    }

    fn keep_state(&mut self, route: &str) -> Result<(), Refusal> {
        let bytes = serde_json::to_vec(&self.state);
        let bytes = bytes.map_err(|bad| Refusal::Internal(bad.to_string()))?;
        // What has ended grows no more, and an end is never refused for its size.
        if bytes.len() > BYTES_MAX && !self.state.phase.is_terminal() {
            let most = BYTES_MAX / 1024;
            let why = format!(
                "the rollout's state is {} bytes long, at most {most} KiB",
                bytes.len()
            );
            return Err(Refusal::TooLarge(why));
        }
        self.ops.push(Op::Put(state_key(route), bytes.into(), None));
        Ok(())
    }
}

fn letter(state: &State, effect: &Effect, plan: &AnalysisPlan, at: u64) -> Option<(Key, Letter)> {
    let Effect::Deliver { n, message } = effect else {
        return None;
    };
    let key = StoreKey::RolloutOutbox {
        route: state.route.clone(),
        seq: message.at.seq,
        n: *n,
    };
    Some((Key::from(&key), Letter::of(message.clone(), plan, at)?))
}

/// A state as audit records show it.
fn told(state: &State) -> serde_json::Value {
    let mut told = serde_json::json!({
        "rolloutId": state.rollout_id,
        "seq": state.seq.to_string(),
        "candidate": state.candidate.target,
        "step": state.step,
        "share": state.share,
        "pauseReasons": state.pause_reasons,
    });
    let phase = serde_json::to_value(state.phase);
    if let (Some(told), Ok(serde_json::Value::Object(phase))) = (told.as_object_mut(), phase) {
        told.extend(phase);
    }
    told
}

/// What became of a step of the controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Committed {
    Done(Revision),
    /// Something moved: read and decide again.
    Again,
    /// Nobody knows whether a tick was written: its time may be in the state already.
    Unsure,
    /// Another leads.
    Fenced,
}

/// Writes a step of the controller.
///
/// # Errors
/// What the store refuses for certain.
pub(crate) async fn commit(
    plane: &Plane,
    fence: Fence,
    prepared: &Prepared,
    at: OffsetDateTime,
) -> Result<Committed, Refusal> {
    let mut compares = vec![fence.compare()];
    compares.extend(prepared.compares.iter().cloned());
    let mut ops = prepared.ops.clone();
    if !prepared.changes.is_empty() {
        ops.push(audit(plane, prepared, at)?);
    }
    let receipt = prepared.receipt.as_ref().map(|(key, _)| key.clone());
    let txn = Txn {
        compares,
        ops,
        receipt,
    };
    txn.check()?;
    if !plane.room.may_ask(clock::now()) {
        return Err(Refusal::StoreFull);
    }
    let outcome = plane.store.txn(txn).await;
    let is_full = matches!(outcome, Err(Error::Full(_)));
    plane.room.told(is_full, clock::now());
    match outcome {
        Ok(Outcome::Committed(revision)) => Ok(Committed::Done(revision)),
        Ok(Outcome::Conflict { now, .. }) => {
            let seat = Key::from(&StoreKey::Election);
            let seat = now.iter().find(|entry| entry.key == seat);
            let holder = seat.map(|entry| entry.create_revision);
            let ours = holder.map(|holder| Compare::CreateRevision(election(), holder));
            if ours != Some(fence.compare()) {
                return Ok(Committed::Fenced);
            }
            Ok(own(&now, prepared))
        }
        Err(Error::Unknown { why, .. }) => {
            let (route, seq) = (&prepared.state.route, prepared.state.seq);
            tracing::warn!(route, seq, why, "outcome of a rollout's step is unknown");
            let Some((key, _)) = &prepared.receipt else {
                return Ok(Committed::Unsure);
            };
            let (entry, _) = plane.store.get(key).await?;
            Ok(own(entry.as_slice(), prepared))
        }
        Err(error) => Err(error.into()),
    }
}

fn election() -> Key {
    Key::from(&StoreKey::Election)
}

/// Whether our record is among these entries.
fn own(entries: &[Entry], prepared: &Prepared) -> Committed {
    let receipt = prepared.receipt.as_ref();
    let found = receipt.and_then(|(key, nonce)| {
        let entry = entries.iter().find(|entry| entry.key == *key)?;
        let record: Record = serde_json::from_slice(&entry.value).ok()?;
        (record.nonce == *nonce).then_some(entry.mod_revision)
    });
    found.map_or(Committed::Again, Committed::Done)
}

fn audit(plane: &Plane, prepared: &Prepared, at: OffsetDateTime) -> Result<Op, Refusal> {
    let id = plane.ulids.next();
    let controller = Actor {
        name: CONTROLLER.to_owned(),
        role: Role::Operator,
        via: Via::Auto,
    };
    let asked = crate::change::Asked::default();
    let differences = audit::Differences::Many {
        changes: prepared.changes.clone(),
    };
    let record = audit::record(
        (&id, at),
        &controller,
        &asked,
        audit::Verb::Step,
        &differences,
    )?;
    plane
        .metrics
        .audited("rollouts", audit::Verb::Step.as_str());
    let key = Key::from(&StoreKey::Audit(id));
    Ok(Op::Put(key, record.into(), None))
}

/// Where a route's newest rollout stands.
pub(crate) fn state_key(route: &str) -> Key {
    Key::from(&StoreKey::RolloutState(route.to_owned()))
}

fn route_key(route: &str) -> Key {
    Key::from(&document_key(route))
}

fn document_key(route: &str) -> DocumentKey {
    DocumentKey {
        kind: Kind::Route,
        name: route.to_owned(),
    }
}
