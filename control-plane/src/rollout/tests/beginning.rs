//! How a rollout begins, or why it does not.

use serin_proto::key::Kind;

use super::*;
use crate::{
    change::IdempotencyKey,
    rollout::show,
    secret::Digest,
    stage::{actor, told},
};

#[tokio::test]
async fn a_plan_that_cannot_be_is_refused_with_all_its_faults_at_once() {
    let with = |change: &dyn Fn(&mut Json)| {
        let mut plan = plan();
        change(&mut plan);
        plan
    };
    // The plan, the code of its refusal, a fault's place.
    let table = [
        (
            with(&|plan| plan["candidate"] = json!("a")),
            "candidate_is_stable",
            "",
        ),
        (
            with(&|plan| plan["candidate"] = json!("z")),
            "invalid_document",
            "/candidate",
        ),
        (
            with(&|plan| plan["steps"][1]["weight"] = json!(5)),
            "invalid_document",
            "/steps/1/weight",
        ),
        (
            with(&|plan| plan["steps"][1]["weight"] = json!(101)),
            "invalid_document",
            "/steps/1/weight",
        ),
        (
            with(&|plan| {
                plan["analysis"]["metrics"][0] =
                    json!({"name": "q", "query": "up", "thresholdRange": {"min": 1}})
            }),
            "invalid_document",
            "/analysis/metrics/0/query",
        ),
        (
            with(&|plan| plan["wieght"] = json!(1)),
            "invalid_request",
            "/wieght",
        ),
        (
            with(&|plan| plan["route"] = json!("other")),
            "invalid_document",
            "/route",
        ),
    ];
    let rig = Rig::new().await;
    for (plan, code, place) in table {
        let refused = rig.try_start(plan.clone()).await.unwrap_err();
        assert_eq!(refused.code(), code, "{plan}: {refused}");
        let faults = told(&refused);
        let is_told = place.is_empty() || faults.iter().any(|(_, at)| *at == place);
        assert!(is_told, "{plan}: {faults:?}");
    }
    assert_eq!(rig.stage.stored("rollouts/chat/state").await, None);
}

#[tokio::test]
async fn without_a_source_of_samples_nothing_starts_and_the_way_out_is_told() {
    let stage = Stage::new().await.with_chat().await;
    let asked = asked(Default::default());
    let refused = start(&stage.plane, &admin(), asked, "chat", body(&plan()))
        .await
        .unwrap_err();
    assert_eq!(told(&refused), [("no_metrics_source", "/analysis")]);
    assert!(refused.to_string().contains("--prometheus"), "{refused}");
}

#[tokio::test]
async fn who_may_not_is_refused_before_anything_else_is_said() {
    let rig = Rig::new().await;
    let viewer = actor(serin_proto::token::Role::Viewer);
    let plane = &rig.stage.plane;
    let none = || asked(Default::default());
    let started = start(plane, &viewer, none(), "none", body(&json!({}))).await;
    assert_eq!(started.unwrap_err().code(), "forbidden");
    let missing = start(plane, &admin(), none(), "none", body(&plan())).await;
    assert_eq!(missing.unwrap_err().code(), "not_found");
    let asks = (Verb::Abort, Some(7));
    let unknown = verb(plane, &admin(), none(), "ffffffffffff", asks).await;
    assert_eq!(unknown.unwrap_err().code(), "not_found");
}

#[tokio::test]
async fn an_identical_start_does_nothing_and_another_candidate_takes_the_place() {
    let mut rig = Rig::new().await;
    let three = crate::stage::route(&["a", "b", "c"], json!({"weights": {"a": 100}}));
    rig.stage.put(Kind::Route, "chat", &three).await;
    let first = rig.start(plan()).await;
    rig.until(|state| state.share > 0.0).await;
    let revision = rig.revision();
    let again = rig.start(plan()).await;
    assert_eq!((again.created, again.audit), (false, None));
    assert_eq!(rig.revision(), revision, "nothing was written");

    let before = rig.state().await;
    let mut other = plan();
    other["candidate"] = json!("c");
    let second = rig.start(other).await;
    assert!(second.created);
    assert_ne!(second.state["rolloutId"], first.state["rolloutId"]);
    assert_eq!(rig.revision().0, revision.0 + 1, "one transaction");
    let state = rig.state().await;
    assert_eq!((state.seq, state.share), (before.seq + 2, 0.0));
    assert_ne!(state.salt, before.salt);
    assert_eq!(rig.traffic().await["canary"], "c");

    let id = first.state["rolloutId"].as_str().unwrap();
    let old = show::rollout(&rig.stage.plane, &admin(), id).await.unwrap();
    assert_eq!(old.json["phase"], "Superseded");
    let (plane, asks) = (&rig.stage.plane, (Verb::Abort, None));
    let refused = verb(plane, &admin(), asked(Default::default()), id, asks).await;
    assert_eq!(refused.unwrap_err().code(), "illegal_verb");
}

#[tokio::test]
async fn a_dry_run_says_what_would_come_and_writes_nothing() {
    let rig = Rig::new().await;
    let revision = rig.revision();
    let mut dry = asked(Default::default());
    dry.dry_run = true;
    let told = start(&rig.stage.plane, &admin(), dry, "chat", body(&plan()))
        .await
        .unwrap();
    assert_eq!(rig.revision(), revision);
    let planned = told.planned.unwrap();
    assert_eq!(planned["plan"]["leastDurationMs"], 6_000, "{planned}");
    assert_eq!(planned["present"]["perSecond"], 200.0, "{planned}");
    assert_eq!(
        planned["forecast"]["steps"].as_array().map(Vec::len),
        Some(2),
        "{planned}"
    );
    assert_eq!((told.created, told.audit), (false, None));
}

#[tokio::test]
async fn a_request_that_is_sent_again_is_answered_again() {
    let rig = Rig::new().await;
    let keyed = |key: &str| {
        let mut asked = asked(Default::default());
        asked.idempotency = Some(IdempotencyKey {
            sha256: Digest::of(key.as_bytes()),
            body_sha256: Digest::of(key.as_bytes()),
        });
        asked
    };
    let plane = &rig.stage.plane;
    let first = start(plane, &admin(), keyed("1"), "chat", body(&plan()))
        .await
        .unwrap();
    let again = start(plane, &admin(), keyed("1"), "chat", body(&plan()))
        .await
        .unwrap();
    assert_eq!(first, again);
    let id = rig.state().await.rollout_id;
    let admin = admin();
    let abort = || verb(plane, &admin, keyed("2"), &id, (Verb::Abort, Some(1)));
    let first = abort().await.unwrap();
    let revision = rig.revision();
    assert_eq!(abort().await.unwrap(), first);
    assert_eq!(rig.revision(), revision, "one effect");
}

#[tokio::test]
async fn rollouts_are_listed_by_route_and_phase_and_told_with_their_records() {
    let rig = Rig::new().await;
    let started = rig.start(plan()).await;
    let id = started.state["rolloutId"].as_str().unwrap();
    let plane = &rig.stage.plane;
    let part = crate::read::Part {
        limit: 10,
        page_token: None,
    };
    let of = |phase: &str, route: &str| show::Filter {
        phase: Some(phase.to_owned()).filter(|phase| !phase.is_empty()),
        route: Some(route.to_owned()).filter(|route| !route.is_empty()),
    };
    for (phase, route, count) in [
        ("", "", 1),
        ("Pending", "chat", 1),
        ("Failed", "", 0),
        ("", "x", 0),
    ] {
        let filter = of(phase, route);
        let listed = show::rollouts(plane, &admin(), &filter, &part)
            .await
            .unwrap();
        assert_eq!(listed.items.len(), count, "{filter:?}");
    }
    let shown = show::rollout(plane, &admin(), id).await.unwrap();
    assert_eq!(shown.json["phase"], "Pending");
    let history = show::history(plane, &admin(), id, (0, usize::MAX))
        .await
        .unwrap();
    assert_eq!(
        (history.len(), &history[0]["transition"]),
        (1, &json!("t1"))
    );
    let analysis = show::analysis(plane, &admin(), id).await.unwrap().json;
    assert_eq!(
        (&analysis["steps"], &analysis["phase"]),
        (&json!(2), &json!("Pending"))
    );
}

#[tokio::test]
async fn a_query_that_the_source_cannot_read_is_told_with_the_other_faults() {
    let rig = Rig::new().await;
    rig.take_queries();
    let query = |promql: &str| json!({"name": "score", "query": promql, "thresholdRange": {"min": 1}, "mode": "observe"});
    let mut bad = plan();
    bad["candidate"] = json!("z");
    bad["analysis"]["metrics"] = json!([{"name": "errors", "share": 1.0}, query("avg(")]);
    let refused = rig.try_start(bad.clone()).await.unwrap_err();
    let faults = told(&refused);
    for fault in [
        ("unknown_target", "/candidate"),
        ("bad_query", "/analysis/metrics/1/query"),
    ] {
        assert!(faults.contains(&fault), "{faults:?}");
    }
    bad["candidate"] = json!("b");
    bad["analysis"]["metrics"][1] = query("avg(up)");
    assert!(rig.start(bad).await.created);
}
