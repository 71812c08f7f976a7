//! Who serves among documents that are tied to each other, and why the others do not.
//!
//! The set that is settled is closed: nobody outside it claims what somebody inside claims, so it
//! can be settled alone. Providers and tiers depend on nobody; the others come in the order in
//! which they were created, and each takes the newest version whose needs are met and whose claims
//! are free.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::slot::{Read, Slot, Version};
use crate::{
    fault::{Fault, Pointer},
    fleet::RejectedDocument,
    key::{DocumentKey, Kind},
    validate::relation::{self, Claim, Spot},
};

/// Slots with others laid over them: what would be after a change.
pub(super) struct View<'a> {
    slots: &'a BTreeMap<DocumentKey, Slot>,
    over: Option<&'a BTreeMap<DocumentKey, Slot>>,
}

/// What came out for one document.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) serves: Option<Version>,
    /// What is wrong with the stored version; it serves all the same if each is an unmet need for
    /// which there is a last good form.
    pub(super) refusals: Vec<Refusal>,
}

/// One thing that is wrong with a stored version.
#[derive(Debug)]
pub(super) enum Refusal {
    /// For itself.
    Own(Fault),
    Unmet {
        spot: Spot,
        need: DocumentKey,
        found: Found,
    },
    Taken {
        spot: Spot,
        claim: Claim,
        holder: DocumentKey,
        /// Where in the holder.
        there: Spot,
    },
}

/// What there is of a document that another needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Stored, and some version of it serves.
    Good,
    /// Not stored any more; its last good form serves on.
    LastGood,
    /// Stored, but no version of it can serve.
    Unusable,
    Nothing,
}

impl<'a> View<'a> {
    pub(super) fn plain(slots: &'a BTreeMap<DocumentKey, Slot>) -> Self {
        Self { slots, over: None }
    }

    /// A slot in `over` that is empty stands for none.
    pub(super) fn with(
        slots: &'a BTreeMap<DocumentKey, Slot>,
        over: &'a BTreeMap<DocumentKey, Slot>,
    ) -> Self {
        Self {
            slots,
            over: Some(over),
        }
    }

    pub(super) fn slot(&self, key: &DocumentKey) -> Option<&'a Slot> {
        let over = self.over.and_then(|over| over.get(key));
        over.or_else(|| self.slots.get(key))
            .filter(|slot| !slot.is_empty())
    }

    /// The slot as it is and as it would be.
    pub(super) fn both(&self, key: &DocumentKey) -> impl Iterator<Item = &'a Slot> {
        let over = self.over.and_then(|over| over.get(key));
        self.slots.get(key).into_iter().chain(over)
    }

    /// Whether nothing is outside `set`.
    pub(super) fn all_are_in(&self, set: &BTreeSet<DocumentKey>) -> bool {
        set.len() >= self.slots.len() && self.slots.keys().all(|key| set.contains(key))
    }

    pub(super) fn is_stored(&self, key: &DocumentKey) -> bool {
        self.slot(key).is_some_and(|slot| slot.stored.is_some())
    }

    /// The names of all that is stored of a kind.
    pub(super) fn names(&self, kind: Kind) -> impl Iterator<Item = &'a str> {
        let over = self.over.into_iter().flatten();
        let all = self.slots.iter().chain(over);
        all.filter(move |(key, _)| key.kind == kind && self.is_stored(key))
            .map(|(key, _)| key.name.as_str())
    }

    fn found(&self, need: &DocumentKey) -> Found {
        match self.slot(need) {
            None => Found::Nothing,
            Some(slot) if slot.candidates().next().is_none() => Found::Unusable,
            Some(slot) if slot.stored.is_none() => Found::LastGood,
            Some(_) => Found::Good,
        }
    }
}

impl Outcome {
    /// As a router reports it; none if the stored version serves as it was meant.
    pub(super) fn rejected(&self, slot: &Slot) -> Option<RejectedDocument> {
        let first = self.refusals.first()?.told();
        let mut message = if first.pointer.is_empty() {
            first.message
        } else {
            format!("{}: {}", first.pointer, first.message)
        };
        if self.refusals.len() > 1 {
            message += &format!(" (and {} more)", self.refusals.len() - 1);
        }
        Some(RejectedDocument {
            key: slot.text.clone(),
            mod_revision: slot
                .stored
                .as_ref()
                .map_or(0, |stored| stored.revisions.1.0),
            code: first.code.to_owned(),
            message,
            serving_revision: self.serves.as_ref().map(|version| version.revisions.1.0),
        })
    }
}

impl Refusal {
    /// As a fault of the document itself.
    pub(super) fn told(&self) -> Fault {
        let root = Pointer::root();
        match self {
            Self::Own(fault) => fault.clone(),
            Self::Unmet { spot, need, found } => {
                let code = relation::unknown(need.kind);
                let (kind, name) = (need.kind.singular(), &need.name);
                let message = match found {
                    Found::Unusable => format!("{kind} {name:?} cannot be used as it is stored"),
                    Found::LastGood => {
                        format!("there is no {kind} {name:?} any more; its last form serves on")
                    }
                    Found::Good | Found::Nothing => format!("there is no {kind} {name:?}"),
                };
                Fault::new(&spot.pointer(&root), code, message)
            }
            Self::Taken {
                spot,
                claim,
                holder,
                there,
            } => {
                let message = claim.taken(&holder.name, *there);
                Fault::new(&spot.pointer(&root), claim.code(), message)
            }
        }
    }

    /// Whether the version cannot serve.
    fn is_final(&self) -> bool {
        !matches!(
            self,
            Self::Unmet {
                found: Found::LastGood,
                ..
            }
        )
    }
}

/// Settles a closed set. Each of its keys has an outcome, an empty one if there is no slot. The
/// oldest document comes first.
pub(super) fn settle(view: &View<'_>, set: BTreeSet<DocumentKey>) -> Vec<(DocumentKey, Outcome)> {
    let with_slot = |key| (view.slot(&key), key);
    let mut order: Vec<(Option<&Slot>, DocumentKey)> = set.into_iter().map(with_slot).collect();
    order.sort_by_key(|(slot, _)| slot.map(Slot::created));
    let newest = |slot: &Slot| Some(slot.candidates().next()?.read_as()?.claims.len());
    let claims = order.iter().filter_map(|(slot, _)| slot.and_then(newest));
    let mut taken = HashMap::with_capacity(claims.sum());
    let outcome = |(slot, key): (Option<_>, DocumentKey)| {
        let outcome = slot.map(|slot| one(slot, view, &mut taken));
        (key, outcome.unwrap_or_default())
    };
    order.into_iter().map(outcome).collect()
}

/// Who has what, and where in it.
type Taken<'a> = HashMap<&'a Claim, (&'a Slot, Spot)>;

fn one<'a>(slot: &'a Slot, view: &View<'_>, taken: &mut Taken<'a>) -> Outcome {
    let own = slot.stored.iter().flat_map(Version::faults).cloned();
    let mut outcome = Outcome {
        serves: None,
        refusals: own.map(Refusal::Own).collect(),
    };
    for version in slot.candidates() {
        let Some(read) = version.read_as() else {
            continue;
        };
        let refusals = refusals(read, view, taken);
        let serves = !refusals.iter().any(Refusal::is_final);
        let stored = slot.stored.as_ref();
        if stored.is_some_and(|stored| std::ptr::eq(stored, version)) {
            outcome.refusals = refusals;
        }
        if serves {
            for (spot, claim) in &read.claims {
                taken.entry(claim).or_insert((slot, *spot));
            }
            outcome.serves = Some(version.clone());
            break;
        }
    }
    outcome
}

/// What stands against a version beside the others.
fn refusals(read: &Read, view: &View<'_>, taken: &Taken<'_>) -> Vec<Refusal> {
    let unmet = read.needs.iter().filter_map(|(spot, need)| {
        let found = view.found(need);
        let unmet = || Refusal::Unmet {
            spot: *spot,
            need: need.clone(),
            found,
        };
        (found != Found::Good).then(unmet)
    });
    let conflicts = read.claims.iter().filter_map(|(spot, claim)| {
        let (holder, there) = taken.get(claim)?;
        Some(Refusal::Taken {
            spot: *spot,
            claim: claim.clone(),
            holder: holder.key.clone(),
            there: *there,
        })
    });
    let mut all: Vec<Refusal> = unmet.chain(conflicts).collect();
    // What keeps it from serving is told first.
    all.sort_by_key(|refusal| !refusal.is_final());
    all
}
