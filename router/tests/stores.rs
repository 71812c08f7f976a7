//! Stores that a test holds in its hand: one in memory, and one that says what it is told to say.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use serin_proto::{fleet::RouterReport, unit::Revision};
use serin_store::{
    Answer, Entry, Feed, Follower, Key, Lease, Listing, MemoryStore, Op, Outcome, Page, Resume,
    Scope, Store, StoreIdentity, Txn, Watch,
    watch::{self, Change, Event},
};
use tokio::runtime::Builder;

use crate::wait::eventually;

/// What a call of a store gives, waited for on this thread.
pub(crate) fn now<T>(call: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(call)
}

pub(crate) fn key(text: &str) -> Key {
    Key::new(text).expect("a key")
}

/// Commits one transaction.
pub(crate) fn commit(store: &dyn Store, ops: Vec<Op>) -> Revision {
    let txn = Txn {
        ops,
        ..Txn::default()
    };
    match now(store.txn(txn)).expect("a store that answers") {
        Outcome::Committed(revision) => revision,
        conflict @ Outcome::Conflict { .. } => panic!("no compare, yet {conflict:?}"),
    }
}

pub(crate) fn put(store: &dyn Store, name: &str, value: &[u8]) -> Revision {
    commit(
        store,
        vec![Op::Put(key(name), Bytes::copy_from_slice(value), None)],
    )
}

pub(crate) fn delete(store: &dyn Store, name: &str) -> Revision {
    commit(store, vec![Op::Delete(key(name))])
}

/// Puts whatever is listed in one transaction.
pub(crate) fn put_all(store: &dyn Store, listing: &Listing) -> Revision {
    let puts = listing.entries.iter();
    let puts = puts.map(|entry| Op::Put(entry.key.clone(), entry.value.clone(), None));
    commit(store, puts.collect())
}

/// A router's report, and the entry it is in.
pub(crate) fn report(store: &dyn Store, id: &str) -> Option<(RouterReport, Entry)> {
    let routers = key(&format!("routers/{id}"));
    let (entry, _) = now(store.get(&routers)).expect("a store that answers");
    let entry = entry?;
    let report = serde_json::from_slice(&entry.value).expect("a report");
    Some((report, entry))
}

/// The documents follow the test's own events; everything else is a store in memory.
#[derive(Debug)]
pub(crate) struct Scripted {
    pub(crate) memory: Arc<MemoryStore>,
    opened: Mutex<Vec<Feed>>,
}

impl Scripted {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            memory: MemoryStore::new(),
            opened: Mutex::default(),
        })
    }

    pub(crate) fn follower(self: &Arc<Self>) -> Follower {
        Follower::of_store(Arc::clone(self) as Arc<dyn Store>)
    }

    /// Sends an event to whoever follows, once somebody does.
    pub(crate) fn tell(&self, event: Event) {
        let opened = || self.opened().len();
        eventually("somebody follows", opened, |opened| *opened > 0);
        let feed = self.opened().last().cloned();
        let told = feed.is_some_and(|feed| feed.send_blocking(event));
        assert!(told, "the router follows");
    }

    fn opened(&self) -> MutexGuard<'_, Vec<Feed>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Scripted {
    fn get<'a>(&'a self, key: &'a Key) -> Answer<'a, (Option<Entry>, Revision)> {
        self.memory.get(key)
    }

    fn list(&self, scope: Scope, page: Page) -> Answer<'_, Listing> {
        self.memory.list(scope, page)
    }

    fn txn(&self, txn: Txn) -> Answer<'_, Outcome> {
        self.memory.txn(txn)
    }

    fn watch(&self, scope: Scope, after: Option<Resume>) -> Watch {
        assert_eq!(scope, Scope::Documents, "all that a router may follow");
        let (feed, watch) = watch::channel();
        assert_eq!(after, None, "a listing first");
        self.opened().push(feed);
        watch
    }

    fn lease(&self, ttl: Duration) -> Answer<'_, Lease> {
        self.memory.lease(ttl)
    }

    fn backend(&self) -> &'static str {
        "scripted"
    }
}

/// A listing of store `identity` at a revision.
pub(crate) fn reset(identity: &str, revision: u64, entries: &[Entry]) -> Event {
    Event::Reset(Listing {
        entries: entries.to_vec(),
        revision: Revision(revision),
        identity: StoreIdentity(identity.to_owned()),
    })
}

/// One key that was created and changed then.
pub(crate) fn entry(name: &str, value: &[u8], (create, modified): (u64, u64)) -> Entry {
    Entry {
        key: key(name),
        value: Bytes::copy_from_slice(value),
        create_revision: Revision(create),
        mod_revision: Revision(modified),
        version: 1,
    }
}

/// Puts of keys that have been there since revision 1, all in one transaction.
pub(crate) fn changes<'a>(
    puts: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    revision: u64,
) -> Event {
    let puts = puts.into_iter();
    let puts = puts.map(|(name, value)| Change::Put(entry(name, value, (1, revision))));
    Event::Changes {
        batch: puts.collect(),
        revision: Revision(revision),
    }
}

pub(crate) fn removal(name: &str, revision: u64) -> Event {
    let mod_revision = Revision(revision);
    Event::Changes {
        batch: vec![Change::Delete {
            key: key(name),
            mod_revision,
        }],
        revision: mod_revision,
    }
}
