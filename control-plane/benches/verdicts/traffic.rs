//! Made-up traffic of two arms, in cells of five seconds: what a scrape would find.
//!
//! Requests arrive independently; each fails with the chance of its arm at that moment, or in clusters.
//! Errors end at once, answers after `answer_s`: counts are made at the end. Durations are log-normal (σ 0.5), the
//! same in both arms unless the scenario says otherwise.

use crate::{
    chance::Chance,
    scenario::{Burst, Scenario},
};

pub(crate) const CELL_S: u64 = 5;
/// Answers of the healthy arm take so long in the median.
pub(crate) const MEDIAN_S: f64 = 2.0;
/// The bucket bound at or above their p95 (4.55 s).
pub(crate) const SLOW_S: f64 = 5.0;
/// Part of them that is slower.
pub(crate) const SLOW_RATE: f64 = 0.0334;
const SIGMA: f64 = 0.5;
/// Rejections, and callers who leave, of both arms in every scenario.
pub(crate) const OTHER_RATE: f64 = 0.01;

/// Fine buckets for a p95: each 5 % wider, from 0.05 s.
pub(crate) const BUCKETS: usize = 200;
const BUCKET_FROM: f64 = 0.05;
const BUCKET_STEP: f64 = 1.05;

/// One arm in one cell.
#[derive(Clone)]
pub(crate) struct Side {
    /// Attempts that ended.
    pub(crate) n: u64,
    pub(crate) e: u64,
    /// The same with at most one sample per key and ten seconds.
    pub(crate) capped_n: u64,
    pub(crate) capped_e: u64,
    pub(crate) rejected: u64,
    pub(crate) left: u64,
    /// Timed answers, and those slower than [`SLOW_S`].
    pub(crate) timed: u64,
    pub(crate) slow: u64,
    pub(crate) buckets: Vec<u32>,
}

impl Side {
    pub(crate) fn none() -> Self {
        Self {
            n: 0,
            e: 0,
            capped_n: 0,
            capped_e: 0,
            rejected: 0,
            left: 0,
            timed: 0,
            slow: 0,
            buckets: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, more: &Self) {
        self.n += more.n;
        self.e += more.e;
        self.capped_n += more.capped_n;
        self.capped_e += more.capped_e;
        self.rejected += more.rejected;
        self.left += more.left;
        self.timed += more.timed;
        self.slow += more.slow;
        if self.buckets.len() < more.buckets.len() {
            self.buckets.resize(more.buckets.len(), 0);
        }
        for (to, count) in self.buckets.iter_mut().zip(&more.buckets) {
            *to += count;
        }
    }
}

#[derive(Clone)]
pub(crate) struct Cell {
    /// Its end, in seconds since the rollout began.
    pub(crate) at_s: u64,
    pub(crate) canary: Side,
    pub(crate) stable: Side,
}

/// A p95 by its fine bucket's upper edge.
pub(crate) fn p95(side: &Side) -> f64 {
    let wanted = side.timed as f64 * 0.95;
    let mut below = 0.0;
    for (i, count) in side.buckets.iter().enumerate() {
        below += f64::from(*count);
        if below >= wanted {
            return BUCKET_FROM * BUCKET_STEP.powi(i as i32 + 1);
        }
    }
    f64::MAX
}

/// The traffic of one run.
pub(crate) struct Traffic<'a> {
    scenario: &'a Scenario,
    chance: Chance,
    at_s: u64,
    /// Answers that have not ended: when they do, of which arm, how many.
    running: Vec<(u64, usize, u64)>,
}

impl<'a> Traffic<'a> {
    pub(crate) fn new(scenario: &'a Scenario, seed: u64) -> Self {
        Self {
            scenario,
            chance: Chance::seeded(seed),
            at_s: 0,
            running: Vec::new(),
        }
    }

    /// The next five seconds at that share.
    pub(crate) fn next(&mut self, share: f64) -> Cell {
        let (scenario, from_s) = (self.scenario, self.at_s as f64);
        let all = scenario.rps * CELL_S as f64;
        let arrived = [
            self.chance.arrivals(all * share),
            self.chance.arrivals(all * (1.0 - share)),
        ];
        let rates = [(scenario.canary)(from_s), (scenario.stable)(from_s)];
        let failed = [0, 1].map(|arm| self.failures(arrived[arm], rates[arm]));
        self.at_s += CELL_S;
        for arm in [0, 1] {
            let end_s = self.at_s + scenario.answer_s[arm];
            self.running.push((end_s, arm, arrived[arm] - failed[arm]));
        }
        let mut answered = [0, 0];
        let now_s = self.at_s;
        self.running.retain(|(end_s, arm, n)| {
            let has_ended = *end_s <= now_s;
            answered[*arm] += if has_ended { *n } else { 0 };
            !has_ended
        });
        let medians = [(scenario.canary_s)(from_s), (scenario.stable_s)(from_s)];
        let [mut canary, stable] =
            [0, 1].map(|arm| self.side(failed[arm], answered[arm], medians[arm]));
        if let Some(burst) = &scenario.burst {
            burst_into(&mut canary, burst, self.at_s);
        }
        Cell {
            at_s: self.at_s,
            canary,
            stable,
        }
    }

    fn failures(&mut self, arrived: u64, rate: f64) -> u64 {
        match self.scenario.cluster {
            1 => self.chance.events(arrived, rate),
            size => {
                let clusters = self.chance.arrivals(arrived as f64 * rate / size as f64);
                (clusters * size).min(arrived)
            }
        }
    }

    fn side(&mut self, failed: u64, answered: u64, median_s: f64) -> Side {
        let n = failed + answered;
        let mut side = Side {
            n,
            e: failed,
            capped_n: n,
            capped_e: failed,
            rejected: self.chance.events(n, OTHER_RATE),
            left: self.chance.events(n, OTHER_RATE),
            ..Side::none()
        };
        if self.scenario.is_timed {
            side.buckets = vec![0; BUCKETS];
            side.timed = answered;
            for _ in 0..answered {
                let seconds = median_s * (SIGMA * self.normal()).exp();
                side.slow += u64::from(seconds > SLOW_S);
                let bucket = (seconds / BUCKET_FROM).ln() / BUCKET_STEP.ln();
                let bucket = bucket.clamp(0.0, BUCKETS as f64 - 1.0) as usize;
                side.buckets[bucket] += 1;
            }
        }
        side
    }

    /// Box and Muller.
    fn normal(&mut self) -> f64 {
        let radius = (2.0 * self.chance.wait()).sqrt();
        radius * (std::f64::consts::TAU * self.chance.unit()).cos()
    }
}

/// Failing requests of a few keys, spread evenly; each key's first in ten seconds is a sample.
fn burst_into(canary: &mut Side, burst: &Burst, at_s: u64) {
    let cells = burst.for_s / CELL_S;
    let since_s = at_s.saturating_sub(burst.from_s + CELL_S);
    let is_on = at_s > burst.from_s && since_s < burst.for_s;
    if !is_on {
        return;
    }
    let rest = if since_s == 0 {
        burst.requests % cells
    } else {
        0
    };
    let requests = burst.requests / cells + rest;
    let samples = if since_s.is_multiple_of(10) {
        burst.keys.min(requests)
    } else {
        0
    };
    canary.n += requests;
    canary.e += requests;
    canary.capped_n += samples;
    canary.capped_e += samples;
}
