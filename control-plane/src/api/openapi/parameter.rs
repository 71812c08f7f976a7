//! What an operation takes besides its body.

use serde_json::{Value as Json, json};

use super::example;
use crate::{
    api::{
        endpoint::{Action, Endpoint},
        query::{PAGE_DEFAULT, PAGE_MAX},
    },
    rollout::state::Phase,
};

/// The parameters of a row.
pub(super) fn of(endpoint: &Endpoint) -> Vec<Json> {
    let mut parameters = Vec::new();
    for place in ["name", "id", "gate"] {
        if endpoint.path.contains(&format!("{{{place}}}")) {
            parameters.push(name(place, example::name(endpoint.action, place)));
        }
    }
    parameters.extend(match endpoint.action {
        Action::List(_) => [paging(), vec![if_none_match()]].concat(),
        Action::Read(_) | Action::ReadTraffic => vec![if_none_match()],
        Action::Write(_) | Action::WriteTraffic => vec![if_match(), create_only(), dry_run()],
        Action::Remove(_) => vec![if_match(), dry_run()],
        Action::StartRollout => vec![dry_run(), idempotency_key()],
        Action::Rollouts => [paging(), standing(), vec![if_none_match()]].concat(),
        Action::Rollout => vec![if_none_match()],
        Action::RolloutHistory => paging(),
        Action::RolloutAnalysis => Vec::new(),
        Action::AskRollout(_) | Action::SetGate => vec![idempotency_key()],
        Action::Apply => vec![dry_run(), traffic(), idempotency_key()],
        Action::Adopt => vec![dry_run(), idempotency_key()],
        Action::Routers => paging(),
        Action::Audit => [paging(), filters()].concat(),
        Action::Watch => vec![last_event_id()],
        Action::OpenApi => Vec::new(),
    });
    parameters
}

fn name(place: &str, example: &str) -> Json {
    json!({
        "name": place, "in": "path", "required": true,
        "schema": { "type": "string", "pattern": NAME },
        "example": example,
    })
}

fn paging() -> Vec<Json> {
    let limit = json!({
        "type": "integer", "minimum": 1, "maximum": PAGE_MAX, "default": PAGE_DEFAULT,
    });
    let text = json!({ "type": "string", "pattern": "^[!-~]{1,255}$" });
    vec![
        query("limit", "Entries of a page", limit),
        query("pageToken", "nextPageToken of the page before", text),
    ]
}

fn filters() -> Vec<Json> {
    let name = json!({ "type": "string", "pattern": NAME });
    let text = json!({ "type": "string" });
    vec![
        query(
            "route",
            "Changes of this route alone; not together with key",
            name,
        ),
        query(
            "key",
            "Changes of this store key alone: config/providers/openai",
            text.clone(),
        ),
        query("actor", "Changes by the token of this name alone", text),
        if_none_match(),
    ]
}

/// Which rollouts.
fn standing() -> Vec<Json> {
    let phase = json!({ "type": "string", "enum": Phase::WORDS });
    let route = json!({ "type": "string", "pattern": NAME });
    vec![
        query("phase", "Those that stand in this phase alone", phase),
        query("route", "Those of this route alone", route),
    ]
}

fn dry_run() -> Json {
    let about = "Judge the whole result, tell the difference, write nothing";
    query(
        "dryRun",
        about,
        json!({ "type": "boolean", "default": false }),
    )
}

fn traffic() -> Json {
    let about = "The documents' traffic replaces the live one";
    query(
        "traffic",
        about,
        json!({ "type": "boolean", "default": false }),
    )
}

fn query(name: &str, about: &str, schema: Json) -> Json {
    json!({ "name": name, "in": "query", "description": about, "schema": schema })
}

fn if_match() -> Json {
    let about = "The ETag that was read, or * for whatever is there. Needed to replace and delete";
    let mut header = header(
        "If-Match",
        about,
        json!({ "type": "string", "pattern": TAGS }),
    );
    header["example"] = json!("*");
    header
}

fn if_none_match() -> Json {
    let about = "What is known is not sent again";
    header(
        "If-None-Match",
        about,
        json!({ "type": "string", "pattern": TAGS }),
    )
}

fn create_only() -> Json {
    let about = "Creates and never replaces";
    header(
        "If-None-Match",
        about,
        json!({ "type": "string", "const": "*" }),
    )
}

fn idempotency_key() -> Json {
    let about = "The same request with the same key is done once, and answered alike for 24 h";
    let schema = json!({ "type": "string", "pattern": "^[!-~]{1,255}$" });
    header("Idempotency-Key", about, schema)
}

fn last_event_id() -> Json {
    let about = "The id of the last event that was seen: the stream goes on behind it";
    let schema = json!({ "type": "string", "pattern": "^[0-9]{1,19}$" });
    header("Last-Event-ID", about, schema)
}

fn header(name: &str, about: &str, schema: Json) -> Json {
    json!({ "name": name, "in": "header", "description": about, "schema": schema })
}

const NAME: &str = "^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$";
/// One tag or `*`: more than a client needs is left untold.
const TAGS: &str = r#"^(\*|"[0-9]{1,19}")$"#;
