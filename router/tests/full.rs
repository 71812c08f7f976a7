//! Limits of what is tried: places at a target, retries and their budget.

use crate::{
    client::{Connection, Request},
    stage::{Stage, alone, pair},
    wait::eventually,
};

const STALLED: &str = "{models: {chat: {stall: {afterEvents: 3}}}}";

fn one_place(route: &str) -> String {
    route.replacen("model: chat}", "model: chat, maxConcurrency: 1}", 1)
}

/// One stream that keeps the only place of target `a`.
fn occupied(stage: &Stage) -> Connection {
    let mut connection = stage.begin(&Request::stream("chat"));
    assert_eq!(connection.head().expect("a head").status, 200);
    connection
}

#[test]
fn a_full_target_is_passed_over_until_it_has_a_place() {
    let stage = Stage::new(STALLED, &one_place(&pair("chat", "")));
    let connection = occupied(&stage);
    for _ in 0..3 {
        let answer = stage.ask(&Request::stream("chat"));
        let told = ["x-serin-target", "x-serin-attempts"].map(|name| answer.header(name));
        assert_eq!(told, [Some("b"), Some("1")], "{answer:?}");
    }
    connection.leave();
    stage.at_rest("chat");
    let next = occupied(&stage);
    assert_eq!(stage.received("chat").len(), 2, "the place is free again");
    next.leave();
    let counted = [
        "fallback b stable none=3",
        "first a stable client_gone=2",
        "first a stable diverted_full=3",
    ];
    stage.counts("chat", &counted);
}

#[test]
fn where_every_target_is_full_the_caller_may_come_back_in_a_second() {
    let stage = Stage::new(STALLED, &one_place(&alone("chat", ", whenAllOpen: reject")));
    let connection = occupied(&stage);
    let answer = stage.ask(&Request::chat("chat"));
    assert_eq!(
        (answer.status, &*answer.code()),
        (503, "overloaded"),
        "{answer:?}"
    );
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(
        answer.header("x-should-retry"),
        None,
        "another try is right"
    );
    connection.leave();
    stage.counts(
        "chat",
        &[
            "first a stable client_gone=1",
            "first a stable diverted_full=1",
        ],
    );
}

#[test]
fn a_refusal_is_tried_again_as_often_as_the_route_says() {
    let script = "{models: {chat: {errors: [{status: 503, times: 3}]}, \
                  b: {errors: [{status: 503}]}}}";
    let more = ", retry: {attempts: 3, backoff: 5ms, budget: 100}";
    let stage = Stage::new(script, &(alone("chat", more) + &alone("b", more)));
    let answer = stage.ask(&Request::chat("chat"));
    assert_eq!(
        (answer.status, answer.header("x-serin-attempts")),
        (200, Some("4"))
    );
    let counted = [
        "first a stable http_5xx=1",
        "retry a stable http_5xx=2",
        "retry a stable none=1",
    ];
    stage.counts("chat", &counted);
    let connections: Vec<u64> = stage
        .received("chat")
        .iter()
        .map(|seen| seen.connection)
        .collect();
    let mut fresh = connections.clone();
    fresh.dedup();
    assert_eq!(
        fresh.len(),
        4,
        "each over a connection of its own: {connections:?}"
    );
    let answer = stage.ask(&Request::chat("b"));
    assert_eq!(
        (answer.status, answer.header("x-serin-attempts")),
        (502, Some("4"))
    );
    assert_eq!(stage.received("b").len(), 4);
}

#[test]
fn retries_stay_within_their_budget_however_bad_the_day() {
    let script = "{models: {chat: {errors: [{status: 503}]}}}";
    let more = ", retry: {backoff: 1ms}, breaker: {consecutiveFailures: 1000000}";
    let stage = Stage::new(script, &alone("chat", more));
    for _ in 0..30 {
        assert_eq!(stage.ask(&Request::chat("chat")).status, 502);
    }
    // Three to start with, and a fifth of thirty.
    assert_eq!(stage.received("chat").len(), 30 + 9);
    stage.counts(
        "chat",
        &["first a stable http_5xx=30", "retry a stable http_5xx=9"],
    );
    let retries = || {
        stage
            .scrape()
            .told("serin_retries_total", "chat", &["target", "reason"])
    };
    eventually("they are counted", retries, |seen| {
        *seen == ["a http_5xx=9"]
    });
}

#[test]
fn a_full_target_is_no_last_resort_either() {
    let both = pair("chat", ", whenAllOpen: tryLeastBad").replace("model: b}", "model: chat}");
    let both = both.replace("model: chat}", "model: chat, maxConcurrency: 1}");
    let one = one_place(&alone("chat", ", whenAllOpen: tryLeastBad"));
    for (route, places) in [(one, 1), (both, 2)] {
        let stage = Stage::new(STALLED, &route);
        let running: Vec<_> = (0..places).map(|_| occupied(&stage)).collect();
        for request in [Request::chat("chat"), Request::stream("chat")] {
            let answer = stage.ask(&request);
            let told = (answer.status, &*answer.code());
            assert_eq!(told, (503, "overloaded"), "{answer:?}");
            assert_eq!(answer.header("retry-after"), Some("1"));
            assert_eq!(answer.header("x-should-retry"), None);
            assert_eq!(answer.header("x-serin-attempts"), Some("0"));
        }
        assert_eq!(
            stage.received("chat").len(),
            places,
            "no more than it takes"
        );
        running.into_iter().for_each(Connection::leave);
        stage.at_rest("chat");
        occupied(&stage).leave();
    }
}
