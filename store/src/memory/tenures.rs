//! Which leases are held since when. Time is an argument.

use std::{collections::HashMap, time::Duration};

use tokio::sync::watch;

use crate::{Held, LeaseId};

/// All leases that have not ended.
#[derive(Debug, Default)]
pub(super) struct Tenures {
    held: HashMap<LeaseId, Tenure>,
}

#[derive(Debug)]
struct Tenure {
    ttl: Duration,
    /// When it was last kept alive.
    kept_at: Duration,
    holder: watch::Sender<Held>,
}

impl Tenures {
    pub(super) fn begin(
        &mut self,
        lease: LeaseId,
        ttl: Duration,
        at: Duration,
        holder: watch::Sender<Held>,
    ) {
        let tenure = Tenure {
            ttl,
            kept_at: at,
            holder,
        };
        self.held.insert(lease, tenure);
    }

    pub(super) fn keep_all(&mut self, at: Duration) {
        for tenure in self.held.values_mut() {
            tenure.kept_at = at;
        }
    }

    /// The leases whose time is over, oldest first.
    pub(super) fn lapsed(&self, at: Duration) -> Vec<LeaseId> {
        let over = |tenure: &Tenure| at.saturating_sub(tenure.kept_at) >= tenure.ttl;
        let lapsed = self.held.iter().filter(|(_, tenure)| over(tenure));
        let mut lapsed: Vec<LeaseId> = lapsed.map(|(lease, _)| *lease).collect();
        lapsed.sort();
        lapsed
    }

    /// Tells its holder.
    pub(super) fn end(&mut self, lease: LeaseId) {
        if let Some(tenure) = self.held.remove(&lease) {
            tenure.holder.send_replace(Held::Gone);
        }
    }
}
