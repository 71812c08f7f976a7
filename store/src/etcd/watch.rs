//! One gRPC watch stream, both halves: whoever holds it owns the watch, dropping it ends it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use etcd_client::{
    WatchOptions, WatchStream,
    proto::{PbEvent, PbWatchResponse},
};
use serin_proto::unit::Revision;

use super::{
    call::within,
    connection::Connection,
    keys::{bounds, entry, number, parsed, revision},
    trouble::{Kind, Trouble},
};
use crate::{
    Range, Scope,
    watch::{Change, cursor::Message},
};

/// etcd's word for a deletion among the types of events.
const DELETE: i32 = 1;

/// How many streams are open. Shared by all watches of a store.
#[derive(Clone, Debug, Default)]
pub(crate) struct OpenWatches(Arc<AtomicUsize>);

impl OpenWatches {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// An open stream.
#[derive(Debug)]
pub(crate) struct Stream {
    stream: WatchStream,
    range: Range,
    open: OpenWatches,
}

impl Stream {
    /// Asks for everything of the scope from `start` on. The first message says whether it stands.
    pub(crate) async fn open(
        connection: &Connection,
        scope: Scope,
        start: Revision,
        deadline: Duration,
        open: &OpenWatches,
    ) -> Result<Self, Trouble> {
        let range = scope.range();
        let (first, end) = bounds(&range);
        let options = WatchOptions::new()
            .with_range(end)
            .with_start_revision(number(start))
            .with_progress_notify()
            .with_fragment();
        let mut client = connection.watch.clone();
        let stream = within(deadline, client.watch(first, Some(options))).await?;
        open.0.fetch_add(1, Ordering::Relaxed);
        Ok(Self {
            stream,
            range,
            open: open.clone(),
        })
    }

    /// The next message. Dropping this future loses nothing.
    pub(crate) async fn message(&mut self) -> Result<Message, Trouble> {
        match self.stream.message().await {
            Ok(Some(answer)) => Ok(message(answer.0, &self.range)),
            Ok(None) => Err(Trouble::new(Kind::Lost, "the server ended the stream")),
            Err(error) => Err(Trouble::from(error)),
        }
    }

    pub(crate) async fn ask_progress(&mut self) -> Result<(), Trouble> {
        Ok(self.stream.request_progress().await?)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.open.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn message(answer: PbWatchResponse, range: &Range) -> Message {
    let mut changes = Vec::with_capacity(answer.events.len());
    let (mut moved, mut bytes) = (None, 0);
    for event in answer.events {
        let Some(kv) = &event.kv else { continue };
        bytes += kv.key.len() + kv.value.len();
        moved = moved.max(Some(revision(kv.mod_revision)));
        changes.extend(change(event, range));
    }
    Message {
        watch_id: answer.watch_id,
        created: answer.created,
        canceled: answer.canceled,
        cancel_reason: answer.cancel_reason,
        compact_revision: revision(answer.compact_revision),
        fragment: answer.fragment,
        revision: revision(answer.header.map_or(0, |header| header.revision)),
        changes,
        moved,
        bytes,
    }
}

/// `None` when its key cannot be one of ours: others write to etcd too.
fn change(event: PbEvent, range: &Range) -> Option<Change> {
    let kv = event.kv?;
    if event.r#type == DELETE {
        return Some(Change::Delete {
            key: parsed(&kv.key, range)?,
            mod_revision: revision(kv.mod_revision),
        });
    }
    entry(kv, range).map(Change::Put)
}
