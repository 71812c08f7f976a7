//! The state machine by table, and its laws under any story.
//!
//! The table has every event in every state it can meet. The stories are random events at random
//! times; whatever happens, stragglers change nothing and no change goes untold.

use proptest::prelude::*;

use super::*;

/// The middle draw: no jitter.
const HALF_OPEN: State = State::HalfOpen { until_ms: 2_000 };

const MIDDLE: u64 = 500;

const POLICY: Policy = Policy {
    consecutive_failures: 5,
    window_ms: 10_000,
    open_for_ms: 1_000,
    max_open_for_ms: 60_000,
};

const HARD: Outcome = Outcome::HardFailure { retry_after: None };

fn closed(consecutive: u32) -> State {
    State::Closed { consecutive }
}

fn open(until_ms: u64) -> State {
    State::Open {
        until_ms,
        hard_down: false,
    }
}

fn down(until_ms: u64) -> State {
    State::Open {
        until_ms,
        hard_down: true,
    }
}

fn asked(seconds: u64) -> Outcome {
    Outcome::HardFailure {
        retry_after: Some(Duration::from_secs(seconds)),
    }
}

/// A breaker in this state; one that is not closed has tripped once.
fn breaker(state: State) -> Breaker {
    let trips = u32::from(!matches!(state, State::Closed { .. }));
    Breaker {
        state,
        trips,
        last_open_for_ms: 1_000 * u64::from(trips),
        ..Breaker::new(POLICY, 0)
    }
}

#[rustfmt::skip]
#[test]
fn state_after_each_event() {
    use Event::{Attempt, Probe, ProbeBegan};
    let table = [
        // before        event                          at_ms   after
        (closed(0),      Attempt(HARD),                 0,      closed(1)),
        (closed(4),      Attempt(HARD),                 500,    open(1_500)),       // the fifth failure opens
        (closed(4),      Attempt(asked(30)),            500,    open(30_500)),
        (closed(4),      Attempt(asked(9_999)),         500,    open(300_500)),     // believed up to 300 s
        (closed(4),      Attempt(asked(0)),             500,    open(1_500)),
        (closed(4),      Attempt(Outcome::Success),     0,      closed(0)),
        (closed(4),      Attempt(Outcome::RatioOnly),   0,      closed(4)),
        (closed(4),      Attempt(Outcome::CallerFault), 0,      closed(4)),
        (closed(4),      Attempt(Outcome::CallerLeft),  0,      closed(4)),
        (closed(0),      Attempt(Outcome::HardDown),    500,    down(60_500)),
        (closed(3),      ProbeBegan,                    0,      closed(3)),
        (closed(3),      Probe(HARD),                   0,      closed(3)),         // a probe of an earlier opening
        (open(2_000),    Attempt(Outcome::Success),     1_000,  open(2_000)),       // stragglers change nothing
        (open(2_000),    Attempt(HARD),                 1_000,  open(2_000)),
        (open(2_000),    Attempt(Outcome::HardDown),    1_000,  open(2_000)),
        (open(2_000),    ProbeBegan,                    2_000,  HALF_OPEN),
        (open(2_000),    Probe(Outcome::Success),       2_000,  closed(0)),         // `ProbeBegan` was lost
        (HALF_OPEN,       Attempt(Outcome::Success),     2_000,  HALF_OPEN),
        (HALF_OPEN,       Attempt(HARD),                 2_000,  HALF_OPEN),
        (HALF_OPEN,       ProbeBegan,                    2_000,  HALF_OPEN),
        (HALF_OPEN,       Probe(Outcome::Success),       2_000,  closed(0)),
        (HALF_OPEN,       Probe(Outcome::CallerFault),   2_000,  closed(0)),         // the provider answered
        (HALF_OPEN,       Probe(HARD),                   2_000,  open(4_000)),       // twice as long as before
        (HALF_OPEN,       Probe(asked(5)),               2_000,  open(7_000)),
        (HALF_OPEN,       Probe(Outcome::RatioOnly),     2_000,  open(4_000)),
        (HALF_OPEN,       Probe(Outcome::HardDown),      2_000,  down(62_000)),
        (HALF_OPEN,       Probe(Outcome::CallerLeft),    2_000,  HALF_OPEN),          // no verdict, slot is free
    ];
    for (before, event, at_ms, after) in table {
        let mut breaker = breaker(before);
        let effects = breaker.after(event, at_ms, MIDDLE);
        assert_eq!(breaker.state(), after, "{before:?} + {event:?} at {at_ms}");
        let has_moved = std::mem::discriminant(&before) != std::mem::discriminant(&after);
        assert_eq!(effects.moved_to.is_some(), has_moved, "{before:?} + {event:?}");
        assert_eq!(effects.alarm, matches!(after, State::Open { hard_down: true, .. }));
    }
}

#[test]
fn open_time_doubles_up_to_its_most_and_no_further() {
    let mut breaker = breaker(HALF_OPEN);
    let mut now_ms = 0;
    let mut times = Vec::new();
    for _ in 0..100 {
        breaker.after(Event::Probe(HARD), now_ms, MIDDLE);
        let State::Open { until_ms, .. } = breaker.state() else {
            panic!("not open")
        };
        times.push(until_ms - now_ms);
        now_ms = until_ms;
        breaker.after(Event::ProbeBegan, now_ms, MIDDLE);
    }
    assert_eq!(times[..6], [2_000, 4_000, 8_000, 16_000, 32_000, 60_000]);
    assert!(times[5..].iter().all(|time| *time == 60_000));
}

#[test]
fn jitter_is_from_half_to_one_and_a_half() {
    for (draw, open_for_ms) in [(0, 500), (MIDDLE, 1_000), (1_000, 1_500), (1_001, 500)] {
        let mut breaker = breaker(closed(4));
        breaker.after(Event::Attempt(HARD), 0, draw);
        assert_eq!(breaker.state(), open(open_for_ms), "draw {draw}");
    }
    let mut breaker = breaker(closed(4));
    breaker.set_policy(Policy {
        open_for_ms: 59_000,
        ..POLICY
    });
    breaker.after(Event::Attempt(HARD), 0, 1_000);
    assert_eq!(breaker.state(), open(60_000), "never above the most");
}

#[test]
fn trips_are_forgotten_only_after_being_closed_for_long_enough() {
    for (closed_for_ms, next_open_ms) in [(9_999, 2_000), (10_000, 1_000)] {
        let mut breaker = breaker(HALF_OPEN);
        breaker.after(Event::Probe(Outcome::Success), 5_000, MIDDLE);
        for _ in 0..5 {
            breaker.after(Event::Attempt(HARD), 5_000 + closed_for_ms, MIDDLE);
        }
        assert_eq!(breaker.state(), open(5_000 + closed_for_ms + next_open_ms));
    }
    // The last open time counts where it is longer than the window.
    let mut breaker = Breaker {
        last_open_for_ms: 50_000,
        trips: 6,
        ..breaker(HALF_OPEN)
    };
    breaker.after(Event::Probe(Outcome::Success), 0, MIDDLE);
    breaker.after(Event::Attempt(Outcome::HardDown), 49_999, MIDDLE);
    assert_eq!(breaker.trips, 7);
}

#[test]
fn a_changed_policy_keeps_the_state() {
    let mut breaker = breaker(closed(3));
    breaker.set_policy(Policy {
        consecutive_failures: 4,
        ..POLICY
    });
    assert_eq!(breaker.state(), closed(3));
    breaker.after(Event::Attempt(HARD), 0, MIDDLE);
    assert_eq!(breaker.state(), open(1_000));
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(Outcome::Success),
        prop::option::of(0_u64..1_000).prop_map(|seconds| Outcome::HardFailure {
            retry_after: seconds.map(Duration::from_secs)
        }),
        Just(Outcome::RatioOnly),
        Just(Outcome::HardDown),
        Just(Outcome::CallerFault),
        Just(Outcome::CallerLeft),
    ]
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        any_outcome().prop_map(Event::Attempt),
        Just(Event::ProbeBegan),
        any_outcome().prop_map(Event::Probe),
    ]
}

proptest! {
    #[test]
    fn the_laws_hold_in_any_story(
        story in prop::collection::vec((any_event(), 0_u64..20_000, any::<u64>()), 0..200),
    ) {
        let mut breaker = Breaker::new(POLICY, 0);
        let mut now_ms = 0;
        for (event, pause_ms, draw) in story {
            now_ms += pause_ms;
            let before = breaker.state();
            let effects = breaker.after(event, now_ms, draw);
            let after = breaker.state();
            if let State::Open { until_ms, .. } = after && after != before {
                let most = POLICY.max_open_for_ms.max(300_000);
                prop_assert!((now_ms + 500..=now_ms + most).contains(&until_ms));
            }
            if let State::Closed { consecutive } = after {
                prop_assert!(consecutive < POLICY.consecutive_failures);
            }
            if matches!(event, Event::Attempt(_)) && !matches!(before, State::Closed { .. }) {
                prop_assert_eq!(before, after, "stragglers change nothing");
            }
            if effects.moved_to.is_none() {
                prop_assert_eq!(
                    std::mem::discriminant(&before),
                    std::mem::discriminant(&after),
                    "no change goes untold"
                );
            }
        }
    }
}
