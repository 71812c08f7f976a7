//! What became of a transaction: asked until it is known.
//!
//! Where the store cannot say, the same transaction is sent again. Its guard on the receipt lets at
//! most one of all that were sent commit, and a conflict that shows the receipt says that an earlier
//! one did. Whatever else a conflict shows holds for all of them: their guards are the same.

use std::time::Duration;

use serin_proto::unit::Revision;
use serin_store::{Error, Outcome, Store, Txn};
use tokio::time::{sleep, timeout};

use super::{Refusal, commit::receipt};

/// Longest search.
const SEARCH_MAX: Duration = Duration::from_secs(10);
/// Pause before a transaction is sent again; it doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// A store without room is not asked more often than this.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    Committed(Revision),
    /// Nothing was done; the revision at which that was so.
    Conflict(Revision),
}

/// Sends a transaction until it is known. `id` is that of its receipt.
///
/// # Errors
/// [`Refusal::OutcomeUnknown`] after [`SEARCH_MAX`]; what the store refused for certain.
pub(super) async fn settle(store: &dyn Store, id: &str, txn: Txn) -> Result<Settled, Refusal> {
    let found = timeout(SEARCH_MAX, search(store, id, txn)).await;
    found.unwrap_or_else(|_| {
        tracing::error!(audit = id, "outcome of a change stays unknown");
        Err(Refusal::OutcomeUnknown {
            audit: id.to_owned(),
        })
    })
}

async fn search(store: &dyn Store, id: &str, txn: Txn) -> Result<Settled, Refusal> {
    let receipt = receipt(id);
    let mut is_unknown = false;
    let mut pause = PAUSE_MIN;
    // Ends by the time-out around it.
    loop {
        match store.txn(txn.clone()).await {
            Ok(Outcome::Committed(revision)) => return Ok(Settled::Committed(revision)),
            Ok(Outcome::Conflict { now, revision }) => {
                let own = now.iter().find(|entry| entry.key == receipt);
                let committed = own.map(|own| Settled::Committed(own.mod_revision));
                return Ok(committed.unwrap_or(Settled::Conflict(revision)));
            }
            Err(Error::Unknown { why, .. }) => {
                tracing::warn!(
                    audit = id,
                    why,
                    "outcome of a change is unknown: sending it again"
                );
                is_unknown = true;
            }
            Err(error) if !is_unknown => return Err(error.into()),
            // Certain for the one just sent; of an earlier one it says nothing.
            Err(_) => {}
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

#[cfg(test)]
mod tests;
