//! The others' rules, as their documentation has them. They read at once: no delay is charged.

use std::collections::VecDeque;

use crate::{
    rule::Rule,
    traffic::{CELL_S, Cell, Side, p95},
};

fn rate(side: &Side) -> f64 {
    side.e as f64 / side.n.max(1) as f64
}

fn both(canary: &mut Side, stable: &mut Side, cell: &Cell) {
    canary.add(&cell.canary);
    stable.add(&cell.stable);
}

/// Error rate more than 2 points up, or p95 more than 25 % up.
fn is_worse(canary: &Side, stable: &Side) -> bool {
    let is_slower = canary.timed > 0 && stable.timed > 0 && p95(canary) > 1.25 * p95(stable);
    rate(canary) > rate(stable) + 0.02 || is_slower
}

/// Flagger: each minute the canary's success rate must be 99 % or more; five failed checks end it.
/// A minute without requests is a failed check too.
pub(crate) struct Flagger {
    minute: Side,
    failed: u32,
}

impl Flagger {
    const INTERVAL_S: u64 = 60;
    const BAR: f64 = 0.99;
    const THRESHOLD: u32 = 5;

    pub(crate) fn new() -> Self {
        Self {
            minute: Side::none(),
            failed: 0,
        }
    }
}

impl Rule for Flagger {
    fn step(&mut self, _at_s: u64, _share: f64) {}

    fn see(&mut self, cell: &Cell) -> Option<u64> {
        self.minute.add(&cell.canary);
        if !cell.at_s.is_multiple_of(Self::INTERVAL_S) {
            return None;
        }
        let minute = std::mem::replace(&mut self.minute, Side::none());
        if minute.n == 0 || 1.0 - rate(&minute) < Self::BAR {
            self.failed += 1;
        }
        (self.failed >= Self::THRESHOLD).then_some(cell.at_s)
    }
}

/// arbr: every five minutes point estimates of the last hour, from 30 samples on.
pub(crate) struct Arbr {
    hour: VecDeque<(Side, Side)>,
    now: (Side, Side),
}

impl Arbr {
    const EVERY_S: u64 = 300;
    const SAMPLES_MIN: u64 = 30;

    pub(crate) fn new() -> Self {
        Self {
            hour: VecDeque::new(),
            now: (Side::none(), Side::none()),
        }
    }
}

impl Rule for Arbr {
    fn step(&mut self, _at_s: u64, _share: f64) {}

    fn see(&mut self, cell: &Cell) -> Option<u64> {
        both(&mut self.now.0, &mut self.now.1, cell);
        if !cell.at_s.is_multiple_of(Self::EVERY_S) {
            return None;
        }
        let now = std::mem::replace(&mut self.now, (Side::none(), Side::none()));
        self.hour.push_back(now);
        if self.hour.len() as u64 > 3600 / Self::EVERY_S {
            self.hour.pop_front();
        }
        let (mut canary, mut stable) = (Side::none(), Side::none());
        for (c, s) in &self.hour {
            canary.add(c);
            stable.add(s);
        }
        let is_enough = canary.n >= Self::SAMPLES_MIN && stable.n >= Self::SAMPLES_MIN;
        (is_enough && is_worse(&canary, &stable)).then_some(cell.at_s)
    }
}

/// Together: one comparison at the end of each step. An idle one proceeds.
pub(crate) struct Together {
    canary: Side,
    stable: Side,
}

impl Together {
    pub(crate) fn new() -> Self {
        Self {
            canary: Side::none(),
            stable: Side::none(),
        }
    }
}

impl Rule for Together {
    fn step(&mut self, _at_s: u64, _share: f64) {
        *self = Self::new();
    }

    fn see(&mut self, cell: &Cell) -> Option<u64> {
        both(&mut self.canary, &mut self.stable, cell);
        None
    }

    fn end(&mut self, at_s: u64) -> Option<u64> {
        let is_idle = self.canary.n == 0 || self.stable.n == 0;
        (!is_idle && is_worse(&self.canary, &self.stable)).then_some(at_s)
    }
}

/// A two-proportion z-test of the errors of the step so far, one-sided at 1 %, every ten seconds.
pub(crate) struct ZTest {
    canary: Side,
    stable: Side,
}

impl ZTest {
    const EVERY_S: u64 = 2 * CELL_S;
    /// Of the normal distribution, 1 % are above.
    const LIMIT: f64 = 2.326;

    pub(crate) fn new() -> Self {
        Self {
            canary: Side::none(),
            stable: Side::none(),
        }
    }
}

impl Rule for ZTest {
    fn step(&mut self, _at_s: u64, _share: f64) {
        *self = Self::new();
    }

    fn see(&mut self, cell: &Cell) -> Option<u64> {
        both(&mut self.canary, &mut self.stable, cell);
        let (c, s) = (&self.canary, &self.stable);
        if !cell.at_s.is_multiple_of(Self::EVERY_S) || c.n == 0 || s.n == 0 {
            return None;
        }
        let pooled = (c.e + s.e) as f64 / (c.n + s.n) as f64;
        let spread = 1.0 / c.n as f64 + 1.0 / s.n as f64;
        let z = (rate(c) - rate(s)) / (pooled * (1.0 - pooled) * spread).sqrt();
        (z > Self::LIMIT).then_some(cell.at_s)
    }
}
