//! Traffic is moved with one call, by who may, from what they saw.

use serde_json::{Value, json};
use serin_proto::token::Role;

use crate::{
    client::Request,
    stage::{Stage, chat, route},
};

const TRAFFIC: &str = "/api/v1/routes/chat/traffic";

fn shifted() -> Value {
    json!({ "weights": { "gpt": 90, "claude": 10 }, "reason": "looks good" })
}

#[test]
fn one_put_moves_traffic_and_tells_the_new_etag() {
    let stage = Stage::with_chat();
    let before = stage.read(TRAFFIC);
    assert_eq!(
        before.json(),
        json!({ "weights": { "gpt": 95.0, "claude": 5.0 } })
    );
    let put = Request::put(TRAFFIC, &shifted()).if_match(&before.etag());
    let put = stage.as_role(Role::Operator, put);
    assert_eq!(put.status, 200, "{}", put.text());
    assert_eq!(
        put.json(),
        json!({ "weights": { "gpt": 90.0, "claude": 10.0 } })
    );
    assert_ne!(put.etag(), before.etag());
    let after = stage.read(TRAFFIC);
    assert_eq!((after.json(), after.etag()), (put.json(), put.etag()));
    let route = stage.read("/api/v1/routes/chat");
    assert_eq!(route.etag(), put.etag(), "spec and traffic are one value");
    assert_eq!(route.json()["traffic"], put.json());
}

#[test]
fn a_stale_etag_is_412_and_none_is_428() {
    let stage = Stage::with_chat();
    let first = stage.read(TRAFFIC).etag();
    let put = |request: Request| stage.as_role(Role::Operator, request);
    let done = put(Request::put(TRAFFIC, &shifted()).if_match(&first));
    let stale = put(Request::put(TRAFFIC, &shifted()).if_match(&first));
    assert_eq!(stale.problem(), (412, "stale".to_owned()));
    let now: u64 = done.etag().trim_matches('"').parse().unwrap();
    assert_eq!(
        stale.json()["revision"],
        now,
        "the refusal tells what it is now"
    );
    let missing = put(Request::put(TRAFFIC, &shifted()));
    assert_eq!(missing.problem(), (428, "precondition_required".to_owned()));
    let whatever = put(Request::put(TRAFFIC, &shifted()).if_match("*"));
    assert_eq!(whatever.status, 200, "{}", whatever.text());
    let weak = format!("W/{}", whatever.etag());
    let weak = put(Request::put(TRAFFIC, &shifted()).if_match(&weak));
    assert_eq!(
        weak.status,
        412,
        "a weak tag equals nothing: {}",
        weak.text()
    );
}

#[test]
fn weights_that_do_not_sum_to_100_are_422_at_their_place_in_the_body() {
    let stage = Stage::with_chat();
    let body = json!({ "weights": { "gpt": 90, "claude": 9 } });
    let put = Request::put(TRAFFIC, &body).if_match("*");
    let refused = stage.as_role(Role::Operator, put);
    assert_eq!(refused.problem(), (422, "invalid_document".to_owned()));
    let pointers: Vec<String> = refused.faults().into_iter().map(|(at, _)| at).collect();
    assert_eq!(pointers, ["/weights"], "{}", refused.text());
}

#[test]
fn a_viewer_reads_traffic_and_does_not_move_it() {
    let stage = Stage::with_chat();
    let read = stage.as_role(Role::Viewer, Request::get(TRAFFIC));
    assert_eq!(read.status, 200);
    let put = Request::put(TRAFFIC, &shifted()).if_match(&read.etag());
    let refused = stage.as_role(Role::Viewer, put);
    assert_eq!(refused.problem(), (403, "forbidden".to_owned()));
    assert_eq!(stage.read(TRAFFIC).etag(), read.etag());
}

#[test]
fn a_dry_run_judges_the_whole_result_and_writes_nothing() {
    let stage = Stage::with_chat();
    let etag = stage.read(TRAFFIC).etag();
    let path = format!("{TRAFFIC}?dryRun=true");
    let tried = stage.admin(Request::put(&path, &shifted()).if_match(&etag));
    assert_eq!(tried.status, 200, "{}", tried.text());
    let change = &tried.json()["changes"][0];
    assert_eq!(change["key"], "config/routes/chat");
    assert_eq!(
        change["before"],
        json!({ "weights": { "gpt": 95.0, "claude": 5.0 } })
    );
    assert_eq!(
        change["after"],
        json!({ "weights": { "gpt": 90.0, "claude": 10.0 } })
    );
    let wrong = json!({ "weights": { "gpt": 1 } });
    let refused = stage.admin(Request::put(&path, &wrong).if_match(&etag));
    assert_eq!(refused.status, 422);
    assert_eq!(stage.read(TRAFFIC).etag(), etag);
    let records = stage.read("/api/v1/audit").json()["items"]
        .as_array()
        .map(Vec::len);
    assert_eq!(records, Some(2), "of the provider and the route alone");
}

#[test]
fn a_route_written_without_traffic_keeps_the_live_one_and_cannot_begin_without() {
    let stage = Stage::with_chat();
    let mut spec = chat();
    spec.as_object_mut().unwrap().remove("traffic");
    spec["aliases"] = json!(["gpt-4"]);
    let put = Request::put("/api/v1/routes/chat", &spec).if_match("*");
    let put = stage.admin(put);
    assert_eq!(put.status, 200, "{}", put.text());
    assert_eq!(stage.read(TRAFFIC).json()["weights"]["gpt"], 95.0);
    spec["name"] = json!("other");
    let refused = stage.admin(Request::put("/api/v1/routes/other", &spec));
    assert_eq!(refused.problem().0, 422, "{}", refused.text());
}

#[test]
fn of_two_who_move_traffic_at_once_one_is_told_that_the_other_was_faster() {
    let stage = Stage::with_chat();
    stage.write(
        "/api/v1/routes/two",
        &route("two", &json!({ "gpt": 50, "claude": 50 })),
    );
    let etag = stage.read(TRAFFIC).etag();
    let put = |percent: u32| {
        let body = json!({ "weights": { "gpt": percent, "claude": 100 - percent } });
        let request = Request::put(TRAFFIC, &body).if_match(&etag);
        stage.as_role(Role::Operator, request).status
    };
    let mut statuses: Vec<u16> = std::thread::scope(|scope| {
        let racing: Vec<_> = (1..=8)
            .map(|percent| scope.spawn(move || put(percent)))
            .collect();
        racing.into_iter().map(|one| one.join().unwrap()).collect()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412, 412, 412, 412, 412, 412, 412]);
}
