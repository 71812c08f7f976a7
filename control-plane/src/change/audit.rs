//! The record of a change, written in the change's own transaction. Pure.
//!
//! It tells who changed what, when and why, and is the change's receipt: it exists once the change
//! is done. Digests are cut: a record is for reading.

use std::net::IpAddr;

use serde::Serialize;
use serde_json::{Value as Json, json};
use serin_proto::document::{DOCUMENT_BYTES_MAX, Document};
use time::OffsetDateTime;

use super::{Asked, Difference, Refusal};
use crate::{auth::Actor, clock::rfc3339, secret::cut_digests};

/// Largest record, in bytes.
const RECORD_BYTES_MAX: usize = 640 * 1024;
/// Longest reason, in bytes.
const REASON_BYTES_MAX: usize = 4 * 1024;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verb {
    Put,
    Delete,
    Traffic,
    Apply,
    Adopt,
    Start,
    Pause,
    Resume,
    Promote,
    Abort,
    Undo,
    Retry,
    #[serde(rename = "skip-step")]
    SkipStep,
    Gate,
    /// A rollout went on by itself.
    Step,
}

impl Verb {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Delete => "delete",
            Self::Traffic => "traffic",
            Self::Apply => "apply",
            Self::Adopt => "adopt",
            Self::Start => "start",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Promote => "promote",
            Self::Abort => "abort",
            Self::Undo => "undo",
            Self::Retry => "retry",
            Self::SkipStep => "skip-step",
            Self::Gate => "gate",
            Self::Step => "step",
        }
    }
}

/// One key, or many that were changed together.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Differences {
    One(Difference),
    Many { changes: Vec<Difference> },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    id: &'a str,
    at: String,
    actor: &'a Actor,
    source_ip: Option<IpAddr>,
    request_id: &'a str,
    verb: Verb,
    reason: &'a str,
    #[serde(flatten)]
    differences: &'a Differences,
}

/// The record's bytes.
///
/// # Errors
/// [`Refusal::TooLarge`] over [`RECORD_BYTES_MAX`].
pub(crate) fn record(
    (id, at): (&str, OffsetDateTime),
    actor: &Actor,
    asked: &Asked,
    verb: Verb,
    differences: &Differences,
) -> Result<Vec<u8>, Refusal> {
    let record = Record {
        id,
        at: rfc3339(at),
        actor,
        source_ip: asked.source_ip,
        request_id: &asked.request_id,
        verb,
        reason: &asked.reason,
        differences,
    };
    let bytes = serde_json::to_vec(&record).map_err(|bad| Refusal::Internal(bad.to_string()))?;
    if bytes.len() > RECORD_BYTES_MAX {
        let (is, most) = (bytes.len() / 1024, RECORD_BYTES_MAX / 1024);
        let why = format!(
            "the record of the change would be {is} KiB, at most {most}: change less at once"
        );
        return Err(Refusal::TooLarge(why));
    }
    Ok(bytes)
}

/// Whether a reason can be kept.
///
/// # Errors
/// [`Refusal::Invalid`] over [`REASON_BYTES_MAX`].
pub(super) fn check_reason(reason: &str) -> Result<(), Refusal> {
    if reason.len() <= REASON_BYTES_MAX {
        return Ok(());
    }
    let message = format!("is {} bytes long, at most {REASON_BYTES_MAX}", reason.len());
    Err(super::invalid("reason", "too_long", message))
}

/// A document as records and differences show it.
pub(super) fn shown(document: &Document) -> Option<Json> {
    serde_json::from_slice(&document.to_json())
        .ok()
        .map(cut_digests)
}

/// Stored bytes as records show them; `None` if they are no JSON. What is larger than any document
/// is told by its size alone: no record could hold it, and it must be possible to write over it.
pub(super) fn shown_bytes(value: &[u8]) -> Option<Json> {
    if value.len() > DOCUMENT_BYTES_MAX {
        return Some(json!({ "unreadable": true, "bytes": value.len() }));
    }
    serde_json::from_slice(value).ok().map(cut_digests)
}
