//! Writes, and keeps the truth: what committed, at which revision.

use std::sync::Arc;

use bytes::Bytes;
use serin_proto::unit::Revision;
use serin_store::{Compare, LeaseId, Op, Outcome, Result, Scope, Store, Txn};

use crate::{
    judge::{Mark, Truth},
    recorder::key,
};

/// Everything committed through it. Deletes are asked only of keys that are there.
pub(crate) struct Writer {
    store: Arc<dyn Store>,
    pub(crate) truth: Truth,
}

impl Writer {
    pub(crate) fn of(store: &Arc<dyn Store>) -> Self {
        Self {
            store: Arc::clone(store),
            truth: Truth::new(),
        }
    }

    /// What happened in a scope.
    pub(crate) fn truth_of(&self, scope: Scope) -> Truth {
        let ours = self.truth.iter().map(|(revision, marks)| {
            let marks = marks.iter();
            let ours = marks.filter(|mark| scope.contains(&key(&mark.key)));
            (*revision, ours.cloned().collect())
        });
        ours.collect()
    }

    pub(crate) async fn put(&mut self, name: &str, value: &str) -> u64 {
        self.ops(vec![put(name, value)]).await
    }

    pub(crate) async fn delete(&mut self, name: &str) -> u64 {
        self.ops(vec![delete(name)]).await
    }

    /// # Panics
    /// When it does not commit.
    pub(crate) async fn ops(&mut self, ops: Vec<Op>) -> u64 {
        let outcome = commit(&self.store, ops.clone()).await;
        let Ok(Outcome::Committed(revision)) = outcome else {
            panic!("{outcome:?}")
        };
        self.wrote(revision, &ops);
        revision.0
    }

    /// Adds what committed elsewhere.
    pub(crate) fn wrote(&mut self, revision: Revision, ops: &[Op]) {
        let marks = ops.iter().map(|op| Mark {
            revision: revision.0,
            key: op.key().to_string(),
            deleted: matches!(op, Op::Delete(_)),
        });
        self.truth.entry(revision.0).or_default().extend(marks);
    }
}

/// A transaction without a compare.
pub(crate) async fn commit(store: &Arc<dyn Store>, ops: Vec<Op>) -> Result<Outcome> {
    commit_if(store, Vec::new(), ops).await
}

pub(crate) async fn commit_if(
    store: &Arc<dyn Store>,
    compares: Vec<Compare>,
    ops: Vec<Op>,
) -> Result<Outcome> {
    let receipt = None;
    let txn = Txn {
        compares,
        ops,
        receipt,
    };
    store.txn(txn).await
}

pub(crate) fn put(name: &str, value: &str) -> Op {
    Op::Put(key(name), Bytes::copy_from_slice(value.as_bytes()), None)
}

pub(crate) fn put_under(name: &str, lease: LeaseId) -> Op {
    Op::Put(key(name), Bytes::from_static(b"leased"), Some(lease))
}

pub(crate) fn delete(name: &str) -> Op {
    Op::Delete(key(name))
}
