//! Fields of a body that only some routes ask for, as a second pass.
//!
//! A route whose `affinity` names a body field, or `conversation`, pays for reading it; the others
//! do not. Whatever is not as expected counts as absent: an affinity never refuses a request.
//! Not here: the fields every request needs (`parse.rs`), the choice between them
//! (`pick/affinity.rs`).

use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::members::{self, unescape};

/// How much of a conversation's beginning identifies it, in bytes: half for the system prompt,
/// half for the first user message, so that a long system prompt, which many conversations share,
/// does not crowd out what tells them apart.
pub(crate) const OPENING_BYTES_MAX: usize = 4096;

/// A string (unescaped) or a number (as written) of the body's top level; of several the last.
pub(crate) fn field(body: &[u8], name: &str) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let mut found = None;
    members::each(text, |key, value| {
        if key == name {
            found = Some(value);
        }
    })
    .ok()?;
    scalar(found?)
}

/// The same for a value whose place is known, such as `Shallow::user_span`.
pub(crate) fn at(body: &[u8], span: Range<usize>) -> Option<String> {
    scalar(std::str::from_utf8(body.get(span)?).ok()?)
}

/// How a conversation begins: its system prompt and its first user message, as written, together
/// at most [`OPENING_BYTES_MAX`]; `input` or `prompt` where there are no messages.
pub(crate) fn opening(body: &[u8]) -> Option<Vec<u8>> {
    let talk: Talk<'_> = serde_json::from_slice(body).ok()?;
    let Some(messages) = talk.messages else {
        let stand_in = talk.input.or(talk.prompt)?.get();
        return Some(beginning(stand_in, OPENING_BYTES_MAX).to_vec());
    };
    let messages: Vec<Message<'_>> = serde_json::from_str(messages.get()).ok()?;
    let first = |roles: [&str; 2]| {
        let of_role =
            |message: &&Message<'_>| message.role.is_some_and(|role| roles.contains(&role.get()));
        messages
            .iter()
            .find(of_role)
            .and_then(|message| message.content)
            .map(RawValue::get)
    };
    let user = first(["\"user\"", "\"user\""])?;
    let system = first(["\"system\"", "\"developer\""]).unwrap_or_default();
    let half = OPENING_BYTES_MAX / 2;
    Some([beginning(system, half), beginning(user, half)].concat())
}

/// The members that can identify a conversation.
#[derive(Deserialize)]
struct Talk<'a> {
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    prompt: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    role: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

fn scalar(literal: &str) -> Option<String> {
    let is_number = literal.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    let value = if is_number {
        literal.into()
    } else {
        unescape(literal)?
    };
    (!value.is_empty()).then(|| value.into_owned())
}

fn beginning(text: &str, bytes_max: usize) -> &[u8] {
    let bytes = text.as_bytes();
    bytes.get(..bytes_max).unwrap_or(bytes)
}

#[cfg(test)]
mod tests;
