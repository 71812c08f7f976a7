//! What comes with every change besides the change itself, and what is answered.

use std::net::IpAddr;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use serin_proto::{Fault, unit::Revision};

use crate::secret::Digest;

/// What the caller knows of the present state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Precondition {
    #[default]
    None,
    /// `If-Match` with ETags. One that no ETag of ours could be is left out: an empty list matches
    /// nothing.
    OneOf(Vec<Revision>),
    /// `If-Match: *`
    Exists,
    /// `If-None-Match: *`
    Absent,
}

/// How something is to be changed, and what is remembered of who asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) precondition: Precondition,
    /// Judge and answer, write nothing.
    pub(crate) dry_run: bool,
    /// In the caller's words, for the audit. A reason in a body wins over it.
    pub(crate) reason: String,
    pub(crate) request_id: String,
    pub(crate) source_ip: Option<IpAddr>,
    /// For [`super::apply`] and [`super::adopt`] alone.
    pub(crate) idempotency: Option<IdempotencyKey>,
}

impl Asked {
    /// A reason that stands in the body wins over one that came beside it.
    pub(super) fn says(&mut self, reason: String) {
        if !reason.is_empty() {
            self.reason = reason;
        }
    }
}

/// A request that may be sent again without being done again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IdempotencyKey {
    /// Of the header's value.
    pub(crate) sha256: Digest,
    /// Of what was asked: the body, and whatever of the URL changes its meaning.
    pub(crate) body_sha256: Digest,
}

/// What is to be written, as it came.
#[derive(Clone, Debug)]
pub(crate) enum Body<T> {
    /// A text: whatever it has that `T` does not know is refused.
    Json(Bytes),
    /// Read already: by gRPC, or by this process from a file.
    Message(T),
}

/// One document, token or mark was changed, or would be.
#[derive(Clone, Debug)]
pub(crate) struct Changed {
    /// The ETag. In a dry run, and where nothing was left to change, the revision it was judged at.
    pub(crate) revision: Revision,
    /// It did not exist before.
    pub(crate) created: bool,
    /// As it is stored now, digests as the actor may see them; `None`: deleted.
    pub(crate) document: Option<Json>,
    pub(crate) difference: Difference,
    pub(crate) warnings: Vec<Notice>,
    /// The id of the audit record; `None` in a dry run.
    pub(crate) audit: Option<String>,
}

/// One key before and after, digests cut.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The store key: `config/routes/chat`.
    pub key: String,
    /// `None`: it was absent, or could not be read.
    pub before: Option<Json>,
    /// `None`: it is gone.
    pub after: Option<Json>,
}

/// What a caller should know though nothing was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    pub pointer: String,
    pub code: String,
    pub message: String,
}

impl From<Fault> for Notice {
    fn from(fault: Fault) -> Self {
        Self {
            pointer: fault.pointer,
            code: fault.code.to_owned(),
            message: fault.message,
        }
    }
}

/// What came of a documents file. The same whether it was done now or answered again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    /// Of the change; where nothing was left to change, and in a dry run, of the documents it was
    /// judged by. Not kept with an idempotency key: a replay has its record's.
    #[serde(skip)]
    pub revision: Revision,
    /// What was written; documents that were the same already are left out.
    pub changes: Vec<Difference>,
    /// Routes whose live traffic differs from the file's and was left alone.
    pub traffic_kept: Vec<KeptTraffic>,
    pub warnings: Vec<Notice>,
    /// The id of the audit record, if anything was written.
    pub audit_id: Option<String>,
}

/// A route's live traffic that a file would have otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptTraffic {
    pub route: String,
    pub live: Json,
    pub written: Json,
}

/// A store was adopted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Adopted {
    #[serde(skip)]
    pub revision: Revision,
    /// Of the mark, by which routers tell a new adoption from an old one.
    pub ulid: String,
    /// `None` in a dry run.
    pub audit_id: Option<String>,
}
