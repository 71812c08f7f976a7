//! The committed OpenAPI document is the one that is served.

use std::{env, fs, path::Path};

use serde_json::Value;

use crate::{client::Request, stage::Stage};

#[test]
fn the_committed_document_is_current() {
    let stage = Stage::new();
    let served = stage.read("/api/v1/openapi.json").json();
    let printed = serde_json::to_string_pretty(&served).unwrap() + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &printed).expect("docs/ is writable");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == printed,
        "docs/openapi.json is old: UPDATE_GOLDEN=1 writes it anew"
    );
}

#[test]
fn whatever_it_refers_to_is_in_it() {
    let stage = Stage::new();
    let document = stage.read("/api/v1/openapi.json").json();
    let mut waiting = vec![&document];
    while let Some(value) = waiting.pop() {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(reference)) = fields.get("$ref") {
                    let pointer = reference.strip_prefix('#').unwrap_or_default();
                    assert!(document.pointer(pointer).is_some(), "{reference}");
                }
                waiting.extend(fields.values());
            }
            Value::Array(items) => waiting.extend(items),
            _ => {}
        }
    }
}

#[test]
fn its_examples_work() {
    let stage = Stage::new();
    let document = stage.read("/api/v1/openapi.json").json();
    let example = |method: &str, path: &str| {
        let operation = &document["paths"][path][method];
        let content = &operation["requestBody"]["content"]["application/json"];
        (
            operation["parameters"][0]["example"].clone(),
            content["example"].clone(),
        )
    };
    let (_, file) = example("post", "/api/v1/apply");
    let applied = stage.admin(Request::post("/api/v1/apply", &file));
    assert_eq!(applied.status, 200, "{}", applied.text());
    for path in [
        "/api/v1/providers/{name}",
        "/api/v1/tiers/{name}",
        "/api/v1/routes/{name}",
        "/api/v1/keys/{name}",
        "/api/v1/routes/{name}/traffic",
    ] {
        let (name, body) = example("put", path);
        let path = path.replace("{name}", name.as_str().unwrap());
        let put = stage.admin(Request::put(&path, &body).if_match("*"));
        assert_eq!(put.status, 200, "{path}: {}", put.text());
    }
    let (route, plan) = example("post", "/api/v1/routes/{name}/rollouts");
    let path = format!("/api/v1/routes/{}/rollouts", route.as_str().unwrap());
    let started = stage.admin(Request::post(&path, &plan));
    assert_eq!(started.status, 201, "{}", started.text());
    let (_, token) = example("put", "/api/v1/tokens/{name}");
    stage.write("/api/v1/tokens/ci", &token);
    let (_, reason) = example("post", "/api/v1/store/adopt");
    let adopted = stage.admin(Request::post("/api/v1/store/adopt", &reason));
    assert_eq!(adopted.status, 200, "{}", adopted.text());
}
