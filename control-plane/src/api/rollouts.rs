//! Rollouts: started below their route, looked at and asked by their id.
//!
//! What a verb does, and whether it may, is the machine's to say; here it is only read. A verb is
//! safe to send twice: with `Idempotency-Key` the first answer comes again, with `expectedSeq` a
//! rollout that has gone on refuses.

use actix_web::{
    HttpResponse, HttpResponseBuilder,
    http::{StatusCode, header::ETAG},
    web::Payload,
};
use bytes::Bytes;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value as Json, json};
use serin_proto::{Fault, fault::Pointer, name::is_name};

use super::{answer, body, call::Call, endpoint::Ask, precondition::etag, problem::Problem, query};
use crate::{
    change::{Body, Refusal, rollout as change},
    read::Part,
    rollout::{
        event::{Undo, Verb},
        show::{self as view, Filter},
        state::Phase,
    },
};

/// A number of a history record, as a number or as the text that proto3 JSON has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
struct Seq(#[serde(with = "crate::rollout::state::text_u64")] u64);

/// Of verbs that take nothing of their own.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct Plain {
    reason: String,
    expected_seq: Option<Seq>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct Pause {
    reason: String,
    expected_seq: Option<Seq>,
    suspend: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct Promote {
    reason: String,
    expected_seq: Option<Seq>,
    full: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Gate {
    open: bool,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    expected_seq: Option<Seq>,
}

/// A verb as it was read.
#[derive(Debug, PartialEq)]
struct Asking {
    verb: Verb,
    reason: String,
    expected_seq: Option<u64>,
}

/// `POST /routes/{name}/rollouts`
pub(crate) async fn start(call: &Call, payload: Payload) -> Result<HttpResponse, Problem> {
    let query: query::Write = query::read(call.head.query_string())?;
    let json = body::json(&call.head, payload).await?;
    let asked = call.asked_once(query.dry_run, &json)?;
    let route = call.existing("routes")?;
    let started = change::start(&call.plane, &call.actor, asked, &route, Body::Json(json)).await?;
    if query.dry_run {
        let mut told = json!({
            "rollout": started.state,
            "planned": started.planned,
            "warnings": started.warnings,
        });
        extend(&mut told, started.effect());
        return Ok(answer::json(StatusCode::OK, None, &told));
    }
    let status = if started.created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let mut response = HttpResponseBuilder::new(status);
    response.insert_header((ETAG, etag(started.revision)));
    answer::warn(&mut response, &started.warnings);
    let mut told = started.state.clone();
    extend(&mut told, started.effect());
    Ok(response.json(told))
}

fn extend(told: &mut Json, more: Map<String, Json>) {
    if let Some(told) = told.as_object_mut() {
        told.extend(more);
    }
}

/// `GET /rollouts`
pub(crate) async fn list(call: &Call) -> Result<HttpResponse, Problem> {
    let query: query::Rollouts = query::read(call.head.query_string())?;
    let part = Part {
        limit: query::limit(query.limit)?,
        page_token: query.page_token,
    };
    let filter = Filter {
        phase: query.phase,
        route: query.route,
    };
    check(&filter)?;
    let listed = view::rollouts(&call.plane, &call.actor, &filter, &part).await?;
    answer::shown(&call.head, listed.revision, &answer::page(&listed))
}

fn check(filter: &Filter) -> Result<(), Problem> {
    if let Some(phase) = &filter.phase
        && !Phase::WORDS.contains(&phase.as_str())
    {
        let words = Phase::WORDS.join(", ");
        let text = format!("there is no phase {phase:?}: it is one of {words}");
        return Err(Problem::invalid_request(text));
    }
    if filter.route.as_deref().is_some_and(|name| !is_name(name)) {
        return Err(Problem::invalid_request("route is no name of a route"));
    }
    Ok(())
}

/// `GET /rollouts/{id}`
pub(crate) async fn read(call: &Call) -> Result<HttpResponse, Problem> {
    let query::Nothing {} = query::read(call.head.query_string())?;
    let id = call.existing("rollouts")?;
    let shown = view::rollout(&call.plane, &call.actor, &id).await?;
    answer::shown(&call.head, shown.revision, &shown.json)
}

/// `GET /rollouts/{id}/history`
pub(crate) async fn history(call: &Call) -> Result<HttpResponse, Problem> {
    let query: query::List = query::read(call.head.query_string())?;
    let limit = query::limit(query.limit)?;
    let after = query.page_token.map(|token| token.parse::<u64>());
    let bad = |_| Problem::invalid_request("pageToken is none that a list gave");
    let after = after.transpose().map_err(bad)?;
    let id = call.existing("rollouts")?;
    // One more tells whether there is a next page.
    let part = (after.unwrap_or_default(), limit.saturating_add(1));
    let records = view::history(&call.plane, &call.actor, &id, part).await?;
    Ok(answer::json(
        StatusCode::OK,
        None,
        &page(&records, after, limit),
    ))
}

/// Those behind a token, oldest first.
fn page(records: &[Json], after: Option<u64>, limit: usize) -> Json {
    let behind = |record: &&Json| after.is_none_or(|after| seq(record) > after);
    let mut rest = records.iter().filter(behind);
    let items: Vec<&Json> = rest.by_ref().take(limit).collect();
    let mut page = json!({ "items": items });
    if let (Some(_), Some(last)) = (rest.next(), items.last()) {
        page["nextPageToken"] = Json::from(seq(last).to_string());
    }
    page
}

fn seq(record: &Json) -> u64 {
    let seq = record.get("seq").cloned().unwrap_or_default();
    serde_json::from_value(seq).map_or(0, |Seq(seq)| seq)
}

/// `GET /rollouts/{id}/analysis`
pub(crate) async fn analysis(call: &Call) -> Result<HttpResponse, Problem> {
    let query::Nothing {} = query::read(call.head.query_string())?;
    let id = call.existing("rollouts")?;
    let shown = view::analysis(&call.plane, &call.actor, &id).await?;
    Ok(answer::json(StatusCode::OK, None, &shown.json))
}

/// `POST /rollouts/{id}/<verb>`
pub(crate) async fn ask(call: &Call, ask: Ask, payload: Payload) -> Result<HttpResponse, Problem> {
    let query::Nothing {} = query::read(call.head.query_string())?;
    let json = body::json(&call.head, payload).await?;
    let asking = asking(ask, &json)?;
    carry_out(call, asking, &json).await
}

/// `PUT /rollouts/{id}/gates/{gate}`
pub(crate) async fn set_gate(call: &Call, payload: Payload) -> Result<HttpResponse, Problem> {
    let query::Nothing {} = query::read(call.head.query_string())?;
    let json = body::json(&call.head, payload).await?;
    let [_, gate] = &call.names;
    if !is_name(gate) {
        return Err(Refusal::NotFound(format!("gates/{gate}")).into());
    }
    let asks: Gate = parsed(&json)?;
    let asking = Asking {
        verb: Verb::Gate {
            gate: gate.clone(),
            open: asks.open,
        },
        reason: asks.reason,
        expected_seq: asks.expected_seq.map(|Seq(seq)| seq),
    };
    carry_out(call, asking, &json).await
}

async fn carry_out(call: &Call, asking: Asking, json: &Bytes) -> Result<HttpResponse, Problem> {
    let mut asked = call.asked_once(false, json)?;
    asked.reason = asking.reason;
    let id = call.existing("rollouts")?;
    let (plane, actor) = (&call.plane, &call.actor);
    let ran = change::verb(plane, actor, asked, &id, (asking.verb, asking.expected_seq)).await?;
    Ok(answer::json(StatusCode::OK, Some(ran.revision), &ran.state))
}

/// The body of a verb. None at all asks for nothing but the verb.
fn asking(ask: Ask, json: &Bytes) -> Result<Asking, Problem> {
    let (verb, reason, expected_seq) = match ask {
        Ask::Pause => {
            let asks: Pause = parsed(json)?;
            let suspend = asks.suspend;
            (Verb::Pause { suspend }, asks.reason, asks.expected_seq)
        }
        Ask::Promote => {
            let asks: Promote = parsed(json)?;
            let full = asks.full;
            (Verb::Promote { full }, asks.reason, asks.expected_seq)
        }
        plain => {
            let asks: Plain = parsed(json)?;
            (of(plain), asks.reason, asks.expected_seq)
        }
    };
    Ok(Asking {
        verb,
        reason,
        expected_seq: expected_seq.map(|Seq(seq)| seq),
    })
}

fn of(ask: Ask) -> Verb {
    match ask {
        Ask::Pause => Verb::Pause { suspend: false },
        Ask::Resume => Verb::Resume,
        Ask::Promote => Verb::Promote { full: false },
        Ask::Abort => Verb::Abort,
        Ask::Undo => Verb::Undo(Undo::default()),
        Ask::Retry => Verb::Retry,
        Ask::SkipStep => Verb::SkipStep,
    }
}

fn parsed<T: DeserializeOwned>(json: &Bytes) -> Result<T, Problem> {
    let json: &[u8] = if json.is_empty() { b"{}" } else { json };
    let bad = |error: serde_json::Error| {
        let message = format!("the body cannot be read: {error}");
        let fault = Fault::new(&Pointer::root(), "syntax", message);
        Refusal::Malformed(vec![fault]).into()
    };
    // serde takes a list for a struct, its fields in their order.
    if !json.trim_ascii_start().starts_with(b"{") {
        return Err(bad(serde::de::Error::custom("an object is expected")));
    }
    serde_json::from_slice(json).map_err(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rustfmt::skip]
    #[test]
    fn a_verb_takes_what_is_its_own_and_nothing_else() {
        let table = [
            (Ask::Pause,   "",                                     Some((Verb::Pause { suspend: false }, None))),
            (Ask::Pause,   r#"{"suspend":true,"expectedSeq":17}"#, Some((Verb::Pause { suspend: true }, Some(17)))),
            (Ask::Promote, r#"{"full":true,"expectedSeq":"17"}"#,  Some((Verb::Promote { full: true }, Some(17)))),
            (Ask::Abort,   r#"{"reason":"why"}"#,                  Some((Verb::Abort, None))),
            (Ask::Resume,  r#"{"expectedSeq":null}"#,              Some((Verb::Resume, None))),
            (Ask::Abort,   r#"{"full":true}"#,                     None),
            (Ask::Pause,   r#"{"full":true}"#,                     None),
            (Ask::Promote, r#"{"suspend":true}"#,                  None),
            (Ask::Abort,   r#"{"reason":"a","reason":"b"}"#,       None),
            (Ask::Abort,   r#"{"expectedSeq":-1}"#,                None),
            (Ask::Abort,   r#"{"expectedSeq":"x"}"#,               None),
            (Ask::Abort,   r#"{"expectedSeq":1.5}"#,               None),
            (Ask::Undo,    "[]",                                   None),
            (Ask::Retry,   "{} {}",                                None),
        ];
        for (ask, body, expected) in table {
            let read = asking(ask, &Bytes::from_static(body.as_bytes())).ok();
            let read = read.map(|asking| (asking.verb, asking.expected_seq));
            assert_eq!(read, expected, "{ask:?} {body}");
        }
    }

    #[rustfmt::skip]
    #[test]
    fn pages_of_a_history_are_together_every_record_once() {
        let records: Vec<Json> = [7, 8, 12].iter().map(|seq| json!({ "seq": seq.to_string() })).collect();
        let table = [
            (None,     9, vec!["7", "8", "12"], None),
            (None,     2, vec!["7", "8"],       Some("8")),
            (Some(8),  2, vec!["12"],           None),
            (Some(12), 2, vec![],               None),
        ];
        for (after, limit, seqs, next) in table {
            let page = page(&records, after, limit);
            let items = page["items"].as_array().unwrap().iter();
            let seen: Vec<&str> = items.filter_map(|item| item["seq"].as_str()).collect();
            assert_eq!((seen, page["nextPageToken"].as_str()), (seqs, next), "{after:?} {limit}");
        }
    }

    #[test]
    fn a_filter_names_a_phase_and_a_route_that_can_be() {
        let filter = |phase: &str, route: &str| Filter {
            phase: Some(phase.to_owned()),
            route: Some(route.to_owned()),
        };
        assert!(check(&filter("Baking", "chat")).is_ok());
        assert!(check(&Filter::default()).is_ok());
        assert!(check(&filter("baking", "chat")).is_err());
        assert!(check(&filter("Baking", "a/b")).is_err());
    }
}
