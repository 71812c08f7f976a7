//! `GET /audit`: who changed what, newest first.

use actix_web::HttpResponse;
use serin_proto::{
    key::{DocumentKey, Kind},
    name::is_name,
};

use super::{answer, call::Call, problem::Problem, query};
use crate::read::{self, Filter, Part};

pub(crate) async fn list(call: &Call) -> Result<HttpResponse, Problem> {
    let query: query::Audit = query::read(call.head.query_string())?;
    let part = Part {
        limit: query::limit(query.limit)?,
        page_token: query.page_token,
    };
    let filter = Filter {
        key: key(query.route, query.key)?,
        actor: query.actor,
    };
    let mut listed = read::audit(&call.plane, &call.actor, &filter, &part).await?;
    // A record is written with its change, so it cannot know the revision; its own is the change's.
    for record in &mut listed.items {
        record.json["revision"] = record.revision.0.into();
    }
    answer::shown(&call.head, listed.revision, &answer::page(&listed))
}

/// The store key that both parameters speak of.
fn key(route: Option<String>, key: Option<String>) -> Result<Option<String>, Problem> {
    match (route, key) {
        (Some(_), Some(_)) => Err(Problem::invalid_request(
            "route and key both name what was changed: send one of them",
        )),
        (Some(name), None) if !is_name(&name) => {
            Err(Problem::invalid_request("route is no name of a route"))
        }
        (Some(name), None) => {
            let kind = Kind::Route;
            Ok(Some(DocumentKey { kind, name }.to_string()))
        }
        (None, key) => Ok(key),
    }
}
