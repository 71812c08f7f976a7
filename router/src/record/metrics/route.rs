//! What is counted for one route (what callers saw), and for the whole process.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use serin_proto::metric::{
    ActorKind, Applied, Operation, OverheadPhase, PanicPlace, Phase, family,
};

use super::{hist::Hist, target::nanos};

/// Statuses that get a slot of their own; the first seven exist at 0 from the start. Any other
/// status is counted in a map, so none is ever lost or mislabelled.
pub(crate) const CODES: [u16; 22] = [
    200, 403, 429, 499, 502, 503, 504, // at 0 from the start
    201, 202, 204, 400, 401, 404, 405, 408, 409, 413, 415, 422, 431, 500, 529,
];
/// How many of [`CODES`] exist at 0 from the start.
pub(crate) const CODES_AT_ZERO: usize = 7;
pub(crate) const OPERATIONS: usize = Operation::ALL.len();

pub(crate) type RequestHist = Hist<{ family::REQUEST_DURATION.buckets.len() + 1 }>;
pub(crate) type OverheadHist = Hist<{ family::OVERHEAD.buckets.len() + 1 }>;

/// What one worker counted for one route.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct RouteShard {
    /// By operation, streamed or not, place in [`CODES`].
    pub(crate) requests: [[[AtomicU64; CODES.len()]; 2]; OPERATIONS],
    pub(crate) duration: [[RequestHist; 2]; OPERATIONS],
    pub(crate) disconnects: [AtomicU64; Phase::ALL.len()],
    pub(crate) in_flight: AtomicI64,
    pub(crate) streams_in_flight: AtomicI64,
}

/// All that is exported for one route.
#[derive(Debug)]
pub(crate) struct RouteMetrics {
    pub(crate) route: Arc<str>,
    pub(crate) shards: Box<[RouteShard]>,
    /// Requests that ended in a status without a slot.
    pub(crate) rare: Mutex<BTreeMap<(usize, bool, u16), u64>>,
}

impl RouteMetrics {
    pub(crate) fn new(route: Arc<str>, shards: usize) -> Self {
        Self {
            route,
            shards: (0..shards).map(|_| RouteShard::default()).collect(),
            rare: Mutex::default(),
        }
    }

    pub(crate) fn shard(&self, worker: usize) -> Option<&RouteShard> {
        self.shards.get(worker)
    }

    /// Counts one request as its caller saw it.
    pub(crate) fn answered(
        &self,
        worker: usize,
        what: (Operation, bool),
        code: u16,
        took: Duration,
    ) {
        let Some(shard) = self.shard(worker) else {
            return;
        };
        let (operation, stream) = what;
        match CODES.iter().position(|c| *c == code) {
            Some(slot) => {
                shard.requests[operation as usize][usize::from(stream)][slot].fetch_add(1, Relaxed);
            }
            None => {
                let mut rare = self.rare.lock().unwrap_or_else(PoisonError::into_inner);
                *rare.entry((operation as usize, stream, code)).or_default() += 1;
            }
        }
        let bounds = family::REQUEST_DURATION.buckets;
        let hist = &shard.duration[operation as usize][usize::from(stream)];
        hist.observe(bounds, took.as_secs_f64(), nanos(took));
    }
}

/// What one worker counted for the process.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct ProcessShard {
    pub(crate) overhead: [OverheadHist; 3],
}

impl ProcessShard {
    pub(crate) fn added(&self, phase: OverheadPhase, took: Duration) {
        let bounds = family::OVERHEAD.buckets;
        self.overhead[phase as usize].observe(bounds, took.as_secs_f64(), nanos(took));
    }
}

/// Counters and gauges of the whole process.
#[derive(Debug)]
pub(crate) struct ProcessMetrics {
    pub(crate) shards: Box<[ProcessShard]>,
    pub(crate) dropped: [AtomicU64; ActorKind::ALL.len()],
    pub(crate) panics: [AtomicU64; PanicPlace::ALL.len()],
    pub(crate) config_revision: AtomicU64,
    pub(crate) config_watch_up: AtomicU64,
    /// Milliseconds since 1970; 0 = never.
    pub(crate) config_progress_unix_ms: AtomicU64,
    pub(crate) config_rejected: AtomicU64,
    pub(crate) applies: [AtomicU64; Applied::ALL.len()],
    pub(crate) unknown_fields: AtomicU64,
    pub(crate) snapshot_write_failures: AtomicU64,
}

impl ProcessMetrics {
    pub(crate) fn new(shards: usize) -> Self {
        Self {
            shards: (0..shards).map(|_| ProcessShard::default()).collect(),
            dropped: Default::default(),
            panics: Default::default(),
            config_revision: AtomicU64::new(0),
            config_watch_up: AtomicU64::new(0),
            config_progress_unix_ms: AtomicU64::new(0),
            config_rejected: AtomicU64::new(0),
            applies: Default::default(),
            unknown_fields: AtomicU64::new(0),
            snapshot_write_failures: AtomicU64::new(0),
        }
    }

    pub(crate) fn dropped(&self, actor: ActorKind) {
        self.dropped[actor as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn panicked(&self, place: PanicPlace) {
        self.panics[place as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn applied(&self, result: Applied) {
        self.applies[result as usize].fetch_add(1, Relaxed);
    }
}
