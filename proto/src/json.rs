//! The strict reading: a tree of values against the descriptor of the message it should be.
//!
//! Unknown fields, repeated keys and values of the wrong type are faults, each with its place and a
//! way out; all are found, not only the first. What remains is plain proto3 JSON, ready to decode.
//! pbjson alone would not do: it takes `"5"` for a number and stops at the first fault.
//!
//! `null` means absent, as the proto3 JSON mapping says, but not inside a list.
//!
//! Who reads a store is tolerant in one thing: fields that a newer program wrote are counted, not
//! refused. All else is the same, so a value is judged alike wherever it comes from.

mod text;

use std::{collections::HashMap, sync::LazyLock};

use prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Number, Value as Json};

use crate::{
    fault::{FAULTS_MAX, Fault, Pointer},
    suggest::nearest,
    tree::{Entry, Node, Place, Value},
};

pub(crate) static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin")).as_slice())
        .expect("build.rs wrote these bytes from the same protos")
});

pub(crate) use text::parse;

/// Reads `node` as the message of that full name (`serin.v1.File`). The JSON lacks whatever is in
/// the faults.
pub(crate) fn strict(node: &Node, message: &str) -> (Json, Vec<Fault>) {
    let mut reading = Reading {
        faults: Vec::new(),
        skipped: None,
    };
    let json = reading.all(node, message);
    // In the order of the text, though repeated keys are found before what they hold.
    reading
        .faults
        .sort_by_key(|fault| (fault.line, fault.column));
    (json, reading.faults)
}

/// As [`strict`], but fields that are not known are skipped; how many is the last value.
pub(crate) fn tolerant(node: &Node, message: &str) -> (Json, Vec<Fault>, u64) {
    let mut reading = Reading {
        faults: Vec::new(),
        skipped: Some(0),
    };
    let json = reading.all(node, message);
    (json, reading.faults, reading.skipped.unwrap_or_default())
}

struct Reading {
    faults: Vec<Fault>,
    /// Unknown fields so far; `None` where they are faults.
    skipped: Option<u64>,
}

impl Reading {
    fn all(&mut self, node: &Node, message: &str) -> Json {
        let descriptor = POOL
            .get_message_by_name(message)
            .expect("callers name messages of this crate's protos");
        self.message(node, &descriptor, &Pointer::root())
            .unwrap_or_else(|| Json::Object(Map::new()))
    }

    fn message(&mut self, node: &Node, message: &MessageDescriptor, at: &Pointer) -> Option<Json> {
        let entries = self.map(node, at)?;
        let mut object = Map::new();
        for entry in self.unrepeated(entries, at) {
            let here = at.key(&entry.key);
            let field = message
                .fields()
                .find(|field| field.json_name() == entry.key);
            let Some(field) = field else {
                if let Some(skipped) = &mut self.skipped {
                    *skipped += 1;
                    continue;
                }
                if self.faults.len() == FAULTS_MAX {
                    break;
                }
                let text = unknown_field(&entry.key, message);
                self.fault(&here, entry.place, "unknown_field", text);
                continue;
            };
            if let Some(json) = self.field(&entry.node, &field, &here) {
                object.insert(entry.key.clone(), json);
            }
        }
        Some(Json::Object(object))
    }

    fn field(&mut self, node: &Node, field: &FieldDescriptor, at: &Pointer) -> Option<Json> {
        if matches!(node.value, Value::Null) {
            return None;
        }
        if field.is_map() {
            return self.string_map(node, field, at);
        }
        if !field.is_list() {
            return self.single(node, &field.kind(), at);
        }
        let Value::List(items) = &node.value else {
            let text = format!("needs a list, found {}: put it in [ ]", node.value.kind());
            self.fault(at, node.place, "wrong_type", text);
            return None;
        };
        let read = |(i, item)| self.single(item, &field.kind(), &at.at(i));
        // An element that is refused keeps its index, so that later pointers stay right.
        Some(
            items
                .iter()
                .enumerate()
                .map(read)
                .map(|json| json.unwrap_or_else(|| default(field)))
                .collect(),
        )
    }

    fn string_map(&mut self, node: &Node, field: &FieldDescriptor, at: &Pointer) -> Option<Json> {
        let Kind::Message(entry_message) = field.kind() else {
            return None;
        };
        let value_kind = entry_message.map_entry_value_field().kind();
        let entries = self.map(node, at)?;
        let mut object = Map::new();
        for entry in self.unrepeated(entries, at) {
            let here = at.key(&entry.key);
            if let Some(json) = self.single(&entry.node, &value_kind, &here) {
                object.insert(entry.key.clone(), json);
            }
        }
        Some(Json::Object(object))
    }

    fn single(&mut self, node: &Node, kind: &Kind, at: &Pointer) -> Option<Json> {
        let (needed, hint) = match (kind, &node.value) {
            (Kind::Message(message), _) => return self.message(node, message, at),
            (Kind::String, Value::Text(text)) => return Some(Json::from(text.as_str())),
            (Kind::Bool, Value::Bool(value)) => return Some(Json::from(*value)),
            (Kind::Uint32, Value::Integer(number)) => return self.whole(*number, node, at),
            (Kind::Double, Value::Integer(number)) => return self.number(*number as f64, node, at),
            (Kind::Double, Value::Float(number)) => return self.number(*number, node, at),
            (Kind::String, Value::Integer(_) | Value::Float(_) | Value::Bool(_)) => {
                ("text", ": put it in quotes, a time with its unit (\"5s\")")
            }
            (Kind::String, _) => ("text", ""),
            (Kind::Bool, _) => ("true or false", ", without quotes"),
            (Kind::Uint32, Value::Text(_)) => ("a whole number", ": write digits without quotes"),
            (Kind::Uint32, _) => ("a whole number", ""),
            (_, Value::Text(_)) => ("a number", ": write it without quotes"),
            _ => ("a number", ""),
        };
        let text = format!("needs {needed}, found {}{hint}", node.value.kind());
        self.fault(at, node.place, "wrong_type", text);
        None
    }

    fn whole(&mut self, number: i128, node: &Node, at: &Pointer) -> Option<Json> {
        if let Ok(number) = u32::try_from(number) {
            return Some(Json::from(number));
        }
        let text = format!("{number} is outside 0 to {}", u32::MAX);
        self.fault(at, node.place, "out_of_range", text);
        None
    }

    fn number(&mut self, number: f64, node: &Node, at: &Pointer) -> Option<Json> {
        let finite = Number::from_f64(number).map(Json::Number);
        if finite.is_none() {
            self.fault(at, node.place, "out_of_range", "must be a finite number");
        }
        finite
    }

    fn map<'a>(&mut self, node: &'a Node, at: &Pointer) -> Option<&'a [Entry]> {
        if let Value::Map(entries) = &node.value {
            return Some(entries);
        }
        let text = format!("needs a map of fields, found {}", node.value.kind());
        self.fault(at, node.place, "wrong_type", text);
        None
    }

    /// The first entry of each key; each later one with the same key is a fault.
    fn unrepeated<'a>(&mut self, entries: &'a [Entry], at: &Pointer) -> Vec<&'a Entry> {
        let mut first_lines = HashMap::with_capacity(entries.len());
        let mut kept = Vec::with_capacity(entries.len());
        for entry in entries {
            if let Some(line) = first_lines.get(entry.key.as_str()) {
                let text = format!("is written twice, first on line {line}: remove one");
                self.fault(&at.key(&entry.key), entry.place, "duplicate_field", text);
            } else {
                first_lines.insert(entry.key.as_str(), entry.place.line);
                kept.push(entry);
            }
        }
        kept
    }

    fn fault(
        &mut self,
        at: &Pointer,
        place: Place,
        code: &'static str,
        message: impl Into<String>,
    ) {
        if self.faults.len() == FAULTS_MAX {
            return;
        }
        let mut fault = Fault::new(at, code, message);
        fault.line = Some(place.line);
        fault.column = Some(place.column);
        self.faults.push(fault);
    }
}

/// Fields of Flagger's `analysis` that people bring along, and what does their work here.
const NOT_HERE: [(&str, &str); 3] = [
    (
        "iterations",
        "there is no fixed number of checks: write steps",
    ),
    (
        "match",
        "there is no matching by header: write the route's affinity",
    ),
    (
        "mirror",
        "there is no mirrored stage: begin with a small weight",
    ),
];

fn unknown_field(name: &str, message: &MessageDescriptor) -> String {
    let not_here = NOT_HERE.iter().find(|(field, _)| *field == name);
    if let Some((_, instead)) = not_here
        && message.name() == "Analysis"
    {
        return format!("unknown field; {instead}");
    }
    let known: Vec<String> = message
        .fields()
        .map(|field| field.json_name().to_owned())
        .collect();
    match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => format!("unknown field; did you mean {near}?"),
        None => format!("unknown field; known here: {}", known.join(", ")),
    }
}

/// What stands in a list for an element that was refused.
fn default(field: &FieldDescriptor) -> Json {
    match field.kind() {
        Kind::Message(_) => Json::Object(Map::new()),
        Kind::String => Json::from(""),
        _ => Json::from(0),
    }
}
