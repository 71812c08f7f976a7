//! A lease: keys under it go when nobody keeps it alive.

use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

/// A lease's number in its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub i64);

/// Whether a lease is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// The newest keep-alive that succeeded was sent at this moment.
    Since(Instant),
    /// Expired, revoked, or not kept alive for its whole time to live.
    Gone,
}

/// A lease, kept alive by a task of its store until it is revoked or dropped.
#[derive(Debug)]
pub struct Lease {
    id: LeaseId,
    ttl: Duration,
    held: watch::Receiver<Held>,
    revoke: Option<oneshot::Sender<()>>,
}

/// The store's side of a lease.
#[derive(Debug)]
pub struct Keeper {
    /// What the holder sees. [`Held::Gone`] is final.
    pub held: watch::Sender<Held>,
    /// Resolves when the holder wants it revoked (`Ok`) or has dropped it (`Err`, revoke as well).
    pub revoke: oneshot::Receiver<()>,
}

impl Lease {
    /// A lease granted by a request that was sent at `since`, and the side of its keeper.
    pub fn new(id: LeaseId, ttl: Duration, since: Instant) -> (Self, Keeper) {
        let (held_sender, held) = watch::channel(Held::Since(since));
        let (revoke, revoked) = oneshot::channel();
        let lease = Self {
            id,
            ttl,
            held,
            revoke: Some(revoke),
        };
        let keeper = Keeper {
            held: held_sender,
            revoke: revoked,
        };
        (lease, keeper)
    }

    pub fn id(&self) -> LeaseId {
        self.id
    }

    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// How it stands now.
    pub fn held(&self) -> Held {
        *self.held.borrow()
    }

    /// Resolves once it is gone.
    pub async fn gone(&mut self) {
        // An error means that the keeper has ended, and with it the lease.
        let _ = self.held.wait_for(|held| *held == Held::Gone).await;
    }

    /// Gives it up and waits until its store was told or cannot be: its keys go at once, or at the
    /// end of its time to live.
    pub async fn revoke(mut self) {
        if let Some(revoke) = self.revoke.take() {
            let _ = revoke.send(());
        }
        self.gone().await;
    }
}
