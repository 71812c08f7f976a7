//! One upstream model route: may we send there?
//!
//! The [`actor`] owns health, breaker and weight; the [`gate`] is what it publishes and what every
//! request reads. A request tells facts and never waits for an answer. A [`Handle`] is carried from
//! snapshot to snapshot while provider, address and model stay the same, so a change of weight
//! never resets a breaker.

pub(crate) mod actor;
pub(crate) mod breaker;
pub(crate) mod gate;

use std::sync::{
    Arc, OnceLock,
    atomic::{
        AtomicU32, AtomicU64,
        Ordering::{AcqRel, Acquire, Relaxed},
    },
};

use actix::{Addr, prelude::SendError};
use serin_proto::metric::ActorKind;

use crate::{
    record::metrics::{Metrics, TargetMetrics},
    target::{
        actor::{AttemptFailed, ProbeBegan, ProbeEnded, Target},
        gate::Gate,
    },
};

/// What makes a target the same target: change any of it and its state starts anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) route: Arc<str>,
    pub(crate) target: Arc<str>,
    pub(crate) provider: String,
    pub(crate) base_url: String,
    pub(crate) model: String,
}

/// What requests hold of a target.
#[derive(Debug)]
pub(crate) struct Handle {
    /// Never used twice in a process: workers keep their clients by it.
    pub(crate) id: u64,
    pub(crate) identity: Identity,
    pub(crate) gate: Gate,
    in_flight: AtomicU32,
    /// Attempts that succeeded so far: the actor reads it to tell whether failures were in a row.
    successes: AtomicU64,
    pub(crate) metrics: Arc<TargetMetrics>,
    actor: OnceLock<Addr<Target>>,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl Handle {
    pub(crate) fn new(identity: Identity, metrics: Arc<TargetMetrics>) -> Self {
        let gate = Gate::default();
        metrics.counted_by(&gate);
        Self {
            id: NEXT_ID.fetch_add(1, Relaxed),
            identity,
            gate,
            in_flight: AtomicU32::new(0),
            successes: AtomicU64::new(0),
            metrics,
            actor: OnceLock::new(),
        }
    }

    /// Who owns this target's state. Set once, before the first request sees the handle.
    pub(crate) fn owned_by(&self, actor: Addr<Target>) {
        // A second owner would be a bug of the watcher; the first one stays.
        let _ = self.actor.set(actor);
    }

    pub(crate) fn actor(&self) -> Option<&Addr<Target>> {
        self.actor.get()
    }

    pub(crate) fn succeeded(&self) {
        self.successes.fetch_add(1, Relaxed);
    }

    pub(crate) fn successes(&self) -> u64 {
        self.successes.load(Relaxed)
    }

    /// Tells the owner of a failure. What does not fit its mailbox is counted: the breaker is open
    /// by then anyway.
    pub(crate) fn failed(&self, failed: AttemptFailed, metrics: &Metrics) {
        let sent = self
            .actor
            .get()
            .map_or(Ok(()), |actor| actor.try_send(failed));
        count_lost(&sent, metrics);
    }

    /// Tells the owner that the probe's slot was taken. Its verdict counts even if this is lost.
    pub(crate) fn probe_began(&self, at_ms: u64, metrics: &Metrics) {
        let began = ProbeBegan { at_ms };
        let sent = self
            .actor
            .get()
            .map_or(Ok(()), |actor| actor.try_send(began));
        count_lost(&sent, metrics);
    }

    /// Tells the owner how its one probe ended. There is one at a time, so its queue stays bounded,
    /// and it must not be lost, or the breaker would stay half-open.
    pub(crate) fn probe_ended(&self, ended: ProbeEnded) {
        if let Some(actor) = self.actor.get() {
            actor.do_send(ended);
        }
    }

    /// Takes one of `max` places, if there is one.
    pub(crate) fn take_place(self: &Arc<Self>, max: u32) -> Option<Place> {
        let before = self.in_flight.fetch_add(1, AcqRel);
        let place = Place {
            handle: Arc::clone(self),
        };
        if before < max { Some(place) } else { None } // the place gives itself back
    }

    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Acquire)
    }
}

/// One request in flight at a target.
#[derive(Debug)]
pub(crate) struct Place {
    handle: Arc<Handle>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.handle.in_flight.fetch_sub(1, AcqRel);
    }
}

/// A target that is gone has nobody to tell; only a full mailbox is a loss.
fn count_lost<M>(sent: &Result<(), SendError<M>>, metrics: &Metrics) {
    if matches!(sent, Err(SendError::Full(_))) {
        metrics.process.dropped(ActorKind::Target);
    }
}
