//! K8: etcd takes no more writes, because its quota is used up.

use std::time::Duration;

use serde_json::json;
use serin_tests::eventually;
use serin_tests::rollouts::State;
use serin_tests::scripted_prometheus::Traffic;
use tokio::time::Instant;

use crate::fleet::{Fleet, canary};
use crate::stage::{PACE, SOON, documents, plan, start};

const QUOTA: &str = "16777216";
const FILLING: usize = 1024 * 1024;
/// Refused writes that are waited for, to see how many there are in a second.
const REFUSED: f64 = 6.0;

/// The mean time between so many refusals; the first came at any moment.
fn between(began: Instant, refusals: f64) -> Duration {
    began.elapsed().div_f64(refusals - 1.0)
}

/// K8: rollouts hold and say so, people are told, and nobody hammers the store.
pub(crate) async fn a_full_store_holds_rollouts_says_so_and_is_left_in_peace() {
    let fleet = Fleet::start(PACE, &["--quota-backend-bytes", QUOTA]).await;
    fleet.stands_at(&[5, 25]).await;
    let mut gateway = fleet.store.gateway().await;
    let mut n = 0;
    let full = loop {
        n += 1;
        assert!(n < 64, "etcd takes everything");
        let filled = gateway
            .put(&format!("filling/{n}"), &vec![b'x'; FILLING])
            .await;
        if let Err(error) = filled {
            break error.to_string();
        }
    };
    assert!(full.contains("space"), "{full}");
    let leader = &fleet.planes[0];
    let said = async || leader.process.printed();
    let is_said = |log: &String| log.contains("it holds") && log.contains("store_full");
    eventually("it is said", SOON, said, is_said).await;
    let state = fleet.store.state("chat").await;
    let refused = leader.txns("error").await;
    let began = Instant::now();
    let more = async || leader.txns("error").await - refused;
    let more = eventually("writes are refused", SOON, more, |more| *more >= REFUSED).await;
    let each = between(began, more);
    eprintln!("a refused write each {each:?}");
    assert!(
        each > Duration::from_millis(900),
        "more than one write a second: {each:?}"
    );

    // Reads and watches are fine, and people are told.
    assert_eq!(fleet.api().get("/routes/chat").await.status(), 200);
    let path = format!("/rollouts/{}/pause", state.id());
    let asked = fleet.api().post(&path, &json!({})).await;
    assert_eq!(asked.status(), 507, "{}", asked.text());
    assert_eq!(asked.json()["code"], "store_full");
    assert_eq!(
        fleet.store.state("chat").await.0,
        state.0,
        "the state has moved"
    );
    for router in &fleet.routers {
        assert_eq!(canary(router).await["share"], 25.0);
    }

    for n in 1..=n {
        // The one that was refused is not there.
        let _ = gateway.delete(&format!("filling/{n}")).await;
    }
    let newest = gateway.revision().await.expect("etcd answers");
    gateway.compact(newest).await.expect("etcd compacts");
    fleet.etcd.ctl(&["defrag"]).await;
    fleet.etcd.ctl(&["alarm", "disarm"]).await;
    let ticks = |now: &State| now.0["cursorMs"] != state.0["cursorMs"];
    fleet
        .store
        .until(("chat", "it goes on"), SOON * 2, ticks)
        .await;
    fleet.store.sound_history("chat").await;
}

/// K8: three rollouts do not write three times as often.
pub(crate) async fn many_rollouts_together_leave_a_full_store_in_peace() {
    let fleet = Fleet::start(PACE, &["--quota-backend-bytes", QUOTA]).await;
    for n in 0..3 {
        let route = format!("chat{n}");
        fleet.prometheus.traffic(&route, Traffic::healthy(20.0));
        documents(&fleet.api(), "http://127.0.0.1:9/v1", &route).await;
        start(&fleet.api(), &route, &plan(&[5], &json!({}))).await;
    }
    let mut gateway = fleet.store.gateway().await;
    let mut n = 0;
    while gateway
        .put(&format!("filling/{n}"), &vec![b'x'; FILLING])
        .await
        .is_ok()
    {
        n += 1;
        assert!(n < 64, "etcd takes everything");
    }
    let leader = &fleet.planes[0];
    let refused = leader.txns("error").await;
    let began = Instant::now();
    let more = async || leader.txns("error").await - refused;
    let more = eventually("writes are refused", SOON, more, |more| *more >= REFUSED).await;
    let each = between(began, more);
    eprintln!("three rollouts: a refused write each {each:?}");
    assert!(
        each > Duration::from_millis(900),
        "more than one write a second: {each:?}"
    );
}
