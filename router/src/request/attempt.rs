//! Tries targets until one answers or the plan is spent.
//!
//! Which target is next is the plan's to say, whether another attempt is right is `retry`'s; here
//! they are asked, and the attempt is made. An [`Opened`] has no plan any more: once content flows
//! there is nothing left to retry with.

use std::{rc::Rc, sync::Arc, time::Duration};

use actix_web::{
    HttpRequest,
    http::header::{
        ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue,
        USER_AGENT,
    },
};
use serin_proto::metric::Operation;

use super::{
    deadline::Deadline,
    incoming::Call,
    opening::{self, Expected, Opened, Refusal, Unanswered},
    rejection::Rejection,
    step::Step,
    timer::Timer,
};
use crate::{
    clock,
    pick::{Assigned, Fallback, Plan},
    provider::{
        client::{self, Outgoing},
        credential::Authorization,
        failure::Failure,
        splice::splice,
    },
    record::{Record, Running},
    retry::{self, Decision, Exhausted, Failed, Left},
    route::{Route, Target},
    worker::Worker,
};

/// What a request's attempts have in common.
pub(crate) struct Attempts<'a> {
    pub(crate) worker: Rc<Worker>,
    pub(crate) head: &'a HttpRequest,
    pub(crate) call: &'a Call,
    pub(crate) route: &'a Arc<Route>,
    /// The order of the route, without a candidate whose lease is out.
    pub(crate) fallback: Fallback,
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

/// What a request has tried, and what it may still try.
struct Chain {
    plan: Plan,
    failed: Vec<Failed>,
    retries_made: u32,
}

/// What follows a failure, if anything does.
enum Then {
    Try(Step),
    PassThrough(Refusal),
}

impl Attempts<'_> {
    /// # Errors
    /// What the caller is told when nobody answered.
    pub(crate) async fn until_answered(
        &self,
        assigned: Assigned,
        record: &mut Record,
    ) -> Result<Ended, Rejection> {
        let plan = Plan::new(assigned.target, &self.fallback);
        let mut chain = Chain {
            plan,
            failed: Vec::new(),
            retries_made: 0,
        };
        let mut step = match self.next_step(&mut chain.plan, record) {
            Some(step) => step,
            None => {
                chain.retries_made = u32::MAX; // the last resort is tried once
                self.last_resort(assigned)?
            }
        };
        loop {
            let (target, role, entered) = (step.target, step.role, step.entered);
            let unanswered = match self.attempt(step, record).await {
                Ok(opened) => return Ok(Ended::Opened(Box::new(opened))),
                Err(unanswered) => unanswered,
            };
            let (failure, retry_after) = (unanswered.failure, unanswered.retry_after);
            record.attempt_failed(&failure, retry_after);
            chain.failed.push(Failed {
                failure,
                retry_after,
            });
            let took = clock::now().duration_since(entered);
            let tried = retry::Tried {
                role,
                took,
                retry_after,
            };
            step = match self
                .then(target, &tried, unanswered, (&mut chain, record))
                .await?
            {
                Then::Try(next) => next,
                Then::PassThrough(refusal) => return Ok(Ended::PassedThrough(refusal)),
            };
        }
    }

    /// What to do now that the attempt at `target` has failed.
    async fn then(
        &self,
        target: usize,
        tried: &retry::Tried,
        unanswered: Unanswered,
        (chain, record): (&mut Chain, &mut Record),
    ) -> Result<Then, Rejection> {
        let failure = unanswered.failure;
        let now_ms = clock::since_start_ms(clock::now());
        let left = Left {
            others: chain
                .plan
                .left()
                .any(|index| self.would_admit(index, now_ms)),
            retries_made: chain.retries_made,
            time: self.deadline.left(now_ms),
        };
        let (class, draw) = (retry::after(&failure), record.worker.draws.next());
        let next = match retry::decide(class, tried, &left, &self.route.retry, draw) {
            Decision::PassThrough => {
                return unanswered
                    .refusal
                    .map(Then::PassThrough)
                    .ok_or(Rejection::UpstreamFailed);
            }
            Decision::Next => {
                let next = self.next_step(&mut chain.plan, record);
                if let Some(next) = &next {
                    self.handed_on(target, next.target, failure.ending());
                }
                next
            }
            Decision::Again { wait } if self.route.budget.withdraw() => {
                chain.retries_made += 1;
                record.backing_off(target, &failure);
                pause(wait).await;
                self.again(target)
            }
            Decision::Again { .. } | Decision::GiveUp => None,
        };
        next.map(Then::Try).ok_or_else(|| told(&chain.failed))
    }

    async fn attempt(&self, step: Step, record: &mut Record) -> Result<Opened, Unanswered> {
        let Step {
            target: index,
            role,
            slot,
            place,
            which,
            entered,
            last_resort,
        } = step;
        let Some(target) = self.target(index) else {
            return Err(Failure::Connect.into());
        };
        let running = Running::new(index, role, entered, (slot, place));
        record.attempt_began(if last_resort {
            running.blameless()
        } else {
            running
        });
        let stream = self.call.stream;
        let watch = self
            .deadline
            .attempt(clock::since_start_ms(entered), stream);
        let mut timer = Timer::new(watch, entered);
        let (outgoing, strip_usage) = self.outgoing(target).ok_or(Failure::Connect)?;
        let client = record
            .worker
            .clients
            .of(target.handle.id, target.provider.connect, which);
        record.handed_over(clock::now());
        let incoming = opening::head(client::send(&client, which, outgoing), &mut timer).await?;
        record.waiting_for_content();
        let expected = Expected {
            operation: self.operation,
            stream,
            strip_usage,
        };
        opening::first_content(incoming, timer, expected).await
    }

    /// The caller's request as this target gets it, and whether we added a wish of our own.
    fn outgoing(&self, target: &Target) -> Option<(Outgoing, bool)> {
        let provider = &target.provider;
        let wants_usage = matches!(self.operation, Operation::Chat | Operation::Completions)
            && provider.usage_in_stream;
        let body = splice(
            &self.call.body,
            &self.call.shallow,
            &target.model,
            wants_usage,
        );
        let strip_usage = body.asked_usage;
        let mut headers = Vec::with_capacity(8 + provider.headers.len());
        for name in [CONTENT_TYPE, ACCEPT] {
            pass(self.head, name, &mut headers);
        }
        pass(
            self.head,
            HeaderName::from_static("idempotency-key"),
            &mut headers,
        );
        pass(
            self.head,
            HeaderName::from_static("openai-beta"),
            &mut headers,
        );
        headers.push((HOST, provider.host.clone()));
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
        Some((
            Outgoing {
                method,
                uri,
                headers,
                body,
            },
            strip_usage,
        ))
    }

    pub(super) fn target(&self, index: usize) -> Option<&Target> {
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
