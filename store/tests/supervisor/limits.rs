//! What etcd takes and refuses, by its own word: compares over a range, counts, sizes, room. And
//! leases, whose end both sides must see alike.

use std::time::Duration;

use serin_proto::unit::Revision;
use serin_store::{
    Compare, Error, Held, Lease, OPERATIONS_MAX, Op, Outcome, Range, Scope, Store, Txn,
};
use serin_tests::etcd::Etcd;
use serin_tests::gateway::Gateway;
use serin_tests::{World, eventually};
use tokio::time::Instant;

use crate::outages::write;
use crate::proxy::{Cut, Proxy};
use crate::stage::{SOON, key, quick, store_at};

/// etcd grants no lease for less.
const TTL: Duration = Duration::from_secs(2);

fn put(name: &str, value: Vec<u8>) -> Op {
    Op::Put(key(name), value.into(), None)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_newer_is_one_compare_over_a_whole_range() {
    let world = World::new();
    let etcd = Etcd::start(&world).await;
    let store = store_at(vec![etcd.address().to_string()], quick());
    let routes = Range::under("config/routes/");
    let holds = async |range: &Range, revision: u64| {
        let compares = vec![Compare::NothingNewer(range.clone(), Revision(revision))];
        let txn = Txn {
            compares,
            ..Txn::default()
        };
        matches!(store.txn(txn).await, Ok(Outcome::Committed(_)))
    };
    assert!(holds(&routes, 0).await, "an empty range passes");
    let first = write(&store, "a").await;
    let last = write(&store, "b").await;
    for (revision, expected) in [(0, false), (first, false), (last, true), (last + 9, true)] {
        assert_eq!(holds(&routes, revision).await, expected, "{revision}");
    }
    let mut gateway = Gateway::open(etcd.address()).await.expect("etcd listens");
    // Right before and right behind the range.
    for neighbour in [
        "config/routes",
        "config/routes0",
        "config/routez/a",
        "config/r",
    ] {
        gateway.put(neighbour, b"{}").await.expect("etcd writes");
    }
    assert!(holds(&routes, last).await, "neighbours do not count");
    assert!(!holds(&Scope::Documents.range(), last).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_transaction_of_ours_is_taken() {
    let world = World::new();
    let etcd = Etcd::start(&world).await;
    let store = store_at(vec![etcd.address().to_string()], quick());
    let name = |n: usize| format!("config/routes/{n:0>200}");
    let absent = |n| Compare::ModRevision(key(&name(n)), Revision(0));
    let bytes = serin_store::TXN_BYTES_MAX / OPERATIONS_MAX - 216;
    let txn = |bytes: usize| Txn {
        compares: (0..OPERATIONS_MAX).map(absent).collect(),
        ops: (0..OPERATIONS_MAX)
            .map(|n| put(&name(n), vec![b'x'; bytes]))
            .collect(),
        receipt: None,
    };
    let outcome = store.txn(txn(bytes)).await;
    assert!(matches!(outcome, Ok(Outcome::Committed(_))), "{outcome:?}");
    // All compared keys are told when one of them does not hold.
    match store.txn(txn(1)).await {
        Ok(Outcome::Conflict { now, .. }) => assert_eq!(now.len(), OPERATIONS_MAX),
        other => panic!("{other:?}"),
    }
    let large = store.txn(txn(bytes + 300)).await;
    assert!(matches!(large, Err(Error::TooLarge(_))), "{large:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_store_says_so_and_is_read_and_followed() {
    let world = World::new();
    let etcd = Etcd::start_with(&world, &["--quota-backend-bytes", "16777216"]).await;
    let store = store_at(vec![etcd.address().to_string()], quick());
    write(&store, "first").await;
    let mut refused = None;
    for n in 0..100 {
        let ops = vec![put(&format!("audit/{n}"), vec![b'x'; 1 << 20])];
        match store
            .txn(Txn {
                ops,
                ..Txn::default()
            })
            .await
        {
            Ok(_) => {}
            Err(error) => {
                refused = Some(error);
                break;
            }
        }
    }
    assert!(matches!(refused, Some(Error::Full(_))), "{refused:?}");
    let (entry, _) = store
        .get(&key("config/routes/first"))
        .await
        .expect("it reads");
    assert!(entry.is_some());
    let delete = vec![Op::Delete(key("audit/0"))];
    let outcome = store
        .txn(Txn {
            ops: delete,
            ..Txn::default()
        })
        .await;
    assert!(matches!(outcome, Ok(Outcome::Committed(_))), "{outcome:?}");
}

async fn leased(store: &dyn Store, name: &str) -> Lease {
    let lease = store.lease(TTL).await.expect("etcd grants it");
    let op = Op::Put(key(name), "{}".into(), Some(lease.id()));
    let txn = Txn {
        ops: vec![op],
        ..Txn::default()
    };
    let outcome = store.txn(txn).await;
    assert!(matches!(outcome, Ok(Outcome::Committed(_))), "{outcome:?}");
    lease
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_ends_when_it_is_revoked_dropped_or_ended_by_others() {
    let world = World::new();
    let etcd = Etcd::start(&world).await;
    let store = store_at(vec![etcd.address().to_string()], quick());
    let revoked = leased(&*store, "routers/revoked").await;
    let dropped = leased(&*store, "routers/dropped").await;
    let mut ended = leased(&*store, "routers/ended").await;
    let kept = leased(&*store, "routers/kept").await;
    let began = Instant::now();

    revoked.revoke().await;
    let (gone, _) = store.get(&key("routers/revoked")).await.expect("it reads");
    assert_eq!(gone, None, "revoke waits until it is done");
    drop(dropped);
    let look = async || {
        store
            .get(&key("routers/dropped"))
            .await
            .is_ok_and(|seen| seen.0.is_none())
    };
    eventually("a dropped lease is revoked", TTL / 2, look, |gone| *gone).await;
    etcd.ctl(&["lease", "revoke", &format!("{:x}", ended.id().0)])
        .await;
    ended.gone().await;
    assert!(began.elapsed() < TTL, "the next keep-alive tells it");

    let age = async || began.elapsed();
    eventually("three lives pass", SOON, age, |age| *age > TTL * 3).await;
    let (there, _) = store.get(&key("routers/kept")).await.expect("it reads");
    assert!(there.is_some(), "it is kept alive");
    let Held::Since(since) = kept.held() else {
        panic!("it is held");
    };
    assert!(since.elapsed() < TTL, "{:?}", since.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_cannot_be_kept_is_given_up_no_later_than_etcd_ends_it() {
    let world = World::new();
    let etcd = Etcd::start(&world).await;
    let proxy = Proxy::start(etcd.address()).await;
    let store = store_at(vec![proxy.endpoint()], quick());
    let direct = store_at(vec![etcd.address().to_string()], quick());
    let mut lease = leased(&*store, "routers/cut").await;
    let Held::Since(since) = lease.held() else {
        panic!("it is held");
    };
    proxy.cut(Cut::AT_ONCE);
    lease.gone().await;
    // etcd counts from when it heard of it, so later; a busy machine may wake us late.
    let held = since.elapsed();
    let (least, most) = (TTL, TTL + TTL / 2);
    assert!(held >= least && held <= most, "given up after {held:?}");
    let look = async || {
        let read = direct.get(&key("routers/cut")).await;
        read.is_ok_and(|(entry, _)| entry.is_none())
    };
    eventually("etcd ends it", SOON, look, |gone| *gone).await;
    let none = store.lease(TTL).await;
    assert!(matches!(none, Err(Error::Unavailable(_))), "{none:?}");
}
