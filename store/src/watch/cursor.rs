//! Where a watch stands: which revision it asks for next, and what each message means for that.
//!
//! The one rule that matters: `next` is moved by a listing, and by events and progress of this very
//! watch, by nothing else. A timeout, a new connection or a header's revision moves nothing, or a
//! change would be lost without a word. Pure: messages come in, a [`Step`] goes out.
//!
//! ```text
//!   asked ──created──▶ standing ──events, progress──▶ Deliver, next moves
//!     └── canceled, also beside created ──▶ Relist (compacted, unknown) or Reopen (token, role)
//! ```

use std::collections::BTreeMap;

use serin_proto::unit::Revision;

use super::{Change, Event};
use crate::{Key, Listing, Resume, StoreIdentity};

/// Bytes of a batch in fragments that are kept; a larger one is listed instead.
pub(crate) const FRAGMENT_BYTES_MAX: usize = 64 << 20;

/// The id that the server gives to what belongs to all watches of a stream, or to none.
pub(crate) const NO_WATCH: i64 = -1;

/// One message of a watch stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    pub(crate) watch_id: i64,
    pub(crate) created: bool,
    pub(crate) canceled: bool,
    pub(crate) cancel_reason: String,
    /// Above zero: history begins here, the revision asked for is gone.
    pub(crate) compact_revision: Revision,
    /// More of the same batch follows.
    pub(crate) fragment: bool,
    /// The revision in its header.
    pub(crate) revision: Revision,
    /// What changed, without what cannot be ours.
    pub(crate) changes: Vec<Change>,
    /// The revision of its last event, ours or not; `None` if it has no events.
    pub(crate) moved: Option<Revision>,
    /// Size of its events.
    pub(crate) bytes: usize,
}

/// What a message means.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// Nothing to tell.
    Wait,
    /// The watch stands, unless its history turns out to be gone.
    Created,
    /// Tell the consumer.
    Deliver(Event),
    /// The server ended the watch; its words say why, the code is the caller's to read.
    Canceled(String),
    /// What is missing cannot be had from history: list again.
    Relist(String),
}

/// What one may know of the store before a watch is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) identity: StoreIdentity,
    pub(crate) revision: Revision,
    /// When the key of [`Cursor::newest`] was changed, if it is there.
    pub(crate) changed: Option<Revision>,
}

/// The position of one watch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cursor {
    next: Option<Revision>,
    identity: StoreIdentity,
    /// The keys held and when they were changed: by the newest, another history is recognised.
    held: BTreeMap<Key, Revision>,
    /// Whether `held` is all there is; after a resume it is one key.
    whole: bool,
    watch_id: Option<i64>,
    parts: Vec<Change>,
    parts_bytes: usize,
    in_parts: bool,
}

impl Cursor {
    /// From what the consumer holds; with nothing, it must list first.
    pub(crate) fn new(after: Option<Resume>) -> Self {
        let Some(resume) = after else {
            return Self::default();
        };
        Self {
            next: Some(following(resume.revision)),
            identity: resume.identity,
            whole: resume.newest.is_none(),
            held: resume.newest.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Whether there is a place to go on from; else list first.
    pub(crate) fn stands_somewhere(&self) -> bool {
        self.next.is_some()
    }

    /// The revision to watch from: the last one that was seen, whose events are known and left out.
    /// From the next one etcd would answer no question for progress until there is such a
    /// revision, and a quiet store would look like a dead stream. Never 0: that means "now".
    pub(crate) fn start(&self) -> Revision {
        let next = self.next.unwrap_or_default();
        Revision(next.0.saturating_sub(1)).max(Revision(1))
    }

    /// The newest key held and its revision.
    pub(crate) fn newest(&self) -> Option<(&Key, Revision)> {
        let newest = self.held.iter().max_by_key(|(_, revision)| **revision);
        newest.map(|(key, revision)| (key, *revision))
    }

    /// Whether the store may be the one we hold a part of: same id, not behind us, and our newest
    /// key is as it was or was changed since. Otherwise the consumer must see a listing.
    pub(crate) fn may_resume(&self, seen: &Seen) -> bool {
        let Some(next) = self.next else { return false };
        let behind = following(seen.revision) < next;
        if seen.identity != self.identity || behind {
            return false;
        }
        match (self.newest(), seen.changed) {
            (Some((_, held)), Some(there)) => there == held || there >= next,
            (Some(_), None) => false,
            // Nothing to compare: fine if nothing is held, else we no longer know.
            (None, _) => self.whole,
        }
    }

    /// What was held is not known to be there any more.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    /// The consumer is told this listing.
    pub(crate) fn listed(&mut self, listing: &Listing) {
        let held = listing.entries.iter();
        *self = Self {
            next: Some(following(listing.revision)),
            identity: listing.identity.clone(),
            held: held.map(|e| (e.key.clone(), e.mod_revision)).collect(),
            whole: true,
            ..Self::default()
        };
    }

    /// A new stream was asked for: what the old one left unfinished is void.
    pub(crate) fn asked(&mut self) {
        self.watch_id = None;
        self.parts = Vec::new();
        self.parts_bytes = 0;
        self.in_parts = false;
    }

    /// What this message means; moves `next` if it is events or progress.
    pub(crate) fn take(&mut self, message: Message) -> Step {
        // Looked at first: a refusal says both, created and canceled.
        if message.compact_revision > Revision(0) {
            let from = message.compact_revision;
            return Step::Relist(format!("history begins at revision {from}"));
        }
        if message.canceled {
            return Step::Canceled(message.cancel_reason);
        }
        if message.created {
            self.watch_id = Some(message.watch_id);
            return Step::Created;
        }
        match (self.watch_id, message.watch_id) {
            (None, _) => Step::Wait,
            (Some(_), NO_WATCH) if message.moved.is_none() => self.progress(message.revision),
            (Some(ours), id) if ours == id => match message.moved {
                None => self.progress(message.revision),
                Some(moved) => self.events(message, moved),
            },
            (Some(_), other) => Step::Relist(format!("a message of an unknown watch {other}")),
        }
    }

    fn progress(&mut self, revision: Revision) -> Step {
        // Amid a batch it tells of what is not whole yet; an older one tells nothing.
        if self.in_parts || Some(following(revision)) < self.next {
            return Step::Wait;
        }
        self.next = Some(following(revision));
        Step::Deliver(Event::Progress(revision))
    }

    fn events(&mut self, message: Message, moved: Revision) -> Step {
        self.parts_bytes += message.bytes;
        if self.parts_bytes > FRAGMENT_BYTES_MAX {
            return Step::Relist(format!("a batch is larger than {FRAGMENT_BYTES_MAX} bytes"));
        }
        self.parts.extend(message.changes);
        self.in_parts = message.fragment;
        if message.fragment {
            return Step::Wait;
        }
        self.parts_bytes = 0;
        let mut batch = std::mem::take(&mut self.parts);
        let next = self.next.unwrap_or_default();
        if moved < next {
            return Step::Wait;
        }
        // What was delivered before is not delivered twice.
        batch.retain(|change| change.revision() >= next);
        self.next = Some(following(moved));
        if batch.is_empty() {
            return Step::Deliver(Event::Progress(moved));
        }
        for change in &batch {
            match change {
                Change::Put(entry) => self.held.insert(entry.key.clone(), entry.mod_revision),
                Change::Delete { key, .. } => self.held.remove(key),
            };
        }
        Step::Deliver(Event::Changes {
            batch,
            revision: moved,
        })
    }
}

fn following(revision: Revision) -> Revision {
    Revision(revision.0.saturating_add(1))
}

#[cfg(test)]
#[path = "cursor/tests.rs"]
mod tests;
