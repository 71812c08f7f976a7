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

/// A chat request to a route.
pub(crate) fn chat_with(route: &str) -> Value {
    json!({"model": route, "messages": [{"role": "user", "content": "hello"}]})
}

/// Documents as they are stored, and as the API takes them.
pub(crate) mod stored {
    use std::net::SocketAddr;

    use serde_json::{Value, json};
    use serin_tests::Api;
    use serin_tests::serin::CALLER_SHA256;

    /// A provider at an address.
    pub(crate) fn provider(name: &str, base_url: &str) -> Value {
        json!({"name": name, "dialect": "openai", "baseUrl": base_url})
    }

    /// A route with targets `one` (all of the traffic) and `two` at one provider. The model tells
    /// the provider's journal which target it was.
    pub(crate) fn route(name: &str, provider: &str) -> Value {
        json!({
            "name": name,
            "targets": [
                {"name": "one", "provider": provider, "model": "one"},
                {"name": "two", "provider": provider, "model": "two"},
            ],
            "traffic": {"weights": {"one": 100, "two": 0}},
        })
    }

    /// The caller's key, which may use every route.
    pub(crate) fn key() -> Value {
        json!({"name": "story", "secrets": [{"sha256": CALLER_SHA256}], "routes": ["*"]})
    }

    /// Providers `a` and `b` at one address, and the caller's key.
    pub(crate) async fn begin(api: &Api, at: SocketAddr) {
        let base_url = format!("http://{at}/v1");
        for name in ["a", "b"] {
            api.set(&format!("/providers/{name}"), &provider(name, &base_url))
                .await;
        }
        api.set("/keys/story", &key()).await;
    }
}
