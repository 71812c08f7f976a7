//! What serves and what is rejected, told in words: `stories` row by row, `properties` of all.
//!
//! A store is played by [`Play`]: each put or delete is one revision. What came out is told as
//! lines: `routes/chat@3` serves its revision 3; `routes/chat@5 weights_sum, serves 3`.

mod bad_writers;
mod claims;
mod judging;
mod keeping;
mod properties;
mod stories;

use serde_json::{Value as Json, json};

use super::*;

/// A store's documents as somebody writes them.
struct Play {
    admission: Admission,
    revision: u64,
}

impl Play {
    fn new() -> Self {
        let networks = Networks::parse(&["127.0.0.0/8"]).unwrap();
        Self {
            admission: Admission::new(networks),
            revision: 0,
        }
    }

    /// With a provider `p` at revision 1 and a route `chat` on it at revision 2, both admitted.
    fn begun() -> Self {
        let mut play = Self::new();
        play.put("providers/p", provider("p"));
        play.put("routes/chat", route("chat", "p"));
        assert_eq!(play.told(), ["providers/p@1", "routes/chat@2"]);
        play
    }

    fn put(&mut self, key: &str, json: Json) {
        self.put_bytes(key, json.to_string().as_bytes());
    }

    fn put_bytes(&mut self, key: &str, value: &[u8]) {
        self.revision += 1;
        let key = format!("config/{key}");
        let revision = Revision(self.revision);
        let before = self.admission.stored(&key);
        let create = before.map_or(revision, |stored| stored.create_revision);
        self.admission.put(&key, value, create, revision);
    }

    fn delete(&mut self, key: &str) {
        self.revision += 1;
        self.admission.delete(&format!("config/{key}"));
    }

    /// What is admitted, as lines: what serves, then what is rejected.
    fn told(&mut self) -> Vec<String> {
        lines(&self.admission.admit())
    }

    fn message(&mut self, key: &str) -> String {
        let key = format!("config/{key}");
        let rejected = self.admission.admit().rejected;
        let found = rejected.into_iter().find(|rejected| rejected.key == key);
        found.map(|rejected| rejected.message).unwrap_or_default()
    }
}

fn lines(admitted: &Admitted) -> Vec<String> {
    let short = |key: &str| key.replace("config/", "");
    let serves = admitted
        .documents
        .iter()
        .map(|(key, serving)| format!("{}@{}", short(&key.to_string()), serving.mod_revision));
    let rejected = admitted.rejected.iter().map(|rejected| {
        let older = rejected.serving_revision;
        let older = older.map_or(String::new(), |revision| format!(", serves {revision}"));
        format!(
            "{}@{} {}{older}",
            short(&rejected.key),
            rejected.mod_revision,
            rejected.code
        )
    });
    serves.chain(rejected).collect()
}

fn provider(name: &str) -> Json {
    json!({"name": name, "dialect": "openai", "baseUrl": "https://a.example/v1"})
}

fn route(name: &str, provider: &str) -> Json {
    json!({
        "name": name,
        "targets": [{"name": "t", "provider": provider, "model": "m"}],
        "traffic": {"weights": {"t": 100}},
    })
}

fn aliased(name: &str, aliases: &[&str]) -> Json {
    let mut route = route(name, "p");
    route["aliases"] = json!(aliases);
    route
}

fn tier(name: &str) -> Json {
    json!({"name": name, "limits": {"concurrency": 5}})
}

/// A key whose secret is the digest made of `digit`.
fn key(name: &str, digit: char, tier: &str) -> Json {
    let digest: String = std::iter::repeat_n(digit, 64).collect();
    json!({"name": name, "secrets": [{"sha256": digest}], "routes": ["*"], "tier": tier})
}
