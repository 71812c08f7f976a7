//! Each way to fail before the first content: with another target, and without one.
//!
//! With another target nobody notices but the metrics: role `first` is charged once to the target
//! that was assigned, the rescue is counted as `fallback`. Without one the caller gets the status of
//! the contract, and the same target is tried again only where that cannot cost twice.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpStream},
};

use serin_simulator::Ended;
use socket2::{Domain, Socket, Type};

use crate::{
    client::{Connection, Request},
    failures::{
        ANSWERS, Row, STATUSES,
        Told::{Ours, Theirs},
        WIRES,
    },
    scrape::Scrape,
    stage::{Setup, Stage, alone, pair},
    wait::{eventually, now},
};

type Route = fn(&str, &str) -> String;

/// A check of one row; it returns what must have been counted for it, as [`counted`] tells it.
type Check = fn(&Stage, &Row) -> Vec<String>;

fn request(row: &Row) -> Request {
    if row.stream {
        Request::stream(row.name)
    } else {
        Request::chat(row.name)
    }
}

/// One stage for all rows: each is a route and a model of its own.
fn stage(rows: &[Row], route: Route) -> Stage {
    let model = |row: &Row| format!("{}: {{{}}}", row.name, row.script);
    let models: Vec<String> = rows.iter().map(model).collect();
    let of = |row: &Row| {
        let limits = match row.reason {
            "timeout_first_token" => ", timeouts: {firstToken: 150ms, answer: 150ms}",
            "timeout_idle" => ", timeouts: {idle: 150ms}",
            _ => "",
        };
        let text = route(row.name, &format!(", retry: {{backoff: 10ms}}{limits}"));
        let provider = if row.is_gone() {
            "provider: gone"
        } else {
            "provider: sim"
        };
        text.replacen("provider: sim", provider, 1)
    };
    let routes: String = rows.iter().map(of).collect();
    Stage::new(&format!("{{models: {{{}}}}}", models.join(", ")), &routes)
}

fn all(rows: &[Row], route: Route, check: Check) {
    let stage = stage(rows, route);
    let expected: Vec<_> = rows
        .iter()
        .map(|row| (row.name, check(&stage, row)))
        .collect();
    let miscounted = || {
        let scrape = stage.scrape();
        let told = expected
            .iter()
            .map(|(name, lines)| (counted(&scrape, name), lines));
        told.filter(|(seen, lines)| seen != *lines)
            .collect::<Vec<_>>()
    };
    eventually(
        "each row is counted as it must be (seen, expected)",
        miscounted,
        Vec::is_empty,
    );
    let running = || stage.simulator.journal().running();
    eventually(
        "nothing is left running at the provider",
        running,
        |running| *running == 0,
    );
}

/// Attempts, moves to another target and retries of one route.
fn counted(scrape: &Scrape, name: &str) -> Vec<String> {
    let moves = scrape.told("serin_fallbacks_total", name, &["from", "to", "reason"]);
    let retries = scrape.told("serin_retries_total", name, &["target", "reason"]);
    let moves = moves.into_iter().map(|line| format!("moved {line}"));
    let retries = retries.into_iter().map(|line| format!("again {line}"));
    scrape
        .attempts(name)
        .into_iter()
        .chain(moves)
        .chain(retries)
        .collect()
}

fn rescued(stage: &Stage, row: &Row) -> Vec<String> {
    let before = stage.received("b").len();
    let answer = stage.ask(&request(row));
    let served = stage.received("b").len() - before;
    let context = format!("{row:?}: {answer:?}");
    let first = format!("first a stable {}=1", row.reason);
    if let Theirs(status) = row.told {
        assert_eq!((answer.status, served), (status, 0), "{context}");
        assert_eq!(answer.header("x-serin-attempts"), Some("1"), "{context}");
        return vec![first];
    }
    assert_eq!(
        (answer.status, answer.whole, served),
        (200, true, 1),
        "{context}"
    );
    let told = ["x-serin-target", "x-serin-arm", "x-serin-attempts"].map(|h| answer.header(h));
    assert_eq!(told, [Some("b"), Some("stable"), Some("2")], "{context}");
    if row.stream {
        let text = answer.text();
        let once = |what: &str| text.matches(what).count() == 1;
        assert!(
            once("\"role\":\"assistant\"") && once("[DONE]"),
            "one start, one end: {context}"
        );
    }
    let calls = usize::from(!row.is_gone());
    assert_eq!(
        stage.received(row.name).len(),
        calls,
        "never the same target again: {context}"
    );
    vec![
        "fallback b stable none=1".to_owned(),
        first,
        format!("moved a b {}=1", row.reason),
    ]
}

fn told(stage: &Stage, row: &Row) -> Vec<String> {
    let answer = stage.ask(&request(row));
    let context = format!("{row:?}: {answer:?}");
    assert_eq!(
        answer.header("x-serin-target"),
        None,
        "nobody answered: {context}"
    );
    let tries = match row.told {
        Theirs(status) => {
            let told = (answer.status, answer.header("x-should-retry"));
            assert_eq!(told, (status, None), "{context}");
            let mut direct = Connection::begin(stage.simulator.addr(), &request(row));
            let direct = direct.answer().expect("the simulator answers");
            assert_eq!(answer.body, direct.body, "as it came: {context}");
            assert_eq!(
                answer.header("content-type"),
                direct.header("content-type"),
                "{context}"
            );
            1
        }
        Ours(status, code, calls) => {
            assert_eq!(
                (answer.status, &*answer.code()),
                (status, code),
                "{context}"
            );
            assert_eq!(answer.header("x-should-retry"), Some("false"), "{context}");
            let insides = ["127.0.0.1", "sim", "gone", "/v1"];
            let leaks = insides.iter().any(|word| answer.text().contains(word));
            assert!(!leaks, "tells of our insides: {context}");
            assert_eq!(stage.received(row.name).len(), calls, "{context}");
            if row.is_gone() { 2 } else { calls }
        }
    };
    assert_eq!(
        answer.header("x-serin-attempts"),
        Some(&*tries.to_string()),
        "{context}"
    );
    let reason = row.reason;
    let mut lines = vec![format!("first a stable {reason}=1")];
    if tries == 2 {
        lines.push(format!("retry a stable {reason}=1"));
        lines.push(format!("again a {reason}=1"));
    }
    lines
}

#[test]
fn another_target_answers_whatever_status_the_first_one_gave_unless_the_caller_is_at_fault() {
    all(STATUSES, pair, rescued);
}

#[test]
fn another_target_answers_wherever_the_connection_of_the_first_one_ended() {
    all(WIRES, pair, rescued);
}

#[test]
fn another_target_answers_when_the_answer_of_the_first_one_is_none() {
    all(ANSWERS, pair, rescued);
}

#[test]
fn without_another_target_each_status_has_its_answer_and_only_refusals_are_tried_again() {
    all(STATUSES, alone, told);
}

#[test]
fn without_another_target_only_what_was_never_sent_is_tried_again() {
    all(WIRES, alone, told);
}

#[test]
fn without_another_target_an_answer_that_is_none_is_a_502() {
    all(ANSWERS, alone, told);
}

#[test]
fn the_callers_wait_is_the_least_that_a_limited_target_named() {
    let script = "{models: {chat: {errors: [{status: 429, retryAfter: '9'}]}, \
                  b: {errors: [{status: 429, retryAfter: '3'}]}}}";
    let stage = Stage::new(script, &pair("chat", ""));
    let answer = stage.ask(&Request::chat("chat"));
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (429, Some("3")),
        "{answer:?}"
    );
    assert_eq!(answer.header("x-serin-attempts"), Some("2"));
    stage.counts(
        "chat",
        &["fallback b stable http_429=1", "first a stable http_429=1"],
    );
}

#[test]
fn every_target_is_tried_once_in_the_order_of_the_fallback() {
    let targets: Vec<String> = ["a", "b", "c", "d"]
        .map(|t| format!("{{name: {t}, provider: sim, model: {t}}}"))
        .into();
    let routes = format!(
        "  - {{name: chat, targets: [{}], traffic: {{weights: {{b: 100}}, fallback: [d, b, a, c]}}}}\n",
        targets.join(", ")
    );
    let script = "{models: {a: {}, b: {reset: true}, c: {}, d: {errors: [{status: 500}]}}}";
    let stage = Stage::new(script, &routes);
    let answer = stage.ask(&Request::chat("chat"));
    assert_eq!(answer.header("x-serin-target"), Some("a"));
    let order: Vec<_> = stage
        .simulator
        .journal()
        .requests()
        .into_iter()
        .filter_map(|seen| seen.model)
        .collect();
    assert_eq!(order, ["b", "d", "a"]);
    let edges = || {
        stage
            .scrape()
            .told("serin_fallbacks_total", "chat", &["from", "to", "reason"])
    };
    eventually("both moves are counted", edges, |seen| {
        *seen == ["b d reset=1", "d a http_5xx=1"]
    });
}

#[test]
fn the_deadline_is_over_all_attempts() {
    let script = "{models: {chat: {hang: true}, b: {hang: true}}}";
    let limits = ", timeouts: {firstToken: 200ms, answer: 200ms, total: 300ms}";
    let stage = Stage::new(script, &pair("chat", limits));
    for request in [Request::chat("chat"), Request::stream("chat")] {
        let began = now();
        let answer = stage.ask(&request);
        let took_ms = began.elapsed().as_millis();
        assert_eq!(
            (answer.status, &*answer.code()),
            (504, "upstream_timeout"),
            "{answer:?}"
        );
        assert!((300..1_500).contains(&took_ms), "{took_ms} ms");
    }
    let counted = [
        "fallback b stable timeout_total=2",
        "first a stable timeout_first_token=2",
    ];
    stage.counts("chat", &counted);
    let gone = || {
        stage
            .simulator
            .journal()
            .requests()
            .iter()
            .all(|r| r.ended == Ended::ClientGone)
    };
    eventually(
        "all connections of the providers are closed",
        gone,
        |gone| *gone,
    );
}

#[test]
fn connections_that_carried_a_whole_answer_are_used_again() {
    let stage = Stage::new(
        "{models: {chat: {}, odd: {wrongLength: {by: -5}}}}",
        &alone("chat", ""),
    );
    let mut connection = Connection::open(stage.traffic);
    for _ in 0..10 {
        assert_eq!(
            connection
                .ask(&Request::chat("chat"))
                .expect("an answer")
                .status,
            200
        );
        assert!(
            connection
                .ask(&Request::stream("chat"))
                .expect("an answer")
                .whole
        );
    }
    let mut by_connection = BTreeMap::new();
    for seen in stage.received("chat") {
        *by_connection.entry(seen.connection).or_insert(0) += 1;
    }
    assert_eq!(
        by_connection.into_values().collect::<Vec<i32>>(),
        [20],
        "one for all"
    );
}

#[test]
fn a_provider_that_takes_no_connection_costs_its_connect_limit_and_no_more() {
    // A full backlog: the kernel drops what else wants to connect.
    let full = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    full.bind(&any.into()).expect("port 0 is never taken");
    full.listen(0).expect("a socket");
    let address = full
        .local_addr()
        .ok()
        .and_then(|address| address.as_socket());
    let address = address.expect("an IPv4 address");
    let _waiting = TcpStream::connect(address).expect("the one that fits");
    let provider = format!(
        "  - {{name: full, dialect: openai, baseUrl: \"http://{address}/v1\", timeouts: {{connect: 200ms}}}}\n"
    );
    let routes = [pair("chat", ""), alone("only", "")]
        .concat()
        .replace("a, provider: sim", "a, provider: full");
    let stage = Stage::with(
        "{}",
        Setup {
            routes,
            providers: provider,
            ..Setup::default()
        },
    );
    let began = now();
    assert_eq!(
        stage.ask(&Request::chat("chat")).header("x-serin-target"),
        Some("b")
    );
    let took_ms = began.elapsed().as_millis();
    assert!((200..1_500).contains(&took_ms), "{took_ms} ms");
    let answer = stage.ask(&Request::chat("only"));
    assert_eq!(
        (answer.status, answer.header("x-serin-attempts")),
        (502, Some("1"))
    );
    stage.counts(
        "chat",
        &[
            "fallback b stable none=1",
            "first a stable timeout_connect=1",
        ],
    );
    stage.counts("only", &["first a stable timeout_connect=1"]);
}
