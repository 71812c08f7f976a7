//! Who is tied to whom: an index over everything that may serve, so that a change is settled among
//! those it can affect and no others.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
};

use super::{
    settle::View,
    slot::{Read, Slot, Version},
};
use crate::{key::DocumentKey, validate::relation::Claim};

/// Documents by what they claim and by what they need.
#[derive(Debug, Default)]
pub(super) struct Ties {
    claims: HashMap<Claim, BTreeSet<DocumentKey>>,
    needs: HashMap<DocumentKey, BTreeSet<DocumentKey>>,
}

impl Ties {
    pub(super) fn add(&mut self, key: &DocumentKey, slot: &Slot) {
        for read in reads(slot) {
            for (_, claim) in &read.claims {
                add(&mut self.claims, claim, key);
            }
            for (_, need) in &read.needs {
                add(&mut self.needs, need, key);
            }
        }
    }

    /// The slot must be as it was when it was added.
    pub(super) fn remove(&mut self, key: &DocumentKey, slot: &Slot) {
        for read in reads(slot) {
            for (_, claim) in &read.claims {
                remove(&mut self.claims, claim, key);
            }
            for (_, need) in &read.needs {
                remove(&mut self.needs, need, key);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.claims.is_empty() && self.needs.is_empty()
    }

    /// Those that need `key`.
    pub(super) fn users(&self, key: &DocumentKey) -> impl Iterator<Item = &DocumentKey> {
        self.needs.get(key).into_iter().flatten()
    }

    /// Those that claim something that `slot` claims, perhaps more than once.
    pub(super) fn rivals(&self, slot: &Slot) -> impl Iterator<Item = &DocumentKey> {
        let claims = reads(slot).flat_map(|read| &read.claims);
        claims
            .filter_map(|(_, claim)| self.claims.get(claim))
            .flatten()
    }
}

/// `changed`, and all whose outcome may rest on theirs: who needs them, who claims what they claim,
/// and who claims what those claim.
pub(super) fn affected(
    changed: BTreeSet<DocumentKey>,
    view: &View<'_>,
    ties: &Ties,
) -> BTreeSet<DocumentKey> {
    let mut set = changed;
    if view.all_are_in(&set) {
        return set;
    }
    let mut waiting: Vec<DocumentKey> = set.iter().cloned().collect();
    // Ends: a document waits once, when it enters the set.
    while let Some(key) = waiting.pop() {
        let rivals = view.both(&key).flat_map(|slot| ties.rivals(slot));
        for tied in ties.users(&key).chain(rivals) {
            if !set.contains(tied) {
                set.insert(tied.clone());
                waiting.push(tied.clone());
            }
        }
    }
    set
}

/// Every version that may serve.
fn reads(slot: &Slot) -> impl Iterator<Item = &Read> {
    slot.candidates().filter_map(Version::read_as)
}

fn add<K: Clone + Eq + Hash>(
    ties: &mut HashMap<K, BTreeSet<DocumentKey>>,
    tie: &K,
    key: &DocumentKey,
) {
    let tied = ties.entry(tie.clone()).or_default();
    tied.insert(key.clone());
}

fn remove<K: Eq + Hash>(ties: &mut HashMap<K, BTreeSet<DocumentKey>>, tie: &K, key: &DocumentKey) {
    if let Some(tied) = ties.get_mut(tie) {
        tied.remove(key);
        if tied.is_empty() {
            ties.remove(tie);
        }
    }
}
