//! What one worker thread holds: its clients, its randomness, its place in the counters.
//!
//! A worker shares with the others only what is read or atomic: the snapshot's cell, the counters,
//! the queue of the recorder. Nothing here is locked, and nothing crosses threads.

use std::{
    cell::Cell,
    rc::Rc,
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicUsize,
            Ordering::{Acquire, Relaxed},
        },
    },
};

use serin_proto::metric::ActorKind;
use tokio::sync::watch;

use crate::{
    clock::Draws,
    provider::client::Clients,
    record::{
        Line, RequestId,
        metrics::{Metrics, ProcessShard},
        recorder::Lines,
        sample::Claims,
    },
    settings::{Auth, Settings},
    snapshot::{Cell as SnapshotCell, Contact, Snapshot, Standing},
};

/// What all workers of a router share.
pub(crate) struct Shared {
    pub(crate) auth: Auth,
    pub(crate) body_bytes_max: usize,
    pub(crate) settings: Arc<Settings>,
    pub(crate) snapshot: SnapshotCell,
    pub(crate) contact: Contact,
    /// Written by the watcher alone.
    pub(crate) standing: watch::Sender<Standing>,
    pub(crate) metrics: Arc<Metrics>,
    /// This router is leaving: it is not ready, and closes connections as they come to rest.
    pub(crate) draining: AtomicBool,
    pub(crate) claims: Claims,
    /// Bytes of request bodies held now, over all workers.
    pub(crate) bodies_held: AtomicUsize,
    next_worker: AtomicUsize,
}

impl Shared {
    pub(crate) fn new(settings: Arc<Settings>, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self {
            auth: settings.auth,
            body_bytes_max: settings.body_bytes_max,
            settings,
            snapshot: SnapshotCell::default(),
            contact: Contact::default(),
            standing: watch::Sender::default(),
            metrics,
            draining: AtomicBool::new(false),
            claims: Claims::default(),
            bodies_held: AtomicUsize::new(0),
            next_worker: AtomicUsize::new(0),
        })
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Acquire)
    }
}

/// One worker thread's own things.
pub(crate) struct Worker {
    /// Its place in every sharded counter.
    pub(crate) index: usize,
    pub(crate) shared: Arc<Shared>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) clients: Clients,
    pub(crate) draws: Draws,
    lines: Lines,
    next_request: Cell<u64>,
    /// The departures of targets that this worker has tidied its clients after.
    tidied: Cell<u64>,
}

impl Worker {
    /// Called on the worker's own thread.
    pub(crate) fn new(shared: &Arc<Shared>, lines: Lines) -> Rc<Self> {
        let draws = Draws::new();
        Rc::new(Self {
            // A worker that actix had to start again counts where its predecessor did, or a neighbour.
            index: shared.next_worker.fetch_add(1, Relaxed) % shared.settings.workers.max(1),
            shared: Arc::clone(shared),
            metrics: Arc::clone(&shared.metrics),
            clients: Clients::new(&shared.settings.allowed_networks),
            next_request: Cell::new(draws.next()),
            draws,
            lines,
            tidied: Cell::new(0),
        })
    }

    /// The snapshot that serves a request; `None` before the first one was applied.
    pub(crate) fn snapshot(&self) -> Option<Arc<Snapshot>> {
        let snapshot = self.shared.snapshot.load()?;
        if self.tidied.replace(snapshot.departures) != snapshot.departures {
            self.clients.keep_only(|id| snapshot.has_target(id));
        }
        Some(snapshot)
    }

    pub(crate) fn next_id(&self) -> RequestId {
        let next = self.next_request.get().wrapping_add(1);
        self.next_request.set(next);
        RequestId::Made(next.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub(crate) fn process(&self) -> &ProcessShard {
        self.metrics.process_shard(self.index)
    }

    /// Hands an access line to the recorder. What does not fit is counted, not awaited.
    pub(crate) fn record(&self, line: Line) {
        if !self.lines.push(line) {
            self.metrics.process.dropped(ActorKind::Recorder);
        }
    }
}
