//! RO14, RO15, K10, B16: the leader is killed before and after the commit of each step that it makes
//! by itself, by SIGKILL at places with names, and the history at the end is that of a rollout
//! without a fault.
//!
//! A tale is one rollout with a death at each of its places; the first lease of a tale ends by
//! itself, as in life, the others are revoked so that a tale takes seconds.

use serde_json::json;
use serin_tests::eventually;
use serin_tests::rollouts::record::{name, transitions};
use serin_tests::rollouts::{State, id_in, is_taken_back, number};
use serin_tests::scripted_http::{Reply, ScriptedHttp};
use serin_tests::scripted_prometheus::{Fault, Said};

use crate::stage::{SOON, Stage, plan, start};
use crate::succession::{Lease, Succession};
use crate::telling::{Heard, LONG, NEXT, is_as_without_a_fault, places, was_quick};

async fn promoted(when: &str) {
    let stage = Stage::start().await;
    let heard = Heard::default();
    let told = heard.clone();
    let receiver = ScriptedHttp::start(move |asked| {
        told.hear(asked);
        Reply::Says(200, "{}".to_owned())
    });
    let parts = [
        "start", "t2", "t5", "t6", "t7", "tick", "t17", "outbox", "t18", "undo",
    ];
    let mut line = Succession::begin(&stage, &places(when, &parts)).await;
    line.route = "chat".to_owned();
    stage.route(&line.front.admin(), "chat").await;

    let url = format!("http://{}/", receiver.address);
    let hook = json!({"name": "told", "type": "event", "url": url});
    let plan = plan(&[5, 50], &json!({"analysis": {"webhooks": [hook]}}));
    let path = "/routes/chat/rollouts";
    let started = line
        .asked_again(&format!("start.{when}"), path, &plan)
        .await;
    assert_eq!(started.status(), 201, "{}", started.text());
    let id = id_in(&started);
    for part in &parts[1..9] {
        let lease = if *part == "t2" {
            Lease::Expires
        } else {
            Lease::Revoked
        };
        line.dies(&format!("{part}.{when}"), lease).await;
    }
    let done = |state: &State| state.phase() == "Succeeded";
    stage.store.until(("chat", "it succeeds"), NEXT, done).await;
    let path = format!("/rollouts/{id}/undo");
    let undone = line
        .asked_again(&format!("undo.{when}"), &path, &json!({}))
        .await;
    assert_eq!(undone.status(), 200, "{}", undone.text());

    let whole = [
        "t1", "t2", "t5", "t6", "t7", "t6", "t17", "t6", "t18", "t20",
    ];
    is_as_without_a_fault(&line, "chat", &whole).await;
    let traffic = stage.store.traffic("chat").await;
    assert!(is_taken_back(&traffic), "{traffic}");
    was_quick(&line);
    is_told_of_each(&stage, &heard, &id).await;
    let again = heard
        .by_key()
        .values()
        .filter(|bodies| bodies.len() > 1)
        .count();
    if when == "after" {
        assert!(
            again > 0,
            "a letter was delivered, not deleted, and not delivered again"
        );
    }
}

/// Every record has its letter, and what came twice was the same, with the same key.
async fn is_told_of_each(stage: &Stage, heard: &Heard, id: &str) {
    let records = stage.store.history("chat").await;
    let seqs: Vec<String> = records
        .iter()
        .filter(|record| name(record) != "checkpoint")
        .map(|record| number(&record["seq"]).to_string())
        .collect();
    let look = async || {
        let keys = heard.by_key();
        let is_missing = |seq: &&String| {
            !keys
                .keys()
                .any(|key| key.starts_with(&format!("{id}/{seq}/")))
        };
        seqs.iter().filter(is_missing).cloned().collect::<Vec<_>>()
    };
    eventually("every record is told of", SOON, look, Vec::is_empty).await;
    for (key, bodies) in heard.by_key() {
        assert!(
            bodies.windows(2).all(|two| two[0] == two[1]),
            "{key}: {bodies:#?}"
        );
        assert!(key.starts_with(&format!("{id}/")), "{key}");
    }
}

pub(crate) async fn a_promotion_goes_on_after_a_death_before_each_commit() {
    promoted("before").await;
}

pub(crate) async fn a_promotion_goes_on_after_a_death_after_each_commit() {
    promoted("after").await;
}

async fn troubled(when: &str) {
    let stage = Stage::start().await;
    let parts = ["t3", "t8", "t16", "t15", "abort"];
    let mut line = Succession::begin(&stage, &places(when, &parts)).await;
    let api = line.front.admin();
    stage.route(&api, "stalled").await;
    stage.route(&api, "chat").await;

    // Nobody acknowledges: T3 at the deadline.
    line.route = "stalled".to_owned();
    stage.routers.hold(&["r1", "r2"], true);
    start(
        &api,
        "stalled",
        &plan(&[5], &json!({"progressDeadline": "3s"})),
    )
    .await;
    line.dies(&format!("t3.{when}"), Lease::Expires).await;
    let ended = |state: &State| state.phase() == "Failed";
    stage
        .store
        .until(("stalled", "it fails"), NEXT, ended)
        .await;
    stage.routers.hold(&["r1", "r2"], false);
    let records = stage.store.sound_history("stalled").await;
    assert_eq!(transitions(&records), ["t1", "t3"]);

    // The source is away: T8, then T16, and back: T15.
    line.route = "chat".to_owned();
    let mut long = plan(
        &[5, 25],
        &json!({"analysis": {"blindMax": "6s", "consecutiveErrorLimit": 1}}),
    );
    long["steps"][1]["minDuration"] = json!(LONG);
    let chat = start(&line.front.admin(), "chat", &long).await;
    let in_second = |state: &State| state.step() == Some(1) && state.sub() == "Analysing";
    stage
        .store
        .until(("chat", "its second step is judged"), NEXT, in_second)
        .await;
    stage.prometheus.fault_of("chat", Some(Fault::Status(500)));
    line.dies(&format!("t8.{when}"), Lease::Revoked).await;
    line.dies(&format!("t16.{when}"), Lease::Revoked).await;
    let lowered = |state: &State| state.is_paused_for("Blind") && state.share() == 5.0;
    stage
        .store
        .until(
            ("chat", "it is blind at its last passed share"),
            NEXT,
            lowered,
        )
        .await;
    stage.prometheus.fault_of("chat", None);
    line.dies(&format!("t15.{when}"), Lease::Revoked).await;
    let anew = |state: &State| state.share() == 25.0 && state.sub() == "Analysing";
    stage
        .store
        .until(("chat", "the step is done anew"), NEXT, anew)
        .await;
    let aborted = line
        .asked_again(&format!("abort.{when}"), &chat.path("abort"), &json!({}))
        .await;
    assert_eq!(aborted.status(), 200, "{}", aborted.text());
    let whole = [
        "t1", "t2", "t5", "t6", "t7", "t6", "t8", "t16", "t6", "t15", "t6", "t10",
    ];
    is_as_without_a_fault(&line, "chat", &whole).await;
    let traffic = stage.store.traffic("chat").await;
    assert!(is_taken_back(&traffic), "{traffic}");
    was_quick(&line);
}

pub(crate) async fn trouble_is_met_after_a_death_before_each_commit() {
    troubled("before").await;
}

pub(crate) async fn trouble_is_met_after_a_death_after_each_commit() {
    troubled("after").await;
}

async fn harmed(when: &str) {
    let stage = Stage::start().await;
    let parts = ["t9", "retry", "t11"];
    let mut line = Succession::begin(&stage, &places(when, &parts)).await;
    line.route = "chat".to_owned();
    stage.route(&line.front.admin(), "chat").await;
    let check = json!({"name": "quality", "query": "quality", "interval": "1s", "failureLimit": 1,
        "thresholdRange": {"min": 1}});
    let errors = json!({"name": "errors", "mode": "observe"});
    let changes = json!({"analysis": {
        "metrics": [errors, check],
        "guards": {"breakerOpen": "1s", "failFast": {"percent": 100}},
    }});
    let mut plan = plan(&[5], &changes);
    plan["steps"][0]["minDuration"] = json!(LONG);
    stage.prometheus.say("quality", Said::Value(0.0));
    let chat = start(&line.front.admin(), "chat", &plan).await;
    line.dies(&format!("t9.{when}"), Lease::Expires).await;
    let failed = |state: &State| state.phase() == "Failed";
    stage.store.until(("chat", "it fails"), NEXT, failed).await;
    let traffic = stage.store.traffic("chat").await;
    assert!(is_taken_back(&traffic), "{traffic}");

    stage.prometheus.say("quality", Said::Value(1.0));
    let again = line
        .asked_again(&format!("retry.{when}"), &chat.path("retry"), &json!({}))
        .await;
    assert_eq!(again.status(), 200, "{}", again.text());
    assert_ne!(id_in(&again), chat.id);
    stage.store.until_judged("chat", NEXT).await;
    stage
        .prometheus
        .breaker("chat", "claude", &["r1", "r2"], true);
    line.dies(&format!("t11.{when}"), Lease::Revoked).await;
    stage.store.until(("chat", "it fails"), NEXT, failed).await;
    let whole = ["t1", "t2", "t5", "t6", "t9", "t1", "t2", "t5", "t6", "t11"];
    is_as_without_a_fault(&line, "chat", &whole).await;
    let traffic = stage.store.traffic("chat").await;
    assert!(is_taken_back(&traffic), "{traffic}");
    was_quick(&line);
}

pub(crate) async fn harm_is_rolled_back_once_after_a_death_before_each_commit() {
    harmed("before").await;
}

pub(crate) async fn harm_is_rolled_back_once_after_a_death_after_each_commit() {
    harmed("after").await;
}
