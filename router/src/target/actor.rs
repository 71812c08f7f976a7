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
use serin_proto::{
    metric::{Arm, BreakerState},
    unit::Share,
};

use super::{
    Handle,
    breaker::{Breaker, Event, Outcome, Policy, State},
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
    pub(crate) arm: Arm,
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
            arm,
            credential,
        } = renewed;
        handle.metrics.arms[arm as usize].store(true, Relaxed);
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
        let successes = self.handle.successes();
        if successes != self.successes_seen {
            self.successes_seen = successes;
            self.breaker
                .after(Event::Attempt(Outcome::Success), failed.at_ms, failed.draw);
        }
        self.breaker
            .after(Event::Attempt(failed.outcome), failed.at_ms, failed.draw);
    }

    fn published(&self) -> Published {
        if matches!(self.credential.authorization(), Authorization::Missing) {
            return Published::Shut;
        }
        match self.breaker.state() {
            State::Open { until_ms, .. } => Published::Open { until_ms },
            State::Closed { .. } => Published::Closed,
            // The probe's caller left without a verdict, or this loses against the probe that is
            // out: silence is no success, and the next request is the next probe.
            State::HalfOpen => Published::Open { until_ms: 0 },
        }
    }

    fn told(&self, before: BreakerState) {
        let (gate, metrics) = (&self.handle.gate, &self.handle.metrics);
        let now = gate.state();
        let flows = now == BreakerState::Closed;
        metrics.weight.store(
            if flows {
                self.weight.hundredths().into()
            } else {
                0
            },
            Relaxed,
        );
        metrics.up.store(!gate.is_shut(), Relaxed);
        if before != now {
            metrics.breaker_transitions[now as usize].fetch_add(1, Relaxed);
            let (route, target) = (&self.handle.identity.route, &self.handle.identity.target);
            tracing::warn!(%route, %target, from = before.as_str(), to = now.as_str(), "breaker changed");
        }
    }
}

impl Actor for Target {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MESSAGES_WAITING_MAX);
        self.handle.gate.publish(self.published());
        self.told(BreakerState::Closed);
        context.run_interval(CREDENTIAL_EVERY, |target, _| target.look_at_credential());
    }
}

impl Target {
    /// A rotated secret ends what its predecessor's refusal began.
    fn look_at_credential(&mut self) {
        let before = self.handle.gate.state();
        match self.credential.read_again() {
            Ok(false) => return,
            Ok(true) => {
                self.breaker = Breaker::new(self.policy, clock::since_start_ms(clock::now()));
            }
            Err(_) => {}
        }
        self.handle.gate.publish(self.published());
        self.told(before);
    }
}

impl Handler<AttemptFailed> for Target {
    type Result = ();

    fn handle(&mut self, failed: AttemptFailed, _: &mut Self::Context) {
        let before = self.handle.gate.state();
        self.after(&failed);
        self.handle.gate.publish(self.published());
        self.told(before);
    }
}

impl Handler<ProbeBegan> for Target {
    type Result = ();

    fn handle(&mut self, began: ProbeBegan, _: &mut Self::Context) {
        self.breaker.after(Event::ProbeBegan, began.at_ms, 0);
        self.told(BreakerState::Open);
    }
}

impl Handler<ProbeEnded> for Target {
    type Result = ();

    fn handle(&mut self, ended: ProbeEnded, _: &mut Self::Context) {
        match ended {
            ProbeEnded::Succeeded { at_ms } => {
                self.breaker.after(Event::Probe(Outcome::Success), at_ms, 0);
            }
            ProbeEnded::Failed(failed) => {
                self.breaker
                    .after(Event::Probe(failed.outcome), failed.at_ms, failed.draw);
            }
        }
        self.handle.gate.publish_verdict(self.published());
        self.told(BreakerState::HalfOpen);
    }
}

impl Handler<Renewed> for Target {
    type Result = ();

    fn handle(&mut self, renewed: Renewed, _: &mut Self::Context) {
        let before = self.handle.gate.state();
        self.handle.metrics.arms[renewed.arm as usize].store(true, Relaxed);
        self.breaker.set_policy(renewed.policy);
        (self.policy, self.weight, self.credential) =
            (renewed.policy, renewed.weight, renewed.credential);
        self.handle.gate.publish(self.published());
        self.told(before);
    }
}

impl Handler<Retired> for Target {
    type Result = ();

    fn handle(&mut self, _: Retired, context: &mut Self::Context) {
        actix::ActorContext::stop(context);
    }
}
