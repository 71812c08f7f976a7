//! The stores that are put to the test, and what only a test may do to them.

mod embedded;
mod etcd;

use std::sync::Arc;

use serin_store::{LeaseId, Store};

pub(crate) use embedded::{Memory, Redb};
pub(crate) use etcd::Etcd;

/// A store of its own for each case, empty at first.
pub(crate) trait Subject: Sized {
    async fn start() -> Self;

    fn store(&self) -> Arc<dyn Store>;

    /// Forgets all history, up to the revision of now.
    async fn compact(&self);

    /// Watches that are open, as the far end sees it where there is one.
    async fn open_watches(&self) -> usize;
}

/// A store that may lose a lease while its holder lives. In redb both are one process.
pub(crate) trait Losing: Subject {
    /// Ends a lease behind its holder's back.
    async fn expire(&self, lease: LeaseId);
}

/// A store that outlives its process.
pub(crate) trait Lasting: Subject {
    /// Ends the process, or what is one here, and starts it again. Handles of the store have to be
    /// dropped before.
    async fn restart(&mut self);
}
