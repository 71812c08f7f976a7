//! Store keys: which document lives where. The only place that parses and prints them.
//!
//! ```text
//!   /serin/v1/config/{providers,routes,keys,tiers}/<name>   documents; a route's spec and traffic
//!                                                           are one value: one change is one event
//!   /serin/v1/config/adopted                                the newest store that was adopted
//!   /serin/v1/routers/<id>                                  a router's report, under its lease
//!   /serin/v1/audit/<ulid>                                  written with the change it tells
//!   /serin/v1/tokens/<name>                                 who may use the control plane
//!   /serin/v1/idempotency/<token>/<sha256>                  an answer that may be asked for again
//!   /serin/v1/election/control-plane                        who leads, under its lease
//!   /serin/v1/rollouts/<route>/state                        where its newest rollout stands
//!   /serin/v1/rollouts/<route>/history/<seq>                what each step of it rested on
//!   /serin/v1/rollouts/<route>/outbox/<seq>-<n>             what others are still to be told
//! ```

use std::{fmt, str::FromStr};

use crate::name::is_name;

/// Where all of Serin's keys begin.
pub const PREFIX: &str = "/serin/v1/";
/// Where the documents that routers follow begin, after [`PREFIX`].
const DOCUMENTS: &str = "config/";

/// What a document describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Provider,
    Route,
    Key,
    Tier,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Provider, Self::Route, Self::Key, Self::Tier];

    /// The word in the store key, and the list in a file.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Provider => "providers",
            Self::Route => "routes",
            Self::Key => "keys",
            Self::Tier => "tiers",
        }
    }

    /// The word for one of them.
    pub fn singular(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Route => "route",
            Self::Key => "key",
            Self::Tier => "tier",
        }
    }
}

/// The store key of one document. `Display` leaves the prefix out: `config/routes/chat`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentKey {
    pub kind: Kind,
    /// As [`is_name`] wants it.
    pub name: String,
}

/// A text that is no document's key, such as `config/adopted`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the key of a document")]
pub struct NotADocument(pub String);

impl fmt::Display for DocumentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{DOCUMENTS}{}/{}", self.kind.plural(), self.name)
    }
}

impl FromStr for DocumentKey {
    type Err = NotADocument;

    fn from_str(text: &str) -> Result<Self, NotADocument> {
        let parse = || {
            let (plural, name) = text.strip_prefix(DOCUMENTS)?.split_once('/')?;
            let kind = Kind::ALL.into_iter().find(|kind| kind.plural() == plural)?;
            is_name(name).then(|| Self {
                kind,
                name: name.to_owned(),
            })
        };
        parse().ok_or_else(|| NotADocument(text.to_owned()))
    }
}

/// Every key of the store that is no document's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StoreKey {
    /// The mark of the newest adoption.
    Adopted,
    /// The report of the router of this id.
    Router(String),
    /// The audit record of this ULID.
    Audit(String),
    /// The control plane's token of this name.
    Token(String),
    /// The answer to one `Idempotency-Key` of one token.
    Idempotency {
        token: String,
        /// SHA-256 of the header's value, in hex.
        sha256: String,
    },
    /// The leading control plane.
    Election,
    /// The state of the newest rollout of the route of this name.
    RolloutState(String),
    /// One step of a route's rollouts, numbered across them.
    RolloutRecord { route: String, seq: u64 },
    /// The n-th side effect of a step, until it is delivered.
    RolloutOutbox { route: String, seq: u64, n: u32 },
}

/// Digits of a step's number: as texts, keys are in the order of their numbers.
const SEQ_DIGITS: usize = 20;

impl fmt::Display for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Adopted => f.write_str("config/adopted"),
            Self::Router(id) => write!(f, "routers/{id}"),
            Self::Audit(ulid) => write!(f, "audit/{ulid}"),
            Self::Token(name) => write!(f, "tokens/{name}"),
            Self::Idempotency { token, sha256 } => write!(f, "idempotency/{token}/{sha256}"),
            Self::Election => f.write_str("election/control-plane"),
            Self::RolloutState(route) => write!(f, "rollouts/{route}/state"),
            Self::RolloutRecord { route, seq } => {
                write!(f, "rollouts/{route}/history/{seq:0SEQ_DIGITS$}")
            }
            Self::RolloutOutbox { route, seq, n } => {
                write!(f, "rollouts/{route}/outbox/{seq:0SEQ_DIGITS$}-{n}")
            }
        }
    }
}

/// A text that is no key of Serin's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no key that Serin knows")]
pub struct UnknownKey(pub String);

impl FromStr for StoreKey {
    type Err = UnknownKey;

    fn from_str(text: &str) -> Result<Self, UnknownKey> {
        let parse = || match text.split_once('/')? {
            ("config", "adopted") => Some(Self::Adopted),
            ("election", "control-plane") => Some(Self::Election),
            ("idempotency", rest) => {
                let (token, sha256) = rest.split_once('/')?;
                let (token, sha256) = (token.to_owned(), sha256.to_owned());
                let whole = !token.is_empty() && !sha256.is_empty() && !sha256.contains('/');
                whole.then_some(Self::Idempotency { token, sha256 })
            }
            ("rollouts", rest) => rollout_key(rest),
            (_, rest) if rest.is_empty() || rest.contains('/') => None,
            ("routers", id) => Some(Self::Router(id.to_owned())),
            ("audit", ulid) => Some(Self::Audit(ulid.to_owned())),
            ("tokens", name) => Some(Self::Token(name.to_owned())),
            _ => None,
        };
        parse().ok_or_else(|| UnknownKey(text.to_owned()))
    }
}

fn rollout_key(rest: &str) -> Option<StoreKey> {
    let (route, rest) = rest.split_once('/')?;
    if !is_name(route) {
        return None;
    }
    let route = route.to_owned();
    match rest.split_once('/') {
        None => (rest == "state").then_some(StoreKey::RolloutState(route)),
        Some(("history", seq)) => {
            let seq = read_seq(seq)?;
            Some(StoreKey::RolloutRecord { route, seq })
        }
        Some(("outbox", place)) => {
            let (seq, n) = place.split_once('-')?;
            let (seq, n) = (read_seq(seq)?, read_plain(n)?);
            Some(StoreKey::RolloutOutbox { route, seq, n })
        }
        Some(_) => None,
    }
}

fn read_seq(text: &str) -> Option<u64> {
    let is_whole = text.len() == SEQ_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
    is_whole.then(|| text.parse().ok()).flatten()
}

/// A number as it is printed: no sign, no zeros before it.
fn read_plain(text: &str) -> Option<u32> {
    let number: u32 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_key_reads_back() {
        for kind in Kind::ALL {
            let key = DocumentKey {
                kind,
                name: "gpt-4.1".to_owned(),
            };
            assert_eq!(key.to_string().parse(), Ok(key));
        }
        let chat = DocumentKey {
            kind: Kind::Route,
            name: "chat".to_owned(),
        };
        assert_eq!(chat.to_string(), "config/routes/chat");
    }

    #[test]
    fn other_keys_are_no_documents() {
        let others = [
            "",
            "config",
            "config/adopted",
            "config/routes",
            "config/routes/",
            "config/routes/A",
            "config/routes/a/b",
            "config/rollouts/a",
            "routers/a",
            "/serin/v1/config/routes/a",
        ];
        for text in others {
            assert!(text.parse::<DocumentKey>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_printed_store_key_reads_back() {
        let idempotency = StoreKey::Idempotency {
            token: "ci".to_owned(),
            sha256: "5e88".to_owned(),
        };
        let table = [
            (StoreKey::Adopted, "config/adopted"),
            (StoreKey::Router("host-1".to_owned()), "routers/host-1"),
            (StoreKey::Audit("01J".to_owned()), "audit/01J"),
            (StoreKey::Token("ci".to_owned()), "tokens/ci"),
            (idempotency, "idempotency/ci/5e88"),
            (StoreKey::Election, "election/control-plane"),
            (
                StoreKey::RolloutState("chat".to_owned()),
                "rollouts/chat/state",
            ),
            (
                StoreKey::RolloutRecord {
                    route: "gpt-4.1".to_owned(),
                    seq: 17,
                },
                "rollouts/gpt-4.1/history/00000000000000000017",
            ),
            (
                StoreKey::RolloutOutbox {
                    route: "chat".to_owned(),
                    seq: u64::MAX,
                    n: 12,
                },
                "rollouts/chat/outbox/18446744073709551615-12",
            ),
        ];
        for (key, text) in table {
            assert_eq!(key.to_string(), text);
            assert_eq!(text.parse(), Ok(key));
        }
    }

    #[test]
    fn what_nobody_printed_is_no_store_key() {
        let others = [
            "",
            "adopted",
            "config/",
            "config/adopted/",
            "config/routes/a",
            "routers",
            "routers/",
            "routers/a/b",
            "audit/",
            "tokens/",
            "tokens/a/b",
            "idempotency/ci",
            "idempotency/ci/",
            "idempotency//5e88",
            "idempotency/ci/5e/88",
            "election/control-planes",
            "election/",
            "rollouts/chat",
            "rollouts/chat/",
            "rollouts/Chat/state",
            "rollouts/chat/states",
            "rollouts/chat/state/",
            "rollouts/chat/history/17",
            "rollouts/chat/history/0000000000000000001x",
            "rollouts/chat/history/+0000000000000000017",
            "rollouts/chat/history/99999999999999999999",
            "rollouts/chat/outbox/00000000000000000017",
            "rollouts/chat/outbox/00000000000000000017-",
            "rollouts/chat/outbox/00000000000000000017-01",
            "rollouts/chat/outbox/00000000000000000017-+1",
            "rollouts/chat/inbox/00000000000000000017-1",
            "usage/2026-01-01/a/b",
            "/serin/v1/tokens/ci",
        ];
        for text in others {
            assert!(text.parse::<StoreKey>().is_err(), "{text:?}");
        }
    }
}
