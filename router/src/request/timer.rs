//! One timer per attempt, for whichever limit is nearest.
//!
//! Progress moves numbers in the [`Watch`], not the timer: a timer that is re-armed on every chunk
//! takes the runtime's timer lock on every chunk. It fires at the old time, sees that nothing has
//! expired, and sleeps on.

use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use tokio::time::{Sleep, sleep_until};

use super::deadline::Watch;
use crate::{clock, provider::failure::Failure};

/// A watch with a clock.
pub(crate) struct Timer {
    watch: Watch,
    sleep: Pin<Box<Sleep>>,
    armed_for_ms: u64,
}

impl Timer {
    pub(crate) fn new(watch: Watch, now: Instant) -> Self {
        let (at_ms, _) = watch.next();
        let sleep = Box::pin(sleep_until(instant(at_ms, now)));
        Self {
            watch,
            sleep,
            armed_for_ms: at_ms,
        }
    }

    /// The provider sent something just now.
    pub(crate) fn progressed(&mut self, now: Instant) {
        self.watch.progressed(clock::since_start_ms(now));
        self.arm_if_sooner(now);
    }

    /// The first content is on its way to the caller.
    pub(crate) fn committed(&mut self) {
        self.watch.committed();
    }

    /// Ready when a limit has ended, with what has failed.
    pub(crate) fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<Failure> {
        loop {
            ready!(self.sleep.as_mut().poll(cx));
            let now = clock::now();
            if let Some(failure) = self.watch.expired(clock::since_start_ms(now)) {
                return Poll::Ready(failure);
            }
            self.arm(now);
        }
    }

    /// The first byte may bring a limit that ends sooner than the one the timer was set for.
    fn arm_if_sooner(&mut self, now: Instant) {
        if self.watch.next().0 < self.armed_for_ms {
            self.arm(now);
        }
    }

    fn arm(&mut self, now: Instant) {
        let (at_ms, _) = self.watch.next();
        self.armed_for_ms = at_ms;
        self.sleep.as_mut().reset(instant(at_ms, now));
    }
}

/// The runtime's clock at `at_ms` of ours.
fn instant(at_ms: u64, now: Instant) -> tokio::time::Instant {
    // One more, because a timer that fires in the same millisecond would find nothing expired.
    let wait_ms = (at_ms + 1).saturating_sub(clock::since_start_ms(now));
    tokio::time::Instant::from_std(now + Duration::from_millis(wait_ms))
}
