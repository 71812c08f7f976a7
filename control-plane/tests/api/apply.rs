//! Many documents at once: all or none, once, and live traffic is left alone.

use serde_json::{Value, json};
use serin_proto::token::Role;

use crate::{
    client::{Request, send_and_hang_up},
    stage::{Stage, chat, provider, route, secret},
    wait::eventually,
};

const APPLY: &str = "/api/v1/apply";

fn file() -> Value {
    json!({
        "reason": "first documents",
        "providers": [provider()],
        "routes": [chat()],
        "keys": [{ "name": "app", "routes": ["chat"], "tier": "small" }],
        "tiers": [{ "name": "small", "limits": { "requestsPerMinute": 60 } }],
    })
}

fn records(stage: &Stage) -> Vec<Value> {
    stage.read("/api/v1/audit").items()
}

#[test]
fn a_file_is_applied_in_one_change_with_one_record() {
    let stage = Stage::new();
    let applied = stage.admin(Request::post(APPLY, &file()));
    assert_eq!(applied.status, 200, "{}", applied.text());
    let body = applied.json();
    assert_eq!(body["changes"].as_array().map(Vec::len), Some(4), "{body}");
    let records = records(&stage);
    assert_eq!(records.len(), 1);
    assert_eq!(records[0]["id"], body["auditId"]);
    assert_eq!(records[0]["reason"], "first documents");
    assert_eq!(records[0]["revision"], body["revision"]);
    for path in ["providers/sim", "routes/chat", "keys/app", "tiers/small"] {
        let etag = stage.read(&format!("/api/v1/{path}")).etag();
        assert_eq!(etag, applied.etag(), "{path}: one revision");
    }
    let again = stage.admin(Request::post(APPLY, &file())).json();
    assert_eq!(again["changes"], json!([]), "nothing is left to change");
}

#[test]
fn a_file_may_be_yaml() {
    let stage = Stage::new();
    let yaml = "reason: from a file\n\
        providers:\n  - {name: sim, dialect: simulated, baseUrl: \"http://127.0.0.1:8070/v1\"}\n";
    let applied = stage.admin(Request::new("POST", APPLY).body("application/yaml", yaml));
    assert_eq!(applied.status, 200, "{}", applied.text());
    assert_eq!(stage.read("/api/v1/providers/sim").json(), provider());
}

#[test]
fn one_fault_refuses_all_and_every_fault_is_told() {
    let stage = Stage::new();
    let mut file = file();
    file["routes"][0]["traffic"]["weights"] = json!({ "gpt": 99 });
    file["keys"][0]["tier"] = json!("none");
    let refused = stage.admin(Request::post(APPLY, &file));
    assert_eq!(refused.problem(), (422, "invalid_document".to_owned()));
    let pointers: Vec<String> = refused.faults().into_iter().map(|(at, _)| at).collect();
    assert_eq!(
        pointers,
        ["/routes/0/traffic/weights", "/keys/0/tier"],
        "{}",
        refused.text()
    );
    assert_eq!(stage.read("/api/v1/providers").json()["items"], json!([]));
    assert!(records(&stage).is_empty());
}

#[test]
fn live_traffic_is_kept_unless_it_is_asked_for() {
    let stage = Stage::new();
    stage.admin(Request::post(APPLY, &file()));
    let mut other = file();
    other["routes"][0]["traffic"]["weights"] = json!({ "gpt": 50, "claude": 50 });
    other["routes"][0]["aliases"] = json!(["gpt-4"]);
    let weights = || stage.read("/api/v1/routes/chat/traffic").json()["weights"].clone();
    let kept = stage.admin(Request::post(APPLY, &other)).json();
    assert_eq!(kept["trafficKept"][0]["route"], "chat", "{kept}");
    assert_eq!(weights(), json!({ "gpt": 95.0, "claude": 5.0 }));
    assert_eq!(
        stage.read("/api/v1/routes/chat").json()["aliases"],
        json!(["gpt-4"])
    );
    let replaced = stage.admin(Request::post(&format!("{APPLY}?traffic=true"), &other));
    assert_eq!(replaced.status, 200, "{}", replaced.text());
    assert_eq!(weights(), json!({ "gpt": 50.0, "claude": 50.0 }));
}

#[test]
fn a_dry_run_tells_the_difference_and_writes_nothing() {
    let stage = Stage::new();
    let tried = stage.admin(Request::post(&format!("{APPLY}?dryRun=true"), &file()));
    assert_eq!(tried.status, 200, "{}", tried.text());
    assert_eq!(tried.json()["changes"].as_array().map(Vec::len), Some(4));
    assert_eq!(tried.json()["auditId"], Value::Null);
    assert_eq!(stage.read("/api/v1/routes").json()["items"], json!([]));
}

#[test]
fn more_than_a_hundred_documents_are_sent_in_parts() {
    let stage = Stage::with_chat();
    let routes: Vec<Value> = (0..101)
        .map(|number| route(&format!("r{number}"), &json!({ "gpt": 100 })))
        .collect();
    let refused = stage.admin(Request::post(APPLY, &json!({ "routes": routes })));
    assert_eq!(refused.problem(), (413, "document_too_large".to_owned()));
    let part = stage.admin(Request::post(APPLY, &json!({ "routes": routes[..100] })));
    assert_eq!(part.status, 200, "{}", part.text());
}

#[test]
fn a_request_that_is_sent_again_is_answered_again_and_done_once() {
    let stage = Stage::new();
    let post = |body: &Value, key: &str| {
        let request = Request::post(APPLY, body).header("idempotency-key", key);
        stage.admin(request)
    };
    let first = post(&file(), "k-1");
    assert_eq!(first.status, 200, "{}", first.text());
    let again = post(&file(), "k-1");
    assert_eq!((again.status, again.json()), (first.status, first.json()));
    assert_eq!(again.etag(), first.etag());
    assert_eq!(records(&stage).len(), 1);
    let mut other = file();
    other["reason"] = json!("something else");
    let refused = post(&other, "k-1");
    assert_eq!(
        refused.problem(),
        (422, "idempotency_key_reused".to_owned())
    );
    let elsewhere = Request::post(&format!("{APPLY}?traffic=true"), &file());
    let elsewhere = stage.admin(elsewhere.header("idempotency-key", "k-1"));
    assert_eq!(
        elsewhere.problem().0,
        422,
        "the URL is part of what was asked"
    );
    assert_eq!(records(&stage).len(), 1);
}

#[test]
fn what_was_begun_for_somebody_who_hung_up_is_done_once_and_can_be_asked_for() {
    let stage = Stage::new();
    let request = Request::post(APPLY, &file()).header("idempotency-key", "k-2");
    let sent = request.clone().token(secret(Role::Admin));
    send_and_hang_up(stage.address, &sent);
    eventually("it is done", || records(&stage).len(), |count| *count == 1);
    let asked = stage.admin(request);
    assert_eq!(asked.status, 200, "{}", asked.text());
    assert_eq!(asked.json()["auditId"], records(&stage)[0]["id"]);
    assert_eq!(asked.json()["changes"].as_array().map(Vec::len), Some(4));
    assert_eq!(records(&stage).len(), 1);
}

#[test]
fn a_store_is_adopted_with_a_reason_and_a_record() {
    let stage = Stage::with_chat();
    let path = "/api/v1/store/adopt";
    let adopted = stage.admin(Request::post(
        path,
        &json!({ "reason": "restored from Monday" }),
    ));
    assert_eq!(adopted.status, 200, "{}", adopted.text());
    let ulid = adopted.json()["ulid"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert_eq!(ulid.len(), 26, "{}", adopted.text());
    let record = &records(&stage)[0];
    assert_eq!(
        (&record["verb"], &record["reason"]),
        (&json!("adopt"), &json!("restored from Monday"))
    );
    let refused = stage.admin(Request::post(path, &json!({})));
    assert_eq!(
        refused.problem().0,
        422,
        "without a reason: {}",
        refused.text()
    );
    let operator = Request::post(path, &json!({ "reason": "x" }));
    assert_eq!(stage.as_role(Role::Operator, operator).problem().0, 403);
}

#[test]
fn an_outcome_that_the_store_did_not_tell_is_found_out() {
    let stage = Stage::new();
    stage.store.commit_but_say_unknown();
    let applied = stage.admin(Request::post(APPLY, &file()));
    assert_eq!(applied.status, 200, "{}", applied.text());
    assert_eq!(records(&stage).len(), 1);
    assert_eq!(records(&stage)[0]["id"], applied.json()["auditId"]);
}
