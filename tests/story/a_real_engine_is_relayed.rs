//! llama.cpp's server behind Serin: manners that no double of ours would think of.
//!
//! Two tiny models of random weights, one process each. At temperature 0 words, events and usage
//! through Serin equal those from the engine itself; how long it took, ids and the time of day
//! are left out of the comparison, for they differ between any two answers.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use serin_tests::client::{Answer, Connection, Piece, Request, ask};
use serin_tests::guest::Engine;
use serin_tests::serin::CALLER_SECRET;
use serin_tests::{Serin, World, sse};
use tokio::task::JoinSet;

use crate::documents::with_fallback;

const CHAT: &str = "/v1/chat/completions";
const CALLERS: usize = 16;

async fn stage(world: &World) -> (Engine, Engine, Serin) {
    let (one, two) = (Engine::start(world, 1).await, Engine::start(world, 2).await);
    let serin = Serin::up(world, &with_fallback(one.address, two.address)).await;
    (one, two, serin)
}

/// A question with a short, settled answer.
fn question(words: &str) -> Value {
    json!({
        "model": "chat",
        "messages": [{"role": "user", "content": words}],
        "max_tokens": 32,
        "temperature": 0,
    })
}

async fn directly(engine: SocketAddr, path: &str, body: &Value) -> Answer {
    ask(engine, &Request::post(path, body.to_string())).await
}

/// A value without what differs between any two answers.
fn settled(mut value: Value) -> Value {
    if let Some(fields) = value.as_object_mut() {
        for varying in ["timings", "id", "created"] {
            fields.remove(varying);
        }
    }
    value
}

fn settled_events(answer: &Answer) -> Vec<Value> {
    sse::event_values(&answer.body)
        .into_iter()
        .map(settled)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn words_events_and_usage_are_the_engines() {
    let world = World::new();
    let (engine, _other, serin) = stage(&world).await;
    let mut prompt = question("hello");
    prompt["prompt"] = json!("the cat");
    for (path, body) in [
        (CHAT, question("hello")),
        (CHAT, question("rain")),
        ("/v1/completions", prompt),
    ] {
        let expected = directly(engine.address, path, &body).await;
        let relayed = serin.ask(Request::post(path, body.to_string())).await;
        assert_eq!(relayed.status(), 200, "{}", relayed.text());
        assert_eq!(settled(relayed.json()), settled(expected.json()), "{path}");
        assert!(expected.json()["usage"]["completion_tokens"].as_u64() > Some(0));
        for options in [
            json!({"stream": true}),
            json!({"stream": true, "stream_options": {"include_usage": true}}),
        ] {
            let mut body = body.clone();
            body.as_object_mut()
                .expect("an object")
                .extend(options.as_object().expect("one").clone());
            let expected = directly(engine.address, path, &body).await;
            let relayed = serin.ask(Request::post(path, body.to_string())).await;
            assert_eq!(
                settled_events(&relayed),
                settled_events(&expected),
                "{path} {options}"
            );
            assert!(
                relayed.whole && sse::is_done(&relayed.body),
                "{}",
                relayed.text()
            );
            assert!(
                settled_events(&expected).len() > 10,
                "that is no stream: {}",
                expected.text()
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_is_counted_though_the_caller_did_not_ask_for_it() {
    let world = World::new();
    let (engine, _other, serin) = stage(&world).await;
    let mut body = question("hello");
    let usage = directly(engine.address, CHAT, &body).await.json()["usage"].clone();
    body["stream"] = json!(true);
    let answer = serin.ask(Request::post(CHAT, body.to_string())).await;
    assert!(!answer.text().contains("usage"), "{}", answer.text());
    let look = async || {
        let metrics = serin.metrics().await;
        ["input", "output"].map(|kind| {
            metrics.sum(
                "serin_tokens_total",
                &[("type", kind), ("source", "reported")],
            )
        })
    };
    let expected = ["prompt_tokens", "completion_tokens"]
        .map(|name| usage[name].as_f64().expect("it is counted"));
    let soon = Duration::from_secs(10);
    serin_tests::eventually("its usage is counted", soon, look, |seen| *seen == expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn its_context_size_error_passes_as_it_came() {
    let world = World::new();
    let (engine, _other, serin) = stage(&world).await;
    let body = question(&"q".repeat(12_000));
    let expected = directly(engine.address, CHAT, &body).await;
    assert_eq!(expected.status(), 400, "{}", expected.text());
    assert_eq!(
        expected.json()["error"]["type"],
        "exceed_context_size_error"
    );
    let relayed = serin.ask(Request::post(CHAT, body.to_string())).await;
    assert_eq!((relayed.status(), relayed.text()), (400, expected.text()));
    assert_eq!(
        relayed.header("x-serin-attempts"),
        Some("1"),
        "it must not try elsewhere"
    );
    assert_eq!(
        relayed.header("content-type"),
        expected.header("content-type")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_callers_at_once_each_get_their_own_answer() {
    let world = World::new();
    let (engine, _other, serin) = stage(&world).await;
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (engine, traffic) = (engine.address, serin.traffic);
        callers.spawn(async move {
            let mut body = question(&format!("caller number {caller}"));
            body["stream"] = json!(caller % 2 == 0);
            let request = Request::post(CHAT, body.to_string()).key(CALLER_SECRET);
            (body, engine, ask(traffic, &request).await)
        });
    }
    for (body, engine, relayed) in callers.join_all().await {
        let expected = directly(engine, CHAT, &body).await;
        assert_eq!(relayed.status(), 200, "{}", relayed.text());
        assert_eq!(
            settled_events(&relayed),
            settled_events(&expected),
            "{body}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_mid_stream_it_is_told_and_the_next_request_is_answered_elsewhere() {
    let world = World::new();
    let (mut engine, _other, serin) = stage(&world).await;
    let mut body = question("tell me a long story");
    body["max_tokens"] = json!(8_000);
    body["stream"] = json!(true);
    let request = Request::post(CHAT, body.to_string()).key(CALLER_SECRET);
    let mut connection = Connection::open(serin.traffic)
        .await
        .expect("somebody listens");
    connection
        .send(&request.bytes())
        .await
        .expect("it takes a request");
    let head = connection.head().await.expect("an answer");
    assert_eq!(
        (head.status, head.header("x-serin-target")),
        (200, Some("one"))
    );
    let Ok(Piece::Data(mut seen)) = connection.piece().await else {
        panic!("no first piece")
    };

    engine.process.kill().await;
    let (rest, whole) = connection.rest().await.expect("what is left can be read");
    seen.extend(rest);
    let events = sse::event_values(&seen);
    let last = events.last().expect("there were events");
    assert_eq!(last["error"]["code"], "upstream_error", "{last}");
    assert!(
        last["error"]["message"].is_string() && last["error"]["type"].is_string(),
        "{last}"
    );
    assert!(!whole, "a body that broke must not end cleanly");
    assert!(
        !events.contains(&json!("[DONE]")),
        "a broken stream must not say [DONE]"
    );
    let words = events
        .iter()
        .filter(|e| e["choices"][0]["delta"]["content"].is_string())
        .count();
    assert!(words > 0, "what came before the break was relayed");

    for _ in 0..3 {
        let next = serin
            .ask(Request::post(CHAT, question("and now?").to_string()))
            .await;
        assert_eq!(next.status(), 200, "{}", next.text());
        assert_eq!(next.header("x-serin-target"), Some("two"));
    }
    let metrics = serin.metrics().await;
    let broken = [("target", "one"), ("role", "first"), ("outcome", "error")];
    assert!(metrics.sum("serin_upstream_requests_total", &broken) >= 1.0);
}
