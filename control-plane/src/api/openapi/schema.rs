//! The shapes of bodies: documents from their protos, the API's own by hand.

use serde_json::{Map, Value as Json, json};
use serin_proto::{fleet::REJECTED_LISTED_MAX, schema::schemas};

use super::{SCHEMAS, reference, rollout};
use crate::{api::problem::CODES, auth::Role};

/// Of audit records.
const VERBS: [&str; 15] = [
    "put",
    "delete",
    "traffic",
    "apply",
    "adopt",
    "start",
    "pause",
    "resume",
    "promote",
    "abort",
    "undo",
    "retry",
    "skip-step",
    "gate",
    "step",
];

/// Every schema by its name.
pub(super) fn all() -> Map<String, Json> {
    let documents = schemas(&["Provider", "Route", "Key", "Tier", "Rollout"], SCHEMAS);
    let mut all: Map<String, Json> = documents.into_iter().collect();
    let traffic = all.get("Traffic").cloned().unwrap_or_default();
    let plan = all.remove("Rollout").unwrap_or_default();
    let mut add = |name: &str, schema: Json| {
        all.insert(name.to_owned(), schema);
    };
    add("Anything", json!({ "type": "object" }));
    add("TrafficWrite", with_reason(traffic));
    for noun in ["Provider", "Route", "Key", "Tier", "Token"] {
        add(&format!("{noun}List"), list(&reference(noun)));
    }
    add("RouterList", list(&reference("Router")));
    add("AuditList", list(&reference("AuditRecord")));
    add("Token", token(true));
    add("TokenWrite", token(false));
    add("Apply", apply());
    add("Applied", applied());
    add("Adopt", object(json!({ "reason": text() }), &["reason"]));
    add(
        "Adopted",
        object(
            json!({ "revision": number(), "ulid": text(), "auditId": maybe_text() }),
            &["revision", "ulid"],
        ),
    );
    add("Changed", changed());
    add("Difference", difference());
    add("Notice", notice());
    add(
        "Unreadable",
        object(
            json!({ "name": text(), "revision": number(), "message": text() }),
            &["name", "revision", "message"],
        ),
    );
    add("Router", router());
    add("RejectedDocument", rejected());
    add("AuditRecord", audit_record());
    add("Change", change());
    add("Problem", problem());
    for (name, schema) in rollout::all(plan) {
        add(name, schema);
    }
    all
}

/// What an `Apply` may hold: the documents and why.
fn apply() -> Json {
    let many = |noun| array(&reference(noun));
    let properties = json!({
        "providers": many("Provider"),
        "tiers": many("Tier"),
        "routes": many("Route"),
        "keys": many("Key"),
        "reason": text(),
    });
    let mut schema = object(properties, &[]);
    schema["additionalProperties"] = Json::Bool(false);
    schema
}

fn applied() -> Json {
    let kept = object(
        json!({ "route": text(), "live": reference("Traffic"), "written": reference("Traffic") }),
        &["route", "live", "written"],
    );
    let properties = json!({
        "revision": number(),
        "changes": array(&reference("Difference")),
        "trafficKept": array(&kept),
        "warnings": array(&reference("Notice")),
        "auditId": maybe_text(),
    });
    object(
        properties,
        &["revision", "changes", "trafficKept", "warnings"],
    )
}

fn changed() -> Json {
    let properties = json!({
        "revision": number(),
        "changes": array(&reference("Difference")),
        "warnings": array(&reference("Notice")),
        "auditId": maybe_text(),
    });
    object(properties, &["revision", "changes", "warnings"])
}

fn difference() -> Json {
    let properties = json!({
        "key": { "type": "string", "examples": ["config/routes/chat"] },
        "before": { "type": ["object", "null"], "description": "null: it was absent, or could not be read" },
        "after": { "type": ["object", "null"], "description": "null: it is gone" },
    });
    object(properties, &["key", "before", "after"])
}

fn notice() -> Json {
    let properties = json!({ "pointer": text(), "code": text(), "message": text() });
    object(properties, &["pointer", "code", "message"])
}

fn token(shown: bool) -> Json {
    let mut properties = json!({
        "role": role(),
        "sha256": { "type": "string", "description": "64 hex digits: SHA-256 of the whole secret" },
        "expiresAt": { "type": "string", "description": "RFC 3339. Absent: it does not expire" },
    });
    if shown {
        properties["name"] = text();
    }
    let mut schema = object(properties, &["role", "sha256"]);
    schema["additionalProperties"] = Json::Bool(false);
    schema
}

fn role() -> Json {
    json!({ "type": "string", "enum": Role::ALL })
}

fn router() -> Json {
    let properties = json!({
        "id": text(),
        "version": text(),
        "bootId": text(),
        "startedAt": text(),
        "adminAddress": text(),
        "appliedRevision": number(),
        "lag": { "type": "integer", "minimum": 0, "description": "The newest change of a document, less appliedRevision" },
        "state": { "type": "string", "enum": ["live", "lagging", "unreadable"] },
        "source": { "type": "string", "enum": ["store", "cache"] },
        "hold": { "type": "string", "enum": ["cluster_changed", "revision_regressed", "history_differs", "empty"], "description": "Why it applies nothing. Absent: it follows" },
        "rejectedCount": number(),
        "rejected": { "type": "array", "items": reference("RejectedDocument"), "maxItems": REJECTED_LISTED_MAX },
    });
    object(
        properties,
        &[
            "id",
            "appliedRevision",
            "lag",
            "state",
            "rejectedCount",
            "rejected",
        ],
    )
}

fn rejected() -> Json {
    let properties = json!({
        "key": text(),
        "modRevision": number(),
        "code": text(),
        "message": text(),
        "servingRevision": number(),
    });
    object(properties, &["key", "modRevision", "code", "message"])
}

fn audit_record() -> Json {
    let actor = object(
        json!({ "name": text(), "role": role(), "via": { "type": "string", "enum": ["rest", "grpc", "file", "auto"] } }),
        &["name", "role", "via"],
    );
    let properties = json!({
        "id": text(),
        "at": { "type": "string", "format": "date-time" },
        "actor": actor,
        "sourceIp": maybe_text(),
        "requestId": text(),
        "verb": { "type": "string", "enum": VERBS },
        "reason": text(),
        "revision": number(),
        "key": text(),
        "before": { "type": ["object", "null"] },
        "after": { "type": ["object", "null"] },
        "changes": array(&reference("Difference")),
    });
    object(
        properties,
        &[
            "id",
            "at",
            "actor",
            "requestId",
            "verb",
            "reason",
            "revision",
        ],
    )
}

/// The data of one event of `/watch`.
fn change() -> Json {
    let one = object(
        json!({
            "key": text(),
            "document": { "type": ["object", "null"], "description": "null: it is gone" },
            "unreadable": { "type": "boolean", "description": "What is stored is no JSON" },
        }),
        &["key"],
    );
    object(
        json!({ "revision": number(), "changes": array(&one) }),
        &["revision", "changes"],
    )
}

fn problem() -> Json {
    let codes = CODES.each_ref().map(|(code, ..)| *code);
    let fault = object(
        json!({ "pointer": text(), "code": text(), "message": text(), "line": number(), "column": number() }),
        &["pointer", "code", "message"],
    );
    let properties = json!({
        "type": text(),
        "title": text(),
        "status": { "type": "integer" },
        "detail": text(),
        "code": { "type": "string", "enum": codes },
        "requestId": text(),
        "revision": { "type": "integer", "minimum": 0, "description": "What it has now, where a precondition did not hold" },
        "legal": { "type": "array", "items": text(), "description": "Verbs of the rollout that may be used now" },
        "seq": { "type": "string", "description": "Of the rollout, where expectedSeq is stale" },
        "state": { "type": "object", "description": "Where the rollout stands, where expectedSeq is stale" },
        "rolloutId": { "type": "string", "description": "The rollout that owns what was asked for" },
        "errors": { "type": "array", "items": fault, "description": "All faults at once, each with its JSON pointer" },
    });
    object(
        properties,
        &[
            "type",
            "title",
            "status",
            "detail",
            "code",
            "requestId",
            "errors",
        ],
    )
}

pub(super) fn list(item: &Json) -> Json {
    let properties = json!({
        "items": array(item),
        "unreadable": array(&reference("Unreadable")),
        "nextPageToken": text(),
    });
    object(properties, &["items"])
}

pub(super) fn with_reason(mut schema: Json) -> Json {
    schema["properties"]["reason"] = text();
    schema
}

pub(super) fn object(properties: Json, required: &[&str]) -> Json {
    json!({ "type": "object", "properties": properties, "required": required })
}

pub(super) fn array(item: &Json) -> Json {
    json!({ "type": "array", "items": item })
}

pub(super) fn text() -> Json {
    json!({ "type": "string" })
}

pub(super) fn maybe_text() -> Json {
    json!({ "type": ["string", "null"] })
}

pub(super) fn number() -> Json {
    json!({ "type": "integer", "minimum": 0 })
}
