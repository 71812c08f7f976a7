//! What is done by POST: many documents at once, and the adoption of a store.

use actix_web::{HttpResponse, http::StatusCode, web::Payload};

use serin_proto::document::read_yaml_file_strict;

use super::{
    answer,
    body::{self, Form},
    call::Call,
    problem::Problem,
    query,
};
use crate::{
    change,
    change::{Body, Refusal},
};

/// `POST /apply`
pub(crate) async fn apply(call: &Call, payload: Payload) -> Result<HttpResponse, Problem> {
    let query: query::Apply = query::read(call.head.query_string())?;
    let (form, bytes) = body::documents(&call.head, payload).await?;
    let mut asked = call.asked_once(query.dry_run, &bytes)?;
    let file = match form {
        Form::Json => Body::Json(bytes),
        Form::Yaml => {
            let read = read_yaml_file_strict(&bytes).map_err(Refusal::Malformed)?;
            asked.reason = read.reason;
            Body::Message(read.value)
        }
    };
    let applied = change::apply(&call.plane, &call.actor, file, query.traffic, asked).await?;
    let body = answer::with_revision(&applied, applied.revision);
    Ok(answer::json(StatusCode::OK, Some(applied.revision), &body))
}

/// `POST /store/adopt`
pub(crate) async fn adopt(call: &Call, payload: Payload) -> Result<HttpResponse, Problem> {
    let query: query::Write = query::read(call.head.query_string())?;
    let reason = body::json(&call.head, payload).await?;
    let asked = call.asked_once(query.dry_run, &reason)?;
    let adopted = change::adopt(&call.plane, &call.actor, Body::Json(reason), asked).await?;
    let body = answer::with_revision(&adopted, adopted.revision);
    Ok(answer::json(StatusCode::OK, Some(adopted.revision), &body))
}
