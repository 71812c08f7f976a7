//! The documents that stories share.

use std::net::SocketAddr;

use serde_json::{Value, json};
use serin_tests::serin::{KEYS, provider};

/// Providers `a`, `b`, … at these addresses, the given `routes:` lines and the key `story`.
pub(crate) fn documents(providers: &[SocketAddr], routes: &str) -> String {
    let names = ["a", "b", "c", "d"];
    let lines: String = providers
        .iter()
        .zip(names)
        .map(|(address, name)| provider(name, *address))
        .collect();
    format!("providers:\n{lines}routes:\n{routes}{KEYS}")
}

/// Route `chat` with one target: model `model` at provider `a`.
pub(crate) fn one_target(at: SocketAddr) -> String {
    documents(
        &[at],
        "  - name: chat\n    \
           targets: [{name: one, provider: a, model: model}]\n    \
           traffic: {weights: {one: 100}}\n",
    )
}

/// Route `chat` with targets `one` at `a` and `two` at `b`: all to `one`, `two` as fallback.
pub(crate) fn with_fallback(one: SocketAddr, two: SocketAddr) -> String {
    documents(
        &[one, two],
        "  - name: chat\n    \
           targets:\n      \
             - {name: one, provider: a, model: model}\n      \
             - {name: two, provider: b, model: model}\n    \
           traffic: {weights: {one: 100, two: 0}, fallback: [two]}\n",
    )
}

/// A chat request to the route `chat`.
pub(crate) fn chat() -> Value {
    json!({"model": "chat", "messages": [{"role": "user", "content": "hello"}]})
}

/// The same, streamed.
pub(crate) fn streamed() -> Value {
    json!({"model": "chat", "messages": [{"role": "user", "content": "hello"}], "stream": true})
}
