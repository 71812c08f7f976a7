//! The stored form of documents never changes by accident.
//!
//! `golden/<kind>-<minimal|full|other>.json` is a document as it lies in the store. Each must read back
//! and print to the very same bytes. `UPDATE_GOLDEN=1` rewrites what differs; then look at the
//! difference: it is a change that older routers will read.

use std::{env, fmt::Debug, fs, path::PathBuf};

use prost_reflect::{DescriptorPool, Kind, MessageDescriptor};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use serin_proto::{v1, yaml};

/// Documents of each kind: the minimal one, the full one, sometimes another.
const DOCUMENTS: &str = include_str!("golden/documents.yaml");

#[test]
fn the_stored_form_is_pinned() {
    let file = documents();
    pin("provider", &file.providers);
    pin("route", &file.routes);
    pin("key", &file.keys);
    pin("tier", &file.tiers);
    pin("rollout", &file.rollouts);
    pin(
        "server",
        &[
            v1::Server::default(),
            file.server.expect("the file has a server block"),
        ],
    );
    pin("token", &tokens());
}

/// No file holds a store's tokens.
fn tokens() -> [v1::Token; 2] {
    let digest = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8";
    let minimal = v1::Token {
        role: "viewer".to_owned(),
        sha256: digest.to_owned(),
        ..v1::Token::default()
    };
    let full = v1::Token {
        role: "admin".to_owned(),
        expires_at: "2027-01-01T00:00:00Z".to_owned(),
        ..minimal.clone()
    };
    [minimal, full]
}

/// Or the golden files would not pin every field there is.
#[test]
fn the_documents_set_every_field() {
    let file = serde_json::to_value(documents()).unwrap();
    let bytes: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
    let pool = DescriptorPool::decode(bytes).unwrap();
    let message = pool.get_message_by_name("serin.v1.File").unwrap();
    // Not built yet, so that a file which sets it is refused.
    let expected = ["/server/tls", "/server/controlPlane/tls"];
    assert_eq!(unset(&[&file], &message, ""), expected);
    let [_, token] = tokens().map(|token| serde_json::to_value(token).unwrap());
    let message = pool.get_message_by_name("serin.v1.Token").unwrap();
    assert_eq!(unset(&[&token], &message, ""), [""; 0]);
}

fn documents() -> v1::File {
    yaml::read("documents.yaml", DOCUMENTS)
        .unwrap_or_else(|faults| panic!("{faults:#?}"))
        .file
}

fn pin<T: Serialize + DeserializeOwned + PartialEq + Debug>(kind: &str, documents: &[T]) {
    assert!(documents.len() >= 2, "a minimal and a full {kind}");
    for (size, document) in ["minimal", "full", "other"].iter().zip(documents) {
        let printed = serde_json::to_string_pretty(document).expect("documents print") + "\n";
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join(format!("tests/golden/{kind}-{size}.json"));
        if env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, &printed).expect("the golden folder is writable");
        }
        let stored = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(stored, printed, "{} differs", path.display());
        let read_back: T = serde_json::from_str(&stored).expect("it was printed by us");
        assert_eq!(
            &read_back,
            document,
            "{} reads back as another document",
            path.display()
        );
    }
}

/// Fields that none of `values`, all of them this message, sets.
fn unset(values: &[&Value], message: &MessageDescriptor, path: &str) -> Vec<String> {
    let mut missing = Vec::new();
    for field in message.fields() {
        let here = format!("{path}/{}", field.json_name());
        let set: Vec<&Value> = values
            .iter()
            .filter_map(|v| v.get(field.json_name()))
            .collect();
        if set.is_empty() {
            missing.push(here);
        } else if let (Kind::Message(inner), false) = (field.kind(), field.is_map()) {
            let items: Vec<&Value> = set.into_iter().flat_map(elements).collect();
            missing.extend(unset(&items, &inner, &here));
        }
    }
    missing
}

/// Of a list its elements, of anything else itself.
fn elements(value: &Value) -> Vec<&Value> {
    value
        .as_array()
        .map_or(vec![value], |list| list.iter().collect())
}
