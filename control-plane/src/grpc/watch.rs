//! The stream of changes: one message for each revision, until the client leaves, cannot follow, or
//! its token ends.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use futures_util::{Stream, stream};
use serde_json::Value as Json;
use serin_proto::unit::Revision;
use serin_store::watch::Change;
use tonic::Status;

use super::{
    call::Call,
    details,
    v1::{DocumentChange, WatchResponse},
};
use crate::{
    auth::{Actor, Right},
    change::Refusal,
    metrics::Watcher,
    read::seen_by,
    view::{Batch, Cursor},
};

/// A message without changes comes after so much silence.
const BOOKMARK_EVERY: Duration = Duration::from_secs(15);

/// What a client is sent.
pub(super) type Changes = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

/// One client.
struct Reader {
    call: Call,
    cursor: Cursor,
    /// Where the stream begins, until that was told.
    begins: Option<Revision>,
    stopped: Pin<Box<dyn Future<Output = ()> + Send>>,
    _watcher: Watcher,
}

/// Begins a stream of what comes after a revision; without one, of what comes from now on.
///
/// # Errors
/// As of a cursor: the history that was asked for is gone, or no documents were seen yet.
pub(super) async fn begin(call: Call, after: Option<u64>) -> Result<Changes, Refusal> {
    let view = &call.plane.view;
    view.caught_up(Revision::default()).await?;
    let after = after.map_or_else(|| view.revision(), Revision);
    let reader = Reader {
        cursor: view.cursor(Some(after)).await?,
        begins: Some(after),
        stopped: Box::pin(call.plane.stopped()),
        _watcher: call.plane.metrics.watcher(),
        call,
    };
    Ok(Box::pin(stream::unfold(Some(reader), next)))
}

/// The next message; after an error, nothing.
async fn next(reader: Option<Reader>) -> Option<(Result<WatchResponse, Status>, Option<Reader>)> {
    let mut reader = reader?;
    match reader.next().await {
        Ok(message) => Some((Ok(message), Some(reader))),
        Err(refusal) => {
            let status = details::status(&refusal, &reader.call.caller.request_id);
            Some((Err(status), None))
        }
    }
}

impl Reader {
    async fn next(&mut self) -> Result<WatchResponse, Refusal> {
        if let Some(revision) = self.begins.take() {
            return Ok(bookmark(revision));
        }
        let plane = Arc::clone(&self.call.plane);
        // Read before the wait: what is not told after it was not there up to here.
        let seen = plane.view.revision();
        let batch = tokio::select! {
            () = &mut self.stopped => {
                let text = "the control plane is stopping".to_owned();
                return Err(Refusal::StoreUnavailable(text));
            }
            batch = self.cursor.next(&plane.view, BOOKMARK_EVERY) => batch?,
        };
        self.ask_again()?;
        Ok(match batch {
            Some(batch) => told(&batch, &self.call.actor),
            None => bookmark(seen),
        })
    }

    /// Whether the token still holds, with the role that it has now.
    fn ask_again(&mut self) -> Result<(), Refusal> {
        self.call.actor = self.call.caller.identify_again(&self.call.plane)?;
        self.call.plane.require(&self.call.actor, Right::Read)
    }
}

fn bookmark(revision: Revision) -> WatchResponse {
    WatchResponse {
        revision: revision.0,
        changes: Vec::new(),
    }
}

fn told(batch: &Batch, actor: &Actor) -> WatchResponse {
    let changes = batch.changes.iter().map(|change| {
        let key = change.key().to_string();
        let Change::Put(entry) = change else {
            return DocumentChange {
                key,
                ..DocumentChange::default()
            };
        };
        let json = serde_json::from_slice::<Json>(&entry.value).ok();
        DocumentChange {
            key,
            unreadable: json.is_none(),
            document: json.map(|json| seen_by(actor, json).to_string()),
        }
    });
    WatchResponse {
        revision: batch.revision.0,
        changes: changes.collect(),
    }
}
