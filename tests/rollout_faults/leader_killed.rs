//! RO14, RO15, K10, B16: the leader is killed before and after the commit of each step, by SIGKILL
//! at places with names, and the history at the end is that of a rollout without a fault.
//!
//! A tale is one rollout with a death at each of its places; the first lease of a tale ends by
//! itself, as in life, the others are revoked so that a tale takes seconds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use serin_tests::eventually;
use serin_tests::scripted_http::{Reply, ScriptedHttp};
use serin_tests::scripted_prometheus::{Fault, Said};

use crate::history::{self, events, number_of, transitions, windows};
use crate::stage::{SOON, Stage, is_taken_back, plan, start, verifies};
use crate::store::number;
use crate::succession::{Lease, Succession};

/// From one place to the next.
const NEXT: Duration = Duration::from_secs(45);
/// A step that does not end by itself.
const LONG: &str = "3600s";

fn places(when: &str, parts: &[&str]) -> Vec<String> {
    parts.iter().map(|part| format!("{part}.{when}")).collect()
}

/// Keys and bodies that a receiver was sent.
#[derive(Clone, Debug, Default)]
struct Heard(Arc<Mutex<Vec<(String, Value)>>>);

impl Heard {
    fn hear(&self, asked: &serin_tests::scripted_http::Asked) -> usize {
        let key = asked.header("idempotency-key").unwrap_or_default().to_owned();
        let body = serde_json::from_slice(&asked.body).unwrap_or_default();
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.push((key, body));
        heard.len()
    }

    fn all(&self) -> Vec<(String, Value)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn by_key(&self) -> BTreeMap<String, Vec<Value>> {
        let mut by_key: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for (key, body) in self.all() {
            by_key.entry(key).or_default().push(body);
        }
        by_key
    }
}

/// What holds of every history, whoever died over it.
async fn is_as_without_a_fault(line: &Succession<'_>, route: &str, expected: &[&str]) {
    let stage = line.stage;
    let records = stage.store.history(route).await;
    assert_eq!(history::faults(&records), Vec::<String>::new(), "{:?}", transitions(&records));
    assert_eq!(transitions(&records), expected, "{route}");
    counts_are_exact(stage, route, &records);
    verifies(&line.front, route).await;
}

/// Every scraped increment of a window was counted, once.
fn counts_are_exact(stage: &Stage, route: &str, records: &[Value]) {
    for event in events(records) {
        let Some(window) = event.pointer("/event/tick/reading/window") else {
            continue;
        };
        let span = (number(&window["from"]), number(&window["to"]));
        for (is_canary, arm) in [(true, "c"), (false, "s")] {
            let counted = &window["counts"]["errors"][0][arm];
            let counted = (number_of(counted, 0), number_of(counted, 1));
            let truth = stage.prometheus.truth(route, is_canary, span).errors();
            assert_eq!(counted, truth, "{route} {arm} {span:?}");
        }
    }
    let spans = windows(events(records));
    assert!(!spans.is_empty(), "{route}: nothing was counted");
}

/// Nobody led for no longer than a lease lives.
fn was_quick(line: &Succession<'_>) {
    assert!(!line.gaps.is_empty(), "no lease ended by itself");
    eprintln!("no leader for {:?} after a death", line.gaps);
}

async fn promoted(when: &str) {
    let stage = Stage::start().await;
    let heard = Heard::default();
    let told = heard.clone();
    let receiver = ScriptedHttp::start(move |asked| {
        told.hear(asked);
        Reply::Says(200, "{}".to_owned())
    });
    let parts = ["start", "t2", "t5", "t6", "t7", "tick", "t17", "outbox", "t18", "undo"];
    let mut line = Succession::begin(&stage, &places(when, &parts)).await;
    line.route = "chat".to_owned();
    stage.route(&line.front.admin(), "chat").await;

    let url = format!("http://{}/", receiver.address);
    let hook = json!({"name": "told", "type": "event", "url": url});
    let plan = plan(&[5, 50], &json!({"analysis": {"webhooks": [hook]}}));
    let path = "/routes/chat/rollouts";
    let started = line.asked_again(&format!("start.{when}"), path, &plan).await;
    assert_eq!(started.status(), 201, "{}", started.text());
    let id = crate::stage::id_in(&started);
    for part in &parts[1..9] {
        let lease = if *part == "t2" { Lease::Expires } else { Lease::Revoked };
        line.dies(&format!("{part}.{when}"), lease).await;
    }
    let done = |state: &crate::store::State| state.phase() == "Succeeded";
    stage.store.until(("chat", "it succeeds"), NEXT, done).await;
    let path = format!("/rollouts/{id}/undo");
    let undone = line.asked_again(&format!("undo.{when}"), &path, &json!({})).await;
    assert_eq!(undone.status(), 200, "{}", undone.text());

    let whole = ["t1", "t2", "t5", "t6", "t7", "t6", "t17", "t6", "t18", "t20"];
    is_as_without_a_fault(&line, "chat", &whole).await;
    let traffic = stage.store.traffic("chat").await;
    assert!(is_taken_back(&traffic), "{traffic}");
    was_quick(&line);
    is_told_of_each(&stage, &heard, &id).await;
    let again = heard.by_key().values().filter(|bodies| bodies.len() > 1).count();
    if when == "after" {
        assert!(again > 0, "a letter was delivered, not deleted, and not delivered again");
    }
}

/// Every record has its letter, and what came twice was the same, with the same key.
async fn is_told_of_each(stage: &Stage, heard: &Heard, id: &str) {
    let records = stage.store.history("chat").await;
    let seqs: Vec<String> =
        records.iter().filter(|record| history::name(record) != "checkpoint").map(|record| number(&record["seq"]).to_string()).collect();
    let look = async || {
        let keys = heard.by_key();
        let is_missing = |seq: &&String| !keys.keys().any(|key| key.starts_with(&format!("{id}/{seq}/")));
        seqs.iter().filter(is_missing).cloned().collect::<Vec<_>>()
    };
    eventually("every record is told of", SOON, look, Vec::is_empty).await;
    for (key, bodies) in heard.by_key() {
        assert!(bodies.windows(2).all(|two| two[0] == two[1]), "{key}: {bodies:#?}");
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
    start(&api, "stalled", &plan(&[5], &json!({"progressDeadline": "3s"}))).await;
    line.dies(&format!("t3.{when}"), Lease::Expires).await;
    let ended = |state: &crate::store::State| state.phase() == "Failed";
    stage.store.until(("stalled", "it fails"), NEXT, ended).await;
    stage.routers.hold(&["r1", "r2"], false);
    let records = stage.store.history("stalled").await;
    assert_eq!(transitions(&records), ["t1", "t3"]);
    assert_eq!(history::faults(&records), Vec::<String>::new());

    // The source is away: T8, then T16, and back: T15.
    line.route = "chat".to_owned();
    let mut long = plan(
        &[5, 25],
        &json!({"analysis": {"blindMax": "6s", "consecutiveErrorLimit": 1}}),
    );
    long["steps"][1]["minDuration"] = json!(LONG);
    let id = start(&line.front.admin(), "chat", &long).await;
    let in_second = |state: &crate::store::State| state.step() == Some(1) && state.sub() == "Analysing";
    stage.store.until(("chat", "its second step is judged"), NEXT, in_second).await;
    stage.prometheus.fault_of("chat", Some(Fault::Status(500)));
    line.dies(&format!("t8.{when}"), Lease::Revoked).await;
    line.dies(&format!("t16.{when}"), Lease::Revoked).await;
    let lowered = |state: &crate::store::State| state.is_paused_for("Blind") && state.share() == 5.0;
    stage.store.until(("chat", "it is blind at its last passed share"), NEXT, lowered).await;
    stage.prometheus.fault_of("chat", None);
    line.dies(&format!("t15.{when}"), Lease::Revoked).await;
    let anew = |state: &crate::store::State| state.share() == 25.0 && state.sub() == "Analysing";
    stage.store.until(("chat", "the step is done anew"), NEXT, anew).await;
    let path = format!("/rollouts/{id}/abort");
    let aborted = line.asked_again(&format!("abort.{when}"), &path, &json!({})).await;
    assert_eq!(aborted.status(), 200, "{}", aborted.text());
    let whole = ["t1", "t2", "t5", "t6", "t7", "t6", "t8", "t16", "t15", "t6", "t10"];
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
    let id = start(&line.front.admin(), "chat", &plan).await;
    line.dies(&format!("t9.{when}"), Lease::Expires).await;
    let failed = |state: &crate::store::State| state.phase() == "Failed";
    stage.store.until(("chat", "it fails"), NEXT, failed).await;
    let traffic = stage.store.traffic("chat").await;
    assert!(is_taken_back(&traffic), "{traffic}");

    stage.prometheus.say("quality", Said::Value(1.0));
    let path = format!("/rollouts/{id}/retry");
    let again = line.asked_again(&format!("retry.{when}"), &path, &json!({})).await;
    assert_eq!(again.status(), 200, "{}", again.text());
    assert_ne!(crate::stage::id_in(&again), id);
    let judged = |state: &crate::store::State| state.sub() == "Analysing";
    stage.store.until(("chat", "it is judged"), NEXT, judged).await;
    stage.prometheus.breaker("chat", "claude", &["r1", "r2"], true);
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
    let id = start(&line.front.admin(), "chat", &plan(&[5, 50], &changes)).await;

    let asked = async || heard.all().len();
    eventually("the gate was asked", NEXT, asked, |count| *count == 1).await;
    line.is_killed().await;
    line.dies(&format!("t4.{when}"), Lease::Expires).await;
    let questions = heard.by_key();
    let first = heard.all().first().map(|(key, _)| key.clone()).unwrap_or_default();
    let asked = questions.get(&first).map(Vec::len);
    assert!(asked >= Some(2), "not asked again with the same key: {questions:#?}");

    line.dies(&format!("t7.{when}"), Lease::Revoked).await;
    let waits = |state: &crate::store::State| state.phase() == "WaitingPromotion";
    stage.store.until(("chat", "it waits for its promotion"), NEXT, waits).await;
    let path = format!("/rollouts/{id}/gates/go");
    let lost = line.front.put(&path, &json!({"open": true})).await;
    assert!(lost.is_none(), "{:?}", lost.map(|answer| answer.text()));
    line.dies(&format!("gate.{when}"), Lease::Revoked).await;
    let opened = line.front.put(&path, &json!({"open": true})).await;
    assert_eq!(opened.map(|answer| answer.status()), Some(200));
    line.dies(&format!("t17a.{when}"), Lease::Revoked).await;
    line.dies(&format!("t17.{when}"), Lease::Revoked).await;
    let bakes = |state: &crate::store::State| state.phase() == "Baking" && state.sub() == "Analysing";
    stage.store.until(("chat", "it bakes"), NEXT, bakes).await;
    stage.prometheus.say("quality", Said::Value(0.0));
    line.dies(&format!("t19.{when}"), Lease::Revoked).await;
    let failed = |state: &crate::store::State| state.phase() == "Failed";
    stage.store.until(("chat", "the bake fails"), NEXT, failed).await;
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
    let parts = ["t5", "pause", "resume", "skip-step", "start", "", "start", "promote", "abort"];
    let mut line = Succession::begin(&stage, &places(when, &parts)).await;
    line.route = "chat".to_owned();
    stage.route(&line.front.admin(), "chat").await;
    let mut long = plan(&[5, 25], &json!({}));
    for step in [0, 1] {
        long["steps"][step]["minDuration"] = json!(LONG);
    }
    let id = start(&line.front.admin(), "chat", &long).await;
    line.dies(&format!("t5.{when}"), Lease::Expires).await;
    let judged = |state: &crate::store::State| state.sub() == "Analysing";
    stage.store.until(("chat", "it is judged"), NEXT, judged).await;
    for verb in ["pause", "resume", "skip-step"] {
        let path = format!("/rollouts/{id}/{verb}");
        let done = line.asked_again(&format!("{verb}.{when}"), &path, &json!({})).await;
        assert_eq!(done.status(), 200, "{verb}: {}", done.text());
    }
    let second = |state: &crate::store::State| state.share() == 25.0 && state.sub() == "Analysing";
    stage.store.until(("chat", "its second step is judged"), NEXT, second).await;

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
    let other = crate::stage::id_in(&other);

    let judged = |state: &crate::store::State| state.id() == other && state.sub() == "Analysing";
    stage.store.until(("chat", "the other is judged"), NEXT, judged).await;
    let path = format!("/rollouts/{other}/promote");
    let full = line.asked_again(&format!("promote.{when}"), &path, &json!({"full": true})).await;
    assert_eq!(full.status(), 200, "{}", full.text());
    let bakes = |state: &crate::store::State| state.phase() == "Baking" && state.sub() != "Applying";
    stage.store.until(("chat", "it bakes"), NEXT, bakes).await;
    let path = format!("/rollouts/{other}/abort");
    let aborted = line.asked_again(&format!("abort.{when}"), &path, &json!({})).await;
    assert_eq!(aborted.status(), 200, "{}", aborted.text());
    let whole = [
        "t1", "t2", "t5", "t6", "t22", "t14", "t21", "t6", "t13", "t12", "t1", "t2", "t5", "t6",
        "t21", "t6", "t19",
    ];
    is_as_without_a_fault(&line, "chat", &whole).await;
    let traffic = stage.store.traffic("chat").await;
    assert!(is_taken_back(&traffic), "{traffic}");
    was_quick(&line);
}

pub(crate) async fn what_people_ask_is_done_once_after_a_death_before_each_commit() {
    by_hand("before").await;
}

pub(crate) async fn what_people_ask_is_done_once_after_a_death_after_each_commit() {
    by_hand("after").await;
}
