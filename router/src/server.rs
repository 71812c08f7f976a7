//! The traffic listener: actix-web, its workers, and which URL goes where.
//!
//! The URL table is a `match`: everything under `/v1` is the model's to decide, so there is nothing
//! to route by pattern. The path of a request is a function, not a stack of middleware.

use std::{net::TcpListener, rc::Rc, sync::Arc, time::Duration};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    dev::Server,
    http::header::USER_AGENT,
    web::{self, Payload},
};
use serin_proto::{header, metric::Operation};

use crate::{
    record::{Peer, Record, RequestId, recorder::Lines},
    request::{
        self,
        operation::{Asked, asked},
        rejection::Rejection,
        respond,
    },
    worker::{Shared, Worker},
};

/// How long an idle connection of a caller's is kept: longer than load balancers' 60 s, or they
/// would send requests into connections that we are closing.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Time for a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest user agent that is logged, in bytes.
const USER_AGENT_BYTES_MAX: usize = 128;

/// Starts the workers. They run until the server is told to stop.
pub(crate) fn start(
    listener: TcpListener,
    shared: &Arc<Shared>,
    lines: &Lines,
) -> std::io::Result<Server> {
    let (workers, limit) = (shared.settings.workers, shared.settings.drain.limit);
    let (shared, lines) = (Arc::clone(shared), lines.clone());
    let server = HttpServer::new(move || {
        let worker = Worker::new(&shared, lines.clone());
        App::new().app_data(worker).default_service(web::to(handle))
    });
    let server = server
        .workers(workers)
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(HEAD_TIMEOUT)
        .tcp_nodelay(true)
        // With it, a caller that hung up while we wait for the provider is never noticed.
        .h1_allow_half_closed(false)
        .disable_signals()
        .shutdown_timeout(limit.as_secs().max(1))
        .listen(listener)?;
    Ok(server.run())
}

async fn handle(head: HttpRequest, payload: Payload) -> HttpResponse {
    let worker = head.app_data::<Rc<Worker>>().map(Rc::clone);
    let Some(worker) = worker else {
        return HttpResponse::InternalServerError().finish();
    };
    let path = head.path();
    if let Some(probe) = probe(&worker, path) {
        return probe;
    }
    let asked = asked(path);
    let mut record = begin(&worker, &head, asked);
    let allow = allowed(asked);
    if allow.is_some_and(|allow| head.method().as_str() != allow) {
        let refused = Rejection::MethodNotAllowed {
            allow: allow.unwrap_or_default(),
        };
        return respond::rejected(&refused, record);
    }
    match asked {
        Asked::Forward { rest, .. } => {
            let query = head.query_string();
            let ended = if query.is_empty() {
                request::answer(&head, payload, rest, &mut record).await
            } else {
                request::answer(&head, payload, &format!("{rest}?{query}"), &mut record).await
            };
            request::respond(ended, record)
        }
        Asked::Models => models(&head, None, record),
        Asked::Model { id } => models(&head, Some(id), record),
        Asked::BadPath => respond::rejected(&Rejection::BadPath, record),
        Asked::Unknown => respond::rejected(&Rejection::UnknownPath, record),
    }
}

fn models(head: &HttpRequest, id: Option<&str>, mut record: Record) -> HttpResponse {
    match request::models(head, id, &mut record) {
        Ok(body) => respond::json(body, record),
        Err(rejection) => respond::rejected(&rejection, record),
    }
}

fn begin(worker: &Rc<Worker>, head: &HttpRequest, asked: Asked<'_>) -> Record {
    let operation = match asked {
        Asked::Forward { operation, .. } => operation,
        Asked::Models | Asked::Model { .. } => Operation::Models,
        Asked::BadPath | Asked::Unknown => Operation::Other,
    };
    let user_agent = head
        .headers()
        .get(USER_AGENT)
        .and_then(|value| value.to_str().ok());
    let user_agent = user_agent.map(|text| text.get(..USER_AGENT_BYTES_MAX).unwrap_or(text).into());
    let mut record = Record::begin(
        worker,
        operation,
        Peer {
            address: head.peer_addr(),
            user_agent,
        },
    );
    if let Some(id) = head
        .headers()
        .get(header::REQUEST_ID)
        .and_then(RequestId::given)
    {
        record.id = id;
    }
    record
}

/// The one method that a URL takes; `None` where there is no such URL.
fn allowed(asked: Asked<'_>) -> Option<&'static str> {
    match asked {
        Asked::Forward { .. } => Some("POST"),
        Asked::Models | Asked::Model { .. } => Some("GET"),
        Asked::BadPath | Asked::Unknown => None,
    }
}

/// `/health`: the process lives. `/ready`: send it traffic.
fn probe(worker: &Worker, path: &str) -> Option<HttpResponse> {
    match path {
        "/health" => Some(HttpResponse::Ok().content_type("text/plain").body("ok\n")),
        "/ready" => Some(ready(&worker.shared)),
        _ => None,
    }
}

/// The answer of `/ready` and `/readyz`: a snapshot was applied once, and we are not leaving.
pub(crate) fn ready(shared: &Shared) -> HttpResponse {
    let (mut response, text) = if shared.is_draining() {
        (HttpResponse::ServiceUnavailable(), "draining\n")
    } else if shared.snapshot.load().is_none() {
        (
            HttpResponse::ServiceUnavailable(),
            "no documents applied yet\n",
        )
    } else {
        (HttpResponse::Ok(), "ready\n")
    };
    response.content_type("text/plain").body(text)
}
