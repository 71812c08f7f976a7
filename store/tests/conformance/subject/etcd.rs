//! A real etcd of one member.
//!
//! Its disk need not be safe: what is asked is whether our side keeps its promises.

use std::{cell::Cell, sync::Arc};

use serin_store::{EtcdSettings, EtcdStore, LeaseId, Store};
use serin_tests::{
    World,
    client::{Request, ask},
    etcd,
    metrics::Scrape,
};
use tokio::runtime::Handle;

use super::{Lasting, Losing, Subject};
use crate::recorder::key;

/// Writes that do not wait for the disk, and a leader within moments.
const QUICK: [&str; 5] = [
    "--unsafe-no-fsync",
    "--heartbeat-interval",
    "20",
    "--election-timeout",
    "200",
];

pub(crate) struct Etcd {
    // The client goes before its server, and the server before its folder.
    store: Arc<EtcdStore>,
    member: etcd::Etcd,
    /// Asked for it twice, etcd fails.
    compacted: Cell<u64>,
    _world: World,
}

impl Subject for Etcd {
    async fn start() -> Self {
        let world = World::new();
        let member = etcd::Etcd::start_with(&world, &QUICK).await;
        Self {
            store: open(&member),
            member,
            compacted: Cell::new(0),
            _world: world,
        }
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store) as Arc<dyn Store>
    }

    async fn compact(&self) {
        let now = self.store.get(&key("config/none")).await;
        let (_, revision) = now.expect("an answer");
        if self.compacted.replace(revision.0) < revision.0 {
            let words = ["compaction", &revision.to_string()];
            self.member.ctl(&words).await;
        }
    }

    async fn open_watches(&self) -> usize {
        let metrics = ask(self.member.address(), &Request::get("/metrics")).await;
        let metrics = Scrape::read(&metrics.text());
        let name = "etcd_debugging_mvcc_watcher_total";
        assert!(metrics.matching(name, &[]).next().is_some(), "no {name}");
        let there = metrics.sum(name, &[]);
        // A count, and a small one.
        self.store.open_watches().max(there as usize)
    }
}

impl Losing for Etcd {
    async fn expire(&self, lease: LeaseId) {
        let words = ["lease", "revoke", &format!("{:x}", lease.0)];
        self.member.ctl(&words).await;
    }
}

impl Lasting for Etcd {
    async fn restart(&mut self) {
        self.member.kill().await;
        self.member.again().await;
        self.store = open(&self.member);
    }
}

fn open(member: &etcd::Etcd) -> Arc<EtcdStore> {
    let endpoints = vec![member.address().to_string()];
    EtcdStore::open(endpoints, EtcdSettings::default(), &Handle::current())
}
