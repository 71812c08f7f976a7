//! What a watcher sees of a store: whole listings, changes, and news of trouble.
//!
//! Always: revisions only rise; a `Reset` replaces everything (what is not in it is gone), so its
//! consumer compares and never empties its state first; `Down` and `Refused` end nothing: what was
//! delivered before stays true. The stream is bounded: a slow consumer stops its source, and
//! nothing is lost or piled up.

#[cfg(feature = "etcd")]
mod backoff;
#[cfg(feature = "etcd")]
pub(crate) mod cursor;
#[cfg(feature = "etcd")]
mod standing;
#[cfg(feature = "etcd")]
pub(crate) mod supervisor;

use std::{fmt, sync::Arc};

use serin_proto::{Fault, unit::Revision};
use tokio::sync::{Notify, mpsc};

use crate::{Entry, Key, Listing};

/// Events that may wait for a slow consumer before its source waits too.
const EVENTS_WAITING_MAX: usize = 64;

/// One key's change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Put(Entry),
    Delete { key: Key, mod_revision: Revision },
}

impl Change {
    pub fn key(&self) -> &Key {
        match self {
            Self::Put(entry) => &entry.key,
            Self::Delete { key, .. } => key,
        }
    }

    /// The revision of the change.
    pub fn revision(&self) -> Revision {
        match self {
            Self::Put(entry) => entry.mod_revision,
            Self::Delete { mod_revision, .. } => *mod_revision,
        }
    }
}

/// One event of the stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Replaces everything known so far.
    Reset(Listing),
    /// One or more whole revisions, in order; `revision` is that of the last change.
    Changes {
        batch: Vec<Change>,
        revision: Revision,
    },
    /// Every change up to here was delivered.
    Progress(Revision),
    /// The source holds something that cannot be taken as a whole (a file with faults).
    Refused(Vec<Fault>),
    /// The source cannot be read now.
    Down(Reason, String),
}

/// Why a stream is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No connection to any endpoint.
    Connect,
    /// The member has no leader, or answers `Unavailable`.
    NoLeader,
    /// User, password, token or role.
    Auth,
    /// Nothing came for longer than the server promises to be silent.
    Silent,
    /// The server ended the watch, compaction included.
    Canceled,
    /// Another store than before, or another history.
    Foreign,
    /// Reading failed: a file, a connection in use.
    Io,
    /// This process is stopping.
    Shutdown,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connect",
            Self::NoLeader => "no leader",
            Self::Auth => "auth",
            Self::Silent => "silent",
            Self::Canceled => "canceled",
            Self::Foreign => "foreign",
            Self::Io => "io",
            Self::Shutdown => "shutdown",
        })
    }
}

/// The reading end of a stream. Dropping it frees everything behind it.
#[derive(Debug)]
pub struct Watch {
    events: mpsc::Receiver<Event>,
    ask: Arc<Notify>,
}

impl Watch {
    /// The next event; `None` once the source has ended and everything was delivered.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// An event that is waiting already: who wants the newest state alone drains these first.
    pub fn waiting(&mut self) -> Option<Event> {
        self.events.try_recv().ok()
    }

    /// Asks for a `Progress` soon. Answers may be shared, and one may come without being asked.
    pub fn ask_progress(&self) {
        self.ask.notify_one();
    }
}

/// The writing end, held by a source.
#[derive(Clone, Debug)]
pub struct Feed {
    events: mpsc::Sender<Event>,
    ask: Arc<Notify>,
}

impl Feed {
    /// Delivers one event, waiting while the consumer is behind. `false`: nobody watches any more.
    pub async fn send(&self, event: Event) -> bool {
        self.events.send(event).await.is_ok()
    }

    /// [`Self::send`] for a source that runs on a thread of its own.
    pub fn send_blocking(&self, event: Event) -> bool {
        self.events.blocking_send(event).is_ok()
    }

    /// Resolves when the consumer asks for progress.
    pub async fn asked(&self) {
        self.ask.notified().await;
    }

    /// Resolves when nobody watches any more.
    pub async fn closed(&self) {
        self.events.closed().await;
    }
}

/// A stream and its two ends.
pub fn channel() -> (Feed, Watch) {
    let (sender, receiver) = mpsc::channel(EVENTS_WAITING_MAX);
    let ask = Arc::new(Notify::new());
    let feed = Feed {
        events: sender,
        ask: Arc::clone(&ask),
    };
    let watch = Watch {
        events: receiver,
        ask,
    };
    (feed, watch)
}
