//! The rollouts of all routes as this process last heard of them.
//!
//! It knows which rollouts run, which route an id belongs to, and what is still to be delivered. It
//! may be behind the store: who acts on a rollout reads its state there, and compares it in the
//! transaction. Of the history it keeps the ids alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    iter,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use serde::Deserialize;
use serin_proto::{key::StoreKey, unit::Revision};
use serin_store::{
    Entry, Key, Scope,
    watch::{Change, Event},
};
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

use super::{event::Decision, plan::Plan, state::State};
use crate::{change::Refusal, plane::Plane};

/// Longest wait for the view to hear of what is in the store already.
const CATCH_UP_MAX: Duration = Duration::from_secs(5);
/// How often progress is asked for meanwhile.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// Most events that are taken in one step.
const EVENTS_MAX: usize = 64;

/// What is known of rollouts.
#[derive(Debug, Default)]
pub(crate) struct Rollouts {
    known: RwLock<Known>,
    heard: watch::Sender<Heard>,
    ask: Notify,
}

/// How far the stream has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    revision: Revision,
    /// It was listed once.
    is_ready: bool,
    is_up: bool,
}

/// The newest rollout of a route.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) state: Arc<State>,
    pub(crate) revision: Revision,
}

/// A side effect that is still to be delivered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Pending {
    pub(crate) route: String,
    pub(crate) seq: u64,
    pub(crate) n: u32,
}

/// A record that was heard of.
#[derive(Debug)]
struct Stepped {
    route: String,
    made: Made,
}

/// What a record says was done.
#[derive(Debug, Deserialize)]
struct Made {
    transition: String,
    decision: Decision,
}

#[derive(Debug, Default)]
struct Known {
    /// By route.
    states: BTreeMap<String, Held>,
    /// By route, the id of each step's rollout.
    records: BTreeMap<String, BTreeMap<u64, String>>,
    outbox: BTreeSet<Pending>,
}

/// Follows the rollouts until the plane is stopped.
pub(crate) async fn follow(plane: Arc<Plane>) {
    let mut watch = plane.store.watch(Scope::Rollouts, None);
    let stopped = plane.stopped();
    tokio::pin!(stopped);
    loop {
        tokio::select! {
            () = &mut stopped => return,
            () = plane.rollouts.ask.notified() => watch.ask_progress(),
            event = watch.next() => match event {
                Some(first) => {
                    let more = iter::from_fn(|| watch.waiting()).take(EVENTS_MAX);
                    let steps = plane.rollouts.take(iter::once(first).chain(more));
                    if plane.leadership.borrow().leading.is_some() {
                        steps.iter().for_each(|step| count(&plane, step));
                    }
                }
                None => {
                    tracing::error!("the stream of rollouts has ended");
                    return;
                }
            },
        }
    }
}

/// The leader tells what was done to rollouts, by itself, by people and through other replicas: it
/// alone is asked (telemetry.md 1.5). What is listed, not heard of, was counted by another.
fn count(plane: &Plane, step: &Stepped) {
    let held = plane.rollouts.read().states.get(&step.route).cloned();
    let Some(held) = held else { return };
    let Ok(plan) = Plan::of(&held.state) else {
        return;
    };
    let of = (&*held.state, &plan);
    plane
        .metrics
        .stepped(of, &step.made.transition, step.made.decision);
}

impl Rollouts {
    /// Tells of every step that was heard of.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Heard> {
        self.heard.subscribe()
    }

    /// The newest rollout of each route, routes rising.
    pub(crate) fn all(&self) -> Vec<Held> {
        self.read().states.values().cloned().collect()
    }

    /// Routes whose rollout has not ended, rising.
    pub(crate) fn running(&self) -> Vec<String> {
        let known = self.read();
        let running = known.states.iter();
        let running = running.filter(|(_, held)| !held.state.phase.is_terminal());
        running.map(|(route, _)| route.clone()).collect()
    }

    /// Whether the route has a rollout, running or ended.
    pub(crate) fn has(&self, route: &str) -> bool {
        self.read().states.contains_key(route)
    }

    /// What is still to be delivered, the oldest of each route first.
    pub(crate) fn outbox(&self) -> Vec<Pending> {
        self.read().outbox.iter().cloned().collect()
    }

    /// The route of a rollout, running or ended, if it was heard of.
    fn known_route(&self, id: &str) -> Option<String> {
        let known = self.read();
        let newest = known.states.iter();
        let newest = newest.filter(|(_, held)| held.state.rollout_id == id);
        let mut older = known.records.iter();
        let older = older.find(|(_, records)| records.values().any(|of| of == id));
        let newest = newest.map(|(route, _)| route).next();
        newest.or(older.map(|(route, _)| route)).cloned()
    }

    /// The route of a rollout. What was never heard of is waited for: another replica may have
    /// begun it just now.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]; [`Refusal::StoreUnavailable`].
    pub(crate) async fn route(&self, plane: &Plane, id: &str) -> Result<String, Refusal> {
        if let Some(route) = self.known_route(id) {
            return Ok(route);
        }
        let (_, now) = plane.store.get(&Key::from(&StoreKey::Election)).await?;
        self.caught_up(now).await?;
        let unknown = || Refusal::NotFound(format!("rollouts/{id}"));
        self.known_route(id).ok_or_else(unknown)
    }

    /// Waits until everything up to `revision` is in it, at most [`CATCH_UP_MAX`].
    ///
    /// # Errors
    /// [`Refusal::StoreUnavailable`]: it did not come in time.
    pub(crate) async fn caught_up(&self, revision: Revision) -> Result<(), Refusal> {
        let mut heard = self.heard.subscribe();
        let there = |heard: &Heard| heard.is_ready && heard.is_up && heard.revision >= revision;
        let arrived = async {
            while !there(&heard.borrow_and_update()) {
                self.ask.notify_one();
                // Late or not, the loop looks again.
                let _ = timeout(ASK_EVERY, heard.changed()).await;
            }
        };
        let late = "rollouts could not be followed in time";
        let arrived = timeout(CATCH_UP_MAX, arrived).await;
        arrived.map_err(|_| Refusal::StoreUnavailable(late.to_owned()))
    }

    /// Gives the steps that were heard of.
    fn take(&self, events: impl Iterator<Item = Event>) -> Vec<Stepped> {
        let mut steps = Vec::new();
        let mut heard = *self.heard.borrow();
        let mut known = self.write();
        for event in events {
            heard.is_up = !matches!(event, Event::Down(..));
            match event {
                Event::Reset(listing) => {
                    *known = Known::default();
                    listing.entries.iter().for_each(|entry| known.put(entry));
                    heard.revision = listing.revision;
                    heard.is_ready = true;
                }
                Event::Changes { batch, revision } => {
                    steps.extend(batch.iter().filter_map(|change| known.change(change)));
                    heard.revision = revision;
                }
                Event::Progress(revision) => heard.revision = heard.revision.max(revision),
                Event::Down(..) | Event::Refused(_) => {}
            }
        }
        // Who looks at it afterwards sees what it was told.
        drop(known);
        self.heard.send_replace(heard);
        steps
    }

    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn change(&mut self, change: &Change) -> Option<Stepped> {
        match change {
            Change::Put(entry) => {
                self.put(entry);
                stepped(entry)
            }
            Change::Delete { key, .. } => {
                self.delete(key);
                None
            }
        }
    }

    fn put(&mut self, entry: &Entry) {
        match entry.key.as_str().parse() {
            Ok(StoreKey::RolloutState(route)) => match serde_json::from_slice(&entry.value) {
                Ok(state) => {
                    let held = Held {
                        state: Arc::new(state),
                        revision: entry.mod_revision,
                    };
                    self.states.insert(route, held);
                }
                Err(error) => {
                    tracing::error!(route, %error, "a rollout's state could not be read");
                    self.states.remove(&route);
                }
            },
            Ok(StoreKey::RolloutRecord { route, seq }) => {
                if let Some(id) = rollout_id(&entry.value) {
                    self.records.entry(route).or_default().insert(seq, id);
                }
            }
            Ok(StoreKey::RolloutOutbox { route, seq, n }) => {
                self.outbox.insert(Pending { route, seq, n });
            }
            _ => {}
        }
    }

    fn delete(&mut self, key: &Key) {
        match key.as_str().parse() {
            Ok(StoreKey::RolloutState(route)) => {
                self.states.remove(&route);
            }
            Ok(StoreKey::RolloutRecord { route, seq }) => {
                if let Some(records) = self.records.get_mut(&route) {
                    records.remove(&seq);
                    if records.is_empty() {
                        self.records.remove(&route);
                    }
                }
            }
            Ok(StoreKey::RolloutOutbox { route, seq, n }) => {
                self.outbox.remove(&Pending { route, seq, n });
            }
            _ => {}
        }
    }
}

/// The step that it records, if it is a record.
fn stepped(entry: &Entry) -> Option<Stepped> {
    let StoreKey::RolloutRecord { route, .. } = entry.key.as_str().parse().ok()? else {
        return None;
    };
    let made = serde_json::from_slice(&entry.value).ok()?;
    Some(Stepped { route, made })
}

/// Whose record that is.
fn rollout_id(value: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Told {
        rollout_id: String,
    }
    let told: Told = serde_json::from_slice(value).ok()?;
    Some(told.rollout_id)
}
