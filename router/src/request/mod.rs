//! THE PATH: one request in, one answer out.
//!
//! ```text
//!   head ─▶ identify ─▶ read ─▶ resolve ─▶ assign ─▶ until_answered ─▶ relay ─▶ sealed record
//!            401        400 408  404 403               429 502 503 504
//!                       413 415
//! ```
//! [`answer`] is the whole way; what it calls answers questions and does not decide what happens
//! next. The [`Record`] goes along and is sealed however the way ends.

mod attempt;
pub(crate) mod deadline;
mod events;
mod fields;
mod incoming;
mod large;
mod members;
mod models;
mod opening;
pub(crate) mod operation;
pub(crate) mod parse;
pub(crate) mod rejection;
mod relay;
pub(crate) mod respond;
mod step;
mod timer;

use std::{borrow::Cow, rc::Rc, sync::Arc};

use actix_web::{HttpRequest, HttpResponse, http::header::AUTHORIZATION, web::Payload};

use attempt::{Attempts, Ended};
use deadline::Deadline;
use incoming::Call;
use rejection::Rejection;

use crate::{
    auth::Caller,
    clock,
    pick::{self, Affinity, Place},
    record::Record,
    route::Route,
    settings::Auth,
    snapshot::Snapshot,
};

/// The way of a request that goes to a provider. `rest`: what follows `/v1`, with its query.
pub(crate) async fn answer(
    head: &HttpRequest,
    payload: Payload,
    rest: &str,
    record: &mut Record,
) -> Result<Ended, Rejection> {
    // Before the snapshot, which is then at least as new as that word.
    let contact = record.worker.shared.contact.last_ms();
    let snapshot = identify(head, record)?;
    let call = incoming::read(head, payload, record).await?;
    record.read(call.stream);
    let route = resolve(&snapshot, &call)?;
    record.routed(route);
    permit(route, &call, record)?;
    let caller = record.caller.clone();
    let affinity = affinity(route, head, &call, caller.as_deref());
    let is_exposed = route
        .lease
        .is_none_or(|lease| lease.holds(contact, clock::since_start_ms(clock::now())));
    let draw = record.worker.draws.next();
    let assigned = route.split.assign(&affinity, draw, is_exposed);
    record.assigned(assigned, &affinity);
    let fallback = match route.split.canary() {
        Some((candidate, _)) if !is_exposed => route.fallback.without(candidate),
        _ => route.fallback.clone(),
    };
    route.budget.deposit(route.retry_deposit);
    let deadline = Deadline::new(route.limits, clock::since_start_ms(record.started));
    let operation = record.operation;
    let worker = Rc::clone(&record.worker);
    let attempts = Attempts {
        worker,
        head,
        call: &call,
        route,
        fallback,
        operation,
        rest,
        deadline,
    };
    attempts.until_answered(assigned, record).await
}

/// `GET /v1/models`, or one of them.
pub(crate) fn models(
    head: &HttpRequest,
    id: Option<&str>,
    record: &mut Record,
) -> Result<String, Rejection> {
    let snapshot = identify(head, record)?;
    let caller = record.caller.as_deref();
    match id {
        None => Ok(models::list(&snapshot.routes, caller)),
        Some(id) => models::one(&snapshot.routes, caller, id).ok_or_else(|| {
            let model = models::percent_decoded(id).unwrap_or_else(|| id.to_owned());
            Rejection::ModelNotFound { model }
        }),
    }
}

/// Who calls, decided by the head alone. The snapshot serves this request and no other one does;
/// once its answer has begun it keeps no more of it than its edition and its route.
fn identify(head: &HttpRequest, record: &mut Record) -> Result<Arc<Snapshot>, Rejection> {
    let snapshot = record.worker.snapshot().ok_or(Rejection::NotReady)?;
    record.edition = Some(snapshot.edition.clone());
    if record.worker.shared.auth == Auth::Required {
        let authorization = head
            .headers()
            .get(AUTHORIZATION)
            .map(|value| value.as_bytes());
        let now_ms = clock::unix_ms(clock::unix_at(record.started));
        let caller = snapshot
            .keyring
            .find(authorization, now_ms)
            .map_err(Rejection::Denied)?;
        record.caller = Some(caller);
    }
    Ok(snapshot)
}

/// Which route the model names.
fn resolve<'a>(snapshot: &'a Snapshot, call: &Call) -> Result<&'a Arc<Route>, Rejection> {
    let model = &call.shallow.model;
    let route = snapshot.routes.resolve(model);
    route.ok_or_else(|| Rejection::ModelNotFound {
        model: model.clone(),
    })
}

/// Whether this caller may use it. Asked after the route is known, so that it counts there.
fn permit(route: &Route, call: &Call, record: &Record) -> Result<(), Rejection> {
    match &record.caller {
        Some(caller) if !caller.may_use(&route.name) => Err(Rejection::RouteNotAllowed {
            model: call.shallow.model.clone(),
        }),
        _ => Ok(()),
    }
}

/// What keeps this caller with one target: the first value present of those the route names.
fn affinity<'a>(
    route: &'a Route,
    head: &'a HttpRequest,
    call: &'a Call,
    caller: Option<&'a Caller>,
) -> Affinity<'a> {
    let name = caller.map_or("", |caller| &caller.name);
    pick::find(&route.affinity, |place| match place {
        Place::Header(name) => head
            .headers()
            .get(&**name)
            .map(|value| Cow::Borrowed(value.as_bytes())),
        Place::Body(name) if &**name == "user" => {
            let span = call.shallow.user_span.clone()?;
            fields::at(&call.body, span).map(|value| Cow::Owned(value.into_bytes()))
        }
        Place::Body(name) => {
            fields::field(&call.body, name).map(|value| Cow::Owned(value.into_bytes()))
        }
        Place::Conversation => fields::opening(&call.body)
            .map(|opening| Cow::Owned([name.as_bytes(), b"\x1f", &opening].concat())),
        Place::Key if name.is_empty() => None,
        Place::Key => Some(Cow::Borrowed(name.as_bytes())),
    })
}

/// The answer to a request that `answer` has brought to its end.
pub(crate) fn respond(ended: Result<Ended, Rejection>, record: Record) -> HttpResponse {
    match ended {
        Ok(Ended::Opened(opened)) => respond::opened(*opened, record),
        Ok(Ended::PassedThrough(refusal)) => respond::refused(refusal, record),
        Err(rejection) => respond::rejected(&rejection, record),
    }
}
