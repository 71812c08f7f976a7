//! `/providers`, `/routes`, `/keys`, `/tiers`, `/tokens`: lists, and one thing by its name; and the
//! traffic of a route.

use actix_web::{HttpResponse, web::Payload};
use serin_proto::key::Kind;

use super::{answer, body, call::Call, endpoint::Noun, problem::Problem, query};
use crate::{change, change::Body, read, read::Part};

/// `GET` of a list.
pub(crate) async fn list(call: &Call, noun: Noun) -> Result<HttpResponse, Problem> {
    let query: query::List = query::read(call.head.query_string())?;
    let part = Part {
        limit: query::limit(query.limit)?,
        page_token: query.page_token,
    };
    let listed = match noun {
        Noun::Document(kind) => read::documents(&call.plane, &call.actor, kind, &part).await?,
        Noun::Token => read::tokens(&call.plane, &call.actor, &part).await?,
    };
    answer::shown(&call.head, listed.revision, &answer::page(&listed))
}

/// `GET` of one.
pub(crate) async fn read(call: &Call, noun: Noun) -> Result<HttpResponse, Problem> {
    let query::Nothing {} = query::read(call.head.query_string())?;
    let shown = match noun {
        Noun::Document(kind) => {
            let key = call.document(kind)?;
            read::document(&call.plane, &call.actor, &key).await?
        }
        Noun::Token => {
            let name = call.existing("tokens")?;
            read::token(&call.plane, &call.actor, &name).await?
        }
    };
    answer::shown(&call.head, shown.revision, &shown.json)
}

/// `PUT` of one.
pub(crate) async fn write(
    call: &Call,
    noun: Noun,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let query: query::Write = query::read(call.head.query_string())?;
    let asked = call.asked(query.dry_run)?;
    let json = body::json(&call.head, payload).await?;
    let name = call.named()?;
    let (plane, actor) = (&call.plane, &call.actor);
    let changed = match noun {
        Noun::Document(kind) => {
            let key = serin_proto::key::DocumentKey { kind, name };
            change::put(plane, actor, key, Body::Json(json), asked).await?
        }
        Noun::Token => change::put_token(plane, actor, &name, Body::Json(json), asked).await?,
    };
    Ok(answer::written(&changed, query.dry_run))
}

/// `DELETE` of one.
pub(crate) async fn remove(call: &Call, noun: Noun) -> Result<HttpResponse, Problem> {
    let query: query::Write = query::read(call.head.query_string())?;
    let asked = call.asked(query.dry_run)?;
    let (plane, actor) = (&call.plane, &call.actor);
    let changed = match noun {
        Noun::Document(kind) => change::delete(plane, actor, call.document(kind)?, asked).await?,
        Noun::Token => {
            let name = call.existing("tokens")?;
            change::delete_token(plane, actor, &name, asked).await?
        }
    };
    Ok(answer::difference(&changed))
}

/// `GET /routes/{name}/traffic`
pub(crate) async fn read_traffic(call: &Call) -> Result<HttpResponse, Problem> {
    let query::Nothing {} = query::read(call.head.query_string())?;
    let key = call.document(Kind::Route)?;
    let shown = read::traffic(&call.plane, &call.actor, &key.name).await?;
    answer::shown(&call.head, shown.revision, &shown.json)
}

/// `PUT /routes/{name}/traffic`
pub(crate) async fn write_traffic(call: &Call, payload: Payload) -> Result<HttpResponse, Problem> {
    let query: query::Write = query::read(call.head.query_string())?;
    let asked = call.asked(query.dry_run)?;
    let json = body::json(&call.head, payload).await?;
    let route = call.document(Kind::Route)?.name;
    let json = Body::Json(json);
    let changed = change::put_traffic(&call.plane, &call.actor, &route, json, asked).await?;
    Ok(answer::written(&changed, query.dry_run))
}
