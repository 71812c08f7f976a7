//! What only shows when documents stand side by side: names used twice, names that lead nowhere.
//!
//! A model name must mean one route, so names and aliases of all routes are one set. What documents
//! say of each other is told in `relation.rs`; `admission` judges the same of a store.

use std::collections::{BTreeSet, HashMap};

use super::{
    Findings,
    relation::{
        Claim, Spot, key_claims, key_needs, key_routes, no_such, route_claims, route_needs, unknown,
    },
    traffic,
};
use crate::{
    fault::Pointer,
    key::{DocumentKey, Kind},
    v1,
};

pub(super) fn check(file: &v1::File, findings: &mut Findings) {
    names(file, findings);
    let routes = file.routes.iter();
    let claims = routes.map(|route| (&*route.name, route_claims(route).collect()));
    claimed("routes", claims.collect(), findings);
    let keys = file.keys.iter();
    let claims = keys.map(|key| (&*key.name, key_claims(key).collect()));
    claimed("keys", claims.collect(), findings);
    needed(file, findings);
    rollouts(file, findings);
}

/// Whether every document has a name, so that one which is looked for in vain is not there.
pub(super) fn all_are_named(file: &v1::File) -> bool {
    lists(file)
        .iter()
        .all(|(_, names)| names.iter().all(|name| !name.is_empty()))
}

fn lists(file: &v1::File) -> [(Kind, Vec<&str>); 4] {
    let providers = file.providers.iter().map(|document| &*document.name);
    let routes = file.routes.iter().map(|document| &*document.name);
    let keys = file.keys.iter().map(|document| &*document.name);
    let tiers = file.tiers.iter().map(|document| &*document.name);
    [
        (Kind::Provider, providers.collect()),
        (Kind::Route, routes.collect()),
        (Kind::Key, keys.collect()),
        (Kind::Tier, tiers.collect()),
    ]
}

fn names(file: &v1::File, findings: &mut Findings) {
    for (kind, names) in lists(file) {
        let list = Pointer::root().key(kind.plural());
        let placed = names
            .iter()
            .enumerate()
            .map(|(i, name)| (list.at(i).key("name"), *name));
        findings.unique(placed, "duplicate_name");
    }
}

/// In a file every name is taken before any alias, whatever stands first.
/// Of two documents that claim the same, the later one is at fault; but every name is taken before
/// any alias. A document that repeats itself is told by `route.rs` and `key.rs`.
fn claimed(list: &str, documents: Vec<(&str, Vec<(Spot, Claim)>)>, findings: &mut Findings) {
    let mut holders: HashMap<&Claim, (&str, Spot)> = HashMap::new();
    for (document, claims) in &documents {
        let name = claims.iter().find(|(spot, _)| *spot == Spot::Name);
        holders.extend(name.map(|(spot, claim)| (claim, (*document, *spot))));
    }
    for (i, (document, claims)) in documents.iter().enumerate() {
        let at = Pointer::root().key(list).at(i);
        for (spot, claim) in claims.iter().filter(|(spot, _)| *spot != Spot::Name) {
            let (holder, there) = *holders.entry(claim).or_insert((*document, *spot));
            if holder != *document {
                let message = claim.taken(holder, there);
                findings.fault(&spot.pointer(&at), claim.code(), message);
            }
        }
    }
}

/// Providers of routes and tiers of keys are there; of the routes of keys it is only said.
fn needed(file: &v1::File, findings: &mut Findings) {
    // Sorted, so that of two names that are equally near the same one is suggested each time.
    let known: BTreeSet<DocumentKey> = lists(file)
        .into_iter()
        .flat_map(|(kind, names)| names.into_iter().map(move |name| document_key(kind, name)))
        .collect();
    let missing = |need: &DocumentKey| {
        let names = known.iter().filter(|known| known.kind == need.kind);
        let message = || no_such(need, names.map(|known| known.name.as_str()));
        (!known.contains(need)).then(message)
    };
    for (i, route) in file.routes.iter().enumerate() {
        let at = Pointer::root().key("routes").at(i);
        for (spot, need) in route_needs(route) {
            if let Some(message) = missing(&need) {
                findings.fault(&spot.pointer(&at), unknown(need.kind), message);
            }
        }
    }
    for (i, key) in file.keys.iter().enumerate() {
        let at = Pointer::root().key("keys").at(i);
        for (spot, need) in key_needs(key) {
            if let Some(message) = missing(&need) {
                findings.fault(&spot.pointer(&at), unknown(need.kind), message);
            }
        }
        for (spot, need) in key_routes(key) {
            if let Some(message) = missing(&need) {
                findings.warn(&spot.pointer(&at), unknown(need.kind), message);
            }
        }
    }
}

fn rollouts(file: &v1::File, findings: &mut Findings) {
    if file.routes.is_empty() {
        // A file of plans alone, for `serin rollout start`: the store knows the routes.
        return;
    }
    for (i, rollout) in file.rollouts.iter().enumerate() {
        let at = Pointer::root().key("rollouts").at(i);
        if rollout.route.is_empty() {
            continue;
        }
        let Some(route) = file.routes.iter().find(|route| route.name == rollout.route) else {
            let names = file.routes.iter().map(|route| route.name.as_str());
            let message = no_such(&document_key(Kind::Route, &rollout.route), names);
            findings.fault(&at.key("route"), unknown(Kind::Route), message);
            continue;
        };
        if rollout.candidate.is_empty() {
            continue;
        }
        traffic::target(&rollout.candidate, route, &at.key("candidate"), findings);
        if matches!(route.targets.as_slice(), [only] if only.name == rollout.candidate) {
            let message = "is the only target of the route: there is nothing to compare it with";
            findings.fault(&at.key("candidate"), "candidate_is_stable", message);
        }
    }
}

fn document_key(kind: Kind, name: &str) -> DocumentKey {
    let name = name.to_owned();
    DocumentKey { kind, name }
}
