//! RO19–RO21, RO41: what real routers do when they cannot hear, begin anew, or are told to go back.

use std::time::Duration;

use serde_json::{Value, json};
use serin_tests::client::Request;
use serin_tests::rollouts::record::{count, transitions};
use serin_tests::rollouts::{State, is_taken_back, number};
use serin_tests::scripted_prometheus::Pace;
use serin_tests::{Load, Router, eventually};
use tokio::time::Instant;

use crate::fleet::{Fleet, canary, exposes, exposes_nothing};
use crate::stage::{PACE, SOON, plan, start};

/// `exposureTtl` of every rollout, and a second of slack.
const LEASE: Duration = Duration::from_secs(60);
const SLACK: Duration = Duration::from_secs(3);
/// An undo or an abort is on all routers within this.
const APPLIED_WITHIN: Duration = Duration::from_secs(2);
/// A second of the Prometheus is one of ours: an outage is as long as it is.
const PLAIN: Pace = Pace {
    speed: 1,
    scrape_ms: 1_000,
    kept: 900,
};

/// RO19: etcd is away for longer than the exposure lease, at 25 %.
pub(crate) async fn without_etcd_routers_serve_and_take_the_share_back_and_the_step_is_done_anew() {
    let mut fleet = Fleet::start(PLAIN, &[]).await;
    fleet.stands_at(&[5, 25]).await;
    let load = Load::start(
        &[fleet.routers[0].traffic, fleet.routers[1].traffic],
        "chat",
    );
    fleet.etcd.kill().await;
    let away = Instant::now();
    for router in &fleet.routers {
        exposes(router, 25.0, SLACK).await;
    }
    for router in &fleet.routers {
        exposes_nothing(router, LEASE + SLACK).await;
        let held = away.elapsed();
        eprintln!("{} took the share back after {held:?}", router.id);
        assert!(held > LEASE - Duration::from_secs(15), "too soon: {held:?}");
    }
    fleet.simulator.forget().await;
    let served = load.answered();
    let more = async || load.answered() - served;
    eventually("routers serve on", SOON, more, |more| *more > 200).await;
    assert_eq!(
        fleet.simulator.count("claude").await,
        0,
        "the candidate got new requests"
    );
    assert!(fleet.simulator.count("gpt").await > 100);

    fleet.etcd.again().await;
    let anew = async || {
        let records = fleet.store.history("chat").await;
        (
            transitions(&records),
            fleet.planes[0].tail(),
            fleet.planes[1].tail(),
        )
    };
    let made = ["t1", "t2", "t5", "t6", "t7", "t6", "t8", "t6"];
    let done = |seen: &(Vec<String>, String, String)| seen.0 == made;
    eventually(
        "the same step is applied and acknowledged anew",
        SOON * 3,
        anew,
        done,
    )
    .await;
    fleet.store.sound_history("chat").await;
    let state = fleet.store.state("chat").await;
    assert_eq!((state.step(), state.share()), (Some(1), 25.0), "{state:?}");
    let exposed_ms = number(&state.0["clocks"]["exposureMs"]);
    assert!(
        exposed_ms < 30_000,
        "time without a store was counted: {exposed_ms} ms"
    );
    for router in &fleet.routers {
        exposes(router, 25.0, SOON).await;
    }
    load.end().await.nobody_noticed(1_000);
}

/// RO20: one router is cut off from etcd, and somebody aborts.
pub(crate) async fn an_abort_reaches_a_router_that_is_cut_off_by_its_exposure_lease() {
    let fleet = Fleet::start(PACE, &[]).await;
    let chat = fleet.stands_at(&[5, 50]).await;
    let [near, far] = &fleet.routers;
    fleet.wire.hold(true, true);
    let cut = Instant::now();
    chat.does("abort", &json!({})).await;
    let asked = Instant::now();
    exposes_nothing(near, APPLIED_WITHIN).await;
    eprintln!("the near router had the abort after {:?}", asked.elapsed());
    assert_eq!(canary(far).await["exposed"], true, "it cannot know");
    let lagging = async || {
        let routers = fleet.api().get("/routers").await.json();
        let mut items = routers["items"].as_array().into_iter().flatten();
        items
            .find(|router| router["id"] == "r2")
            .cloned()
            .unwrap_or_default()
    };
    let is_lagging = |router: &Value| router["state"] == "lagging";
    eventually(
        "the one cut off is shown as lagging",
        SOON,
        lagging,
        is_lagging,
    )
    .await;
    exposes_nothing(far, LEASE + SLACK).await;
    eprintln!(
        "the far router took the share back {:?} after the cut",
        cut.elapsed()
    );
    fleet.simulator.forget().await;
    for _ in 0..20 {
        let body = json!({"model": "chat", "messages": [{"role": "user", "content": "hello"}]});
        let answer = far
            .ask(Request::post("/v1/chat/completions", body.to_string()))
            .await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
    }
    assert_eq!(fleet.simulator.count("claude").await, 0);

    fleet.wire.hold(false, false);
    let back = async || canary(far).await;
    eventually("it hears of the abort", SOON * 2, back, Value::is_null).await;
    assert!(is_taken_back(&fleet.store.traffic("chat").await));
}

/// RO20: a router that lives and acknowledges nothing pauses the rollout after half a minute, and
/// what it missed ends the pause.
pub(crate) async fn a_router_that_does_not_follow_is_told_and_waited_for() {
    let stage = crate::stage::Stage::start().await;
    let planes = stage.two_planes().await;
    stage.route(&planes[0].admin(), "chat").await;
    let mut plan = plan(&[5, 25], &json!({}));
    plan["steps"][0]["gate"] = json!("go");
    let chat = start(&planes[0].admin(), "chat", &plan).await;
    let gated = |state: &State| state.sub() == "Gated";
    stage
        .store
        .until(("chat", "it waits at its gate"), SOON * 2, gated)
        .await;
    stage.routers.hold(&["r2"], true);
    let opened = chat.gate("go", true).await;
    assert_eq!(opened.status(), 200, "{}", opened.text());
    let lagging = |state: &State| state.is_paused_for("RoutersLagging");
    let within = Duration::from_secs(50);
    let state = stage
        .store
        .until(("chat", "it waits for the router"), within, lagging)
        .await;
    assert_eq!(state.share(), 25.0);
    let leader = planes[0].metrics().await;
    let told = leader.sum(
        "serin_cp_rollout_paused",
        &[("route", "chat"), ("reason", "routers_lagging")],
    );
    assert_eq!(told, 1.0, "{leader:#?}");
    stage.routers.hold(&["r2"], false);
    stage.store.until_ended("chat", SOON * 3).await;
    let records = stage.store.sound_history("chat").await;
    let whole = [
        "t1", "t2", "t5", "t6", "gate", "t7", "t8", "t6", "t15", "t17", "t6", "t18",
    ];
    assert_eq!(transitions(&records), whole);
}

/// RO21: a restart while etcd is away, also with a broken file.
pub(crate) async fn a_router_that_begins_anew_without_etcd_has_its_routes_and_no_share() {
    let mut fleet = Fleet::start(PACE, &[]).await;
    let chat = fleet.stands_at(&[5, 25]).await;
    let file = fleet.world.path("r1-state").join("snapshot");
    let kept = async || std::fs::read_to_string(&file).unwrap_or_default();
    let holds = |text: &String| text.contains("config/routes/chat") && text.contains(&chat.id);
    eventually("the file is written", SOON, kept, holds).await;
    // One more change, so that there is a file before it.
    chat.does("pause", &json!({})).await;
    let other = json!({"name": "b", "dialect": "openai", "baseUrl": "http://127.0.0.1:9/v1"});
    fleet.api().set("/providers/b", &other).await;
    let previous = fleet.world.path("r1-state").join("snapshot.prev");
    let before = async || std::fs::read_to_string(&previous).unwrap_or_default();
    eventually("there is one before it", SOON, before, holds).await;

    fleet.etcd.kill().await;
    for is_broken in [false, true] {
        let text = eventually("a whole file is there", SOON, kept, holds).await;
        let router = &mut fleet.routers[0];
        router.process.kill().await;
        if is_broken {
            std::fs::write(&file, &text[..text.len() / 2]).expect("it can be broken");
        }
        router.again();
        router.wait_until_ready(SOON).await;
        serves(router).await;
        let canary = canary(router).await;
        // The file before it may be of the step before.
        let known = canary["share"] == 25.0 || is_broken && canary["share"] == 5.0;
        assert!(known, "{canary}");
        assert_eq!(canary["exposed"], false, "no proof of contact: {canary}");
    }
    fleet.etcd.again().await;
    exposes(&fleet.routers[0], 25.0, SOON * 2).await;
}

async fn serves(router: &Router) {
    let body = json!({"model": "chat", "messages": [{"role": "user", "content": "hello"}]});
    let answer = router
        .ask(Request::post("/v1/chat/completions", body.to_string()))
        .await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
}

/// RO41
pub(crate) async fn an_undo_is_one_transaction_and_on_all_routers_at_once() {
    let fleet = Fleet::start(PACE, &[]).await;
    let chat = start(&fleet.api(), "chat", &plan(&[5, 50], &json!({}))).await;
    let done = |state: &State| state.phase() == "Succeeded";
    fleet
        .store
        .until(("chat", "it succeeds"), SOON * 4, done)
        .await;
    let weights = async |router: &Router| {
        let snapshot = router.snapshot().await;
        let targets = snapshot["routes"][0]["targets"].clone();
        let targets = targets.as_array().into_iter().flatten();
        let served = targets.filter(|target| target["effectiveWeight"] == 100.0);
        served
            .filter_map(|target| target["name"].as_str().map(str::to_owned))
            .collect::<String>()
    };
    for router in &fleet.routers {
        let look = async || weights(router).await;
        eventually("all goes to the candidate", SOON, look, |name| {
            name == "claude"
        })
        .await;
    }
    chat.does("undo", &json!({})).await;
    let asked = Instant::now();
    for router in &fleet.routers {
        let look = async || weights(router).await;
        eventually("all goes back", APPLIED_WITHIN, look, |name| name == "gpt").await;
    }
    eprintln!("an undo was on all routers after {:?}", asked.elapsed());
    assert!(asked.elapsed() < APPLIED_WITHIN);
    fleet.store.is_one_transaction("chat").await;
    assert_eq!(fleet.store.newest("chat").await, "t20");
    let traffic = fleet.store.traffic("chat").await;
    assert!(is_taken_back(&traffic), "{traffic}");
    fleet.store.sound_history("chat").await;
    let again = chat.verb("undo", &json!({})).await;
    assert_eq!(again.status(), 422, "{}", again.text());
    assert_eq!(count(&fleet.store.history("chat").await, "t20"), 1);
}
