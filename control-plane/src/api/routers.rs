//! `GET /routers`: which routers report, what each of them serves, and how far each is behind.

use actix_web::{HttpResponse, http::StatusCode};
use serde_json::{Value as Json, json};

use super::{answer, call::Call, problem::Problem, query};
use crate::{auth::Right, clock, fleet::Router};

pub(crate) async fn list(call: &Call) -> Result<HttpResponse, Problem> {
    call.plane.require(&call.actor, Right::Read)?;
    let query: query::List = query::read(call.head.query_string())?;
    let limit = query::limit(query.limit)?;
    let after = query.page_token.as_deref();
    let is_an_id =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if after.is_some_and(|after| !is_an_id(after)) {
        return Err(Problem::invalid_request(
            "pageToken is none that a list gave",
        ));
    }
    let routers = call.plane.fleet.routers(clock::now());
    Ok(answer::json(
        StatusCode::OK,
        None,
        &page(&routers, after, limit),
    ))
}

/// Those behind a token, ids rising.
fn page(routers: &[Router], after: Option<&str>, limit: usize) -> Json {
    let behind = |router: &&Router| after.is_none_or(|after| router.id.as_str() > after);
    let mut rest = routers.iter().filter(behind);
    let items: Vec<&Router> = rest.by_ref().take(limit).collect();
    let mut page = json!({ "items": items });
    if let (Some(_), Some(last)) = (rest.next(), items.last()) {
        page["nextPageToken"] = Json::from(last.id.as_str());
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::State;

    fn router(id: &str) -> Router {
        Router {
            id: id.to_owned(),
            version: String::new(),
            boot_id: String::new(),
            started_at: String::new(),
            admin_address: String::new(),
            applied_revision: 7,
            lag: 0,
            state: State::Live,
            source: serin_proto::fleet::Source::Store,
            hold: None,
            rejected_count: 0,
            rejected: Vec::new(),
        }
    }

    #[rustfmt::skip]
    #[test]
    fn pages_of_routers_are_together_everybody_once() {
        let routers = ["a", "b", "c"].map(router);
        let table = [
            (None,      9, vec!["a", "b", "c"], None),
            (None,      3, vec!["a", "b", "c"], None),
            (None,      2, vec!["a", "b"],      Some("b")),
            (Some("b"), 2, vec!["c"],           None),
            (Some("c"), 2, vec![],              None),
        ];
        for (after, limit, ids, next) in table {
            let page = page(&routers, after, limit);
            let items = page["items"].as_array().unwrap().iter();
            let seen: Vec<&str> = items.filter_map(|item| item["id"].as_str()).collect();
            assert_eq!((seen, page["nextPageToken"].as_str()), (ids, next), "{after:?} {limit}");
        }
    }
}
