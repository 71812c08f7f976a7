//! Who wants something: a bearer token → a name and a role.
//!
//! Tokens of the settings and of the store (`tokens/<name>`) hold alike; both are kept as SHA-256
//! only. What a role may do is one table in [`role`]; whoever does something asks it, so a way in
//! that forgets to ask cannot exist.

mod attempts;
mod role;
mod tokens;

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

pub(crate) use role::Right;
pub use serin_proto::token::{Role, UnknownRole};
pub(crate) use tokens::{Tokens, follow};

/// Who is acting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Actor {
    /// The token's name.
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) via: Via,
}

/// By which way they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Via {
    Rest,
    Grpc,
    /// The file of `serin up`, and what else the process does for who started it.
    File,
    /// Nobody asked: the leader's own steps of a rollout.
    Auto,
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rest => "rest",
            Self::Grpc => "grpc",
            Self::File => "file",
            Self::Auto => "auto",
        })
    }
}

/// Why nobody knows who it is. The operator may know which; the caller is told the last two alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("there is no authorization header")]
    Missing,
    #[error("the authorization header is no bearer token of 1 to 256 visible ASCII bytes")]
    Malformed,
    #[error("no token has this secret")]
    Unknown,
    #[error("the token has expired")]
    Expired,
    #[error("too many wrong tokens from this address")]
    TooMany { retry_after: Duration },
    /// It is none of the settings', and those of the store were not read yet.
    #[error("the tokens of the store were not read yet")]
    NotYet,
}

impl Denied {
    /// The word of metrics and logs.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Unknown => "unknown",
            Self::Expired => "expired",
            Self::TooMany { .. } => "too_many",
            Self::NotYet => "not_yet",
        }
    }
}
