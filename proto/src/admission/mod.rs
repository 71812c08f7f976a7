//! Which documents serve: everything a store holds in, what is served and what is refused out.
//!
//! Router and control plane both ask here, so they judge alike. A document that cannot be used is
//! refused alone and keeps its last good form; the others are not harmed. Pure.
//!
//! ```text
//!   put ─▶ slot: what is stored, older forms ─▶ settle ─▶ Admitted: serving, rejected
//!   delete                                      ▲
//!   judge ── the same slots, a change laid over ┘  ─▶ faults the change contains or causes
//! ```
//!
//! A document alone is judged once, when it is put. Between documents there are two kinds of ties:
//! a *claim* (a model name, a secret's digest) that one alone may have, and a *need* (a route's
//! provider, a key's tier). Ties are indexed, so a change is settled among those it can affect.
//!
//! * Of two that claim the same, the one with the lower `create_revision` has it.
//! * A provider or tier that is deleted while something needs it serves on in its last good form.
//!   Who needs it is told as rejected all the same, since a fresh router would have to refuse it.

mod judge;
mod settle;
mod slot;
mod ties;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

pub use judge::{Judgement, Proposed};

use self::{
    settle::{Outcome, View, settle},
    slot::{Slot, Standing, Version},
    ties::{Ties, affected},
};
use crate::{
    address::Networks, document::Document, fleet::RejectedDocument, key::DocumentKey,
    unit::Revision, validate::relation::needs,
};

/// One document that serves.
#[derive(Clone, Debug)]
pub struct Serving {
    /// The same `Arc` as long as the document is unchanged.
    pub document: Arc<Document>,
    pub mod_revision: Revision,
    pub create_revision: Revision,
}

/// What serves, and what does not.
#[derive(Clone, Debug, Default)]
pub struct Admitted {
    /// Older forms among them, and providers and tiers that were deleted while they are needed.
    pub documents: BTreeMap<DocumentKey, Serving>,
    /// Sorted by key.
    pub rejected: Vec<RejectedDocument>,
}

/// A value and its revisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored<'a> {
    pub value: &'a [u8],
    pub create_revision: Revision,
    pub mod_revision: Revision,
}

/// Everything below `config/`, and what of it serves.
#[derive(Debug)]
pub struct Admission {
    networks: Networks,
    slots: BTreeMap<DocumentKey, Slot>,
    /// Keys that are no document's, and why.
    strays: BTreeMap<String, Version>,
    ties: Ties,
    /// Changed since they were settled.
    unsettled: BTreeSet<DocumentKey>,
    serving: BTreeMap<DocumentKey, Serving>,
    /// By the text of the key.
    rejected: BTreeMap<String, RejectedDocument>,
    unknown_fields: u64,
}

impl Admission {
    /// An empty one. `networks`: the private ranges that a provider may be in.
    pub fn new(networks: Networks) -> Self {
        Self {
            networks,
            slots: BTreeMap::new(),
            strays: BTreeMap::new(),
            ties: Ties::default(),
            unsettled: BTreeSet::new(),
            serving: BTreeMap::new(),
            rejected: BTreeMap::new(),
            unknown_fields: 0,
        }
    }

    /// Takes a key after the prefix (`config/routes/chat`) and its value. What is no document's key
    /// is rejected under its own text; the caller keeps `config/adopted` to itself.
    pub fn put(&mut self, key: &str, value: &[u8], create: Revision, modified: Revision) {
        let revisions = (create, modified);
        let Ok(document) = key.parse::<DocumentKey>() else {
            let stray = Version::stray(key, value, revisions);
            self.rejected.insert(key.to_owned(), stray.rejected(key));
            self.strays.insert(key.to_owned(), stray);
            return;
        };
        let before = self
            .slots
            .get(&document)
            .and_then(|slot| slot.stored.as_ref());
        let version = match before {
            Some(before) if *before.value == *value => {
                if before.revisions == revisions {
                    return;
                }
                before.again(revisions)
            }
            _ => {
                let (version, unknown) = Version::read(&document, value, revisions, &self.networks);
                self.unknown_fields += unknown;
                version
            }
        };
        self.change(document, |slot| slot.put(version));
    }

    /// Takes the last good form of a document that is rejected or gone, from a snapshot file. It
    /// serves only where nothing newer is good. One that is not good by today's rules is left out.
    pub fn put_good(
        &mut self,
        key: &DocumentKey,
        value: &[u8],
        create: Revision,
        modified: Revision,
    ) {
        let revisions = (create, modified);
        let (mut version, _) = Version::read(key, value, revisions, &self.networks);
        version.standing = Standing::Admitted;
        if version.document().is_some() {
            self.change(key.clone(), |slot| slot.put_good(version));
        }
    }

    /// A plain delete: the last good form goes too, except that of a provider or tier while
    /// something that serves needs it.
    pub fn delete(&mut self, key: &str) {
        match key.parse::<DocumentKey>() {
            Ok(key) if self.slots.contains_key(&key) => self.change(key, Slot::delete),
            Ok(_) => {}
            Err(_) => {
                self.strays.remove(key);
                self.rejected.remove(key);
            }
        }
    }

    /// Every key that is stored, documents or not.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let slots = self.slots.values().filter(|slot| slot.stored.is_some());
        let documents = slots.map(|slot| slot.text.as_str());
        documents.chain(self.strays.keys().map(String::as_str))
    }

    /// What is stored under a key, good or not.
    pub fn stored(&self, key: &str) -> Option<Stored<'_>> {
        let version = match key.parse::<DocumentKey>() {
            Ok(key) => self.slots.get(&key)?.stored.as_ref()?,
            Err(_) => self.strays.get(key)?,
        };
        Some(version.stored())
    }

    /// The last good forms of what is rejected, and of what was deleted but is needed.
    pub fn last_goods(&self) -> impl Iterator<Item = (&DocumentKey, Stored<'_>)> {
        let older = |(key, slot)| Slot::last_good(slot).map(|version| (key, version.stored()));
        self.slots.iter().filter_map(older)
    }

    /// Fields that this version does not know, in all that was put so far.
    pub fn unknown_fields(&self) -> u64 {
        self.unknown_fields
    }

    /// Settles what changed and tells the whole.
    pub fn admit(&mut self) -> Admitted {
        self.settle();
        // Those that nothing needs any more go; who named them in vain is told so.
        if self.drop_unneeded() {
            self.settle();
        }
        Admitted {
            documents: self.serving.clone(),
            rejected: self.rejected.values().cloned().collect(),
        }
    }

    fn settle(&mut self) {
        let changed = std::mem::take(&mut self.unsettled);
        let view = View::plain(&self.slots);
        let set = affected(changed, &view, &self.ties);
        for (key, outcome) in settle(&view, set) {
            self.take(key, outcome);
        }
    }

    /// Makes an outcome what is served and told.
    fn take(&mut self, key: DocumentKey, outcome: Outcome) {
        let Some(slot) = self.slots.get_mut(&key) else {
            self.serving.remove(&key);
            self.rejected.remove(&key.to_string());
            return;
        };
        match outcome.rejected(slot) {
            Some(rejected) => self.rejected.insert(slot.text.clone(), rejected),
            None => self.rejected.remove(&slot.text),
        };
        let serves = outcome.serves.as_ref().map(|version| version.revisions);
        if slot.older.is_empty() {
            slot.settled(serves);
        } else {
            // Older versions may go, and with them what ties them to others.
            self.ties.remove(&key, slot);
            slot.settled(serves);
            self.ties.add(&key, slot);
        }
        match outcome.serves.and_then(|version| version.serving()) {
            Some(serving) => self.serving.insert(key, serving),
            None => self.serving.remove(&key),
        };
    }

    /// Whether something went. Who named it waits to be settled again.
    fn drop_unneeded(&mut self) -> bool {
        let gone = |(key, slot): &(&DocumentKey, &Slot)| slot.stored.is_none() && !self.needed(key);
        let keys: Vec<DocumentKey> = self
            .slots
            .iter()
            .filter(gone)
            .map(|(key, _)| key.clone())
            .collect();
        for key in &keys {
            self.change(key.clone(), |slot| slot.older.clear());
        }
        !keys.is_empty()
    }

    /// Whether something that serves needs the document.
    fn needed(&self, key: &DocumentKey) -> bool {
        self.ties.users(key).any(|user| {
            let serving = self.serving.get(user);
            serving.is_some_and(|s| needs(&s.document).iter().any(|(_, need)| need == key))
        })
    }

    /// Changes a slot, keeps the index in step, and forgets a slot that holds nothing.
    fn change(&mut self, key: DocumentKey, change: impl FnOnce(&mut Slot)) {
        let new = || Slot::empty(&key);
        let slot = self.slots.entry(key.clone()).or_insert_with(new);
        // Who shares a claim that may be given up now is affected too.
        let rivals = self.ties.rivals(slot).filter(|rival| **rival != key);
        self.unsettled.extend(rivals.cloned());
        self.ties.remove(&key, slot);
        change(slot);
        self.ties.add(&key, slot);
        if slot.is_empty() {
            self.slots.remove(&key);
        }
        self.unsettled.insert(key);
    }
}

#[cfg(test)]
mod tests;
