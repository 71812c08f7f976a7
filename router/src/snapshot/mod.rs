//! The documents as this router sees them: whole, immutable, numbered.
//!
//! [`build`] turns documents into a snapshot without touching anything; the [`watcher`] is the only
//! one who publishes it, through the [`cell`]. A request takes one snapshot and keeps it.

mod build;
mod cell;
pub(crate) mod view;
pub(crate) mod watcher;

use std::{collections::HashSet, sync::Arc};

use actix_web::http::header::HeaderValue;
use serin_proto::{unit::Revision, v1};

pub(crate) use cell::Cell;

use crate::{auth::Keyring, provider::Provider, route::Table};

/// One version of everything.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) revision: Revision,
    pub(crate) revision_header: HeaderValue,
    pub(crate) keyring: Keyring,
    pub(crate) routes: Table,
    pub(crate) providers: Vec<Arc<Provider>>,
    target_ids: HashSet<u64>,
}

impl Snapshot {
    /// Whether a handle of this id is still part of a route.
    pub(crate) fn has_target(&self, id: u64) -> bool {
        self.target_ids.contains(&id)
    }

    fn names_route(&self, route: &str) -> bool {
        self.routes
            .resolve(route)
            .is_some_and(|found| &*found.name == route)
    }

    fn names_target(&self, route: &str, target: &str) -> bool {
        let route = self
            .routes
            .resolve(route)
            .filter(|found| &*found.name == route);
        route.is_some_and(|route| route.targets.iter().any(|known| &*known.name == target))
    }
}

/// The documents as last read, in the order they were listed.
#[derive(Debug, Default)]
struct Documents {
    providers: Vec<v1::Provider>,
    routes: Vec<v1::Route>,
    keys: Vec<v1::Key>,
}
