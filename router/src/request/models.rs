//! `GET /v1/models`: the names a caller may use, aliases included, in OpenAI's shape.

use serde::Serialize;

use crate::{auth::Caller, route::Table};

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Model<'a>>,
}

#[derive(Serialize)]
struct Model<'a> {
    id: &'a str,
    object: &'static str,
    /// Documents do not say when they were made.
    created: u64,
    owned_by: &'static str,
}

/// All of them.
pub(super) fn list(table: &Table, caller: Option<&Caller>) -> String {
    let data = table.names(caller).map(model).collect();
    json(&List {
        object: "list",
        data,
    })
}

/// One of them; `id` as it stood in the path. `None`: there is none of that name for this caller.
pub(super) fn one(table: &Table, caller: Option<&Caller>, id: &str) -> Option<String> {
    let id = percent_decoded(id)?;
    let found = table.names(caller).find(|name| *name == id)?;
    Some(json(&model(found)))
}

fn model(id: &str) -> Model<'_> {
    Model {
        id,
        object: "model",
        created: 0,
        owned_by: "serin",
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("strings and numbers are always JSON")
}

/// SDKs write `openai/gpt-4` as `openai%2Fgpt-4`.
pub(super) fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let decoded = if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            let (high, low) = (digit(rest.next())?, digit(rest.next())?);
            u8::try_from(high * 16 + low).ok()?
        } else {
            byte
        };
        bytes.push(decoded);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_decoded_and_junk_is_none() {
        let table = [
            ("gpt-4.1", Some("gpt-4.1")),
            ("openai%2Fgpt-4", Some("openai/gpt-4")),
            ("a%2", None),
            ("a%zz", None),
            ("%ff", None),
        ];
        for (text, decoded) in table {
            assert_eq!(percent_decoded(text).as_deref(), decoded, "{text}");
        }
    }
}
