//! Rollouts by their URLs: what starts one, what is told of it, and how it is refused.
//!
//! No router reports to these control planes, so a rollout stands in Pending until somebody asks it
//! for something.

use serde_json::{Value, json};
use serin_proto::token::Role;

use crate::{
    client::{Answer, Request},
    stage::{Stage, provider, route},
};

const START: &str = "/api/v1/routes/chat/rollouts";

/// A control plane whose route `chat` has all its traffic at `gpt`, and `claude` beside it.
fn stage() -> Stage {
    let stage = Stage::new();
    stage.write("/api/v1/providers/sim", &provider());
    stage.write(
        "/api/v1/routes/chat",
        &route("chat", &json!({ "gpt": 100 })),
    );
    stage
}

fn plan() -> Value {
    json!({
        "candidate": "claude",
        "steps": [{ "weight": 5, "gate": "go-on" }, { "weight": 50 }],
        "reason": "cheaper",
    })
}

fn started(stage: &Stage) -> String {
    let answer = stage.as_role(Role::Operator, Request::post(START, &plan()));
    assert_eq!(answer.status, 201, "{}", answer.text());
    id(&answer)
}

fn id(answer: &Answer) -> String {
    let state = answer.json();
    let id = state["rolloutId"].as_str().unwrap_or_default();
    assert_eq!(id.len(), 12, "{state}");
    id.to_owned()
}

fn ask(stage: &Stage, id: &str, verb: &str, body: &Value) -> Answer {
    let path = format!("/api/v1/rollouts/{id}/{verb}");
    stage.as_role(Role::Operator, Request::post(&path, body))
}

#[test]
fn a_rollout_is_told_by_its_id_with_its_records_and_its_evidence() {
    let stage = stage();
    let answer = stage.as_role(Role::Operator, Request::post(START, &plan()));
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert!(answer.header("etag").is_some());
    let (id, state) = (id(&answer), answer.json());
    assert_eq!(state["phase"], "Pending");
    assert_eq!(
        (&state["route"], &state["share"]),
        (&json!("chat"), &json!(0.0))
    );
    assert_eq!(state["candidate"]["target"], "claude");

    let again = stage.as_role(Role::Operator, Request::post(START, &plan()));
    assert_eq!((again.status, self::id(&again)), (200, id.clone()));

    let path = format!("/api/v1/rollouts/{id}");
    let read = stage.read(&path);
    assert_eq!(read.json()["rolloutId"], json!(id));
    let known = Request::get(&path).header("if-none-match", &read.etag());
    assert_eq!(stage.admin(known).status, 304);
    let history = stage.read(&format!("{path}/history")).json();
    let records = history["items"].as_array().expect("records");
    assert_eq!(records.len(), 1);
    assert_eq!(records[0]["transition"], "t1");
    assert_eq!(records[0]["actor"]["id"], "operator");
    assert_eq!(records[0]["reason"], "cheaper");
    let analysis = stage.read(&format!("{path}/analysis")).json();
    assert_eq!(analysis["shares"], json!([5.0, 50.0]));
    assert!(
        analysis["legal"]
            .as_array()
            .is_some_and(|verbs| verbs.contains(&json!("abort")))
    );

    let traffic = stage.read("/api/v1/routes/chat/traffic").json();
    assert_eq!(
        (&traffic["canary"], &traffic["rollout"]["id"]),
        (&json!("claude"), &json!(id))
    );
}

#[test]
fn rollouts_are_listed_by_phase_and_route() {
    let stage = stage();
    assert_eq!(stage.read("/api/v1/rollouts").json()["items"], json!([]));
    let id = started(&stage);
    let ids = |query: &str| -> Vec<String> {
        let page = stage.read(&format!("/api/v1/rollouts{query}")).json();
        let items = page["items"].as_array().expect("items").iter();
        items
            .map(|state| state["rolloutId"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    assert_eq!(ids(""), std::slice::from_ref(&id));
    assert_eq!(ids("?phase=Pending&route=chat&limit=1"), [id]);
    assert!(ids("?phase=Baking").is_empty());
    assert!(ids("?route=other").is_empty());
}

#[rustfmt::skip]
#[test]
fn a_plan_that_cannot_be_meant_is_refused_with_all_its_faults() {
    let stage = stage();
    let table = [
        (json!({ "candidate": "claude", "steps": [{ "weight": 5 }], "stpes": [] }), 400, "invalid_request", vec!["/stpes"]),
        (json!({ "candidate": "claude", "steps": [{ "weight": 5 }, { "weight": 3 }, { "weight": 101 }] }), 422, "invalid_document",
            vec!["/steps/1/weight", "/steps/2/weight"]),
        (json!({ "candidate": "nobody", "steps": [{ "weight": 5 }] }),              422, "invalid_document", vec!["/candidate"]),
        (json!({ "candidate": "claude", "steps": [{ "weight": 5 }], "route": "other" }), 422, "invalid_document", vec!["/route"]),
        (json!({ "candidate": "claude", "steps": [{ "weight": 5 }], "analysis": { "metrics": [{ "name": "speed" }] } }), 422, "invalid_document",
            vec!["/analysis/metrics/0/name"]),
        (json!({ "candidate": "gpt", "steps": [{ "weight": 5 }] }),                 409, "candidate_is_stable", vec![]),
    ];
    for (plan, status, code, pointers) in table {
        let answer = stage.as_role(Role::Operator, Request::post(START, &plan));
        assert_eq!(answer.problem(), (status, code.to_owned()), "{plan}: {}", answer.text());
        let problem = answer.json();
        let told: Vec<&str> = problem["errors"].as_array().into_iter().flatten()
            .filter_map(|fault| fault["pointer"].as_str()).collect();
        for pointer in pointers {
            assert!(told.contains(&pointer), "{pointer} is not in {told:?}");
        }
    }
    assert_eq!(stage.read("/api/v1/rollouts").json()["items"], json!([]));
}

#[test]
fn a_dry_run_tells_the_plan_and_writes_nothing() {
    let stage = stage();
    let path = format!("{START}?dryRun=true");
    let answer = stage.as_role(Role::Operator, Request::post(&path, &plan()));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.json()["planned"].is_object(), "{}", answer.text());
    assert_eq!(stage.read("/api/v1/rollouts").json()["items"], json!([]));
    let traffic = stage.read("/api/v1/routes/chat/traffic").json();
    assert_eq!(traffic["canary"], Value::Null);
}

#[test]
fn a_verb_that_comes_too_late_or_is_not_legal_tells_how_to_go_on() {
    let stage = stage();
    let id = started(&stage);
    let stale = ask(&stage, &id, "abort", &json!({ "expectedSeq": 7 }));
    assert_eq!(
        stale.problem(),
        (409, "stale_seq".to_owned()),
        "{}",
        stale.text()
    );
    assert_eq!(stale.json()["state"]["phase"], "Pending");
    assert_eq!(stale.json()["seq"], "1");

    let illegal = ask(&stage, &id, "resume", &json!({}));
    assert_eq!(
        illegal.problem(),
        (422, "illegal_verb".to_owned()),
        "{}",
        illegal.text()
    );
    assert!(
        illegal.json()["legal"]
            .as_array()
            .is_some_and(|legal| legal.contains(&json!("abort")))
    );

    // Stale comes before illegal.
    let both = ask(&stage, &id, "resume", &json!({ "expectedSeq": "7" }));
    assert_eq!(both.problem(), (409, "stale_seq".to_owned()));
    let unknown = ask(&stage, "000000000000", "abort", &json!({}));
    assert_eq!(unknown.problem(), (404, "not_found".to_owned()));
    let path = format!("/api/v1/rollouts/{id}/abort");
    let viewer = stage.as_role(Role::Viewer, Request::post(&path, &json!({})));
    assert_eq!(viewer.problem(), (403, "forbidden".to_owned()));
}

#[test]
fn an_abort_gives_the_traffic_back_and_a_retry_begins_anew() {
    let stage = stage();
    let id = started(&stage);
    let body = json!({ "reason": "not today", "expectedSeq": 1 });
    let aborted = ask(&stage, &id, "abort", &body);
    assert_eq!(aborted.status, 200, "{}", aborted.text());
    assert_eq!(aborted.json()["phase"], "Aborted");
    assert!(aborted.header("etag").is_some());
    let traffic = stage.read("/api/v1/routes/chat/traffic").json();
    assert_eq!(traffic["canary"], Value::Null);
    assert_eq!(traffic["rollout"], Value::Null);

    let retried = ask(&stage, &id, "retry", &json!({}));
    assert_eq!(retried.status, 200, "{}", retried.text());
    assert_eq!(retried.json()["phase"], "Pending");
    let anew = self::id(&retried);
    assert_ne!(anew, id);
    // The old one is told from its records.
    let old = stage.read(&format!("/api/v1/rollouts/{id}")).json();
    assert_eq!(
        (&old["phase"], &old["rolloutId"]),
        (&json!("Aborted"), &json!(id))
    );
    let records = stage.read(&format!("/api/v1/rollouts/{id}/history")).json();
    let seqs: Vec<&Value> = records["items"]
        .as_array()
        .expect("records")
        .iter()
        .map(|r| &r["seq"])
        .collect();
    assert_eq!(seqs, ["1", "2"]);
    // And asked for nothing any more.
    let late = ask(&stage, &id, "pause", &json!({}));
    assert_eq!(late.problem(), (422, "illegal_verb".to_owned()));
}

#[test]
fn the_same_key_does_a_verb_once_and_answers_alike() {
    let stage = stage();
    let start = || Request::post(START, &plan()).header("idempotency-key", "k1");
    let first = stage.admin(start());
    let second = stage.admin(start());
    assert_eq!((first.status, id(&first)), (201, id(&second)));
    assert_eq!(first.json(), second.json());
    let id = id(&first);
    let path = format!("/api/v1/rollouts/{id}/abort");
    let abort = || Request::post(&path, &json!({})).header("idempotency-key", "k2");
    let first = stage.admin(abort());
    let second = stage.admin(abort());
    assert_eq!(
        (first.status, second.status),
        (200, 200),
        "{}",
        second.text()
    );
    assert_eq!(first.json(), second.json());
    let other = Request::post(&path, &json!({ "reason": "x" })).header("idempotency-key", "k2");
    let other = stage.admin(other).problem();
    assert_eq!(other, (422, "idempotency_key_reused".to_owned()));
}

#[test]
fn a_gate_that_the_plan_names_is_opened_and_closed() {
    let stage = stage();
    let id = started(&stage);
    let set = |gate: &str, body: &Value| {
        let path = format!("/api/v1/rollouts/{id}/gates/{gate}");
        stage.as_role(Role::Operator, Request::put(&path, body))
    };
    let opened = set("go-on", &json!({ "open": true, "reason": "seen" }));
    assert_eq!(opened.status, 200, "{}", opened.text());
    assert_eq!(opened.json()["gates"]["go-on"]["open"], true);
    let closed = set("go-on", &json!({ "open": false }));
    assert_eq!(closed.json()["gates"]["go-on"]["open"], false);
    let unknown = set("other", &json!({ "open": true }));
    assert!([404, 422].contains(&unknown.status), "{}", unknown.text());
}

#[test]
fn whoever_moves_the_candidate_up_by_hand_is_told_of_the_rollout() {
    let stage = stage();
    let id = started(&stage);
    let body = json!({ "weights": { "gpt": 90, "claude": 10 }, "canary": "claude" });
    let put = Request::put("/api/v1/routes/chat/traffic", &body).if_match("*");
    let refused = stage.as_role(Role::Operator, put);
    assert_eq!(
        refused.problem(),
        (409, "rollout_active".to_owned()),
        "{}",
        refused.text()
    );
    assert_eq!(refused.json()["rolloutId"], json!(id));
    assert!(refused.json()["legal"].is_array());
}
