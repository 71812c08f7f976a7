//! What a change rests on: the compares of its transaction besides its receipt and its own key.
//! Pure.
//!
//! The change was judged by a view at some revision. A guard per assumption makes the judgement
//! hold at the moment of the commit, however old the view is: what it names is unchanged, and no
//! document came into being that could clash with it or need what goes.

use std::collections::BTreeSet;

use serin_proto::{
    admission::Admission,
    document::Document,
    key::{DocumentKey, Kind},
    unit::Revision,
};
use serin_store::{Compare, Key, Range, Scope};

use crate::rollout::definition;

/// Documents, and the revision at which they were seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'a> {
    pub(super) admission: &'a Admission,
    pub(super) at: Revision,
}

impl Seen<'_> {
    fn unchanged(self, key: &DocumentKey) -> Compare {
        let stored = self.admission.stored(&key.to_string());
        let revision = stored.map(|stored| stored.mod_revision);
        Compare::ModRevision(Key::from(key), revision.unwrap_or_default())
    }

    fn none_newer(self, kind: Kind) -> Compare {
        let folder = format!("{}{}/", Scope::Documents.prefix(), kind.plural());
        Compare::NothingNewer(Range::under(&folder), self.at)
    }
}

/// Guards of writing a document. `before`: as it is stored, if it can be read.
pub(super) fn of_put(
    document: &Document,
    before: Option<&Document>,
    seen: Seen<'_>,
) -> Vec<Compare> {
    let mut guards: Vec<Compare> = named(document)
        .iter()
        .map(|key| seen.unchanged(key))
        .collect();
    match (document, before) {
        (Document::Route(route), before) => {
            let same = matches!(before, Some(Document::Route(old)) if old.aliases == route.aliases);
            if !same {
                guards.push(seen.none_newer(Kind::Route));
            }
        }
        (Document::Key(_), before) => {
            let old = before.map(secrets).unwrap_or_default();
            if !secrets(document).is_subset(&old) {
                guards.push(seen.none_newer(Kind::Key));
            }
        }
        // A rollout that began meanwhile compares what it was.
        (Document::Provider(after), Some(Document::Provider(before)))
            if !definition::is_given_alike(before, after) =>
        {
            guards.push(seen.none_newer(Kind::Route));
        }
        (Document::Provider(_) | Document::Tier(_), _) => {}
    }
    guards
}

/// Guards of deleting a document: nothing came that needs it.
pub(super) fn of_delete(kind: Kind, seen: Seen<'_>) -> Vec<Compare> {
    match kind {
        Kind::Provider => vec![seen.none_newer(Kind::Route)],
        Kind::Tier => vec![seen.none_newer(Kind::Key)],
        // A route's rollout is guarded by its state (`running.rs`).
        Kind::Route | Kind::Key => Vec::new(),
    }
}

/// Guards of writing many documents at once, `written` those whose own guards are there already.
pub(super) fn of_apply<'a>(
    documents: impl Iterator<Item = &'a Document>,
    written: &BTreeSet<DocumentKey>,
    seen: Seen<'_>,
) -> Vec<Compare> {
    let needed: BTreeSet<DocumentKey> = documents.flat_map(named).collect();
    let others = needed.difference(written).map(|key| seen.unchanged(key));
    let no_clash = [Kind::Route, Kind::Key].map(|kind| seen.none_newer(kind));
    others.chain(no_clash).collect()
}

/// The documents that this one names and cannot serve without.
fn named(document: &Document) -> BTreeSet<DocumentKey> {
    let key = |kind, name: &String| DocumentKey {
        kind,
        name: name.clone(),
    };
    match document {
        Document::Route(route) => {
            let providers = route.targets.iter().map(|target| &target.provider);
            providers.map(|name| key(Kind::Provider, name)).collect()
        }
        Document::Key(document) if !document.tier.is_empty() => {
            BTreeSet::from([key(Kind::Tier, &document.tier)])
        }
        Document::Key(_) | Document::Provider(_) | Document::Tier(_) => BTreeSet::new(),
    }
}

fn secrets(document: &Document) -> BTreeSet<String> {
    match document {
        Document::Key(key) => key
            .secrets
            .iter()
            .map(|secret| secret.sha256.to_ascii_lowercase())
            .collect(),
        _ => BTreeSet::new(),
    }
}

#[cfg(test)]
mod tests;
