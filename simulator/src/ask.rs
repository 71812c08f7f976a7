//! What does a request ask for?
//!
//! URL and body become an `Ask`: the few facts that an answer depends on. The body is read in two
//! passes; the second, which builds a tree, runs only for tools and embeddings, so that plain chat
//! stays cheap. What OpenAI would refuse is refused in its words. Pure.

use memchr::memmem;
use serde::Deserialize;
use serde_json::Value;

use crate::answer::Refusal;

/// A POST under `/v1/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Chat,
    Completions,
    Embeddings,
    /// Any other: answered in the manner of `/v1/responses`.
    Other,
}

/// What one request asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ask {
    pub(crate) operation: Operation,
    pub(crate) model: String,
    pub(crate) stream: bool,
    /// `stream_options.include_usage`
    pub(crate) include_usage: bool,
    /// The first tool that may be called. None after a tool's result: then the answer is text.
    pub(crate) tool: Option<String>,
    pub(crate) embedding: Embedding,
}

/// What is asked of an embedding.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Embedding {
    /// How many texts.
    pub(crate) inputs: usize,
    pub(crate) dimensions: Option<usize>,
    pub(crate) base64: bool,
}

/// More inputs or dimensions than this are refused, as OpenAI does at 2 048 inputs.
const INPUTS_MAX: usize = 2_048;
const DIMENSIONS_MAX: usize = 16_384;

impl Operation {
    /// The operation of a path under `/v1/`.
    pub(crate) fn of(path: &str) -> Self {
        match path {
            "/v1/chat/completions" => Self::Chat,
            "/v1/completions" => Self::Completions,
            "/v1/embeddings" => Self::Embeddings,
            _ => Self::Other,
        }
    }
}

impl Ask {
    pub(crate) fn read(operation: Operation, body: &[u8]) -> Result<Self, Refusal> {
        let written: Written = serde_json::from_slice(body).map_err(|_| Refusal::NotJson)?;
        let model = written
            .model
            .filter(|m| !m.is_empty())
            .ok_or(Refusal::NoModel)?;
        let stream = written.stream.unwrap_or(false) && operation != Operation::Embeddings;
        if written.stream_options.is_some() && !stream {
            return Err(Refusal::StreamOptionsWithoutStream);
        }
        let mut ask = Self {
            operation,
            model,
            stream,
            include_usage: written
                .stream_options
                .is_some_and(|o| o.include_usage == Some(true)),
            tool: None,
            embedding: Embedding::default(),
        };
        match operation {
            Operation::Chat if memmem::find(body, b"\"tools\"").is_some() => {
                ask.tool = tool(&tree(body)?);
            }
            Operation::Embeddings => ask.embedding = embedding(&tree(body)?)?,
            _ => {}
        }
        Ok(ask)
    }
}

#[derive(Deserialize)]
struct Written {
    model: Option<String>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
}

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

fn tree(body: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(body).map_err(|_| Refusal::NotJson)
}

fn tool(body: &Value) -> Option<String> {
    if body.get("tool_choice").and_then(Value::as_str) == Some("none") {
        return None;
    }
    let last = body
        .get("messages")
        .and_then(Value::as_array)
        .and_then(|all| all.last());
    if last
        .and_then(|message| message.get("role"))
        .and_then(Value::as_str)
        == Some("tool")
    {
        return None;
    }
    let first = body.get("tools")?.as_array()?.first()?;
    first.pointer("/function/name")?.as_str().map(str::to_owned)
}

fn embedding(body: &Value) -> Result<Embedding, Refusal> {
    let inputs = match body.get("input") {
        Some(Value::String(_)) => 1,
        // A list of numbers is one text, already cut into tokens.
        Some(Value::Array(all)) if all.first().is_some_and(Value::is_number) => 1,
        Some(Value::Array(all)) => all.len(),
        _ => return Err(Refusal::BadInput),
    };
    let dimensions = match body.get("dimensions") {
        None | Some(Value::Null) => None,
        Some(number) => Some(
            number
                .as_u64()
                .and_then(|n| usize::try_from(n).ok())
                .filter(|n| (1..=DIMENSIONS_MAX).contains(n))
                .ok_or(Refusal::BadInput)?,
        ),
    };
    if inputs > INPUTS_MAX {
        return Err(Refusal::BadInput);
    }
    let base64 = body.get("encoding_format").and_then(Value::as_str) == Some("base64");
    Ok(Embedding {
        inputs,
        dimensions,
        base64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(body: &str) -> Result<Ask, Refusal> {
        Ask::read(Operation::Chat, body.as_bytes())
    }

    #[rustfmt::skip]
    #[test]
    fn what_openai_would_refuse_is_refused() {
        let table = [
            ("",                                              Refusal::NotJson),
            ("[1]",                                           Refusal::NotJson),
            (r#"{"model": 1}"#,                               Refusal::NotJson),
            (r#"{"model": "a"} x"#,                           Refusal::NotJson),
            ("{}",                                            Refusal::NoModel),
            (r#"{"model": ""}"#,                              Refusal::NoModel),
            (r#"{"model": "a", "stream_options": {}}"#,       Refusal::StreamOptionsWithoutStream),
        ];
        for (body, refusal) in table {
            assert_eq!(chat(body), Err(refusal), "{body}");
        }
        assert_eq!(Ask::read(Operation::Chat, b"{\"model\": \"\xff\"}"), Err(Refusal::NotJson));
    }

    #[rustfmt::skip]
    #[test]
    fn the_first_tool_is_called_unless_the_caller_has_its_result() {
        let tools = r#""tools":[{"type":"function","function":{"name":"f"}}]"#;
        let table = [
            (format!(r#"{{"model":"a",{tools}}}"#),                                     Some("f")),
            (format!(r#"{{"model":"a",{tools},"tool_choice":"none"}}"#),                None),
            (format!(r#"{{"model":"a",{tools},"messages":[{{"role":"tool"}}]}}"#),      None),
            (r#"{"model":"a","tools":[]}"#.to_owned(),                                  None),
            (r#"{"model":"a","tools":7}"#.to_owned(),                                   None),
        ];
        for (body, name) in table {
            assert_eq!(chat(&body).unwrap().tool.as_deref(), name, "{body}");
        }
    }

    #[rustfmt::skip]
    #[test]
    fn inputs_are_counted_as_openai_counts_them() {
        let table = [
            (r#""one""#,         Some(1)),
            (r#"["a","b"]"#,     Some(2)),
            ("[1,2,3]",          Some(1)),
            ("[[1],[2]]",        Some(2)),
            ("null",             None),
        ];
        for (input, count) in table {
            let body = format!(r#"{{"model":"e","input":{input}}}"#);
            let ask = Ask::read(Operation::Embeddings, body.as_bytes());
            assert_eq!(ask.ok().map(|a| a.embedding.inputs), count, "{input}");
        }
    }

    #[test]
    fn nesting_without_end_is_refused_and_not_followed() {
        let deep = format!(r#"{{"model":"e","tools":{}"#, "[".repeat(100_000));
        assert_eq!(chat(&deep), Err(Refusal::NotJson));
    }
}
