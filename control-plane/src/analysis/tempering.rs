//! Requests that fail together count for less: one caller's broken prompt is one cause.
//!
//! From adjacent windows of the stable arm, whose rate has no reason to jump, it is seen by how much
//! counts vary more than those of independent requests. Evidence is raised to `η = 1/φ̂`: valid for
//! any η ≤ 1 that is known before the window, so φ̂ moves after each; under clusters a heuristic that
//! costs time (η = 0.2: 105 → 495 s). Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::sample::Counts;

/// Weighs like that many pairs of windows of independent requests.
const PRIOR_PAIRS: f64 = 5.0;
/// An incident of both arms jumps too; its end must not find a test that cannot speak.
pub const PHI_MAX: f64 = 20.0;
/// No pair of windows counts for more, for the same reason.
const PAIR_MAX: f64 = 2.0 * PHI_MAX;
/// Routers that are looked at.
pub(super) const ROUTERS_MAX: usize = 32;

/// How much counts vary, as a multiple of what independent requests would.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Dispersion {
    pub sum: f64,
    pub pairs: f64,
    /// The newest window of each router, or of the whole arm under the empty name.
    pub last: BTreeMap<String, Counts>,
}

impl Dispersion {
    /// Compares with the window before: `(p_i − p_{i−1})²/(p̂(1−p̂)(1/n_i + 1/n_{i−1}))` with p̂ of both
    /// windows together, whose expectation is 1 for independent requests, rare events included.
    pub fn observe(&mut self, router: &str, counts: Counts) {
        if counts.n == 0 {
            return;
        }
        let counts = Counts {
            n: counts.n,
            e: counts.e.min(counts.n),
        };
        let Some(before) = self.last.get_mut(router) else {
            if self.last.len() < ROUTERS_MAX {
                self.last.insert(router.to_owned(), counts);
            }
            return;
        };
        let before = std::mem::replace(before, counts);
        let (n, m) = (counts.n as f64, before.n as f64);
        let (e, f) = (counts.e as f64, before.e as f64);
        let together = (e + f) / (n + m);
        let variance = together * (1.0 - together) * (1.0 / n + 1.0 / m);
        if variance > 0.0 {
            self.sum += ((e / n - f / m).powi(2) / variance).min(PAIR_MAX);
            self.pairs += 1.0;
        }
    }

    /// φ̂, the mean less two of the standard errors it would have for independent requests: those are
    /// hardly tempered.
    #[must_use]
    pub fn phi(&self) -> f64 {
        let pairs = self.pairs.max(0.0) + PRIOR_PAIRS;
        let phi = (self.sum + PRIOR_PAIRS) / pairs - 2.0 * (2.0 / pairs).sqrt();
        phi.clamp(1.0, PHI_MAX)
    }

    /// `η`, in (0, 1].
    #[must_use]
    pub fn eta(&self) -> f64 {
        1.0 / self.phi()
    }
}
