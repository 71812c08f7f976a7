//! A message as JSON Schema (2020-12), for the API's document.
//!
//! The descriptors that the strict reading walks are walked here too, so what is told and what is
//! taken cannot differ: same names, same types, no other fields. A comment in a `.proto` is the
//! description. What values mean (a duration, a share) is for `validate`, not for a schema.

use std::collections::BTreeMap;

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor, prost_types::FileDescriptorProto};
use serde_json::{Map, Value as Json, json};

use crate::json::POOL;

/// The schemas of the named messages (`Route`) and of all they hold, by name. They refer to each
/// other as `{references}/<name>`. An unknown name gives nothing.
pub fn schemas(messages: &[&str], references: &str) -> BTreeMap<String, Json> {
    let mut waiting: Vec<MessageDescriptor> = messages
        .iter()
        .filter_map(|name| POOL.get_message_by_name(&format!("serin.v1.{name}")))
        .collect();
    let mut schemas = BTreeMap::new();
    // Ends: each message is described once, and there are finitely many.
    while let Some(message) = waiting.pop() {
        if schemas.contains_key(message.name()) {
            continue;
        }
        let held = message.fields().filter_map(|field| held(&field));
        waiting.extend(held);
        schemas.insert(message.name().to_owned(), schema(&message, references));
    }
    schemas
}

/// The message that a field holds, be it alone, in a list or in a map.
fn held(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    let kind = if field.is_map() {
        field.kind().as_message()?.map_entry_value_field().kind()
    } else {
        field.kind()
    };
    kind.as_message().cloned()
}

fn schema(message: &MessageDescriptor, references: &str) -> Json {
    let properties: Map<String, Json> = message
        .fields()
        .map(|field| {
            let parent = field.parent_message();
            let comment = comment(field.path(), parent.parent_file_descriptor_proto());
            let property = described(property(&field, references), comment);
            (field.json_name().to_owned(), property)
        })
        .collect();
    let object = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    let comment = comment(message.path(), message.parent_file_descriptor_proto());
    described(object, comment)
}

fn property(field: &FieldDescriptor, references: &str) -> Json {
    if field.is_map() {
        let value = field
            .kind()
            .as_message()
            .map(|entry| single(&entry.map_entry_value_field().kind(), references));
        return json!({ "type": "object", "additionalProperties": value });
    }
    let one = single(&field.kind(), references);
    if field.is_list() {
        json!({ "type": "array", "items": one })
    } else {
        one
    }
}

fn single(kind: &Kind, references: &str) -> Json {
    match kind {
        Kind::Message(message) => json!({ "$ref": format!("{references}/{}", message.name()) }),
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Uint32 => json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
        Kind::Double => json!({ "type": "number" }),
        _ => json!({ "type": "string" }),
    }
}

fn described(mut schema: Json, comment: Option<String>) -> Json {
    if let (Json::Object(object), Some(comment)) = (&mut schema, comment) {
        object.insert("description".to_owned(), Json::from(comment));
    }
    schema
}

/// What the `.proto` says above a message or a field.
fn comment(path: &[i32], file: &FileDescriptorProto) -> Option<String> {
    let location = file
        .source_code_info
        .as_ref()?
        .location
        .iter()
        .find(|location| location.path == path)?;
    let text = location.leading_comments.as_deref()?;
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    Some(lines.join(" ").trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_has_the_names_types_and_words_of_the_proto_and_all_it_refers_to() {
        let schemas = schemas(&["Route"], "#/schemas");
        let expected = json!({
            "type": "object",
            "description": "Provider and model inside a route.",
            "properties": {
                "name": { "type": "string" },
                "provider": { "type": "string" },
                "model": { "type": "string" },
                "price": { "$ref": "#/schemas/Price" },
                "maxConcurrency": { "type": "integer", "minimum": 0, "maximum": u32::MAX },
            },
            "additionalProperties": false,
        });
        assert_eq!(schemas["Target"], expected);
        assert_eq!(
            schemas["Traffic"]["properties"]["weights"],
            json!({
                "type": "object",
                "additionalProperties": { "type": "number" },
                "description": "Percent by target name, at most two decimals, summing to exactly 100.",
            })
        );
        assert_eq!(
            schemas["Route"]["properties"]["aliases"],
            json!({ "type": "array", "items": { "type": "string" } })
        );
        let names: Vec<&str> = schemas.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "Breaker",
                "Cache",
                "Health",
                "Price",
                "Retry",
                "Route",
                "RouteTimeouts",
                "Target",
                "Traffic",
                "TrafficRollout"
            ]
        );
    }

    #[test]
    fn a_message_that_is_not_there_has_no_schema() {
        assert!(super::schemas(&["Nothing"], "").is_empty());
    }
}
