//! Which target may be entered next.
//!
//! The plan says who is next, the target's gate and its `maxConcurrency` say whether it lets us in.
//! Always: a request whose assigned target shuts it out is charged there and goes on; when nobody
//! lets it in, the least bad is tried once, or nobody, as the route says.

use std::time::{Duration, Instant};

use serin_proto::metric::{Ending, Role};

use super::{attempt::Attempts, rejection::Rejection};
use crate::{
    clock,
    pick::{Assigned, Plan},
    provider::client::Use,
    record::Record,
    route::WhenAllOpen,
    target::{
        Place,
        gate::{Entered, Slot},
    },
};

/// The longest wait that is named to a caller.
const RETRY_AFTER_MS_MAX: u64 = 300_000;

/// A target that let us in.
pub(super) struct Step {
    pub(super) target: usize,
    pub(super) role: Role,
    pub(super) slot: Option<Slot>,
    pub(super) place: Option<Place>,
    pub(super) which: Use,
    pub(super) entered: Instant,
    /// No target would have let us in: a failure here says nothing new.
    pub(super) last_resort: bool,
}

impl Attempts<'_> {
    /// The next target of the plan that lets us in. The assigned one is charged if it does not.
    pub(super) fn next_step(&self, plan: &mut Plan, record: &mut Record) -> Option<Step> {
        let mut diverted = None;
        while let Some((index, role)) = plan.next() {
            let now = clock::now();
            match self.enter(index, now) {
                Ok((slot, place)) => {
                    if let Some(ending) = diverted {
                        self.handed_on(record.assigned?.target, index, ending);
                    }
                    let (which, entered) = (Use::Kept, now);
                    return Some(Step {
                        target: index,
                        role,
                        slot,
                        place,
                        which,
                        entered,
                        last_resort: false,
                    });
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
    pub(super) fn again(&self, index: usize) -> Option<Step> {
        let entered = clock::now();
        let (slot, place) = self.enter(index, entered).ok()?;
        let (role, which) = (Role::Retry, Use::Fresh);
        Some(Step {
            target: index,
            role,
            slot,
            place,
            which,
            entered,
            last_resort: false,
        })
    }

    /// No target of the plan may be entered. One of them is tried all the same, the least bad, so
    /// that a route of one target is never dead while its provider may be back; or nobody is. A
    /// target that is full is no way out: it has as many requests as it can take.
    pub(super) fn last_resort(&self, assigned: Assigned) -> Result<Step, Rejection> {
        let plan = Plan::new(assigned.target, &self.fallback);
        let entered = clock::now();
        let now_ms = clock::since_start_ms(entered);
        let targets = plan
            .left()
            .filter_map(|index| Some((index, self.target(index)?)));
        let free = targets.filter(|(_, target)| !target.is_full());
        let soonest = free.min_by_key(|(_, target)| target.handle.gate.opens_again_ms());
        let (index, target) = soonest.ok_or(Rejection::TargetsFull)?;
        if self.route.when_all_open == WhenAllOpen::Reject {
            let wait_ms = target.handle.gate.opens_again_ms().saturating_sub(now_ms);
            let retry_after = Duration::from_millis(wait_ms.clamp(1_000, RETRY_AFTER_MS_MAX));
            return Err(Rejection::AllOpen { retry_after });
        }
        if target.handle.gate.is_shut() {
            return Err(Rejection::UpstreamAuthFailed);
        }
        let slot = target.handle.gate.take_probe_early();
        let place = target.handle.take_place(u32::MAX);
        let role = if index == assigned.target {
            Role::Retry
        } else {
            Role::Fallback
        };
        Ok(Step {
            target: index,
            role,
            slot,
            place,
            which: Use::Kept,
            entered,
            last_resort: true,
        })
    }

    fn enter(&self, index: usize, now: Instant) -> Result<(Option<Slot>, Option<Place>), Ending> {
        let target = self.target(index).ok_or(Ending::DivertedUnhealthy)?;
        let now_ms = clock::since_start_ms(now);
        let slot = match target.handle.gate.enter(now_ms) {
            Entered::Pass => None,
            Entered::Probe(slot) => {
                target.handle.probe_began(now_ms, &self.worker.metrics);
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

    pub(super) fn would_admit(&self, index: usize, now_ms: u64) -> bool {
        self.target(index)
            .is_some_and(|target| target.handle.gate.would_admit(now_ms) && !target.is_full())
    }

    pub(super) fn handed_on(&self, from: usize, to: usize, ending: Ending) {
        if let (Some(from), Some(to)) = (self.target(from), self.target(to)) {
            from.handle.metrics.handed_on(&to.name, ending);
        }
    }
}
