//! The owner of one target's state: breaker, weight, credential.
//!
//! Its handlers are three lines: call the pure function, publish, pass on the effects. Nobody waits
//! for it. Successes are not told to it at all: it reads their count when a failure makes it ask
//! whether failures came in a row.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use actix::{Actor, AsyncContext as _, Context, Handler, Message};
use serin_proto::unit::Share;

use super::{
    Handle,
    breaker::{Breaker, Effects, Event, Outcome, Policy, State},
    gate::Published,
};
use crate::{
    clock,
    provider::credential::{Authorization, Credential},
};

/// Messages that may wait; what exceeds it is counted by the sender.
const MESSAGES_WAITING_MAX: usize = 1_024;
/// Time between two looks at a credential.
const CREDENTIAL_EVERY: Duration = Duration::from_secs(1);

/// An attempt went wrong in a way that the target is blamed for.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct AttemptFailed {
    pub(crate) outcome: Outcome,
    /// Successes there were when it failed: read later, they would count as having come before.
    pub(crate) successes: u64,
    /// When, in milliseconds since the process started.
    pub(crate) at_ms: u64,
    /// For the jitter of the open time.
    pub(crate) draw: u64,
}

/// A request has taken the slot of the one probe.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct ProbeBegan {
    pub(crate) at_ms: u64,
}

/// The one probe of a half-open breaker has its verdict.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) enum ProbeEnded {
    Succeeded { at_ms: u64 },
    Failed(AttemptFailed),
}

/// A new snapshot names this target.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Renewed {
    pub(crate) policy: Policy,
    pub(crate) weight: Share,
    pub(crate) credential: Arc<Credential>,
}

/// No snapshot names this target any more.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Retired;

/// One upstream model route.
pub(crate) struct Target {
    handle: Arc<Handle>,
    breaker: Breaker,
    policy: Policy,
    weight: Share,
    credential: Arc<Credential>,
    /// Successes there were when the last failure came.
    successes_seen: u64,
}

impl Target {
    pub(crate) fn new(handle: Arc<Handle>, renewed: Renewed) -> Self {
        let Renewed {
            policy,
            weight,
            credential,
        } = renewed;
        let breaker = Breaker::new(policy, clock::since_start_ms(clock::now()));
        Self {
            handle,
            breaker,
            policy,
            weight,
            credential,
            successes_seen: 0,
        }
    }

    /// The breaker hears of the successes since the last failure, then of this one.
    fn after(&mut self, failed: &AttemptFailed) {
        if failed.successes != self.successes_seen {
            self.successes_seen = failed.successes;
            self.breaker
                .after(Event::Attempt(Outcome::Success), failed.at_ms, failed.draw);
        }
        let attempt = Event::Attempt(failed.outcome);
        let effects = self.breaker.after(attempt, failed.at_ms, failed.draw);
        self.tell(effects);
    }

    fn published(&self) -> Published {
        if matches!(self.credential.authorization(), Authorization::Missing) {
            return Published::Shut;
        }
        match self.breaker.state() {
            // The gate says half-open by itself while a probe is out. Said here, it would be closed
            // for good to a breaker that waits for a verdict.
            State::Open { until_ms, .. } | State::HalfOpen { until_ms } => {
                Published::Open { until_ms }
            }
            State::Closed { .. } => Published::Closed,
        }
    }

    /// Counts and logs what the breaker did.
    fn tell(&self, effects: Effects) {
        let (route, target) = (&self.handle.identity.route, &self.handle.identity.target);
        if let Some(to) = effects.moved_to {
            self.handle.metrics.breaker_transitions[to as usize].fetch_add(1, Relaxed);
            tracing::warn!(%route, %target, to = to.as_str(), "breaker changed");
        }
        if effects.alarm {
            tracing::error!(%route, %target, "provider refuses our credential or credit");
        }
    }

    /// What the gauges show follows from the gate.
    fn show(&self) {
        let (gate, metrics) = (&self.handle.gate, &self.handle.metrics);
        let weight = if gate.is_closed() {
            self.weight.hundredths()
        } else {
            0
        };
        metrics.weight.store(weight.into(), Relaxed);
        metrics.up.store(!gate.is_shut(), Relaxed);
    }
}

impl Actor for Target {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MESSAGES_WAITING_MAX);
        self.handle.gate.publish(self.published());
        self.show();
        context.run_interval(CREDENTIAL_EVERY, |target, _| target.look_at_credential());
    }
}

impl Target {
    /// A rotated secret ends what its predecessor's refusal began.
    fn look_at_credential(&mut self) {
        match self.credential.read_again() {
            Ok(false) => return,
            Ok(true) => {
                self.breaker = Breaker::new(self.policy, clock::since_start_ms(clock::now()));
            }
            Err(_) => {}
        }
        self.handle.gate.publish(self.published());
        self.show();
    }
}

impl Handler<AttemptFailed> for Target {
    type Result = ();

    fn handle(&mut self, failed: AttemptFailed, _: &mut Self::Context) {
        self.after(&failed);
        self.handle.gate.publish(self.published());
        self.show();
    }
}

impl Handler<ProbeBegan> for Target {
    type Result = ();

    fn handle(&mut self, began: ProbeBegan, _: &mut Self::Context) {
        let effects = self.breaker.after(Event::ProbeBegan, began.at_ms, 0);
        self.tell(effects);
        self.show();
    }
}

impl Handler<ProbeEnded> for Target {
    type Result = ();

    fn handle(&mut self, ended: ProbeEnded, _: &mut Self::Context) {
        let (outcome, at_ms, draw) = match ended {
            ProbeEnded::Succeeded { at_ms } => (Outcome::Success, at_ms, 0),
            ProbeEnded::Failed(failed) => (failed.outcome, failed.at_ms, failed.draw),
        };
        let effects = self.breaker.after(Event::Probe(outcome), at_ms, draw);
        self.tell(effects);
        self.handle.gate.publish_verdict(self.published());
        self.show();
    }
}

impl Handler<Renewed> for Target {
    type Result = ();

    fn handle(&mut self, renewed: Renewed, _: &mut Self::Context) {
        if !Arc::ptr_eq(&self.credential, &renewed.credential) {
            // What the old credential was refused for says nothing of the new one.
            self.breaker = Breaker::new(renewed.policy, clock::since_start_ms(clock::now()));
        }
        self.breaker.set_policy(renewed.policy);
        (self.policy, self.weight, self.credential) =
            (renewed.policy, renewed.weight, renewed.credential);
        self.handle.gate.publish(self.published());
        self.show();
    }
}

impl Handler<Retired> for Target {
    type Result = ();

    fn handle(&mut self, _: Retired, context: &mut Self::Context) {
        actix::ActorContext::stop(context);
    }
}
