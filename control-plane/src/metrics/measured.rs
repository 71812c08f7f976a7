//! A store whose transactions are counted and timed; nothing else about it differs.

use std::{sync::Arc, time::Duration};

use serin_proto::{key::StoreKey, metric::control_plane::TxnResult, unit::Revision};
use serin_store::{
    Answer, Compare, Entry, Error, Key, Lease, Listing, Outcome, Page, Result, Resume, Scope,
    Store, Txn, Watch,
};

use super::Metrics;
use crate::clock;

/// A store and who counts what is written to it.
#[derive(Debug)]
pub(crate) struct Measured {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
}

impl Measured {
    /// `store`, measured from now on.
    pub(crate) fn wrap(store: Arc<dyn Store>, metrics: Arc<Metrics>) -> Arc<dyn Store> {
        let backend = store.backend();
        for result in TxnResult::ALL {
            metrics.txns.know((backend, result));
        }
        metrics.txn_times.know(backend);
        Arc::new(Self { store, metrics })
    }
}

impl Store for Measured {
    fn get<'a>(&'a self, key: &'a Key) -> Answer<'a, (Option<Entry>, Revision)> {
        self.store.get(key)
    }

    fn list(&self, scope: Scope, page: Page) -> Answer<'_, Listing> {
        self.store.list(scope, page)
    }

    /// Whoever stops waiting, a runner whose leader is deposed among them: what was sent is counted.
    fn txn(&self, txn: Txn) -> Answer<'_, Outcome> {
        let (store, metrics) = (Arc::clone(&self.store), Arc::clone(&self.metrics));
        let (fence, receipt) = (fence(&txn), txn.receipt.clone());
        Box::pin(async move {
            let sent = async move {
                let begun = clock::now();
                let outcome = store.txn(txn).await;
                let took = clock::now().saturating_duration_since(begun);
                metrics.txn(store.backend(), result(&outcome, fence), took);
                outcome
            };
            let ended = tokio::spawn(sent).await;
            ended.unwrap_or_else(|ended| {
                let why = ended.to_string();
                Err(Error::Unknown { receipt, why })
            })
        })
    }

    fn watch(&self, scope: Scope, after: Option<Resume>) -> Watch {
        self.store.watch(scope, after)
    }

    fn lease(&self, ttl: Duration) -> Answer<'_, Lease> {
        self.store.lease(ttl)
    }

    fn backend(&self) -> &'static str {
        self.store.backend()
    }
}

/// The leader's key as the transaction wants it. A claim wants it absent, and is no fence.
pub(super) fn fence(txn: &Txn) -> Option<Revision> {
    let seat = Key::from(&StoreKey::Election);
    txn.compares.iter().find_map(|compare| match compare {
        Compare::CreateRevision(key, revision) if *key == seat && revision.0 > 0 => Some(*revision),
        _ => None,
    })
}

pub(super) fn result(outcome: &Result<Outcome>, fence: Option<Revision>) -> TxnResult {
    match outcome {
        Ok(Outcome::Committed(_)) => TxnResult::Ok,
        Ok(Outcome::Conflict { now, .. }) => {
            let seat = Key::from(&StoreKey::Election);
            let holder = now.iter().find(|entry| entry.key == seat);
            let is_ours = fence == holder.map(|entry| entry.create_revision);
            if fence.is_some() && !is_ours {
                TxnResult::Fenced
            } else {
                TxnResult::Conflict
            }
        }
        Err(Error::Unknown { .. }) => TxnResult::Unknown,
        Err(_) => TxnResult::Error,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use serin_store::{MemoryStore, Op};

    use super::*;
    use crate::stage::eventually;

    /// One that does not answer at once.
    #[derive(Debug)]
    struct Far(Arc<MemoryStore>);

    impl Store for Far {
        fn get<'a>(&'a self, key: &'a Key) -> Answer<'a, (Option<Entry>, Revision)> {
            self.0.get(key)
        }

        fn list(&self, scope: Scope, page: Page) -> Answer<'_, Listing> {
            self.0.list(scope, page)
        }

        fn txn(&self, txn: Txn) -> Answer<'_, Outcome> {
            Box::pin(async move {
                tokio::task::yield_now().await;
                self.0.txn(txn).await
            })
        }

        fn watch(&self, scope: Scope, after: Option<Resume>) -> Watch {
            self.0.watch(scope, after)
        }

        fn lease(&self, ttl: Duration) -> Answer<'_, Lease> {
            self.0.lease(ttl)
        }

        fn backend(&self) -> &'static str {
            "far"
        }
    }

    #[tokio::test]
    async fn what_was_sent_is_counted_though_nobody_waits_for_it_any_more() {
        let metrics = Metrics::new("1", "c");
        let far = Arc::new(Far(MemoryStore::new()));
        let store = Measured::wrap(far, Arc::clone(&metrics));
        let txn = Txn {
            ops: vec![Op::Put(Key::new("config/a").unwrap(), "1".into(), None)],
            ..Txn::default()
        };
        assert!(store.txn(txn).now_or_never().is_none());
        let is_counted = || async {
            let values = metrics.txns.values();
            format!("{values:?}").contains("Ok), Count(1)")
        };
        eventually(is_counted, |counted| *counted).await;
    }
}
