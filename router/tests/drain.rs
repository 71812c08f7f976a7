//! A router that is asked to stop: not ready at once, serving during the grace, every answer whole.

use std::{net::TcpStream, time::Duration};

use serin_router::settings::Drain;

use crate::{
    client::{Connection, Request},
    stage::{Setup, Stage, alone},
    wait::{eventually, now},
};

fn stage(script: &str, grace_ms: u64, limit_s: u64) -> Stage {
    let drain = Drain {
        grace: Duration::from_millis(grace_ms),
        limit: Duration::from_secs(limit_s),
    };
    let routes = alone("chat", "") + &alone("quick", "");
    Stage::with(
        script,
        Setup {
            routes,
            drain,
            ..Setup::default()
        },
    )
}

#[test]
fn streams_end_whole_and_probes_fail_at_once() {
    let slow = "{models: {chat: {tokensPerSecond: 20, answerTokens: 16}}}";
    let mut stage = stage(slow, 300, 60);
    let mut streams: Vec<_> = (0..20)
        .map(|_| stage.begin(&Request::stream("chat")))
        .collect();
    let running = || {
        stage
            .scrape()
            .sum("serin_streams_in_flight", &[("route", "chat")])
    };
    eventually("all run", running, |running| *running == 20.0);
    let mut kept = Connection::open(stage.traffic);
    assert_eq!(
        kept.ask(&Request::chat("quick"))
            .expect("an answer")
            .header("connection"),
        None
    );
    stage.stop();
    eventually(
        "not ready",
        || stage.admin("/readyz").status,
        |status| *status == 503,
    );
    assert_eq!(stage.ask(&Request::get("/ready")).status, 503);
    assert_eq!(stage.admin("/livez").status, 200);
    assert_eq!(stage.ask(&Request::get("/health")).status, 200);
    let answer = kept
        .ask(&Request::chat("quick"))
        .expect("served during the grace");
    assert_eq!(
        (answer.status, answer.header("connection")),
        (200, Some("close"))
    );
    assert!(kept.is_closed());
    for stream in &mut streams {
        let answer = stream.answer().expect("an answer");
        assert!(
            answer.whole && answer.text().ends_with("data: [DONE]\n\n"),
            "{}",
            answer.text()
        );
    }
    stage.ended().expect("a clean end");
    assert!(
        TcpStream::connect(stage.traffic).is_err(),
        "nobody listens any more"
    );
    let lines = stage.lines();
    let whole = |route: &str| {
        lines
            .iter()
            .filter(|line| line["route"] == route && line["outcome"] == "ok")
            .count()
    };
    assert_eq!((whole("chat"), whole("quick")), (20, 2), "no line is lost");
}

#[test]
fn idle_connections_hold_nothing_up() {
    let mut stage = stage("{}", 0, 60);
    let mut idle = Connection::open(stage.traffic);
    assert_eq!(
        idle.ask(&Request::chat("chat")).expect("an answer").status,
        200
    );
    let silent = Connection::open(stage.traffic);
    stage.stop();
    let began = now();
    stage.ended().expect("a clean end");
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    assert!(idle.is_closed());
    drop(silent);
}

#[test]
fn what_has_not_ended_at_the_limit_is_cut() {
    let mut stage = stage("{models: {chat: {stall: {afterEvents: 3}}}}", 0, 1);
    let mut stream = stage.begin(&Request::stream("chat"));
    assert_eq!(stream.head().expect("a head").status, 200);
    stage.stop();
    let began = now();
    stage.ended().expect("a clean end");
    let took = began.elapsed();
    assert!(
        (Duration::from_millis(900)..Duration::from_secs(5)).contains(&took),
        "{took:?}"
    );
    let (body, whole) = stream.rest().expect("what there was");
    assert!(!whole, "{}", String::from_utf8_lossy(&body));
    assert!(!String::from_utf8_lossy(&body).contains("[DONE]"));
}
