//! `GET /watch`: changes of documents as server-sent events, one for each revision.
//!
//! `id` is the revision, so a reader that comes back with `Last-Event-ID`, to this replica or
//! another, misses nothing: what cannot be told any more is a 410, never a gap. A reader has a place
//! in the shared ring and no queue of its own. One that falls out of the ring is cut, as is one whose
//! token is gone; one that stops reading is cut by TCP (`server.rs`).

use std::{
    convert::Infallible, future::Future, pin::Pin, str::FromStr as _, sync::Arc, time::Duration,
};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, header::HeaderName},
};
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value as Json, json};
use serin_proto::unit::Revision;
use serin_store::watch::Change;
use tokio::sync::OwnedSemaphorePermit;

use super::{
    call::{Call, identify_again},
    problem::Problem,
    query,
};
use crate::{
    auth::{Actor, Right},
    metrics::Watcher,
    plane::Plane,
    read::seen_by,
    view::{Batch, Cursor},
};

/// Readers at once.
pub(crate) const READERS_MAX: usize = 1_000;
/// A comment comes after so much silence, so that neither end takes the other for gone.
const COMMENT_EVERY: Duration = Duration::from_secs(15);
/// When a browser that was cut comes back, in milliseconds.
const RETRY_MS: u32 = 1_000;
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// One reader of the stream.
struct Reader {
    plane: Arc<Plane>,
    head: HttpRequest,
    actor: Actor,
    cursor: Cursor,
    /// Told before anything else: where the stream begins.
    hello: Option<Bytes>,
    stopped: Pin<Box<dyn Future<Output = ()>>>,
    _watcher: Watcher,
    _place: OwnedSemaphorePermit,
}

/// Opens the stream.
///
/// # Errors
/// 400 for a `Last-Event-ID` that is no revision; 410; 503 also where there are too many readers.
pub(crate) async fn open(call: &Call) -> Result<HttpResponse, Problem> {
    call.plane.require(&call.actor, Right::Read)?;
    let query::Nothing {} = query::read(call.head.query_string())?;
    let resumed = last_event_id(&call.head)?;
    let place = Arc::clone(&call.readers).try_acquire_owned();
    let too_many = |_| Problem::new("overloaded", "there are too many readers: come back later");
    let place = place.map_err(too_many)?;
    // Without a place of its own the reader begins at one that it is told, or what came before its
    // first event would be lost to it when it is cut.
    call.plane.view.caught_up(Revision::default()).await?;
    let after = resumed.unwrap_or_else(|| call.plane.view.revision());
    let cursor = call.plane.view.cursor(Some(after)).await?;
    let mut response = HttpResponse::Ok();
    response
        .content_type("text/event-stream")
        .insert_header(("x-accel-buffering", "no"));
    if call.head.method() == Method::HEAD {
        return Ok(response.finish());
    }
    let hello = format!("retry: {RETRY_MS}\n: changes after revision {after}\nid: {after}\n\n");
    let reader = Reader {
        plane: Arc::clone(&call.plane),
        head: call.head.clone(),
        actor: call.actor.clone(),
        cursor,
        hello: Some(hello.into()),
        stopped: Box::pin(call.plane.stopped()),
        _watcher: call.plane.metrics.watcher(),
        _place: place,
    };
    Ok(response.streaming(stream::unfold(reader, Reader::step)))
}

fn last_event_id(head: &HttpRequest) -> Result<Option<Revision>, Problem> {
    let Some(value) = head.headers().get(LAST_EVENT_ID) else {
        return Ok(None);
    };
    let revision = value
        .to_str()
        .ok()
        .and_then(|text| u64::from_str(text.trim()).ok());
    let not_one =
        || Problem::invalid_request("Last-Event-ID must be the id of an event: a revision");
    revision.map(Revision).map(Some).ok_or_else(not_one)
}

impl Reader {
    async fn step(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        if let Some(hello) = self.hello.take() {
            return Some((Ok(hello), self));
        }
        // Read before the wait: what is not told after it was not there up to here.
        let seen = self.plane.view.revision();
        let next = tokio::select! {
            () = &mut self.stopped => return None,
            next = self.cursor.next(&self.plane.view, COMMENT_EVERY) => next,
        };
        let Ok(next) = next else {
            tracing::warn!(actor = self.actor.name, "a reader of changes was cut");
            return None;
        };
        if !self.is_admitted() {
            return None;
        }
        let text = match next {
            Some(batch) => event(&batch, &self.actor),
            None => format!(": nothing new\nid: {seen}\n\n"),
        };
        Some((Ok(text.into()), self))
    }

    /// Whether the token still holds, with the role that it has now.
    fn is_admitted(&mut self) -> bool {
        let Ok(actor) = identify_again(&self.plane, &self.head) else {
            return false;
        };
        self.actor = actor;
        self.plane.require(&self.actor, Right::Read).is_ok()
    }
}

/// `id` and `data` of one revision.
fn event(batch: &Batch, actor: &Actor) -> String {
    let changes: Vec<Json> = batch
        .changes
        .iter()
        .map(|change| told(change, actor))
        .collect();
    let data = json!({ "revision": batch.revision.0, "changes": changes });
    format!("id: {}\ndata: {data}\n\n", batch.revision)
}

/// `{key, document}`; `document` is null for what is gone and absent for what is no JSON.
fn told(change: &Change, actor: &Actor) -> Json {
    let key = change.key().as_str();
    let Change::Put(entry) = change else {
        return json!({ "key": key, "document": null });
    };
    match serde_json::from_slice::<Json>(&entry.value) {
        Ok(document) => json!({ "key": key, "document": seen_by(actor, document) }),
        Err(_) => json!({ "key": key, "unreadable": true }),
    }
}
