//! One row of the table as an operation: what goes in, what comes out.

use serde_json::{Map, Value as Json, json};

use super::{example, parameter, reference, response};
use crate::api::endpoint::{Action, Ask, Endpoint, Noun};

/// The operation of a row.
pub(super) fn of(endpoint: &Endpoint) -> Json {
    let (id, summary) = named(endpoint.action);
    let mut operation = json!({
        "operationId": id,
        "summary": summary,
        "tags": [tag(endpoint.path)],
        "x-serin-role": endpoint.right.least_role(),
        "parameters": parameter::of(endpoint),
        "responses": responses(endpoint.action),
    });
    if let Some((schema, forms)) = body(endpoint.action) {
        let content: Map<String, Json> = forms
            .iter()
            .map(|form| {
                let example = example::body(endpoint.action);
                let content = json!({ "schema": reference(&schema), "example": example });
                ((*form).to_owned(), content)
            })
            .collect();
        operation["requestBody"] = json!({ "required": true, "content": content });
    }
    operation
}

/// The first piece of the path behind the base.
fn tag(path: &str) -> &str {
    let piece = path.split('/').nth(3).unwrap_or_default();
    piece.strip_suffix(".json").unwrap_or(piece)
}

fn named(action: Action) -> (String, String) {
    let of = |verb: &str, noun: Noun, more: &str| {
        (
            format!("{verb}{}", noun.schema()),
            format!("{more} {}", noun.schema().to_lowercase()),
        )
    };
    let own = |id: &str, summary: &str| (id.to_owned(), summary.to_owned());
    match action {
        Action::List(noun) => (
            format!("list{}s", noun.schema()),
            format!("All {}s, names rising", noun.schema().to_lowercase()),
        ),
        Action::Read(noun) => of("get", noun, "One"),
        Action::Write(noun) => of("put", noun, "Create or replace a"),
        Action::Remove(noun) => of("delete", noun, "Delete a"),
        Action::ReadTraffic => own("getTraffic", "The live traffic of a route"),
        Action::WriteTraffic => own(
            "putTraffic",
            "Replace all of a route's traffic: what is absent is none",
        ),
        Action::StartRollout => own(
            "startRollout",
            "Start a rollout; another candidate takes the place of a running one",
        ),
        Action::Rollouts => own("listRollouts", "The newest rollout of each route"),
        Action::Rollout => own("getRollout", "Where a rollout stands, or how it ended"),
        Action::RolloutHistory => own(
            "getRolloutHistory",
            "The records of a rollout, oldest first: each has the hash of the one before",
        ),
        Action::RolloutAnalysis => own(
            "getRolloutAnalysis",
            "The evidence so far, metric by metric, and what is waited for",
        ),
        Action::AskRollout(ask) => asked(ask),
        Action::SetGate => own("setGate", "Open or close a gate that the plan names"),
        Action::Apply => own(
            "apply",
            "Create or replace many documents, all or none; live traffic is kept",
        ),
        Action::Routers => own("listRouters", "The routers that report, ids rising"),
        Action::Audit => own("listAudit", "Who changed what, newest first"),
        Action::Watch => own("watch", "Changes of documents as they happen (SSE)"),
        Action::OpenApi => own("getOpenApi", "This document"),
        Action::Adopt => own(
            "adoptStore",
            "Accept a store that is another, an older or an emptied one",
        ),
    }
}

fn asked(ask: Ask) -> (String, String) {
    let (id, summary) = match ask {
        Ask::Pause => (
            "pauseRollout",
            "Hold the share; suspended, only hard guards act",
        ),
        Ask::Resume => ("resumeRollout", "Go on where it was paused"),
        Ask::Promote => (
            "promoteRollout",
            "Pass once what it waits for; full: all steps",
        ),
        Ask::Abort => ("abortRollout", "Take the candidate's share back at once"),
        Ask::Undo => ("undoRollout", "Take a promotion back"),
        Ask::Retry => ("retryRollout", "Start the same plan again"),
        Ask::SkipStep => ("skipRolloutStep", "Go to the next step by hand"),
    };
    (id.to_owned(), summary.to_owned())
}

/// The schema of the body, and the forms it may have.
fn body(action: Action) -> Option<(String, &'static [&'static str])> {
    const JSON: &[&str] = &["application/json"];
    const JSON_OR_YAML: &[&str] = &["application/json", "application/yaml"];
    match action {
        Action::Write(Noun::Token) => Some(("TokenWrite".to_owned(), JSON)),
        Action::Write(noun) => Some((noun.schema().to_owned(), JSON)),
        Action::WriteTraffic => Some(("TrafficWrite".to_owned(), JSON)),
        Action::StartRollout => Some(("RolloutStart".to_owned(), JSON)),
        Action::AskRollout(Ask::Pause) => Some(("RolloutPause".to_owned(), JSON)),
        Action::AskRollout(Ask::Promote) => Some(("RolloutPromote".to_owned(), JSON)),
        Action::AskRollout(_) => Some(("RolloutVerb".to_owned(), JSON)),
        Action::SetGate => Some(("RolloutGate".to_owned(), JSON)),
        Action::Apply => Some(("Apply".to_owned(), JSON_OR_YAML)),
        Action::Adopt => Some(("Adopt".to_owned(), JSON)),
        _ => None,
    }
}

/// Refusals that every endpoint may answer with.
const ALWAYS: [u16; 5] = [400, 401, 403, 429, 503];
/// And those of every write, however it is sent.
const WRITING: [u16; 3] = [409, 504, 507];
/// And those of what has a body.
const WITH_BODY: [u16; 4] = [408, 413, 415, 422];
/// And those of what rests on an ETag.
const CONDITIONAL: [u16; 2] = [412, 428];

fn responses(action: Action) -> Map<String, Json> {
    let (successes, refusals): (Vec<(u16, Json)>, Vec<&[u16]>) = match action {
        Action::List(noun) => {
            let list = format!("{}List", noun.schema());
            (response::read(&list), vec![])
        }
        Action::Read(noun) => (response::read(noun.schema()), vec![&[404, 409]]),
        Action::ReadTraffic => (response::read("Traffic"), vec![&[404, 409]]),
        Action::Write(noun) => (
            response::written(noun.schema(), true),
            vec![&WRITING, &WITH_BODY, &CONDITIONAL],
        ),
        Action::WriteTraffic => (
            response::written("Traffic", false),
            vec![&WRITING, &WITH_BODY, &CONDITIONAL, &[404]],
        ),
        Action::Remove(_) => (
            response::told("Changed"),
            vec![&WRITING, &CONDITIONAL, &[404, 422]],
        ),
        Action::StartRollout => (response::started(), vec![&WRITING, &WITH_BODY, &[404]]),
        Action::Rollouts => (response::read("RolloutList"), vec![]),
        Action::Rollout => (response::read("RolloutState"), vec![&[404, 409]]),
        Action::RolloutHistory => (response::told("RolloutHistory"), vec![&[404, 409]]),
        Action::RolloutAnalysis => (response::told("RolloutAnalysis"), vec![&[404, 409]]),
        Action::AskRollout(_) | Action::SetGate => (
            response::done("RolloutState"),
            vec![&WRITING, &WITH_BODY, &[404]],
        ),
        Action::Apply => (response::done("Applied"), vec![&WRITING, &WITH_BODY]),
        Action::Adopt => (response::done("Adopted"), vec![&WRITING, &WITH_BODY]),
        Action::Routers => (response::told("RouterList"), vec![]),
        Action::Audit => (response::read("AuditList"), vec![]),
        Action::Watch => (response::stream(), vec![&[410]]),
        Action::OpenApi => (response::told("Anything"), vec![]),
    };
    let refused = [&ALWAYS as &[u16]].into_iter().chain(refusals).flatten();
    successes
        .into_iter()
        .chain(refused.map(|status| (*status, response::refusal(*status))))
        .map(|(status, response)| (status.to_string(), response))
        .collect()
}
