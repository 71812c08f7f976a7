//! Bodies and names that work, in this order on an empty store. A test sends them.

use serde_json::{Value as Json, json};
use serin_proto::key::Kind;

use crate::api::endpoint::{Action, Ask, Noun};

/// SHA-256 of `test`.
const DIGEST: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

/// A body.
pub(super) fn body(action: Action) -> Option<Json> {
    match action {
        Action::Write(noun) => Some(written(noun)),
        Action::WriteTraffic => Some(json!({
            "weights": { "gpt": 90, "mini": 10 }, "fallback": ["gpt"], "reason": "looks good",
        })),
        Action::StartRollout => Some(plan()),
        Action::AskRollout(Ask::Pause) => Some(json!({ "suspend": false, "reason": "looking" })),
        Action::AskRollout(Ask::Promote) => Some(json!({ "full": false, "reason": "looks good" })),
        Action::AskRollout(_) => Some(json!({ "reason": "as talked over" })),
        Action::SetGate => Some(json!({ "open": true, "reason": "looks good" })),
        Action::Apply => Some(apply()),
        Action::Adopt => Some(json!({ "reason": "restored from Monday's backup" })),
        _ => None,
    }
}

/// A name for a place in the path.
pub(super) fn name(action: Action, place: &str) -> &'static str {
    match action {
        _ if place == "id" => "7f3a09c2b1d4",
        _ if place == "gate" => "go-on",
        Action::List(noun) | Action::Read(noun) | Action::Write(noun) | Action::Remove(noun) => {
            named(noun)
        }
        _ => named(Noun::Document(Kind::Route)),
    }
}

fn named(noun: Noun) -> &'static str {
    match noun {
        Noun::Document(Kind::Provider) => "openai",
        Noun::Document(Kind::Route) => "chat",
        Noun::Document(Kind::Key) => "web-app",
        Noun::Document(Kind::Tier) => "premium",
        Noun::Token => "ci",
    }
}

fn written(noun: Noun) -> Json {
    match noun {
        Noun::Document(Kind::Provider) => json!({
            "dialect": "openai",
            "baseUrl": "https://api.openai.com/v1",
            "credential": { "env": "OPENAI_API_KEY" },
        }),
        Noun::Document(Kind::Route) => json!({
            "targets": [
                { "name": "gpt", "provider": "openai", "model": "gpt-4.1" },
                { "name": "mini", "provider": "openai", "model": "gpt-4.1-mini" },
                { "name": "nano", "provider": "openai", "model": "gpt-4.1-nano" },
            ],
            "traffic": { "weights": { "gpt": 95, "mini": 5 } },
        }),
        Noun::Document(Kind::Key) => {
            json!({ "secrets": [{ "sha256": DIGEST }], "routes": ["*"], "tier": "premium" })
        }
        Noun::Document(Kind::Tier) => json!({ "limits": { "requestsPerMinute": 30_000 } }),
        Noun::Token => json!({ "role": "viewer", "sha256": DIGEST }),
    }
}

fn plan() -> Json {
    json!({
        "candidate": "nano",
        "steps": [
            { "weight": 5, "minDuration": "300s", "gate": "go-on" },
            { "weight": 25, "minDuration": "300s", "minSamples": 300, "certificate": true },
        ],
        "promotion": { "bake": "900s" },
        "reason": "a smaller model",
    })
}

fn apply() -> Json {
    let whole = |kind| {
        let noun = Noun::Document(kind);
        let mut document = written(noun);
        document["name"] = Json::from(named(noun));
        document
    };
    json!({
        "providers": [whole(Kind::Provider)],
        "tiers": [whole(Kind::Tier)],
        "routes": [whole(Kind::Route)],
        "keys": [whole(Kind::Key)],
        "reason": "first documents",
    })
}
