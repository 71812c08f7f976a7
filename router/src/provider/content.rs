//! What is an event of a stream: content, preamble, an error, the end?
//!
//! The first content is the commit point: before it another target may still answer, after it
//! never. So before it every event is parsed here. After it events are only searched for the two
//! words that matter (`mentions`), and a hit is parsed.
//!
//! Always: an error inside a 200 is seen as an error, whatever else the event carries. Fields of
//! an unexpected shape count as absent; only data that is no JSON object at all is `Garbage`.
//! Not here: where events begin and end (`sse.rs`), the numbers in them (`usage.rs`).

use std::fmt;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serin_proto::metric::Operation;

use super::sse::Event;

/// What one event means to the attempt that received it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Something the caller asked for: the first one commits.
    Content,
    /// Role-only deltas, empty `choices`, comments, pings.
    Preamble,
    /// The provider says that it failed.
    Error,
    /// The terminator, e.g. `[DONE]`.
    Done,
    /// `chat` and `completions` only: no JSON object. The provider does not speak our dialect.
    Garbage,
}

/// Judges a whole event, its name included.
pub(crate) fn see(operation: Operation, event: &Event<'_>) -> Seen {
    if event.name() == Some(b"error") {
        return Seen::Error;
    }
    match event.data() {
        Some(data) => is_content(operation, &data),
        None => Seen::Preamble,
    }
}

/// Judges the data of an event.
pub(crate) fn is_content(operation: Operation, data: &[u8]) -> Seen {
    if is_done(operation, data) {
        return Seen::Done;
    }
    match operation {
        Operation::Chat | Operation::Completions => judge_choices(operation, data),
        // The first data that is not an error is content, whatever it says.
        _ if says_error(data) => Seen::Error,
        _ => Seen::Content,
    }
}

/// Whether this data ends a stream of this operation. Without it the end of the bytes is a cut.
pub(crate) fn is_done(operation: Operation, data: &[u8]) -> bool {
    match operation {
        Operation::Chat | Operation::Completions => data.trim_ascii() == b"[DONE]",
        Operation::Responses => ends_response(data),
        _ => false,
    }
}

/// Whether streams of this operation have a terminator that must be seen; the others end with
/// HTTP's own end.
pub(crate) fn has_terminator(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::Chat | Operation::Completions | Operation::Responses
    )
}

/// Whether this is the frame that exists only because usage was asked for: `choices` is an empty
/// list and `usage` an object.
pub(crate) fn usage_only(data: &[u8]) -> bool {
    let Ok(frame) = serde_json::from_slice::<Frame<'_>>(data) else {
        return false;
    };
    let has_no_choice = frame.choices.is_some_and(|choices| {
        serde_json::from_str::<Vec<IgnoredAny>>(choices.get()).is_ok_and(|list| list.is_empty())
    });
    has_no_choice
        && frame
            .usage
            .is_some_and(|usage| usage.get().starts_with('{'))
}

/// Which of the words that matter after the commit occur in some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mentions {
    /// `"usage"` with a value other than null: parse it.
    pub usage: bool,
    /// `error`, as a key, a name, or just a word of the answer: ask [`see`].
    pub error: bool,
}

/// Searches one event, or many at once. A false hit costs a parse, a miss is impossible.
pub(crate) fn mentions(bytes: &[u8]) -> Mentions {
    static USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"usage\""));
    // Without quotes: it must also find the line `event: error`.
    static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("error"));
    // OpenAI puts `"usage":null` into every frame, so null must not cost a parse each time.
    let is_written = |at: usize| {
        let rest = bytes
            .get(at + USAGE.needle().len()..)
            .unwrap_or_default()
            .trim_ascii_start();
        let value = rest.strip_prefix(b":").unwrap_or(rest).trim_ascii_start();
        !value.starts_with(b"null")
    };
    Mentions {
        usage: USAGE.find_iter(bytes).any(is_written),
        error: ERROR.find(bytes).is_some(),
    }
}

/// Those members of a frame that decide; their values are looked at only if needed.
#[derive(serde::Deserialize)]
struct Frame<'a> {
    #[serde(default)]
    error: Filled,
    #[serde(borrow)]
    choices: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(serde::Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    #[serde(default)]
    text: Filled,
    #[serde(default)]
    finish_reason: Filled,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Delta {
    content: Filled,
    reasoning_content: Filled,
    reasoning: Filled,
    refusal: Filled,
    tool_calls: Filled,
    function_call: Filled,
    audio: Filled,
}

impl Delta {
    fn says_something(self) -> bool {
        [
            self.content,
            self.reasoning_content,
            self.reasoning,
            self.refusal,
            self.tool_calls,
            self.function_call,
            self.audio,
        ]
        .iter()
        .any(|field| field.0)
    }
}

fn judge_choices(operation: Operation, data: &[u8]) -> Seen {
    if !data.trim_ascii_start().starts_with(b"{") {
        return Seen::Garbage;
    }
    let frame = match serde_json::from_slice::<Frame<'_>>(data) {
        Ok(frame) => frame,
        Err(error) if error.is_data() => return Seen::Preamble,
        Err(_) => return Seen::Garbage,
    };
    if frame.error.0 {
        return Seen::Error;
    }
    let says_something = |choice: Choice<'_>| {
        let content = match operation {
            Operation::Chat => choice
                .delta
                .and_then(object::<Delta>)
                .is_some_and(Delta::says_something),
            _ => choice.text.0,
        };
        content || choice.finish_reason.0
    };
    if choices(&frame)
        .into_iter()
        .filter_map(object::<Choice<'_>>)
        .any(says_something)
    {
        Seen::Content
    } else {
        Seen::Preamble
    }
}

/// What the list `choices` holds; nothing if it is no list.
fn choices<'a>(frame: &Frame<'a>) -> Vec<&'a RawValue> {
    frame
        .choices
        .and_then(|list| serde_json::from_str(list.get()).ok())
        .unwrap_or_default()
}

/// Reads an object. serde would take a list for it too, its items in the order of our fields.
fn object<'a, T: Deserialize<'a>>(written: &'a RawValue) -> Option<T> {
    let text = Some(written.get()).filter(|text| text.starts_with('{'))?;
    serde_json::from_str(text).ok()
}

fn says_error(data: &[u8]) -> bool {
    data.trim_ascii_start().starts_with(b"{")
        && serde_json::from_slice::<Frame<'_>>(data).is_ok_and(|frame| frame.error.0)
}

fn ends_response(data: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Typed<'a> {
        #[serde(rename = "type", borrow)]
        kind: Option<&'a RawValue>,
    }
    let Ok(Typed { kind: Some(kind) }) = serde_json::from_slice::<Typed<'_>>(data) else {
        return false;
    };
    let ends = [
        "\"response.completed\"",
        "\"response.failed\"",
        "\"response.incomplete\"",
    ];
    ends.contains(&kind.get())
}

/// Whether a value says anything: not null, not `""`, not `[]`, not `{}`.
#[derive(Default)]
struct Filled(bool);

impl<'de> Deserialize<'de> for Filled {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FilledVisitor).map(Filled)
    }
}

struct FilledVisitor;

impl<'de> Visitor<'de> for FilledVisitor {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<bool, E> {
        Ok(!text.is_empty())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<bool, A::Error> {
        let mut is_filled = false;
        while list.next_element::<IgnoredAny>()?.is_some() {
            is_filled = true;
        }
        Ok(is_filled)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let mut is_filled = false;
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            is_filled = true;
        }
        Ok(is_filled)
    }
}

#[cfg(test)]
mod tests;
