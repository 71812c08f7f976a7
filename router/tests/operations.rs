//! What an operation has: streams or none, a terminator or none.

use std::{
    panic,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use crate::{
    breaker::state,
    client::{Connection, Request, chat_body},
    stage::{Stage, alone},
};

#[test]
fn embeddings_have_no_streams_whatever_their_caller_wishes() {
    let stage = Stage::new("{}", &alone("chat", ""));
    let body = "{\"model\":\"chat\",\"stream\":true,\"input\":\"x\"}";
    let request = Request::post("/v1/embeddings", body);
    for _ in 0..10 {
        let answer = stage.ask(&request);
        let kind = answer.header("content-type");
        let told = (answer.status, answer.whole, kind);
        assert_eq!(told, (200, true, Some("application/json")), "{answer:?}");
    }
    assert_eq!(stage.received("chat")[0].text(), Some(body));
    stage.counts("chat", &["first a stable none=10"]);
    let scrape = stage.scrape();
    let labels = ["operation", "stream", "code"];
    let answered = scrape.told("serin_requests_total", "chat", &labels);
    assert_eq!(answered, ["embeddings false 200=10"]);
    assert_eq!(state(&stage, "chat", "a"), "closed");
    let moves = scrape.told("serin_breaker_transitions_total", "chat", &["to"]);
    assert_eq!(moves, [""; 0]);
}

/// Panics on threads of routers from now on: those in a task are caught by nobody who counts.
fn panics() -> Arc<Mutex<Vec<String>>> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (sink, before) = (Arc::clone(&seen), panic::take_hook());
    panic::set_hook(Box::new(move |panic| {
        let thread = thread::current();
        if thread.name().is_some_and(|name| name.starts_with("actix")) {
            let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
            sink.push(panic.to_string());
        }
        before(panic);
    }));
    seen
}

#[test]
fn a_stream_of_an_operation_without_terminator_ends_when_its_provider_ends_it() {
    let panics = panics();
    // The end comes together with the last event, or behind it.
    for script in ["{}", "{models: {chat: {tokensPerSecond: 400}}}"] {
        let stage = Stage::new(script, &alone("chat", ""));
        let body = chat_body("chat", ",\"stream\":true");
        let images = Request::post("/v1/images/generations", body);
        let mut connection = Connection::open(stage.traffic);
        for _ in 0..2 {
            let answer = connection.ask(&images).expect("an answer");
            assert_eq!((answer.status, answer.whole), (200, true), "{answer:?}");
            let last = answer.events().pop().expect("events");
            assert!(last.contains("response.completed"), "{last}");
        }
        let next = connection.ask(&Request::chat("chat")).expect("an answer");
        assert_eq!(next.status, 200);
        stage.counts("chat", &["first a stable none=3"]);
        assert_eq!(stage.scrape().sum("serin_panics_total", &[]), 0.0);
        let mut connections: Vec<u64> = stage
            .received("chat")
            .iter()
            .map(|seen| seen.connection)
            .collect();
        connections.dedup();
        assert_eq!(connections.len(), 1, "read to its end, it is used again");
    }
    let panics = panics.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(*panics, [""; 0]);
}
