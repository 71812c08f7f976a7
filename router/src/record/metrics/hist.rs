//! A histogram of fixed buckets that is one indexed add per observation.
//!
//! Counts are per bucket, not cumulative: an observation touches one bucket and the sum, and the
//! scrape adds them up.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counts between bounds. `N` is the number of bounds plus one, for what is above the last.
#[derive(Debug)]
pub(crate) struct Hist<const N: usize> {
    counts: [AtomicU64; N],
    /// Sum of what was observed, in `UNITS_PER_ONE` parts of the exported unit.
    sum: AtomicU64,
}

impl<const N: usize> Default for Hist<N> {
    fn default() -> Self {
        Self {
            counts: [const { AtomicU64::new(0) }; N],
            sum: AtomicU64::new(0),
        }
    }
}

impl<const N: usize> Hist<N> {
    /// Counts `value`; `parts` is the same value as a whole number of the sum's parts.
    pub(crate) fn observe(&self, bounds: &[f64], value: f64, parts: u64) {
        let at = bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get(at) {
            count.fetch_add(1, Relaxed);
            self.sum.fetch_add(parts, Relaxed);
        }
    }

    /// Adds what this shard holds to `sum`.
    pub(crate) fn add_to(&self, total: &mut Total) {
        total.counts.resize(N, 0);
        for (sum, count) in total.counts.iter_mut().zip(&self.counts) {
            *sum += count.load(Relaxed);
        }
        total.parts = total.parts.saturating_add(self.sum.load(Relaxed));
    }
}

/// A histogram summed over shards.
#[derive(Clone, Debug, Default)]
pub(crate) struct Total {
    /// Per bucket, the last one above all bounds.
    pub(crate) counts: Vec<u64>,
    pub(crate) parts: u64,
}

impl Total {
    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}
