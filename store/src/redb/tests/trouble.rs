//! A disk that is full or fails while the store is open.

use std::{io::ErrorKind, path::Path, sync::Arc, time::Duration};

use tokio::time::timeout;

use super::{backend::Hand, commit, everything, open, put, read, revision};
use crate::{
    Error, Outcome, Result, Scope, Store as _,
    redb::{OpenError, RedbStore},
    watch::Event,
};

const WITHIN: Duration = Duration::from_secs(20);
const FOREVER: u64 = u64::MAX;

fn start(folder: &Path) -> (Arc<Hand>, Arc<RedbStore>) {
    let hand = Hand::new();
    let store = RedbStore::open_by(folder, hand.opener()).expect("an empty folder");
    (hand, store)
}

/// Writes until it is done: how often that fails before depends on pauses.
async fn until_written(store: &RedbStore, name: &str) -> Vec<Result<Outcome>> {
    let write = async {
        let mut failed = Vec::new();
        loop {
            match commit(store, vec![put(name, "written")]).await {
                Ok(Outcome::Committed(_)) => return failed,
                other => failed.push(other),
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(WITHIN, write).await.expect("written in the end")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_writes_alone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (hand, store) = start(folder.path());
    revision(commit(&store, vec![put("config/a", "1")]).await);
    let mut watch = store.watch(Scope::Documents, None);
    hand.fail(0, FOREVER, ErrorKind::StorageFull);
    let first = commit(&store, vec![put("config/b", "1")]).await;
    assert!(
        matches!(first, Err(Error::Full(_) | Error::Unknown { .. })),
        "{first:?}"
    );
    let second = commit(&store, vec![put("config/b", "2")]).await;
    assert!(matches!(second, Err(Error::Full(_))), "{second:?}");
    assert!(read(&store, "config/a").await.is_some(), "reads go on");
    assert!(
        matches!(watch.next().await, Some(Event::Reset(_))),
        "watches go on"
    );
    let other = RedbStore::open(folder.path());
    let refused = matches!(other, Err(OpenError::InUse(_)));
    assert!(refused, "the folder is ours though its file is closed");
    hand.heal();
    // More than one commit takes ask without a pause: that must not keep it from being opened.
    let callers = (0..300).map(|n| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { until_written(&store, &format!("config/c{n}")).await })
    });
    for caller in callers.collect::<Vec<_>>() {
        let failed = caller.await.expect("no panic");
        let full = |outcome: &Result<Outcome>| matches!(outcome, Err(Error::Full(_)));
        assert!(failed.iter().all(full), "{failed:?}");
    }
    let kept = everything(&store).await;
    drop(store);
    assert_eq!(everything(&open(folder.path())).await, kept);
}

/// An error at each of the operations of three transactions, once, and then the disk is well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_of_a_transaction_is_true_wherever_the_disk_fails() {
    let mut said = [0; 3];
    for kind in [ErrorKind::StorageFull, ErrorKind::Other] {
        for after in 0..100 {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let (hand, store) = start(folder.path());
            hand.fail(after, 1, kind);
            let outcomes = three(&store).await;
            if !hand.has_failed() {
                break;
            }
            for (name, outcome) in ["config/0", "config/1", "config/2"]
                .into_iter()
                .zip(&outcomes)
            {
                let there = read(&store, name).await.is_some();
                match outcome {
                    Ok(Outcome::Committed(_)) => {
                        assert!(there, "{name} after {after}");
                        said[0] += 1;
                    }
                    Err(Error::Full(_)) if kind == ErrorKind::StorageFull => {
                        assert!(!there, "{name} after {after}");
                        said[1] += 1;
                    }
                    Err(Error::Unavailable(_)) => {
                        assert!(!there, "{name} after {after}");
                        said[1] += 1;
                    }
                    Err(Error::Unknown { .. }) => said[2] += 1,
                    other => panic!("{name} after {after}: {other:?}"),
                }
            }
            until_written(&store, "config/end").await;
            let kept = everything(&store).await;
            drop(store);
            assert_eq!(
                everything(&open(folder.path())).await,
                kept,
                "after {after}"
            );
        }
    }
    assert!(said[0] > 0 && said[1] > 0, "{said:?}");
}

/// The disk stays broken for a while, so that it is not known at once what got there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_unknown_is_settled_once_the_file_can_be_read_again() {
    let mut unknown = 0;
    for after in 0..24 {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (hand, store) = start(folder.path());
        revision(commit(&store, vec![put("config/a", "1")]).await);
        hand.fail(after, FOREVER, ErrorKind::Other);
        let outcome = commit(&store, vec![put("config/b", "1")]).await;
        if let Err(Error::Unknown { receipt, .. }) = &outcome {
            assert_eq!(receipt.as_ref().map(|key| key.as_str()), Some("config/b"));
            unknown += 1;
        }
        hand.heal();
        until_written(&store, "config/c").await;
        let there = read(&store, "config/b").await.is_some();
        match outcome {
            Ok(_) => assert!(there, "after {after}"),
            Err(Error::Unknown { .. }) => {}
            Err(error) => assert!(!there, "after {after}: {error}"),
        }
        let kept = everything(&store).await;
        drop(store);
        assert_eq!(
            everything(&open(folder.path())).await,
            kept,
            "after {after}"
        );
    }
    assert!(unknown > 0);
}

/// Three transactions, each after the answer to the one before.
async fn three(store: &RedbStore) -> [Result<Outcome>; 3] {
    [
        commit(store, vec![put("config/0", "1")]).await,
        commit(store, vec![put("config/1", "1")]).await,
        commit(store, vec![put("config/2", "1")]).await,
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_ended_on_a_broken_disk_takes_its_keys_later() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (hand, store) = start(folder.path());
    let lease = store.lease(WITHIN).await.expect("a lease");
    let op = crate::Op::Put(super::key("routers/a"), "1".into(), Some(lease.id()));
    revision(commit(&store, vec![op]).await);
    hand.fail(0, FOREVER, ErrorKind::Other);
    timeout(WITHIN, lease.revoke())
        .await
        .expect("nobody waits for a disk");
    assert!(read(&store, "routers/a").await.is_some());
    hand.heal();
    let mut watch = store.watch(Scope::Fleet, None);
    let gone = async {
        loop {
            match watch.next().await {
                Some(Event::Reset(listing)) if listing.entries.is_empty() => return,
                Some(Event::Changes { .. }) => return,
                Some(_) => {}
                None => panic!("the watch ended"),
            }
        }
    };
    timeout(WITHIN, gone).await.expect("its keys go");
    assert!(read(&store, "routers/a").await.is_none());
}

#[tokio::test]
async fn keys_of_leases_go_when_the_store_is_opened_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = open(folder.path());
    let lease = store.lease(WITHIN).await.expect("a lease");
    let op = crate::Op::Put(super::key("routers/a"), "1".into(), Some(lease.id()));
    let at = revision(commit(&store, vec![op, put("config/a", "1")]).await);
    let before = crate::Resume {
        identity: everything(&store).await.identity,
        revision: at,
        newest: None,
    };
    drop(store);
    drop(lease);
    let store = open(folder.path());
    let listing = everything(&store).await;
    assert_eq!((listing.entries.len(), listing.revision.0), (1, at.0 + 1));
    let mut watch = store.watch(Scope::Fleet, Some(before));
    let event = watch.next().await;
    assert!(
        matches!(event, Some(Event::Changes { .. })),
        "an ordinary deletion: {event:?}"
    );
}
