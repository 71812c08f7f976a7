//! Documents in, a snapshot out: nothing else is touched.
//!
//! What is unchanged is taken over: a document that is the same `Arc` as in the snapshot before
//! means the same compiled route or provider, so the price of a change is that of its own documents.
//! What outlives a change is taken over by identity: a target whose provider, address and model are
//! unchanged keeps its handle, so a change of weight resets no breaker and no count. The documents
//! were admitted before; one that still cannot be built keeps the form it had in the snapshot before.

mod provider;
mod route;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use actix_web::http::header::HeaderValue;
use serin_proto::{
    admission::{Admitted, Serving},
    document::Document,
    fleet::RejectedDocument,
    key::DocumentKey,
    metric::Arm,
    unit::{Revision, Share},
};

use super::{Edition, Snapshot};
use crate::{
    auth::Keyring,
    provider::Provider,
    record::metrics::Metrics,
    route::{Route, Table},
    target::{Handle, breaker::Policy as BreakerPolicy},
};

/// The code of a document that was admitted and cannot be built.
const UNUSABLE: &str = "unusable";

/// A snapshot, and what its watcher must do around the swap.
pub(super) struct Built {
    pub(super) snapshot: Snapshot,
    /// Targets of the routes that are new or changed, with what their owners must know.
    pub(super) targets: Vec<Owned>,
    /// Routes of the snapshot before that are not in this one.
    pub(super) gone: Vec<Arc<Route>>,
    /// Documents that could not be built.
    pub(super) rejected: Vec<RejectedDocument>,
}

/// What the actor of a target is told with each snapshot that changes its route.
pub(super) struct Owned {
    pub(super) handle: Arc<Handle>,
    pub(super) provider: Arc<Provider>,
    pub(super) policy: BreakerPolicy,
    pub(super) weight: Share,
    pub(super) arm: Arm,
}

/// Compiles what was admitted. `previous` lends what is unchanged.
pub(super) fn build(
    admitted: &Admitted,
    revision: Revision,
    previous: Option<&Snapshot>,
    metrics: &Metrics,
) -> Built {
    let mut build = Build {
        providers: HashMap::with_capacity(previous.map_or(0, |before| before.providers.len())),
        providers_changed: false,
        previous,
        metrics,
        targets: Vec::new(),
        new: Vec::new(),
        rejected: Vec::new(),
    };
    let (mut routes, mut keys) = (Vec::new(), Vec::new());
    for (key, serving) in &admitted.documents {
        match &*serving.document {
            Document::Provider(_) => build.provider(key, serving),
            Document::Route(_) => routes.push((key, serving)),
            Document::Key(_) => keys.push(Arc::clone(&serving.document)),
            // A tier's figures belong to the limits, which are not enforced yet.
            Document::Tier(_) => {}
        }
    }
    let (routes, gone) = build.routes(&routes);
    build.finish(revision, (routes, gone), keys)
}

struct Build<'a> {
    providers: HashMap<String, Arc<Provider>>,
    /// Whether any provider is not the one of the snapshot before.
    providers_changed: bool,
    previous: Option<&'a Snapshot>,
    metrics: &'a Metrics,
    targets: Vec<Owned>,
    /// Routes that are not in the snapshot before.
    new: Vec<Arc<Route>>,
    rejected: Vec<RejectedDocument>,
}

impl Build<'_> {
    fn provider(&mut self, key: &DocumentKey, serving: &Serving) {
        let before = self
            .previous
            .and_then(|snapshot| snapshot.providers.get(&key.name));
        let provider = match before {
            Some(before) if Arc::ptr_eq(&before.source, &serving.document) => Arc::clone(before),
            _ => {
                self.providers_changed = true;
                match provider::compile(&serving.document, before) {
                    Ok(provider) => Arc::new(provider),
                    Err(why) => {
                        self.rejected.push(unusable(key, serving, why));
                        let Some(before) = before else { return };
                        Arc::clone(before)
                    }
                }
            }
        };
        self.providers.insert(key.name.clone(), provider);
    }

    /// All routes, and those of the snapshot before that are not among them. Both that snapshot and
    /// `documents` are in the order of names, so they are walked side by side.
    fn routes(
        &mut self,
        documents: &[(&DocumentKey, &Serving)],
    ) -> (Vec<Arc<Route>>, Vec<Arc<Route>>) {
        let before = self
            .previous
            .map_or(&[][..], |snapshot| snapshot.routes.routes());
        let mut before = before.iter().peekable();
        let (mut routes, mut gone) = (Vec::with_capacity(documents.len()), Vec::new());
        for (key, serving) in documents {
            let is_before = |route: &&Arc<Route>| {
                let is_same = Arc::ptr_eq(&route.source, &serving.document);
                !is_same && *route.name < *key.name
            };
            while let Some(route) = before.next_if(is_before) {
                gone.push(Arc::clone(route));
            }
            let old = before.next_if(|route| *route.name == *key.name);
            let route = self.route(key, serving, old);
            let is_kept = old
                .zip(route.as_ref())
                .is_some_and(|(a, b)| Arc::ptr_eq(a, b));
            if !is_kept {
                gone.extend(old.cloned());
                self.new.extend(route.clone());
            }
            routes.extend(route);
        }
        gone.extend(before.cloned());
        (routes, gone)
    }

    fn route(
        &mut self,
        key: &DocumentKey,
        serving: &Serving,
        before: Option<&Arc<Route>>,
    ) -> Option<Arc<Route>> {
        if let Some(before) = before
            && Arc::ptr_eq(&before.source, &serving.document)
            && self.has_same_providers(before)
        {
            return Some(Arc::clone(before));
        }
        let compiler = route::Compiler {
            providers: &self.providers,
            before: before.map(|before| &**before),
            metrics: self.metrics,
        };
        match compiler.compile(&serving.document) {
            Ok((route, owned)) => {
                self.targets.extend(owned);
                Some(Arc::new(route))
            }
            Err(why) => {
                self.rejected.push(unusable(key, serving, why));
                before.map(Arc::clone)
            }
        }
    }

    fn has_same_providers(&self, route: &Route) -> bool {
        !self.providers_changed
            || route.targets.iter().all(|target| {
                let now = self.providers.get(&target.provider.name);
                now.is_some_and(|now| Arc::ptr_eq(now, &target.provider))
            })
    }

    fn finish(
        self,
        revision: Revision,
        (routes, gone): (Vec<Arc<Route>>, Vec<Arc<Route>>),
        keys: Vec<Arc<Document>>,
    ) -> Built {
        let same_keys = self.previous.filter(|before| is_same(&before.keys, &keys));
        let keyring = same_keys.map(|before| Arc::clone(&before.keyring));
        let mut target_ids = self
            .previous
            .map_or_else(HashSet::new, |before| before.target_ids.clone());
        for id in ids(&gone) {
            target_ids.remove(&id);
        }
        target_ids.extend(ids(&self.new));
        let departures = self.previous.map_or(0, |before| before.departures);
        let has_left = ids(&gone).any(|id| !target_ids.contains(&id));
        let table = match self.previous {
            Some(before) => before.routes.next(routes, &gone, &self.new),
            None => Table::default().next(routes, &gone, &self.new),
        };
        let snapshot = Snapshot {
            edition: Edition {
                revision,
                header: HeaderValue::from(revision.0),
            },
            keyring: keyring.unwrap_or_else(|| Arc::new(Keyring::build(as_keys(&keys)))),
            routes: table,
            target_ids,
            departures: departures + u64::from(has_left),
            providers: self.providers,
            keys,
        };
        Built {
            snapshot,
            targets: self.targets,
            gone,
            rejected: self.rejected,
        }
    }
}

fn ids(routes: &[Arc<Route>]) -> impl Iterator<Item = u64> {
    let targets = routes.iter().flat_map(|route| &route.targets);
    targets.map(|target| target.handle.id)
}

fn is_same(before: &[Arc<Document>], now: &[Arc<Document>]) -> bool {
    before.len() == now.len() && before.iter().zip(now).all(|(a, b)| Arc::ptr_eq(a, b))
}

fn as_keys(documents: &[Arc<Document>]) -> impl Iterator<Item = &serin_proto::v1::Key> {
    documents.iter().filter_map(|document| match &**document {
        Document::Key(key) => Some(key),
        _ => None,
    })
}

fn unusable(key: &DocumentKey, serving: &Serving, why: String) -> RejectedDocument {
    RejectedDocument {
        key: key.to_string(),
        mod_revision: serving.mod_revision.0,
        code: UNUSABLE.to_owned(),
        message: why,
        serving_revision: None,
    }
}

fn header(name: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_str(name).map_err(|_| format!("{name} cannot stand in a header"))
}

#[cfg(test)]
mod tests;
