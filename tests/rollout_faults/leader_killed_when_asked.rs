//! RO14, RO15, K10: the same for what waits for people and their programs: gates, ramps, and each
//! verb. Who was asked dies over it; asked again with the same key, another does it once.

use serde_json::json;
use serin_tests::eventually;
use serin_tests::rollouts::{State, id_in, is_taken_back};
use serin_tests::scripted_http::{Reply, ScriptedHttp};
use serin_tests::scripted_prometheus::Said;

use crate::stage::{Stage, plan, start};
use crate::succession::{Lease, Succession};
use crate::telling::{Heard, LONG, NEXT, is_as_without_a_fault, places, was_quick};

async fn confirmed(when: &str) {
    let stage = Stage::start().await;
    let heard = Heard::default();
    let told = heard.clone();
    // The first question is never answered: whoever asked dies over it.
    let gate = ScriptedHttp::start(move |asked| match told.hear(asked) {
        1 => Reply::Never,
        _ => Reply::Says(200, "{}".to_owned()),
    });
    let mut points = vec!["nowhere.at-all".to_owned()];
    points.extend(places(when, &["t4", "t7", "gate", "t17a", "t17", "t19"]));
    let mut line = Succession::begin(&stage, &points).await;
    line.route = "chat".to_owned();
    stage.route(&line.front.admin(), "chat").await;
    let check = json!({"name": "quality", "query": "quality", "interval": "1s", "failureLimit": 1,
        "thresholdRange": {"min": 1}});
    let errors = json!({"name": "errors", "margin": {"points": 20, "ratio": 2}});
    let url = format!("http://{}/", gate.address);
    let hook = json!({"name": "ok", "type": "confirm-rollout", "url": url, "timeout": "60s"});
    let changes = json!({
        "promotion": {"gate": "go", "stepWeight": 30, "bake": LONG},
        "analysis": {"metrics": [errors, check], "webhooks": [hook]},
    });
    stage.prometheus.say("quality", Said::Value(1.0));
    let chat = start(&line.front.admin(), "chat", &plan(&[5, 50], &changes)).await;

    let asked = async || heard.all().len();
    eventually("the gate was asked", NEXT, asked, |count| *count == 1).await;
    line.is_killed().await;
    line.dies(&format!("t4.{when}"), Lease::Expires).await;
    let questions = heard.by_key();
    let first = heard
        .all()
        .first()
        .map(|(key, _)| key.clone())
        .unwrap_or_default();
    let asked = questions.get(&first).map(Vec::len);
    assert!(
        asked >= Some(2),
        "not asked again with the same key: {questions:#?}"
    );

    line.dies(&format!("t7.{when}"), Lease::Revoked).await;
    let waits = |state: &State| state.phase() == "WaitingPromotion";
    stage
        .store
        .until(("chat", "it waits for its promotion"), NEXT, waits)
        .await;
    let path = chat.path("gates/go");
    let lost = line.front.put(&path, &json!({"open": true})).await;
    assert!(lost.is_none(), "{:?}", lost.map(|answer| answer.text()));
    line.dies(&format!("gate.{when}"), Lease::Revoked).await;
    let opened = line.front.put(&path, &json!({"open": true})).await;
    assert_eq!(opened.map(|answer| answer.status()), Some(200));
    line.dies(&format!("t17a.{when}"), Lease::Revoked).await;
    line.dies(&format!("t17.{when}"), Lease::Revoked).await;
    let bakes = |state: &State| state.phase() == "Baking" && state.sub() == "Analysing";
    stage.store.until(("chat", "it bakes"), NEXT, bakes).await;
    stage.prometheus.say("quality", Said::Value(0.0));
    line.dies(&format!("t19.{when}"), Lease::Revoked).await;
    let failed = |state: &State| state.phase() == "Failed";
    stage
        .store
        .until(("chat", "the bake fails"), NEXT, failed)
        .await;
    let whole = [
        "t1", "t2", "t4", "t5", "t6", "t7", "t6", "t7", "gate", "t17a", "t6", "t17", "t6", "t19",
    ];
    is_as_without_a_fault(&line, "chat", &whole).await;
    let traffic = stage.store.traffic("chat").await;
    assert!(is_taken_back(&traffic), "{traffic}");
    was_quick(&line);
}

pub(crate) async fn gates_and_ramps_go_on_after_a_death_before_each_commit() {
    confirmed("before").await;
}

pub(crate) async fn gates_and_ramps_go_on_after_a_death_after_each_commit() {
    confirmed("after").await;
}

async fn by_hand(when: &str) {
    let stage = Stage::start().await;
    let parts = [
        "t5",
        "pause",
        "resume",
        "skip-step",
        "start",
        "",
        "start",
        "promote",
        "abort",
    ];
    let mut line = Succession::begin(&stage, &places(when, &parts)).await;
    line.route = "chat".to_owned();
    stage.route(&line.front.admin(), "chat").await;
    let mut long = plan(&[5, 25], &json!({}));
    for step in [0, 1] {
        long["steps"][step]["minDuration"] = json!(LONG);
    }
    let chat = start(&line.front.admin(), "chat", &long).await;
    line.dies(&format!("t5.{when}"), Lease::Expires).await;
    stage.store.until_judged("chat", NEXT).await;
    for verb in ["pause", "resume", "skip-step"] {
        let path = chat.path(verb);
        let done = line
            .asked_again(&format!("{verb}.{when}"), &path, &json!({}))
            .await;
        assert_eq!(done.status(), 200, "{verb}: {}", done.text());
    }
    let second = |state: &State| state.share() == 25.0 && state.sub() == "Analysing";
    stage
        .store
        .until(("chat", "its second step is judged"), NEXT, second)
        .await;

    let starts = format!("start.{when}");
    long["steps"][1]["minSamples"] = json!(20);
    let path = "/routes/chat/rollouts";
    let changed = line.asked_again(&starts, path, &long).await;
    assert_eq!(changed.status(), 200, "{}", changed.text());
    line.is_killed().await;
    long["candidate"] = json!("mistral");
    let key = "another-candidate";
    let lost = line.front.post(path, &long, key).await;
    assert!(lost.is_none(), "{:?}", lost.map(|answer| answer.text()));
    line.dies(&starts, Lease::Revoked).await;
    let other = line.front.post(path, &long, key).await.expect("an answer");
    assert_eq!(other.status(), 201, "{}", other.text());
    let other = id_in(&other);

    promoted_and_aborted(&mut line, when, &other).await;
    let whole = [
        "t1", "t2", "t5", "t6", "t22", "t14", "t21", "t6", "t13", "t12", "t1", "t2", "t5", "t6",
        "t21", "t6", "t19",
    ];
    is_as_without_a_fault(&line, "chat", &whole).await;
    let traffic = stage.store.traffic("chat").await;
    assert!(is_taken_back(&traffic), "{traffic}");
    was_quick(&line);
}

/// A rollout that is judged is promoted past its analysis, and aborted in its bake.
async fn promoted_and_aborted(line: &mut Succession<'_>, when: &str, other: &str) {
    let store = line.stage.store;
    let judged = |state: &State| state.id() == other && state.sub() == "Analysing";
    store
        .until(("chat", "the other is judged"), NEXT, judged)
        .await;
    let path = format!("/rollouts/{other}/promote");
    let full = line
        .asked_again(&format!("promote.{when}"), &path, &json!({"full": true}))
        .await;
    assert_eq!(full.status(), 200, "{}", full.text());
    let bakes = |state: &State| state.phase() == "Baking" && state.sub() != "Applying";
    store.until(("chat", "it bakes"), NEXT, bakes).await;
    let path = format!("/rollouts/{other}/abort");
    let aborted = line
        .asked_again(&format!("abort.{when}"), &path, &json!({}))
        .await;
    assert_eq!(aborted.status(), 200, "{}", aborted.text());
}

pub(crate) async fn what_people_ask_is_done_once_after_a_death_before_each_commit() {
    by_hand("before").await;
}

pub(crate) async fn what_people_ask_is_done_once_after_a_death_after_each_commit() {
    by_hand("after").await;
}
