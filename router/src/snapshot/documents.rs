//! What this router holds of its store, and whether what comes is still of that store.
//!
//! Always: a listing replaces everything and is compared before it does; what is held is never
//! emptied first. While a listing is of another history (`lineage.rs`), it is kept aside with all
//! that follows it: an adoption may come later and must find it as it is then. A file has no
//! history to compare: its listings are taken as they come.

use std::collections::{BTreeMap, HashSet};

use serin_proto::{
    address::Networks,
    admission::{Admission, Admitted, Stored},
    fleet::Hold,
    key::StoreKey,
    unit::Revision,
};
use serin_store::{Entry, Key, Listing, StoreIdentity, watch::Change};
use ulid::Ulid;

use super::{
    disk::{Saved, SavedDocument},
    lineage::{self, Side, Version},
};

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Documents may have changed: they are to serve as of this revision.
    Changed(Revision),
    /// The same, with another store in the place of the one followed before.
    Adopted(Revision),
    /// All is as it was.
    Confirmed,
    /// It came from another store than the one followed.
    Foreign,
}

/// The documents of one router.
#[derive(Debug)]
pub(super) struct Documents {
    admission: Admission,
    /// `None`: nothing was read yet.
    place: Option<Place>,
    /// The newest adoption that was followed.
    adopted: Option<Ulid>,
    aside: Option<Aside>,
    /// Whether listings are compared.
    has_history: bool,
}

/// How far which store was followed.
#[derive(Clone, Debug)]
struct Place {
    identity: StoreIdentity,
    /// Everything up to here was seen.
    revision: Revision,
    last_contact_unix_ms: u64,
}

/// Another store's documents.
#[derive(Debug)]
struct Aside {
    why: Hold,
    identity: StoreIdentity,
    revision: Revision,
    entries: BTreeMap<Key, Entry>,
}

impl Documents {
    /// None yet. `has_history`: they come from a store, not from a file.
    pub(super) fn new(networks: Networks, has_history: bool) -> Self {
        Self {
            admission: Admission::new(networks),
            place: None,
            adopted: None,
            aside: None,
            has_history,
        }
    }

    /// Takes what an earlier run saved. To be called first.
    pub(super) fn restore(&mut self, saved: &Saved) {
        for document in &saved.documents {
            let (create, modified) = (document.create_revision, document.mod_revision);
            self.admission
                .put(&document.key, &document.value, create, modified);
        }
        for good in &saved.last_good {
            if let Ok(key) = good.key.parse() {
                let (create, modified) = (good.create_revision, good.mod_revision);
                self.admission.put_good(&key, &good.value, create, modified);
            }
        }
        self.adopted = saved.adopted;
        self.place = Some(Place {
            identity: StoreIdentity(saved.identity.clone()),
            revision: saved.revision,
            last_contact_unix_ms: saved.last_contact_unix_ms,
        });
    }

    /// Takes a whole listing, unless it is of another history.
    pub(super) fn reset(&mut self, listing: Listing, now_unix_ms: u64) -> Heard {
        let Listing {
            entries,
            revision,
            identity,
        } = listing;
        let entries: BTreeMap<Key, Entry> = entries
            .into_iter()
            .map(|entry| (entry.key.clone(), entry))
            .collect();
        let listed = Aside {
            why: Hold::HistoryDiffers,
            identity,
            revision,
            entries,
        };
        match self.compare(&listed) {
            Ok(()) => {
                self.replace(&listed, now_unix_ms);
                Heard::Changed(revision)
            }
            Err(why) => {
                self.aside = Some(Aside { why, ..listed });
                self.adopt(now_unix_ms)
            }
        }
    }

    /// Takes changes, or lays them aside with the listing they follow.
    pub(super) fn changes(
        &mut self,
        batch: Vec<Change>,
        revision: Revision,
        now_unix_ms: u64,
    ) -> Heard {
        if let Some(aside) = &mut self.aside {
            aside.revision = revision;
            for change in batch {
                aside.take(change);
            }
            return self.look_again(now_unix_ms);
        }
        for change in &batch {
            match change {
                Change::Put(entry) => self.put(entry),
                Change::Delete { key, .. } => self.admission.delete(key.as_str()),
            }
        }
        self.seen(revision, now_unix_ms);
        Heard::Changed(revision)
    }

    /// A store that was found empty is judged again with each change: it may just be filled again.
    fn look_again(&mut self, now_unix_ms: u64) -> Heard {
        match self.aside.take() {
            Some(aside) if aside.why == Hold::Empty && self.compare(&aside).is_ok() => {
                self.replace(&aside, now_unix_ms);
                Heard::Changed(aside.revision)
            }
            aside => {
                self.aside = aside;
                self.adopt(now_unix_ms)
            }
        }
    }

    /// Everything up to `revision` was told.
    pub(super) fn progress(&mut self, revision: Revision, now_unix_ms: u64) -> Heard {
        if self.aside.is_some() {
            return Heard::Foreign;
        }
        self.seen(revision, now_unix_ms);
        Heard::Confirmed
    }

    /// What serves and what does not.
    pub(super) fn admit(&mut self) -> Admitted {
        self.admission.admit()
    }

    /// Whether they come from a store, whose listings are compared.
    pub(super) fn has_history(&self) -> bool {
        self.has_history
    }

    pub(super) fn hold(&self) -> Option<Hold> {
        self.aside.as_ref().map(|aside| aside.why)
    }

    /// Everything up to here was seen; `None`: nothing was read yet.
    pub(super) fn revision(&self) -> Option<Revision> {
        self.place.as_ref().map(|place| place.revision)
    }

    /// When the store was last heard of, milliseconds since 1970; 0: never.
    pub(super) fn last_contact_unix_ms(&self) -> u64 {
        self.place
            .as_ref()
            .map_or(0, |place| place.last_contact_unix_ms)
    }

    pub(super) fn unknown_fields(&self) -> u64 {
        self.admission.unknown_fields()
    }

    /// Every key as stored, good or not.
    pub(super) fn stored(&self) -> impl Iterator<Item = (&str, Stored<'_>)> {
        let keys = self.admission.keys();
        keys.filter_map(|key| Some((key, self.admission.stored(key)?)))
    }

    /// What a later run needs; `None`: nothing was read yet.
    pub(super) fn saved(&self, now_unix_ms: u64) -> Option<Saved> {
        let place = self.place.as_ref()?;
        let goods = self.admission.last_goods();
        Some(Saved {
            identity: place.identity.0.clone(),
            revision: place.revision,
            adopted: self.adopted,
            last_contact_unix_ms: place.last_contact_unix_ms,
            saved_unix_ms: now_unix_ms,
            documents: self.stored().map(saved_document).collect(),
            last_good: goods
                .map(|(key, stored)| saved_document((&key.to_string(), stored)))
                .collect(),
        })
    }

    fn compare(&self, listed: &Aside) -> Result<(), Hold> {
        let Some(place) = self.place.as_ref().filter(|_| self.has_history) else {
            return Ok(());
        };
        let keys = self.stored().map(|(key, stored)| (key, version(stored)));
        let held = Side {
            identity: &place.identity.0,
            revision: place.revision,
            keys: keys.collect(),
        };
        lineage::compare(&held, &listed.side())
    }

    /// Goes over to what lies aside, if a mark in it says so.
    fn adopt(&mut self, now_unix_ms: u64) -> Heard {
        let contact = self.last_contact_unix_ms();
        let known = self.adopted;
        let adopts = |aside: &mut Aside| {
            let mark = aside.mark();
            mark.is_some_and(|found| lineage::adopts(found, known, contact))
        };
        match self.aside.take_if(adopts) {
            Some(aside) => {
                self.replace(&aside, now_unix_ms);
                Heard::Adopted(aside.revision)
            }
            None => Heard::Foreign,
        }
    }

    /// Makes `listed` what is held, by its differences.
    fn replace(&mut self, listed: &Aside, now_unix_ms: u64) {
        let stays: HashSet<&str> = listed.entries.keys().map(Key::as_str).collect();
        let keys = self.admission.keys().filter(|key| !stays.contains(key));
        let gone: Vec<String> = keys.map(str::to_owned).collect();
        for key in gone {
            self.admission.delete(&key);
        }
        for entry in listed.entries.values() {
            self.put(entry);
        }
        self.aside = None;
        self.place = Some(Place {
            identity: listed.identity.clone(),
            revision: listed.revision,
            last_contact_unix_ms: now_unix_ms,
        });
    }

    fn put(&mut self, entry: &Entry) {
        if is_mark(&entry.key) {
            self.adopted = self.adopted.max(lineage::mark(&entry.value));
            return;
        }
        let (create, modified) = (entry.create_revision, entry.mod_revision);
        self.admission
            .put(entry.key.as_str(), &entry.value, create, modified);
    }

    fn seen(&mut self, revision: Revision, now_unix_ms: u64) {
        if let Some(place) = &mut self.place {
            place.revision = place.revision.max(revision);
            place.last_contact_unix_ms = now_unix_ms;
        }
    }
}

impl Aside {
    fn take(&mut self, change: Change) {
        match change {
            Change::Put(entry) => drop(self.entries.insert(entry.key.clone(), entry)),
            Change::Delete { key, .. } => drop(self.entries.remove(&key)),
        }
    }

    fn mark(&self) -> Option<Ulid> {
        let mark = self.entries.get(&Key::from(&StoreKey::Adopted))?;
        lineage::mark(&mark.value)
    }

    fn side(&self) -> Side<'_> {
        let documents = self.entries.values().filter(|entry| !is_mark(&entry.key));
        let keys = documents.map(|entry| {
            let version = Version {
                value: &entry.value,
                created: entry.create_revision,
                modified: entry.mod_revision,
            };
            (entry.key.as_str(), version)
        });
        Side {
            identity: &self.identity.0,
            revision: self.revision,
            keys: keys.collect(),
        }
    }
}

fn is_mark(key: &Key) -> bool {
    key.as_str().parse() == Ok(StoreKey::Adopted)
}

fn version(stored: Stored<'_>) -> Version<'_> {
    Version {
        value: stored.value,
        created: stored.create_revision,
        modified: stored.mod_revision,
    }
}

fn saved_document((key, stored): (&str, Stored<'_>)) -> SavedDocument {
    SavedDocument {
        key: key.to_owned(),
        value: stored.value.to_vec(),
        create_revision: stored.create_revision,
        mod_revision: stored.mod_revision,
    }
}
