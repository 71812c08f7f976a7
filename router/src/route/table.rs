//! Which route a model name means: the exact name, else an alias. Case matters, as it does at the
//! providers; a name that is not there tells nothing of those that are.

use std::{collections::HashMap, sync::Arc};

use super::Route;
use crate::auth::Caller;

/// All names of a snapshot.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// Names and aliases; a name always wins over an alias.
    by_name: HashMap<Box<str>, Arc<Route>>,
    /// Names in the order of the documents, each with its aliases.
    listed: Vec<(Arc<Route>, Vec<Box<str>>)>,
}

impl Table {
    pub(crate) fn new(routes: Vec<(Arc<Route>, Vec<Box<str>>)>) -> Self {
        let mut by_name: HashMap<Box<str>, Arc<Route>> = HashMap::new();
        for (route, aliases) in &routes {
            for alias in aliases {
                by_name
                    .entry(alias.clone())
                    .or_insert_with(|| Arc::clone(route));
            }
        }
        for (route, _) in &routes {
            by_name.insert((*route.name).into(), Arc::clone(route));
        }
        Self {
            by_name,
            listed: routes,
        }
    }

    /// The route that `model` names.
    pub(crate) fn resolve(&self, model: &str) -> Option<&Arc<Route>> {
        self.by_name.get(model)
    }

    pub(crate) fn routes(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.listed.iter().map(|(route, _)| route)
    }

    /// Every name a caller may use, aliases included; `None` = anybody may use all.
    pub(crate) fn names<'a>(&'a self, caller: Option<&'a Caller>) -> impl Iterator<Item = &'a str> {
        let allowed = move |route: &Route| caller.is_none_or(|caller| caller.may_use(&route.name));
        self.listed
            .iter()
            .filter(move |(route, _)| allowed(route))
            .flat_map(|(route, aliases)| {
                std::iter::once(&*route.name).chain(aliases.iter().map(|alias| &**alias))
            })
    }
}
