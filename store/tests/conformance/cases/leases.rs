//! Promise 14: keys that go when nobody keeps them.

use std::{sync::Arc, time::Duration};

use serin_store::{Error, Held, Lease, LeaseId, Scope, Store};
use serin_tests::eventually;
use tokio::time::timeout;

use crate::{
    judge::Mark,
    recorder::{Recorder, WITHIN, key, revision},
    subject::{Losing, Subject},
    writer::{Writer, commit, put_under},
};

const TTL: Duration = Duration::from_secs(2);

pub(crate) async fn a_revoked_lease_takes_its_keys_in_one_revision(subject: impl Subject) {
    let store = subject.store();
    let (recorder, lease) = leased(&store).await;
    lease.revoke().await;
    assert_taken(&store, recorder).await;
}

pub(crate) async fn a_dropped_lease_takes_its_keys(subject: impl Subject) {
    let store = subject.store();
    let (recorder, lease) = leased(&store).await;
    drop(lease);
    assert_taken(&store, recorder).await;
}

pub(crate) async fn a_lost_lease_takes_its_keys_and_is_of_no_more_use(subject: impl Losing) {
    let store = subject.store();
    let (recorder, mut lease) = leased(&store).await;
    subject.expire(lease.id()).await;
    assert_taken(&store, recorder).await;
    let gone = timeout(WITHIN, lease.gone()).await;
    assert!(
        gone.is_ok() && lease.held() == Held::Gone,
        "its holder is told"
    );
    assert_refused(&store, lease.id()).await;
}

pub(crate) async fn an_unknown_lease_is_refused(subject: impl Subject) {
    let store = subject.store();
    assert_refused(&store, LeaseId(0x7fff_ffff)).await;
    let lease = store.lease(TTL).await.expect("a lease");
    let id = lease.id();
    lease.revoke().await;
    assert_refused(&store, id).await;
}

pub(crate) async fn a_lease_that_is_kept_outlives_its_time(subject: impl Subject) {
    let store = subject.store();
    let (recorder, lease) = leased(&store).await;
    let since = |held| match held {
        Held::Since(since) => Some(since),
        Held::Gone => None,
    };
    let granted = since(lease.held()).expect("just granted");
    let look = async || lease.held();
    let held = eventually("renewed for longer than its time", WITHIN, look, |held| {
        *held == Held::Gone || since(*held).is_some_and(|at| at - granted > TTL)
    });
    assert_ne!(held.await, Held::Gone);
    let (entry, now) = store.get(&key("routers/a")).await.expect("an answer");
    assert!(entry.is_some(), "its keys are there");
    assert_eq!(now.0, recorder.at, "to keep a lease changes nothing");
}

pub(crate) async fn a_put_without_the_lease_takes_its_key_out(subject: impl Subject) {
    let store = subject.store();
    let (mut recorder, lease) = leased(&store).await;
    let mut writer = Writer::of(&store);
    let kept = writer.put("routers/b", "kept").await;
    lease.revoke().await;
    let now = revision(&store).await;
    recorder.until(now).await;
    assert_eq!(now, kept + 1);
    let held: Vec<&String> = recorder.held.keys().collect();
    assert_eq!(held, ["routers/b"]);
}

/// `routers/a` and `routers/b` under one lease, and a watch that has seen them.
async fn leased(store: &Arc<dyn Store>) -> (Recorder, Lease) {
    let lease = store.lease(TTL).await.expect("a lease");
    assert!(matches!(lease.held(), Held::Since(_)));
    let puts = ["routers/b", "routers/a"].map(|name| put_under(name, lease.id()));
    let outcome = commit(store, puts.to_vec()).await;
    assert!(outcome.is_ok(), "{outcome:?}");
    let recorder = Recorder::begun(store, Scope::Fleet).await;
    assert_eq!(recorder.held.len(), 2);
    (recorder, lease)
}

/// Both keys went by ordinary deletions of one revision.
async fn assert_taken(store: &Arc<dyn Store>, mut recorder: Recorder) {
    let expected = recorder.at + 1;
    recorder.until(expected).await;
    let mut marks = recorder.marks();
    marks.sort();
    let deleted = |name: &str| Mark {
        revision: expected,
        key: name.to_owned(),
        deleted: true,
    };
    assert_eq!(marks, [deleted("routers/a"), deleted("routers/b")]);
    assert_eq!(revision(store).await, expected);
}

async fn assert_refused(store: &Arc<dyn Store>, lease: LeaseId) {
    let before = revision(store).await;
    let outcome = commit(store, vec![put_under("routers/c", lease)]).await;
    assert!(matches!(outcome, Err(Error::Invalid(_))), "{outcome:?}");
    assert_eq!(revision(store).await, before);
}
