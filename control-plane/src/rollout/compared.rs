//! Whether what is being compared is still what it was. Writes through the API that would change it
//! are refused; whoever writes around it ends the rollout.

use std::collections::BTreeMap;

use serin_proto::{
    admission::Admission,
    document::Document,
    key::{DocumentKey, Kind},
    unit::Revision,
    v1,
};

use super::{commit::Current, definition, state::State};
use crate::view::View;

/// Definitions of the stable targets as they were first seen of a rollout.
#[derive(Debug, Default)]
pub(super) struct Compared {
    rollout_id: String,
    stable: BTreeMap<String, String>,
}

impl Compared {
    /// A target that is another one than it was.
    pub(super) fn redefined(
        &mut self,
        view: &View,
        current: &Current,
        state: &State,
    ) -> Option<String> {
        if !state.phase.is_active() {
            return None;
        }
        let route = current.route.as_ref()?;
        let looked = view.look(|documents, at| hashes(documents, at, current, route));
        self.judge(state, &looked??)
    }

    fn judge(
        &mut self,
        state: &State,
        hashes: &BTreeMap<String, Option<String>>,
    ) -> Option<String> {
        let candidate = &state.candidate;
        let now = hashes.get(&candidate.target);
        // What cannot be read is not known to be another: routers serve its older form.
        if now.is_none_or(|now| now.as_ref().is_some_and(|now| *now != candidate.hash)) {
            return Some(candidate.target.clone());
        }
        if self.rollout_id != state.rollout_id {
            self.rollout_id.clone_from(&state.rollout_id);
            self.stable.clear();
        }
        // One that was let go of may come back as another.
        self.stable.retain(|name, _| hashes.contains_key(name));
        let known = hashes
            .iter()
            .filter_map(|(name, hash)| Some((name, hash.as_ref()?)));
        let mut stable = known.filter(|(name, _)| **name != candidate.target);
        let other = stable.find(|(name, hash)| {
            let first = self.stable.entry((*name).clone());
            *first.or_insert_with(|| (*hash).clone()) != **hash
        });
        other.map(|(name, _)| name.clone())
    }
}

/// The hash of each target that is compared; `None` within: its provider cannot be read. `None`: the
/// documents are older than the route.
fn hashes(
    documents: &Admission,
    at: Revision,
    current: &Current,
    route: &v1::Route,
) -> Option<BTreeMap<String, Option<String>>> {
    if at < current.route_revision {
        return None;
    }
    let hash = |target: &v1::Target| {
        let provider = provider(documents, &target.provider);
        let hash = provider.map(|provider| definition::hash(target, &provider));
        (target.name.clone(), hash)
    };
    Some(definition::relied_on(route).map(hash).collect())
}

fn provider(documents: &Admission, name: &str) -> Option<v1::Provider> {
    let key = DocumentKey {
        kind: Kind::Provider,
        name: name.to_owned(),
    };
    let stored = documents.stored(&key.to_string())?;
    let read = Document::read_tolerant(Kind::Provider, stored.value).ok()?;
    match read.document {
        Document::Provider(provider) => Some(provider),
        _ => None,
    }
}
