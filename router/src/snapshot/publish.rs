//! From a snapshot that is built to one that serves: owners first, then the swap, then the farewell.
//!
//! New targets have their owner before the swap and old ones lose theirs after it, so no request
//! ever meets a target that nobody owns. A snapshot that was replaced stays here until no request
//! holds it: thousands of routes are not to be freed by a worker.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use actix::{Actor as _, ArbiterHandle};

use super::{
    Snapshot,
    build::{Built, Owned},
};
use crate::{
    clock,
    route::Route,
    target::actor::{Renewed, Retired, Target},
    worker::Shared,
};

/// The one who swaps snapshots.
pub(super) struct Publisher {
    shared: Arc<Shared>,
    /// An arbiter of their own: what targets do never delays a request.
    targets: ArbiterHandle,
    replaced: Vec<Arc<Snapshot>>,
}

impl Publisher {
    pub(super) fn new(shared: Arc<Shared>, targets: ArbiterHandle) -> Self {
        Self {
            shared,
            targets,
            replaced: Vec::new(),
        }
    }

    /// From here on requests are served by `built`.
    pub(super) fn publish(&mut self, built: Built) {
        for owned in built.targets {
            self.own(owned);
        }
        let next = Arc::new(built.snapshot);
        self.replaced
            .extend(self.shared.snapshot.swap(Arc::clone(&next)));
        for route in &built.gone {
            self.dismiss(route, &next);
        }
        self.free();
    }

    /// Lets go of snapshots that no request holds any more.
    pub(super) fn free(&mut self) {
        self.replaced
            .retain(|snapshot| Arc::strong_count(snapshot) > 1);
    }

    /// Whether a snapshot that was replaced is still here.
    pub(super) fn has_replaced(&self) -> bool {
        !self.replaced.is_empty()
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

    /// Ends the targets of a route, and begins to end the series, that `next` has no more.
    fn dismiss(&self, route: &Route, next: &Snapshot) {
        let now = next.routes.named(&route.name);
        let (metrics, at) = (&self.shared.metrics, clock::now());
        if now.is_none() {
            metrics.retire_route(&route.name, at);
        }
        for target in &route.targets {
            if !next.has_target(target.handle.id)
                && let Some(actor) = target.handle.actor()
            {
                actor.do_send(Retired);
            }
            let stays = now.is_some_and(|now| now.targets.iter().any(|t| t.name == target.name));
            if !stays {
                metrics.retire_target(&route.name, &target.name, at);
            }
        }
    }
}
