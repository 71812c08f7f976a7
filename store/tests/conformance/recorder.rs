//! A watch that is read, recorded and judged.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serin_proto::unit::Revision;
use serin_store::{
    Key, Resume, Scope, Store, StoreIdentity, Watch,
    watch::{Change, Event},
};
use tokio::time::timeout;

use crate::judge::{Mark, Seen, Truth, judge};

/// Longest wait of any case for what has to come.
pub(crate) const WITHIN: Duration = Duration::from_secs(30);

/// A consumer as a router is one: what it holds, where it is, and all it was told.
#[derive(Debug)]
pub(crate) struct Recorder {
    scope: Scope,
    watch: Option<Watch>,
    identity: StoreIdentity,
    /// Everything up to here was delivered; 0 before the first event.
    pub(crate) at: u64,
    /// Each key held, and the revision of its newest change.
    pub(crate) held: BTreeMap<String, u64>,
    pub(crate) seen: Vec<Seen>,
}

impl Recorder {
    /// A fresh watch. Nothing is read yet.
    pub(crate) fn open(store: &Arc<dyn Store>, scope: Scope) -> Self {
        Self {
            scope,
            watch: Some(store.watch(scope, None)),
            identity: StoreIdentity::default(),
            at: 0,
            held: BTreeMap::new(),
            seen: vec![Seen::Opened { after: None }],
        }
    }

    /// A fresh watch, read up to now.
    pub(crate) async fn begun(store: &Arc<dyn Store>, scope: Scope) -> Self {
        let mut recorder = Self::open(store, scope);
        let now = revision(store).await;
        recorder.until(now).await;
        recorder
    }

    /// Stops watching, and keeps what it holds.
    pub(crate) fn close(&mut self) {
        self.watch = None;
    }

    /// Watches again, from what it holds.
    pub(crate) fn reopen(&mut self, store: &Arc<dyn Store>) {
        let resume = self.resume();
        self.reopen_from(store, resume);
    }

    pub(crate) fn reopen_from(&mut self, store: &Arc<dyn Store>, resume: Resume) {
        let after = Some(resume.revision.0);
        self.seen.push(Seen::Opened { after });
        self.watch = Some(store.watch(self.scope, Some(resume)));
    }

    /// What it would resume from.
    pub(crate) fn resume(&self) -> Resume {
        let newest = self.held.iter().max_by_key(|(_, revision)| **revision);
        let newest = newest.map(|(name, revision)| (key(name), Revision(*revision)));
        Resume {
            identity: self.identity.clone(),
            revision: Revision(self.at),
            newest,
        }
    }

    /// Reads until everything up to `revision` was delivered, asking for progress.
    pub(crate) async fn until(&mut self, revision: u64) {
        let read = async {
            while self.at < revision {
                self.ask_progress();
                self.next().await;
            }
        };
        let read = timeout(WITHIN, read).await;
        assert!(
            read.is_ok(),
            "at {} of {revision} after {:?}",
            self.at,
            self.seen
        );
    }

    /// The next event, whatever it is.
    pub(crate) async fn next(&mut self) -> Event {
        let watch = self.watch.as_mut().expect("a watch that is open");
        let event = timeout(WITHIN, watch.next()).await;
        let event = event.unwrap_or_else(|_| panic!("silent after {:?}", self.seen));
        let event = event.expect("a watch does not end by itself");
        self.take(&event);
        event
    }

    /// The next event that is no sign of trouble.
    pub(crate) async fn news(&mut self) -> Event {
        loop {
            match self.next().await {
                Event::Down(..) => {}
                event => return event,
            }
        }
    }

    pub(crate) fn ask_progress(&self) {
        self.watch.as_ref().expect("open").ask_progress();
    }

    /// Resets recorded so far.
    pub(crate) fn resets(&self) -> usize {
        let resets = self.seen.iter();
        resets.filter(|s| matches!(s, Seen::Reset { .. })).count()
    }

    /// All changes recorded, in the order they came.
    pub(crate) fn marks(&self) -> Vec<Mark> {
        let changes = self.seen.iter().filter_map(|seen| match seen {
            Seen::Changes { marks, .. } => Some(marks),
            _ => None,
        });
        changes.flatten().cloned().collect()
    }

    /// # Panics
    /// When the recording breaks a promise, or lacks something of the truth.
    pub(crate) fn assert_true(&self, truth: &Truth) {
        let found = judge(&self.seen, Some(truth));
        assert!(found.is_empty(), "{}\n{:?}", found[0], self.seen);
        let last = truth.range(..=self.at).flat_map(|(_, marks)| marks);
        let mut state = BTreeMap::new();
        for mark in last {
            match mark.deleted {
                true => state.remove(&mark.key),
                false => state.insert(mark.key.clone(), mark.revision),
            };
        }
        assert_eq!(self.held, state, "what a consumer holds in the end");
    }

    fn take(&mut self, event: &Event) {
        match event {
            Event::Reset(listing) => {
                self.identity = listing.identity.clone();
                let entries = listing.entries.iter();
                let held = entries.map(|entry| (entry.key.to_string(), entry.mod_revision.0));
                self.held = held.collect();
                self.at = listing.revision.0;
            }
            Event::Changes { batch, revision } => {
                for change in batch {
                    self.apply(change);
                }
                self.at = revision.0;
            }
            Event::Progress(revision) => self.at = revision.0,
            Event::Refused(_) | Event::Down(..) => {}
        }
        self.seen.extend(seen(event));
    }

    fn apply(&mut self, change: &Change) {
        let name = change.key().to_string();
        match change {
            Change::Put(entry) => self.held.insert(name, entry.mod_revision.0),
            Change::Delete { .. } => self.held.remove(&name),
        };
    }
}

/// What the judge is told of an event; nothing, if it carries no revision.
fn seen(event: &Event) -> Option<Seen> {
    match event {
        Event::Reset(listing) => {
            let held = listing.entries.iter().map(|entry| Mark {
                revision: entry.mod_revision.0,
                key: entry.key.to_string(),
                deleted: false,
            });
            Some(Seen::Reset {
                revision: listing.revision.0,
                held: held.collect(),
            })
        }
        Event::Changes { batch, revision } => Some(Seen::Changes {
            revision: revision.0,
            marks: batch.iter().map(mark).collect(),
        }),
        Event::Progress(revision) => Some(Seen::Progress {
            revision: revision.0,
        }),
        Event::Refused(_) | Event::Down(..) => None,
    }
}

fn mark(change: &Change) -> Mark {
    Mark {
        revision: change.revision().0,
        key: change.key().to_string(),
        deleted: matches!(change, Change::Delete { .. }),
    }
}

pub(crate) fn key(name: &str) -> Key {
    Key::new(name).expect("a short key")
}

/// The revision of the store now.
pub(crate) async fn revision(store: &Arc<dyn Store>) -> u64 {
    let (_, revision) = store.get(&key("config/none")).await.expect("an answer");
    revision.0
}
