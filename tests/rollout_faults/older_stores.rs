//! RO44, RO45: routers that missed a piece of history, and a store that has forgotten one.

use serde_json::{Value, json};
use serin_tests::control_plane::token;
use serin_tests::rollouts::State;
use serin_tests::{applied, eventually};

use crate::fleet::{Fleet, canary, exposes};
use crate::stage::{PACE, SOON, plan, start};

/// RO44: history is compacted while a router is away.
pub(crate) async fn a_router_that_was_away_over_a_compaction_misses_nothing_and_lists_once() {
    let fleet = Fleet::start(PACE, &[]).await;
    let chat = fleet.stands_at(&[5, 25]).await;
    let away = &fleet.routers[1];
    let resets = |log: &str| {
        let batches = applied::batches(log);
        batches
            .iter()
            .filter(|batch| batch.kind == applied::Kind::Reset)
            .count()
    };
    let before = resets(&away.process.printed());
    fleet.wire.hold(true, true);
    fleet.wire.cut();
    let base_url = "http://127.0.0.1:9/v1";
    for n in 0..30 {
        let provider = json!({"name": format!("p{n}"), "dialect": "openai", "baseUrl": base_url});
        fleet
            .api()
            .set(&format!("/providers/p{n}"), &provider)
            .await;
    }
    chat.does("promote", &json!({"full": true})).await;
    let mut gateway = fleet.store.gateway().await;
    let newest = gateway.revision().await.expect("etcd answers");
    gateway.compact(newest).await.expect("etcd compacts");
    fleet.wire.hold(false, false);
    exposes(away, 99.0, SOON * 2).await;
    let log = away.process.printed();
    let listed = resets(&log) - before;
    eprintln!("it listed {listed} times");
    assert_eq!(
        listed, 1,
        "what it missed is gone from the history: it lists, once"
    );
    let batches = applied::batches(&log);
    let faults = applied::violations(&batches, &std::collections::BTreeMap::new());
    assert_eq!(faults, Vec::<String>::new());
    let bakes = |state: &State| state.phase() == "Baking" && state.sub() != "Applying";
    fleet
        .store
        .until(("chat", "both have acknowledged"), SOON * 2, bakes)
        .await;
}

/// RO45: etcd comes back from a backup that is older than what routers serve.
pub(crate) async fn an_older_backup_changes_no_router_and_pauses_until_it_is_adopted() {
    let mut fleet = Fleet::start(PACE, &[]).await;
    let mut plan = plan(&[5, 25], &json!({}));
    for step in [0, 1] {
        plan["steps"][step]["minDuration"] = json!("36000s");
    }
    let chat = start(&fleet.api(), "chat", &plan).await;
    fleet.store.until_judged("chat", SOON * 2).await;
    let backup = fleet.world.path("backup.db");
    let path = backup.to_string_lossy().into_owned();
    fleet.etcd.ctl(&["snapshot", "save", &path]).await;
    chat.does("skip-step", &json!({})).await;
    for router in &fleet.routers {
        exposes(router, 25.0, SOON).await;
    }
    fleet.etcd.kill().await;
    fleet.etcd.restore(&backup).await;
    fleet.etcd.again().await;

    for router in &fleet.routers {
        let hold = async || router.snapshot().await["hold"].clone();
        eventually("the router holds", SOON * 2, hold, Value::is_string).await;
        let canary = canary(router).await;
        assert_eq!(
            canary["share"], 25.0,
            "something older was applied: {canary}"
        );
    }
    let reported = async || {
        let routers = fleet.api().get("/routers").await.json();
        let items = routers["items"].as_array().cloned().unwrap_or_default();
        items
            .iter()
            .filter(|router| router["hold"].is_string())
            .count()
    };
    eventually("it is reported", SOON * 2, reported, |holding| {
        *holding == 2
    })
    .await;
    let paused = |state: &State| state.is_paused_for("StoreChanged");
    let state = fleet
        .store
        .until(("chat", "it is paused"), SOON * 2, paused)
        .await;
    assert_eq!(state.step(), Some(0), "{state:?}");

    let adopt = ["store", "adopt", "--reason", "the backup is what we have"];
    let done = serin_tests::command::serin(fleet.planes[0].api, token("admin"), &adopt).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    for router in &fleet.routers {
        exposes(router, 5.0, SOON * 2).await;
    }
    let goes_on = |state: &State| state.phase() == "Progressing" && state.share() == 5.0;
    fleet
        .store
        .until(("chat", "it goes on"), SOON * 2, goes_on)
        .await;
    fleet.store.sound_history("chat").await;
}
