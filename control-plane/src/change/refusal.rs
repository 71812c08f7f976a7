//! Every way to say no, with its word for programs.
//!
//! REST and gRPC translate from here; what is told to people is `Display`. Two classes tell how to
//! go on: [`Class::Caller`] means that the same request will be refused again.

use serde_json::Value as Json;
use serin_proto::{Fault, unit::Revision};
use serin_store::Error as StoreError;

use crate::auth::{Denied, Role};

/// Why something was not done.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Refusal {
    #[error("{}", match .0 {
        Denied::TooMany { .. } => "too many wrong tokens: wait",
        _ => "a valid bearer token is needed",
    })]
    Denied(Denied),
    #[error("this needs the role {least}")]
    Forbidden { least: Role },
    /// Not JSON, an unknown field, a wrong type.
    #[error("the request cannot be read{}", first(.0))]
    Malformed(Vec<Fault>),
    #[error("there is no {0}")]
    NotFound(String),
    /// What a request names in its body is not there.
    #[error("there is no {what}")]
    Missing { what: String, faults: Vec<Fault> },
    /// Other documents need what should go.
    #[error("it is in use{}", first(.0))]
    InUse(Vec<Fault>),
    #[error("the stored document cannot be read: {why}; a PUT or DELETE with its ETag heals it")]
    Unreadable { revision: Revision, why: String },
    #[error("others kept changing what this rests on: try again")]
    Conflict,
    /// The history that was asked for is gone: list, then watch from there.
    #[error("changes after that revision are not kept any more: list again")]
    Compacted,
    /// The rollout went on since the caller looked: `state` is where it stands, `seq` its number.
    #[error("its newest record has seq {seq} now")]
    StaleSeq { state: Json, seq: u64 },
    /// A verb that the rollout's phase does not allow.
    #[error("{verb} is not possible now: {why}{}", choices(.legal))]
    Illegal {
        verb: &'static str,
        why: String,
        legal: Vec<&'static str>,
    },
    /// What was asked for is a running rollout's to change.
    #[error("rollout {rollout_id} is active: {why}{}", choices(.legal))]
    RolloutActive {
        rollout_id: String,
        why: String,
        legal: Vec<&'static str>,
    },
    /// The one fault names it, and where.
    #[error("{}", .0.message)]
    CandidateIsStable(Box<Fault>),
    /// `current`: the revision it has now; `None`: it is absent.
    #[error("{}", match .current { Some(revision) => format!("it was changed meanwhile: its revision is {revision}"), None => "it does not exist".to_owned() })]
    Stale { current: Option<Revision> },
    #[error("{0}")]
    TooLarge(String),
    #[error("{} would be invalid{}", subject(.0), first(.0))]
    Invalid(Vec<Fault>),
    #[error("this Idempotency-Key was used for another request")]
    KeyReused,
    #[error("it exists: send If-Match with its ETag (\"{current}\"), or * for whatever it is")]
    PreconditionRequired { current: Revision },
    #[error("a DELETE needs If-Match with the ETag, or *")]
    UnconditionalDelete,
    #[error("the store has no room")]
    StoreFull,
    #[error("the store is unavailable: {0}")]
    StoreUnavailable(String),
    /// It may be done, or may be done yet: the audit record of this id exists once it is.
    #[error("nobody knows yet whether it was done: look for audit record {audit}")]
    OutcomeUnknown { audit: String },
    /// A mistake of ours.
    #[error("internal error: {0}")]
    Internal(String),
}

impl Refusal {
    /// The word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Denied(Denied::TooMany { .. }) => "too_many_attempts",
            Self::Denied(_) => "unauthenticated",
            Self::Forbidden { .. } => "forbidden",
            Self::Malformed(_) => "invalid_request",
            Self::NotFound(_) | Self::Missing { .. } => "not_found",
            Self::InUse(_) => "in_use",
            Self::Unreadable { .. } => "unreadable_document",
            Self::Conflict => "conflict",
            Self::Compacted => "compacted",
            Self::Stale { .. } => "stale",
            Self::StaleSeq { .. } => "stale_seq",
            Self::Illegal { .. } => "illegal_verb",
            Self::RolloutActive { .. } => "rollout_active",
            Self::CandidateIsStable(_) => "candidate_is_stable",
            Self::TooLarge(_) => "document_too_large",
            Self::Invalid(_) => "invalid_document",
            Self::KeyReused => "idempotency_key_reused",
            Self::PreconditionRequired { .. } | Self::UnconditionalDelete => {
                "precondition_required"
            }
            Self::StoreFull => "store_full",
            Self::StoreUnavailable(_) => "store_unavailable",
            Self::OutcomeUnknown { .. } => "outcome_unknown",
            Self::Internal(_) => "internal",
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::Denied(Denied::TooMany { .. }) => 429,
            Self::Denied(_) => 401,
            Self::Forbidden { .. } => 403,
            Self::NotFound(_) | Self::Missing { .. } => 404,
            Self::InUse(_)
            | Self::Unreadable { .. }
            | Self::Conflict
            | Self::StaleSeq { .. }
            | Self::RolloutActive { .. }
            | Self::CandidateIsStable(_) => 409,
            Self::Compacted => 410,
            Self::Stale { .. } => 412,
            Self::TooLarge(_) => 413,
            Self::Invalid(_) | Self::KeyReused | Self::Illegal { .. } => 422,
            Self::PreconditionRequired { .. } | Self::UnconditionalDelete => 428,
            Self::Internal(_) => 500,
            Self::StoreUnavailable(_) => 503,
            Self::OutcomeUnknown { .. } => 504,
            Self::StoreFull => 507,
        }
    }

    /// Every fault found; empty where faults are not the reason.
    pub fn faults(&self) -> &[Fault] {
        match self {
            Self::Malformed(faults)
            | Self::InUse(faults)
            | Self::Invalid(faults)
            | Self::Missing { faults, .. } => faults,
            Self::CandidateIsStable(fault) => std::slice::from_ref(fault),
            _ => &[],
        }
    }

    /// The revision that what was asked for has now, as far as the refusal tells.
    pub fn current(&self) -> Option<Revision> {
        match self {
            Self::Stale { current } => *current,
            Self::PreconditionRequired { current } => Some(*current),
            Self::Unreadable { revision, .. } => Some(*revision),
            _ => None,
        }
    }
}

/// Definite refusals of a store. [`StoreError::Unknown`] is settled before it comes here; a read
/// never gives it.
impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full(_) => Self::StoreFull,
            StoreError::TooLarge(why) => Self::TooLarge(why),
            StoreError::Invalid(why) => Self::Internal(why),
            StoreError::Unavailable(why) | StoreError::Denied(why) => Self::StoreUnavailable(why),
            StoreError::Unknown { receipt, .. } => Self::OutcomeUnknown {
                audit: receipt.map(|key| key.to_string()).unwrap_or_default(),
            },
        }
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        match denied {
            // Nothing is wrong with the token, as far as anybody knows.
            Denied::NotYet => Self::StoreUnavailable(denied.to_string()),
            _ => Self::Denied(denied),
        }
    }
}

fn choices(legal: &[&str]) -> String {
    if legal.is_empty() {
        return String::new();
    }
    format!(" (possible now: {})", legal.join(", "))
}

/// What it is that would be invalid.
fn subject(faults: &[Fault]) -> &'static str {
    match faults {
        [only] if only.pointer == "/reason" => "the audit record",
        _ => "the documents",
    }
}

fn first(faults: &[Fault]) -> String {
    match faults {
        [] => String::new(),
        [only] => format!(": {only}"),
        [first, rest @ ..] => format!(": {first} (and {} more)", rest.len()),
    }
}
