//! What answers tell those who look on: what a start means, who did what, what was undone.

use serin_proto::key::Kind;

use super::*;
use crate::{
    change::put_traffic,
    rollout::{
        event::Undo,
        show,
        state::{BYTES_MAX, Phase, Sub},
    },
    stage::told,
};

async fn dry(rig: &Rig, plan: &Json) -> Started {
    let mut dry = asked(Default::default());
    dry.dry_run = true;
    let started = start(&rig.stage.plane, &admin(), dry, "chat", body(plan)).await;
    started.unwrap()
}

async fn explained(rig: &Rig) -> Json {
    let id = rig.state().await.rollout_id;
    let told = show::analysis(&rig.stage.plane, &admin(), &id).await;
    told.unwrap().json
}

#[tokio::test]
async fn a_start_and_its_dry_run_say_what_becomes_of_the_rollout_that_runs() {
    let mut rig = Rig::new().await;
    let three = crate::stage::route(&["a", "b", "c"], json!({"weights": {"a": 100}}));
    rig.stage.put(Kind::Route, "chat", &three).await;
    let first = rig.start(plan()).await;
    assert_eq!(Json::from(first.effect()), json!({}));
    rig.until(|state| state.share > 0.0).await;

    let same = json!({"unchanged": true});
    let told = dry(&rig, &plan()).await;
    assert_eq!(Json::from(told.effect()), same);
    let steps = |told: &Started| told.planned.as_ref().unwrap()["plan"]["steps"].clone();
    assert_eq!(steps(&told)[0]["weight"], 10.0, "planned all the same");
    assert_eq!(Json::from(rig.start(plan()).await.effect()), same);

    let changed = json!({"planChanged": true});
    let mut other = plan();
    other["steps"][1]["weight"] = json!(60);
    other["promotion"]["gate"] = json!("go");
    let told = dry(&rig, &other).await;
    assert_eq!(Json::from(told.effect()), changed);
    assert_eq!(steps(&told)[1]["weight"], 60.0, "the plan that will hold");
    let gate = &told.planned.as_ref().unwrap()["plan"]["promotion"]["gate"];
    assert_eq!(gate, "go");
    assert_eq!(Json::from(rig.start(other).await.effect()), changed);

    let mut third = plan();
    third["candidate"] = json!("c");
    let id = &first.state["rolloutId"];
    let taken = json!({"supersedes": {"id": id, "candidate": "b", "share": 10.0}});
    assert_eq!(Json::from(dry(&rig, &third).await.effect()), taken);
    assert_eq!(Json::from(rig.start(third).await.effect()), taken);
}

#[tokio::test]
async fn who_did_it_and_why_is_told_with_the_state_and_with_what_is_next() {
    let mut rig = Rig::new().await;
    let mut gated = plan();
    gated["promotion"]["gate"] = json!("go");
    rig.start(gated).await;
    rig.until(|state| state.share > 0.0).await;
    let ran = rig.verb(Verb::Pause { suspend: false }).await.unwrap();
    let by = &ran.state["byHand"];
    assert_eq!(
        (&by["verb"], &by["reason"]),
        (&json!("pause"), &json!("because"))
    );
    assert_eq!(by["by"], admin().name);
    let name = admin().name;
    let paused = format!("it is paused: User by {name}: because");
    assert_eq!(explained(&rig).await["next"]["text"], paused);
    // The controller's steps leave it, and so do gates.
    rig.tick().await;
    let gate = "go".to_owned();
    rig.verb(Verb::Gate { gate, open: true }).await.unwrap();
    assert_eq!(explained(&rig).await["next"]["text"], paused);
    rig.verb(Verb::Abort).await.unwrap();
    let told = explained(&rig).await;
    assert_eq!(told["byHand"]["verb"], "abort");
    assert_eq!(told["next"]["text"], format!("aborted by {name}: because"));

    let id = told["rolloutId"].as_str().unwrap().to_owned();
    rig.start(plan()).await;
    let old = show::rollout(&rig.stage.plane, &admin(), &id)
        .await
        .unwrap();
    assert_eq!(
        old.json["byHand"]["verb"], "abort",
        "of one that has ended too"
    );
}

#[tokio::test]
async fn what_was_undone_says_so_and_is_not_undone_twice() {
    let mut rig = Rig::new().await;
    rig.start(plan()).await;
    rig.until(|state| state.phase == Phase::Succeeded).await;
    assert_eq!(explained(&rig).await["undone"], false);
    rig.verb(Verb::Undo(Undo::default())).await.unwrap();
    let told = explained(&rig).await;
    let text = format!("undone by {}: because", admin().name);
    assert_eq!(
        (&told["undone"], &told["next"]["text"]),
        (&json!(true), &json!(&text))
    );
    assert_eq!(rig.state().await.ended_because, "undone by hand");
    let id = rig.state().await.rollout_id;
    let shown = show::rollout(&rig.stage.plane, &admin(), &id).await;
    assert_eq!(shown.unwrap().json["endedBecause"], text);
    for again in [Verb::Undo(Undo::default()), Verb::Retry] {
        let refused = rig.verb(again).await.unwrap_err();
        assert_eq!(refused.code(), "illegal_verb");
        assert!(refused.to_string().contains("was undone"), "{refused}");
    }
}

#[tokio::test]
async fn a_gate_that_no_plan_names_is_not_there() {
    let rig = Rig::new().await;
    let mut gated = plan();
    gated["promotion"]["gate"] = json!("go");
    rig.start(gated).await;
    let gate = |name: &str| Verb::Gate {
        gate: name.to_owned(),
        open: true,
    };
    let refused = rig.verb(gate("nosuch")).await.unwrap_err();
    assert_eq!((refused.code(), refused.status()), ("not_found", 404));
    let text = refused.to_string();
    assert!(text.contains("\"nosuch\"") && text.contains("go"), "{text}");
    rig.verb(gate("go")).await.unwrap();
    rig.verb(Verb::Abort).await.unwrap();
    let ended = rig.verb(gate("nosuch")).await.unwrap_err();
    assert_eq!(ended.code(), "illegal_verb");
}

#[tokio::test]
async fn refusals_that_concern_one_field_say_which() {
    let rig = Rig::new().await;
    let mut stable = plan();
    stable["candidate"] = json!("a");
    let refused = rig.try_start(stable).await.unwrap_err();
    assert_eq!(told(&refused), [("candidate_is_stable", "/candidate")]);
    let none = asked(Default::default());
    let missing = start(&rig.stage.plane, &admin(), none, "nope", body(&plan())).await;
    let missing = missing.unwrap_err();
    assert_eq!(missing.status(), 404);
    assert_eq!(told(&missing), [("not_found", "/route")]);
    let mut many = plan();
    many["stpes"] = json!([]);
    many["steps"][1]["weight"] = json!(5);
    let refused = rig.try_start(many).await.unwrap_err();
    let faults = told(&refused);
    assert_eq!(refused.status(), 400);
    for fault in [
        ("unknown_field", "/stpes"),
        ("steps_do_not_rise", "/steps/1/weight"),
    ] {
        assert!(faults.contains(&fault), "{faults:?}");
    }
    assert!(refused.to_string().contains("steps"), "{refused}");
}

#[tokio::test]
async fn before_its_first_share_traffic_that_is_what_it_was_changes_nothing_and_no_canary_aborts() {
    let rig = Rig::new().await;
    rig.start(plan()).await;
    let put = async |traffic: Json| {
        let asked = asked(crate::change::Precondition::Exists);
        put_traffic(&rig.stage.plane, &admin(), "chat", body(&traffic), asked).await
    };
    put(json!({"weights": {"a": 100, "b": 0}, "canary": "b"}))
        .await
        .unwrap();
    assert_eq!(rig.state().await.phase, Phase::Pending);
    put(json!({"weights": {"a": 100, "b": 0}})).await.unwrap();
    assert_eq!(rig.state().await.phase, Phase::Aborted);
}

#[tokio::test]
async fn after_its_end_the_figures_are_those_it_was_decided_by() {
    let mut rig = Rig::new().await;
    rig.start(plan()).await;
    rig.until(|state| state.phase == Phase::Progressing(Sub::Warming))
        .await;
    rig.harm(100);
    rig.until(|state| state.phase == Phase::Failed).await;
    let told = explained(&rig).await;
    let fast = &told["guards"]["failFast"];
    assert_eq!(told["guard"], Json::Null, "{told:#}");
    assert!(fast["ratio"].as_f64() > Some(0.7), "{told:#}");
    assert!(fast["failed"].as_u64() > Some(10), "{told:#}");
}

#[tokio::test]
async fn a_state_that_has_grown_too_large_can_still_be_taken_back() {
    let mut rig = Rig::new().await;
    rig.start(plan()).await;
    let mut state = rig.until(|state| state.share > 0.0).await;
    state.paused_for = "x".repeat(BYTES_MAX);
    let value = serde_json::to_vec(&state).unwrap();
    rig.stage
        .write_raw("rollouts/chat/state", Some(&value))
        .await;
    let refused = rig.verb(Verb::Pause { suspend: false }).await.unwrap_err();
    assert!(matches!(refused, Refusal::TooLarge(_)), "{refused:?}");
    rig.verb(Verb::Abort).await.unwrap();
    assert_eq!(rig.state().await.phase, Phase::Aborted);
    assert_eq!(rig.traffic().await["weights"]["b"], 0.0);
}
