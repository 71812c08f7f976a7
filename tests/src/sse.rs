//! The events of a whole stream, as a caller's parser sees them.
//!
//! Small on purpose and sharing nothing with the router's: what is read here came from a server
//! that ends its events with an empty line.

use serde_json::Value;

/// The `data:` of each event, in order; an unfinished last one included.
pub fn events(body: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(body);
    let events = text.split("\n\n").filter(|event| !event.trim().is_empty());
    events
        .map(|event| event.trim_start().trim_start_matches("data: ").to_owned())
        .collect()
}

/// The same as JSON; `[DONE]` and what is not JSON become strings.
pub fn event_values(body: &[u8]) -> Vec<Value> {
    let value = |event: String| serde_json::from_str(&event).unwrap_or(Value::String(event));
    events(body).into_iter().map(value).collect()
}

/// Whether the stream said that it was whole.
pub fn is_done(body: &[u8]) -> bool {
    events(body).last().is_some_and(|last| last == "[DONE]")
}
