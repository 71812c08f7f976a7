//! One lease's task: keeps it alive until its holder gives it up, or it is lost.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use tokio::time;

use crate::{Held, Keeper};

/// What came of an attempt to keep a lease alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// Kept, by a request of this moment.
    Kept(Instant),
    /// Not kept, and not lost yet.
    Missed,
    /// The lease is gone.
    Lost,
}

/// Keeps a lease alive by `renew`, every third of its time to live; once its holder is done with
/// it, `end` deletes its keys.
pub(crate) async fn keep(
    mut keeper: Keeper,
    ttl: Duration,
    renew: impl Fn() -> Renewal + Send,
    end: impl Future<Output = ()> + Send,
) {
    loop {
        tokio::select! {
            biased;
            // Given up or dropped: the same to us.
            _ = &mut keeper.revoke => break,
            () = time::sleep(ttl / 3) => {}
        }
        match renew() {
            Renewal::Kept(since) => {
                keeper.held.send_replace(Held::Since(since));
            }
            Renewal::Missed => {}
            Renewal::Lost => break,
        }
    }
    end.await;
    keeper.held.send_replace(Held::Gone);
}
