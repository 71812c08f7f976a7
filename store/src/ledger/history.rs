//! The newest changes, revision by revision and without a gap, for watchers that fell behind.

use std::{collections::VecDeque, sync::Arc};

use serin_proto::unit::Revision;

use crate::{Key, LeaseId, watch::Change};

/// What a change costs to keep beside its key and value: about what its structures take.
const CHANGE_BYTES: usize = 96;

/// One revision: what it did to which keys, in the order of its operations.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Commit {
    pub(crate) revision: Revision,
    pub(crate) writes: Vec<Write>,
}

/// A change, and the lease its key is under from then on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Write {
    pub(crate) change: Change,
    pub(crate) lease: Option<LeaseId>,
}

/// How much history is kept: whichever bound is met first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) revisions_max: usize,
    pub(crate) bytes_max: usize,
}

/// The changes after `compacted`, up to now.
#[derive(Clone, Debug)]
pub(super) struct History {
    compacted: Revision,
    /// The changes of `compacted + 1`, `compacted + 2`, ….
    commits: VecDeque<Kept>,
    bytes: usize,
}

#[derive(Clone, Debug)]
struct Kept {
    changes: Arc<[Change]>,
    bytes: usize,
}

impl History {
    /// No history, of a store that is at this revision.
    pub(super) fn begun(at: Revision) -> Self {
        Self {
            compacted: at,
            commits: VecDeque::new(),
            bytes: 0,
        }
    }

    pub(super) fn compacted(&self) -> Revision {
        self.compacted
    }

    pub(super) fn newest(&self) -> Revision {
        Revision(self.compacted.0 + self.commits.len() as u64)
    }

    pub(super) fn push(&mut self, commit: &Commit) {
        debug_assert_eq!(commit.revision.0, self.newest().0 + 1, "a gap");
        let changes = commit.writes.iter().map(|write| write.change.clone());
        let changes: Arc<[Change]> = changes.collect();
        let bytes = changes.iter().map(size).sum();
        self.bytes += bytes;
        self.commits.push_back(Kept { changes, bytes });
    }

    /// The revisions after `at`, which is not below `compacted`.
    pub(super) fn since(&self, at: Revision) -> impl Iterator<Item = (Revision, &[Change])> {
        let seen = at.0.saturating_sub(self.compacted.0);
        let seen = usize::try_from(seen).unwrap_or(usize::MAX);
        let first = self.compacted.0 + 1;
        self.commits
            .iter()
            .enumerate()
            .skip(seen)
            .map(move |(index, kept)| (Revision(first + index as u64), &*kept.changes))
    }

    pub(super) fn deleted_since(&self, key: &Key, at: Revision) -> bool {
        self.since(at)
            .flat_map(|(_, changes)| changes)
            .any(|change| matches!(change, Change::Delete { key: gone, .. } if gone == key))
    }

    /// The revision to compact to, to keep no more than the window.
    pub(super) fn surplus(&self, window: Window) -> Revision {
        let mut to = self.compacted;
        let mut left = self.commits.len();
        let mut bytes = self.bytes;
        for kept in &self.commits {
            if left <= window.revisions_max && bytes <= window.bytes_max {
                break;
            }
            to = Revision(to.0 + 1);
            left -= 1;
            bytes -= kept.bytes;
        }
        to
    }

    pub(super) fn compact(&mut self, to: Revision) {
        while self.compacted < to {
            let Some(kept) = self.commits.pop_front() else {
                return;
            };
            self.bytes -= kept.bytes;
            self.compacted = Revision(self.compacted.0 + 1);
        }
    }
}

fn size(change: &Change) -> usize {
    let value = match change {
        Change::Put(entry) => entry.value.len(),
        Change::Delete { .. } => 0,
    };
    CHANGE_BYTES + change.key().as_str().len() + value
}
