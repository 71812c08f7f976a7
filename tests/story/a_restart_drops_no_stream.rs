//! SIGTERM: not ready at once, every running stream to its last byte, then exit 0.

use std::time::Duration;

use serde_json::json;
use serin_tests::client::{Connection, Piece, Request};
use serin_tests::serin::{CALLER_SECRET, answers};
use serin_tests::{Serin, Simulator, World, eventually, sse};
use tokio::task::JoinSet;

use crate::documents::{chat, one_target, streamed};

const STREAMS: usize = 20;
const TOKENS: usize = 60;

/// A stream that is under way: its head and first piece have been read.
async fn running(serin: &Serin) -> (Connection, Vec<u8>) {
    let request = Request::post("/v1/chat/completions", streamed().to_string()).key(CALLER_SECRET);
    let mut connection = Connection::open(serin.traffic)
        .await
        .expect("somebody listens");
    connection
        .send(&request.bytes())
        .await
        .expect("it takes a request");
    assert_eq!(connection.head().await.expect("an answer").status, 200);
    let Ok(Piece::Data(first)) = connection.piece().await else {
        panic!("no first piece")
    };
    (connection, first)
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_streams_end_whole_and_readiness_goes_at_once() {
    let world = World::new();
    let simulator = Simulator::start(&world).await;
    // Four seconds a stream: well past the grace of one second, when listening ends.
    simulator
        .script(&json!({"default": {"answerTokens": TOKENS, "tokensPerSecond": 15.0}}))
        .await;
    let mut serin = Serin::up(&world, &one_target(simulator.address)).await;
    assert_eq!(answers(serin.traffic, "/ready").await, Some(200));
    let mut streams = JoinSet::new();
    for _ in 0..STREAMS {
        let (mut connection, mut body) = running(&serin).await;
        streams.spawn(async move {
            let (rest, whole) = connection.rest().await.expect("the rest can be read");
            body.extend(rest);
            (body, whole)
        });
    }

    serin.process.terminate().await;
    let (admin, traffic) = (serin.admin, serin.traffic);
    let look = async || {
        (
            answers(traffic, "/ready").await,
            answers(admin, "/readyz").await,
        )
    };
    let at_once = Duration::from_millis(500);
    let both = (Some(503), Some(503));
    eventually("/ready and /readyz are 503", at_once, look, |seen| {
        *seen == both
    })
    .await;
    assert_eq!(
        answers(traffic, "/health").await,
        Some(200),
        "alive while it drains"
    );
    assert_eq!(
        answers(admin, "/livez").await,
        Some(200),
        "alive while it drains"
    );
    // Load balancers learn late: within the grace new requests are served as ever.
    let late = serin.ask(Request::post(
        "/v1/embeddings",
        json!({"model": "chat", "input": "x"}).to_string(),
    ));
    let late = late.await;
    assert_eq!(late.status(), 200, "{}", late.text());
    assert_eq!(late.header("connection"), Some("close"));

    while let Some(stream) = streams.join_next().await {
        let (body, whole) = stream.expect("a reader does not fail");
        assert!(
            whole,
            "a stream was cut: {}",
            String::from_utf8_lossy(&body)
        );
        assert!(sse::is_done(&body), "{}", String::from_utf8_lossy(&body));
        let contents = sse::event_values(&body);
        let contents = contents
            .iter()
            .filter(|e| e["choices"][0]["delta"]["content"].is_string());
        assert!(
            contents.count() >= TOKENS,
            "{}",
            String::from_utf8_lossy(&body)
        );
    }
    let status = serin.process.exit(Duration::from_secs(20)).await;
    assert_eq!(status.code(), Some(0), "{}", serin.process.printed());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_router_stops_after_its_grace() {
    let world = World::new();
    let simulator = Simulator::start(&world).await;
    let mut serin = Serin::up(&world, &one_target(simulator.address)).await;
    // A kept connection that is idle does not hold it up.
    let mut kept = Connection::open(serin.traffic)
        .await
        .expect("somebody listens");
    let request = Request::post("/v1/chat/completions", chat().to_string()).key(CALLER_SECRET);
    assert_eq!(
        kept.exchange(&request).await.expect("an answer").status(),
        200
    );
    serin.process.terminate().await;
    let status = serin.process.exit(Duration::from_secs(10)).await;
    assert_eq!(status.code(), Some(0), "{}", serin.process.printed());
}
