//! What one attempt holds while it runs, and how its end is counted.
//!
//! The verdict goes three ways: into the counters (who was charged), to the target's owner (may
//! others be sent there), and into the access line (what happened to this caller).

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use serin_proto::metric::{Ending, Operation, Phase, Role, TokenSource, TokenType};

use super::{Counted, Record, Tried, metrics::TargetShard};
use crate::{
    clock,
    provider::{
        failure::Failure,
        usage::{Split, Usage},
    },
    retry,
    route::Target,
    target::{
        Place,
        actor::{AttemptFailed, ProbeEnded},
        breaker::Outcome,
        gate::Slot,
    },
};

/// An attempt under way.
#[derive(Debug)]
pub(crate) struct Running {
    /// Index of the target in its route.
    pub(crate) target: usize,
    pub(crate) role: Role,
    pub(crate) started: Instant,
    first_token_after: Option<Duration>,
    slot: Option<Slot>,
    _place: Option<Place>,
    /// Tried although its breaker was open: a failure is no news and lengthens nothing.
    blameless: bool,
}

impl Running {
    /// `held`: the probe's slot if this attempt is one, and its place at the target.
    pub(crate) fn new(
        target: usize,
        role: Role,
        started: Instant,
        (slot, place): (Option<Slot>, Option<Place>),
    ) -> Self {
        Self {
            target,
            role,
            started,
            first_token_after: None,
            slot,
            _place: place,
            blameless: false,
        }
    }

    /// The same attempt as a last resort.
    pub(crate) fn blameless(self) -> Self {
        Self {
            blameless: true,
            ..self
        }
    }
}

impl Record {
    /// An attempt begins; it ends by exactly one of the calls below, or with the record.
    pub(crate) fn attempt_began(&mut self, running: Running) {
        self.attempts += 1;
        self.phase = Phase::Head;
        self.running = Some(running);
    }

    /// The assigned target could not be tried at all. It is charged; the request goes on.
    pub(crate) fn diverted(&mut self, target: usize, ending: Ending) {
        if let Some(name) = self.target(target).map(|target| Arc::clone(&target.name)) {
            let took = Duration::ZERO;
            self.tried.push(Tried {
                target: name,
                role: Role::First,
                ending,
                took,
            });
        }
        self.count_first(ending);
    }

    /// The first content is about to go out: a probe has its verdict, the first token its time.
    pub(crate) fn committed(&mut self, now: Instant) {
        let Some(running) = self.running.as_mut() else {
            return;
        };
        let after = now.duration_since(running.started);
        running.first_token_after = Some(after);
        self.first_token_after = Some(now.duration_since(self.started));
        self.served = Some(running.target);
        if let Some(slot) = running.slot.take() {
            slot.judged();
            if let Some(target) = self.running_target() {
                target.handle.probe_ended(ProbeEnded::Succeeded {
                    at_ms: clock::since_start_ms(now),
                });
            }
        }
    }

    /// The tokens of an answer of `bytes`, as reported or else as they must have been.
    pub(crate) fn count(&mut self, reported: Option<Usage>, bytes: u64) {
        let output = self.output_of(bytes);
        self.counted = Some(match reported {
            Some(usage) => Counted {
                usage,
                source: TokenSource::Reported,
            },
            None => self.estimate(output),
        });
    }

    /// What the provider must have used, though it never said so: an answer that broke off, or that
    /// nobody waited for, is paid for too.
    pub(crate) fn estimate(&self, output: u64) -> Counted {
        let usage = Usage {
            output,
            ..Usage::estimate(self.bytes_in, 0)
        };
        Counted {
            usage,
            source: TokenSource::Estimated,
        }
    }

    /// About how many output tokens an answer of `bytes` has. Embeddings have none.
    pub(crate) fn output_of(&self, bytes: u64) -> u64 {
        if self.operation == Operation::Embeddings {
            0
        } else {
            Usage::estimate(0, bytes).output
        }
    }

    /// The attempt failed, before the first content or after it.
    pub(crate) fn attempt_failed(&mut self, failure: &Failure, retry_after: Option<Duration>) {
        let now = clock::now();
        self.blame(failure, retry_after, now);
        self.attempt_ended(failure.ending(), now);
    }

    /// The attempt brought a whole answer, at `now`.
    pub(crate) fn attempt_succeeded(&mut self, now: Instant) {
        if let Some(target) = self.running_target() {
            target.handle.succeeded();
        }
        self.attempt_ended(Ending::Success, now);
    }

    /// Counts the end of the running attempt and gives back what it held.
    pub(super) fn attempt_ended(&mut self, ending: Ending, now: Instant) {
        self.count_tokens(ending == Ending::Success, now);
        let Some(running) = self.running.take() else {
            return;
        };
        let took = now.duration_since(running.started);
        let arm = self.arm();
        if let Some(shard) = self.shard(running.target) {
            let timed_out = matches!(
                ending,
                Ending::TimeoutConnect
                    | Ending::TimeoutFirstToken
                    | Ending::TimeoutIdle
                    | Ending::TimeoutTotal
            );
            // Fast failures would make a broken target look fast; a hanging one must look slow.
            if ending == Ending::Success || timed_out {
                shard.took(arm, running.role, took);
            }
            if self.stream {
                // A hang is one whichever limit ended it; no connection is another matter.
                let hung = timed_out && ending != Ending::TimeoutConnect;
                let after = running.first_token_after.or(hung.then_some(took));
                if let Some(after) = after.filter(|_| ending == Ending::Success || hung) {
                    shard.first_token_after(arm, running.role, after);
                }
            }
            if running.role != Role::First {
                shard.ended(arm, running.role, ending);
            }
        }
        if running.role == Role::First {
            self.count_first(ending);
        }
        if let Some(name) = self
            .target(running.target)
            .map(|target| Arc::clone(&target.name))
        {
            self.tried.push(Tried {
                target: name,
                role: running.role,
                ending,
                took,
            });
        }
    }

    /// Counts role `first`, once, at the target the request was assigned to.
    pub(super) fn count_first(&mut self, ending: Ending) {
        let Some(assigned) = self.assigned.filter(|_| self.first_open) else {
            return;
        };
        self.first_open = false;
        if let Some(shard) = self.shard(assigned.target) {
            shard.ended(assigned.arm, Role::First, ending);
            if self.is_sample {
                shard.samples[assigned.arm as usize][ending as usize].fetch_add(1, Relaxed);
            }
        }
    }

    /// Tells the target's owner, and settles the probe if this was one.
    fn blame(&mut self, failure: &Failure, retry_after: Option<Duration>, now: Instant) {
        let Some(running) = self.running.as_mut() else {
            return;
        };
        if running.blameless {
            running.slot = None; // back to where it was, without a verdict
            return;
        }
        let (slot, sent_for) = (running.slot.take(), now.duration_since(running.started));
        // Only who says "not now" says for how long; a wait named with another failure is about limits.
        let asked = match failure {
            Failure::Status {
                code: 503 | 529, ..
            } => retry_after,
            _ => None,
        };
        let outcome = retry::after(failure).blame.outcome(Some(sent_for), asked);
        let at_ms = clock::since_start_ms(now);
        let draw = self.worker.draws.next();
        let Some(target) = self.running_target() else {
            return;
        };
        let successes = target.handle.successes();
        let failed = AttemptFailed {
            outcome,
            successes,
            at_ms,
            draw,
        };
        match (slot, outcome) {
            // Nobody knows how the target is: the slot frees itself, the next request probes.
            (_, Outcome::CallerLeft) | (None, Outcome::CallerFault | Outcome::Success) => {}
            (Some(slot), Outcome::CallerFault | Outcome::Success) => {
                slot.judged();
                target.handle.probe_ended(ProbeEnded::Succeeded { at_ms });
            }
            (Some(slot), _) => {
                slot.judged();
                target.handle.probe_ended(ProbeEnded::Failed(failed));
            }
            (None, _) => target.handle.failed(failed, &self.worker.metrics),
        }
    }

    fn count_tokens(&mut self, success: bool, now: Instant) {
        let (Some(running), Some(counted)) = (&self.running, self.counted) else {
            return;
        };
        let Some(target) = self.target(running.target) else {
            return;
        };
        let split = counted.usage.split();
        let arm = self.arm();
        let cost = target
            .prices
            .as_ref()
            .and_then(|prices| prices.cost(&split));
        if let Some(shard) = target.handle.metrics.shard(self.worker.index) {
            add_tokens(shard, arm as usize, counted, &split);
            if let Some(cost) = cost {
                shard.cost_nano_usd[arm as usize].fetch_add(cost.0, Relaxed);
            }
            let output = split.output + split.reasoning;
            let since_first = running
                .first_token_after
                .map(|after| now.duration_since(running.started).saturating_sub(after));
            if let Some(since_first) = since_first.filter(|_| success && self.stream && output >= 2)
            {
                let gaps = u32::try_from(output - 1).unwrap_or(u32::MAX);
                shard.per_output_token(arm, running.role, since_first / gaps);
            }
            if success && running.role == Role::First {
                observe_first(shard, arm as usize, output, cost.map(|cost| cost.0));
            }
        }
        self.cost = cost;
    }

    fn running_target(&self) -> Option<&Target> {
        self.running
            .as_ref()
            .and_then(|running| self.target(running.target))
    }

    fn target(&self, index: usize) -> Option<&Target> {
        self.route
            .as_ref()
            .and_then(|route| route.targets.get(index))
    }

    pub(super) fn shard(&self, target: usize) -> Option<&TargetShard> {
        self.target(target)
            .and_then(|target| target.handle.metrics.shard(self.worker.index))
    }
}

fn add_tokens(shard: &TargetShard, arm: usize, counted: Counted, split: &Split) {
    let source = match counted.source {
        TokenSource::Reported => 0,
        TokenSource::Estimated => 1,
    };
    for (kind, count) in [
        (TokenType::Input, split.input),
        (TokenType::CachedInput, split.cached_input),
        (TokenType::Output, split.output),
        (TokenType::Reasoning, split.reasoning),
    ] {
        if count > 0 {
            shard.tokens[arm][kind as usize][source].fetch_add(count, Relaxed);
        }
    }
}

fn observe_first(shard: &TargetShard, arm: usize, output: u64, cost_nano_usd: Option<u64>) {
    use serin_proto::metric::family;
    shard.output_tokens[arm].observe(family::OUTPUT_TOKENS.buckets, output as f64, output);
    if let Some(nano) = cost_nano_usd {
        let usd = nano as f64 / 1e9;
        shard.request_cost[arm].observe(family::REQUEST_COST.buckets, usd, nano);
    }
}
