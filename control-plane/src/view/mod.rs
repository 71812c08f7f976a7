//! Every document as this process last heard of it.
//!
//! It judges what a change would come to, by the same rules as routers, and keeps the newest
//! changes for `/watch`. It may be behind the store; whoever rests on it guards what they saw, or
//! waits until it has caught up. Reads are not answered from here: a replica must see what its
//! neighbour wrote.

mod cursor;
mod ring;

use std::{
    iter,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
    time::Duration,
};

use serin_proto::{
    address::Networks,
    admission::Admission,
    key::{DocumentKey, Kind},
    unit::Revision,
};
use serin_store::{
    Listing, Scope,
    watch::{Change, Event},
};
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

pub(crate) use cursor::Cursor;
pub(crate) use ring::Batch;
use ring::{Dropped, Ring};

use crate::{change::Refusal, clock, fleet::Fleet, plane::Plane};

/// Longest wait for the view to hear of what is in the store already.
const CATCH_UP_MAX: Duration = Duration::from_secs(5);
/// Most events that are taken in one step.
const EVENTS_MAX: usize = 64;
/// How often progress is asked for meanwhile: a member of etcd that is behind says so, too.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// The documents and the newest changes.
#[derive(Debug)]
pub(crate) struct View {
    state: RwLock<State>,
    heard: watch::Sender<Heard>,
    ask: Notify,
}

#[derive(Debug)]
struct State {
    admission: Admission,
    ring: Ring,
}

/// How far the stream has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Heard {
    /// Everything up to here is in the view.
    revision: Revision,
    /// Listings so far: what came before a new one does not go on after it.
    listings: u64,
    /// Whether the source can be read now.
    is_up: bool,
}

/// Follows the documents until the plane is stopped.
pub(crate) async fn follow(plane: Arc<Plane>) {
    let mut watch = plane.store.watch(Scope::Documents, None);
    let stopped = plane.stopped();
    tokio::pin!(stopped);
    loop {
        tokio::select! {
            () = &mut stopped => return,
            () = plane.view.ask.notified() => watch.ask_progress(),
            event = watch.next() => match event {
                // Whatever waits already is taken together: it is settled and published once.
                Some(first) => {
                    let more = iter::from_fn(|| watch.waiting()).take(EVENTS_MAX);
                    plane.view.take(iter::once(first).chain(more), &plane.fleet);
                }
                None => {
                    tracing::error!("the stream of documents has ended");
                    plane.view.heard.send_modify(|heard| heard.is_up = false);
                    return;
                }
            },
        }
    }
}

impl View {
    /// Knows nothing until [`follow`] was told something.
    pub(crate) fn new(networks: Networks) -> Self {
        let state = State {
            admission: Admission::new(networks),
            ring: Ring::default(),
        };
        Self {
            state: RwLock::new(state),
            heard: watch::Sender::default(),
            ask: Notify::new(),
        }
    }

    /// Whether it has seen the documents once.
    pub(crate) fn is_ready(&self) -> bool {
        self.heard.borrow().listings > 0
    }

    /// Waits until it has.
    pub(crate) async fn ready(&self) {
        let mut heard = self.heard.subscribe();
        // An error would say that the sender is gone: it is in `self`.
        let _ = heard.wait_for(|heard| heard.listings > 0).await;
    }

    /// Whether documents can be followed now.
    pub(crate) fn is_up(&self) -> bool {
        self.heard.borrow().is_up
    }

    /// Everything up to here is in it.
    pub(crate) fn revision(&self) -> Revision {
        self.heard.borrow().revision
    }

    /// Documents of each kind, good or not.
    pub(crate) fn counts(&self) -> [(Kind, usize); 4] {
        let state = self.read();
        let mut counts = Kind::ALL.map(|kind| (kind, 0));
        let keys = state.admission.keys();
        for key in keys.filter_map(|key| key.parse::<DocumentKey>().ok()) {
            for (_, count) in counts.iter_mut().filter(|(kind, _)| *kind == key.kind) {
                *count += 1;
            }
        }
        counts
    }

    /// Looks at all documents at one revision. `None`: none were seen yet.
    pub(crate) fn look<T>(&self, at: impl FnOnce(&Admission, Revision) -> T) -> Option<T> {
        let state = self.read();
        let heard = *self.heard.borrow();
        (heard.listings > 0).then(|| at(&state.admission, heard.revision))
    }

    /// Waits until everything up to `revision` is in it, at most [`CATCH_UP_MAX`].
    ///
    /// # Errors
    /// [`Refusal::StoreUnavailable`]: it did not come in time.
    pub(crate) async fn caught_up(&self, revision: Revision) -> Result<(), Refusal> {
        // A stream that is down may come back with another store, whose revisions mean nothing here.
        self.reach(|heard| heard.is_up && heard.revision >= revision)
            .await
    }

    /// Waits until documents were listed once and followed to `revision`, be it long ago.
    ///
    /// # Errors
    /// [`Refusal::StoreUnavailable`]: it did not come in time.
    async fn came_to(&self, revision: Revision) -> Result<(), Refusal> {
        self.reach(|heard| heard.revision >= revision).await
    }

    async fn reach(&self, there: impl Fn(&Heard) -> bool) -> Result<(), Refusal> {
        let mut heard = self.heard.subscribe();
        let there = |heard: &Heard| heard.listings > 0 && there(heard);
        let arrived = async {
            while !there(&heard.borrow_and_update()) {
                self.ask.notify_one();
                // Late or not, the loop looks again.
                let _ = timeout(ASK_EVERY, heard.changed()).await;
            }
        };
        let late = "documents could not be followed in time: changes cannot be judged now";
        let arrived = timeout(CATCH_UP_MAX, arrived).await;
        arrived.map_err(|_| Refusal::StoreUnavailable(late.to_owned()))
    }

    /// Takes events in and settles what they changed, in one step for whoever looks.
    fn take(&self, events: impl Iterator<Item = Event>, fleet: &Fleet) {
        let mut news = Vec::new();
        let before = *self.heard.borrow();
        let mut heard = before;
        let mut state = self.write();
        for event in events {
            news.extend(state.take(event, &mut heard));
        }
        if !news.is_empty() {
            state.admission.admit();
        }
        // While the documents cannot be looked at: who does sees those of this very revision.
        self.heard.send_replace(heard);
        drop(state);
        let now = clock::now();
        for one in news {
            match one {
                News::Changed(revision) => fleet.changed(revision, now),
                News::Listed(revision) => fleet.listed(revision, now),
                News::Regressed => fleet.store_regressed(true),
                News::Adopted => fleet.store_regressed(false),
            }
        }
        if before.is_up && !heard.is_up {
            tracing::warn!("documents cannot be followed now");
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What routers will have to apply.
enum News {
    /// The revision of the newest change.
    Changed(Revision),
    /// That of the newest document of a listing.
    Listed(Revision),
    /// The store is behind what was seen of it.
    Regressed,
    /// Somebody said that this store is the right one.
    Adopted,
}

impl State {
    fn take(&mut self, event: Event, heard: &mut Heard) -> Vec<News> {
        heard.is_up = !matches!(event, Event::Down(..));
        match event {
            Event::Reset(listing) => {
                self.replace(&listing);
                self.ring.restart(listing.revision);
                let is_regressed = listing.revision < heard.revision;
                heard.revision = listing.revision;
                heard.listings += 1;
                let documents = listing.entries.len();
                tracing::info!(revision = %listing.revision, documents, "documents listed");
                let newest = listing.entries.iter().map(|entry| entry.mod_revision).max();
                let mut news = vec![News::Listed(newest.unwrap_or_default())];
                news.extend(is_regressed.then_some(News::Regressed));
                news
            }
            Event::Changes { batch, revision } => {
                let is_mark = |change: &Change| !is_documents(change.key().as_str());
                let adopted = batch.iter().any(is_mark).then_some(News::Adopted);
                batch.iter().for_each(|change| self.change(change));
                self.ring.push(batch);
                heard.revision = revision;
                let mut news = vec![News::Changed(revision)];
                news.extend(adopted);
                news
            }
            Event::Progress(revision) => {
                heard.revision = heard.revision.max(revision);
                Vec::new()
            }
            // `Refused` is said by files, which are no store.
            Event::Down(..) | Event::Refused(_) => Vec::new(),
        }
    }

    fn change(&mut self, change: &Change) {
        let key = change.key().as_str();
        if !is_documents(key) {
            return;
        }
        match change {
            Change::Put(entry) => {
                self.admission
                    .put(key, &entry.value, entry.create_revision, entry.mod_revision)
            }
            Change::Delete { .. } => self.admission.delete(key),
        }
    }

    /// What is not in the listing is gone; what is there unchanged is left as it is.
    fn replace(&mut self, listing: &Listing) {
        let listed: std::collections::HashSet<&str> = listing
            .entries
            .iter()
            .map(|entry| entry.key.as_str())
            .collect();
        let known: Vec<String> = self.admission.keys().map(str::to_owned).collect();
        for gone in known.iter().filter(|key| !listed.contains(key.as_str())) {
            self.admission.delete(gone);
        }
        for entry in &listing.entries {
            let key = entry.key.as_str();
            if is_documents(key) {
                let (create, modified) = (entry.create_revision, entry.mod_revision);
                self.admission.put(key, &entry.value, create, modified);
            }
        }
    }
}

/// The mark of an adoption lies among the documents and is none.
fn is_documents(key: &str) -> bool {
    key.parse() != Ok(serin_proto::key::StoreKey::Adopted)
}

#[cfg(test)]
mod tests;
