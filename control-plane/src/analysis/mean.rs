//! Is the candidate dearer, or longer? Means of two arms by a mixture sequential probability ratio
//! test on the logarithm of their ratio.
//!
//! Asymptotic, unlike the counted ratios: it is held back until both arms have 300 samples, and the
//! variance, taken from a histogram's buckets, is never too small. Johari, Koomen, Pekelis, Walsh,
//! "Always valid inference", arXiv 1512.04922: `Λ = √(v/(v+τ²))·exp(τ²x²/(2v(v+τ²)))`, one-sided, with
//! `x = max(0, ln(C̄_c/C̄_b) − ln maxRatio)`. Pure.

use serde::{Deserialize, Serialize};

use super::{
    sample::{Arms, Moments},
    sequential::log_sum,
};

/// Spread of the mixture over log ratios.
const TAU: f64 = 0.2;
/// Below, means say nothing.
const SAMPLES_MIN: u64 = 300;
/// Keeps a ratio of equal values finite.
const VARIANCE_MIN: f64 = 1e-9;
const LOG_MAX: f64 = 1e6;

/// Evidence of one mean: components as of [`super::sequential::EProcess`], each over the samples of
/// its own exposure and frozen at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MeanEvidence {
    /// Of the running exposure.
    pub arms: Arms<Moments>,
    /// Logarithm of the sum of the ended components.
    pub log_past: f64,
    /// Components started.
    pub started: u32,
}

impl MeanEvidence {
    /// Begins the next exposure. Beyond K the last component goes on.
    pub fn start_component(&mut self, components: u32, max_ratio: f64) {
        if self.started >= components {
            return;
        }
        if self.started == 1 {
            self.log_past = self.log_running(max_ratio);
        } else if self.started > 1 {
            let both = [(1.0, self.log_past), (1.0, self.log_running(max_ratio))];
            self.log_past = log_sum(both.into_iter());
        }
        self.arms = Arms::default();
        self.started += 1;
    }

    pub fn observe(&mut self, window: &Arms<Moments>) {
        add(&mut self.arms.canary, window.canary);
        add(&mut self.arms.stable, window.stable);
    }

    /// `ln E`; 0 before any component.
    #[must_use]
    pub fn log_value(&self, components: u32, max_ratio: f64) -> f64 {
        if self.started == 0 {
            return 0.0;
        }
        let k = f64::from(components.max(self.started));
        let past = if self.started > 1 { 1.0 / k } else { 0.0 };
        let waiting = (k - f64::from(self.started)) / k;
        let running = (1.0 / k, self.log_running(max_ratio));
        log_sum([running, (past, self.log_past), (waiting, 0.0)].into_iter())
    }

    /// Candidate's mean over the stable one's, of this exposure.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        let (canary, stable) = (mean(self.arms.canary)?, mean(self.arms.stable)?);
        Some(canary / stable).filter(|ratio| ratio.is_finite())
    }

    fn log_running(&self, max_ratio: f64) -> f64 {
        let Arms { canary, stable } = self.arms;
        if canary.n < SAMPLES_MIN || stable.n < SAMPLES_MIN {
            return 0.0;
        }
        let Some(ratio) = self.ratio() else {
            return 0.0;
        };
        let x = (ratio.ln() - max_ratio.max(f64::MIN_POSITIVE).ln()).max(0.0);
        let v = (relative_variance(canary) + relative_variance(stable)).max(VARIANCE_MIN);
        if !v.is_finite() {
            return 0.0;
        }
        let tau2 = TAU * TAU;
        let log = 0.5 * (v / (v + tau2)).ln() + tau2 * x * x / (2.0 * v * (v + tau2));
        log.clamp(-LOG_MAX, LOG_MAX)
    }
}

fn add(to: &mut Moments, more: Moments) {
    let is_sound = more.sum.is_finite() && more.squares.is_finite() && more.squares >= 0.0;
    let sum = to.sum + more.sum;
    let squares = to.squares + more.squares;
    if is_sound && sum.is_finite() && squares.is_finite() {
        *to = Moments {
            n: to.n.saturating_add(more.n),
            sum,
            squares,
        };
    }
}

/// The mean of values that are above 0.
#[must_use]
pub fn mean(of: Moments) -> Option<f64> {
    let mean = of.sum / of.n as f64;
    (of.n > 0 && mean > 0.0 && mean.is_finite()).then_some(mean)
}

/// `s²/(n·C̄²)`
fn relative_variance(of: Moments) -> f64 {
    let n = of.n as f64;
    let mean = of.sum / n;
    let variance = (of.squares / n - mean * mean).max(0.0) * n / (n - 1.0).max(1.0);
    variance / (n * mean * mean)
}
