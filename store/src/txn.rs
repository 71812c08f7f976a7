//! A transaction: compares, operations, and the receipt that proves it committed. Pure.

use std::collections::HashSet;

use bytes::Bytes;
use serin_proto::unit::Revision;

use crate::{Entry, Error, Key, LeaseId, Range, Result};

/// Most compares, and most operations, of one transaction. etcd takes 128 of each.
pub const OPERATIONS_MAX: usize = 128;

/// Most bytes of all keys and values of one transaction. etcd takes 1.5 MiB per request.
pub const TXN_BYTES_MAX: usize = 1_468_006;

/// What must hold for a transaction to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compare {
    /// The key was last changed at this revision; 0: it is absent.
    ModRevision(Key, Revision),
    /// The key was created at this revision; 0: it is absent.
    CreateRevision(Key, Revision),
    /// No key of the range was changed after this revision. Deletions leave no trace to compare.
    NothingNewer(Range, Revision),
}

/// What a transaction does to one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Written, under a lease if one is given.
    Put(Key, Bytes, Option<LeaseId>),
    /// Gone. An absent key stays absent.
    Delete(Key),
}

impl Op {
    pub fn key(&self) -> &Key {
        match self {
            Self::Put(key, ..) | Self::Delete(key) => key,
        }
    }
}

/// All or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Txn {
    pub compares: Vec<Compare>,
    pub ops: Vec<Op>,
    /// A key that this transaction creates, and no other: it is there once this one committed.
    pub receipt: Option<Key>,
}

impl Txn {
    /// Refuses what no backend may be asked.
    ///
    /// # Errors
    /// [`Error::Invalid`]: a key twice among the operations, too many compares or operations;
    /// [`Error::TooLarge`]: too many bytes.
    pub fn check(&self) -> Result<()> {
        for (count, what) in [
            (self.compares.len(), "compares"),
            (self.ops.len(), "operations"),
        ] {
            if count > OPERATIONS_MAX {
                let message = format!("{count} {what}, at most {OPERATIONS_MAX}");
                return Err(Error::Invalid(message));
            }
        }
        let mut named = HashSet::new();
        if let Some(twice) = self.ops.iter().find(|op| !named.insert(op.key())) {
            let message = format!("two operations on {}", twice.key());
            return Err(Error::Invalid(message));
        }
        let bytes: usize = self.ops.iter().map(size).sum();
        if bytes > TXN_BYTES_MAX {
            let message = format!("{bytes} bytes in one transaction, at most {TXN_BYTES_MAX}");
            return Err(Error::TooLarge(message));
        }
        Ok(())
    }
}

fn size(op: &Op) -> usize {
    match op {
        Op::Put(key, value, _) => key.as_str().len() + value.len(),
        Op::Delete(key) => key.as_str().len(),
    }
}

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done, at this revision.
    Committed(Revision),
    /// A compare did not hold; nothing was done.
    Conflict {
        /// The keys that `ModRevision` and `CreateRevision` compare name, as they are now; an absent
        /// one is missing.
        now: Vec<Entry>,
        revision: Revision,
    },
}
