//! When this router last knew what its store says, and which canaries depend on it.
//!
//! ```text
//!   listing, progress ──▶ caught up ── change ──▶ each word is contact
//!                            │ down · another store · a batch that failed
//!                            ▼
//!                         behind: a change proves nothing, more may follow it
//! ```
//! A word counts once what it says serves, never before: who is back from an outage applies first and
//! exposes then. The newest word is one atomic that requests read; it is read *before* the snapshot is
//! taken, so the snapshot of a request is at least as new as the word it rests on.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serin_proto::unit::Share;

use super::{Snapshot, documents::Heard};
use crate::{clock, pick::Lease};

/// The newest word from the store. Written by the watcher alone.
#[derive(Debug, Default)]
pub(crate) struct Contact {
    /// Milliseconds since the process began, and one; 0: never.
    newest: AtomicU64,
}

impl Contact {
    /// Milliseconds since the process began; `None`: never.
    pub(crate) fn last_ms(&self) -> Option<u64> {
        self.newest.load(Ordering::Acquire).checked_sub(1)
    }

    fn was(&self, now_ms: u64) {
        self.newest
            .store(now_ms.saturating_add(1), Ordering::Release);
    }
}

/// The canaries that have their share on lease.
#[derive(Debug, Default)]
pub(super) struct Exposures {
    /// All that the store has was heard.
    caught_up: bool,
    /// There was a word that counts once it serves.
    heard: bool,
    /// What was heard last could not be applied.
    failed: bool,
    /// Routes whose canary has a share on lease.
    leases: Vec<(Arc<str>, Lease)>,
    /// Those of them that were told to be without it.
    ended: BTreeSet<Arc<str>>,
}

impl Exposures {
    /// Takes one event of the source in. `is_whole`: it proves that nothing is left to hear.
    pub(super) fn hear(&mut self, is_whole: bool, heard: Option<Heard>) {
        match heard {
            None | Some(Heard::Foreign) => self.caught_up = false,
            Some(Heard::Changed(_) | Heard::Adopted(_) | Heard::Confirmed) => {
                self.caught_up |= is_whole;
                self.heard |= self.caught_up;
            }
        }
    }

    /// What was heard could not be applied: nothing counts until something is.
    pub(super) fn fail(&mut self) {
        self.failed = true;
    }

    /// `snapshot` serves now.
    pub(super) fn applied(&mut self, snapshot: &Snapshot) {
        self.failed = false;
        let leased = snapshot.routes.routes().iter().filter_map(|route| {
            let (_, share) = route.split.canary()?;
            let lease = route.lease.filter(|_| share > Share::default())?;
            Some((Arc::clone(&route.name), lease))
        });
        self.leases = leased.collect();
    }

    /// All that was heard so far serves now: if there was a word, this is its time.
    pub(super) fn settle(&mut self, contact: &Contact, now: Instant) {
        if std::mem::take(&mut self.heard) && !self.failed {
            contact.was(clock::since_start_ms(now));
        }
    }

    /// When the next lease ends.
    pub(super) fn due(&self, contact: &Contact, now: Instant) -> Option<Instant> {
        let contact_ms = told_from(contact);
        let now_ms = clock::since_start_ms(now);
        let running = self
            .leases
            .iter()
            .filter(|(route, _)| !self.ended.contains(route));
        let first_ms = running.map(|(_, lease)| lease.ends_ms(contact_ms)).min()?;
        let left = Duration::from_millis(first_ms.saturating_sub(now_ms).saturating_add(1));
        now.checked_add(left)
    }

    /// Tells which canaries lost their share, and which got it back.
    pub(super) fn tell(&mut self, contact: &Contact, now: Instant) {
        let contact_ms = told_from(contact);
        let now_ms = clock::since_start_ms(now);
        let quiet_ms = now_ms.saturating_sub(contact_ms);
        for (route, is_exposed) in self.changes(contact_ms, now_ms) {
            if is_exposed {
                tracing::info!(route = &*route, "the canary's exposure began again");
            } else {
                tracing::warn!(
                    route = &*route,
                    quiet_ms,
                    "the canary's exposure ended: no word from the store"
                );
            }
        }
    }

    /// What changed since the last call: true for a canary that has its share again.
    fn changes(&mut self, contact_ms: u64, now_ms: u64) -> Vec<(Arc<str>, bool)> {
        let leases = &self.leases;
        self.ended
            .retain(|route| leases.iter().any(|(leased, _)| leased == route));
        let mut changes = Vec::new();
        for (route, lease) in leases {
            let is_exposed = lease.holds(Some(contact_ms), now_ms);
            let is_news = if is_exposed {
                self.ended.remove(route)
            } else {
                self.ended.insert(Arc::clone(route))
            };
            if is_news {
                changes.push((Arc::clone(route), is_exposed));
            }
        }
        changes
    }
}

/// From when silence is told. Before the first word it is the start of the process: a canary waits for
/// that word, and a start in which it comes soon is not worth a line.
fn told_from(contact: &Contact) -> u64 {
    contact.last_ms().unwrap_or_default()
}

#[cfg(test)]
mod tests;
