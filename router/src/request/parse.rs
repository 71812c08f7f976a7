//! What does the router need to know of a body, and where do those bytes lie?
//!
//! One pass over the JSON: the members that decide are kept, all else is skipped and never built.
//! The body is not changed and not written again; spans say where `provider/splice.rs` may cut.
//!
//! Always: what is authorised here is what the provider will read. Keys are compared unescaped, a
//! second `model` or `stream` is refused, and so is a key that equals one of them but for case:
//! some providers match keys without case and would run another model than the one we checked.
//! Nesting is counted before anything is parsed.
//! Not here: reading the body off the wire (`incoming.rs`); its other fields (`fields.rs`).

use std::ops::Range;

use memchr::{memchr_iter, memchr2};

use super::members::{self, Fault, span_in, unescape};

/// How deep `[` and `{` may nest.
pub(crate) const DEPTH_MAX: usize = 128;

/// The longest model name, in bytes, unescaped.
pub(crate) const MODEL_BYTES_MAX: usize = 256;

/// What one pass found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shallow {
    /// Unescaped, 1 to [`MODEL_BYTES_MAX`] bytes.
    pub model: String,
    /// Where its JSON string lies in the body, quotes included.
    pub model_span: Range<usize>,
    /// Whether the caller asked for a stream.
    pub stream: bool,
    /// Whether the caller asked for usage in the stream, and if not, how to ask.
    pub usage: UsageAsked,
    /// The largest of `max_tokens`, `max_completion_tokens`, `max_output_tokens`.
    pub max_tokens: Option<u64>,
    /// Where the value of `user` lies in the body, whatever its type (`fields::at` reads it).
    pub user_span: Option<Range<usize>>,
}

/// How a body stands to `stream_options.include_usage`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UsageAsked {
    /// It is true already.
    Yes,
    /// Putting `text` in place of the bytes `at` makes it true and changes nothing else.
    No {
        at: Range<usize>,
        text: &'static str,
    },
    /// `stream_options` is neither an object nor null: the provider will refuse it.
    Unaskable,
}

/// Why a body cannot be used. `Display` is for the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("the body is not valid UTF-8")]
    NotUtf8,
    #[error("the body nests deeper than {DEPTH_MAX}")]
    TooDeep,
    #[error("the body is not valid JSON")]
    NotJson,
    #[error("the body is JSON, but not an object")]
    NotObject,
    #[error("something follows the JSON object")]
    Trailing,
    #[error("there is no model")]
    NoModel,
    #[error("model is not a string of 1 to {MODEL_BYTES_MAX} bytes")]
    BadModel,
    #[error("stream is neither a boolean nor null")]
    BadStream,
    #[error("model or stream is there twice")]
    Duplicate,
    #[error("a key differs from model or stream only in case")]
    CaseTwin,
}

impl Unreadable {
    /// What the caller is told.
    pub(crate) fn public_message(self) -> &'static str {
        match self {
            Self::NotUtf8 => "The request body is not valid UTF-8.",
            Self::TooDeep => "The request body is nested too deeply (at most 128 levels).",
            Self::NotJson => "The request body could not be parsed as JSON.",
            Self::NotObject => "The request body must be a JSON object.",
            Self::Trailing => "The request body must be one JSON object with nothing after it.",
            Self::NoModel => "You must provide a model parameter.",
            Self::BadModel => "The model parameter must be a string of 1 to 256 bytes.",
            Self::BadStream => "The stream parameter must be a boolean.",
            Self::Duplicate => "The model and stream parameters may each be given only once.",
            Self::CaseTwin => "Parameter names are case-sensitive: use \"model\" and \"stream\".",
        }
    }

    /// Which parameter is at fault (`param` of the error), if one is.
    pub(crate) fn param(self) -> Option<&'static str> {
        match self {
            Self::NoModel | Self::BadModel => Some("model"),
            Self::BadStream => Some("stream"),
            _ => None,
        }
    }
}

impl From<Fault> for Unreadable {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::NotJson => Self::NotJson,
            Fault::NotObject => Self::NotObject,
            Fault::Trailing => Self::Trailing,
        }
    }
}

/// Reads a body. About 1 µs for 2 KB.
pub(crate) fn shallow(body: &[u8]) -> Result<Shallow, Unreadable> {
    let text = std::str::from_utf8(body).map_err(|_| Unreadable::NotUtf8)?;
    if is_too_deep(body) {
        return Err(Unreadable::TooDeep);
    }
    let mut found = Found::default();
    members::each(text, |key, value| found.take(key, value))?;
    if let Some(fault) = found.fault {
        return Err(fault);
    }
    let literal = found.model.ok_or(Unreadable::NoModel)?;
    let model = unescape(literal).ok_or(Unreadable::BadModel)?;
    if model.is_empty() || model.len() > MODEL_BYTES_MAX {
        return Err(Unreadable::BadModel);
    }
    Ok(Shallow {
        model: model.into_owned(),
        model_span: span_in(text, literal),
        stream: is_stream(found.stream)?,
        usage: usage_asked(text, found.stream_options),
        max_tokens: found.max_tokens,
        user_span: found.user.map(|user| span_in(text, user)),
    })
}

/// The members that decide, as written.
#[derive(Default)]
struct Found<'a> {
    model: Option<&'a str>,
    stream: Option<&'a str>,
    stream_options: Option<&'a str>,
    user: Option<&'a str>,
    max_tokens: Option<u64>,
    /// The first one.
    fault: Option<Unreadable>,
}

impl<'a> Found<'a> {
    fn take(&mut self, key: &str, value: &'a str) {
        match key {
            "model" => self.is_second(|found| found.model.replace(value)),
            "stream" => self.is_second(|found| found.stream.replace(value)),
            // Of other duplicates the last one counts, as it does for nearly every parser.
            "stream_options" => self.stream_options = Some(value),
            "user" => self.user = Some(value),
            "max_tokens" | "max_completion_tokens" | "max_output_tokens" => {
                self.max_tokens = self.max_tokens.max(value.parse().ok());
            }
            _ if key.eq_ignore_ascii_case("model") || key.eq_ignore_ascii_case("stream") => {
                self.fault.get_or_insert(Unreadable::CaseTwin);
            }
            _ => {}
        }
    }

    fn is_second(&mut self, put: impl FnOnce(&mut Self) -> Option<&'a str>) {
        if put(self).is_some() {
            self.fault.get_or_insert(Unreadable::Duplicate);
        }
    }
}

fn is_stream(value: Option<&str>) -> Result<bool, Unreadable> {
    match value {
        Some("true") => Ok(true),
        None | Some("false" | "null") => Ok(false),
        Some(_) => Err(Unreadable::BadStream),
    }
}

fn usage_asked(text: &str, options: Option<&str>) -> UsageAsked {
    let Some(options) = options else {
        // Right behind the brace that opens the body; `model` follows, so the comma is right.
        let open = text.find('{').map_or(0, |at| at + 1);
        return put(open..open, "\"stream_options\":{\"include_usage\":true},");
    };
    let span = span_in(text, options);
    if options == "null" {
        return put(span, "{\"include_usage\":true}");
    }
    let mut is_empty = true;
    let mut include_usage = None;
    let members = members::each(options, |key, value| {
        is_empty = false;
        if key == "include_usage" {
            include_usage = Some(value);
        }
    });
    let open = span.start + 1;
    match include_usage {
        _ if members.is_err() => UsageAsked::Unaskable,
        Some("true") => UsageAsked::Yes,
        Some(value) => put(span_in(text, value), "true"),
        None if is_empty => put(open..open, "\"include_usage\":true"),
        None => put(open..open, "\"include_usage\":true,"),
    }
}

fn put(at: Range<usize>, text: &'static str) -> UsageAsked {
    UsageAsked::No { at, text }
}

/// Two counts settle nearly every body; only one with many brackets is looked at closely.
fn is_too_deep(body: &[u8]) -> bool {
    let opened = memchr_iter(b'[', body).count() + memchr_iter(b'{', body).count();
    opened > DEPTH_MAX && deepest(body) > DEPTH_MAX
}

/// How deep brackets nest outside strings. On text that is no JSON the answer means nothing, and
/// the parser will say so.
fn deepest(body: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut rest = body;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => rest = after_string(after),
            _ => {}
        }
    }
    deepest
}

/// What follows the string whose opening quote was just passed.
fn after_string(mut rest: &[u8]) -> &[u8] {
    while let Some(at) = memchr2(b'"', b'\\', rest) {
        let is_escape = rest.get(at) == Some(&b'\\');
        rest = rest
            .get(at + 1 + usize::from(is_escape)..)
            .unwrap_or_default();
        if !is_escape {
            return rest;
        }
    }
    &[]
}

#[cfg(test)]
mod tests;
