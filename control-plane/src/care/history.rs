//! Old steps of rollouts. The newest of each route stay, and of the rollout that runs and the one
//! that ended last all: whoever doubts them can recompute every decision.

use std::collections::HashSet;

use serde::Deserialize;
use serin_proto::key::StoreKey;
use serin_store::{Entry, Key, Op, Result, Scope, Store};

use super::{delete, last_of_full, page};
use crate::leader::Fence;

/// Newest records of each route that are kept.
pub(super) const RECORDS_PER_ROUTE_MAX: usize = 200;

/// Gives how many records went.
///
/// # Errors
/// As [`Store::list`] and [`Store::txn`].
pub(super) async fn trim(store: &dyn Store, fence: Fence) -> Result<usize> {
    let (mut walk, mut deleted) = (Walk::default(), 0);
    // The newest first: a route's state comes before its records.
    let mut page = page(true);
    loop {
        let listing = store.list(Scope::Rollouts, page.clone()).await?;
        let old = listing.entries.iter().filter(|entry| walk.is_old(entry));
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

/// What was seen of a route so far.
#[derive(Debug, Default)]
struct Walk {
    route: String,
    records: usize,
    /// Rollouts whose records all stay.
    spared: HashSet<String>,
    /// So many of the newest rollouts are spared.
    spare: usize,
}

/// What both states and records say of themselves.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Told {
    rollout_id: String,
    phase: String,
}

impl Walk {
    fn is_old(&mut self, entry: &Entry) -> bool {
        match key(&entry.key) {
            Some(StoreKey::RolloutState(route)) => {
                let told = told(entry);
                self.begin(route);
                // The one that runs, and that which ended before it.
                self.spare = if is_ended(&told.phase) { 1 } else { 2 };
                self.spared.insert(told.rollout_id);
                false
            }
            Some(StoreKey::RolloutRecord { route, .. }) => {
                if route != self.route {
                    self.begin(route);
                }
                let id = told(entry).rollout_id;
                if self.spared.len() < self.spare {
                    self.spared.insert(id.clone());
                }
                self.records += 1;
                self.records > RECORDS_PER_ROUTE_MAX && !self.spared.contains(&id)
            }
            _ => false,
        }
    }

    fn begin(&mut self, route: String) {
        *self = Self {
            route,
            spare: 1,
            ..Self::default()
        };
    }
}

fn key(key: &Key) -> Option<StoreKey> {
    key.as_str().parse().ok()
}

/// Nothing, of what cannot be read: it is spared as one rollout is.
fn told(entry: &Entry) -> Told {
    serde_json::from_slice(&entry.value).unwrap_or_default()
}

fn is_ended(phase: &str) -> bool {
    matches!(phase, "Succeeded" | "Failed" | "Aborted" | "Superseded")
}
