//! A caller who hangs up costs nobody anything.
//!
//! Whatever was going on, the provider's connection is closed within a second, the router counts
//! the disconnect once, and no figure of what is in flight stays up.

use std::time::Duration;

use serde_json::{Value, json};
use serin_tests::client::{Connection, Piece, Request};
use serin_tests::serin::CALLER_SECRET;
use serin_tests::{Serin, Simulator, World, eventually};

use crate::documents::{chat, one_target, streamed};

const SECOND: Duration = Duration::from_secs(1);

/// Route `chat`, and `quick` beside it at the same provider.
fn with_a_quick_route(simulator: &Simulator) -> String {
    let quick = "  - name: quick\n    \
                   targets: [{name: one, provider: a, model: quick}]\n    \
                   traffic: {weights: {one: 100}}\n";
    one_target(simulator.address).replace("keys:\n", &format!("{quick}keys:\n"))
}

async fn begin(serin: &Serin, body: &Value) -> Connection {
    let request = Request::post("/v1/chat/completions", body.to_string()).key(CALLER_SECRET);
    let mut connection = Connection::open(serin.traffic)
        .await
        .expect("somebody listens");
    connection
        .send(&request.bytes())
        .await
        .expect("it takes a request");
    connection
}

/// Waits until the provider has got the request.
async fn arrived(simulator: &Simulator) {
    let look = async || simulator.journal().await.len();
    eventually("the provider got the request", 10 * SECOND, look, |count| {
        *count == 1
    })
    .await;
}

/// How the request to the model `model` stands at the provider.
async fn hung(simulator: &Simulator) -> String {
    let journal = simulator.journal().await;
    let found = journal.into_iter().find(|seen| seen.model == "model");
    found.expect("it has arrived").ended
}

/// The provider's side notices within a second that its reader is gone, and the router counts it.
async fn noticed(simulator: &Simulator, serin: &Serin, phase: &str) {
    let look = async || hung(simulator).await;
    let closed = "the provider's connection is closed";
    eventually(closed, SECOND, look, |ended| ended == "client_gone").await;
    let look = async || {
        let labels = [("route", "chat"), ("phase", phase)];
        serin
            .metrics()
            .await
            .sum("serin_client_disconnects_total", &labels)
    };
    eventually("the disconnect is counted", 10 * SECOND, look, |count| {
        *count == 1.0
    })
    .await;
    let metrics = serin.metrics().await;
    let first = [
        ("route", "chat"),
        ("role", "first"),
        ("outcome", "canceled"),
        ("reason", "client_gone"),
    ];
    assert_eq!(metrics.sum("serin_upstream_requests_total", &first), 1.0);
    assert_eq!(metrics.sum("serin_requests_in_flight", &[]), 0.0);
    assert_eq!(metrics.sum("serin_streams_in_flight", &[]), 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_first_token_of_a_stream() {
    let world = World::new();
    let simulator = Simulator::start(&world).await;
    simulator
        .script(&json!({"default": {"firstToken": "60s"}}))
        .await;
    let serin = Serin::up(&world, &one_target(simulator.address)).await;
    let connection = begin(&serin, &streamed()).await;
    arrived(&simulator).await;
    drop(connection);
    noticed(&simulator, &serin, "head").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_providers_head_and_before_its_first_token() {
    let world = World::new();
    let simulator = Simulator::start(&world).await;
    let models = json!({"model": {"firstToken": "60s", "earlyHead": true}});
    simulator.script(&json!({"models": models})).await;
    let serin = Serin::up(&world, &with_a_quick_route(&simulator)).await;
    let connection = begin(&serin, &streamed()).await;
    arrived(&simulator).await;
    // The head left at once. An answer on the same way round, asked for later, says it is here.
    let quick = json!({"model": "quick", "messages": []}).to_string();
    let barrier = serin
        .ask(Request::post("/v1/chat/completions", quick))
        .await;
    assert_eq!(barrier.status(), 200, "{}", barrier.text());
    drop(connection);
    noticed(&simulator, &serin, "first_token").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_waiting_for_a_whole_answer() {
    let world = World::new();
    let simulator = Simulator::start(&world).await;
    simulator
        .script(&json!({"default": {"firstToken": "60s"}}))
        .await;
    let serin = Serin::up(&world, &one_target(simulator.address)).await;
    let connection = begin(&serin, &chat()).await;
    arrived(&simulator).await;
    drop(connection);
    noticed(&simulator, &serin, "head").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_mid_stream() {
    let world = World::new();
    let simulator = Simulator::start(&world).await;
    let slowly = json!({"default": {"answerTokens": 600, "tokensPerSecond": 10.0}});
    simulator.script(&slowly).await;
    let serin = Serin::up(&world, &one_target(simulator.address)).await;
    let mut connection = begin(&serin, &streamed()).await;
    assert_eq!(connection.head().await.expect("an answer").status, 200);
    assert!(matches!(connection.piece().await, Ok(Piece::Data(_))));
    drop(connection);
    noticed(&simulator, &serin, "stream").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_stream_that_has_fallen_silent() {
    let world = World::new();
    let simulator = Simulator::start(&world).await;
    let silent = json!({"default": {"answerTokens": 9, "stall": {"afterEvents": 4}}});
    simulator.script(&silent).await;
    let serin = Serin::up(&world, &one_target(simulator.address)).await;
    let mut connection = begin(&serin, &streamed()).await;
    assert_eq!(connection.head().await.expect("an answer").status, 200);
    assert!(matches!(connection.piece().await, Ok(Piece::Data(_))));
    drop(connection);
    noticed(&simulator, &serin, "stream").await;
}
