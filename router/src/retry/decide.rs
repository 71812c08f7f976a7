//! What now: the same target again, the next one, or an answer to the caller?
//!
//! A next target is always better than the same one again, and needs neither budget nor haste. The
//! same target gets another try only if no other can take the request, if the attempt failed fast,
//! and if the wait fits into what is left of the deadline.
//! Not here: what a failure means (`classify.rs`); the retry budget, which the caller asks when the
//! answer is `Again` (`budget.rs`); whether another target is eligible.

use std::time::Duration;

use serin_proto::metric::Role;

use super::backoff::wait;
use super::classify::{Again, Class};

/// An attempt that took longer has used up its target's second chance.
const FAST_FAILURE: Duration = Duration::from_secs(1);

/// The longest `Retry-After` of a 429 that is worth waiting for.
const RATE_LIMIT_WAIT_MAX: Duration = Duration::from_secs(1);

/// A route's `retry` block, as far as it is needed here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Further tries at the same target in one request.
    pub attempts: u32,
    pub backoff: Duration,
    pub max_backoff: Duration,
}

/// The attempt that has just failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tried {
    pub role: Role,
    pub took: Duration,
    /// What the provider asked for (`retry_after`).
    pub retry_after: Option<Duration>,
}

/// What is left to the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    /// Another target of the plan is eligible now.
    pub others: bool,
    /// How many attempts of role `retry` were made. Those at the last resort (`tryLeastBad`) get
    /// none: say `u32::MAX`.
    pub retries_made: u32,
    /// Time to the deadline.
    pub time: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The same target, over a new connection, after this wait; if the retry budget allows.
    Again { wait: Duration },
    /// The next target of the plan, at once.
    Next,
    /// The provider's answer goes to the caller as it came.
    PassThrough,
    /// Nobody answers (`exhausted`).
    GiveUp,
}

/// Decides after a failure of class `class`. `draw` jitters the backoff.
pub(crate) fn decide(
    class: Class,
    tried: &Tried,
    left: &Left,
    policy: &Policy,
    draw: u64,
) -> Decision {
    if class.pass_through {
        return Decision::PassThrough;
    }
    if left.time.is_zero() {
        return Decision::GiveUp;
    }
    if left.others && class.next {
        return Decision::Next;
    }
    let may_retry = matches!(tried.role, Role::First | Role::Retry)
        && left.retries_made < policy.attempts
        && tried.took <= FAST_FAILURE;
    let wait = if may_retry {
        wait_for(class.again, tried, left, policy, draw)
    } else {
        None
    };
    match wait {
        Some(wait) if wait < left.time => Decision::Again { wait },
        _ => Decision::GiveUp,
    }
}

/// How long to wait for the same target; `None`: not at all.
fn wait_for(
    again: Again,
    tried: &Tried,
    left: &Left,
    policy: &Policy,
    draw: u64,
) -> Option<Duration> {
    match again {
        Again::Never => None,
        // Once in a request: what cannot be reached twice will not be the third time.
        Again::AtOnce => (tried.role == Role::First).then_some(Duration::ZERO),
        Again::AfterBackoff => {
            let backoff = wait(
                policy.backoff,
                policy.max_backoff,
                left.retries_made + 1,
                draw,
            );
            let asked = tried.retry_after.unwrap_or_default();
            // A provider that wants more than our longest backoff is not waited for: the caller
            // knows better what its time is worth.
            (asked <= policy.max_backoff).then(|| backoff.max(asked))
        }
        Again::IfRetryAfterWithin1s => tried
            .retry_after
            .filter(|asked| *asked <= RATE_LIMIT_WAIT_MAX),
    }
}

#[cfg(test)]
mod tests;
