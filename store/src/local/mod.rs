//! What the backends inside this process share: a ledger that everybody reads, the tasks that
//! tell its watchers, and the tasks that keep its leases.
//!
//! Nobody who calls a store needs a runtime for this: tasks run on a thread of the store's own
//! ([`Worker`]), which ends with it, and its watches with it.

mod keeping;
mod watching;
mod worker;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serin_proto::unit::Revision;
use tokio::sync::watch;

pub(crate) use keeping::{Renewal, keep};
pub(crate) use worker::Worker;

use crate::{Error, Result, Resume, Scope, Watch, ledger::Ledger};

/// What watchers wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    revision: Revision,
    reachable: bool,
}

/// The store as it is in memory.
#[derive(Debug)]
pub(crate) struct Mirror {
    ledger: RwLock<Ledger>,
    state: watch::Sender<State>,
}

impl Mirror {
    pub(crate) fn of(ledger: Ledger) -> Arc<Self> {
        let state = State {
            revision: ledger.revision(),
            reachable: true,
        };
        let (state, _) = watch::channel(state);
        Arc::new(Self {
            ledger: RwLock::new(ledger),
            state,
        })
    }

    /// The ledger, to read. A panic under the lock leaves it whole: it is changed by `adopt` and
    /// `compact` alone, which take values that were checked before.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Ledger> {
        self.ledger.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ledger, to change; [`Self::tell`] once that is done.
    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, Ledger> {
        self.ledger.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the watchers if there is something new.
    pub(crate) fn tell(&self) {
        let revision = self.read().revision();
        self.state.send_if_modified(|state| {
            let moved = state.revision != revision;
            state.revision = revision;
            moved
        });
    }

    /// Cuts everybody off, or lets them in again.
    pub(crate) fn set_reachable(&self, reachable: bool) {
        self.state.send_if_modified(|state| {
            let changed = state.reachable != reachable;
            state.reachable = reachable;
            changed
        });
    }

    pub(crate) fn is_reachable(&self) -> bool {
        self.state.borrow().reachable
    }

    /// # Errors
    /// [`Error::Unavailable`] while everybody is cut off.
    pub(crate) fn reach(&self) -> Result<()> {
        if self.is_reachable() {
            Ok(())
        } else {
            Err(Error::Unavailable("cut off".to_owned()))
        }
    }

    /// Watches that are open.
    pub(crate) fn watches(&self) -> usize {
        self.state.receiver_count()
    }

    /// A watch that a task on `worker` feeds.
    pub(crate) fn watch(
        self: &Arc<Self>,
        worker: &Worker,
        scope: Scope,
        after: Option<Resume>,
    ) -> Watch {
        let (feed, watch) = crate::watch::channel();
        let state = self.state.subscribe();
        worker.spawn(watching::serve(
            Arc::clone(self),
            state,
            watching::Asked { scope, after },
            feed,
        ));
        watch
    }
}
