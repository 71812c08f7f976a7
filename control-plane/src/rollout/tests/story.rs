//! From the start to each end.

use super::*;
use crate::rollout::{machine::legal, record::Record, state::Phase, verify::verify};

#[tokio::test]
async fn a_candidate_as_good_as_the_others_is_promoted_step_by_step() {
    let mut rig = Rig::new().await;
    let started = rig.start(plan()).await;
    assert!(started.created, "{started:?}");
    assert_eq!(rig.traffic().await["canary"], "b");
    assert_eq!(
        rig.traffic().await["weights"],
        json!({"a": 100.0, "b": 0.0})
    );

    let mut shares = vec![0.0];
    while !rig.state().await.phase.is_terminal() {
        rig.tick().await;
        let share = rig.state().await.share;
        if shares.last() != Some(&share) {
            shares.push(share);
        }
        assert!(rig.records().await.len() < 100, "{:?}", rig.state().await);
    }
    let state = rig.state().await;
    assert_eq!(state.phase, Phase::Succeeded, "{}", state.ended_because);
    assert_eq!(shares, [0.0, 10.0, 50.0, 99.0, 100.0]);
    let traffic = rig.traffic().await;
    assert_eq!(traffic["weights"]["b"], 100.0);
    assert_eq!(traffic["canary"].as_str().unwrap_or_default(), "");
    assert_eq!(traffic["rollout"], Json::Null);

    let records = rig.records().await;
    let seqs: Vec<u64> = (1..=records.len() as u64).collect();
    let told = records.iter().map(|record| {
        let seq = &record["seq"];
        seq.as_u64().or_else(|| seq.as_str()?.parse().ok()).unwrap()
    });
    assert_eq!(told.collect::<Vec<u64>>(), seqs);
    assert_eq!(rig.tick().await, Flow::Ended);
    assert_true(records);
}

/// The chain of hashes holds, and every decision can be made again from the records.
pub(super) fn assert_true(records: Vec<Json>) {
    let records = records.into_iter().map(serde_json::from_value);
    let records: Vec<Record> = records.map(Result::unwrap).collect();
    let verified = verify(&records).unwrap_or_else(|broken| panic!("{broken}"));
    assert_eq!(verified.records, records.len() as u64);
    assert!(
        verified.rollouts > 0 && verified.unreplayed == 0,
        "{verified:?}"
    );
}

#[tokio::test]
async fn a_harmful_candidate_is_rolled_back_and_the_others_have_their_traffic_again() {
    let mut rig = Rig::new().await;
    rig.harm(60);
    rig.start(plan()).await;
    let state = rig.until(|state| state.phase.is_terminal()).await;
    assert_eq!(state.phase, Phase::Failed);
    assert!(state.failed, "{state:?}");
    assert_eq!(rig.traffic().await["weights"]["a"], 100.0);
    assert_eq!(
        rig.traffic().await["canary"].as_str().unwrap_or_default(),
        ""
    );
    let audit = rig.stage.audit().await;
    let (_, last) = audit.last().unwrap();
    assert_eq!(
        (&last["verb"], &last["actor"]["via"]),
        (&json!("step"), &json!("auto"))
    );
    assert_true(rig.records().await);
}

#[tokio::test]
async fn without_a_word_of_the_routers_nothing_is_exposed() {
    let mut rig = Rig::new().await;
    rig.start(plan()).await;
    for _ in 0..5 {
        rig.at += INTERVAL;
        rig.runner.tick(rig.at).await;
    }
    let state = rig.state().await;
    assert_eq!((state.phase, state.share), (Phase::Pending, 0.0));
}

#[tokio::test]
async fn a_history_of_verbs_moves_and_several_rollouts_can_be_made_again() {
    let mut rig = Rig::new().await;
    rig.start(plan()).await;
    rig.until(|state| state.share > 0.0).await;
    rig.verb(Verb::Pause { suspend: true }).await.unwrap();
    rig.tick().await;
    rig.verb(Verb::Resume).await.unwrap();
    rig.tick().await;
    let mut longer = plan();
    longer["steps"][1]["minDuration"] = json!("3s");
    rig.start(longer).await;
    let may_skip = |state: &State| legal(state).contains(&"skip-step");
    rig.until(may_skip).await;
    rig.verb(Verb::SkipStep).await.unwrap();
    rig.tick().await;
    rig.verb(Verb::Abort).await.unwrap();
    rig.verb(Verb::Retry).await.unwrap();
    rig.until(|state| state.phase == Phase::Succeeded).await;
    rig.verb(Verb::Undo(Default::default())).await.unwrap();
    assert_eq!(rig.traffic().await["weights"]["a"], 100.0);
    assert_true(rig.records().await);
}

#[tokio::test]
async fn a_stable_target_changed_around_the_api_ends_the_rollout_too() {
    let mut rig = Rig::new().await;
    rig.start(plan()).await;
    rig.until(|state| state.share > 0.0).await;
    let entry = rig.stage.stored("config/routes/chat").await.unwrap();
    let mut chat = parsed(&entry.value);
    chat["targets"][0]["model"] = json!("another");
    let chat = chat.to_string();
    rig.stage
        .write_raw("config/routes/chat", Some(chat.as_bytes()))
        .await;
    let state = rig.until(|state| state.phase.is_terminal()).await;
    assert_eq!(state.phase, Phase::Failed);
    assert!(state.ended_because.contains('a'), "{}", state.ended_because);
}
