//! The members of one JSON object, each with the bytes it was written in.
//!
//! serde_json walks the text once; a value is never built, only delimited. Keys come unescaped,
//! because that is how a provider will read them. No recursion, however deep a value nests.
//! Not here: which members matter (`parse.rs`, `fields.rs`).

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Why a text is not one JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    NotJson,
    /// JSON of another kind.
    NotObject,
    /// Something follows the object.
    Trailing,
}

/// Calls `take` with each key, unescaped, and its value as written, in order.
pub(super) fn each<'a>(text: &'a str, take: impl FnMut(&str, &'a str)) -> Result<(), Fault> {
    let mut json = serde_json::Deserializer::from_str(text);
    json.deserialize_map(Each { take }).map_err(|error| {
        // The walk asks for a type in one place only: at the top.
        if error.is_data() {
            Fault::NotObject
        } else {
            Fault::NotJson
        }
    })?;
    json.end().map_err(|_| Fault::Trailing)
}

/// Where `part` lies in `whole`, of which it must be a slice.
pub(super) fn span_in(whole: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr().addr() - whole.as_ptr().addr();
    debug_assert!(
        start + part.len() <= whole.len(),
        "the part is a slice of the whole"
    );
    start..start + part.len()
}

/// The string a JSON literal stands for; `None` if it is no string.
pub(super) fn unescape(literal: &str) -> Option<Cow<'_, str>> {
    let inner = literal.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return serde_json::from_str(literal).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}

struct Each<F> {
    take: F,
}

impl<'a, F: FnMut(&str, &'a str)> Visitor<'a> for Each<F> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some((Key(key), value)) = map.next_entry::<Key<'a>, &'a RawValue>()? {
            (self.take)(&key, value.get());
        }
        Ok(())
    }
}

/// Borrowed from the text unless it is escaped.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);
