//! Leases: a task for each keeps it alive until it is revoked, dropped or lost.
//!
//! Time is counted from when the request was sent, never from its answer: the server's clock runs
//! from some moment between. Without a success for its whole time to live the lease is gone for
//! us, whatever the server believes; the server itself ends it no earlier.

use std::{sync::Arc, time::Duration};

use etcd_client::LeaseClient;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::{
    call::{self, within},
    clock,
    connection::Connector,
    trouble::{Kind, Trouble},
};
use crate::{Held, Keeper, Lease, LeaseId};

/// Keep-alives in one time to live.
const BEATS: u32 = 3;

/// Between two tries of a beat that failed.
const BEAT_AGAIN: Duration = Duration::from_millis(200);

/// How long one tries to revoke: afterwards the time to live ends it.
const REVOKE_MAX: Duration = Duration::from_secs(5);

/// Asks for a lease and starts its task.
pub(super) async fn grant(connector: &Arc<Connector>, ttl: Duration) -> Result<Lease, Trouble> {
    let seconds = i64::try_from(ttl.as_millis().div_ceil(1000)).unwrap_or(i64::MAX);
    let deadline = connector.timing.call;
    // A lease granted to nobody expires by itself, so a lost answer may be asked for again.
    let (id, seconds, sent) = call::read(connector, |connection| async move {
        let mut lease: LeaseClient = connection.lease;
        let sent = clock::now();
        let granted = within(deadline, lease.grant(seconds, None)).await?;
        Ok((granted.id(), granted.ttl(), sent))
    })
    .await?;
    let ttl = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    let (lease, keeper) = Lease::new(LeaseId(id), ttl, sent.into_std());
    tokio::spawn(keep(Arc::clone(connector), LeaseId(id), ttl, sent, keeper));
    Ok(lease)
}

async fn keep(
    connector: Arc<Connector>,
    id: LeaseId,
    ttl: Duration,
    granted: Instant,
    mut keeper: Keeper,
) {
    let beats = beats(&connector, id, ttl, granted, &keeper.held);
    tokio::select! {
        () = beats => {}
        // Revoked or dropped: both want it gone now.
        _ = &mut keeper.revoke => revoke(&connector, id).await,
    }
    keeper.held.send_replace(Held::Gone);
}

/// Keeps it alive; returns when it is lost.
async fn beats(
    connector: &Connector,
    id: LeaseId,
    ttl: Duration,
    granted: Instant,
    held: &tokio::sync::watch::Sender<Held>,
) {
    let mut since = granted;
    let mut next = since + ttl / BEATS;
    loop {
        sleep_until(next.min(since + ttl)).await;
        if clock::now() >= since + ttl {
            tracing::warn!(lease = id.0, "a lease was not kept alive in time");
            return;
        }
        // However long a member or a connection makes us wait, its end is its end.
        let beat = timeout_at(since + ttl, beat(connector, id, ttl / BEATS)).await;
        match beat.unwrap_or_else(|_| Err(late())) {
            Ok(Some(sent)) => {
                since = sent;
                next = since + ttl / BEATS;
                held.send_replace(Held::Since(since.into_std()));
            }
            Ok(None) => {
                tracing::warn!(lease = id.0, "a lease has expired");
                return;
            }
            Err(trouble) => {
                tracing::debug!(lease = id.0, error = %trouble.text, "a keep-alive failed");
                next = clock::now() + BEAT_AGAIN;
            }
        }
    }
}

/// One keep-alive: when it was sent, or `None` if the lease is no more. A member that does not
/// answer within `deadline` is left, while there is time for another.
async fn beat(
    connector: &Connector,
    id: LeaseId,
    deadline: Duration,
) -> Result<Option<Instant>, Trouble> {
    let connection = connector.connection().await?;
    let mut lease = connection.lease.clone();
    let sent = clock::now();
    let answer = timeout(deadline, lease.keep_alive(id.0)).await;
    match answer {
        Ok(Ok(_)) => Ok(Some(sent)),
        // The client's word for a time to live of zero in the answer.
        Ok(Err(etcd_client::Error::LeaseKeepAliveError(_))) => Ok(None),
        Ok(Err(error)) => {
            let trouble = Trouble::from(error);
            if trouble.is_of_connection() {
                connector.discard(&connection).await;
            }
            Err(trouble)
        }
        Err(_) => {
            connector.discard(&connection).await;
            Err(late())
        }
    }
}

fn late() -> Trouble {
    Trouble::new(Kind::Silent, "a keep-alive was not answered in time")
}

async fn revoke(connector: &Connector, id: LeaseId) {
    let deadline = connector.timing.call;
    let revoked = call::read(connector, |connection| async move {
        let mut lease = connection.lease;
        within(deadline, lease.revoke(id.0)).await.map(|_| ())
    });
    match timeout(REVOKE_MAX, revoked).await {
        // Invalid: it had expired already.
        Ok(Ok(()))
        | Ok(Err(Trouble {
            kind: Kind::Invalid,
            ..
        })) => {}
        Ok(Err(trouble)) => {
            tracing::warn!(lease = id.0, error = %trouble.text, "a lease could not be revoked");
        }
        Err(_) => tracing::warn!(lease = id.0, "revoking a lease took too long"),
    }
}
