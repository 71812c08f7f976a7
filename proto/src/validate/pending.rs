//! What this release accepts and does not yet do, told in one warning.
//!
//! A file written for a later release must not be refused, and its author must not believe that a
//! limit holds which nobody enforces. A row leaves the table in the change that builds its feature.

use serde_json::Value;

use super::Findings;
use crate::{document::Document, fault::Pointer, v1};

/// Paths of fields, `*` standing for each element. With a word: only if that is the value.
pub(super) const PENDING: [(&str, Option<&str>); 18] = [
    ("server/trustedProxies", None),
    ("server/cors/origins", None),
    ("server/limits/redis", None),
    ("server/limits/redisPasswordFile", None),
    ("server/telemetry/otlpEndpoint", None),
    ("server/telemetry/protocol", None),
    ("server/telemetry/sampleRatio", None),
    ("server/telemetry/genAiMetrics", None),
    ("routes/*/traffic/mirror", None),
    ("routes/*/breaker/minRequests", None),
    ("routes/*/breaker/successRatio", None),
    ("routes/*/health", None),
    ("routes/*/cache", None),
    ("routes/*/onClientDisconnect", Some("drain")),
    ("keys/*/tier", None),
    ("keys/*/limits", None),
    ("keys/*/budget", None),
    ("tiers", None),
];

pub(super) fn check(file: &v1::File, findings: &mut Findings) {
    let json = serde_json::to_value(file).expect("documents have string keys and finite numbers");
    let is_written = |(path, word): &&(&str, Option<&str>)| written(&json, path, *word);
    let named: Vec<String> = PENDING
        .iter()
        .filter(is_written)
        .map(|(path, _)| path.replace('/', "."))
        .collect();
    warn(&named, findings);
}

/// The same for one document, its fields named from itself (`breaker.minRequests`).
pub(super) fn check_document(document: &Document, findings: &mut Findings) {
    let kind = document.kind().plural();
    let json: Value = serde_json::from_slice(&document.to_json()).unwrap_or_default();
    let inside = |(path, word): &(&'static str, Option<&str>)| {
        let path = path.strip_prefix(kind)?.strip_prefix("/*/")?;
        written(&json, path, *word).then(|| path.replace('/', "."))
    };
    let mut named: Vec<String> = PENDING.iter().filter_map(inside).collect();
    if PENDING.contains(&(kind, None)) {
        named.push(kind.to_owned());
    }
    warn(&named, findings);
}

fn warn(named: &[String], findings: &mut Findings) {
    if !named.is_empty() {
        let message = format!(
            "accepted, not yet enforced in this release: {}",
            named.join(", ")
        );
        findings.warn(&Pointer::root(), "not_yet_enforced", message);
    }
}

/// Whether the path leads to a value that is there (and is `word`, if there is one).
fn written(value: &Value, path: &str, word: Option<&str>) -> bool {
    let (step, rest) = match path.split_once('/') {
        Some((step, rest)) => (step, rest),
        None => (path, ""),
    };
    match value {
        _ if path.is_empty() => word.is_none_or(|word| value == word),
        Value::Array(items) if step == "*" => items.iter().any(|item| written(item, rest, word)),
        Value::Object(fields) => fields
            .get(step)
            .is_some_and(|field| written(field, rest, word)),
        _ => false,
    }
}
