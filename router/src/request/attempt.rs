//! Tries targets until one answers or the plan is spent.
//!
//! Which target is next is the plan's to say, whether another attempt is right is `retry`'s; here
//! they are asked, and the attempt is made. An [`Opened`] has no plan any more: once content flows
//! there is nothing left to retry with.

use std::{sync::Arc, time::Duration};

use actix_web::{
    HttpRequest,
    http::header::{
        ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT,
    },
};
use serin_proto::metric::{Ending, Operation, Role};

use super::{
    deadline::Deadline,
    incoming::Call,
    opening::{self, Expected, Opened, Refusal, Unanswered},
    rejection::Rejection,
    timer::Timer,
};
use crate::{
    clock,
    pick::{Assigned, Plan},
    provider::{
        client::{self, Outgoing, Use},
        credential::Authorization,
        failure::Failure,
        splice::splice,
    },
    record::{Record, Running},
    retry::{self, Decision, Exhausted, Failed, Left},
    route::{Route, Target, WhenAllOpen},
    target::{Place, gate::{Entered, Slot}},
};

/// What a request's attempts have in common.
pub(crate) struct Attempts<'a> {
    pub(crate) head: &'a HttpRequest,
    pub(crate) call: &'a Call,
    pub(crate) route: &'a Arc<Route>,
    pub(crate) operation: Operation,
    /// What follows `/v1` in the caller's path, with its query.
    pub(crate) rest: &'a str,
    pub(crate) deadline: Deadline,
}

/// How it ended: an answer, or the provider's own word that the request is at fault.
pub(crate) enum Ended {
    Opened(Box<Opened>),
    PassedThrough(Refusal),
}

/// A target that let us in.
struct Step {
    target: usize,
    role: Role,
    slot: Option<Slot>,
    place: Option<Place>,
    which: Use,
}

impl Attempts<'_> {
    /// # Errors
    /// What the caller is told when nobody answered.
    pub(crate) async fn until_answered(
        &self,
        assigned: Assigned,
        record: &mut Record,
    ) -> Result<Ended, Rejection> {
        let mut plan = Plan::new(assigned.target, &self.route.fallback);
        let mut failed: Vec<Failed> = Vec::new();
        let mut retries_made = 0;
        let mut step = match self.next_step(&mut plan, record) {
            Some(step) => step,
            None => {
                retries_made = u32::MAX; // the last resort is tried once
                self.last_resort(assigned)?
            }
        };
        loop {
            let (target, role, began) = (step.target, step.role, clock::now());
            let unanswered = match self.attempt(step, record).await {
                Ok(opened) => return Ok(Ended::Opened(Box::new(opened))),
                Err(unanswered) => unanswered,
            };
            let Unanswered { failure, retry_after, refusal } = unanswered;
            record.attempt_failed(&failure, retry_after);
            failed.push(Failed { failure, retry_after });
            let took = began.elapsed();
            let left = Left {
                others: plan.left().any(|index| self.would_admit(index)),
                retries_made,
                time: self.deadline.left(clock::since_start_ms(clock::now())),
            };
            let tried = retry::Tried { role, took, retry_after };
            let draw = record.worker.draws.next();
            match retry::decide(retry::after(&failure), &tried, &left, &self.route.retry, draw) {
                Decision::PassThrough => {
                    let refusal = refusal.ok_or(Rejection::UpstreamFailed)?;
                    return Ok(Ended::PassedThrough(refusal));
                }
                Decision::Next => match self.next_step(&mut plan, record) {
                    Some(next) => {
                        self.handed_on(target, next.target, failure.ending());
                        step = next;
                    }
                    None => return Err(told(&failed)),
                },
                Decision::Again { wait } => {
                    if !self.route.budget.withdraw() {
                        return Err(told(&failed));
                    }
                    retries_made += 1;
                    record.backing_off(target, &failure);
                    pause(wait).await;
                    step = self.again(target).ok_or_else(|| told(&failed))?;
                }
                Decision::GiveUp => return Err(told(&failed)),
            }
        }
    }

    /// The next target of the plan that lets us in. The assigned one is charged if it does not.
    fn next_step(&self, plan: &mut Plan, record: &mut Record) -> Option<Step> {
        let mut diverted = None;
        while let Some((index, role)) = plan.next() {
            match self.enter(index) {
                Ok((slot, place)) => {
                    if let Some(ending) = diverted {
                        self.handed_on(record.assigned?.target, index, ending);
                    }
                    return Some(Step { target: index, role, slot, place, which: Use::Kept });
                }
                Err(ending) if role == Role::First => {
                    record.diverted(index, ending);
                    diverted = Some(ending);
                }
                Err(_) => {}
            }
        }
        None
    }

    /// The same target once more, over a connection of its own.
    fn again(&self, index: usize) -> Option<Step> {
        let (slot, place) = self.enter(index).ok()?;
        Some(Step { target: index, role: Role::Retry, slot, place, which: Use::Fresh })
    }

    /// No target of the plan may be entered. One of them is tried all the same, the least bad, so
    /// that a route of one target is never dead while its provider may be back; or nobody is.
    fn last_resort(&self, assigned: Assigned) -> Result<Step, Rejection> {
        let plan = Plan::new(assigned.target, &self.route.fallback);
        let targets = || plan.left().filter_map(|index| Some((index, self.target(index)?)));
        let now_ms = clock::since_start_ms(clock::now());
        let all_full = targets().all(|(_, target)| target.handle.gate.would_admit(now_ms));
        if self.route.when_all_open == WhenAllOpen::Reject {
            if all_full {
                return Err(Rejection::TargetsFull);
            }
            let soonest_ms = targets().map(|(_, target)| target.handle.gate.opens_again_ms()).min();
            let wait_ms = soonest_ms.unwrap_or(0).saturating_sub(now_ms).min(300_000);
            return Err(Rejection::AllOpen { retry_after: Duration::from_millis(wait_ms) });
        }
        let full = |target: &Target| target.handle.in_flight() >= target.concurrency_max;
        let badness = |target: &Target| (full(target), target.handle.gate.opens_again_ms());
        let least_bad = targets().min_by_key(|(_, target)| badness(target));
        let (index, target) = least_bad.ok_or(Rejection::UpstreamFailed)?;
        let slot = match target.handle.gate.force() {
            Entered::Probe(slot) => Some(slot),
            Entered::Pass | Entered::Open => None,
            Entered::Shut => return Err(Rejection::UpstreamAuthFailed),
        };
        let place = target.handle.take_place(u32::MAX);
        let role = if index == assigned.target { Role::Retry } else { Role::Fallback };
        Ok(Step { target: index, role, slot, place, which: Use::Kept })
    }

    async fn attempt(&self, step: Step, record: &mut Record) -> Result<Opened, Unanswered> {
        let Step { target: index, role, slot, place, which } = step;
        let Some(target) = self.target(index) else { return Err(Failure::Connect.into()) };
        record.attempt_began(Running::new(index, role, slot, place));
        let now = clock::now();
        let stream = self.call.shallow.stream;
        let mut timer = Timer::new(self.deadline.attempt(clock::since_start_ms(now), stream), now);
        let (outgoing, strip_usage) = self.outgoing(target).ok_or(Failure::Connect)?;
        let client = record.worker.clients.of(target.handle.id, target.provider.connect, which);
        record.handed_over(clock::now());
        let incoming = opening::head(client::send(&client, which, outgoing), &mut timer).await?;
        record.waiting_for_content();
        let expected = Expected { operation: self.operation, stream, strip_usage };
        opening::first_content(incoming, timer, expected).await
    }

    /// The caller's request as this target gets it, and whether we added a wish of our own.
    fn outgoing(&self, target: &Target) -> Option<(Outgoing, bool)> {
        let provider = &target.provider;
        let wants_usage = matches!(self.operation, Operation::Chat | Operation::Completions)
            && provider.usage_in_stream;
        let body = splice(&self.call.body, &self.call.shallow, &target.model, wants_usage);
        let strip_usage = body.asked_usage;
        let mut headers = Vec::with_capacity(8 + provider.headers.len());
        for name in [CONTENT_TYPE, ACCEPT] {
            pass(self.head, name, &mut headers);
        }
        pass(self.head, HeaderName::from_static("idempotency-key"), &mut headers);
        pass(self.head, HeaderName::from_static("openai-beta"), &mut headers);
        headers.push((USER_AGENT, HeaderValue::from_static(AGENT)));
        headers.push((ACCEPT_ENCODING, HeaderValue::from_static("identity")));
        headers.extend(provider.headers.iter().cloned());
        match provider.credential.authorization() {
            Authorization::Header(value) => headers.push((AUTHORIZATION, value)),
            Authorization::NotNeeded => {}
            Authorization::Missing => return None,
        }
        let uri = provider.uri(self.rest)?;
        let method = self.head.method().clone();
        Some((Outgoing { method, uri, headers, body }, strip_usage))
    }

    fn enter(&self, index: usize) -> Result<(Option<Slot>, Option<Place>), Ending> {
        let target = self.target(index).ok_or(Ending::DivertedUnhealthy)?;
        let now_ms = clock::since_start_ms(clock::now());
        let slot = match target.handle.gate.enter(now_ms) {
            Entered::Pass => None,
            Entered::Probe(slot) => {
                target.handle.probe_began(now_ms);
                Some(slot)
            }
            Entered::Open => return Err(Ending::DivertedOpen),
            Entered::Shut => return Err(Ending::DivertedUnhealthy),
        };
        match target.handle.take_place(target.concurrency_max) {
            Some(place) => Ok((slot, Some(place))),
            None => Err(Ending::DivertedFull), // a slot that was taken frees itself
        }
    }

    fn would_admit(&self, index: usize) -> bool {
        let now_ms = clock::since_start_ms(clock::now());
        self.target(index).is_some_and(|target| {
            target.handle.gate.would_admit(now_ms)
                && target.handle.in_flight() < target.concurrency_max
        })
    }

    fn handed_on(&self, from: usize, to: usize, ending: Ending) {
        if let (Some(from), Some(to)) = (self.target(from), self.target(to)) {
            from.handle.metrics.handed_on(&to.name, ending);
        }
    }

    fn target(&self, index: usize) -> Option<&Target> {
        self.route.targets.get(index)
    }
}

const AGENT: &str = concat!("serin/", env!("CARGO_PKG_VERSION"));

fn pass(head: &HttpRequest, name: HeaderName, headers: &mut Vec<(HeaderName, HeaderValue)>) {
    if let Some(value) = head.headers().get(&name) {
        headers.push((name, value.clone()));
    }
}

async fn pause(wait: Duration) {
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
}

fn told(failed: &[Failed]) -> Rejection {
    match retry::exhausted(failed) {
        Exhausted::Timeout => Rejection::UpstreamTimeout,
        Exhausted::RateLimited { retry_after } => Rejection::UpstreamRateLimited { retry_after },
        Exhausted::AuthFailed => Rejection::UpstreamAuthFailed,
        Exhausted::Error => Rejection::UpstreamFailed,
    }
}
