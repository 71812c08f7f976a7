//! Is this the store we followed? Pure: two sides in, a word out.
//!
//! A store that was wiped, rebuilt or restored may carry the id of the one before it, so histories
//! are compared. A router that has seen everything up to its revision knows what may have become of
//! it: a key is as it was, or was changed above that revision, or is gone; what is new is above it.
//! Whatever else a listing says, it is of another history, and its documents are not applied: they
//! would undo what somebody did. A listing without any document where there were routes is never
//! believed. The way out is the mark of an adoption that is newer than the one known and was made
//! after the last contact with the store that was followed: a backup holds only older ones.
//! Not here: the check of a resumed watch, which is the store's.

use std::collections::BTreeMap;

use serde::Deserialize;
use serin_proto::{
    fleet::Hold,
    key::{DocumentKey, Kind},
    unit::Revision,
};
use ulid::Ulid;

/// One key's value, and when it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version<'a> {
    pub(super) value: &'a [u8],
    pub(super) created: Revision,
    pub(super) modified: Revision,
}

/// A store at one revision, as this router holds it or as it was just listed. The mark of adoptions
/// is left out of both.
#[derive(Debug)]
pub(super) struct Side<'a> {
    pub(super) identity: &'a str,
    pub(super) revision: Revision,
    pub(super) keys: BTreeMap<&'a str, Version<'a>>,
}

/// Whether what was listed can have become of what is held.
///
/// # Errors
/// Why it cannot, or is not to be believed.
pub(super) fn compare(held: &Side<'_>, listed: &Side<'_>) -> Result<(), Hold> {
    if listed.identity != held.identity {
        return Err(Hold::ClusterChanged);
    }
    if listed.revision < held.revision {
        return Err(Hold::RevisionRegressed);
    }
    if !can_follow(held, listed) {
        return Err(Hold::HistoryDiffers);
    }
    if !listed.keys.keys().any(|key| document(key).is_some()) && has_route(held) {
        return Err(Hold::Empty);
    }
    Ok(())
}

fn can_follow(held: &Side<'_>, listed: &Side<'_>) -> bool {
    let seen = held.revision;
    let as_it_was_or_gone = held.keys.iter().all(|(key, ours)| {
        listed.keys.get(key).map_or_else(
            // Gone: by a change, and there was one only if the revision rose.
            || listed.revision > seen,
            |theirs| theirs == ours || is_later(theirs, Some(ours), seen),
        )
    });
    let new_is_later = listed
        .keys
        .iter()
        .filter(|(key, _)| !held.keys.contains_key(*key))
        .all(|(_, theirs)| is_later(theirs, None, seen));
    let within = |theirs: &Version<'_>| theirs.modified <= listed.revision;
    as_it_was_or_gone && new_is_later && listed.keys.values().all(within)
}

/// Whether a version was written after all that was seen: over `ours`, or as a new key.
fn is_later(theirs: &Version<'_>, ours: Option<&Version<'_>>, seen: Revision) -> bool {
    let created_as_ours = ours.is_some_and(|ours| ours.created == theirs.created);
    theirs.modified > seen && (created_as_ours || theirs.created > seen)
}

fn has_route(side: &Side<'_>) -> bool {
    let mut kinds = side.keys.keys().filter_map(|key| document(key));
    kinds.any(|key| key.kind == Kind::Route)
}

fn document(key: &str) -> Option<DocumentKey> {
    key.parse().ok()
}

/// The ULID in the value of `config/adopted`; `None`: it cannot be read, and says nothing.
pub(super) fn mark(value: &[u8]) -> Option<Ulid> {
    #[derive(Deserialize)]
    struct Mark {
        ulid: String,
    }
    let mark: Mark = serde_json::from_slice(value).ok()?;
    Ulid::from_string(&mark.ulid).ok()
}

/// Whether a mark lets a router that holds go over to the store it was found in.
pub(super) fn adopts(found: Ulid, known: Option<Ulid>, last_contact_unix_ms: u64) -> bool {
    known.is_none_or(|known| found > known) && found.timestamp_ms() > last_contact_unix_ms
}

#[cfg(test)]
mod tests;
