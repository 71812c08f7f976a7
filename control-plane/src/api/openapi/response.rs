//! What comes back: successes by their schema, refusals by their status.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::reference;
use crate::api::problem::{CODES, PROBLEM_JSON};

type Responses = Vec<(u16, Json)>;

/// Of a read: the thing and its ETag, or nothing new.
pub(super) fn read(schema: &str) -> Responses {
    let unchanged = "It is as If-None-Match has it";
    let unchanged = json!({ "description": unchanged, "headers": headers(&["ETag"]) });
    let there = success("What there is", &reference(schema), headers(&["ETag"]));
    vec![(200, there), (304, unchanged)]
}

/// Of a PUT: what is stored now, or in a dry run the difference, which has no ETag. What one should
/// know besides comes as `Warning` headers.
pub(super) fn written(schema: &str, creates: bool) -> Responses {
    let either = json!({ "anyOf": [reference(schema), reference("Changed")] });
    let about = "As it is stored now; in a dry run the difference";
    let mut either_has = headers(&["ETag", "Warning"]);
    either_has["ETag"]["required"] = Json::Bool(false);
    either_has["Warning"]["required"] = Json::Bool(false);
    let mut responses = vec![(200, success(about, &either, either_has))];
    if creates {
        let mut created_has = headers(&["ETag", "Warning"]);
        created_has["Warning"]["required"] = Json::Bool(false);
        let created = success(
            "Created, as it is stored now",
            &reference(schema),
            created_has,
        );
        responses.push((201, created));
    }
    responses
}

/// Of the start of a rollout: the new one, or the same one that runs already; in a dry run the plan.
pub(super) fn started() -> Responses {
    let optional = |mut of: Map<String, Json>, names: &[&str]| {
        for name in names {
            of[*name]["required"] = Json::Bool(false);
        }
        of
    };
    let both = || headers(&["ETag", "Warning"]);
    let either = json!({ "anyOf": [reference("RolloutState"), reference("RolloutPlanned")] });
    let about = "An identical one runs already; in a dry run what would be";
    let same = success(about, &either, optional(both(), &["ETag", "Warning"]));
    let new = optional(both(), &["Warning"]);
    let new = success("Started, as it stands", &reference("RolloutState"), new);
    vec![(200, same), (201, new)]
}

/// Of a POST that has a revision.
pub(super) fn done(schema: &str) -> Responses {
    let about = "What was done, or would be";
    vec![(200, success(about, &reference(schema), headers(&["ETag"])))]
}

/// Of whatever has none.
pub(super) fn told(schema: &str) -> Responses {
    vec![(
        200,
        success("What there is", &reference(schema), Map::new()),
    )]
}

/// Of `/watch`.
pub(super) fn stream() -> Responses {
    let about = "Events: id is a revision, data is a Change";
    let content = json!({ "text/event-stream": { "schema": { "type": "string" } } });
    vec![(200, json!({ "description": about, "content": content }))]
}

/// A reference to the refusals of a status.
pub(super) fn refusal(status: u16) -> Json {
    json!({ "$ref": format!("#/components/responses/{}", name(status)) })
}

/// The refusals by status, each with its codes.
pub(super) fn refusals() -> Map<String, Json> {
    let mut by_status: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for (code, status, title) in &CODES {
        by_status
            .entry(*status)
            .or_default()
            .push(format!("`{code}`: {title}"));
    }
    by_status
        .into_iter()
        .map(|(status, codes)| (name(status), refused(status, &codes.join("; "))))
        .collect()
}

fn name(status: u16) -> String {
    format!("Problem{status}")
}

fn refused(status: u16, codes: &str) -> Json {
    let headers = match status {
        401 => headers(&["WWW-Authenticate"]),
        429 => headers(&["Retry-After"]),
        _ => Map::new(),
    };
    let mut content = Map::new();
    content.insert(
        PROBLEM_JSON.to_owned(),
        json!({ "schema": reference("Problem") }),
    );
    json!({ "description": codes, "headers": headers, "content": content })
}

fn success(about: &str, schema: &Json, headers: Map<String, Json>) -> Json {
    json!({
        "description": about,
        "headers": headers,
        "content": { "application/json": { "schema": schema } },
    })
}

fn headers(names: &[&str]) -> Map<String, Json> {
    let text = json!({ "required": true, "schema": { "type": "string" } });
    names
        .iter()
        .map(|name| ((*name).to_owned(), text.clone()))
        .collect()
}
