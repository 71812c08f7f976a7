//! The shapes of what rollouts take and tell. The plan is its proto's; the state, the records and
//! the analysis are open: a newer control plane may tell more.

use serde_json::{Map, Value as Json, json};

use super::{
    reference,
    schema::{array, list, maybe_text, number, object, text, with_reason},
};
use crate::{analysis::verdict::Verdict, rollout::state::Phase};

/// Every schema by its name; `plan` is that of the proto's `Rollout`.
pub(super) fn all(plan: Json) -> Vec<(&'static str, Json)> {
    vec![
        ("RolloutStart", with_reason(plan)),
        ("RolloutVerb", verb(json!({}), &[])),
        ("RolloutPause", verb(suspend(), &[])),
        ("RolloutPromote", verb(full(), &[])),
        ("RolloutGate", verb(json!({ "open": truth() }), &["open"])),
        ("RolloutState", state()),
        ("RolloutList", list(&reference("RolloutState"))),
        ("RolloutPlanned", planned()),
        ("RolloutSuperseded", superseded()),
        ("RolloutRecord", record()),
        ("RolloutHistory", list(&reference("RolloutRecord"))),
        ("RolloutAnalysis", analysis()),
        ("RolloutMetric", metric()),
        ("RolloutArm", arm()),
        ("RolloutVerdict", verdict()),
    ]
}

/// What a verb takes; nothing else.
fn verb(own: Json, required: &[&str]) -> Json {
    let mut properties = json!({
        "reason": { "type": "string", "description": "Why, for the history and the audit record" },
        "expectedSeq": {
            "type": ["integer", "string"],
            "minimum": 0,
            "pattern": "^[0-9]{1,19}$",
            "description": "The seq that was seen: refused if the rollout has gone on since",
        },
    });
    if let (Json::Object(all), Json::Object(own)) = (&mut properties, own) {
        all.extend(own);
    }
    let mut schema = object(properties, required);
    schema["additionalProperties"] = Json::Bool(false);
    schema
}

fn suspend() -> Json {
    let about = "Nothing automatic happens any more but the hard guards";
    json!({ "suspend": described(truth(), about) })
}

fn full() -> Json {
    let about = "All steps that are left, at once";
    json!({ "full": described(truth(), about) })
}

fn state() -> Json {
    let candidate = object(
        json!({ "target": text(), "hash": text() }),
        &["target", "hash"],
    );
    let gate = object(json!({ "open": truth() }), &["open"]);
    let mut properties = standing();
    let own = json!({
        "candidate": described(candidate, "hash: 12 hex of the SHA-256 of its definition"),
        "plan": { "type": "object", "description": "As it was written" },
        "planHash": text(),
        "passed": { "type": ["integer", "null"], "description": "The newest step passed, from 0" },
        "baseWeights": { "type": "object", "additionalProperties": { "type": "number" } },
        "gates": { "type": "object", "additionalProperties": gate },
        "verdict": { "anyOf": [reference("RolloutVerdict"), { "type": "null" }] },
        "failed": described(truth(), "A fail was told: nothing of this rollout clears it"),
        "guard": { "type": ["string", "null"], "description": "The hard guard that fired" },
        "endedBecause": text(),
        "startedAt": described(text(), "RFC 3339"),
        "endedAt": described(text(), "RFC 3339; empty while it runs"),
    });
    extend(&mut properties, own);
    extend(&mut properties, effect());
    let required = ["rolloutId", "seq", "route", "candidate", "phase", "share"];
    object(Json::Object(properties), &required)
}

/// What the state and the analysis tell alike.
fn standing() -> Map<String, Json> {
    let sub = json!({ "type": ["string", "null"], "enum": ["Applying", "Warming", "Analysing", "Gated", null] });
    let paused_in = object(json!({ "phase": phase(), "sub": sub }), &["phase"]);
    let properties = json!({
        "rolloutId": { "type": "string", "description": "12 hex digits" },
        "seq": { "type": "string", "description": "Of its newest record; expectedSeq of a verb" },
        "route": text(),
        "phase": phase(),
        "sub": sub,
        "pausedIn": { "anyOf": [paused_in, { "type": "null" }] },
        "pauseReasons": array(&text()),
        "step": { "type": ["integer", "null"], "description": "The newest step begun, from 0" },
        "share": { "type": "number", "description": "Percent" },
        "manual": described(truth(), "Somebody moved it past what the analysis had said"),
        "undone": described(truth(), "It had succeeded, and was taken back afterwards"),
        "byHand": { "anyOf": [by_hand(), { "type": "null" }] },
    });
    properties.as_object().cloned().unwrap_or_default()
}

fn by_hand() -> Json {
    let properties = json!({
        "verb": text(),
        "by": described(text(), "The token's name"),
        "reason": text(),
        "at": described(text(), "RFC 3339"),
    });
    let about = "The newest thing that somebody did to it, gates aside";
    described(object(properties, &["verb", "by", "reason", "at"]), about)
}

/// What a start means to the rollout that runs: of its answers alone.
fn effect() -> Json {
    json!({
        "supersedes": reference("RolloutSuperseded"),
        "planChanged": described(truth(), "The running rollout goes on with this plan, from its next step on"),
        "unchanged": described(truth(), "The very same runs already"),
    })
}

fn superseded() -> Json {
    let share = json!({ "type": "number", "description": "Percent, before" });
    let properties = json!({ "id": text(), "candidate": text(), "share": share });
    let about = "The running rollout whose place another takes, and whose share goes to 0";
    described(object(properties, &["id", "candidate", "share"]), about)
}

fn planned() -> Json {
    let mut properties = json!({
        "rollout": { "anyOf": [reference("RolloutState"), { "type": "null" }] },
        "planned": {
            "type": ["object", "null"],
            "description": "Least duration, samples per step at the present rate, detection times",
        },
        "warnings": array(&reference("Notice")),
    });
    if let (Json::Object(all), Json::Object(own)) = (&mut properties, effect()) {
        all.extend(own);
    }
    object(properties, &["warnings"])
}

fn record() -> Json {
    let properties = json!({
        "seq": text(),
        "rolloutId": text(),
        "at": text(),
        "actor": { "type": "object" },
        "transition": text(),
        "reason": text(),
        "prevHash": text(),
        "hash": described(text(), "SHA-256 over prevHash and the record's canonical JSON without it"),
    });
    object(properties, &["seq", "rolloutId", "hash"])
}

fn analysis() -> Json {
    let mut properties = standing();
    let own = json!({
        "steps": number(),
        "shares": array(&json!({ "type": "number" })),
        "exposureMs": number(),
        "stepMs": described(number(), "Since the phase, or its step, began; pauses left out"),
        "pausedMs": described(number(), "While it is paused: for so long"),
        "minDurationMs": number(),
        "minSamples": number(),
        "samples": { "type": "object", "additionalProperties": number() },
        "verdict": { "anyOf": [reference("RolloutVerdict"), { "type": "null" }] },
        "etaSeconds": { "type": ["number", "null"] },
        "metrics": array(&reference("RolloutMetric")),
        "total": { "type": ["object", "null"], "description": "All enforced metrics together" },
        "guards": { "type": ["object", "null"] },
        "next": { "type": ["object", "null"], "description": "What is waited for" },
        "legal": array(&text()),
    });
    extend(&mut properties, own);
    let required = ["rolloutId", "seq", "route", "phase", "share", "metrics"];
    object(Json::Object(properties), &required)
}

fn metric() -> Json {
    let figure = || json!({ "type": ["number", "null"] });
    let properties = json!({
        "name": text(),
        "title": text(),
        "mode": { "type": "string", "enum": ["enforce", "pauseOnly", "observe"] },
        "bound": figure(),
        "canary": reference("RolloutArm"),
        "stable": { "anyOf": [reference("RolloutArm"), { "type": "null" }] },
        "logEvidence": figure(),
        "logThreshold": figure(),
        "evidence": figure(),
        "limit": figure(),
        "limitRatio": described(json!({ "type": ["number", "null"] }), "0..1: how far on the way to act"),
        "logCertificate": figure(),
        "logCertificateThreshold": figure(),
        "text": maybe_text(),
    });
    object(properties, &["name", "mode"])
}

fn arm() -> Json {
    let figure = || json!({ "type": ["number", "null"] });
    let properties = json!({
        "n": { "type": ["integer", "null"], "minimum": 0 },
        "e": { "type": ["integer", "null"], "minimum": 0 },
        "rate": figure(),
        "mean": figure(),
        "value": figure(),
    });
    object(properties, &[])
}

fn verdict() -> Json {
    let kinds = Verdict::ALL.map(Verdict::as_str);
    let properties = json!({ "kind": { "type": "string", "enum": kinds }, "why": text() });
    object(properties, &["kind", "why"])
}

fn phase() -> Json {
    json!({ "type": "string", "enum": Phase::WORDS })
}

fn truth() -> Json {
    json!({ "type": "boolean" })
}

fn described(mut schema: Json, about: &str) -> Json {
    schema["description"] = Json::from(about);
    schema
}

fn extend(all: &mut Map<String, Json>, own: Json) {
    if let Json::Object(own) = own {
        all.extend(own);
    }
}
