//! Proof of "not worse": the reverse test, asked for before a step that says `certificate: true`.
//!
//! The null is `p_c ≥ r·p_b + Δ`; alternatives are a canary at the stable rate and at one, two, three
//! quarters of Δ above it. Certified at `1/β`, anew in each exposure. The same projection, so the same
//! proof as in [`super::sequential`]. Pure.

use serde::{Deserialize, Serialize};

use super::{
    sample::Window,
    sequential::{RATE_MIN, clip, log_ratio, log_sum},
};
use crate::rollout::plan::Null;

/// Where the alternatives lie between the stable rate and the line.
const PARTS: [f64; 4] = [0.0, 0.25, 0.5, 0.75];
const LOG_LIMIT: f64 = 1e6;

/// Evidence against "worse by Δ" from one counted ratio, of the running exposure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Certificate {
    /// By alternative, of equal weight.
    pub log_e: [f64; PARTS.len()],
}

impl Certificate {
    /// Takes a window in. `line.margin` is Δ; `theta_b` and `eta` come from windows before it.
    pub fn observe(&mut self, window: Window, line: Null, theta_b: f64, eta: f64) {
        if window.canary.n == 0 {
            return;
        }
        let theta_b = clip(theta_b);
        let limit = line.ratio * theta_b + line.margin;
        for (log, part) in self.log_e.iter_mut().zip(PARTS) {
            let theta_c = clip(line.ratio * theta_b + part * line.margin);
            // On or above the line it lies inside the null.
            if theta_c >= limit - RATE_MIN {
                continue;
            }
            let step = eta * log_ratio(window, theta_c, theta_b, line);
            *log = (*log + step).clamp(-LOG_LIMIT, LOG_LIMIT);
        }
    }

    /// `ln E`; certified at `ln(1/β)`.
    #[must_use]
    pub fn log_value(&self) -> f64 {
        let weight = 1.0 / PARTS.len() as f64;
        log_sum(self.log_e.iter().map(|&log| (weight, log)))
    }
}
