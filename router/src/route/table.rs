//! Which route a model name means: the exact name, else an alias. Case matters, as it does at the
//! providers; a name that is not there tells nothing of those that are.
//!
//! Names live in parts that one table shares with the next: with ten thousand routes, a change of one
//! costs what its own part costs.

use std::{collections::HashMap, sync::Arc};

use xxhash_rust::xxh3::xxh3_64;

use super::Route;
use crate::auth::Caller;

/// How many parts the names are in.
const PARTS: usize = 256;

type Part = HashMap<Box<str>, Arc<Route>>;

/// All names of a snapshot.
#[derive(Debug)]
pub(crate) struct Table {
    /// Names and aliases, by the hash of the name; a name always wins over an alias.
    parts: Vec<Arc<Part>>,
    /// In the order of their names.
    listed: Vec<Arc<Route>>,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            parts: vec![Arc::default(); PARTS],
            listed: Vec::new(),
        }
    }
}

impl Table {
    /// The table after this one: `gone` are those of its routes that are not in `listed`, `new` those
    /// of `listed` that are not in it.
    pub(crate) fn next(
        &self,
        listed: Vec<Arc<Route>>,
        gone: &[Arc<Route>],
        new: &[Arc<Route>],
    ) -> Self {
        let mut parts = self.parts.clone();
        for route in gone {
            for name in names(route) {
                let part = Arc::make_mut(&mut parts[place(name)]);
                if part.get(name).is_some_and(|its| Arc::ptr_eq(its, route)) {
                    part.remove(name);
                }
            }
        }
        for route in new {
            for alias in &route.aliases {
                let part = Arc::make_mut(&mut parts[place(alias)]);
                part.entry(alias.clone())
                    .or_insert_with(|| Arc::clone(route));
            }
        }
        for route in new {
            let part = Arc::make_mut(&mut parts[place(&route.name)]);
            part.insert((*route.name).into(), Arc::clone(route));
        }
        Self { parts, listed }
    }

    /// The route that `model` names.
    pub(crate) fn resolve(&self, model: &str) -> Option<&Arc<Route>> {
        self.parts[place(model)].get(model)
    }

    /// The route of that very name, aliases left out.
    pub(crate) fn named(&self, name: &str) -> Option<&Arc<Route>> {
        self.resolve(name).filter(|route| &*route.name == name)
    }

    pub(crate) fn routes(&self) -> &[Arc<Route>] {
        &self.listed
    }

    /// Every name a caller may use, aliases included; `None` = anybody may use all.
    pub(crate) fn names<'a>(&'a self, caller: Option<&'a Caller>) -> impl Iterator<Item = &'a str> {
        let allowed = move |route: &Route| caller.is_none_or(|caller| caller.may_use(&route.name));
        self.listed
            .iter()
            .filter(move |route| allowed(route))
            .flat_map(|route| names(route))
    }
}

fn names(route: &Route) -> impl Iterator<Item = &str> {
    std::iter::once(&*route.name).chain(route.aliases.iter().map(|alias| &**alias))
}

fn place(name: &str) -> usize {
    (xxh3_64(name.as_bytes()) % PARTS as u64) as usize
}
