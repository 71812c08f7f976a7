//! Decisions, each a change to a case where the same target is tried again.
//!
//! The rules meet in one table: role, time taken, retries made, others left, deadline. A property
//! holds for all of them: a wait always ends before the deadline.

use proptest::prelude::*;

use super::*;
use crate::provider::failure::Failure;
use crate::retry::classify::after;

const POLICY: Policy = Policy {
    attempts: 2,
    backoff: Duration::from_millis(250),
    max_backoff: Duration::from_secs(4),
};

/// The draw for the whole of the backoff.
const MOST: u64 = 500;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn first() -> Tried {
    Tried {
        role: Role::First,
        took: ms(10),
        retry_after: None,
    }
}

fn alone() -> Left {
    Left {
        others: false,
        retries_made: 0,
        time: ms(60_000),
    }
}

fn status(code: u16) -> Failure {
    Failure::Status {
        code,
        insufficient_quota: false,
    }
}

fn asked(retry_after_ms: u64) -> Tried {
    Tried {
        retry_after: Some(ms(retry_after_ms)),
        ..first()
    }
}

const AT_ONCE: Decision = Decision::Again {
    wait: Duration::ZERO,
};

fn again(wait_ms: u64) -> Decision {
    Decision::Again { wait: ms(wait_ms) }
}

#[rustfmt::skip]
#[test]
fn what_is_done_after_each_failure() {
    let retried = Tried { role: Role::Retry, ..first() };
    let fallback = Tried { role: Role::Fallback, ..first() };
    let slow = Tried { took: ms(1_001), ..first() };
    let others = Left { others: true, ..alone() };
    let one_made = Left { retries_made: 1, ..alone() };
    let two_made = Left { retries_made: 2, ..alone() };
    let least_bad = Left { retries_made: u32::MAX, ..alone() };
    let late = |time_ms| Left { time: ms(time_ms), ..alone() };
    let table = [
        // failure              tried        left        decision
        (Failure::Connect,      first(),     alone(),    AT_ONCE),
        (Failure::Connect,      first(),     others,     Decision::Next),
        (Failure::Connect,      retried,     one_made,   Decision::GiveUp),       // once
        (Failure::Connect,      fallback,    alone(),    Decision::GiveUp),       // one attempt
        (Failure::Connect,      fallback,    others,     Decision::Next),
        (Failure::Connect,      slow,        alone(),    Decision::GiveUp),
        (Failure::Connect,      slow,        others,     Decision::Next),
        (Failure::Connect,      first(),     least_bad,  Decision::GiveUp),
        (Failure::Connect,      first(),     late(0),    Decision::GiveUp),
        (Failure::Connect,      first(),     Left { others: true, ..late(0) }, Decision::GiveUp),
        (Failure::NotWhole,     first(),     alone(),    AT_ONCE),
        (Failure::Reset,        first(),     alone(),    Decision::GiveUp),       // the provider may have acted
        (Failure::Reset,        first(),     others,     Decision::Next),
        (status(503),           first(),     alone(),    again(250)),
        (status(503),           retried,     one_made,   again(500)),
        (status(503),           retried,     two_made,   Decision::GiveUp),
        (status(503),           asked(0),    alone(),    again(250)),
        (status(503),           asked(900),  alone(),    again(900)),
        (status(503),           asked(4_000), alone(),   again(4_000)),
        (status(503),           asked(4_001), alone(),   Decision::GiveUp),
        (status(503),           asked(4_001), others,    Decision::Next),
        (status(503),           first(),     late(250),  Decision::GiveUp),       // no time after the wait
        (status(503),           first(),     late(251),  again(250)),
        (status(429),           first(),     alone(),    Decision::GiveUp),
        (status(429),           asked(1_000), alone(),   again(1_000)),
        (status(429),           asked(1_001), alone(),   Decision::GiveUp),
        (status(429),           asked(1_000), others,    Decision::Next),
        (status(500),           first(),     alone(),    Decision::GiveUp),
        (status(500),           first(),     others,     Decision::Next),
        (status(404),           first(),     others,     Decision::Next),
        (status(400),           first(),     others,     Decision::PassThrough),
        (status(422),           fallback,    late(0),    Decision::PassThrough),
        (Failure::TimeoutTotal, first(),     others,     Decision::GiveUp),
    ];
    for (failure, tried, left, decision) in table {
        let decided = decide(after(&failure), &tried, &left, &POLICY, MOST);
        assert_eq!(decided, decision, "{failure:?} {tried:?} {left:?}");
    }
}

#[test]
fn a_route_without_retries_never_tries_the_same_target_again() {
    let policy = Policy {
        attempts: 0,
        ..POLICY
    };
    for failure in [Failure::Connect, Failure::NotWhole, status(503)] {
        let decided = decide(after(&failure), &first(), &alone(), &policy, MOST);
        assert_eq!(decided, Decision::GiveUp, "{failure:?}");
    }
}

proptest! {
    #[test]
    fn a_wait_always_ends_before_the_deadline(
        code in prop::sample::select(vec![429_u16, 503, 529]),
        retries_made in 0_u32..2,
        retry_after in prop::option::of(0_u64..400_000),
        time in 0_u64..10_000,
        draw in any::<u64>(),
    ) {
        let tried = Tried { retry_after: retry_after.map(ms), ..first() };
        let left = Left { others: false, retries_made, time: ms(time) };
        let decided = decide(after(&status(code)), &tried, &left, &POLICY, draw);
        if let Decision::Again { wait } = decided {
            prop_assert!(wait < left.time && wait <= POLICY.max_backoff);
            prop_assert!(retry_after.is_none_or(|asked| wait >= ms(asked)));
        }
    }
}
