//! Crashes, lost answers, other leaders, other writers: a step happens once, or not yet.

use serin_store::{Error, Op};

use super::*;
use crate::rollout::state::{PauseReason, Phase};

/// Each number once, from 1: no step was repeated or skipped.
fn assert_contiguous(records: &[Json]) {
    for (i, record) in records.iter().enumerate() {
        let seq = &record["seq"];
        let seq = seq.as_u64().or_else(|| seq.as_str()?.parse().ok());
        assert_eq!(seq, Some(i as u64 + 1), "{records:#?}");
    }
}

fn transitions(records: &[Json]) -> Vec<String> {
    let names = records
        .iter()
        .map(|record| record["transition"].as_str().unwrap_or_default());
    names
        .filter(|name| *name != "checkpoint")
        .map(str::to_owned)
        .collect()
}

/// The transitions of a rollout that nothing disturbs.
async fn undisturbed() -> Vec<String> {
    let mut rig = Rig::new().await;
    rig.start(plan()).await;
    rig.until(|state| state.phase == Phase::Succeeded).await;
    transitions(&rig.records().await)
}

#[tokio::test]
async fn a_leader_that_was_deposed_commits_nothing_and_the_next_one_goes_on() {
    let mut rig = Rig::new().await;
    rig.start(plan()).await;
    rig.until(|state| state.share > 0.0).await;
    let (fence, _lease) = rig.depose().await;
    rig.acknowledge().await;
    let (before, revision) = (rig.state().await, rig.revision());
    assert_eq!(rig.tick().await, Flow::On);
    assert_eq!(
        (rig.state().await, rig.revision()),
        (before, revision),
        "nothing was written"
    );
    rig.replace_runner(fence);
    rig.until(|state| state.phase == Phase::Succeeded).await;
    assert_contiguous(&rig.records().await);
}

#[tokio::test]
async fn a_step_whose_answer_was_lost_is_done_once() {
    let expected = undisturbed().await;
    let mut rig = Rig::new().await;
    rig.start(plan()).await;
    while !rig.state().await.phase.is_terminal() {
        rig.acknowledge().await;
        rig.stage.memory.commit_but_say_unknown();
        rig.tick().await;
    }
    let records = rig.records().await;
    assert_contiguous(&records);
    assert_eq!(transitions(&records), expected);
}

#[tokio::test]
async fn a_leader_that_is_killed_after_any_commit_is_followed_by_one_that_goes_on() {
    let expected = undisturbed().await;
    let mut rig = Rig::new().await;
    rig.start(plan()).await;
    while !rig.state().await.phase.is_terminal() {
        rig.tick().await;
        // Nothing of it is left.
        let fence = rig.fence;
        rig.replace_runner(fence);
    }
    let records = rig.records().await;
    assert_contiguous(&records);
    assert_eq!(transitions(&records), expected);
}

#[tokio::test]
async fn a_store_that_fails_holds_and_loses_nothing() {
    let expected = undisturbed().await;
    let mut rig = Rig::new().await;
    rig.start(plan()).await;
    let errors = [
        Error::Unavailable("cut off".to_owned()),
        Error::Unknown {
            receipt: None,
            why: "lost before it came".to_owned(),
        },
    ];
    for i in 0.. {
        if rig.state().await.phase.is_terminal() {
            break;
        }
        rig.acknowledge().await;
        rig.stage.memory.fail_next(errors[i % errors.len()].clone());
        rig.tick().await;
        rig.tick().await;
    }
    let records = rig.records().await;
    assert_contiguous(&records);
    assert_eq!(transitions(&records), expected);
}

#[tokio::test]
async fn whoever_moves_the_route_meanwhile_has_the_step_decided_again() {
    let mut rig = Rig::new().await;
    rig.start(plan()).await;
    rig.until(|state| state.share > 0.0).await;
    rig.acknowledge().await;
    // Somebody writes the same route once more, between reading and writing.
    let entry = rig.stage.stored("config/routes/chat").await.unwrap();
    let again = Op::Put(entry.key.clone(), entry.value.clone(), None);
    rig.stage
        .staged
        .meddle(move |n| (n == 0).then(|| again.clone()));
    let before = rig.state().await;
    rig.tick().await;
    let after = rig.state().await;
    assert!(after.cursor_ms >= before.cursor_ms, "{after:?}");
    rig.until(|state| state.phase == Phase::Succeeded).await;
    assert_contiguous(&rig.records().await);
}

#[tokio::test]
async fn an_abort_needs_no_leader_and_is_one_transaction() {
    let mut rig = Rig::new().await;
    rig.start(plan()).await;
    rig.until(|state| state.share > 0.0).await;
    let key = "election/control-plane";
    rig.stage.write_raw(key, None).await;
    let before = rig.revision();
    let ran = rig.verb(Verb::Abort).await.unwrap();
    assert_eq!(rig.revision().0, before.0 + 1, "one transaction");
    assert_eq!(ran.state["phase"], "Aborted");
    assert_eq!(rig.traffic().await["weights"]["a"], 100.0);
    let all = rig.stage.all(serin_store::Scope::All).await;
    let written = all
        .iter()
        .filter(|entry| entry.mod_revision.0 == before.0 + 1);
    let mut folders: Vec<&str> = written
        .map(|entry| entry.key.as_str().split('/').next().unwrap())
        .collect();
    folders.dedup();
    assert_eq!(folders, ["audit", "config", "rollouts"]);
}

#[tokio::test]
async fn of_two_who_promote_the_same_step_one_is_told_that_it_is_late() {
    let mut rig = Rig::new().await;
    let mut gated = plan();
    gated["steps"][0]["gate"] = json!("go");
    rig.start(gated).await;
    let gated = |state: &State| format!("{:?}", state.phase).contains("Gated");
    let state = rig.until(gated).await;
    let seq = Some(state.seq);
    let promote = || rig.verb_at(Verb::Promote { full: false }, seq);
    let (one, other) = tokio::join!(promote(), promote());
    let refusals: Vec<Refusal> = [one, other].into_iter().filter_map(Result::err).collect();
    let codes: Vec<&str> = refusals.iter().map(Refusal::code).collect();
    assert_eq!(codes, ["stale_seq"]);
    assert_eq!(rig.state().await.seq, state.seq + 1, "one step");
}

#[tokio::test]
async fn an_abort_that_races_a_step_wins_or_follows_it_and_is_never_half() {
    for ticks in 0..40 {
        let mut rig = Rig::new().await;
        rig.start(plan()).await;
        for _ in 0..ticks {
            rig.tick().await;
        }
        if rig.state().await.phase.is_terminal() {
            break;
        }
        rig.acknowledge().await;
        let (plane, id) = (Arc::clone(&rig.stage.plane), rig.state().await.rollout_id);
        let abort = async {
            let asks = (Verb::Abort, None);
            verb(&plane, &admin(), asked(Default::default()), &id, asks).await
        };
        let (aborted, _) = tokio::join!(abort, rig.tick());
        let state = rig.state().await;
        if aborted.is_ok() {
            assert_eq!(state.phase, Phase::Aborted);
            assert_eq!(rig.traffic().await["weights"]["a"], 100.0);
        } else {
            assert_eq!(state.phase, Phase::Succeeded);
        }
        assert_contiguous(&rig.records().await);
    }
}

#[tokio::test]
async fn pause_and_resume_leave_the_share_and_a_verb_of_another_phase_is_told_what_there_is() {
    let mut rig = Rig::new().await;
    rig.start(plan()).await;
    let share = rig.until(|state| state.share > 0.0).await.share;
    rig.verb(Verb::Pause { suspend: false }).await.unwrap();
    let state = rig.state().await;
    assert_eq!((state.phase, state.share), (Phase::Paused, share));
    assert_eq!(state.pause_reasons, [PauseReason::User]);
    let refused = rig.verb(Verb::Undo(Default::default())).await.unwrap_err();
    let Refusal::Illegal { legal, .. } = &refused else {
        panic!("{refused:?}");
    };
    assert!(
        legal.contains(&"resume") && legal.contains(&"abort"),
        "{legal:?}"
    );
    rig.verb(Verb::Resume).await.unwrap();
    rig.until(|state| state.phase == Phase::Succeeded).await;
}
