//! The control plane's listener: HTTP/1.1, and the way of every request to its answer.
//!
//! There is one handler and no pattern of URLs but the table in `endpoint`: the path is taken as it
//! came, headers such as `X-Original-URL` mean nothing. A request is answered on a task of its own,
//! so a panic in it is a 500 and harms no other, and what was begun is ended though nobody waits.

use std::{net::TcpListener, sync::Arc, time::Duration};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    dev::Server,
    http::{
        Method, StatusCode,
        header::{CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS},
    },
    web::{self, Data, Payload},
};
use serin_proto::{header::REQUEST_ID, metric::control_plane::UNMATCHED};
use socket2::SockRef;
use tokio::sync::Semaphore;

use super::{
    answer, audit, bulk,
    call::{Call, identify},
    documents,
    endpoint::{Action, BASE, Endpoint, Found, find},
    openapi, probe,
    problem::Problem,
    query, rollouts, routers, watch,
};
use crate::{change::Refusal, clock, plane::Plane};

/// Threads that answer. Nothing here computes for long.
const WORKERS: usize = 2;
/// Connections at once, over all workers.
const CONNECTIONS_MAX: usize = 10_000;
/// How long an idle connection is kept: longer than load balancers' 60 s.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Time for a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Who takes nothing of an answer for so long is cut.
const STALL_MAX: Duration = Duration::from_secs(60);
/// How long running requests may take when the server stops.
const SHUTDOWN_MAX: Duration = Duration::from_secs(15);
/// Longest id that is kept from a caller, in bytes.
const ID_BYTES_MAX: usize = 128;

/// What the workers share.
struct Shared {
    plane: Arc<Plane>,
    /// Places for readers of `/watch`.
    readers: Arc<Semaphore>,
}

/// Starts the workers. They run until the server is told to stop.
pub(crate) fn start(listener: TcpListener, plane: &Arc<Plane>) -> std::io::Result<Server> {
    // Connections have it from their listener.
    SockRef::from(&listener).set_tcp_user_timeout(Some(STALL_MAX))?;
    let shared = Data::new(Shared {
        plane: Arc::clone(plane),
        readers: Arc::new(Semaphore::new(watch::READERS_MAX)),
    });
    let app = move || {
        App::new()
            .app_data(shared.clone())
            .default_service(web::to(handle))
    };
    Ok(HttpServer::new(app)
        .workers(WORKERS)
        .max_connections(CONNECTIONS_MAX / WORKERS)
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(HEAD_TIMEOUT)
        .tcp_nodelay(true)
        // With it, a reader of changes that hung up is not noticed before the next change.
        .h1_allow_half_closed(false)
        .disable_signals()
        .shutdown_timeout(SHUTDOWN_MAX.as_secs())
        .listen(listener)?
        .run())
}

/// What came of a request, and what metrics call its path.
struct Answered {
    path: &'static str,
    result: Result<HttpResponse, Problem>,
}

async fn handle(head: HttpRequest, payload: Payload, shared: Data<Shared>) -> HttpResponse {
    let began = clock::now();
    let plane = Arc::clone(&shared.plane);
    let method = method(head.method());
    let id = request_id(head.headers()).unwrap_or_else(|| plane.ulids.next());
    let work = actix_web::rt::spawn(answer(shared, head, payload, id.clone()));
    let answered = work.await.unwrap_or_else(|ended| {
        tracing::error!(request_id = id, error = %ended, "a handler panicked");
        Answered {
            path: UNMATCHED,
            result: Err(Problem::new("internal", "see the log of the control plane")),
        }
    });
    let mut response = match answered.result {
        Ok(response) => response,
        Err(problem) => problem.response(&id),
    };
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(HeaderName::from_static(REQUEST_ID), id);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let status = response.status().as_u16();
    let took = clock::now().saturating_duration_since(began);
    plane.metrics.http(method, answered.path, status, took);
    tracing::debug!(
        request_id = id,
        method,
        path = answered.path,
        status,
        ?took,
        "call answered"
    );
    response
}

async fn answer(shared: Data<Shared>, head: HttpRequest, payload: Payload, id: String) -> Answered {
    let path = head.path().to_owned();
    if path.starts_with(BASE) {
        return call(&shared, head, payload, (&path, id)).await;
    }
    let is_get = matches!(*head.method(), Method::GET | Method::HEAD);
    let (path, result) = match probe::get(&shared.plane, &path) {
        Some((path, response)) if is_get => (path, Ok(response)),
        Some((path, _)) => (path, Err(Problem::other_methods("GET, HEAD".to_owned()))),
        None => (UNMATCHED, Err(Problem::unknown_path())),
    };
    Answered { path, result }
}

/// A request below [`BASE`]: who, what, may they; then the handler.
async fn call(
    shared: &Shared,
    head: HttpRequest,
    payload: Payload,
    (path, request_id): (&str, String),
) -> Answered {
    let plane = &shared.plane;
    let found = find(head.method().as_str(), path);
    let path = match &found {
        Found::Endpoint { endpoint, .. } => endpoint.path,
        _ => UNMATCHED,
    };
    let refused = |problem| Answered {
        path,
        result: Err(problem),
    };
    // First of all, for what does not exist too: who is nobody learns nothing of what there is.
    let actor = match identify(plane, &head) {
        Ok(actor) => actor,
        Err(denied) => return refused(Refusal::from(denied).into()),
    };
    let (endpoint, names) = match found {
        Found::Unknown => return refused(Problem::unknown_path()),
        Found::OtherMethods(allow) => return refused(Problem::other_methods(allow)),
        Found::Endpoint { endpoint, names } => (endpoint, names.map(str::to_owned)),
    };
    if let Err(refusal) = plane.require(&actor, endpoint.right) {
        return refused(refusal.into());
    }
    let call = Call {
        plane: Arc::clone(plane),
        readers: Arc::clone(&shared.readers),
        actor,
        head,
        names,
        request_id,
    };
    let result = act(&call, endpoint, payload).await;
    if let Err(problem) = &result
        && problem.is_stale()
    {
        let (actor, path) = (&call.actor.name, call.head.path());
        tracing::info!(
            request_id = call.request_id,
            actor,
            path,
            "a stale change was refused"
        );
    }
    Answered { path, result }
}

async fn act(call: &Call, endpoint: &Endpoint, payload: Payload) -> Result<HttpResponse, Problem> {
    match endpoint.action {
        Action::List(noun) => documents::list(call, noun).await,
        Action::Read(noun) => documents::read(call, noun).await,
        Action::Write(noun) => documents::write(call, noun, payload).await,
        Action::Remove(noun) => documents::remove(call, noun).await,
        Action::ReadTraffic => documents::read_traffic(call).await,
        Action::WriteTraffic => documents::write_traffic(call, payload).await,
        Action::StartRollout => rollouts::start(call, payload).await,
        Action::Rollouts => rollouts::list(call).await,
        Action::Rollout => rollouts::read(call).await,
        Action::RolloutHistory => rollouts::history(call).await,
        Action::RolloutAnalysis => rollouts::analysis(call).await,
        Action::AskRollout(ask) => rollouts::ask(call, ask, payload).await,
        Action::SetGate => rollouts::set_gate(call, payload).await,
        Action::Apply => bulk::apply(call, payload).await,
        Action::Adopt => bulk::adopt(call, payload).await,
        Action::Routers => routers::list(call).await,
        Action::Audit => audit::list(call).await,
        Action::Watch => watch::open(call).await,
        Action::OpenApi => {
            let query::Nothing {} = query::read(call.head.query_string())?;
            Ok(answer::json(StatusCode::OK, None, openapi::get()))
        }
    }
}

/// The caller's id, if it is one that may stand in a header and a log.
fn request_id(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(REQUEST_ID)?.to_str().ok()?;
    let sane = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let fits = (1..=ID_BYTES_MAX).contains(&text.len()) && text.bytes().all(sane);
    fits.then(|| text.to_owned())
}

/// The method as metrics name it.
fn method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "PUT" => "PUT",
        "POST" => "POST",
        "DELETE" => "DELETE",
        _ => "other",
    }
}
