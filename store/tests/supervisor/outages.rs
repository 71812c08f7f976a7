//! A real etcd of one member goes away and comes back: killed, wiped, frozen, compacted, cut off.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serin_proto::unit::Revision;
use serin_store::etcd::Timing;
use serin_store::watch::{Event, Reason};
use serin_store::{
    Compare, EtcdStore, Op, Outcome, Page, Resume, Scope, Store, StoreIdentity, Txn, Watch,
};
use serin_tests::etcd::Etcd;
use serin_tests::gateway::Gateway;
use serin_tests::{World, eventually};

use tokio::time::Instant;

use crate::proxy::{Cut, Proxy};
use crate::stage::{SOON, changes, down, key, next, quick, reset, store_at, streams, within};

/// Every change that a watch told, and what is there by its word.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) there: BTreeMap<String, u64>,
    pub(crate) resets: usize,
    last: u64,
}

impl Told {
    /// Reads until the store's revision is reached.
    ///
    /// # Panics
    /// When a revision comes twice, or out of order.
    pub(crate) async fn until(&mut self, watch: &mut Watch, revision: u64) {
        within("the newest revision", self.read(watch, revision)).await;
    }

    async fn read(&mut self, watch: &mut Watch, revision: u64) {
        while self.last < revision {
            match next(watch).await {
                Event::Reset(listing) => {
                    self.resets += 1;
                    self.last = listing.revision.0;
                    let entries = listing.entries.into_iter();
                    let there = entries.map(|e| (e.key.to_string(), e.mod_revision.0));
                    self.there = there.collect();
                }
                Event::Changes { batch, revision } => {
                    let first = batch.first().expect("a batch is not empty").revision().0;
                    assert!(first > self.last, "{first} came after {}", self.last);
                    assert!(
                        batch.is_sorted_by_key(|change| change.revision()),
                        "{batch:?}"
                    );
                    self.last = revision.0;
                    for change in batch {
                        let (key, at) = (change.key().to_string(), change.revision().0);
                        if matches!(change, serin_store::watch::Change::Put(_)) {
                            self.there.insert(key, at);
                        } else {
                            self.there.remove(&key);
                        }
                    }
                }
                Event::Progress(revision) => self.last = self.last.max(revision.0),
                _ => {}
            }
        }
    }
}

/// Writes a document by the store itself, trying until it is acknowledged.
pub(crate) async fn write(store: &Arc<EtcdStore>, name: &str) -> u64 {
    let txn = Txn {
        ops: vec![Op::Put(
            key(&format!("config/routes/{name}")),
            "{}".into(),
            None,
        )],
        ..Txn::default()
    };
    let look = async || store.txn(txn.clone()).await;
    let written = |seen: &serin_store::Result<Outcome>| matches!(seen, Ok(Outcome::Committed(_)));
    match eventually("a write is acknowledged", SOON, look, written).await {
        Ok(Outcome::Committed(revision)) => revision.0,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_store_is_followed_without_loss() {
    let world = World::new();
    let mut etcd = Etcd::start(&world).await;
    let store = store_at(vec![etcd.address().to_string()], quick());
    let mut watch = store.watch(Scope::Documents, None);
    let mut told = Told::default();
    told.until(&mut watch, 1).await;
    let mut written = BTreeMap::new();
    for round in 0..3 {
        for n in 0..20 {
            let name = format!("r{round}-{n}");
            let revision = write(&store, &name).await;
            written.insert(format!("config/routes/{name}"), revision);
        }
        etcd.kill().await;
        etcd.again().await;
    }
    let last = write(&store, "last").await;
    written.insert("config/routes/last".to_owned(), last);
    told.until(&mut watch, last).await;
    assert_eq!(told.there, written);
    assert_eq!(told.resets, 1, "only the first: nothing was missing");
    streams(&store, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_store_is_told_as_a_whole() {
    let world = World::new();
    let mut etcd = Etcd::start(&world).await;
    let store = store_at(vec![etcd.address().to_string()], quick());
    let mut watch = store.watch(Scope::Documents, None);
    let first = reset(&mut watch).await;
    for n in 0..5 {
        write(&store, &format!("old{n}")).await;
    }
    let mut told = Told::default();
    told.until(&mut watch, 6).await;
    etcd.kill().await;
    etcd.wipe();
    etcd.again().await;
    // Further on than the old one was: only the keys tell them apart.
    for n in 0..20 {
        write(&store, &format!("new{n}")).await;
    }
    let listing = reset(&mut watch).await;
    assert_eq!(listing.identity, first.identity, "etcd gives the same id");
    let old = listing
        .entries
        .iter()
        .filter(|e| e.key.as_str().contains("old"));
    assert_eq!(old.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_and_compacted_meanwhile_is_gone() {
    let world = World::new();
    let etcd = Etcd::start(&world).await;
    let proxy = Proxy::start(etcd.address()).await;
    let store = store_at(vec![proxy.endpoint()], quick());
    let mut gateway = Gateway::open(etcd.address()).await.expect("etcd listens");
    for name in ["a", "b", "c"] {
        let key = format!("config/routes/{name}");
        gateway.put(&key, b"{}").await.expect("etcd writes");
    }
    let mut watch = store.watch(Scope::Documents, None);
    let mut told = Told::default();
    told.until(&mut watch, 4).await;
    assert_eq!(told.there.len(), 3);

    proxy.cut(Cut::AT_ONCE);
    let reason = down(&mut watch).await;
    assert!(matches!(reason, Reason::Io | Reason::Connect), "{reason}");
    gateway
        .delete("config/routes/a")
        .await
        .expect("etcd deletes");
    for n in 0..1_000 {
        let value = n.to_string();
        let put = gateway.put("config/routes/b", value.as_bytes()).await;
        put.expect("etcd writes");
    }
    let last = gateway
        .delete("config/routes/c")
        .await
        .expect("etcd deletes");
    gateway.compact(last).await.expect("etcd compacts");
    proxy.cut(Cut::NEVER);

    told.until(&mut watch, last).await;
    assert_eq!(
        told.there,
        BTreeMap::from([("config/routes/b".to_owned(), last - 1)])
    );
    assert_eq!(told.resets, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resume_behind_the_history_gets_a_listing() {
    let world = World::new();
    let etcd = Etcd::start(&world).await;
    let store = store_at(vec![etcd.address().to_string()], quick());
    write(&store, "kept").await;
    write(&store, "changed").await;
    let listing = store
        .list(Scope::Documents, Page::whole())
        .await
        .expect("it runs");
    let last = write(&store, "changed").await;
    let resume = |identity: &StoreIdentity| Resume {
        identity: identity.clone(),
        revision: listing.revision,
        newest: Some((key("config/routes/kept"), Revision(2))),
    };
    let mut told = Told {
        last: listing.revision.0,
        ..Told::default()
    };
    let mut watch = store.watch(Scope::Documents, Some(resume(&listing.identity)));
    told.until(&mut watch, last).await;
    assert_eq!((told.resets, told.there.len()), (0, 1), "history is there");

    let mut gateway = Gateway::open(etcd.address()).await.expect("etcd listens");
    let last = write(&store, "changed").await;
    gateway.compact(last).await.expect("etcd compacts");
    let mut watch = store.watch(Scope::Documents, Some(resume(&listing.identity)));
    let whole = reset(&mut watch).await;
    assert_eq!(whole.entries.len(), 2);

    let mut watch = store.watch(
        Scope::Documents,
        Some(resume(&StoreIdentity("another".to_owned()))),
    );
    assert_eq!(down(&mut watch).await, Reason::Foreign);
    assert_eq!(reset(&mut watch).await.entries.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_store_is_noticed_and_followed_again() {
    let world = World::new();
    let etcd = Etcd::start(&world).await;
    let store = store_at(vec![etcd.address().to_string()], quick());
    let mut watch = store.watch(Scope::Documents, None);
    reset(&mut watch).await;
    let mut told = Told::default();
    told.until(&mut watch, write(&store, "before").await).await;
    etcd.pause().await;
    assert_eq!(down(&mut watch).await, Reason::Silent);
    etcd.resume().await;
    let last = write(&store, "after").await;
    told.until(&mut watch, last).await;
    assert!(told.there.contains_key("config/routes/after"), "{told:?}");
    assert_eq!(told.resets, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_of_large_transactions_is_read_whole() {
    let world = World::new();
    let etcd = Etcd::start(&world).await;
    let proxy = Proxy::start(etcd.address()).await;
    let store = store_at(vec![proxy.endpoint()], quick());
    let mut watch = store.watch(Scope::Documents, None);
    reset(&mut watch).await;
    proxy.cut(Cut::AT_ONCE);
    down(&mut watch).await;
    // Each takes more than one message: etcd cuts them into fragments of its request limit.
    let direct = store_at(vec![etcd.address().to_string()], quick());
    let mut last = 0;
    for round in 0..8 {
        let op = |n: usize| {
            let value = vec![b'x'; 11 * 1024];
            Op::Put(
                key(&format!("config/routes/{round}-{n}")),
                value.into(),
                None,
            )
        };
        let ops = (0..128).map(op).collect();
        let outcome = direct
            .txn(Txn {
                ops,
                ..Txn::default()
            })
            .await;
        let Ok(Outcome::Committed(revision)) = outcome else {
            panic!("{outcome:?}");
        };
        last = revision.0;
    }
    proxy.cut(Cut::NEVER);
    let mut told = Told::default();
    told.until(&mut watch, last).await;
    assert_eq!(told.there.len(), 8 * 128);
    let absent = Compare::NothingNewer(Scope::Documents.range(), Revision(last));
    let txn = Txn {
        compares: vec![absent],
        ..Txn::default()
    };
    assert_eq!(
        direct.txn(txn).await,
        Ok(Outcome::Committed(Revision(last)))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_store_is_not_taken_for_a_dead_one() {
    let world = World::new();
    let etcd = Etcd::start(&world).await;
    let store = store_at(vec![etcd.address().to_string()], quick());
    let mut watch = store.watch(Scope::Documents, None);
    reset(&mut watch).await;
    // Far longer than a silence may last: nothing but progress, and asking helps at once.
    for _ in 0..20 {
        watch.ask_progress();
        assert_eq!(next(&mut watch).await, Event::Progress(Revision(1)));
    }
    let began = Instant::now();
    while began.elapsed() < quick().silent * 3 {
        assert_eq!(next(&mut watch).await, Event::Progress(Revision(1)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_disk_slows_writes_and_disturbs_no_watch() {
    let world = World::new();
    let etcd = Etcd::start_slow(&world, 500_000).await;
    let store = store_at(vec![etcd.address().to_string()], Timing::default());
    let mut watch = store.watch(Scope::Documents, None);
    reset(&mut watch).await;
    let began = Instant::now();
    for n in 0..3 {
        let last = write(&store, &format!("r{n}")).await;
        // No `Down` between: what comes is progress and the change.
        assert_eq!(changes(&mut watch).await.1, last);
    }
    let took = began.elapsed();
    assert!(
        took > Duration::from_millis(1_500),
        "it is not slow: {took:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_follows_again_after_a_restart_and_nobody_lists() {
    const FLEET: usize = 50;
    let world = World::new();
    let mut etcd = Etcd::start(&world).await;
    let mut fleet = Vec::new();
    for _ in 0..FLEET {
        let store = store_at(vec![etcd.address().to_string()], quick());
        let mut watch = store.watch(Scope::Documents, None);
        reset(&mut watch).await;
        fleet.push((store, watch));
    }
    etcd.kill().await;
    etcd.again().await;
    let began = Instant::now();
    let last = write(&fleet[0].0, "after").await;
    for (store, watch) in &mut fleet {
        let mut told = Told::default();
        told.until(watch, last).await;
        assert_eq!(told.resets, 0);
        streams(store, 1).await;
    }
    eprintln!("{FLEET} watches were back after {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(5));
}
