//! What is counted, and how it is told to Prometheus.
//!
//! A request holds handles ([`TargetMetrics`], [`RouteMetrics`]) and adds to arrays of atomics; it
//! never looks a label up. One [`Collector`](prometheus::core::Collector) builds the families when
//! somebody scrapes. Series exist at 0 from the snapshot that names them, because a rate over a
//! series that is born at its first error does not see that error; they go ten minutes after the
//! last snapshot that named them, because what was counted since the last scrape must still be seen.

mod collect;
mod families;
mod hist;
mod route;
mod target;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use prometheus::{Registry, process_collector::ProcessCollector};
use serin_proto::metric;

pub(crate) use route::{ProcessMetrics, ProcessShard, RouteMetrics};
pub(crate) use target::{TargetMetrics, TargetShard};

/// How long series stay after the last snapshot that named them.
const RETIRED_FOR: Duration = Duration::from_secs(600);

/// A handle and when the last snapshot that named it went.
#[derive(Debug)]
struct Known<T> {
    metrics: Arc<T>,
    retired_at: Option<Instant>,
}

#[derive(Debug, Default)]
struct Catalogue {
    routes: BTreeMap<Arc<str>, Known<RouteMetrics>>,
    targets: BTreeMap<(Arc<str>, Arc<str>), Known<TargetMetrics>>,
}

/// All metrics of one router.
#[derive(Debug)]
pub(crate) struct Metrics {
    shards: usize,
    pub(crate) unmatched: Arc<RouteMetrics>,
    pub(crate) process: ProcessMetrics,
    catalogue: Mutex<Catalogue>,
    build: (&'static str, &'static str),
}

impl Metrics {
    /// For a router of `shards` workers.
    pub(crate) fn new(shards: usize, version: &'static str, commit: &'static str) -> Arc<Self> {
        let unmatched = Arc::new(RouteMetrics::new(metric::UNMATCHED_ROUTE.into(), shards));
        Arc::new(Self {
            shards,
            unmatched,
            process: ProcessMetrics::new(shards),
            catalogue: Mutex::default(),
            build: (version, commit),
        })
    }

    /// A worker's own part of the process's counters.
    pub(crate) fn process_shard(&self, worker: usize) -> &ProcessShard {
        let shards = &self.process.shards;
        shards.get(worker).unwrap_or(&shards[0])
    }

    /// The handle of a route: the one it had, if it had one.
    pub(crate) fn route(&self, name: &Arc<str>) -> Arc<RouteMetrics> {
        let mut catalogue = self
            .catalogue
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let known = catalogue
            .routes
            .entry(Arc::clone(name))
            .or_insert_with(|| Known {
                metrics: Arc::new(RouteMetrics::new(Arc::clone(name), self.shards)),
                retired_at: None,
            });
        known.retired_at = None;
        Arc::clone(&known.metrics)
    }

    /// The handle of a target: the one it had, if it had one.
    pub(crate) fn target(&self, route: &Arc<str>, target: &Arc<str>) -> Arc<TargetMetrics> {
        let mut catalogue = self
            .catalogue
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let key = (Arc::clone(route), Arc::clone(target));
        let known = catalogue.targets.entry(key).or_insert_with(|| Known {
            metrics: Arc::new(TargetMetrics::new(
                route.clone(),
                target.clone(),
                self.shards,
            )),
            retired_at: None,
        });
        known.retired_at = None;
        Arc::clone(&known.metrics)
    }

    /// Starts the ten minutes of a route that the newest snapshot no longer names.
    pub(crate) fn retire_route(&self, name: &Arc<str>, now: Instant) {
        let mut catalogue = self
            .catalogue
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = catalogue.routes.get_mut(name) {
            known.retired_at.get_or_insert(now);
        }
    }

    /// The same for a target.
    pub(crate) fn retire_target(&self, route: &Arc<str>, target: &Arc<str>, now: Instant) {
        let mut catalogue = self
            .catalogue
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let key = (Arc::clone(route), Arc::clone(target));
        if let Some(known) = catalogue.targets.get_mut(&key) {
            known.retired_at.get_or_insert(now);
            known.metrics.weight.store(0, Relaxed);
        }
    }

    /// Forgets what has been retired for long enough and is held by no request.
    fn forget(&self, now: Instant) {
        let mut catalogue = self
            .catalogue
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        catalogue.routes.retain(|_, known| stays(known, now));
        catalogue.targets.retain(|_, known| stays(known, now));
    }

    fn routes(&self) -> Vec<Arc<RouteMetrics>> {
        let catalogue = self
            .catalogue
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let known = catalogue
            .routes
            .values()
            .map(|known| Arc::clone(&known.metrics));
        std::iter::once(Arc::clone(&self.unmatched))
            .chain(known)
            .collect()
    }

    fn targets(&self) -> Vec<Arc<TargetMetrics>> {
        let catalogue = self
            .catalogue
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        catalogue
            .targets
            .values()
            .map(|known| Arc::clone(&known.metrics))
            .collect()
    }
}

fn stays<T>(known: &Known<T>, now: Instant) -> bool {
    let expired = known
        .retired_at
        .is_some_and(|at| now.duration_since(at) > RETIRED_FOR);
    !expired || Arc::strong_count(&known.metrics) > 1
}

/// What `/metrics` answers from: our families and the process's.
#[derive(Debug)]
pub(crate) struct Exposition {
    registry: Registry,
    metrics: Arc<Metrics>,
}

impl Exposition {
    pub(crate) fn new(metrics: Arc<Metrics>) -> prometheus::Result<Self> {
        let registry = Registry::new();
        registry.register(Box::new(ProcessCollector::for_self()))?;
        registry.register(Box::new(collect::RouterCollector::new(Arc::clone(
            &metrics,
        ))?))?;
        Ok(Self { registry, metrics })
    }

    /// The text of one scrape.
    pub(crate) fn text(&self, now: Instant) -> String {
        self.metrics.forget(now);
        collect::text(&self.registry.gather())
    }
}
