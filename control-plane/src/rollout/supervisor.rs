//! While this process leads, every rollout that has not ended has exactly one runner.
//!
//! Runners are told nothing: they read the store. What is here saves work; that two of them, of two
//! leaders, can do no harm is the fence's doing.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    task::{AbortHandle, Id, JoinSet},
    time::sleep,
};

use super::runner;
use crate::{clock, leader::Fence, plane::Plane};

/// A runner of a route begins at most so often: one that panics, or that ends before the end of its
/// rollout was heard of.
const ANEW_AFTER: Duration = Duration::from_secs(1);
/// Longest time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Keeps runners until the plane is stopped.
pub(crate) async fn run(plane: Arc<Plane>) {
    let stopped = plane.stopped();
    tokio::select! {
        () = stopped => {}
        () = work(&plane) => {}
    }
}

async fn work(plane: &Arc<Plane>) {
    let mut leadership = plane.leadership.subscribe();
    let mut heard = plane.rollouts.subscribe();
    let mut crew = Crew::default();
    loop {
        heard.mark_unchanged();
        let leading = leadership.borrow_and_update().leading;
        if crew.fence != leading {
            // They end at their next await; what they have sent carries the old fence.
            crew = Crew {
                fence: leading,
                ..Crew::default()
            };
            plane.metrics.rollouts_dropped();
        }
        if let Some(fence) = leading {
            crew.complete(plane, fence);
        }
        tokio::select! {
            changed = leadership.changed() => if changed.is_err() {
                return;
            },
            _ = heard.changed() => {}
            Some(ended) = crew.tasks.join_next_with_id() => crew.ended(ended.map(|(id, ())| id)),
            () = sleep(LOOK_EVERY) => {}
        }
    }
}

/// The runners of one term of leading. Dropped, they end.
#[derive(Default)]
struct Crew {
    fence: Option<Fence>,
    tasks: JoinSet<()>,
    /// By route.
    runners: HashMap<String, Runner>,
}

struct Runner {
    since: Instant,
    /// `None`: it has ended.
    task: Option<AbortHandle>,
}

impl Crew {
    /// Begins the runners that are missing.
    fn complete(&mut self, plane: &Arc<Plane>, fence: Fence) {
        let now = clock::now();
        let running = plane.rollouts.running();
        self.runners
            .retain(|route, runner| runner.task.is_some() || running.binary_search(route).is_ok());
        for route in running {
            let known = self.runners.get(&route);
            let is_due = known.is_none_or(|known| {
                known.task.is_none() && now.saturating_duration_since(known.since) >= ANEW_AFTER
            });
            if is_due {
                let task = runner::run(Arc::clone(plane), fence, route.clone());
                let task = Some(self.tasks.spawn(task));
                self.runners.insert(route, Runner { since: now, task });
            }
        }
    }

    fn ended(&mut self, ended: Result<Id, tokio::task::JoinError>) {
        let id = match ended {
            Ok(id) => id,
            Err(error) => {
                if error.is_panic() {
                    tracing::error!("a rollout's runner has panicked: it begins anew");
                }
                error.id()
            }
        };
        let is_its =
            |runner: &&mut Runner| runner.task.as_ref().is_some_and(|task| task.id() == id);
        if let Some(runner) = self.runners.values_mut().find(is_its) {
            runner.task = None;
        }
    }
}
