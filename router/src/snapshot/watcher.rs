//! The one who applies changes: the follower's stream in, snapshots out.
//!
//! Always: one batch, one snapshot, one swap. New targets have their owner before the swap and old
//! ones lose theirs after it, so no request ever meets a target that nobody owns. What is refused
//! changes nothing: the last good snapshot goes on serving.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use actix::{Actor as _, ArbiterHandle};
use serin_proto::{Fault, key::Kind, metric::Applied, v1};
use serin_store::{
    Follower,
    watch::{Entry, Event, Listing},
};

use super::{
    Documents, Snapshot,
    build::{Built, Owned, build},
};
use crate::{
    clock,
    record::metrics::ProcessMetrics,
    target::actor::{Renewed, Retired, Target},
    worker::Shared,
};

/// Follows until the source ends. Targets live on `targets`, an arbiter of their own: what they do
/// never delays a request.
pub(crate) async fn watch(mut follower: Follower, shared: Arc<Shared>, targets: ArbiterHandle) {
    let mut watcher = Watcher {
        shared,
        left_out: 0,
        targets,
    };
    while let Some(event) = follower.next().await {
        watcher.take(event);
    }
    watcher.metrics().config_watch_up.store(0, Relaxed);
    tracing::error!("the source of documents has ended: serving what was applied last");
}

struct Watcher {
    shared: Arc<Shared>,
    /// Documents that the newest snapshot had to leave out.
    left_out: usize,
    targets: ArbiterHandle,
}

impl Watcher {
    fn take(&mut self, event: Event) {
        match event {
            Event::Reset(listing) => {
                if self.apply(&listing) {
                    self.progressed();
                }
            }
            Event::Progress => self.progressed(),
            Event::Refused(faults) => self.refused(&faults),
            Event::Down(why) => {
                self.metrics().config_watch_up.store(0, Relaxed);
                tracing::error!(
                    why,
                    "documents cannot be read: serving what was applied last"
                );
            }
        }
    }

    /// `false`: the listing cannot be read at all, and what was applied last goes on serving.
    fn apply(&mut self, listing: &Listing) -> bool {
        let began = clock::now();
        let documents = match parse(&listing.entries) {
            Ok(documents) => documents,
            Err(why) => {
                self.metrics().applied(Applied::Rejected);
                tracing::error!(revision = %listing.revision, why, "documents refused");
                return false;
            }
        };
        let previous = self.shared.snapshot.load();
        let built = build(
            &documents,
            listing.revision,
            previous.as_deref(),
            &self.shared.metrics,
        );
        for refused in &built.refused {
            tracing::error!(
                document = refused.name,
                why = refused.why,
                "document refused"
            );
        }
        self.left_out = built.refused.len();
        let (routes, targets) = (documents.routes.len(), built.targets.len());
        self.publish(built, previous);
        let metrics = self.metrics();
        metrics.config_revision.store(listing.revision.0, Relaxed);
        metrics.applied(Applied::Ok);
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(revision = %listing.revision, routes, targets, took_ms, "snapshot applied");
        true
    }

    /// Owners first, then the swap, then the farewell.
    fn publish(&self, built: Built, previous: Option<Arc<Snapshot>>) {
        for owned in built.targets {
            self.own(owned);
        }
        let snapshot = Arc::new(built.snapshot);
        self.shared.snapshot.swap(Arc::clone(&snapshot));
        let before = previous
            .iter()
            .flat_map(|previous| previous.routes.routes());
        for target in before.flat_map(|route| &route.targets) {
            if !snapshot.has_target(target.handle.id)
                && let Some(actor) = target.handle.actor()
            {
                actor.do_send(Retired);
            }
        }
        let names_route = |route: &str| snapshot.names_route(route);
        let names_target = |route: &str, target: &str| snapshot.names_target(route, target);
        self.shared
            .metrics
            .retire_all_but(&names_route, &names_target, clock::now());
    }

    fn own(&self, owned: Owned) {
        // Here and not by its owner, who begins in its own time: the series exist at 0 before the
        // snapshot that names them serves.
        owned.handle.metrics.arms[owned.arm as usize].store(true, Relaxed);
        let renewed = Renewed {
            policy: owned.policy,
            weight: owned.weight,
            credential: Arc::clone(&owned.provider.credential),
        };
        match owned.handle.actor() {
            Some(actor) => actor.do_send(renewed),
            None => {
                let handle = Arc::clone(&owned.handle);
                let start = move |_: &mut actix::Context<Target>| Target::new(handle, renewed);
                owned
                    .handle
                    .owned_by(Target::start_in_arbiter(&self.targets, start));
            }
        }
    }

    fn refused(&self, faults: &[Fault]) {
        for fault in faults {
            tracing::error!(%fault, code = fault.code, "document fault");
        }
        self.metrics().applied(Applied::Rejected);
        self.metrics()
            .config_rejected
            .store(documents(faults), Relaxed);
        tracing::error!(
            faults = faults.len(),
            "documents refused: serving what was applied last"
        );
    }

    fn progressed(&self) {
        self.metrics().config_watch_up.store(1, Relaxed);
        self.metrics()
            .config_rejected
            .store(self.left_out as u64, Relaxed);
        self.metrics()
            .config_progress_unix_ms
            .store(clock::unix_ms(clock::unix()), Relaxed);
    }

    fn metrics(&self) -> &ProcessMetrics {
        &self.shared.metrics.process
    }
}

/// How many documents have a fault: the first two steps of a pointer name one (`/routes/0`).
fn documents(faults: &[Fault]) -> u64 {
    let document = |fault: &Fault| {
        fault
            .pointer
            .split('/')
            .take(3)
            .collect::<Vec<_>>()
            .join("/")
    };
    faults.iter().map(document).collect::<BTreeSet<_>>().len() as u64
}

fn parse(entries: &[Entry]) -> Result<Documents, String> {
    let mut documents = Documents::default();
    for entry in entries {
        let place = |error: serde_json::Error| format!("{}: {error}", entry.key);
        let value = &entry.value;
        match entry.key.kind {
            Kind::Provider => {
                documents
                    .providers
                    .push(serde_json::from_slice(value).map_err(place)?);
            }
            Kind::Route => documents
                .routes
                .push(serde_json::from_slice(value).map_err(place)?),
            Kind::Key => documents
                .keys
                .push(serde_json::from_slice(value).map_err(place)?),
            // Its figures belong to the limits, which are not enforced yet.
            Kind::Tier => {
                serde_json::from_slice::<v1::Tier>(value).map_err(place)?;
            }
        }
    }
    Ok(documents)
}
