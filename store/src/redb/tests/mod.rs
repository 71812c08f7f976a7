//! The embedded store on disks that fail, tear and fill up, and files that are not what they were.

mod backend;
mod crash;
mod file;
mod history;
mod trouble;

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use serin_proto::unit::Revision;

use super::RedbStore;
use crate::{Entry, Key, Listing, Op, Outcome, Page, Result, Scope, Store as _, Txn};

fn key(name: &str) -> Key {
    Key::new(name).expect("a short key")
}

fn put(name: &str, value: &str) -> Op {
    Op::Put(key(name), Bytes::copy_from_slice(value.as_bytes()), None)
}

async fn commit(store: &RedbStore, ops: Vec<Op>) -> Result<Outcome> {
    let receipt = ops.first().map(|op| op.key().clone());
    let compares = Vec::new();
    let txn = Txn {
        compares,
        ops,
        receipt,
    };
    store.txn(txn).await
}

async fn read(store: &RedbStore, name: &str) -> Option<Entry> {
    store.get(&key(name)).await.expect("memory answers").0
}

async fn everything(store: &RedbStore) -> Listing {
    let listing = store.list(Scope::All, Page::whole()).await;
    listing.expect("memory answers")
}

fn open(folder: &Path) -> Arc<RedbStore> {
    RedbStore::open(folder).expect("a whole file")
}

fn revision(outcome: Result<Outcome>) -> Revision {
    match outcome {
        Ok(Outcome::Committed(revision)) => revision,
        other => panic!("{other:?}"),
    }
}
