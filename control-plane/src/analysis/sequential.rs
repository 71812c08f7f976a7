//! Is the canary worse? A test of two counted ratios that may be looked at after every window.
//!
//! The null of every window is `p_c ≤ r·p_b + δ`, `p_b` arbitrary and free to change. Before a window
//! an alternative `(θ_c, θ_b)` is fixed from the past; the window multiplies the evidence by the
//! likelihood ratio `S` of that alternative against its projection on the null (the point of the
//! line `p_c = r·p_b + δ` that is nearest in relative entropy, given the two sample sizes).
//!
//! Then `E[S] ≤ 1` at every point of the null (Turner, Ly, Grünwald, "Generic E-variables for exact
//! sequential k-sample tests", arXiv 2106.02693, and 2203.09785), so products over windows and
//! mixtures of them exceed `1/α` with chance at most α, however often they are looked at (Ville).
//! `S^η` with η ≤ 1 is such a variable as well (Jensen). Pure; no count makes NaN or infinity.

use serde::{Deserialize, Serialize};

use super::sample::{Counts, Window};
use crate::rollout::plan::Null;

/// By how much the alternatives exceed the limit: a little worse to broken.
pub const EXCESS: [f64; ALTERNATIVES] = [0.01, 0.02, 0.05, 0.10, 0.25, 0.50, 0.90];
/// Their weights; they sum to 1.
pub const PRIOR: [f64; ALTERNATIVES] = [0.10, 0.25, 0.30, 0.15, 0.10, 0.05, 0.05];
pub const ALTERNATIVES: usize = 7;

/// No rate of an alternative is nearer to 0 or 1.
pub const RATE_MIN: f64 = 1e-6;
/// No projected rate is nearer to 0 or 1.
const EDGE: f64 = 1e-12;
/// Halves the interval of a root below the resolution of a double.
const BISECTIONS: u32 = 60;
/// The logarithm of an alternative never rises above: lowering evidence is always allowed.
const LOG_MAX: f64 = 1e6;
/// Part of a component that does not start with its exposure but with its windows, `1/(i(i+1))` of it
/// after the i-th: it bounds how much credit a candidate can save up against the day it breaks, and
/// costs 0.05 of a nat at the start.
const LATER: f64 = 0.05;
/// Half-life of the smoothed stable rate.
const HALF_LIFE_MS: f64 = 30.0 * 60.0 * 1000.0;
/// What an hour of even traffic weighs in a smoothed rate of that half-life, as part of its counts.
const HOUR_WEIGHS: f64 = 0.75 / (2.0 * std::f64::consts::LN_2);

/// A rate that no logarithm minds.
#[must_use]
pub fn clip(rate: f64) -> f64 {
    rate.clamp(RATE_MIN, 1.0 - RATE_MIN)
}

/// Relative entropy of two coins in nats, `KL(p‖q)`; rates are clipped.
#[must_use]
pub fn divergence(p: f64, q: f64) -> f64 {
    let (p, q) = (clip(p), clip(q));
    (p * (p / q).ln() + (1.0 - p) * ((1.0 - p) / (1.0 - q)).ln()).max(0.0)
}

/// The point `(p_c°, p_b°)` of the line `p_c = r·p_b + δ` that minimises
/// `n_c·KL(θ_c‖p_c) + n_b·KL(θ_b‖p_b)`: the root in `p_b` of the falling
/// `g = r·n_c(θ_c−p_c)/(p_c(1−p_c)) + n_b(θ_b−p_b)/(p_b(1−p_b))`, by 60 bisections. It lies between
/// `θ_b` and where the line reaches `θ_c`.
#[must_use]
pub fn project(n_c: f64, n_b: f64, theta_c: f64, theta_b: f64, null: Null) -> (f64, f64) {
    let inside = |rate: f64| rate.clamp(EDGE, 1.0 - EDGE);
    let line = |p_b: f64| null.ratio * p_b + null.margin;
    if null.ratio <= 0.0 {
        return (inside(null.margin), inside(theta_b));
    }
    // Where the line is inside the square of rates.
    let from = inside((EDGE - null.margin) / null.ratio);
    let to = inside((1.0 - EDGE - null.margin) / null.ratio).max(from);
    let reach = ((theta_c - null.margin) / null.ratio).clamp(from, to);
    let start = theta_b.clamp(from, to);
    let (mut low, mut high) = (start.min(reach), start.max(reach));
    for _ in 0..BISECTIONS {
        let p_b = f64::midpoint(low, high);
        let p_c = inside(line(p_b));
        let slope = null.ratio * n_c * (theta_c - p_c) / (p_c * (1.0 - p_c))
            + n_b * (theta_b - p_b) / (p_b * (1.0 - p_b));
        if slope > 0.0 {
            low = p_b;
        } else {
            high = p_b;
        }
    }
    let p_b = f64::midpoint(low, high);
    (inside(line(p_b)), inside(p_b))
}

/// `ln S` of a window for an alternative that lies outside the null.
#[must_use]
pub fn log_ratio(window: Window, theta_c: f64, theta_b: f64, null: Null) -> f64 {
    let (n_c, n_b) = (window.canary.n as f64, window.stable.n as f64);
    let (p_c, p_b) = project(n_c, n_b, theta_c, theta_b, null);
    coin(window.canary, theta_c, p_c) + coin(window.stable, theta_b, p_b)
}

/// Log-likelihood ratio of a coin of one rate against another.
fn coin(counts: Counts, theta: f64, p: f64) -> f64 {
    let e = counts.e.min(counts.n) as f64;
    let rest = counts.n as f64 - e;
    e * (theta / p).ln() + rest * ((1.0 - theta) / (1.0 - p)).ln()
}

/// `ln Σ wᵢ·exp(lᵢ)`; weights are not negative and not all 0.
#[must_use]
pub fn log_sum(terms: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let terms = terms.filter(|&(weight, _)| weight > 0.0);
    let top = terms.clone().fold(f64::MIN, |top, (_, log)| top.max(log));
    let sum: f64 = terms.map(|(weight, log)| weight * (log - top).exp()).sum();
    top + sum.max(f64::MIN_POSITIVE).ln()
}

/// `ln S` of a window by alternative, 0 for those that lie inside the null: `E[S]` ≤ 1 would not hold.
#[must_use]
pub fn log_factors(window: Window, null: Null, theta_b: f64) -> [f64; ALTERNATIVES] {
    let theta_b = clip(theta_b);
    let limit = null.ratio * theta_b + null.margin;
    EXCESS.map(|excess| {
        let theta_c = clip(limit + excess);
        if theta_c <= limit + RATE_MIN {
            return 0.0;
        }
        log_ratio(window, theta_c, theta_b, null)
    })
}

/// Evidence of harm from one counted ratio, over all exposures of a rollout.
///
/// A fresh component of weight 1/K starts with each exposure, and a small part of it later, window by
/// window, so that a candidate which was good for long is not forgiven for long. All that has started
/// grows by the same factors, so per alternative its sum is kept; what has not started yet lies still:
/// `E = (Σ_k π_k·exp(log_e[k]) + waiting)/K`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EProcess {
    /// By alternative: the logarithm of the sum of all that has started.
    pub log_e: [f64; ALTERNATIVES],
    /// Components started.
    pub started: u32,
    /// What has not started, in components.
    pub waiting: f64,
    /// Windows since the newest component started.
    pub windows: u32,
}

impl EProcess {
    /// Begins the next component; the (K+1)th and later ones are none.
    pub fn start_component(&mut self, components: u32) {
        if self.started >= components {
            return;
        }
        if self.started == 0 {
            self.waiting = f64::from(components);
            self.log_e = [f64::MIN; ALTERNATIVES];
        }
        self.started += 1;
        self.windows = 0;
        self.release(1.0 - LATER);
    }

    /// Takes a window in. `theta_b` and `eta` come from windows before it.
    pub fn observe(&mut self, window: Window, null: Null, theta_b: f64, eta: f64) {
        if self.started == 0 || window.canary.n == 0 {
            return;
        }
        let steps = log_factors(window, null, theta_b);
        for (log, step) in self.log_e.iter_mut().zip(steps) {
            *log = (*log + eta * step).min(LOG_MAX);
        }
        self.windows = self.windows.saturating_add(1);
        let i = f64::from(self.windows);
        self.release(LATER / (i * (i + 1.0)));
    }

    /// `ln E`; 0 before any window.
    #[must_use]
    pub fn log_value(&self, components: u32) -> f64 {
        if self.started == 0 {
            return 0.0;
        }
        let k = f64::from(components.max(self.started));
        let running = PRIOR.iter().zip(self.log_e).map(|(pi, log)| (pi / k, log));
        log_sum(running.chain([(self.waiting / k, 0.0)]))
    }

    fn release(&mut self, part: f64) {
        let part = part.min(self.waiting);
        self.waiting -= part;
        for log in &mut self.log_e {
            *log = log_sum([(1.0, *log), (part, 0.0)].into_iter());
        }
    }
}

/// The stable arm's rate, smoothed over time. Used before a window, moved after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Smoothed {
    /// Events, decayed.
    pub a: f64,
    /// Samples, decayed; below 1: nothing is known.
    pub n: f64,
}

impl Smoothed {
    /// As if an hour's counts had come in evenly.
    #[must_use]
    pub fn of_hour(counts: Counts) -> Self {
        if counts.n == 0 {
            return Self::default();
        }
        Self {
            a: 0.5 + counts.e.min(counts.n) as f64 * HOUR_WEIGHS,
            n: 1.0 + counts.n as f64 * HOUR_WEIGHS,
        }
    }

    /// 0..1, exclusive; `None` before any sample.
    #[must_use]
    pub fn rate(self) -> Option<f64> {
        (self.n >= 1.0).then(|| clip(self.a / self.n))
    }

    /// Takes in what came within `ms`.
    pub fn observe(&mut self, counts: Counts, ms: u64) {
        if counts.n == 0 {
            return;
        }
        if self.n < 1.0 {
            *self = Self { a: 0.5, n: 1.0 };
        }
        // What is left of one sample is not forgotten: the rate outlives any silence.
        let keep = (-(ms as f64) / HALF_LIFE_MS).exp2().max(1.0 / self.n);
        self.a = self.a * keep + counts.e.min(counts.n) as f64;
        self.n = self.n * keep + counts.n as f64;
    }
}

#[cfg(test)]
mod tests;
