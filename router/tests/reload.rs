//! Documents change while requests run: nothing fails, and what is the same keeps its state.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    thread,
};

use serin_proto::Fault;
use serin_proto::unit::Revision;
use serin_store::watch::{Event, Reason};

use crate::{
    client::{Connection, Request},
    stage::{Stage, alone, pair},
    wait::eventually,
};

/// Route `chat` over `a` and `b`, and `c`, whose model fails, as a route of its own.
fn weights(a: u32) -> String {
    let b = 100 - a;
    format!(
        "  - {{name: chat, targets: [{{name: a, provider: sim, model: a}}, \
           {{name: b, provider: sim, model: b}}], traffic: {{weights: {{a: {a}, b: {b}}}}}}}\n{}",
        alone("broken", BROKEN)
    )
}

const BROKEN: &str = ", breaker: {openFor: 60s}, whenAllOpen: reject";
const SCRIPT: &str = "{models: {broken: {reset: true}}}";

fn is_open(stage: &Stage) -> bool {
    let of = [("route", "broken"), ("target", "a"), ("state", "open")];
    stage.scrape().sum("serin_breaker_state", &of) == 1.0
}

#[test]
fn two_hundred_changes_of_weights_under_load_fail_nothing_and_forget_nothing() {
    let stage = Stage::new(SCRIPT, &weights(50));
    for _ in 0..5 {
        assert_eq!(stage.ask(&Request::chat("broken")).status, 502);
    }
    eventually("the breaker is open", || is_open(&stage), |open| *open);
    let (done, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    let call = |request: Request| {
        let mut connection = Connection::open(stage.traffic);
        while !done.load(Relaxed) {
            let answer = connection.ask(&request).expect("an answer");
            assert!(answer.status == 200 && answer.whole, "{answer:?}");
            asked.fetch_add(1, Relaxed);
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| call(Request::chat("chat")));
        scope.spawn(|| call(Request::stream("chat")));
        for change in 1..=200 {
            let revision = stage.send(&weights(change % 101));
            // Each is awaited with requests in between, so that all are really served by.
            let before = asked.load(Relaxed);
            eventually(
                "requests go on",
                || asked.load(Relaxed),
                |now| *now > before + 1,
            );
            assert_eq!(revision, u64::from(change) + 1);
        }
        done.store(true, Relaxed);
    });
    let revision = || stage.scrape().sum("serin_config_revision", &[]);
    eventually("the last one serves", revision, |revision| {
        *revision == 201.0
    });
    assert!(is_open(&stage), "the breaker keeps its state");
    assert_eq!(stage.ask(&Request::chat("broken")).status, 503);
    assert_eq!(stage.simulator.journal().count("broken"), 5);
    let scrape = stage.scrape();
    assert_eq!(
        scrape.sum("serin_config_applies_total", &[("result", "ok")]),
        201.0
    );
    let first = [("route", "chat"), ("role", "first"), ("reason", "none")];
    let counted = || stage.scrape().sum("serin_upstream_requests_total", &first);
    eventually("all counted", counted, |count| {
        *count == asked.load(Relaxed) as f64
    });
    let weight = [("route", "chat"), ("target", "a")];
    assert_eq!(
        scrape.sum("serin_target_weight_ratio", &weight),
        0.99,
        "200 mod 101 percent"
    );
    stage.counts(
        "broken",
        &["first a stable diverted_open=1", "first a stable reset=5"],
    );
}

#[test]
fn another_model_is_another_target_with_a_state_of_its_own() {
    let stage = Stage::new(SCRIPT, &alone("broken", BROKEN));
    for _ in 0..5 {
        stage.ask(&Request::chat("broken"));
    }
    eventually("the breaker is open", || is_open(&stage), |open| *open);
    stage.apply(&alone("broken", BROKEN).replacen("model: broken", "model: fine", 1));
    assert_eq!(stage.ask(&Request::chat("broken")).status, 200);
    assert!(!is_open(&stage));
    stage.counts(
        "broken",
        &["first a stable none=1", "first a stable reset=5"],
    );
    stage.apply(&alone("broken", BROKEN));
    assert_eq!(
        stage.ask(&Request::chat("broken")).status,
        502,
        "back again, and forgotten"
    );
}

#[test]
fn a_removed_route_is_unknown_and_what_runs_on_it_ends_whole() {
    let script = "{models: {gone: {tokensPerSecond: 40, answerTokens: 16}}}";
    let stage = Stage::new(script, &(alone("gone", "") + &alone("chat", "")));
    let mut stream = stage.begin(&Request::stream("gone"));
    assert_eq!(stream.head().expect("a head").status, 200);
    stage.apply(&alone("chat", ""));
    let answer = stage.ask(&Request::chat("gone"));
    assert_eq!((answer.status, &*answer.code()), (404, "model_not_found"));
    let (body, whole) = stream.rest().expect("it goes on");
    assert!(whole && body.ends_with(b"data: [DONE]\n\n"));
    stage.counts("gone", &["first a stable none=1"]);
    let scrape = stage.scrape();
    let of = [("route", "gone"), ("target", "a")];
    assert_eq!(
        scrape.sum("serin_target_weight_ratio", &of),
        0.0,
        "told, but it gets nothing"
    );
    assert_eq!(
        scrape.sum("serin_requests_in_flight", &[("route", "gone")]),
        0.0
    );
    let dropped = scrape.sum("serin_actor_messages_dropped_total", &[]);
    assert_eq!(dropped, 0.0, "nobody speaks to actors that are gone");
}

#[test]
fn every_answer_names_the_revision_that_served_it() {
    let stage = Stage::new("{}", &alone("chat", ""));
    for expected in 2..=4_u64 {
        let route = pair("chat", &format!(", timeouts: {{idle: {expected}s}}"));
        assert_eq!(stage.apply(&route), expected);
        let answer = stage.ask(&Request::chat("chat"));
        assert_eq!(
            answer.header("x-serin-revision"),
            Some(&*expected.to_string())
        );
    }
}

#[test]
fn what_the_store_refuses_changes_nothing_and_is_told() {
    let stage = Stage::new("{}", &alone("chat", ""));
    let fault = Fault {
        file: None,
        line: None,
        column: None,
        pointer: "/routes/0".to_owned(),
        code: "made_up",
        message: "no good".to_owned(),
    };
    let gauge = |name| stage.scrape().sum(name, &[]);
    assert_eq!(gauge("serin_config_watch_up"), 1.0);
    let deeper = Fault {
        pointer: "/routes/0/traffic".to_owned(),
        ..fault.clone()
    };
    let other = Fault {
        pointer: "/keys/0".to_owned(),
        ..fault.clone()
    };
    stage.tell(Event::Refused(vec![fault, deeper, other]));
    let refused = || gauge("serin_config_rejected_documents");
    eventually("three faults in two documents", refused, |refused| {
        *refused == 2.0
    });
    let rejected = [("result", "rejected")];
    assert_eq!(
        stage.scrape().sum("serin_config_applies_total", &rejected),
        1.0
    );
    stage.tell(Event::Down(Reason::Io, "gone".to_owned()));
    eventually("down", || gauge("serin_config_watch_up"), |up| *up == 0.0);
    assert_eq!(
        stage.ask(&Request::chat("chat")).status,
        200,
        "the last good one serves"
    );
    stage.tell(Event::Progress(Revision(0)));
    eventually("up", || gauge("serin_config_watch_up"), |up| *up == 1.0);
    stage.apply(&alone("chat", ", timeouts: {idle: 9s}"));
    assert_eq!(gauge("serin_config_rejected_documents"), 0.0);
}

#[test]
fn a_refused_change_that_was_taken_back_is_no_longer_told() {
    let stage = Stage::new("{}", &alone("chat", ""));
    let fault = Fault {
        file: None,
        line: None,
        column: None,
        pointer: "/routes/0".to_owned(),
        code: "made_up",
        message: "no good".to_owned(),
    };
    let rejected = || stage.scrape().sum("serin_config_rejected_documents", &[]);
    for _ in 0..2 {
        stage.tell(Event::Refused(vec![fault.clone()]));
        eventually("it is told", rejected, |rejected| *rejected == 1.0);
        stage.tell(Event::Progress(Revision(0)));
        eventually("it is not any more", rejected, |rejected| *rejected == 0.0);
    }
    let scrape = stage.scrape();
    assert_eq!(scrape.sum("serin_config_revision", &[]), 1.0);
    assert_eq!(stage.ask(&Request::chat("chat")).status, 200);
}
