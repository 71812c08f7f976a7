//! What only shows when documents stand side by side: names used twice, names that lead nowhere.
//!
//! A model name must mean one route, so names and aliases of all routes are one set.

use std::collections::{HashMap, HashSet};

use super::{Findings, traffic};
use crate::{fault::Pointer, suggest::nearest, v1};

pub(super) fn check(file: &v1::File, findings: &mut Findings) {
    names(file, findings);
    aliases(&file.routes, findings);
    providers(file, findings);
    keys(file, findings);
    secrets(&file.keys, findings);
    rollouts(file, findings);
}

/// Whether every document has a name, so that one which is looked for in vain is not there.
pub(super) fn all_are_named(file: &v1::File) -> bool {
    lists(file)
        .iter()
        .all(|(_, names)| names.iter().all(|name| !name.is_empty()))
}

fn lists(file: &v1::File) -> [(&'static str, Vec<&str>); 4] {
    [
        (
            "providers",
            file.providers
                .iter()
                .map(|document| document.name.as_str())
                .collect(),
        ),
        (
            "routes",
            file.routes
                .iter()
                .map(|document| document.name.as_str())
                .collect(),
        ),
        (
            "keys",
            file.keys
                .iter()
                .map(|document| document.name.as_str())
                .collect(),
        ),
        (
            "tiers",
            file.tiers
                .iter()
                .map(|document| document.name.as_str())
                .collect(),
        ),
    ]
}

fn names(file: &v1::File, findings: &mut Findings) {
    for (list, names) in lists(file) {
        let list = Pointer::root().key(list);
        let placed = names
            .iter()
            .enumerate()
            .map(|(i, name)| (list.at(i).key("name"), *name));
        findings.unique(placed, "duplicate_name");
    }
}

fn aliases(routes: &[v1::Route], findings: &mut Findings) {
    let names: HashSet<&str> = routes.iter().map(|route| route.name.as_str()).collect();
    let mut owners: HashMap<&str, &str> = HashMap::new();
    for (i, route) in routes.iter().enumerate() {
        for (j, alias) in route
            .aliases
            .iter()
            .enumerate()
            .filter(|(_, alias)| !alias.is_empty())
        {
            let taken = if names.contains(alias.as_str()) {
                Some(format!("{alias:?} is already the name of a route"))
            } else {
                let owner = owners.insert(alias, &route.name);
                owner.map(|owner| format!("{alias:?} is already an alias of route {owner}"))
            };
            if let Some(message) = taken {
                let at = Pointer::root().key("routes").at(i).key("aliases").at(j);
                findings.fault(&at, "alias_taken", message);
            }
        }
    }
}

fn providers(file: &v1::File, findings: &mut Findings) {
    let known: HashSet<&str> = file.providers.iter().map(|p| p.name.as_str()).collect();
    for (i, route) in file.routes.iter().enumerate() {
        for (j, target) in route.targets.iter().enumerate() {
            if !target.provider.is_empty() && !known.contains(target.provider.as_str()) {
                let at = Pointer::root()
                    .key("routes")
                    .at(i)
                    .key("targets")
                    .at(j)
                    .key("provider");
                let message = no_such("provider", &target.provider, &known);
                findings.fault(&at, "unknown_provider", message);
            }
        }
    }
}

fn keys(file: &v1::File, findings: &mut Findings) {
    let tiers: HashSet<&str> = file.tiers.iter().map(|tier| tier.name.as_str()).collect();
    let routes: HashSet<&str> = file
        .routes
        .iter()
        .map(|route| route.name.as_str())
        .collect();
    for (i, key) in file.keys.iter().enumerate() {
        let at = Pointer::root().key("keys").at(i);
        if !key.tier.is_empty() && !tiers.contains(key.tier.as_str()) {
            findings.fault(
                &at.key("tier"),
                "unknown_tier",
                no_such("tier", &key.tier, &tiers),
            );
        }
        for (j, route) in key.routes.iter().enumerate() {
            if route != "*" && !routes.contains(route.as_str()) {
                let message = no_such("route", route, &routes);
                findings.warn(&at.key("routes").at(j), "unknown_route", message);
            }
        }
    }
}

/// One secret admits one caller: the same digest in two places would make it two.
fn secrets(keys: &[v1::Key], findings: &mut Findings) {
    let mut seen: HashMap<String, Pointer> = HashMap::new();
    for (i, key) in keys.iter().enumerate() {
        for (j, secret) in key
            .secrets
            .iter()
            .enumerate()
            .filter(|(_, s)| !s.sha256.is_empty())
        {
            let at = Pointer::root()
                .key("keys")
                .at(i)
                .key("secrets")
                .at(j)
                .key("sha256");
            let digest = secret.sha256.to_ascii_lowercase();
            if let Some(first) = seen.get(&digest) {
                let message = format!("is the same secret as {}", first.as_str());
                findings.fault(&at, "duplicate_secret", message);
            } else {
                seen.insert(digest, at);
            }
        }
    }
}

fn rollouts(file: &v1::File, findings: &mut Findings) {
    let routes: HashSet<&str> = file
        .routes
        .iter()
        .map(|route| route.name.as_str())
        .collect();
    for (i, rollout) in file.rollouts.iter().enumerate() {
        let at = Pointer::root().key("rollouts").at(i);
        if rollout.route.is_empty() {
            continue;
        }
        let Some(route) = file.routes.iter().find(|route| route.name == rollout.route) else {
            let message = no_such("route", &rollout.route, &routes);
            findings.fault(&at.key("route"), "unknown_route", message);
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

fn no_such(kind: &str, name: &str, known: &HashSet<&str>) -> String {
    match nearest(name, known.iter().copied()) {
        Some(near) => format!("there is no {kind} {name:?}; did you mean {near}?"),
        None => format!("there is no {kind} {name:?}"),
    }
}
