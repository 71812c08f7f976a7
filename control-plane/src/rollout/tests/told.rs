//! What is told of rollouts: counted by who leads, shown as far as it is kept.

use serin_proto::unit::Revision;

use super::*;
use crate::{
    change::put_traffic,
    leader::Leadership,
    metrics::scrape,
    plane::Plane,
    rollout::{
        event::FleetSeen,
        explained,
        plan::Plan,
        show,
        state::{Phase, Sub},
    },
};

/// A counter of route `chat`, as it is scraped.
fn counted(plane: &Plane, family: &str, label: &str) -> Option<f64> {
    let text = scrape(plane);
    let mut lines = text.lines();
    let line = lines.find(|line| line.starts_with(family) && line.contains(label))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

async fn counts(plane: &Plane, transition: &str, expected: f64) {
    let label = format!(r#"transition="{transition}""#);
    let look = || async { counted(plane, "serin_cp_rollout_transitions_total", &label) };
    eventually(look, |count| *count == Some(expected)).await;
}

#[tokio::test]
async fn what_people_do_through_any_replica_is_counted_by_the_one_that_leads() {
    let mut rig = Rig::new().await;
    let other = Stage::beside(&rig.stage.memory).await;
    let leader = Arc::clone(&rig.stage.plane);
    leader.leadership.send_replace(Leadership {
        leading: Some(rig.fence),
    });
    let started = rig.start(plan()).await;
    counts(&leader, "t1", 1.0).await;
    rig.until(|state| state.share > 0.0).await;
    counts(&leader, "t5", 1.0).await;

    let id = started.state["rolloutId"].as_str().unwrap().to_owned();
    let asks = async |asks: Verb| {
        let asked = asked(Default::default());
        let ran = verb(&other.plane, &admin(), asked, &id, (asks, None)).await;
        ran.unwrap();
    };
    asks(Verb::Pause { suspend: false }).await;
    counts(&leader, "t22", 1.0).await;
    asks(Verb::Resume).await;
    counts(&leader, "t14", 1.0).await;
    let lowered = json!({"weights": {"a": 95, "b": 5}, "canary": "b"});
    let exists = asked(crate::change::Precondition::Exists);
    let moved = put_traffic(&other.plane, &admin(), "chat", body(&lowered), exists).await;
    moved.unwrap();
    counts(&leader, "t21", 1.0).await;
    asks(Verb::Abort).await;
    counts(&leader, "t10", 1.0).await;

    let decided = |decision: &str| {
        let label = format!(r#"decision="{decision}""#);
        counted(&leader, "serin_cp_decisions_total", &label)
    };
    assert_eq!(decided("roll_back"), Some(1.0), "the abort");
    assert_eq!(decided("pause"), Some(2.0), "by the verb, and by the share");
    let ended = counted(
        &leader,
        "serin_cp_rollout_completed_total",
        r#"result="aborted""#,
    );
    assert_eq!(ended, Some(1.0));
    rig.tick().await;
    let again = counted(
        &leader,
        "serin_cp_rollout_completed_total",
        r#"result="aborted""#,
    );
    assert_eq!(again, Some(1.0), "its runner tells the same end");
    let follower = scrape(&other.plane);
    assert!(!follower.contains("serin_cp_rollout_transitions"));
    other.plane.leadership.send_replace(Leadership {
        leading: Some(rig.fence),
    });
    let quiet = counted(&other.plane, "serin_cp_rollout_transitions_total", "t10");
    assert_eq!(quiet, None, "it counted none while it did not lead");
}

#[tokio::test]
async fn an_old_rollout_whose_first_record_is_gone_is_shown_as_far_as_it_is_known() {
    let mut rig = Rig::new().await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let started = rig.start(plan()).await;
        ids.push(started.state["rolloutId"].as_str().unwrap().to_owned());
        rig.until(|state| state.share > 0.0).await;
        rig.verb(Verb::Abort).await.unwrap();
    }
    let plane = &rig.stage.plane;
    let shown = async || show::rollout(plane, &admin(), &ids[0]).await.unwrap().json;
    let whole = shown().await;
    let record = format!("rollouts/chat/history/{:020}", 1);
    let first = rig.stage.stored(&record).await.unwrap();
    assert_eq!(parsed(&first.value)["transition"], "t1");
    rig.stage.write_raw(&record, None).await;

    let rest = shown().await;
    for field in [
        "rolloutId",
        "seq",
        "lastHash",
        "route",
        "candidate",
        "planHash",
        "phase",
        "step",
        "share",
        "verdict",
        "endedAt",
    ] {
        assert_eq!(rest[field], whole[field], "{field}\n{rest:#}\n{whole:#}");
    }
    assert_eq!(
        (&rest["phase"], &rest["candidate"]["target"]),
        (&json!("Aborted"), &json!("b"))
    );
    assert_eq!(rest["endedBecause"], "because", "as its record has it");
    assert_eq!(rest["plan"], Json::Null, "nobody knows it any more");
    let analysis = show::analysis(plane, &admin(), &ids[0]).await;
    assert!(
        matches!(analysis, Err(Refusal::NotFound(_))),
        "{analysis:?}"
    );
    let kept = show::history(plane, &admin(), &ids[0], (0, 100)).await;
    assert!(!kept.unwrap().is_empty(), "its history stays");
    let newest = show::rollout(plane, &admin(), &ids[1]).await.unwrap();
    assert!(newest.json["plan"].is_object(), "{}", newest.json);
}

#[tokio::test]
async fn the_age_of_the_samples_is_told_while_there_are_any() {
    let mut rig = Rig::new().await;
    rig.start(plan()).await;
    let told = |state: &State| {
        let plan = Plan::compile(&state.plan).unwrap();
        let fleet = (FleetSeen::default(), Revision(7));
        let now_ms = state.cursor_ms + 11_000;
        explained::whole(state, &plan, fleet, now_ms)["guards"].clone()
    };
    let before = told(&rig.state().await);
    assert_eq!(before["samplesAgeMs"], Json::Null, "{before:#}");
    assert!(!before["text"].as_str().unwrap().contains("samples"));
    let analyses = |state: &State| state.phase == Phase::Progressing(Sub::Analysing);
    let guards = told(&rig.until(analyses).await);
    assert_eq!(guards["samplesAgeMs"], 11_000, "{guards:#}");
    let text = guards["text"].as_str().unwrap();
    assert!(text.ends_with(" · samples 11s old"), "{text}");
}
