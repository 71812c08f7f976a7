//! What a change would do: asked by the control plane before it writes.
//!
//! The change is laid over what is there and settled as [`super::Admission::admit`] would settle it,
//! so who is refused here and who would be refused by routers cannot differ. What was rejected
//! before and is not written now is no fault of the change.

use std::collections::BTreeMap;

use super::{
    Admission,
    settle::{Found, Refusal, View, settle},
    slot::{Slot, Version},
    ties::affected,
};
use crate::{
    document::Document,
    fault::{FAULTS_MAX, Fault, Pointer},
    key::DocumentKey,
    unit::Revision,
    validate::{
        Context,
        relation::{self, Spot},
    },
};

/// Most documents that a message lists by name.
const NAMED_MAX: usize = 10;
/// A document that is created by the change comes after all that are there.
const TO_BE: Revision = Revision(u64::MAX);

/// A document as it would be, or its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposed {
    pub key: DocumentKey,
    /// `None`: it is deleted.
    pub document: Option<Document>,
}

/// What a change would do. Each fault stands with the changed document it is about, its pointer
/// relative to that; a fault that shows in another document names it in the message and has no
/// pointer. Sorted by key, at most [`FAULTS_MAX`] of each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judgement {
    /// Any of them: the change must not be written.
    pub faults: Vec<(DocumentKey, Fault)>,
    pub warnings: Vec<(DocumentKey, Fault)>,
}

impl Admission {
    /// What would be, rested on what [`Self::admit`] settled last. Of two proposals for one key the
    /// last counts. Of a key's secrets those that will ever expire do not count as live: who has a
    /// clock asks [`Document::check`] for that.
    pub fn judge(&self, changes: &[Proposed]) -> Judgement {
        let proposed = |change: &Proposed| (change.key.clone(), self.proposed(change));
        let over: BTreeMap<DocumentKey, Slot> = changes.iter().map(proposed).collect();
        let view = View::with(&self.slots, &over);
        let mut blame = Blame {
            view: &view,
            over: &over,
            faults: Vec::new(),
            users: BTreeMap::new(),
        };
        let changed = over.keys().cloned().collect();
        for (key, outcome) in settle(&view, affected(changed, &view, &self.ties)) {
            if over.contains_key(&key) {
                blame.written(&key, outcome.refusals);
            } else if !self.rejected.contains_key(&key.to_string()) {
                blame.harmed(&key, outcome.refusals);
            }
        }
        let warned = changes
            .iter()
            .flat_map(|change| self.warnings(change, &view));
        Judgement {
            faults: blame.told(),
            warnings: sorted(warned.collect()),
        }
    }

    /// The slot as it would be. The document is printed and read, as a router will read it.
    fn proposed(&self, change: &Proposed) -> Slot {
        let (key, root) = (&change.key, Pointer::root());
        let now = self.slots.get(key).cloned();
        let mut slot = now.unwrap_or_else(|| Slot::empty(key));
        match &change.document {
            Some(document) => {
                let created = slot.stored.as_ref().map(|stored| stored.revisions.0);
                let revisions = (created.unwrap_or(TO_BE), TO_BE);
                let json = document.to_json();
                let (mut version, _) = Version::read(key, &json, revisions, &self.networks);
                if version.document().is_some_and(|read| **read != *document) {
                    let message = "has a number that is not finite: JSON has none";
                    version = version.with_fault(Fault::new(&root, "out_of_range", message));
                }
                slot.put(version);
            }
            None => slot.delete(),
        }
        slot
    }

    fn warnings(&self, change: &Proposed, view: &View<'_>) -> Vec<(DocumentKey, Fault)> {
        let Some(document) = &change.document else {
            return Vec::new();
        };
        let context = Context {
            networks: Some(self.networks.clone()),
            now: None,
        };
        let mut warnings = document.check(&context).warnings;
        if let Document::Key(key) = document {
            let unknown = relation::key_routes(key).filter(|(_, route)| !view.is_stored(route));
            let unknown = unknown.map(|(spot, route)| no_such(spot, &route, view));
            warnings.extend(unknown);
        }
        let with_key = |fault| (change.key.clone(), fault);
        warnings.into_iter().map(with_key).collect()
    }
}

/// Finds out which changed document a fault is about.
struct Blame<'a> {
    view: &'a View<'a>,
    over: &'a BTreeMap<DocumentKey, Slot>,
    faults: Vec<(DocumentKey, Fault)>,
    /// Who needs a document that is to be deleted.
    users: BTreeMap<DocumentKey, Vec<DocumentKey>>,
}

impl Blame<'_> {
    /// A document of the change cannot be used as it would be stored.
    fn written(&mut self, key: &DocumentKey, refusals: Vec<Refusal>) {
        for refusal in refusals {
            let fault = match &refusal {
                // It is in the change too, and its own faults are told.
                Refusal::Unmet {
                    need,
                    found: Found::Unusable,
                    ..
                } if self.over.contains_key(need) => {
                    continue;
                }
                Refusal::Unmet { spot, need, found } if *found != Found::Unusable => {
                    no_such(*spot, need, self.view)
                }
                _ => refusal.told(),
            };
            self.faults.push((key.clone(), fault));
        }
    }

    /// A document that is not in the change could not be used any more.
    fn harmed(&mut self, key: &DocumentKey, refusals: Vec<Refusal>) {
        for refusal in refusals {
            match &refusal {
                Refusal::Unmet { need, .. } if self.over.contains_key(need) => {
                    let users = self.users.entry(need.clone()).or_default();
                    if users.last() != Some(key) {
                        users.push(key.clone());
                    }
                }
                Refusal::Taken {
                    spot,
                    claim,
                    holder,
                    there,
                } if self.over.contains_key(holder) => {
                    let at = there.pointer(&Pointer::root());
                    let fault = Fault::new(&at, claim.code(), claim.taken(&key.name, *spot));
                    self.faults.push((holder.clone(), fault));
                }
                _ => self.indirect(key, &refusal.told()),
            }
        }
    }

    /// The change frees something, another document takes it, and that one harms a third.
    fn indirect(&mut self, key: &DocumentKey, fault: &Fault) {
        if let Some(changed) = self.over.keys().next() {
            let message = format!("{key}: {}: {}", fault.pointer, fault.message);
            let fault = Fault::new(&Pointer::root(), fault.code, message);
            self.faults.push((changed.clone(), fault));
        }
    }

    fn told(mut self) -> Vec<(DocumentKey, Fault)> {
        for (need, users) in self.users {
            // One that stays but is faulty has faults of its own.
            let stays = self
                .over
                .get(&need)
                .is_some_and(|slot| slot.stored.is_some());
            if !stays {
                let fault = Fault::new(&Pointer::root(), "in_use", needed_by(&users));
                self.faults.push((need, fault));
            }
        }
        sorted(self.faults)
    }
}

fn sorted(mut faults: Vec<(DocumentKey, Fault)>) -> Vec<(DocumentKey, Fault)> {
    faults.sort_by(|(a, _), (b, _)| a.cmp(b));
    faults.truncate(FAULTS_MAX);
    faults
}

fn no_such(spot: Spot, need: &DocumentKey, view: &View<'_>) -> Fault {
    let message = relation::no_such(need, view.names(need.kind));
    Fault::new(
        &spot.pointer(&Pointer::root()),
        relation::unknown(need.kind),
        message,
    )
}

/// `is needed by routes a, b and 3 more`.
fn needed_by(users: &[DocumentKey]) -> String {
    let names: Vec<&str> = users
        .iter()
        .take(NAMED_MAX)
        .map(|key| key.name.as_str())
        .collect();
    let kind = users.first().map_or("", |key| key.kind.plural());
    let more = match users.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("is needed by {kind} {}{more}", names.join(", "))
}
