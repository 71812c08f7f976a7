//! Sweeps of a store in memory, at made-up times.

use bytes::Bytes;
use serin_proto::{key::StoreKey, unit::Revision};
use serin_store::MemoryStore;

use super::*;
use crate::leader::tests::won;

const DAY: Duration = Duration::from_secs(24 * 3600);
const NOW: OffsetDateTime = time::macros::datetime!(2027-01-01 00:00 UTC);

/// The key of a record made at that time.
fn audit(at: OffsetDateTime, n: u128) -> Key {
    let ms = u64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap();
    Key::from(&StoreKey::Audit(Ulid::from_parts(ms, n).to_string()))
}

async fn put(store: &MemoryStore, keys: impl IntoIterator<Item = (Key, String)>) {
    let mut ops = Vec::new();
    for (key, value) in keys {
        ops.push(Op::Put(key, Bytes::from(value), None));
        if ops.len() == KEYS_PER_TXN_MAX {
            commit(store, std::mem::take(&mut ops)).await;
        }
    }
    commit(store, ops).await;
}

async fn commit(store: &MemoryStore, ops: Vec<Op>) {
    let txn = Txn {
        ops,
        ..Txn::default()
    };
    store.txn(txn).await.unwrap();
}

async fn keys(store: &MemoryStore, scope: Scope) -> Vec<Key> {
    let listing = store.list(scope, Page::whole()).await.unwrap();
    listing.entries.into_iter().map(|entry| entry.key).collect()
}

fn answer(n: u32, expires_at: &str) -> (Key, String) {
    let key = StoreKey::Idempotency {
        token: "ci".to_owned(),
        sha256: format!("{n:064}"),
    };
    let value = serde_json::json!({ "status": 200, "expiresAt": expires_at });
    (Key::from(&key), value.to_string())
}

#[tokio::test]
async fn records_older_than_ninety_days_go() {
    let store = MemoryStore::new();
    let (fence, _lease) = won(&store).await;
    let ages = [0, 1, 89, 91, 400];
    let made = ages.map(|days| audit(NOW - DAY * days, 0));
    put(&store, made.clone().map(|key| (key, "{}".to_owned()))).await;
    let foreign = Key::new("audit/no-ulid").unwrap();
    put(&store, [(foreign.clone(), "{}".to_owned())]).await;
    assert_eq!(sweep(&*store, fence, NOW).await, Ok(2));
    let kept = keys(&store, Scope::Audit).await;
    assert_eq!(
        kept,
        [&made[2], &made[1], &made[0], &foreign].map(Clone::clone)
    );
    assert_eq!(sweep(&*store, fence, NOW).await, Ok(0));
}

#[tokio::test]
async fn the_newest_ten_thousand_records_stay() {
    let store = MemoryStore::new();
    let (fence, _lease) = won(&store).await;
    let extra = 250;
    let all = (0..AUDIT_RECORDS_MAX + extra).map(|n| audit(NOW - DAY, n as u128));
    let all: Vec<Key> = all.collect();
    put(&store, all.iter().map(|key| (key.clone(), "{}".to_owned()))).await;
    assert_eq!(sweep(&*store, fence, NOW).await, Ok(extra));
    assert_eq!(keys(&store, Scope::Audit).await, all[extra..]);
}

#[tokio::test]
async fn kept_answers_go_when_their_time_is_over() {
    let store = MemoryStore::new();
    let (fence, _lease) = won(&store).await;
    let over = (0..150).map(|n| answer(n, "2026-12-31T23:59:59Z"));
    let (live, unreadable) = (answer(900, "2027-01-01T00:00:01Z"), answer(901, "tomorrow"));
    put(&store, over.chain([live.clone(), unreadable.clone()])).await;
    assert_eq!(sweep(&*store, fence, NOW).await, Ok(150));
    assert_eq!(
        keys(&store, Scope::Idempotency).await,
        [live.0, unreadable.0]
    );
}

#[tokio::test]
async fn who_leads_no_more_sweeps_nothing() {
    let store = MemoryStore::new();
    let (fence, lease) = won(&store).await;
    put(&store, [(audit(NOW - DAY * 100, 0), "{}".to_owned())]).await;
    put(&store, [answer(0, "2026-01-01T00:00:00Z")]).await;
    store.expire(lease.id());
    let (other, _lease) = won(&store).await;
    let before = store.revision();
    assert_eq!(sweep(&*store, fence, NOW).await, Ok(0));
    assert_eq!(store.revision(), before, "nothing was written");
    assert_eq!(sweep(&*store, other, NOW).await, Ok(2));
    assert!(store.revision() > Revision(0));
}

#[tokio::test]
async fn the_leader_sweeps_as_soon_as_it_leads_and_nobody_else_does() {
    let store = MemoryStore::new();
    put(&store, [(audit(NOW - DAY * 4_000, 0), "{}".to_owned())]).await;
    let (sender, receiver) = watch::channel(Leadership::default());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stopped = async move {
        let _ = stopped.await;
    };
    let task = tokio::spawn(run(Arc::clone(&store) as _, receiver, stopped));
    let (fence, _lease) = won(&store).await;
    assert_eq!(keys(&store, Scope::Audit).await.len(), 1);
    let mut news = store.watch(Scope::Audit, None);
    news.next().await;
    sender.send_replace(Leadership {
        leading: Some(fence),
    });
    let swept = tokio::time::timeout(Duration::from_secs(10), news.next()).await;
    assert!(swept.is_ok(), "the record goes soon");
    assert_eq!(keys(&store, Scope::Audit).await, []);
    drop(stop);
    tokio::time::timeout(Duration::from_secs(10), task)
        .await
        .expect("it ends")
        .unwrap();
}

/// A route's state, and records of one rollout after the other, so many of each.
async fn rollouts(store: &MemoryStore, route: &str, state: Option<&str>, ids: &[(&str, u64)]) {
    let mut seq = 0;
    let mut all = Vec::new();
    for (id, count) in ids {
        for _ in 0..*count {
            seq += 1;
            let route = route.to_owned();
            let key = Key::from(&StoreKey::RolloutRecord { route, seq });
            all.push((key, format!(r#"{{"rolloutId":"{id}","after":{{}}}}"#)));
        }
    }
    if let Some(state) = state {
        let key = Key::from(&StoreKey::RolloutState(route.to_owned()));
        all.push((key, state.to_owned()));
    }
    put(store, all).await;
}

#[tokio::test]
async fn old_steps_go_but_for_those_of_the_rollout_that_runs_and_of_the_last_that_ended() {
    let running = r#"{"rolloutId":"c","phase":"Baking","sub":"Analysing"}"#;
    let ended = r#"{"rolloutId":"c","phase":"Failed"}"#;
    // State, records by rollout, the oldest first, and what stays of them.
    let table = [
        (
            Some(running),
            [("a", 50), ("b", 150), ("c", 100)],
            (0, 150, 100),
        ),
        (
            Some(ended),
            [("a", 50), ("b", 150), ("c", 100)],
            (0, 100, 100),
        ),
        (Some(ended), [("a", 50), ("b", 10), ("c", 300)], (0, 0, 300)),
        (None, [("a", 50), ("b", 10), ("c", 300)], (0, 0, 300)),
        (
            Some(running),
            [("a", 150), ("b", 20), ("c", 29)],
            (150, 20, 29),
        ),
    ];
    for (state, records, (a, b, c)) in table {
        let store = MemoryStore::new();
        let (fence, _lease) = won(&store).await;
        for route in ["chat", "other"] {
            rollouts(&store, route, state, &records).await;
        }
        sweep(&*store, fence, NOW).await.unwrap();
        let listing = store.list(Scope::Rollouts, Page::whole()).await.unwrap();
        for route in ["chat", "other"] {
            let count = |id: &str| {
                let text = format!(r#"{{"rolloutId":"{id}","after"#);
                let of = |entry: &&serin_store::Entry| {
                    entry.value.starts_with(text.as_bytes())
                        && entry
                            .key
                            .as_str()
                            .starts_with(&format!("rollouts/{route}/"))
                };
                listing.entries.iter().filter(of).count()
            };
            let kept = (count("a"), count("b"), count("c"));
            assert_eq!(kept, (a, b, c), "{state:?} {records:?}");
        }
    }
}
