//! What others may do to a route, its providers and its traffic while a rollout runs on it.

use serin_proto::key::Kind;

use super::*;
use crate::{
    change::{apply, put_traffic},
    rollout::state::{PauseReason, Phase},
    stage::{provider, route},
};

/// A rig with three targets and a rollout of `b` at 10 %, the others 60 to 40.
async fn exposed() -> Rig {
    let mut rig = Rig::new().await;
    let live = json!({"weights": {"a": 60, "c": 40}, "fallback": ["a"]});
    let chat = route(&["a", "b", "c"], live);
    rig.stage.put(Kind::Route, "chat", &chat).await;
    rig.start(plan()).await;
    rig.until(|state| state.share > 0.0).await;
    rig
}

async fn move_to(rig: &Rig, traffic: Json) -> Result<(), Refusal> {
    let asked = asked(crate::change::Precondition::Exists);
    let plane = &rig.stage.plane;
    put_traffic(plane, &admin(), "chat", body(&traffic), asked).await?;
    Ok(())
}

#[tokio::test]
async fn traffic_may_be_moved_in_the_safe_direction_and_beside_the_rollout_and_no_other_way() {
    let weights = |a: f64, b: f64, c: f64| json!({"a": a, "b": b, "c": c});
    // What is put, the code of its refusal, the phase after it, the share after it.
    let table = [
        (
            json!({"weights": weights(54.0, 10.0, 36.0), "canary": "b", "fallback": ["c"]}),
            "",
            false,
            10.0,
        ),
        (
            json!({"weights": weights(30.0, 10.0, 60.0), "canary": "b"}),
            "",
            false,
            10.0,
        ),
        (
            json!({"weights": weights(57.0, 5.0, 38.0), "canary": "b"}),
            "",
            true,
            5.0,
        ),
        (
            json!({"weights": weights(48.0, 20.0, 32.0), "canary": "b"}),
            "rollout_active",
            false,
            10.0,
        ),
        (
            json!({"weights": weights(54.0, 10.0, 36.0), "canary": "c"}),
            "rollout_active",
            false,
            10.0,
        ),
    ];
    for (traffic, code, is_paused, share) in table {
        let rig = exposed().await;
        let before = rig.state().await;
        let refused = move_to(&rig, traffic.clone()).await;
        let told = refused.as_ref().map_or_else(Refusal::code, |()| "");
        assert_eq!(told, code, "{traffic}");
        if let Err(Refusal::RolloutActive { legal, .. }) = &refused {
            assert!(legal.contains(&"abort"), "{legal:?}");
        }
        let state = rig.state().await;
        assert_eq!(
            (state.share, state.phase == Phase::Paused),
            (share, is_paused),
            "{traffic}"
        );
        if is_paused {
            assert_eq!(state.pause_reasons, [PauseReason::User]);
        }
        if code.is_empty() {
            let live = rig.traffic().await;
            assert_eq!(live["weights"], traffic["weights"], "{traffic}");
            assert_eq!(live["rollout"]["id"], json!(before.rollout_id));
        }
    }
}

#[tokio::test]
async fn nothing_for_the_candidate_or_no_canary_is_an_abort_in_one_transaction() {
    let table = [
        json!({"weights": {"a": 60, "b": 0, "c": 40}, "canary": "b", "fallback": ["a"]}),
        json!({"weights": {"a": 60, "c": 40}, "fallback": ["a"]}),
    ];
    for traffic in table {
        let rig = exposed().await;
        let before = rig.revision();
        move_to(&rig, traffic.clone()).await.unwrap();
        assert_eq!(rig.revision().0, before.0 + 1);
        assert_eq!(rig.state().await.phase, Phase::Aborted, "{traffic}");
        let live = rig.traffic().await;
        assert_eq!(
            (&live["weights"]["a"], &live["rollout"]),
            (&json!(60.0), &Json::Null)
        );
    }
}

#[tokio::test]
async fn an_abort_returns_to_the_proportions_that_were_asked_for_meanwhile() {
    let rig = exposed().await;
    let traffic = json!({"weights": {"a": 18, "b": 10, "c": 72}, "canary": "b"});
    move_to(&rig, traffic).await.unwrap();
    rig.verb(Verb::Abort).await.unwrap();
    let live = rig.traffic().await;
    assert_eq!(
        (&live["weights"]["a"], &live["weights"]["c"]),
        (&json!(20.0), &json!(80.0))
    );
}

#[tokio::test]
async fn a_route_keeps_what_is_compared_and_how_buckets_are_drawn() {
    let with = |change: &dyn Fn(&mut Json)| {
        let mut chat = route(&["a", "b", "c"], Json::Null);
        change(&mut chat);
        chat
    };
    // What is put, the code of its refusal.
    let table = [
        (with(&|chat| chat["timeouts"] = json!({"total": "60s"})), ""),
        (
            with(&|chat| chat["affinity"] = json!(["key"])),
            "rollout_active",
        ),
        (
            with(&|chat| chat["targets"][1]["model"] = json!("n")),
            "rollout_active",
        ),
        (
            with(&|chat| chat["targets"][0]["model"] = json!("n")),
            "rollout_active",
        ),
        (
            with(&|chat| drop(chat["targets"].as_array_mut().unwrap().remove(1))),
            "invalid_document",
        ),
        (
            with(&|chat| drop(chat["targets"].as_array_mut().unwrap().remove(2))),
            "invalid_document",
        ),
    ];
    for (chat, code) in table {
        let rig = exposed().await;
        let exists = crate::change::Precondition::Exists;
        let put = rig.stage.try_put(Kind::Route, "chat", &chat, exists).await;
        assert_eq!(
            put.as_ref().map_or_else(Refusal::code, |_| ""),
            code,
            "{chat}"
        );
        let state = rig.state().await;
        assert_eq!((state.share, state.phase.is_terminal()), (10.0, false));
    }
}

#[tokio::test]
async fn a_provider_of_what_is_compared_keeps_its_address_and_may_have_another_credential() {
    let rig = exposed().await;
    let exists = || crate::change::Precondition::Exists;
    let mut other = provider();
    other["baseUrl"] = json!("https://other.example/v1");
    let refused = rig
        .stage
        .try_put(Kind::Provider, "p", &other, exists())
        .await;
    assert_eq!(refused.unwrap_err().code(), "rollout_active");
    let file = json!({"providers": [{"name": "p", "dialect": "openai", "baseUrl": "https://o.example/v1"}]});
    let (plane, asked) = (&rig.stage.plane, asked(Default::default()));
    let applied = apply(plane, &admin(), body(&file), false, asked).await;
    assert_eq!(applied.unwrap_err().code(), "rollout_active");
    let mut secret = provider();
    secret["credential"] = json!({"env": "KEY"});
    rig.stage
        .try_put(Kind::Provider, "p", &secret, exists())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_definition_changed_around_the_api_ends_the_rollout() {
    let mut rig = exposed().await;
    let entry = rig.stage.stored("config/routes/chat").await.unwrap();
    let mut chat = parsed(&entry.value);
    chat["targets"][1]["model"] = json!("another");
    let chat = chat.to_string();
    rig.stage
        .write_raw("config/routes/chat", Some(chat.as_bytes()))
        .await;
    let state = rig.until(|state| state.phase.is_terminal()).await;
    assert_eq!(state.phase, Phase::Failed);
    assert_eq!(
        state.guard,
        Some(crate::analysis::judge::Guard::DefinitionChanged)
    );
    assert_eq!(rig.traffic().await["weights"]["a"], 60.0);
}

#[tokio::test]
async fn a_file_moves_no_traffic_of_a_rollout_and_may_say_the_rest() {
    let rig = exposed().await;
    let mut chat = route(&["a", "b", "c"], json!({"weights": {"a": 100}}));
    chat["name"] = json!("chat");
    chat["timeouts"] = json!({"total": "60s"});
    let file = json!({"routes": [chat]});
    let admin = admin();
    let apply = |replace| {
        let asked = asked(Default::default());
        apply(&rig.stage.plane, &admin, body(&file), replace, asked)
    };
    assert_eq!(apply(true).await.unwrap_err().code(), "rollout_active");
    let applied = apply(false).await.unwrap();
    assert_eq!((applied.changes.len(), applied.traffic_kept.len()), (1, 1));
    assert_eq!(rig.state().await.share, 10.0);
}

#[tokio::test]
async fn a_route_is_deleted_once_its_rollout_has_ended_and_its_history_stays() {
    let rig = exposed().await;
    let refused = rig.stage.try_delete(Kind::Route, "chat").await.unwrap_err();
    assert_eq!(refused.code(), "rollout_active");
    rig.verb(Verb::Abort).await.unwrap();
    let (id, records) = (rig.state().await.rollout_id, rig.records().await.len());
    rig.stage.try_delete(Kind::Route, "chat").await.unwrap();
    assert!(rig.stage.stored("rollouts/chat/state").await.is_none());
    assert_eq!(rig.records().await.len(), records);

    // Made anew, it goes on with the numbers of its history.
    let chat = route(&["a", "b"], json!({"weights": {"a": 100}}));
    rig.stage.put(Kind::Route, "chat", &chat).await;
    let started = rig.start(plan()).await;
    assert_ne!(started.state["rolloutId"], json!(id));
    assert_eq!(rig.state().await.seq, records as u64 + 1);
}

#[tokio::test]
async fn targets_that_an_undo_needs_stay_as_long_as_it_may_be_asked_for() {
    let mut rig = Rig::new().await;
    rig.start(plan()).await;
    rig.until(|state| state.phase == Phase::Succeeded).await;
    let exists = crate::change::Precondition::Exists;
    let alone = route(&["b"], Json::Null);
    let refused = rig.stage.try_put(Kind::Route, "chat", &alone, exists).await;
    assert_eq!(refused.unwrap_err().code(), "invalid_document");
    let before = rig.revision();
    rig.verb(Verb::Undo(Default::default())).await.unwrap();
    assert_eq!(rig.revision().0, before.0 + 1, "one transaction");
    assert_eq!(rig.traffic().await["weights"]["a"], 100.0);
}

#[tokio::test]
async fn an_undo_over_traffic_that_others_moved_is_refused_with_the_difference() {
    let mut rig = Rig::new().await;
    rig.start(plan()).await;
    rig.until(|state| state.phase == Phase::Succeeded).await;
    move_to(&rig, json!({"weights": {"a": 50, "b": 50}}))
        .await
        .unwrap();
    let refused = rig.verb(Verb::Undo(Default::default())).await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.faults()[0].code),
        ("in_use", "traffic_changed")
    );
}

#[tokio::test]
async fn a_target_without_weight_that_left_the_route_is_named_by_no_later_step() {
    let mut rig = Rig::new().await;
    let live = json!({"weights": {"a": 100, "c": 0}});
    let chat = route(&["a", "b", "c"], live);
    rig.stage.put(Kind::Route, "chat", &chat).await;
    rig.start(plan()).await;
    rig.until(|state| state.share > 0.0).await;
    let without = route(&["a", "b"], Json::Null);
    let exists = crate::change::Precondition::Exists;
    let put = rig.stage.try_put(Kind::Route, "chat", &without, exists);
    put.await.unwrap();
    rig.verb(Verb::Abort).await.unwrap();
    let weights = rig.traffic().await["weights"].clone();
    assert_eq!(weights, json!({"a": 100.0, "b": 0.0}));
}

#[tokio::test]
async fn a_file_takes_no_target_that_an_undo_needs() {
    let mut rig = Rig::new().await;
    rig.start(plan()).await;
    rig.until(|state| state.phase == Phase::Succeeded).await;
    let mut chat = route(&["b"], Json::Null);
    chat["name"] = json!("chat");
    let file = json!({"routes": [chat]});
    let (admin, asked) = (admin(), asked(Default::default()));
    let refused = apply(&rig.stage.plane, &admin, body(&file), false, asked).await;
    assert_eq!(refused.unwrap_err().code(), "invalid_document");
}

#[tokio::test]
async fn traffic_that_is_no_whole_is_refused_as_it_was_written() {
    let rig = exposed().await;
    let table = [
        (
            json!({"a": 54.0, "b": 4.999, "c": 41.001}),
            "b",
            "invalid_document",
        ),
        (
            json!({"a": 30.0, "b": 5.0, "c": 10.0}),
            "b",
            "invalid_document",
        ),
        (
            json!({"a": 65.0, "b": -5.0, "c": 40.0}),
            "b",
            "invalid_document",
        ),
        // Leaving the canary out is an abort, but not while the candidate gets more.
        (json!({"b": 100.0}), "", "rollout_active"),
    ];
    for (weights, canary, code) in table {
        let traffic = json!({"weights": weights, "canary": canary});
        let refused = move_to(&rig, traffic.clone()).await.unwrap_err();
        assert_eq!(refused.code(), code, "{traffic}");
        assert_eq!(rig.state().await.share, 10.0, "{traffic}");
    }
}

#[tokio::test]
async fn moving_the_others_while_lowering_leaves_a_history_that_is_true() {
    let mut rig = exposed().await;
    rig.tick().await;
    let lowered = json!({"weights": {"a": 35, "b": 5, "c": 60}, "canary": "b"});
    move_to(&rig, lowered).await.unwrap();
    rig.verb(Verb::Resume).await.unwrap();
    rig.tick().await;
    let aborted = json!({"weights": {"a": 50, "c": 50}});
    move_to(&rig, aborted).await.unwrap();
    assert_eq!(rig.state().await.phase, Phase::Aborted);
    super::story::assert_true(rig.records().await);
}

#[tokio::test]
async fn a_target_that_was_let_go_may_come_back_as_another() {
    let mut rig = exposed().await;
    rig.tick().await;
    let without = json!({"weights": {"a": 90, "b": 10}, "canary": "b"});
    move_to(&rig, without).await.unwrap();
    rig.tick().await;
    let mut chat = route(&["a", "b", "c"], Json::Null);
    chat["targets"][2]["model"] = json!("another");
    let exists = crate::change::Precondition::Exists;
    let put = rig.stage.try_put(Kind::Route, "chat", &chat, exists);
    put.await.unwrap();
    let again = json!({"weights": {"a": 70, "b": 10, "c": 20}, "canary": "b"});
    move_to(&rig, again).await.unwrap();
    rig.tick().await;
    assert_eq!(rig.state().await.guard, None);
}
