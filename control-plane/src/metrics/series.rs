//! Counters and histograms by label. The control plane counts at most some hundred things a second,
//! so a map under a lock does.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serin_proto::exposition::Value;

/// A counter for each label.
#[derive(Debug)]
pub(super) struct Counts<K>(Mutex<BTreeMap<K, u64>>);

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Ord + Copy> Counts<K> {
    /// From now on there is a series for it, at 0 if need be.
    pub(super) fn know(&self, label: K) {
        self.lock().entry(label).or_default();
    }

    pub(super) fn add(&self, label: K) {
        *self.lock().entry(label).or_default() += 1;
    }

    pub(super) fn values(&self) -> Vec<(K, Value<'static>)> {
        let counts = self.lock();
        let values = counts
            .iter()
            .map(|(label, count)| (*label, Value::Count(*count)));
        values.collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<K, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A histogram of durations, in seconds, for each label.
#[derive(Debug)]
pub(super) struct Times<K> {
    bounds: &'static [f64],
    held: Mutex<BTreeMap<K, Held>>,
}

#[derive(Clone, Debug)]
struct Held {
    /// Per bucket, the last one above all bounds.
    counts: Vec<u64>,
    sum: Duration,
}

impl<K: Ord + Copy> Times<K> {
    pub(super) fn new(bounds: &'static [f64]) -> Self {
        let held = Mutex::default();
        Self { bounds, held }
    }

    /// From now on there is a series for it, empty if need be.
    pub(super) fn know(&self, label: K) {
        self.with(label, |_| ());
    }

    pub(super) fn observe(&self, label: K, took: Duration) {
        let seconds = took.as_secs_f64();
        let at = self.bounds.partition_point(|bound| *bound < seconds);
        self.with(label, |held| {
            if let Some(count) = held.counts.get_mut(at) {
                *count += 1;
            }
            held.sum = held.sum.saturating_add(took);
        });
    }

    pub(super) fn values(&self) -> Vec<(K, Value<'static>)> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let values = held.iter().map(|(label, held)| {
            let value = Value::Histogram {
                bounds: self.bounds,
                counts: Cow::Owned(held.counts.clone()),
                sum: held.sum.as_secs_f64(),
            };
            (*label, value)
        });
        values.collect()
    }

    fn with(&self, label: K, change: impl FnOnce(&mut Held)) {
        let mut all = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let held = all.entry(label).or_insert_with(|| Held {
            counts: vec![0; self.bounds.len() + 1],
            sum: Duration::ZERO,
        });
        change(held);
    }
}
