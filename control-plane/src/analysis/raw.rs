//! Increments of series as a reader counted them, before they are reduced to what is judged. Pure.

use std::collections::BTreeMap;

use super::{
    sample::{Arms, Gauges, Millis, Untold},
    want::Family,
};

/// Everything read of one route in `(from, to]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Raw {
    pub from: Millis,
    pub to: Millis,
    /// Increments of `serin_analysis_samples_total`, role first.
    pub samples: Vec<Ended>,
    /// Histograms by family, role first.
    pub histograms: BTreeMap<Family, Arms<Histogram>>,
    /// Instances whose series of the candidate with `arm="canary"` are there, at whatever value.
    pub canary_series_on: u32,
    /// Those where the candidate's breaker is open, or that say it is down.
    pub canary_down_on: u32,
    pub gauges: Gauges,
    /// Counts were read but are not the whole: consumed, and not trusted.
    pub untold: Option<Untold>,
}

/// Attempts that ended alike at one router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The scraped instance.
    pub router: String,
    pub canary: bool,
    pub outcome: String,
    pub reason: String,
    pub by: u64,
}

/// Increments of one histogram, summed over routers and, for the stable arm, targets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// Cumulative counts by upper bound, rising, without `+Inf`.
    pub below: Vec<(f64, u64)>,
    pub count: u64,
    pub sum: f64,
}

impl Raw {
    /// Two windows that follow one another, as one. Gauges and troubles are the later one's.
    #[must_use]
    pub fn then(mut self, later: &Self) -> Self {
        self.samples.extend(later.samples.iter().cloned());
        for (family, arms) in &later.histograms {
            let mine = self.histograms.entry(*family).or_default();
            mine.canary.add(&arms.canary);
            mine.stable.add(&arms.stable);
        }
        Self {
            from: self.from,
            to: later.to,
            samples: self.samples,
            histograms: self.histograms,
            ..later.clone()
        }
    }
}

impl Histogram {
    /// Adds counts of the same buckets.
    pub fn add(&mut self, other: &Self) {
        for (bound, count) in &other.below {
            self.add_below(*bound, *count);
        }
        self.count += other.count;
        self.sum += other.sum;
    }

    /// Adds to the count at or below `bound`, which is finite.
    pub fn add_below(&mut self, bound: f64, count: u64) {
        match self.below.binary_search_by(|(b, _)| b.total_cmp(&bound)) {
            Ok(at) => {
                if let Some((_, below)) = self.below.get_mut(at) {
                    *below += count;
                }
            }
            Err(at) => self.below.insert(at, (bound, count)),
        }
    }

    /// How many were at or below `bound`; `None` if it is none of the bounds: nothing is interpolated.
    #[must_use]
    pub fn at_most(&self, bound: f64) -> Option<u64> {
        let found = self.below.iter().find(|(b, _)| *b == bound);
        found.map(|(_, below)| (*below).min(self.count))
    }
}
