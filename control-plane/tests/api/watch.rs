//! Readers of changes get every revision once, in order, or are told that they cannot.

use std::{sync::Arc, thread};

use serde_json::{Value, json};
use serin_proto::token::Role;

use crate::{
    client::{Opened, Request, open},
    stage::{Stage, route},
    wait::eventually,
};

fn watch() -> Request {
    Request::get("/api/v1/watch")
}

fn resumed(id: &str) -> Request {
    watch().header("last-event-id", id)
}

/// From what a list shows: as a reader that wants to miss nothing does.
fn from_here(stage: &Stage) -> Opened {
    let list = stage.read("/api/v1/routes");
    let stream = stage.open(resumed(&list.revision().to_string()));
    assert_eq!(stream.status, 200);
    stream
}

/// Creates a route and tells its revision.
fn create(stage: &Stage, name: &str) -> String {
    let path = format!("/api/v1/routes/{name}");
    let put = stage.write(&path, &route(name, &json!({ "gpt": 100 })));
    put.revision().to_string()
}

fn next(stream: &mut Opened) -> (String, Vec<String>) {
    let (id, data) = stream.event().expect("the stream goes on");
    assert_eq!(data["revision"].to_string(), id, "{data}");
    let key = |change: &Value| change["key"].as_str().unwrap_or_default().to_owned();
    let changes = data["changes"].as_array().expect("a list");
    (id, changes.iter().map(key).collect())
}

#[test]
fn one_event_tells_one_revision() {
    let stage = Stage::with_chat();
    let mut stream = from_here(&stage);
    let a = create(&stage, "a");
    let file = json!({ "routes": [route("b", &json!({ "gpt": 100 })), route("c", &json!({ "gpt": 100 }))] });
    let applied = stage.admin(Request::post("/api/v1/apply", &file)).json();
    stage.admin(Request::delete("/api/v1/routes/a").if_match("*"));
    assert_eq!(next(&mut stream), (a, vec!["config/routes/a".to_owned()]));
    let both = vec!["config/routes/b".to_owned(), "config/routes/c".to_owned()];
    assert_eq!(next(&mut stream), (applied["revision"].to_string(), both));
    let (_, gone) = stream.event().unwrap();
    assert_eq!(
        gone["changes"],
        json!([{ "key": "config/routes/a", "document": null }])
    );
}

#[test]
fn a_reader_goes_on_where_it_was_on_any_replica() {
    let one = Stage::with_chat();
    let two = Stage::over(Arc::clone(&one.store));
    let mut stream = from_here(&one);
    let a = create(&one, "a");
    assert_eq!(next(&mut stream).0, a);
    drop(stream);
    let ids = ["b", "c", "d"].map(|name| create(&one, name));
    for replica in [&one, &two] {
        let mut stream = replica.open(resumed(&a));
        assert_eq!(stream.status, 200);
        assert_eq!(ids.each_ref().map(|_| next(&mut stream).0), ids);
    }
    // At once after a write: the other replica has not heard of it yet.
    for round in 0..20 {
        let newest = create(&one, &format!("r{round}"));
        let stream = two.open(resumed(&newest));
        assert_eq!(stream.status, 200, "it waits for its view");
    }
}

#[test]
fn a_reader_that_hops_between_replicas_under_writes_sees_each_change_once() {
    const CHANGES: u32 = 60;
    let one = Stage::with_chat();
    let two = Stage::over(Arc::clone(&one.store));
    let mut at = one.read("/api/v1/routes").revision().to_string();
    let write = |number: u32| {
        let stage = if number.is_multiple_of(2) { &one } else { &two };
        create(stage, &format!("r{number}"))
    };
    thread::scope(|scope| {
        let writer = scope.spawn(|| (0..CHANGES).map(write).collect::<Vec<String>>());
        let mut seen = Vec::new();
        for replica in [&one, &two].into_iter().cycle().take(CHANGES as usize / 3) {
            let mut stream = replica.open(resumed(&at));
            assert_eq!(stream.status, 200);
            seen.extend((0..3).map(|_| next(&mut stream).0));
            at.clone_from(&seen[seen.len() - 1]);
        }
        assert_eq!(seen, writer.join().expect("every write is accepted"));
    });
}

#[test]
fn a_reader_that_was_cut_before_its_first_event_knows_where_it_was() {
    let stage = Stage::with_chat();
    let mut stream = stage.open(watch());
    let lines = std::iter::from_fn(|| stream.text_line());
    let first: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    assert!(
        !first.iter().any(|line| line.starts_with("data")),
        "{first:?}"
    );
    let id = first.iter().find_map(|line| line.strip_prefix("id: "));
    drop(stream);
    let a = create(&stage, "a");
    let mut stream = stage.open(resumed(id.unwrap()));
    // What was written just before it came may be told to it too.
    while next(&mut stream).0 != a {}
}

#[test]
fn what_is_not_kept_any_more_or_will_not_come_is_410() {
    let stage = Stage::with_chat();
    let later = Stage::over(Arc::clone(&stage.store));
    let refused = later.as_role(Role::Viewer, resumed("1"));
    assert_eq!(refused.problem(), (410, "compacted".to_owned()));
    let refused = stage.as_role(Role::Viewer, resumed("1000000"));
    assert_eq!(refused.problem(), (410, "compacted".to_owned()));
}

#[test]
fn a_reader_that_falls_out_of_the_ring_is_cut_and_has_missed_nothing_before() {
    const BYTES: usize = 250_000;
    let stage = Stage::with_chat();
    let mut stream = from_here(&stage);
    let text = "x".repeat(BYTES);
    let mut wanted = Vec::new();
    // Three times what the ring holds, so that it does not all fit into sockets and the ring.
    for number in 0..200 {
        let value = json!({ "name": format!("r{number}"), "text": text }).to_string();
        let revision = stage.put_raw(&format!("config/routes/r{number}"), value.as_bytes());
        wanted.push(revision.to_string());
    }
    let mut seen = Vec::new();
    while let Some((id, _)) = stream.event() {
        seen.push(id);
    }
    assert!(seen.len() < wanted.len(), "it was cut");
    assert_eq!(seen, wanted[..seen.len()], "and until then missed nothing");
    let last = seen.last().cloned().unwrap_or_else(|| "1".to_owned());
    let refused = stage.as_role(Role::Viewer, resumed(&last));
    assert_eq!(refused.status, 410, "{}", refused.text());
}

#[test]
fn a_reader_whose_token_is_gone_is_told_nothing_more() {
    let stage = Stage::with_chat();
    let digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    stage.write(
        "/api/v1/tokens/ci",
        &json!({ "role": "viewer", "sha256": digest }),
    );
    let etag = stage.read("/api/v1/routes").etag();
    let mut stream = open(
        stage.address,
        &resumed(etag.trim_matches('"')).token("test"),
    );
    assert_eq!(stream.status, 200);
    let a = create(&stage, "a");
    assert_eq!(next(&mut stream).0, a);
    stage.admin(Request::delete("/api/v1/tokens/ci").if_match("*"));
    create(&stage, "b");
    assert_eq!(stream.event(), None);
}

#[test]
fn readers_are_counted_and_the_stream_ends_when_the_control_plane_stops() {
    let stage = Stage::with_chat();
    let mut stream = from_here(&stage);
    let count = |stage: &Stage, count: &str| {
        let promise = format!("{count} readers");
        let line = format!("serin_cp_watch_clients {count}\n");
        let metrics = || stage.ask(&Request::get("/metrics")).text();
        eventually(&promise, metrics, |text| text.contains(&line));
    };
    count(&stage, "1");
    let other = stage.open(watch());
    count(&stage, "2");
    drop(other);
    count(&stage, "1");
    stage.end();
    assert_eq!(stream.event(), None);
}

#[test]
fn digests_are_short_in_what_a_viewer_is_told() {
    let stage = Stage::with_chat();
    let mut stream = from_here(&stage);
    let digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let key = json!({ "secrets": [{ "sha256": digest }], "routes": ["*"] });
    stage.write("/api/v1/keys/app", &key);
    let (_, data) = stream.event().unwrap();
    let shown = &data["changes"][0]["document"]["secrets"][0]["sha256"];
    assert_eq!(shown, &digest[..8]);
}

#[test]
fn a_silent_stream_says_every_fifteen_seconds_that_it_lives() {
    let stage = Stage::with_chat();
    let mut stream = stage.open(watch());
    stream.patient();
    let mut comments = 0;
    while comments < 2 {
        let line = stream.text_line().expect("the stream goes on");
        comments += usize::from(line.starts_with(':'));
    }
}
