//! What the watcher says, and how often.
//!
//! A state that changes is told once: a document that is refused, a stream that is down. A thousand
//! changes a second are one line a second. At `debug` each batch has its line: its revision and its
//! keys, by which a checker can tell whether a router saw every change once and in order.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    mem,
    time::{Duration, Instant},
};

use serin_proto::{Fault, admission::Stored, fleet::RejectedDocument, unit::Revision};
use serin_store::{
    Entry,
    watch::{Change, Event},
};

/// Shortest time between two lines about snapshots.
const TOLD_EVERY: Duration = Duration::from_secs(1);
/// Documents whose refusal one snapshot tells one by one.
const REFUSALS_TOLD_MAX: usize = 20;

/// The debug line of one batch.
#[derive(Debug)]
pub(super) struct Batch {
    kind: &'static str,
    revision: Revision,
    changed: String,
}

impl Batch {
    /// `None`: nobody listens, or the event has no line.
    pub(super) fn of(event: &Event) -> Option<Self> {
        let is_wanted = tracing::enabled!(tracing::Level::DEBUG);
        is_wanted.then(|| Self::read(event)).flatten()
    }

    fn read(event: &Event) -> Option<Self> {
        let (kind, revision, changed) = match event {
            Event::Reset(listing) => {
                let entries = listing.entries.iter().map(put);
                ("reset", listing.revision, joined(entries))
            }
            Event::Changes { batch, revision } => {
                let changes = batch.iter().map(|change| match change {
                    Change::Put(entry) => put(entry),
                    Change::Delete { key, mod_revision } => format!("-{key}@{mod_revision}"),
                });
                ("changes", *revision, joined(changes))
            }
            Event::Progress(revision) => ("progress", *revision, String::new()),
            Event::Refused(_) | Event::Down(..) => return None,
        };
        Some(Self {
            kind,
            revision,
            changed,
        })
    }

    /// The line of a store that was gone over to.
    pub(super) fn adopted<'a>(
        revision: Revision,
        stored: impl Iterator<Item = (&'a str, Stored<'a>)>,
    ) -> Self {
        let entries = stored.map(|(key, stored)| format!("{key}@{}", stored.mod_revision));
        Self {
            kind: "reset",
            revision,
            changed: joined(entries),
        }
    }

    pub(super) fn tell(self) {
        let (kind, revision, changed) = (self.kind, self.revision.0, self.changed);
        tracing::debug!(kind, revision, changed, "config applied");
    }
}

fn put(entry: &Entry) -> String {
    format!("{}@{}", entry.key, entry.mod_revision)
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.fold(String::new(), |mut all, part| {
        let comma = if all.is_empty() { "" } else { "," };
        let _ = write!(all, "{comma}{part}");
        all
    })
}

/// One snapshot that was applied.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Applied {
    pub(super) revision: Revision,
    pub(super) routes: usize,
    /// Targets that are new or changed.
    pub(super) targets: usize,
    pub(super) took: Duration,
}

/// Snapshots since the last line about them.
#[derive(Debug, Default)]
pub(super) struct Snapshots {
    told_at: Option<Instant>,
    newest: Applied,
    count: u64,
}

impl Snapshots {
    pub(super) fn count(&mut self, applied: Applied) {
        let took = self.newest.took.max(applied.took);
        let targets = self.newest.targets + applied.targets;
        self.newest = Applied {
            took,
            targets,
            ..applied
        };
        self.count += 1;
    }

    /// When there is a line to write; `None`: there is nothing to tell.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        let next = self.told_at.map_or(now, |at| at + TOLD_EVERY);
        (self.count > 0).then_some(next)
    }

    /// Writes the line if it is due.
    pub(super) fn tell(&mut self, now: Instant) {
        if self.due(now).is_none_or(|due| due > now) {
            return;
        }
        self.told_at = Some(now);
        let snapshots = mem::take(&mut self.count);
        let Applied {
            revision,
            routes,
            targets,
            took,
        } = mem::take(&mut self.newest);
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(%revision, routes, targets, took_ms, snapshots, "snapshot applied");
    }
}

/// Documents that are refused, as they were told.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// Revision and code by key.
    known: BTreeMap<String, (u64, String)>,
}

impl Refusals {
    /// Tells what is new and what is over. Gives how many versions of documents were not known yet.
    pub(super) fn take(&mut self, rejected: &[RejectedDocument]) -> u64 {
        let (mut new, mut told) = (0, 0);
        let mut over = mem::take(&mut self.known);
        for document in rejected {
            let now = (document.mod_revision, document.code.clone());
            let before = over.remove(&document.key);
            new += u64::from(before.as_ref().is_none_or(|before| before.0 != now.0));
            if before.is_none_or(|before| before.1 != now.1) {
                told += 1;
                tell(document, told);
            }
            self.known.insert(document.key.clone(), now);
        }
        if told > REFUSALS_TOLD_MAX {
            let more = told - REFUSALS_TOLD_MAX;
            tracing::error!(more, "further documents refused");
        }
        if !over.is_empty() {
            let (documents, still) = (over.len(), self.known.len());
            tracing::info!(documents, still, "documents no longer refused");
        }
        new
    }
}

fn tell(rejected: &RejectedDocument, told: usize) {
    if told <= REFUSALS_TOLD_MAX {
        tracing::error!(
            document = rejected.key,
            revision = rejected.mod_revision,
            code = rejected.code,
            why = rejected.message,
            serving = rejected.serving_revision,
            "document refused"
        );
    }
}

/// How many documents have a fault: the first two steps of a pointer name one (`/routes/0`).
pub(super) fn documents(faults: &[Fault]) -> u64 {
    let document = |fault: &Fault| {
        fault
            .pointer
            .split('/')
            .take(3)
            .collect::<Vec<_>>()
            .join("/")
    };
    faults.iter().map(document).collect::<BTreeSet<_>>().len() as u64
}

#[cfg(test)]
mod tests;
