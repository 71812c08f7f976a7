//! The rules of a store, without disk, threads or time: keys with their revisions, what a
//! transaction does to them, and the window of history that watchers are served from.
//!
//! ```text
//!   Ledger ──draft──▶ Draft: apply(txn), apply(txn), end_lease ──finish──▶ Drafted
//!     ▲                                                                      │ (made durable)
//!     └──────────────────────────────adopt───────────────────────────────────┘
//! ```
//!
//! A draft sees its own changes and the ledger does not, so that a backend may write them down
//! before anyone can read them. The embedded backends are this and a way to keep it; etcd has its
//! own, and the conformance suite holds the two against each other.
//!
//! As in etcd: an empty store is at revision 1, a transaction that changes nothing (no operation,
//! or only deletions of absent keys) leaves the revision as it is, and the end of a lease deletes
//! all its keys in one revision.

mod draft;
mod history;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashSet},
    ops::Bound,
};

use serin_proto::unit::Revision;

pub(crate) use draft::{Draft, Drafted};
pub(crate) use history::{Commit, Window, Write};

use crate::{
    Entry, Key, LeaseId, Listing, Page, Range, Resume, Scope, StoreIdentity, watch::Change,
};
use history::History;

/// Where an empty store begins, so that 0 can mean "absent".
pub(crate) const FIRST_REVISION: Revision = Revision(1);

/// Most changes of one event, but for a revision that has more by itself.
const BATCH_CHANGES_MAX: usize = 1_000;

/// A key as stored, with the lease it goes with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) entry: Entry,
    pub(crate) lease: Option<LeaseId>,
}

/// What a watcher at a revision is to be told next.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// Everything: it holds nothing, or what it holds is older than the history.
    Reset(Listing),
    /// Whole revisions; it is then at `at`, which may be above the last one of its scope.
    Changes {
        batch: Vec<Change>,
        revision: Revision,
        at: Revision,
    },
    /// Nothing happened in its scope up to here.
    Quiet(Revision),
}

/// All keys, and the history of their changes.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    identity: StoreIdentity,
    entries: BTreeMap<Key, Stored>,
    history: History,
    /// The leases that may be written under.
    leases: HashSet<LeaseId>,
}

impl Ledger {
    pub(crate) fn new(identity: StoreIdentity) -> Self {
        Self {
            identity,
            entries: BTreeMap::new(),
            history: History::begun(FIRST_REVISION),
            leases: HashSet::new(),
        }
    }

    pub(crate) fn revision(&self) -> Revision {
        self.history.newest()
    }

    /// Changes up to here can no longer be told.
    pub(crate) fn compacted(&self) -> Revision {
        self.history.compacted()
    }

    pub(crate) fn identity(&self) -> &StoreIdentity {
        &self.identity
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Entry> {
        self.entries.get(key).map(|held| &held.entry)
    }

    pub(crate) fn list(&self, scope: Scope, page: &Page) -> Listing {
        let limit = page.limit.unwrap_or(usize::MAX);
        let range = self.range(&scope.range());
        let entries = range.map(|(_, held)| &held.entry);
        let after = page.after.as_ref();
        let entries = if page.newest_first {
            let behind = entries
                .rev()
                .skip_while(|entry| after.is_some_and(|after| entry.key >= *after));
            behind.take(limit).cloned().collect()
        } else {
            let behind = entries.skip_while(|entry| after.is_some_and(|after| entry.key <= *after));
            behind.take(limit).cloned().collect()
        };
        Listing {
            entries,
            revision: self.revision(),
            identity: self.identity.clone(),
        }
    }

    /// Where a watch goes on that resumes from what its consumer holds. `None`: that was another
    /// store, or another history of this one, so it begins anew.
    pub(crate) fn resume(&self, resume: &Resume) -> Option<Revision> {
        let after = resume.revision;
        let ours = resume.identity == self.identity && after <= self.revision();
        let same_history = resume.newest.as_ref().is_none_or(|(key, revision)| {
            match self.get(key).map(|entry| entry.mod_revision) {
                Some(now) => now == *revision || now > after,
                None => self.history.deleted_since(key, after),
            }
        });
        (ours && same_history).then_some(after)
    }

    /// What a watcher is to be told that was told everything up to `at`.
    pub(crate) fn follow(&self, scope: Scope, at: Option<Revision>) -> Step {
        let Some(at) = at.filter(|at| *at >= self.compacted()) else {
            return Step::Reset(self.list(scope, &Page::whole()));
        };
        let mut batch: Vec<Change> = Vec::new();
        let mut told = at;
        for (revision, changes) in self.history.since(at) {
            let ours = changes.iter().filter(|change| scope.contains(change.key()));
            batch.extend(ours.cloned());
            told = revision;
            if batch.len() >= BATCH_CHANGES_MAX {
                break;
            }
        }
        match batch.last().map(Change::revision) {
            Some(revision) => Step::Changes {
                batch,
                revision,
                at: told,
            },
            None => Step::Quiet(told),
        }
    }

    /// Lets keys be written under a lease.
    pub(crate) fn grant(&mut self, lease: LeaseId) {
        self.leases.insert(lease);
    }

    pub(crate) fn is_granted(&self, lease: LeaseId) -> bool {
        self.leases.contains(&lease)
    }

    pub(crate) fn draft(&self) -> Draft<'_> {
        Draft::of(self)
    }

    /// Takes over what was drafted on this very ledger.
    pub(crate) fn adopt(&mut self, drafted: Drafted) {
        for commit in drafted.commits {
            self.history.push(&commit);
            for write in commit.writes {
                self.write(write);
            }
        }
        for lease in drafted.ended {
            self.leases.remove(&lease);
        }
    }

    /// The revision to compact to, so that no more history is kept than the window holds.
    pub(crate) fn surplus(&self, window: Window) -> Revision {
        self.history.surplus(window)
    }

    /// Forgets the changes up to a revision; one that is not there yet means all of them.
    pub(crate) fn compact(&mut self, to: Revision) {
        self.history.compact(to);
    }

    fn write(&mut self, write: Write) {
        match write.change {
            Change::Put(entry) => {
                let lease = write.lease;
                self.entries
                    .insert(entry.key.clone(), Stored { entry, lease });
            }
            Change::Delete { key, .. } => {
                self.entries.remove(&key);
            }
        }
    }

    fn range(&self, range: &Range) -> impl DoubleEndedIterator<Item = (&Key, &Stored)> + use<'_> {
        self.entries.range(bounds(range))
    }
}

/// What a ledger needs that is kept in a file.
#[cfg(feature = "redb")]
impl Ledger {
    /// A ledger as it was kept: its keys, and the commits after `compacted`, which follow each
    /// other without a gap.
    pub(crate) fn restored(
        identity: StoreIdentity,
        entries: impl IntoIterator<Item = Stored>,
        compacted: Revision,
        commits: impl IntoIterator<Item = Commit>,
    ) -> Self {
        let mut history = History::begun(compacted);
        for commit in commits {
            history.push(&commit);
        }
        let entries = entries.into_iter();
        Self {
            identity,
            entries: entries.map(|held| (held.entry.key.clone(), held)).collect(),
            history,
            leases: HashSet::new(),
        }
    }

    /// The leases that any key is under, granted or left over from before.
    pub(crate) fn leases_in_use(&self) -> std::collections::BTreeSet<LeaseId> {
        self.entries
            .values()
            .filter_map(|held| held.lease)
            .collect()
    }
}

/// The first key of a range, and the first one behind it.
fn bounds(range: &Range) -> (Bound<Key>, Bound<Key>) {
    let prefix = range.prefix();
    let Ok(first) = Key::new(prefix) else {
        return (Bound::Unbounded, Bound::Unbounded);
    };
    let behind = prefix
        .strip_suffix('/')
        .and_then(|folder| Key::new(format!("{folder}0")).ok());
    let end = behind.map_or(Bound::Unbounded, Bound::Excluded);
    (Bound::Included(first), end)
}
