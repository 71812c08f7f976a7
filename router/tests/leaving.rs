//! Callers who hang up: the provider's connection is closed within a second, the cancel is counted
//! once and charged to nobody, and nothing stays in flight.

use std::time::Duration;

use serin_simulator::{Ended, Phase, Received};

use crate::{
    client::{CHAT, Connection, Piece, Request},
    stage::{Stage, alone, pair},
    wait::{eventually, within},
};

const SECOND: Duration = Duration::from_secs(1);

/// Name of route and model, what the model does, plain or streamed, where the caller is when it
/// leaves, the status that is counted.
struct Row(
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row("plain",  "hang: true",                         "plain",  "head",        "499"),
    Row("stream", "hang: true",                         "stream", "head",        "499"),
    Row("body",   "cut: {afterBytes: 300, how: hold}",  "plain",  "first_token", "499"),
    Row("role",   "stall: {afterEvents: 1}",            "stream", "first_token", "499"),
    Row("midway", "stall: {afterEvents: 5}",            "stream", "stream",      "200"),
    Row("flood",  "endless: {what: events}",            "stream", "stream",      "200"),
];

fn stage() -> Stage {
    let models: Vec<String> = ROWS
        .iter()
        .map(|row| format!("{}: {{{}}}", row.0, row.1))
        .collect();
    let mut routes: String = ROWS.iter().map(|row| pair(row.0, "")).collect();
    routes.push_str(&alone("quick", ""));
    Stage::new(&format!("{{models: {{{}}}}}", models.join(", ")), &routes)
}

/// A request that has come as far as the row says.
fn waiting(stage: &Stage, row: &Row) -> Connection {
    let Row(name, _, kind, phase, _) = row;
    let request = if *kind == "stream" {
        Request::stream(name)
    } else {
        Request::chat(name)
    };
    let mut connection = stage.begin(&request);
    if *phase == "stream" {
        assert_eq!(connection.head().expect("a head").status, 200);
        let piece = connection.piece().expect("the first content");
        assert!(matches!(piece, Piece::Data(_)), "{name}: {piece:?}");
        return connection;
    }
    let arrived = || {
        stage
            .received(name)
            .iter()
            .any(|seen| seen.ended == Ended::Running)
    };
    eventually("the provider has the request", arrived, |arrived| *arrived);
    // Whatever the provider sent was sent before it answers these, and they go to both workers: so
    // the router has read it when they are answered.
    for _ in 0..4 {
        assert_eq!(stage.ask(&Request::chat("quick")).status, 200);
    }
    connection
}

fn noticed(stage: &Stage, row: &Row, times: f64) {
    let Row(name, _, kind, phase, code) = row;
    let gone = |seen: &Received| seen.ended == Ended::ClientGone;
    let look = || stage.received(name);
    let seen = within(SECOND, "the provider's connection is closed", look, |s| {
        s.iter().all(gone)
    });
    if matches!(*phase, "stream") {
        let last = seen.last().and_then(|seen| seen.phase);
        assert!(
            matches!(last, Some(Phase::Streaming | Phase::Stalled)),
            "{name}: {last:?}"
        );
    }
    stage.counts(name, &[&format!("first a stable client_gone={times}")]);
    let scrape = stage.scrape();
    let left = scrape.told("serin_client_disconnects_total", name, &["phase"]);
    assert_eq!(left, [format!("{phase}={times}")], "{name}");
    let streamed = (*kind == "stream").to_string();
    let answered = scrape.told("serin_requests_total", name, &["stream", "code"]);
    assert_eq!(answered, [format!("{streamed} {code}={times}")], "{name}");
    let canceled = [("route", *name), ("outcome", "canceled")];
    assert_eq!(
        scrape.sum("serin_upstream_requests_total", &canceled),
        times,
        "{name}"
    );
    let closed = [("route", *name), ("target", "a"), ("state", "closed")];
    assert_eq!(scrape.sum("serin_breaker_state", &closed), 1.0, "{name}");
    stage.at_rest(name);
}

#[test]
fn wherever_a_caller_hangs_up_the_provider_is_let_go_within_a_second() {
    let stage = stage();
    for row in ROWS {
        waiting(&stage, row).leave();
        noticed(&stage, row, 1.0);
        waiting(&stage, row).reset();
        noticed(&stage, row, 2.0);
    }
    assert!(
        stage.received("b").is_empty(),
        "nobody is asked for a caller who has left"
    );
    let lines = || {
        stage
            .lines()
            .into_iter()
            .filter(|line| line["outcome"] == "client_gone")
            .count()
    };
    eventually("each has its line", lines, |count| *count == 2 * ROWS.len());
}

#[test]
fn tokens_of_a_stream_that_was_left_are_estimated() {
    let stage = stage();
    waiting(&stage, &ROWS[4]).leave();
    let tokens = || {
        stage
            .scrape()
            .told("serin_tokens_total", "midway", &["type", "source"])
    };
    let seen = eventually("both kinds", tokens, |seen| seen.len() == 2);
    assert!(
        seen.iter().all(|line| line.contains("estimated")),
        "{seen:?}"
    );
    assert!(
        seen.iter().any(|line| line == "output estimated=5"),
        "an event each: {seen:?}"
    );
}

#[test]
fn a_caller_who_leaves_during_its_upload_is_told_to_no_provider() {
    let stage = Stage::new("{}", &alone("chat", ""));
    let whole = Request::post(CHAT, "x".repeat(10_000)).bytes();
    for (count, by_reset) in [(1.0, false), (2.0, true)] {
        let mut connection = Connection::open(stage.traffic);
        connection.send(&whole[..5_000]).expect("half of it");
        if by_reset {
            connection.reset()
        } else {
            connection.leave()
        }
        let left = || {
            stage
                .scrape()
                .sum("serin_client_disconnects_total", &[("phase", "upload")])
        };
        within(SECOND, "it is counted", left, |left| *left == count);
    }
    assert!(stage.simulator.journal().requests().is_empty());
    let code = [("route", "_unmatched"), ("code", "499")];
    assert_eq!(stage.scrape().sum("serin_requests_total", &code), 2.0);
}

#[test]
fn a_caller_who_leaves_during_a_backoff_is_not_retried_for() {
    let script = "{models: {chat: {errors: [{status: 503, retryAfter: '2'}]}}}";
    let stage = Stage::new(script, &alone("chat", ""));
    let connection = stage.begin(&Request::chat("chat"));
    let retries = || {
        stage
            .scrape()
            .sum_or_none("serin_retries_total", &[("route", "chat")])
    };
    eventually("it waits to try again", retries, |retries| *retries == 1.0);
    connection.leave();
    let left = || {
        stage
            .scrape()
            .sum("serin_client_disconnects_total", &[("phase", "backoff")])
    };
    within(SECOND, "the backoff ends with the caller", left, |left| {
        *left == 1.0
    });
    stage.at_rest("chat");
    assert_eq!(stage.received("chat").len(), 1);
    stage.counts("chat", &["first a stable http_5xx=1"]);
}

#[test]
fn a_hundred_callers_who_leave_cost_no_place_and_open_no_breaker() {
    let route =
        alone("plain", "").replacen("model: plain}", "model: plain, maxConcurrency: 100}", 1);
    let stage = Stage::new("{models: {plain: {hang: {times: 100}}}}", &route);
    let connections: Vec<_> = (0..100)
        .map(|_| stage.begin(&Request::chat("plain")))
        .collect();
    let count = || stage.received("plain").len();
    eventually("all are with the provider", count, |count| *count == 100);
    let in_flight = stage
        .scrape()
        .sum("serin_requests_in_flight", &[("route", "plain")]);
    assert_eq!(in_flight, 100.0);
    connections.into_iter().for_each(Connection::leave);
    stage.at_rest("plain");
    assert_eq!(
        stage.ask(&Request::chat("plain")).header("x-serin-target"),
        Some("a")
    );
    stage.counts(
        "plain",
        &["first a stable client_gone=100", "first a stable none=1"],
    );
}

#[test]
fn a_caller_who_stops_reading_stops_the_provider() {
    let stage = stage();
    let row = &ROWS[5];
    let connection = waiting(&stage, row);
    let chunk = [("phase", "chunk")];
    let chunks = || stage.scrape().sum("serin_overhead_seconds_count", &chunk);
    // Without a reader every buffer on the way fills, and then nothing moves any more.
    let (mut last, mut looks) = (0.0, 0);
    let stands_still = |now: &f64| {
        looks = if *now == last { looks + 1 } else { 0 };
        last = *now;
        looks >= 20
    };
    eventually("nothing is relayed any more", chunks, stands_still);
    connection.reset();
    noticed(&stage, row, 1.0);
    let sent = stage.received(row.0)[0].bytes_sent;
    assert!(sent < 64 << 20, "{sent} bytes: more than sockets hold");
}
