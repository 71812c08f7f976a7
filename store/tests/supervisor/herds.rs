//! Many at once, and one for a long time: nobody spins, nobody leaks, nobody comes with all others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serin_store::watch::Reason;
use serin_store::{Scope, Store};
use serin_tests::eventually;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tonic::Status;

use crate::fake::Fake;
use crate::stage::{SOON, down, quick, reset, store_at};

#[tokio::test]
async fn a_dropped_watch_is_freed_on_both_sides() {
    let fake = Fake::start().await;
    let store = store_at(vec![fake.endpoint()], quick());
    let mut watches = Vec::new();
    for _ in 0..3 {
        let mut watch = store.watch(Scope::Documents, None);
        reset(&mut watch).await;
        fake.watched().await.created();
        watches.push(watch);
    }
    let seen = async || (store.open_watches(), fake.open());
    eventually("three are open", SOON, seen, |seen| *seen == (3, 3)).await;
    watches.pop();
    eventually("two are open", SOON, seen, |seen| *seen == (2, 2)).await;
    watches.clear();
    eventually("none is open", SOON, seen, |seen| *seen == (0, 0)).await;
}

#[tokio::test]
async fn a_watch_has_one_stream_however_often_it_breaks() {
    let fake = Fake::start().await;
    let mut timing = quick();
    timing.pause_max = timing.pause_min;
    let store = store_at(vec![fake.endpoint()], timing);
    let mut watch = store.watch(Scope::Documents, None);
    reset(&mut watch).await;
    for _ in 0..20 {
        let play = fake.watched().await;
        assert!(store.open_watches() <= 1);
        play.created();
        play.fail(Status::unavailable("again"));
        down(&mut watch).await;
    }
    fake.watched().await.created();
    let seen = async || (store.open_watches(), fake.open());
    eventually("one is open", SOON, seen, |seen| *seen == (1, 1)).await;
}

#[tokio::test]
async fn a_server_that_hangs_up_is_not_called_in_a_loop() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it has an address");
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            drop(connection);
        }
    });
    let mut timing = quick();
    (timing.pause_min, timing.pause_max) = (Duration::from_millis(50), Duration::from_millis(400));
    let store = store_at(vec![address.to_string()], timing);
    let mut watch = store.watch(Scope::Documents, None);
    down(&mut watch).await;
    let began = Instant::now();
    let look = async || (began.elapsed(), calls.load(Ordering::Relaxed));
    let (_, calls) = eventually("three seconds pass", SOON, look, |seen| {
        seen.0 >= Duration::from_secs(3)
    })
    .await;
    // On average a pause of 0.2 s, and tonic's own second try of each connection.
    assert!((4..100).contains(&calls), "{calls} connections in 3 s");
}

#[tokio::test]
async fn a_fleet_whose_history_was_compacted_lists_over_a_while() {
    const FLEET: usize = 50;
    let fake = Fake::start().await;
    let mut timing = quick();
    timing.relist_max = Duration::from_secs(2);
    timing.silent = SOON;
    let mut fleet = Vec::new();
    for _ in 0..FLEET {
        let store = store_at(vec![fake.endpoint()], timing.clone());
        let mut watch = store.watch(Scope::Documents, None);
        reset(&mut watch).await;
        let play = fake.watched().await;
        play.created();
        fleet.push((store, watch, play));
    }
    fake.table(|table| table.listings.clear());
    for (_, _, play) in &fleet {
        let mut message = play.message();
        message.compact_revision = 11;
        message.canceled = true;
        play.send(message);
    }
    for (_, watch, _) in &mut fleet {
        assert_eq!(down(watch).await, Reason::Canceled);
        reset(watch).await;
    }
    let listings = fake.table(|table| table.listings.clone());
    assert_eq!(listings.len(), FLEET);
    let (first, last) = (listings.iter().min(), listings.iter().max());
    let spread = *last.expect("fifty") - *first.expect("fifty");
    assert!(
        spread >= Duration::from_secs(1),
        "{FLEET} listings within {spread:?}"
    );
}
