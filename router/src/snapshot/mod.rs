//! The documents as this router sees them: whole, immutable, numbered.
//!
//! ```text
//!   Follower ─▶ watcher ─▶ documents ─▶ build ─▶ publish ─▶ cell      a thread of its own
//!                 │          └ lineage: is it still the same store?
//!                 ├─▶ contact: may canaries be exposed?
//!                 ├─▶ standing ─▶ announce (routers/<id>), view (/snapshot)
//!                 └─▶ disk: the last known good, for a start without a store
//! ```
//! The [`watcher`] is the only one who publishes a snapshot. A request takes one and keeps what it
//! needs of it.

mod announce;
mod build;
mod cell;
mod contact;
mod disk;
mod documents;
mod keeping;
mod lineage;
mod news;
mod publish;
mod standing;
pub(crate) mod view;
pub(crate) mod watcher;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use actix_web::http::header::HeaderValue;
use serin_proto::{document::Document, unit::Revision};

pub(crate) use cell::Cell;
pub(crate) use contact::Contact;
pub(crate) use standing::Standing;

use crate::{auth::Keyring, provider::Provider, route::Table};

/// One version of everything. What is the same as in the version before is shared with it.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) edition: Edition,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) routes: Table,
    providers: HashMap<String, Arc<Provider>>,
    /// The documents that `keyring` was made of.
    keys: Vec<Arc<Document>>,
    target_ids: HashSet<u64>,
    /// Snapshots so far that had a target less than the one before.
    pub(crate) departures: u64,
}

/// Which snapshot it is: all that is left of it once an answer has begun.
#[derive(Clone, Debug)]
pub(crate) struct Edition {
    pub(crate) revision: Revision,
    pub(crate) header: HeaderValue,
}

impl Snapshot {
    /// Whether a handle of this id is still part of a route.
    pub(crate) fn has_target(&self, id: u64) -> bool {
        self.target_ids.contains(&id)
    }
}
