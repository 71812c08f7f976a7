//! Where documents live: revisioned values under `/serin/v1/`, and news of every change.
//!
//! ```text
//!   etcd/ (a cluster) ──┐
//!   redb/ (one file)  ──┼─ Store: get · list · txn · watch · lease ──▶ control plane
//!   memory.rs (tests) ──┘             └──▶ Follower ──▶ router: follow documents, announce itself
//!   file.rs (a YAML file, read only) ───────┘
//! ```
//!
//! The crate knows keys and bytes; what a document means is `proto`'s. A router is given a
//! [`Follower`] and nothing else: it reads documents and writes its own `routers/<id>`.
//!
//! What every [`Store`] promises, and `tests/conformance` checks on each of them:
//!
//! 1. One revision for the whole store: one more per committed transaction, never used again; all
//!    changes of a transaction carry it. A transaction without operations leaves it as it is.
//! 2. Compares and operations are one step.
//! 3. `create_revision` is the put after absence; `version` counts puts since, from 1.
//! 4. A transaction names a key at most once among its operations.
//! 5. Reads are linearizable; a listing is one revision, however many pages it took.
//! 6. A watch gives revisions upward, each once, never a part of one.
//! 7. `watch(after = r)` gives every change in `(r, now]`, or a `Reset`.
//! 8. `Reset` replaces everything: what is not in it is deleted.
//! 9. `Progress(r)`: every change of this scope up to `r` was delivered on this stream.
//! 10. `Down` ends nothing; the next event is `Changes`, `Progress` or `Reset`.
//! 11. A watcher behind the compacted history gets a `Reset`, deletions included.
//! 12. `Committed` is on stable storage (not in `memory`).
//! 13. What is unknown is said: [`Error::Unknown`], never a guess.
//! 14. A key under a lease goes by an ordinary delete, no earlier than its time to live after the
//!     last successful keep-alive.

mod clock;
mod error;
#[cfg(feature = "etcd")]
pub mod etcd;
pub mod file;
mod follower;
mod key;
mod lease;
mod ledger;
mod local;
mod memory;
mod open;
#[cfg(feature = "redb")]
pub mod redb;
mod scope;
mod txn;
pub mod watch;

use std::{fmt, future::Future, pin::Pin, time::Duration};

use bytes::Bytes;
use serin_proto::unit::Revision;

#[cfg(feature = "etcd")]
pub use self::etcd::EtcdStore;
#[cfg(feature = "redb")]
pub use self::redb::RedbStore;
pub use error::Error;
pub use follower::{Announcer, Follower};
pub use key::{BadKey, KEY_BYTES_MAX, Key};
pub use lease::{Held, Keeper, Lease, LeaseId};
pub use memory::MemoryStore;
pub use open::{Address, BadAddress, EtcdSettings, OpenError, open};
pub use scope::{Page, Range, Scope};
pub use txn::{Compare, OPERATIONS_MAX, Op, Outcome, TXN_BYTES_MAX, Txn};
pub use watch::{Feed, Watch};

/// What a call of a store gives.
pub type Result<T> = std::result::Result<T, Error>;

/// A call under way. It may be polled on any runtime: what it needs runs on the store's own.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// A revisioned, watchable set of keys. The promises are in the crate's documentation.
pub trait Store: fmt::Debug + Send + Sync {
    /// One key as it is now, and the revision of the store at that moment.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Denied`].
    fn get<'a>(&'a self, key: &'a Key) -> Answer<'a, (Option<Entry>, Revision)>;

    /// The keys of a scope at one revision, in the order of the page.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Denied`].
    fn list(&self, scope: Scope, page: Page) -> Answer<'_, Listing>;

    /// All of `txn` or nothing.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::TooLarge`], [`Error::Full`], [`Error::Denied`],
    /// [`Error::Unavailable`]: nothing was written. [`Error::Unknown`]: it may have been.
    fn txn(&self, txn: Txn) -> Answer<'_, Outcome>;

    /// Every change of a scope: from a `Reset` on without `after`, else from what came after it.
    /// Never ends by itself; dropping it frees it.
    fn watch(&self, scope: Scope, after: Option<Resume>) -> Watch;

    /// A lease that is kept alive until it is revoked, dropped or lost.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Denied`].
    fn lease(&self, ttl: Duration) -> Answer<'_, Lease>;

    /// The word of metrics: `etcd`, `redb` or `memory`.
    fn backend(&self) -> &'static str;
}

/// One key as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub key: Key,
    pub value: Bytes,
    /// The revision of the put after absence.
    pub create_revision: Revision,
    /// The revision that last changed it.
    pub mod_revision: Revision,
    /// Puts since its creation, from 1.
    pub version: u64,
}

/// Which store this is, as far as one can tell: etcd's cluster id, or an id made with the file.
/// A store that was rebuilt may have the same one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreIdentity(pub String);

/// The keys of a scope at one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    pub entries: Vec<Entry>,
    pub revision: Revision,
    pub identity: StoreIdentity,
}

/// Where a watch goes on: what its consumer holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resume {
    pub identity: StoreIdentity,
    /// Everything up to here was seen.
    pub revision: Revision,
    /// The newest key held and its `mod_revision`, by which another history is recognised.
    pub newest: Option<(Key, Revision)>,
}
