//! The script: what the simulated provider says, how fast, and what goes wrong.
//!
//! Read from JSON or YAML with every field optional and no field unknown; `{}` is a provider that
//! answers any model at once. A script is set as a whole, also while requests run: those go on as
//! they began, and every model counts its requests from 0 again, so that a script replays.

mod check;
mod fault;
mod span;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use check::BadScript;
pub use fault::{
    Cut, Endless, Endlessness, ErrorInStream, Failure, Garbage, How, Place, Raw, Stall, Trickle,
    When, WrongLength,
};

/// A whole provider.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Script {
    /// What chance follows from. Equal seeds, equal answers and faults.
    pub seed: u64,
    /// Models by the name that requests give.
    pub models: BTreeMap<String, Model>,
    /// How any other name answers.
    pub default: Model,
    /// Any other name is 404 `model_not_found` instead.
    pub strict: bool,
    /// The only bearer key that is let in. Absent: everybody is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_key: Option<String>,
    /// Every answer has the same id, so that two answers can be compared byte for byte.
    pub fixed_ids: bool,
    /// Whether requests are remembered. `off` for benchmarks.
    pub journal: Recording,
    /// How fast request bodies are read, bytes per second. 0: as they come.
    pub read_bytes_per_second: u64,
}

/// Whether the journal is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Recording {
    #[default]
    On,
    Off,
}

/// One model: its manners first, then its faults (see `fault.rs`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Model {
    /// From the request to the head and first event.
    #[serde(with = "span")]
    pub first_token: Duration,
    /// How far `firstToken` strays, as a share of itself, 0.0..=1.0, both ways.
    pub jitter: f64,
    /// The head and role delta come at once and only the content waits for `firstToken`.
    pub early_head: bool,
    /// 0: as fast as possible, the whole answer in one write.
    pub tokens_per_second: f64,
    /// Length of the answer. Ignored when there is a `text`.
    pub answer_tokens: u32,
    /// Tokens of one content delta, at least 1.
    pub chunk_tokens: u32,
    /// What `usage` says of the prompt.
    pub prompt_tokens: u32,
    /// Reasoning tokens before the content: one `reasoning_content` delta each.
    pub reasoning: u32,
    /// The answer itself; a token ends at each space.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Bytes of filler: once in a plain answer, in each content delta of a stream.
    pub padding: usize,
    /// A stream starts with `delta: {"role": "assistant"}`.
    pub role_delta: bool,
    /// So many events to a write. 0: all that are due.
    pub events_per_write: usize,
    /// Absent: call the first of the request's `tools` when it has some. `[]`: never. Else these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCall>>,
    /// Length of an embedding, unless the request asks for `dimensions`.
    pub embedding_dimensions: usize,
    /// Instead of `application/json` and `text/event-stream`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Headers on every answer of this model.
    pub headers: BTreeMap<String, String>,
    /// `Retry-After` of those `errors` that have none of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<String>,
    /// No `usage`, even if asked for.
    #[serde(
        deserialize_with = "fault::short",
        skip_serializing_if = "Option::is_none"
    )]
    pub no_usage: Option<When>,
    /// Streams end without `data: [DONE]`.
    #[serde(
        deserialize_with = "fault::short",
        skip_serializing_if = "Option::is_none"
    )]
    pub no_done: Option<When>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trickle: Option<Trickle>,
    /// RST before the head.
    #[serde(
        deserialize_with = "fault::short",
        skip_serializing_if = "Option::is_none"
    )]
    pub reset: Option<When>,
    /// The request is read and never answered.
    #[serde(
        deserialize_with = "fault::short",
        skip_serializing_if = "Option::is_none"
    )]
    pub hang: Option<When>,
    /// Error answers; one draw decides among them, so their shares add up.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Failure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw: Option<Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub garbage: Option<Garbage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut: Option<Cut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stall: Option<Stall>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_in_stream: Option<ErrorInStream>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrong_length: Option<WrongLength>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endless: Option<Endless>,
}

/// A call that the model makes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ToolCall {
    pub name: String,
    /// JSON in a string, as OpenAI has it.
    #[serde(default = "tool_arguments")]
    pub arguments: String,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            first_token: Duration::ZERO,
            jitter: 0.0,
            early_head: false,
            tokens_per_second: 0.0,
            answer_tokens: 16,
            chunk_tokens: 1,
            prompt_tokens: 8,
            reasoning: 0,
            text: None,
            padding: 0,
            role_delta: true,
            events_per_write: 0,
            tool_calls: None,
            embedding_dimensions: 8,
            content_type: None,
            headers: BTreeMap::new(),
            retry_after: None,
            no_usage: None,
            no_done: None,
            trickle: None,
            reset: None,
            hang: None,
            errors: Vec::new(),
            raw: None,
            garbage: None,
            cut: None,
            stall: None,
            error_in_stream: None,
            wrong_length: None,
            endless: None,
        }
    }
}

impl Script {
    /// Reads JSON (first character `{`) or YAML, and checks it.
    ///
    /// # Errors
    /// Neither of them, an unknown field, or a value out of its range; the message names the place.
    pub fn parse(text: &str) -> Result<Self, BadScript> {
        let script: Self = if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map_err(BadScript::json)?
        } else if text.trim().is_empty() {
            Self::default()
        } else {
            serde_saphyr::from_str(text).map_err(BadScript::yaml)?
        };
        script.check()?;
        Ok(script)
    }

    /// The same script with one more model.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, model: Model) -> Self {
        self.models.insert(name.into(), model);
        self
    }

    /// Whether every value is in its range. `parse` has done this already.
    ///
    /// # Errors
    /// The first value that is not, with its place.
    pub fn check(&self) -> Result<(), BadScript> {
        check::script(self)
    }
}

/// The arguments that a call has when nobody wrote others.
pub(crate) fn tool_arguments() -> String {
    r#"{"location":"Paris, France","unit":"celsius"}"#.to_owned()
}

#[cfg(test)]
mod tests;
