//! Transactions on top of a ledger that nobody can read yet.

use std::collections::{BTreeMap, HashSet};

use serin_proto::unit::Revision;

use super::{Commit, Ledger, Stored, Write, bounds};
use crate::{Compare, Entry, Error, Key, LeaseId, Op, Outcome, Range, Result, Txn, watch::Change};

/// Transactions applied one after the other, each seeing those before it.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    base: &'a Ledger,
    /// The keys changed so far; `None`: deleted.
    over: BTreeMap<Key, Option<Stored>>,
    commits: Vec<Commit>,
    ended: HashSet<LeaseId>,
}

/// What a draft came to: new revisions, in order, and the leases that ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Drafted {
    pub(crate) commits: Vec<Commit>,
    pub(crate) ended: HashSet<LeaseId>,
}

impl<'a> Draft<'a> {
    pub(super) fn of(base: &'a Ledger) -> Self {
        Self {
            base,
            over: BTreeMap::new(),
            commits: Vec::new(),
            ended: HashSet::new(),
        }
    }

    /// The revision after everything drafted so far.
    pub(crate) fn revision(&self) -> Revision {
        let newest = self.commits.last().map(|commit| commit.revision);
        newest.unwrap_or_else(|| self.base.revision())
    }

    /// All of a transaction or nothing.
    ///
    /// # Errors
    /// As [`Txn::check`]; [`Error::Invalid`] for a lease that is not, or no longer, granted.
    pub(crate) fn apply(&mut self, txn: &Txn) -> Result<Outcome> {
        txn.check()?;
        if !txn.compares.iter().all(|compare| self.holds(compare)) {
            return Ok(Outcome::Conflict {
                now: self.compared(&txn.compares),
                revision: self.revision(),
            });
        }
        if let Some(lease) = txn.ops.iter().find_map(|op| self.unknown_lease(op)) {
            let message = format!("lease {} is gone or was never granted", lease.0);
            return Err(Error::Invalid(message));
        }
        let revision = Revision(self.revision().0 + 1);
        let ops = txn.ops.iter();
        let writes = ops.filter_map(|op| self.written(op, revision)).collect();
        self.commit(revision, writes);
        Ok(Outcome::Committed(self.revision()))
    }

    /// Deletes the keys of a lease, and the lease.
    pub(crate) fn end_lease(&mut self, lease: LeaseId) {
        let revision = Revision(self.revision().0 + 1);
        let under = |held: &&Stored| held.lease == Some(lease);
        let untouched = self.base.entries.iter();
        let untouched = untouched.filter(|(key, _)| !self.over.contains_key(*key));
        let held = untouched
            .map(|(_, held)| held)
            .chain(self.over.values().flatten());
        let mut keys: Vec<Key> = held
            .filter(under)
            .map(|held| held.entry.key.clone())
            .collect();
        keys.sort();
        let writes = keys
            .into_iter()
            .map(|key| deletion(key, revision))
            .collect();
        self.commit(revision, writes);
        self.ended.insert(lease);
    }

    pub(crate) fn finish(self) -> Drafted {
        Drafted {
            commits: self.commits,
            ended: self.ended,
        }
    }

    fn commit(&mut self, revision: Revision, writes: Vec<Write>) {
        if writes.is_empty() {
            return;
        }
        for write in &writes {
            let held = match &write.change {
                Change::Put(entry) => Some(Stored {
                    entry: entry.clone(),
                    lease: write.lease,
                }),
                Change::Delete { .. } => None,
            };
            self.over.insert(write.change.key().clone(), held);
        }
        self.commits.push(Commit { revision, writes });
    }

    fn entry(&self, key: &Key) -> Option<&Entry> {
        match self.over.get(key) {
            Some(held) => held.as_ref().map(|held| &held.entry),
            None => self.base.get(key),
        }
    }

    fn holds(&self, compare: &Compare) -> bool {
        match compare {
            Compare::ModRevision(key, revision) => {
                let now = self.entry(key).map(|entry| entry.mod_revision);
                now.unwrap_or_default() == *revision
            }
            Compare::CreateRevision(key, revision) => {
                let now = self.entry(key).map(|entry| entry.create_revision);
                now.unwrap_or_default() == *revision
            }
            Compare::NothingNewer(range, revision) => !self.is_newer_in(range, *revision),
        }
    }

    fn is_newer_in(&self, range: &Range, revision: Revision) -> bool {
        let newer = |held: &Stored| held.entry.mod_revision > revision;
        let mut base = self.base.range(range);
        let mut over = self.over.range(bounds(range));
        over.any(|(_, held)| held.as_ref().is_some_and(newer))
            || base.any(|(key, held)| newer(held) && !self.over.contains_key(key))
    }

    /// The keys that single-key compares name, each once, in their order.
    fn compared(&self, compares: &[Compare]) -> Vec<Entry> {
        let mut named = HashSet::new();
        let keys = compares.iter().filter_map(|compare| match compare {
            Compare::ModRevision(key, _) | Compare::CreateRevision(key, _) => Some(key),
            Compare::NothingNewer(..) => None,
        });
        keys.filter(|key| named.insert(*key))
            .filter_map(|key| self.entry(key).cloned())
            .collect()
    }

    fn unknown_lease(&self, op: &Op) -> Option<LeaseId> {
        match op {
            Op::Put(_, _, Some(lease))
                if !self.base.is_granted(*lease) || self.ended.contains(lease) =>
            {
                Some(*lease)
            }
            _ => None,
        }
    }

    /// What an operation changes; nothing, when it deletes what is not there.
    fn written(&self, op: &Op, revision: Revision) -> Option<Write> {
        match op {
            Op::Put(key, value, lease) => {
                let before = self.entry(key);
                let entry = Entry {
                    key: key.clone(),
                    value: value.clone(),
                    create_revision: before.map_or(revision, |entry| entry.create_revision),
                    mod_revision: revision,
                    version: before.map_or(1, |entry| entry.version + 1),
                };
                Some(Write {
                    change: Change::Put(entry),
                    lease: *lease,
                })
            }
            Op::Delete(key) => {
                self.entry(key)?;
                Some(deletion(key.clone(), revision))
            }
        }
    }
}

fn deletion(key: Key, mod_revision: Revision) -> Write {
    Write {
        change: Change::Delete { key, mod_revision },
        lease: None,
    }
}
