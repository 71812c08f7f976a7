//! The word that requests read: may I send to this target?
//!
//! ```text
//!   bits 0..2   closed 0 · open 1 · probing 2 · shut for good 3
//!   bits 2..16  number of the probe that is out (probing only)
//!   bits 16..64 open until, in milliseconds since the process started (open, probing)
//! ```
//! Always: one atomic word, so a request never waits for the actor that owns the breaker. The first
//! request after `open until` takes the one probe by compare-and-swap; its [`Slot`] gives the word
//! back on drop, so a caller that leaves in mid-probe blocks nobody. What the actor publishes never
//! overwrites a probe that is out, unless it is that probe's own verdict.

use std::sync::{
    Arc,
    atomic::{
        AtomicU64,
        Ordering::{AcqRel, Acquire},
    },
};

use serin_proto::metric::BreakerState;

const CLOSED: u64 = 0;
const OPEN: u64 = 1;
const PROBING: u64 = 2;
const SHUT: u64 = 3;

const PROBE_SHIFT: u32 = 2;
const PROBE_MASK: u64 = 0x3fff;
const UNTIL_SHIFT: u32 = 16;

/// What a request may do.
#[derive(Debug)]
pub(crate) enum Entered {
    /// Traffic flows.
    Pass,
    /// The breaker is half-open and this request is its one probe.
    Probe(Slot),
    /// The breaker is open, or its one probe is out.
    Open,
    /// The target cannot be used at all: its credential cannot be read.
    Shut,
}

/// The atomic word.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    word: Arc<AtomicU64>,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            word: Arc::new(AtomicU64::new(CLOSED)),
        }
    }
}

impl Gate {
    /// Asks to send now.
    pub(crate) fn enter(&self, now_ms: u64) -> Entered {
        let word = self.word.load(Acquire);
        match word & 3 {
            CLOSED => Entered::Pass,
            OPEN if until_of(word) <= now_ms => self.take_probe(word),
            SHUT => Entered::Shut,
            _ => Entered::Open,
        }
    }

    /// Takes the probe before its time, if none is out: for the last resort, when every target of a
    /// plan is shut. A success is then not lost.
    pub(crate) fn take_probe_early(&self) -> Option<Slot> {
        let word = self.word.load(Acquire);
        match (word & 3 == OPEN).then(|| self.take_probe(word)) {
            Some(Entered::Probe(slot)) => Some(slot),
            _ => None,
        }
    }

    /// Whether a request would get in, without going in.
    pub(crate) fn would_admit(&self, now_ms: u64) -> bool {
        let word = self.word.load(Acquire);
        match word & 3 {
            CLOSED => true,
            OPEN => until_of(word) <= now_ms,
            _ => false,
        }
    }

    /// When the breaker's open time ends; 0 while it is not open. For the choice of the least bad.
    pub(crate) fn opens_again_ms(&self) -> u64 {
        let word = self.word.load(Acquire);
        match word & 3 {
            CLOSED => 0,
            SHUT => u64::MAX,
            _ => until_of(word),
        }
    }

    /// Whether nothing may be sent at all, breaker or not.
    pub(crate) fn is_shut(&self) -> bool {
        self.word.load(Acquire) & 3 == SHUT
    }

    /// As it would meet a request now: half-open while a probe is out, and from the end of the open
    /// time on, for the next request would be the probe. A target that nobody asks is not open for good.
    pub(crate) fn state(&self, now_ms: u64) -> BreakerState {
        let word = self.word.load(Acquire);
        match word & 3 {
            CLOSED => BreakerState::Closed,
            PROBING => BreakerState::HalfOpen,
            OPEN if until_of(word) <= now_ms => BreakerState::HalfOpen,
            _ => BreakerState::Open,
        }
    }

    /// Whether requests flow.
    pub(crate) fn is_closed(&self) -> bool {
        self.word.load(Acquire) & 3 == CLOSED
    }

    /// The actor's word after something other than a probe's verdict. Loses against a probe.
    pub(crate) fn publish(&self, state: Published) {
        let new = state.word();
        let mut word = self.word.load(Acquire);
        while word & 3 != PROBING {
            match self.word.compare_exchange_weak(word, new, AcqRel, Acquire) {
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
    }

    /// The actor's word after the verdict of a probe.
    pub(crate) fn publish_verdict(&self, state: Published) {
        self.word
            .store(state.word(), std::sync::atomic::Ordering::Release);
    }

    fn take_probe(&self, word: u64) -> Entered {
        let number = ((word >> PROBE_SHIFT) & PROBE_MASK).wrapping_add(1) & PROBE_MASK;
        let mine = PROBING | (number << PROBE_SHIFT) | (until_of(word) << UNTIL_SHIFT);
        match self.word.compare_exchange(word, mine, AcqRel, Acquire) {
            Ok(_) => Entered::Probe(Slot {
                word: Arc::clone(&self.word),
                mine,
            }),
            Err(_) => Entered::Open,
        }
    }
}

/// What the actor says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Published {
    Closed,
    Open { until_ms: u64 },
    Shut,
}

impl Published {
    fn word(self) -> u64 {
        match self {
            Self::Closed => CLOSED,
            Self::Open { until_ms } => OPEN | (until_ms << UNTIL_SHIFT),
            Self::Shut => SHUT,
        }
    }
}

/// The right to be the one probe. Dropped without a verdict it goes back, and the next request may
/// take it.
#[derive(Debug)]
pub(crate) struct Slot {
    word: Arc<AtomicU64>,
    mine: u64,
}

impl Slot {
    /// The verdict is on its way to the actor, which frees the word.
    pub(crate) fn judged(self) {
        std::mem::forget(self);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let back = (self.mine & !3) | OPEN;
        // Lost if the actor has spoken since: then there is nothing to give back.
        let _ = self.word.compare_exchange(self.mine, back, AcqRel, Acquire);
    }
}

fn until_of(word: u64) -> u64 {
    word >> UNTIL_SHIFT
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Barrier, atomic::AtomicUsize, atomic::Ordering::Relaxed},
        thread,
    };

    use super::*;

    #[test]
    fn an_open_gate_lets_exactly_one_probe_through_after_its_time() {
        let gate = Gate::default();
        gate.publish(Published::Open { until_ms: 1_000 });
        assert!(matches!(gate.enter(999), Entered::Open));
        let probe = gate.enter(1_000);
        assert!(matches!(probe, Entered::Probe(_)), "{probe:?}");
        assert!(
            matches!(gate.enter(1_001), Entered::Open),
            "a second probe got in"
        );
        assert_eq!(gate.state(1_001), BreakerState::HalfOpen);
    }

    #[test]
    fn an_open_gate_that_nobody_asks_is_half_open_from_the_end_of_its_time_on() {
        let gate = Gate::default();
        gate.publish(Published::Open { until_ms: 1_000 });
        assert_eq!(gate.state(999), BreakerState::Open);
        assert_eq!(gate.state(1_000), BreakerState::HalfOpen);
        gate.publish(Published::Shut);
        assert_eq!(gate.state(u64::MAX), BreakerState::Open);
    }

    #[test]
    fn a_probe_whose_caller_left_is_free_again() {
        let gate = Gate::default();
        gate.publish(Published::Open { until_ms: 5 });
        let probe = gate.enter(5);
        assert!(matches!(probe, Entered::Probe(_)), "{probe:?}");
        drop(probe);
        assert!(matches!(gate.enter(6), Entered::Probe(_)));
    }

    #[test]
    fn what_the_actor_says_does_not_overwrite_a_probe_that_is_out() {
        let gate = Gate::default();
        gate.publish(Published::Open { until_ms: 5 });
        let Entered::Probe(slot) = gate.enter(5) else {
            panic!("no probe")
        };
        gate.publish(Published::Open { until_ms: 500 });
        assert_eq!(gate.state(6), BreakerState::HalfOpen);
        slot.judged();
        gate.publish_verdict(Published::Closed);
        assert!(matches!(gate.enter(6), Entered::Pass));
    }

    #[test]
    fn a_late_drop_does_not_undo_a_verdict() {
        let gate = Gate::default();
        gate.publish(Published::Open { until_ms: 5 });
        let probe = gate.enter(5);
        gate.publish_verdict(Published::Closed);
        drop(probe);
        assert!(matches!(gate.enter(6), Entered::Pass));
    }

    #[test]
    fn many_threads_share_one_probe() {
        for _ in 0..200 {
            let gate = Gate::default();
            gate.publish(Published::Open { until_ms: 1 });
            let (probes, ready, done) = (AtomicUsize::new(0), Barrier::new(4), Barrier::new(4));
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        ready.wait();
                        let entered = gate.enter(2);
                        if matches!(entered, Entered::Probe(_)) {
                            probes.fetch_add(1, Relaxed);
                        }
                        done.wait(); // held until all have asked
                    });
                }
            });
            assert_eq!(probes.load(Relaxed), 1);
        }
    }
}
