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

    fn txn(&self, txn: Txn) -> Answer<'_, Outcome> {
        let fence = fence(&txn);
        Box::pin(async move {
            let begun = clock::now();
            let outcome = self.store.txn(txn).await;
            let took = clock::now().saturating_duration_since(begun);
            let result = result(&outcome, fence);
            self.metrics.txn(self.store.backend(), result, took);
            outcome
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
