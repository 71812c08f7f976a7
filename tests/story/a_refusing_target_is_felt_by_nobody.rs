//! The first target refuses connections: every request succeeds through the fallback.
//!
//! And the books are right: the failing target is charged under `role="first"` exactly once for
//! each request assigned to it, whether it was tried or its open breaker diverted the request.

use std::time::Duration;

use serin_tests::client::{Answer, Connection, Request};
use serin_tests::serin::CALLER_SECRET;
use serin_tests::{Serin, Simulator, World, eventually, free_address};
use tokio::task::JoinSet;

use crate::documents::{chat, with_fallback};

const CALLERS: usize = 20;
const EACH: usize = 50;
const ALL: f64 = 1_000.0;

async fn call(serin: &Serin) -> Vec<Answer> {
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let traffic = serin.traffic;
        callers.spawn(async move {
            let request =
                Request::post("/v1/chat/completions", chat().to_string()).key(CALLER_SECRET);
            let mut connection = Connection::open(traffic).await.expect("somebody listens");
            let mut answers = Vec::new();
            for _ in 0..EACH {
                answers.push(connection.exchange(&request).await.expect("an answer"));
            }
            answers
        });
    }
    callers.join_all().await.into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_of_a_thousand_succeed_and_each_is_charged_once() {
    let world = World::new();
    let simulator = Simulator::start(&world).await;
    let serin = Serin::up(&world, &with_fallback(free_address(), simulator.address)).await;

    let answers = call(&serin).await;
    assert_eq!(answers.len(), CALLERS * EACH);
    let mut tried = 0.0;
    for answer in &answers {
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert_eq!(answer.header("x-serin-target"), Some("two"));
        match answer.header("x-serin-attempts") {
            Some("2") => tried += 1.0,
            // One attempt: the breaker of the assigned target was open.
            attempts => assert_eq!(attempts, Some("1")),
        }
    }
    assert!(
        tried >= 5.0,
        "five failures open the breaker, but only {tried} were tried"
    );

    let upstream = "serin_upstream_requests_total";
    let look = async || serin.metrics().await.sum(upstream, &[("role", "fallback")]);
    let recorded = Duration::from_secs(10);
    eventually("each request is recorded", recorded, look, |sum| {
        *sum == ALL
    })
    .await;
    let metrics = serin.metrics().await;
    let of = |labels: &[(&str, &str)]| metrics.sum(upstream, labels);
    let first = ("role", "first");
    assert_eq!(of(&[first]), ALL, "role=first is counted once a request");
    assert_eq!(
        of(&[
            first,
            ("target", "one"),
            ("arm", "stable"),
            ("outcome", "error")
        ]),
        ALL
    );
    assert_eq!(of(&[first, ("reason", "connect")]), tried);
    assert_eq!(of(&[first, ("reason", "diverted_open")]), ALL - tried);
    let rescued = [
        ("role", "fallback"),
        ("target", "two"),
        ("outcome", "success"),
    ];
    assert_eq!(of(&rescued), ALL);
    assert_eq!(of(&[]), 2.0 * ALL, "nothing else is counted");
    let told = metrics.sum(
        "serin_requests_total",
        &[("route", "chat"), ("code", "200")],
    );
    assert_eq!(told, ALL);
    let from_one = [("from", "one"), ("to", "two")];
    assert_eq!(metrics.sum("serin_fallbacks_total", &from_one), ALL);
}
