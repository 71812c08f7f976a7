//! All that a router may do with a store: follow its documents, and announce itself.
//!
//! There is no `txn` here: a router cannot write a document.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use serin_proto::key::StoreKey;

use crate::{Compare, Entry, Key, Lease, Op, Outcome, Result, Scope, Store, Txn, Watch};

/// Where a router's documents come from.
#[derive(Debug)]
pub struct Follower {
    source: Source,
}

#[derive(Debug)]
enum Source {
    Store(Arc<dyn Store>),
    /// A stream that begins with a `Reset` and cannot be resumed: a file.
    Stream(Watch),
}

impl Follower {
    /// Follows the documents of a store.
    pub fn of_store(store: Arc<dyn Store>) -> Self {
        Self {
            source: Source::Store(store),
        }
    }

    /// Follows a stream that is there already.
    pub fn of_stream(watch: Watch) -> Self {
        Self {
            source: Source::Stream(watch),
        }
    }

    /// The stream of all documents, from a `Reset` on, and the means to announce oneself where there
    /// are any.
    pub fn follow(self) -> (Watch, Option<Announcer>) {
        match self.source {
            Source::Store(store) => {
                let watch = store.watch(Scope::Documents, None);
                (watch, Some(Announcer { store }))
            }
            Source::Stream(watch) => (watch, None),
        }
    }

    /// Whether it is a store that outlives this router: what was read from it is worth keeping.
    pub fn is_store(&self) -> bool {
        matches!(self.source, Source::Store(_))
    }
}

/// Writes `routers/<id>` and nothing else.
#[derive(Clone, Debug)]
pub struct Announcer {
    store: Arc<dyn Store>,
}

impl Announcer {
    /// A lease for the report.
    ///
    /// # Errors
    /// As [`Store::lease`].
    pub async fn lease(&self, ttl: Duration) -> Result<Lease> {
        self.store.lease(ttl).await
    }

    /// The report under that id, whoever wrote it.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub async fn read(&self, id: &str) -> Result<Option<Entry>> {
        let (entry, _) = self.store.get(&key(id)).await?;
        Ok(entry)
    }

    /// Writes the report of `id` under `lease`, if nobody changed it since `expected` was read
    /// (`None`: it was absent). `Conflict` gives what is there now.
    ///
    /// # Errors
    /// As [`Store::txn`].
    pub async fn write(
        &self,
        id: &str,
        report: Bytes,
        lease: &Lease,
        expected: Option<&Entry>,
    ) -> Result<Outcome> {
        let key = key(id);
        let revision = expected.map(|entry| entry.mod_revision).unwrap_or_default();
        let txn = Txn {
            compares: vec![Compare::ModRevision(key.clone(), revision)],
            ops: vec![Op::Put(key, report, Some(lease.id()))],
            receipt: None,
        };
        self.store.txn(txn).await
    }
}

fn key(id: &str) -> Key {
    Key::from(&StoreKey::Router(id.to_owned()))
}
