//! What the control plane counts, and how it is told to Prometheus.
//!
//! Events are counted where they happen, by the methods of [`Metrics`]. What merely stands (who
//! leads, how many documents, what routers serve) is asked for when somebody scrapes: [`scrape`].
//! Of rollouts the leader tells: `rollouts/`.
//! Labels come as `&'static str`: a word that a caller sent cannot become one.

mod measured;
mod questioned;
mod rollouts;
mod series;
mod text;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use serin_proto::metric::control_plane::{ACK_DURATIONS, HTTP_DURATIONS, TXN_DURATIONS, TxnResult};

pub(crate) use measured::Measured;
pub(crate) use questioned::Questioned;
use rollouts::Rollouts;
use series::{Counts, Times};
#[cfg(test)]
use text::Facts;
pub(crate) use text::scrape;

/// Everything that is counted in one control plane.
#[derive(Debug)]
pub(crate) struct Metrics {
    version: &'static str,
    commit: &'static str,
    txns: Counts<(&'static str, TxnResult)>,
    txn_times: Times<&'static str>,
    ack_times: Times<()>,
    http: Counts<(&'static str, &'static str, u16)>,
    http_times: Times<(&'static str, &'static str)>,
    grpc: Counts<(&'static str, &'static str)>,
    auth_failures: Counts<&'static str>,
    audit_entries: Counts<(&'static str, &'static str)>,
    watchers: AtomicU64,
    rollouts: Rollouts,
}

impl Metrics {
    pub(crate) fn new(version: &'static str, commit: &'static str) -> Arc<Self> {
        let ack_times = Times::new(&ACK_DURATIONS);
        ack_times.know(());
        Arc::new(Self {
            version,
            commit,
            txns: Counts::default(),
            txn_times: Times::new(&TXN_DURATIONS),
            ack_times,
            http: Counts::default(),
            http_times: Times::new(&HTTP_DURATIONS),
            grpc: Counts::default(),
            auth_failures: Counts::default(),
            audit_entries: Counts::default(),
            watchers: AtomicU64::new(0),
            rollouts: Rollouts::default(),
        })
    }

    /// A request to the API was answered. `method` is one of a few words, `path` the template of the
    /// address, `serin_proto::metric::control_plane::UNMATCHED` where there is none.
    pub(crate) fn http(&self, method: &'static str, path: &'static str, code: u16, took: Duration) {
        self.http.add((method, path, code));
        self.http_times.observe((method, path), took);
    }

    /// A call by gRPC has ended, streams when they began. `code` is the name of its status.
    pub(crate) fn grpc(&self, method: &'static str, code: &'static str) {
        self.grpc.add((method, code));
    }

    /// A token was refused, or its role.
    pub(crate) fn auth_failed(&self, reason: &'static str) {
        self.auth_failures.add(reason);
    }

    /// An audit record about a document (or token, …) of that kind was committed.
    pub(crate) fn audited(&self, kind: &'static str, verb: &'static str) {
        self.audit_entries.add((kind, verb));
    }

    /// A router told that it serves a change which was seen so long ago.
    pub(crate) fn router_acknowledged(&self, after: Duration) {
        self.ack_times.observe((), after);
    }

    /// Somebody follows the stream of changes until the guard is dropped.
    #[must_use]
    pub(crate) fn watcher(self: &Arc<Self>) -> Watcher {
        self.watchers.fetch_add(1, Relaxed);
        Watcher {
            metrics: Arc::clone(self),
        }
    }

    fn txn(&self, backend: &'static str, result: TxnResult, took: Duration) {
        self.txns.add((backend, result));
        self.txn_times.observe(backend, took);
    }
}

/// One client that follows the stream of changes.
#[derive(Debug)]
pub(crate) struct Watcher {
    metrics: Arc<Metrics>,
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.metrics.watchers.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
pub(crate) mod tests;
