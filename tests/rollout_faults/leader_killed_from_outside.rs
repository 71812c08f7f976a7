//! RO14, RO15, K10: the same for what comes to a rollout from outside, through its route's traffic:
//! other proportions of the others, a smaller share (T21), none at all (T10); and for the records
//! that only move events into the history.

use serde_json::{Value, json};
use serin_tests::eventually;
use serin_tests::rollouts::State;
use serin_tests::rollouts::record::count;

use crate::stage::{Stage, plan, start};
use crate::succession::{Lease, Succession};
use crate::telling::{LONG, NEXT, is_as_without_a_fault, places, was_quick};

const TRAFFIC: &str = "/routes/chat/traffic";

async fn moved_from_outside(when: &str) {
    let stage = Stage::start().await;
    // Who answers lives until it is killed from outside.
    let parts = ["checkpoint", "traffic", "", "traffic", "", "traffic"];
    let mut line = Succession::begin(&stage, &places(when, &parts)).await;
    line.route = "chat".to_owned();
    stage.route(&line.front.admin(), "chat").await;
    let mut long = plan(&[5, 25], &json!({}));
    long["steps"][0]["minDuration"] = json!(LONG);
    start(&line.front.admin(), "chat", &long).await;

    line.dies(&format!("checkpoint.{when}"), Lease::Expires)
        .await;
    // Before it, another one writes the record; after it, none does so again for the same events,
    // which the windows tell at the end.
    let kept = async || count(&stage.store.history("chat").await, "checkpoint");
    let is_there = |count: &usize| *count > 0;
    eventually("events are moved into the history", NEXT, kept, is_there).await;

    let others = |state: &State| state.0["baseWeights"]["mistral"] == 40.0;
    let shares = json!({"gpt": 57, "claude": 5, "mistral": 38});
    let rebased = json!({"weights": shares, "canary": "claude"});
    moved(&mut line, when, &rebased, others).await;
    line.is_killed().await;

    let is_lower = |state: &State| state.is_paused_for("User") && state.share() == 3.0;
    let shares = json!({"gpt": 58.2, "claude": 3, "mistral": 38.8});
    let lowered = json!({"weights": shares, "canary": "claude"});
    moved(&mut line, when, &lowered, is_lower).await;
    let opened = |state: &State| state.0["pausedIn"]["sub"] == "Analysing";
    let promise = ("chat", "the smaller share has an exposure of its own");
    stage.store.until(promise, NEXT, opened).await;

    let is_over = |state: &State| state.phase() == "Aborted" && state.share() == 0.0;
    let without = json!({"weights": {"gpt": 60, "mistral": 40}});
    line.is_killed().await;
    moved(&mut line, when, &without, is_over).await;

    let whole = ["t1", "t2", "t5", "t6", "rebase", "t21", "t6", "t10"];
    is_as_without_a_fault(&line, "chat", &whole).await;
    let traffic = stage.store.traffic("chat").await;
    let weight = |name: &str| traffic["weights"][name].as_f64().unwrap_or_default();
    let weights = ["gpt", "claude", "mistral"].map(weight);
    assert_eq!(weights, [60.0, 0.0, 40.0], "{traffic}");
    assert!(traffic["rollout"].is_null(), "{traffic}");
    was_quick(&line);
}

/// Whoever is asked to move the traffic dies over it, before or after the rollout knows; the next one
/// is asked the same, and then it is so.
async fn moved(
    line: &mut Succession<'_>,
    when: &str,
    traffic: &Value,
    is_so: impl Fn(&State) -> bool,
) {
    let store = line.stage.store;
    let lost = line.front.put(TRAFFIC, traffic).await;
    let lost = lost.map(|answer| answer.text());
    assert!(lost.is_none(), "{traffic}: {lost:?}\n{}", line.front.tail());
    let state = store.state("chat").await;
    assert_eq!(is_so(&state), when == "after", "{traffic}: {state:#?}");
    line.dies(&format!("traffic.{when}"), Lease::Revoked).await;
    let answer = line.front.put(TRAFFIC, traffic).await;
    let answer = answer.unwrap_or_else(|| panic!("{traffic}: no answer\n{}", line.front.tail()));
    assert_eq!(answer.status(), 200, "{traffic}: {}", answer.text());
    let state = store.state("chat").await;
    assert!(is_so(&state), "{traffic}: {state:#?}");
}

pub(crate) async fn moved_traffic_is_taken_in_once_after_a_death_before_each_commit() {
    moved_from_outside("before").await;
}

pub(crate) async fn moved_traffic_is_taken_in_once_after_a_death_after_each_commit() {
    moved_from_outside("after").await;
}
