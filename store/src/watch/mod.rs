//! What a follower sees of a store: whole listings, and news of trouble.
//!
//! Always: revisions only rise; a `Reset` replaces everything (what is not in it is gone), so its
//! consumer compares and never empties its state first; `Down` and `Refused` end nothing: what was
//! delivered before stays true.

use serin_proto::{Fault, key::DocumentKey, unit::Revision};

/// One document as stored: proto3 JSON under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub key: DocumentKey,
    /// The document's proto3 JSON.
    pub value: Vec<u8>,
    /// The revision that last changed this document.
    pub mod_revision: Revision,
}

/// Everything there is, at one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    pub entries: Vec<Entry>,
    pub revision: Revision,
}

/// One event of the stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Replaces everything known so far.
    Reset(Listing),
    /// The source was looked at, and what was delivered is still its newest valid version.
    Progress,
    /// The source holds something that cannot be taken; what was delivered before stands.
    Refused(Vec<Fault>),
    /// The source cannot be read now; what was delivered before stands.
    Down(String),
}
