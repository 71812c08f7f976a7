//! The switches do what tests rest on.

use std::time::Duration;

use tokio::time::timeout;

use super::MemoryStore;
use crate::{
    Error, Held, Key, Op, Outcome, Page, Scope, Store as _, Txn, Watch,
    watch::{Event, Reason},
};

const TTL: Duration = Duration::from_secs(10);
const WITHIN: Duration = Duration::from_secs(20);

fn key(name: &str) -> Key {
    Key::new(name).expect("a short key")
}

fn put(name: &str) -> Txn {
    Txn {
        ops: vec![Op::Put(key(name), "1".into(), None)],
        receipt: Some(key(name)),
        ..Txn::default()
    }
}

async fn is_there(store: &MemoryStore, name: &str) -> bool {
    let (entry, _) = store.get(&key(name)).await.expect("not cut off");
    entry.is_some()
}

async fn next(watch: &mut Watch) -> Event {
    let event = timeout(WITHIN, watch.next()).await.expect("an event");
    event.expect("a watch does not end by itself")
}

#[tokio::test]
async fn transactions_fail_as_they_were_told_in_order() {
    let store = MemoryStore::new();
    store.fail_next(Error::Full("full".to_owned()));
    store.commit_but_say_unknown();
    let failed = store.txn(put("config/a")).await;
    assert_eq!(failed, Err(Error::Full("full".to_owned())));
    assert!(!is_there(&store, "config/a").await);
    let unknown = store.txn(put("config/a")).await;
    let receipt = Some(key("config/a"));
    let is_unknown =
        |error: &Error| matches!(error, Error::Unknown { receipt: told, .. } if *told == receipt);
    assert!(unknown.as_ref().is_err_and(is_unknown), "{unknown:?}");
    assert!(is_there(&store, "config/a").await);
    let third = store.txn(put("config/b")).await;
    assert!(matches!(third, Ok(Outcome::Committed(_))), "{third:?}");
}

#[tokio::test]
async fn a_partition_cuts_off_everybody_and_loses_nothing() {
    let store = MemoryStore::new();
    let mut watch = store.watch(Scope::Documents, None);
    assert!(matches!(next(&mut watch).await, Event::Reset(_)));
    store.partition();
    assert!(matches!(
        next(&mut watch).await,
        Event::Down(Reason::Connect, _)
    ));
    let calls = [
        store.get(&key("config/a")).await.err(),
        store.list(Scope::All, Page::whole()).await.err(),
        store.txn(put("config/a")).await.err(),
        store.lease(TTL).await.err(),
    ];
    for error in calls {
        assert!(matches!(error, Some(Error::Unavailable(_))), "{error:?}");
    }
    store.heal();
    assert_eq!(next(&mut watch).await, Event::Progress(store.revision()));
    store.txn(put("config/a")).await.expect("healed");
    assert!(matches!(next(&mut watch).await, Event::Changes { .. }));
}

#[tokio::test]
async fn a_lease_ends_no_earlier_than_its_time_after_it_was_last_kept() {
    let store = MemoryStore::new();
    let mut lease = store.lease(TTL).await.expect("a lease");
    let mut txn = put("routers/a");
    txn.ops = vec![Op::Put(key("routers/a"), "1".into(), Some(lease.id()))];
    store.txn(txn).await.expect("a lease that is held");
    // However much time passes: nothing keeps it from being kept.
    store.advance(10 * TTL);
    assert!(is_there(&store, "routers/a").await);
    store.partition();
    store.advance(TTL - Duration::from_secs(1));
    assert_ne!(lease.held(), Held::Gone);
    store.advance(Duration::from_secs(1));
    assert_eq!(lease.held(), Held::Gone);
    timeout(WITHIN, lease.gone())
        .await
        .expect("its holder is told");
    store.heal();
    assert!(!is_there(&store, "routers/a").await);
}

#[tokio::test]
async fn a_lease_is_kept_over_a_short_partition() {
    let store = MemoryStore::new();
    let lease = store.lease(TTL).await.expect("a lease");
    for _ in 0..3 {
        store.partition();
        store.advance(TTL - Duration::from_secs(1));
        store.heal();
    }
    assert_ne!(lease.held(), Held::Gone);
}

#[tokio::test]
async fn history_is_as_long_as_it_was_set() {
    let store = MemoryStore::new();
    store.set_history(2);
    for _ in 0..5 {
        store.txn(put("config/a")).await.expect("it commits");
    }
    let identity = store
        .list(Scope::All, Page::whole())
        .await
        .expect("not cut off")
        .identity;
    for (behind, told) in [(2, false), (3, true)] {
        let resume = crate::Resume {
            identity: identity.clone(),
            revision: serin_proto::unit::Revision(store.revision().0 - behind),
            newest: None,
        };
        let mut watch = store.watch(Scope::All, Some(resume));
        let event = next(&mut watch).await;
        assert_eq!(
            matches!(event, Event::Reset(_)),
            told,
            "{behind} behind: {event:?}"
        );
    }
}
