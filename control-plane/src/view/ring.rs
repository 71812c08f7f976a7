//! The newest changes, kept for whoever watches. Pure.
//!
//! One entry is one revision, whole. What is older than the ring is told as such: a reader never
//! skips a change without knowing.

use std::{collections::VecDeque, sync::Arc};

use serin_proto::unit::Revision;
use serin_store::watch::Change;

/// Most revisions that are kept.
const BATCHES_MAX: usize = 10_000;
/// Most bytes of keys and values that are kept.
const BYTES_MAX: usize = 16 * 1024 * 1024;
/// What a change costs besides its key and value, roughly.
const CHANGE_BYTES: usize = 128;

/// All changes of one revision.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) revision: Revision,
    pub(crate) changes: Vec<Change>,
}

/// What was asked for is older than what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dropped;

/// The newest batches, revisions rising.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    batches: VecDeque<Arc<Batch>>,
    bytes: usize,
    /// Everything above it is here.
    floor: Revision,
}

impl Ring {
    /// Forgets all: what comes next goes on from `floor`.
    pub(crate) fn restart(&mut self, floor: Revision) {
        *self = Self {
            floor,
            ..Self::default()
        };
    }

    /// Adds changes, revisions rising, and drops the oldest over the limits.
    pub(crate) fn push(&mut self, changes: Vec<Change>) {
        let mut changes = changes.into_iter().peekable();
        while let Some(first) = changes.next() {
            let revision = first.revision();
            let mut batch = vec![first];
            while let Some(next) = changes.next_if(|change| change.revision() == revision) {
                batch.push(next);
            }
            self.bytes += bytes(&batch);
            self.batches.push_back(Arc::new(Batch {
                revision,
                changes: batch,
            }));
        }
        while self.batches.len() > BATCHES_MAX || self.bytes > BYTES_MAX {
            let Some(oldest) = self.batches.pop_front() else {
                return;
            };
            self.bytes -= bytes(&oldest.changes);
            self.floor = oldest.revision;
        }
    }

    /// The first batch after a revision; `None`: there is none yet.
    ///
    /// # Errors
    /// [`Dropped`]: some that came after it are gone.
    pub(crate) fn after(&self, revision: Revision) -> Result<Option<Arc<Batch>>, Dropped> {
        if revision < self.floor {
            return Err(Dropped);
        }
        let at = self
            .batches
            .partition_point(|batch| batch.revision <= revision);
        Ok(self.batches.get(at).map(Arc::clone))
    }
}

fn bytes(changes: &[Change]) -> usize {
    let size = |change: &Change| {
        let value = match change {
            Change::Put(entry) => entry.value.len(),
            Change::Delete { .. } => 0,
        };
        CHANGE_BYTES + change.key().as_str().len() + value
    };
    changes.iter().map(size).sum()
}

#[cfg(test)]
mod tests {
    use serin_store::{Entry, Key};

    use super::*;

    fn put(name: &str, revision: u64, bytes: usize) -> Change {
        Change::Put(Entry {
            key: Key::new(format!("config/routes/{name}")).unwrap(),
            value: vec![b' '; bytes].into(),
            create_revision: Revision(1),
            mod_revision: Revision(revision),
            version: 1,
        })
    }

    fn seen(ring: &Ring, after: u64) -> Result<Vec<(u64, usize)>, Dropped> {
        let (mut at, mut seen) = (Revision(after), Vec::new());
        while let Some(batch) = ring.after(at)? {
            seen.push((batch.revision.0, batch.changes.len()));
            at = batch.revision;
        }
        Ok(seen)
    }

    #[test]
    fn a_reader_gets_every_revision_once_and_whole() {
        let mut ring = Ring::default();
        ring.restart(Revision(4));
        ring.push(vec![put("a", 5, 1), put("b", 5, 1), put("a", 7, 1)]);
        ring.push(vec![put("c", 9, 1)]);
        assert_eq!(seen(&ring, 4), Ok(vec![(5, 2), (7, 1), (9, 1)]));
        assert_eq!(seen(&ring, 5), Ok(vec![(7, 1), (9, 1)]));
        assert_eq!(seen(&ring, 6), Ok(vec![(7, 1), (9, 1)]));
        assert_eq!(seen(&ring, 9), Ok(vec![]));
        assert_eq!(seen(&ring, 3), Err(Dropped));
    }

    #[test]
    fn what_is_dropped_for_room_is_told_never_skipped() {
        let mut many = Ring::default();
        for revision in 1..=10_001 {
            many.push(vec![put("a", revision, 1)]);
        }
        assert_eq!(seen(&many, 0), Err(Dropped));
        assert_eq!(seen(&many, 1).map(|seen| seen.len()), Ok(10_000));

        let mut large = Ring::default();
        for revision in 1..=17 {
            large.push(vec![put("a", revision, 1024 * 1024)]);
        }
        assert_eq!(seen(&large, 1), Err(Dropped));
        assert_eq!(seen(&large, 2).map(|seen| seen.len()), Ok(15));
    }
}
