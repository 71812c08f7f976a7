//! No more history is kept than the window holds, in memory and in the file.

use std::sync::Arc;

use serin_proto::unit::Revision;

use super::{commit, everything, open, put, revision};
use crate::{Resume, Scope, Store as _, redb::RedbStore, watch::Event};

/// More than the window by more than one commit takes.
const TXNS: u64 = 10_200;
const CALLERS: u64 = 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_ten_thousand_revisions_are_kept_over_a_restart() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = open(folder.path());
    let callers = (0..CALLERS).map(|caller| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for n in (caller..TXNS).step_by(CALLERS as usize) {
                revision(commit(&store, vec![put("config/a", &n.to_string())]).await);
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.expect("no panic");
    }
    drop(store);
    let store = open(folder.path());
    // A restart drops nothing, so the oldest is where the last commit left it.
    assert!(begins_anew(&store, 10_000 + CALLERS).await);
    assert!(!begins_anew(&store, 10_000).await);
    assert_eq!(everything(&store).await.revision, Revision(1 + TXNS));
}

/// Whether a watcher that is so far behind gets a `Reset`.
async fn begins_anew(store: &RedbStore, behind: u64) -> bool {
    let now = everything(store).await;
    let resume = Resume {
        identity: now.identity,
        revision: Revision(now.revision.0 - behind),
        newest: None,
    };
    let event = store.watch(Scope::Documents, Some(resume)).next().await;
    matches!(event, Some(Event::Reset(_)))
}
