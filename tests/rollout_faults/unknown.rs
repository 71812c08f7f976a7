//! RO22: a step or a verb whose answer never comes is done exactly once, whether it had arrived at
//! the store or not.
//!
//! The leader stops itself with the step in its hands; the wire to the store is told which direction
//! loses what; it goes on, and the wire is cut.

use std::time::Duration;

use serde_json::json;
use serin_tests::ControlPlane;
use serin_tests::client::Answer;
use serin_tests::eventually;
use serin_tests::rollouts::State;
use serin_tests::rollouts::record::{count, transitions};
use serin_tests::wire::Wire;

use crate::fence::is_stopped;
use crate::stage::{SOON, Stage, plan, start};
use crate::store::Store;

const ENDS_WITHIN: Duration = Duration::from_secs(60);
/// A step carries a state and a record, which are larger than anything else it sends.
const STEP_BYTES_MIN: u64 = 2_000;

/// What is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lost {
    Step,
    Answer,
}

async fn is_done_once(transition: &'static str, lost: Lost) {
    let stage = Stage::start().await;
    let wire = Wire::to(stage.etcd.address()).await;
    let place = format!("{transition}.before");
    let leader = stage
        .plane("leader", &stage.launch_by(wire.address).stops_at(&place))
        .await;
    stage.store.is_led_by(&leader, SOON).await;
    let other = stage.plane("other", &stage.launch()).await;
    stage.route(&other.admin(), "chat").await;
    start(&other.admin(), "chat", &plan(&[5, 50], &json!({}))).await;

    is_stopped(&leader).await;
    loses(&wire, &leader, (stage.store, transition), lost).await;
    let unknown = async || leader.process.printed();
    eventually(
        "the leader does not know what became of it",
        SOON,
        unknown,
        |log| log.contains("outcome of a rollout's step is unknown"),
    )
    .await;
    stage.store.until_ended("chat", ENDS_WITHIN).await;
    let records = stage.store.sound_history("chat").await;
    let whole = ["t1", "t2", "t5", "t6", "t7", "t6", "t17", "t6", "t18"];
    assert_eq!(transitions(&records), whole, "{lost:?}");
    assert_eq!(
        stage.store.leader().await,
        leader.api.to_string(),
        "no reason to lose the lead"
    );
}

/// Lets a stopped leader go on, and loses its next step or what is said to it.
async fn loses(wire: &Wire, leader: &ControlPlane, (store, transition): (Store, &str), lost: Lost) {
    let before = count(&store.history("chat").await, transition);
    let sent = wire.sent_bytes();
    wire.hold(lost == Lost::Step, true);
    leader.process.signal("CONT").await;
    let look = async || {
        let made = count(&store.history("chat").await, transition) - before;
        (wire.sent_bytes() - sent, made)
    };
    let is_sent = |seen: &(u64, usize)| match lost {
        Lost::Step => seen.0 > STEP_BYTES_MIN,
        Lost::Answer => seen.1 == 1,
    };
    let (_, made) = eventually("the step is sent", SOON, look, is_sent).await;
    assert_eq!(made, usize::from(lost == Lost::Answer));
    wire.cut();
    wire.hold(false, false);
}

/// RO22, T7 and T17 by the controller.
pub(crate) async fn a_step_that_arrived_and_whose_answer_did_not_is_done_once() {
    tokio::join!(
        is_done_once("t7", Lost::Answer),
        is_done_once("t17", Lost::Answer)
    );
}

/// RO22
pub(crate) async fn a_step_that_did_not_arrive_is_done_once_and_later() {
    tokio::join!(
        is_done_once("t7", Lost::Step),
        is_done_once("t17", Lost::Step)
    );
}

async fn is_answered(lost: Lost) -> Answer {
    let stage = Stage::start().await;
    let wire = Wire::to(stage.etcd.address()).await;
    let leader = stage.plane("leader", &stage.launch()).await;
    stage.store.is_led_by(&leader, SOON).await;
    let asked = stage.launch_by(wire.address).stops_at("promote.before");
    let asked = stage.plane("asked", &asked).await;
    stage.route(&leader.admin(), "chat").await;
    let waits = json!({"promotion": {"gate": "go", "bake": "3600s"}});
    let chat = start(&leader.admin(), "chat", &plan(&[50], &waits)).await;
    let waits = |state: &State| state.phase() == "WaitingPromotion";
    stage
        .store
        .until(("chat", "it waits"), ENDS_WITHIN, waits)
        .await;

    let path = chat.path("promote");
    let body = json!({});
    let promoting = asked.post(&path, &body, "promote-once");
    let losing = async {
        is_stopped(&asked).await;
        loses(&wire, &asked, (stage.store, "t17"), lost).await;
    };
    let (answer, ()) = tokio::join!(promoting, losing);
    let answer = answer.expect("an answer");
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert_eq!(answer.json()["phase"], "Baking", "{}", answer.text());
    let records = stage.store.sound_history("chat").await;
    assert_eq!(count(&records, "t17"), 1, "{:?}", transitions(&records));
    answer
}

/// RO22: the one who asked sees where the rollout stands.
pub(crate) async fn a_promotion_by_hand_with_a_lost_answer_is_done_once_and_answered() {
    tokio::join!(is_answered(Lost::Answer), is_answered(Lost::Step));
}
