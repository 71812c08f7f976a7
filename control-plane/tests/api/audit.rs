//! The audit tells who changed what, from what to what, and why.

use serde_json::{Value, json};
use serin_proto::token::Role;

use crate::{
    client::Request,
    stage::{Stage, route},
};

const TRAFFIC: &str = "/api/v1/routes/chat/traffic";

fn shift(stage: &Stage, percent: u32, reason: &str) -> u64 {
    let weights = json!({ "gpt": 100 - percent, "claude": percent });
    let body = json!({ "weights": weights, "reason": reason });
    let put = Request::put(TRAFFIC, &body)
        .if_match("*")
        .header("x-request-id", &format!("shift-{percent}"));
    let put = stage.as_role(Role::Operator, put);
    assert_eq!(put.status, 200, "{}", put.text());
    put.revision()
}

fn items(stage: &Stage, query: &str) -> Vec<Value> {
    let page = stage.as_role(Role::Viewer, Request::get(&format!("/api/v1/audit{query}")));
    assert_eq!(page.status, 200, "{}", page.text());
    page.items()
}

#[test]
fn a_record_tells_who_what_before_after_and_why() {
    let stage = Stage::with_chat();
    let revision = shift(&stage, 10, "looks good");
    let record = &items(&stage, "?limit=1")[0];
    assert_eq!(
        record["actor"],
        json!({ "name": "operator", "role": "operator", "via": "rest" })
    );
    assert_eq!(record["verb"], "traffic");
    assert_eq!(record["key"], "config/routes/chat");
    assert_eq!(
        record["before"],
        json!({ "weights": { "gpt": 95.0, "claude": 5.0 } })
    );
    assert_eq!(
        record["after"],
        json!({ "weights": { "gpt": 90.0, "claude": 10.0 } })
    );
    assert_eq!(record["reason"], "looks good");
    assert_eq!(record["requestId"], "shift-10");
    assert_eq!(record["sourceIp"], "127.0.0.1");
    assert_eq!(record["revision"], revision);
}

#[test]
fn records_come_newest_first_in_pages_and_can_be_chosen() {
    let stage = Stage::with_chat();
    stage.write("/api/v1/routes/two", &route("two", &json!({ "gpt": 100 })));
    for percent in [10, 20, 30] {
        shift(&stage, percent, "");
    }
    let verbs = |items: &[Value]| -> Vec<String> {
        let word = |item: &Value| item["requestId"].as_str().unwrap_or_default().to_owned();
        items
            .iter()
            .map(word)
            .filter(|id| id.starts_with("shift"))
            .collect()
    };
    assert_eq!(
        verbs(&items(&stage, "")),
        ["shift-30", "shift-20", "shift-10"]
    );
    assert_eq!(items(&stage, "?actor=operator").len(), 3);
    assert_eq!(items(&stage, "?actor=admin").len(), 3);
    assert_eq!(items(&stage, "?route=two").len(), 1);
    assert_eq!(items(&stage, "?key=config/providers/sim").len(), 1);
    assert_eq!(items(&stage, "?actor=nobody").len(), 0);

    let (mut seen, mut query) = (Vec::new(), "?limit=4".to_owned());
    for _ in 0..2 {
        let page = stage.read(&format!("/api/v1/audit{query}")).json();
        seen.extend(page["items"].as_array().unwrap().clone());
        match page["nextPageToken"].as_str() {
            Some(token) => query = format!("?limit=4&pageToken={token}"),
            None => break,
        }
    }
    assert_eq!(seen, items(&stage, ""));
}

#[test]
fn a_refused_change_leaves_no_record_and_digests_are_short_in_those_of_others() {
    let stage = Stage::with_chat();
    let count = items(&stage, "").len();
    let put = Request::put(TRAFFIC, &json!({ "weights": { "gpt": 1 } })).if_match("*");
    assert_eq!(stage.admin(put).status, 422);
    assert_eq!(items(&stage, "").len(), count);
    let digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let key = json!({ "secrets": [{ "sha256": digest }], "routes": ["*"] });
    stage.write("/api/v1/keys/app", &key);
    stage.write(
        "/api/v1/tokens/ci",
        &json!({ "role": "viewer", "sha256": digest }),
    );
    let audit = stage.read("/api/v1/audit").text();
    assert!(
        audit.contains(&digest[..8]) && !audit.contains(digest),
        "{audit}"
    );
}
