//! RO16, K11: a leader that is not one any more, and does not know it, changes nothing.

use std::time::Duration;

use serde_json::{Value, json};
use serin_tests::ControlPlane;
use serin_tests::control_plane::Launch;
use serin_tests::eventually;
use serin_tests::rollouts::record::transitions;
use serin_tests::rollouts::{State, number};
use serin_tests::wire::Wire;
use tokio::time::Instant;

use crate::stage::{SOON, Stage, plan, start};
use crate::succession::TAKEN_OVER_WITHIN;

const LONG: &str = "3600s";
/// A leader that is awake again knows within this time that it is none.
const STOPS_WITHIN: Duration = Duration::from_secs(1);

fn long_plan(gate: &str) -> Value {
    let mut plan = plan(&[5, 25], &json!({}));
    plan["steps"][0]["gate"] = json!(gate);
    plan["steps"][1]["minDuration"] = json!(LONG);
    plan
}

/// RO16, K11: stopped for longer than its lease lives, with a step in its hands, and awake again.
pub(crate) async fn a_leader_stopped_past_its_lease_changes_nothing_when_it_wakes() {
    let stage = Stage::start().await;
    let [old, new] = stops_with_a_step(&stage, stage.launch()).await;
    stage.store.is_led_by(&new, TAKEN_OVER_WITHIN).await;
    let (state, records) = has_gone_on(&stage).await;

    let woken = Instant::now();
    old.process.signal("CONT").await;
    let look = async || old.tail();
    eventually("it stops leading", STOPS_WITHIN, look, |log| {
        log.contains("leadership was lost")
    })
    .await;
    eprintln!("it stopped {:?} after it woke", woken.elapsed());
    goes_on_alone(&stage, &new, (&state, &records)).await;
}

/// Two planes: the first led and has stopped with a step in its hands.
async fn stops_with_a_step(stage: &Stage, launch: Launch) -> [ControlPlane; 2] {
    let old = stage.plane("old", &launch.stops_at("t7.before")).await;
    stage.store.is_led_by(&old, SOON).await;
    let new = stage.plane("new", &stage.launch()).await;
    stage.route(&new.admin(), "chat").await;
    start(&new.admin(), "chat", &long_plan("")).await;
    is_stopped(&old).await;
    [old, new]
}

/// Waits until the new leader has made that step, and tells what is there.
async fn has_gone_on(stage: &Stage) -> (State, Vec<Value>) {
    let second = |state: &State| state.step() == Some(1) && state.sub() == "Analysing";
    let promise = ("chat", "the new one has gone on");
    let state = stage.store.until(promise, SOON, second).await;
    (state, stage.store.history("chat").await)
}

/// Waits until the kernel says that it is stopped.
pub(crate) async fn is_stopped(plane: &ControlPlane) {
    let id = plane.process.id().expect("it runs");
    let look = async || (standing(id), plane.tail());
    let stopped = |seen: &(char, String)| seen.0 == 'T';
    eventually("it has stopped itself", SOON * 2, look, stopped).await;
}

/// The kernel's letter for what a process does.
fn standing(id: u32) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    after_name.chars().next().unwrap_or('?')
}

/// Three ticks of the new leader later, what was there is there as it was, and nobody else wrote.
async fn goes_on_alone(stage: &Stage, new: &ControlPlane, before: (&State, &[Value])) {
    let cursor = number(&before.0.0["cursorMs"]);
    let moved = |state: &State| number(&state.0["cursorMs"]) >= cursor + 12_000;
    let state = stage
        .store
        .until(("chat", "the new one ticks on"), SOON, moved)
        .await;
    assert_eq!(state.step(), before.0.step());
    assert_eq!(stage.store.leader().await, new.api.to_string());
    let records = stage.store.sound_history("chat").await;
    assert_eq!(&records[..before.1.len()], before.1, "records have changed");
    assert_eq!(transitions(&records), ["t1", "t2", "t5", "t6", "t7", "t6"]);
}

/// RO16: the step that it had in its hands arrives at the store, is refused there, and counted.
///
/// The old leader speaks with the store over a wire. What the store says is held until its refusal
/// is among it, so the step is surely sent before the old leader can know.
pub(crate) async fn a_step_of_a_deposed_leader_fails_on_the_fence_and_is_counted() {
    let stage = Stage::start().await;
    let wire = Wire::to(stage.etcd.address()).await;
    let launch = stage.launch_by(wire.address);
    let [old, new] = stops_with_a_step(&stage, launch).await;
    assert_eq!(stage.store.newest("chat").await, "t6");
    wire.hold(false, true);
    stage.store.vacate().await;
    stage.store.is_led_by(&new, SOON).await;
    let (up, answered) = (wire.sent_bytes(), wire.answered_bytes());
    old.process.signal("CONT").await;
    let look = async || (wire.sent_bytes() - up, wire.answered_bytes() - answered);
    let refused = |seen: &(u64, u64)| seen.0 > STEP_BYTES_MIN && seen.1 > REFUSAL_BYTES_MIN;
    eventually("its step has arrived and was answered", SOON, look, refused).await;
    wire.hold(false, false);

    let fenced = async || (old.txns("fenced").await, old.tail());
    eventually("the refusal is counted", SOON, fenced, |seen| seen.0 >= 1.0).await;
    let (state, records) = has_gone_on(&stage).await;
    goes_on_alone(&stage, &new, (&state, &records)).await;
    assert_eq!(new.txns("fenced").await, 0.0);
}

/// A step carries a state and a record, which are larger than anything else it sends.
const STEP_BYTES_MIN: u64 = 2_000;
/// A refusal carries what is there instead.
const REFUSAL_BYTES_MIN: u64 = 1_000;
