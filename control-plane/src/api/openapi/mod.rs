//! The API as an OpenAPI 3.1 document, made of what serves it.
//!
//! Paths, methods and roles are the table of endpoints, refusals are the table of codes, documents
//! are their protos. So it cannot name what is not there, or leave out what is. A copy is committed
//! as `docs/openapi.json`; a test says when it is old.

mod example;
mod operation;
mod parameter;
mod response;
mod rollout;
mod schema;

use std::sync::LazyLock;

use serde_json::{Map, Value as Json, json};

use super::endpoint::ENDPOINTS;

/// Where schemas are referred to.
const SCHEMAS: &str = "#/components/schemas";

static DOCUMENT: LazyLock<Json> = LazyLock::new(document);

/// The document.
pub(crate) fn get() -> &'static Json {
    &DOCUMENT
}

fn document() -> Json {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Serin control plane",
            "version": "1",
            "description": "Changes what Serin's routers serve. Every write is judged as a whole \
                            before it happens, and is recorded. Numbers in ETags are revisions of \
                            the store.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }],
        "paths": paths(),
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "schemas": schema::all(),
            "responses": response::refusals(),
        },
    })
}

fn paths() -> Map<String, Json> {
    let mut paths = Map::new();
    for endpoint in &ENDPOINTS {
        let path = paths
            .entry(endpoint.path)
            .or_insert_with(|| Json::Object(Map::new()));
        path[endpoint.method.word()] = operation::of(endpoint);
    }
    paths
}

/// A reference to a schema.
fn reference(name: &str) -> Json {
    json!({ "$ref": format!("{SCHEMAS}/{name}") })
}
