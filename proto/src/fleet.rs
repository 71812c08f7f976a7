//! What a router tells of itself under `routers/<id>`: which revision it serves, and what it had to
//! refuse. Written by routers, read by the control plane.

use serde::{Deserialize, Serialize};

/// Most rejected documents a report lists; `rejected_count` counts them all.
pub const REJECTED_LISTED_MAX: usize = 100;

/// A router's report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RouterReport {
    pub version: String,
    /// Made anew with each start of the process.
    pub boot_id: String,
    /// Start of the process, RFC 3339.
    pub started_at: String,
    /// Where its `/snapshot` and `/metrics` are, `host:port`.
    pub admin_address: String,
    /// The revision of the newest change it serves.
    pub applied_revision: u64,
    pub source: Source,
    /// Why it applies nothing, if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    pub rejected_count: u64,
    /// At most [`REJECTED_LISTED_MAX`].
    pub rejected: Vec<RejectedDocument>,
}

/// Where the documents that are served were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    #[default]
    Store,
    /// The snapshot file of an earlier run.
    Cache,
}

/// Why a router goes on with what it has and applies nothing from the store it finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// Another store than the one it followed.
    ClusterChanged,
    /// The store's revision is lower than one seen before.
    RevisionRegressed,
    /// Same store, same or higher revision, but not the history that was seen.
    HistoryDiffers,
    /// No document at all where there were routes.
    Empty,
}

impl Hold {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClusterChanged => "cluster_changed",
            Self::RevisionRegressed => "revision_regressed",
            Self::HistoryDiffers => "history_differs",
            Self::Empty => "empty",
        }
    }
}

/// A document that a router does not serve as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RejectedDocument {
    /// Its store key after the prefix: `config/routes/chat`.
    pub key: String,
    pub mod_revision: u64,
    pub code: String,
    pub message: String,
    /// The revision of the older form that is served; absent: none is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serving_revision: Option<u64>,
}
