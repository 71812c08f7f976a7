//! What stands beside the API and needs no token: probes, metrics, the version, and a page that
//! says where the API is. Nothing here can change anything.

use actix_web::{HttpResponse, http::StatusCode};
use serde_json::json;
use serin_proto::exposition::TEXT_CONTENT_TYPE;

use super::answer;
use crate::{metrics, plane::Plane};

const WELCOME: &str = "Serin's control plane.\n\n\
    The API is at /api/v1 and needs a token: Authorization: Bearer …\n\
    /api/v1/openapi.json describes it.\n";
const TEXT: &str = "text/plain; charset=utf-8";

/// The answer to a `GET` of such a path, and the path as metrics name it; `None`: there is none.
pub(crate) fn get(plane: &Plane, path: &str) -> Option<(&'static str, HttpResponse)> {
    let text = |text: &'static str| HttpResponse::Ok().content_type(TEXT).body(text);
    Some(match path {
        "/" => ("/", text(WELCOME)),
        // The process lives. It asks nothing else: one whose store is away is not dead.
        "/livez" => ("/livez", text("ok\n")),
        "/readyz" => ("/readyz", ready(plane)),
        "/version" => ("/version", version(plane)),
        "/metrics" => ("/metrics", exposition(plane)),
        _ => return None,
    })
}

fn ready(plane: &Plane) -> HttpResponse {
    let (status, text) = if plane.is_ready() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "no documents seen yet\n")
    };
    HttpResponse::build(status).content_type(TEXT).body(text)
}

fn version(plane: &Plane) -> HttpResponse {
    let (version, commit) = (plane.settings.version, plane.settings.commit);
    let body = json!({ "version": version, "commit": commit });
    answer::json(StatusCode::OK, None, &body)
}

fn exposition(plane: &Plane) -> HttpResponse {
    let text = metrics::scrape(plane);
    HttpResponse::Ok()
        .content_type(TEXT_CONTENT_TYPE)
        .body(text)
}
