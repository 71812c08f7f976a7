//! All that a router may do with a store: follow its documents.
//!
//! The stream is bounded: a slow follower stops its source, and nothing is lost or piled up.

use tokio::sync::mpsc;

use crate::watch::Event;

/// Events that may wait for a slow follower before its source waits too.
const EVENTS_WAITING_MAX: usize = 64;

/// The reading end.
#[derive(Debug)]
pub struct Follower {
    events: mpsc::Receiver<Event>,
}

impl Follower {
    /// The next event; `None` once the source has ended and everything was delivered.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }
}

/// The writing end, held by a source.
#[derive(Clone, Debug)]
pub struct Feed {
    events: mpsc::Sender<Event>,
}

impl Feed {
    /// Delivers one event, waiting while the follower is behind. `false`: nobody follows any more.
    pub async fn send(&self, event: Event) -> bool {
        self.events.send(event).await.is_ok()
    }

    /// [`Self::send`] for a source that runs on a thread of its own.
    pub fn send_blocking(&self, event: Event) -> bool {
        self.events.blocking_send(event).is_ok()
    }

    /// Resolves when nobody follows any more.
    pub async fn closed(&self) {
        self.events.closed().await;
    }
}

/// A stream and its two ends.
pub fn follow() -> (Feed, Follower) {
    let (sender, receiver) = mpsc::channel(EVENTS_WAITING_MAX);
    (Feed { events: sender }, Follower { events: receiver })
}
