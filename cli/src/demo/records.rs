//! What the demo reads of the control plane's answers. Pure.

use serde_json::Value as Json;

use crate::exit::Failed;

/// The records of a page of a history.
pub(super) fn records(history: Json) -> Vec<Json> {
    match history {
        Json::Array(records) => records,
        Json::Object(mut page) => match page.remove("items") {
            Some(Json::Array(records)) => records,
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

pub(super) fn text(of: &Json, field: &str) -> String {
    of.get(field)
        .and_then(Json::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// A 64-bit integer, which is a text in our JSON.
pub(super) fn number(of: &Json, field: &str) -> u64 {
    match of.get(field) {
        Some(Json::String(text)) => text.parse().unwrap_or_default(),
        Some(number) => number.as_u64().unwrap_or_default(),
        None => 0,
    }
}

pub(super) fn json(body: &[u8]) -> Result<Json, Failed> {
    serde_json::from_slice(body)
        .map_err(|bad| Failed::because(format!("an answer is no JSON: {bad}")))
}
