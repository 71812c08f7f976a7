//! What the leader sweeps away: audit records that are too old or too many, answers kept for
//! `Idempotency-Key` whose time is over, and old steps of rollouts.
//!
//! It is a courtesy to the store and never urgent: every hour, in transactions of at most a hundred
//! keys. Each carries the leader's fence, so a control plane that only believes to lead deletes
//! nothing.

mod history;

use std::{future::Future, sync::Arc, time::Duration};

use serde::Deserialize;
use serin_store::{Compare, Entry, Key, Op, Outcome, Page, Result, Scope, Store, Txn};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::sync::watch;
use ulid::Ulid;

use crate::{
    clock,
    leader::{Fence, Leadership},
};

/// Newest audit records that are kept.
pub(crate) const AUDIT_RECORDS_MAX: usize = 10_000;
/// Older audit records go, however few there are.
pub(crate) const AUDIT_AGE_MAX: Duration = Duration::from_secs(90 * 24 * 3600);
/// Time from one sweep to the next.
const EVERY: Duration = Duration::from_secs(3600);
/// Keys read at once, and deleted in one transaction.
const KEYS_PER_TXN_MAX: usize = 100;

/// Sweeps while this process leads, until `shutdown`.
pub(crate) async fn run(
    store: Arc<dyn Store>,
    mut leadership: watch::Receiver<Leadership>,
    shutdown: impl Future<Output = ()>,
) {
    let work = async {
        loop {
            let leading = leadership.borrow_and_update().leading;
            if let Some(fence) = leading {
                match sweep(&*store, fence, clock::wall()).await {
                    Ok(0) => {}
                    Ok(deleted) => tracing::info!(deleted, "old records were swept away"),
                    Err(error) => tracing::warn!(%error, "old records could not be swept away"),
                }
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                changed = leadership.changed() => if changed.is_err() {
                    return;
                },
            }
        }
    };
    tokio::select! {
        () = work => {}
        () = shutdown => {}
    }
}

/// One sweep, as of `now`. Gives how many records went; it ends early, without an
/// error, when another leads.
///
/// # Errors
/// As [`Store::list`] and [`Store::txn`].
pub(crate) async fn sweep(store: &dyn Store, fence: Fence, now: OffsetDateTime) -> Result<usize> {
    let audit = trim_audit(store, fence, now).await?;
    let answers = sweep_answers(store, fence, now).await?;
    let steps = history::trim(store, fence).await?;
    Ok(audit + answers + steps)
}

async fn trim_audit(store: &dyn Store, fence: Fence, now: OffsetDateTime) -> Result<usize> {
    let (mut rank, mut deleted) = (0, 0);
    let mut page = page(true);
    loop {
        let listing = store.list(Scope::Audit, page.clone()).await?;
        let old = listing.entries.iter().filter(|entry| {
            rank += 1;
            is_past_keeping(rank, &entry.key, now)
        });
        let ops: Vec<Op> = old.map(|entry| Op::Delete(entry.key.clone())).collect();
        let Some(count) = delete(store, vec![fence.compare()], ops).await? else {
            return Ok(deleted);
        };
        deleted += count;
        match last_of_full(&listing.entries) {
            Some(last) => page.after = Some(last),
            None => return Ok(deleted),
        }
    }
}

async fn sweep_answers(store: &dyn Store, fence: Fence, now: OffsetDateTime) -> Result<usize> {
    let mut deleted = 0;
    let mut page = page(false);
    loop {
        let listing = store.list(Scope::Idempotency, page.clone()).await?;
        let mut compares = vec![fence.compare()];
        let mut ops = Vec::new();
        for entry in listing
            .entries
            .iter()
            .filter(|entry| is_over(&entry.value, now))
        {
            // One that was replaced meanwhile is another's.
            compares.push(Compare::ModRevision(entry.key.clone(), entry.mod_revision));
            ops.push(Op::Delete(entry.key.clone()));
        }
        let Some(count) = delete(store, compares, ops).await? else {
            return Ok(deleted);
        };
        deleted += count;
        match last_of_full(&listing.entries) {
            Some(last) => page.after = Some(last),
            None => return Ok(deleted),
        }
    }
}

/// How many went; `None` if a guard did not hold.
async fn delete(store: &dyn Store, compares: Vec<Compare>, ops: Vec<Op>) -> Result<Option<usize>> {
    let count = ops.len();
    if count == 0 {
        return Ok(Some(0));
    }
    let txn = Txn {
        compares,
        ops,
        receipt: None,
    };
    Ok(match store.txn(txn).await? {
        Outcome::Committed(_) => Some(count),
        Outcome::Conflict { .. } => None,
    })
}

fn page(newest_first: bool) -> Page {
    Page {
        after: None,
        limit: Some(KEYS_PER_TXN_MAX),
        newest_first,
    }
}

/// Where the next page begins, if there may be one.
fn last_of_full(entries: &[Entry]) -> Option<Key> {
    let is_full = entries.len() >= KEYS_PER_TXN_MAX;
    entries
        .last()
        .filter(|_| is_full)
        .map(|last| last.key.clone())
}

/// Whether the audit record of that rank (1: the newest) goes. Its key holds its time.
fn is_past_keeping(rank: usize, key: &Key, now: OffsetDateTime) -> bool {
    let made = key
        .as_str()
        .strip_prefix("audit/")
        .and_then(|ulid| Ulid::from_string(ulid).ok())
        .map(|ulid| OffsetDateTime::UNIX_EPOCH + Duration::from_millis(ulid.timestamp_ms()));
    let is_old = made.is_some_and(|made| now - made > AUDIT_AGE_MAX);
    rank > AUDIT_RECORDS_MAX || is_old
}

/// Whether the kept answer's time is over. One that cannot be read says nothing, and stays.
fn is_over(value: &[u8], now: OffsetDateTime) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Kept {
        expires_at: String,
    }
    serde_json::from_slice::<Kept>(value)
        .ok()
        .and_then(|kept| OffsetDateTime::parse(&kept.expires_at, &Rfc3339).ok())
        .is_some_and(|at| at < now)
}

#[cfg(test)]
mod tests;
