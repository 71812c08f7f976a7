//! What cannot be is refused, with everything that is wrong and with what can be.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use serin_tests::client::Answer;
use serin_tests::scripted_prometheus::Traffic;

use crate::plans::{endless, plan, with};
use crate::stage::Stage;
use crate::story::Story;

fn pointers(answer: &Answer) -> BTreeSet<String> {
    let problem = answer.json();
    let errors = problem["errors"].as_array().cloned().unwrap_or_default();
    let pointers = errors.iter().filter_map(|fault| fault["pointer"].as_str());
    pointers.map(str::to_owned).collect()
}

/// The table of bad input.
pub(crate) async fn every_fault_of_a_plan_is_told_at_once() {
    let stage = Stage::shared().await;
    let story = Story::begin(&stage, "refused", Traffic::healthy(10.0)).await;
    let mut bad = plan(&[25.0, 5.0, 120.0]);
    bad["candidate"] = json!("nobody");
    bad["onFail"] = json!("shrug");
    bad["analysis"]["metrics"] = json!([
        {"name": "happiness"},
        {"name": "score", "query": "avg(x{route=\"{{ nothing }}\"})", "thresholdRange": {"min": 1}},
        {"name": "broken", "query": "avg(", "thresholdRange": {"min": 1}},
    ]);
    let answer = story.ask(&bad).await;
    assert_eq!(answer.status(), 422, "{}", answer.text());
    let told = pointers(&answer);
    let expected = [
        "/candidate",
        "/onFail",
        "/steps/1/weight",
        "/steps/2/weight",
        "/analysis/metrics/0/name",
        "/analysis/metrics/1/query",
        "/analysis/metrics/2/query",
    ];
    let missing: Vec<&str> = expected
        .into_iter()
        .filter(|at| !told.contains(*at))
        .collect();
    assert!(
        missing.is_empty(),
        "not told: {missing:?} of {}",
        answer.text()
    );

    let table: [(&str, Value, u16); 3] = [
        (
            "a field that is none",
            with(plan(&[5.0]), "/speed", json!("fast")),
            400,
        ),
        (
            "the stable target",
            with(plan(&[5.0]), "/candidate", json!("gpt")),
            409,
        ),
        ("no steps", with(plan(&[5.0]), "/steps", json!([])), 422),
    ];
    for (name, plan, status) in table {
        let answer = story.ask(&plan).await;
        assert_eq!(answer.status(), status, "{name}: {}", answer.text());
    }
    let nowhere = stage
        .api()
        .post("/routes/nowhere/rollouts", &plan(&[5.0]))
        .await;
    assert_eq!(nowhere.status(), 404, "{}", nowhere.text());
    let traffic = story.traffic().await;
    assert!(
        traffic["canary"].as_str().unwrap_or_default().is_empty(),
        "{traffic}"
    );
}

fn legal(answer: &Answer) -> BTreeSet<String> {
    let problem = answer.json();
    let legal = problem["legal"].as_array().cloned().unwrap_or_default();
    legal
        .iter()
        .filter_map(|verb| verb.as_str().map(str::to_owned))
        .collect()
}

/// A verb at the wrong time: 422 with the right ones; an old `expectedSeq`: 409 with the state.
pub(crate) async fn a_verb_that_is_not_legal_now_is_told_those_that_are() {
    let stage = Stage::shared().await;
    let mut story = Story::begin(&stage, "verbs", Traffic::healthy(100.0)).await;
    story.start(&endless(&[5.0, 25.0])).await;
    let seen = story
        .until("it analyses", 60, |seen| seen.analyses(0))
        .await;
    let refused = async |verb: &str, body: Value, possible: &[&str]| {
        let answer = story.verb(verb, &body).await;
        assert_eq!(answer.status(), 422, "{verb}: {}", answer.text());
        assert_eq!(
            answer.json()["code"],
            "illegal_verb",
            "{verb}: {}",
            answer.text()
        );
        let legal = legal(&answer);
        assert!(!legal.contains(verb), "{verb}: {legal:?}");
        for one in possible {
            assert!(
                legal.contains(*one),
                "{verb}: {one} is missing of {legal:?}"
            );
        }
    };
    for verb in ["resume", "undo", "retry", "promote"] {
        refused(verb, json!({}), &["pause", "abort", "skip-step"]).await;
    }
    let gate = story.gate("no-such-gate", true).await;
    assert!(matches!(gate.status(), 404 | 422), "{}", gate.text());
    let stale = story
        .verb("pause", &json!({"expectedSeq": seen.number("/seq") - 1}))
        .await;
    assert_eq!(stale.status(), 409, "{}", stale.text());
    assert_eq!(stale.json()["code"], "stale_seq");
    assert_eq!(
        stale.json()["state"]["rolloutId"],
        story.id.as_str(),
        "{}",
        stale.text()
    );

    story
        .does("pause", &json!({"expectedSeq": seen.number("/seq")}))
        .await;
    refused("undo", json!({}), &["resume", "abort"]).await;
    story.does("abort", &json!({"reason": "enough"})).await;
    for verb in ["pause", "resume", "promote", "abort", "undo", "skip-step"] {
        refused(verb, json!({}), &["retry"]).await;
    }
    let unknown = stage
        .api()
        .post("/rollouts/000000000000/abort", &json!({}))
        .await;
    assert_eq!(unknown.status(), 404, "{}", unknown.text());
    let viewer = stage
        .api()
        .with_token(serin_tests::control_plane::token("viewer"));
    let forbidden = viewer
        .post(&format!("/rollouts/{}/retry", story.id), &json!({}))
        .await;
    assert_eq!(forbidden.status(), 403, "{}", forbidden.text());
}
