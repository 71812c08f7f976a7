//! A JSON text as the tree that the strict reading walks, each value with its line and column.
//!
//! Strict JSON, no YAML: what lies in a store is read by programs of many kinds. Repeated keys stay
//! in the tree, so that each is told. Nesting is counted here, since serde_json counts none where
//! it skips. A key has the place of its value.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{
    fault::{Fault, Pointer},
    tree::{Entry, Node, Place, Value},
};

/// Deepest nesting of lists and maps: a document needs 7, and reading recurses.
const DEPTH_MAX: usize = 16;

/// Reads a whole text.
///
/// # Errors
/// The first thing that is no JSON. No message repeats a piece of the text.
pub(crate) fn parse(json: &[u8]) -> Result<Node, Fault> {
    let text = str::from_utf8(json)
        .map_err(|_| Fault::new(&Pointer::root(), "syntax", "not valid JSON: it is no UTF-8"))?;
    let whole: &RawValue = serde_json::from_str(text).map_err(|error| {
        let shown = error.to_string();
        let words = shown.split(" at line ").next().unwrap_or_default();
        let place = place_of(text, error.line(), error.column());
        syntax(place, &format!("not valid JSON: {words}"))
    })?;
    let mut reader = Reader {
        text,
        offset: 0,
        place: Place { line: 1, column: 1 },
    };
    reader.node(whole, 0)
}

struct Reader<'a> {
    text: &'a str,
    /// How far lines and columns were counted, in bytes, and where that is.
    offset: usize,
    place: Place,
}

impl<'a> Reader<'a> {
    fn node(&mut self, raw: &'a RawValue, depth: usize) -> Result<Node, Fault> {
        let json = raw.get();
        let place = self.place_of(json);
        if depth == DEPTH_MAX && json.starts_with(['{', '[']) {
            let message = format!("lists and maps are nested deeper than {DEPTH_MAX}");
            return Err(syntax(place, &message));
        }
        // The text is JSON, so only what JSON says and Rust cannot hold is left to fail.
        let unreadable = |_| {
            syntax(
                place,
                "not valid JSON: a text has an escape that is no character",
            )
        };
        let value = match json.as_bytes().first() {
            Some(b'{') => {
                let members: Members<'a> = serde_json::from_str(json).map_err(unreadable)?;
                let entry = |(key, raw)| {
                    let node = self.node(raw, depth + 1)?;
                    Ok(Entry {
                        key,
                        place: node.place,
                        node,
                    })
                };
                Value::Map(
                    members
                        .0
                        .into_iter()
                        .map(entry)
                        .collect::<Result<_, Fault>>()?,
                )
            }
            Some(b'[') => {
                let items: Vec<&'a RawValue> = serde_json::from_str(json).map_err(unreadable)?;
                let item = |raw| self.node(raw, depth + 1);
                Value::List(items.into_iter().map(item).collect::<Result<_, Fault>>()?)
            }
            Some(b'"') => Value::Text(serde_json::from_str(json).map_err(unreadable)?),
            Some(b't' | b'f') => Value::Bool(json == "true"),
            Some(b'n') => Value::Null,
            _ => number(json),
        };
        Ok(Node { value, place })
    }

    /// Where `piece`, a part of the text, begins. Pieces are asked for in the order of the text, so
    /// each character is counted once.
    fn place_of(&mut self, piece: &str) -> Place {
        let offset = (piece.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        for c in self
            .text
            .get(self.offset..offset)
            .unwrap_or_default()
            .chars()
        {
            if c == '\n' {
                self.place.line = self.place.line.saturating_add(1);
                self.place.column = 1;
            } else {
                self.place.column = self.place.column.saturating_add(1);
            }
        }
        self.offset = self.offset.max(offset);
        self.place
    }
}

/// A whole number where one was written, so that `1.0` is none.
fn number(json: &str) -> Value {
    match json.parse() {
        Ok(whole) => Value::Integer(whole),
        // What no double can hold is infinite, and refused where a number is needed.
        Err(_) => Value::Float(json.parse().unwrap_or(f64::INFINITY)),
    }
}

fn syntax(place: Place, message: &str) -> Fault {
    let mut fault = Fault::new(&Pointer::root(), "syntax", message);
    fault.line = Some(place.line);
    fault.column = Some(place.column);
    fault
}

/// From serde_json's line and column, which counts bytes.
fn place_of(text: &str, line: usize, column: usize) -> Place {
    let before = text
        .split('\n')
        .nth(line.saturating_sub(1))
        .and_then(|line| line.as_bytes().get(..column.saturating_sub(1)))
        .unwrap_or_default();
    // A character is counted at its first byte.
    let characters = before.iter().filter(|byte| **byte & 0xc0 != 0x80).count();
    let clip = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Place {
        line: clip(line.max(1)),
        column: clip(characters).saturating_add(1),
    }
}

/// The members of an object in their order, repeated ones too.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = entries.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests;
