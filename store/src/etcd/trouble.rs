//! What a failed call of etcd means for us. The texts are etcd's own (`rpctypes/error.go`).
//!
//! The one question that matters after a write: is it certain that nothing was done? Only a
//! refusal that etcd makes before it proposes anything, or a connection that never stood, is.

use std::error::Error as _;

use etcd_client::Error as ClientError;
use tonic::{Code, ConnectError, Status};

use crate::{Error, Key, watch::Reason};

/// A failed call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

/// What it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// No member could be reached: not even a request was sent.
    Unsent,
    /// The member refused before doing anything, for a reason that passes: no leader, overload.
    Refused,
    /// The token is too old: a new connection brings a new one. Nothing was done.
    Token,
    /// User, password or role.
    Denied,
    /// The revision asked for is no longer in the history.
    Compacted,
    /// The answer is larger than we read.
    TooLong,
    Full,
    TooLarge,
    Invalid,
    /// No answer within the deadline. Anything may have happened.
    Silent,
    /// The connection broke or the member failed. Anything may have happened.
    Lost,
}

impl Trouble {
    pub(crate) fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
        }
    }

    /// The same member would only fail again.
    pub(crate) fn is_of_connection(&self) -> bool {
        matches!(
            self.kind,
            Kind::Unsent | Kind::Refused | Kind::Token | Kind::Silent | Kind::Lost
        )
    }

    /// It may pass, and the request can be sent again without harm.
    pub(crate) fn is_harmless(&self) -> bool {
        matches!(self.kind, Kind::Unsent | Kind::Refused | Kind::Token)
    }

    /// What a watch says of it.
    pub(crate) fn reason(&self) -> Reason {
        match self.kind {
            Kind::Unsent => Reason::Connect,
            Kind::Refused => Reason::NoLeader,
            Kind::Token | Kind::Denied => Reason::Auth,
            Kind::Silent => Reason::Silent,
            Kind::Compacted => Reason::Canceled,
            Kind::TooLong | Kind::Full | Kind::TooLarge | Kind::Invalid | Kind::Lost => Reason::Io,
        }
    }

    /// What the caller of a read is told.
    pub(crate) fn of_read(self) -> Error {
        match self.kind {
            Kind::Token | Kind::Denied => Error::Denied(self.text),
            Kind::TooLarge | Kind::TooLong => Error::TooLarge(self.text),
            Kind::Full => Error::Full(self.text),
            Kind::Invalid => Error::Invalid(self.text),
            Kind::Unsent | Kind::Refused | Kind::Compacted | Kind::Silent | Kind::Lost => {
                Error::Unavailable(self.text)
            }
        }
    }

    /// What the caller of a write is told.
    pub(crate) fn of_write(self, receipt: Option<Key>) -> Error {
        match self.kind {
            Kind::Silent | Kind::Lost | Kind::TooLong | Kind::Compacted => Error::Unknown {
                receipt,
                why: self.text,
            },
            _ => self.of_read(),
        }
    }
}

impl From<ClientError> for Trouble {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::GRpcStatus(status) => Self::from(status),
            ClientError::InvalidArgs(_) | ClientError::InvalidMetadataValue(_) => {
                Self::new(Kind::Invalid, error.to_string())
            }
            other => Self::new(Kind::Lost, other.to_string()),
        }
    }
}

impl From<Status> for Trouble {
    fn from(status: Status) -> Self {
        let kind = if never_left(&status) {
            Kind::Unsent
        } else {
            kind(status.code(), status.message())
        };
        Self::new(kind, text(&status))
    }
}

/// Whether tonic itself says that there was no connection to send on.
fn never_left(status: &Status) -> bool {
    let mut source = status.source();
    while let Some(error) = source {
        if error.is::<ConnectError>() {
            return true;
        }
        source = error.source();
    }
    status.code() == Code::Unknown && status.message().starts_with("Service was not ready")
}

/// The message, and below a bare "transport error" what caused it.
fn text(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut source = status.source();
    while let Some(error) = source {
        let part = error.to_string();
        if !text.contains(&part) {
            text = format!("{text}: {part}");
        }
        source = error.source();
    }
    text
}

/// The kind of a status.
fn kind(code: Code, message: &str) -> Kind {
    let says = |part: &str| message.contains(part);
    match code {
        Code::Unauthenticated => Kind::Token,
        Code::PermissionDenied => Kind::Denied,
        // Without a user name: authentication was switched on since we connected.
        Code::InvalidArgument if says("auth store is old") || says("user name is empty") => {
            Kind::Token
        }
        Code::InvalidArgument if says("authentication failed") => Kind::Denied,
        Code::InvalidArgument if says("request is too large") => Kind::TooLarge,
        Code::InvalidArgument | Code::NotFound => Kind::Invalid,
        Code::ResourceExhausted if says("database space exceeded") => Kind::Full,
        Code::ResourceExhausted if says("too many requests") => Kind::Refused,
        Code::ResourceExhausted => Kind::TooLarge,
        Code::OutOfRange if says("compacted") => Kind::Compacted,
        // A member that is behind our listing, or one of another history.
        Code::OutOfRange if says("future revision") => Kind::Refused,
        Code::OutOfRange if says("lease TTL") => Kind::Invalid,
        Code::OutOfRange => Kind::TooLong,
        Code::FailedPrecondition => Kind::Refused,
        Code::Unavailable if says("etcdserver: no leader") => Kind::Refused,
        Code::DeadlineExceeded => Kind::Silent,
        _ => Kind::Lost,
    }
}

/// What the text of a canceled watch means. There is no code beside it.
pub(crate) fn canceled_for(reason: &str) -> Kind {
    let says = |part: &str| reason.contains(part);
    if says("compacted") {
        Kind::Compacted
    } else if says("auth token") || says("auth store is old") || says("user name is empty") {
        Kind::Token
    } else if says("permission denied") {
        Kind::Denied
    } else if says("no leader") {
        Kind::Refused
    } else {
        Kind::Lost
    }
}
