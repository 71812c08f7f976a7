//! Words and values that stand behind verbs and flags, and what each of them may look like.

use std::{str::FromStr, time::Duration};

use clap::ValueEnum;
use serin_proto::{key::Kind, name::is_name, unit::parse_duration};

/// How data is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    Table,
    Json,
    Yaml,
}

/// What can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Seen {
    #[value(alias = "provider")]
    Providers,
    #[value(alias = "route")]
    Routes,
    #[value(alias = "key")]
    Keys,
    #[value(alias = "tier")]
    Tiers,
    #[value(alias = "token")]
    Tokens,
    #[value(alias = "router")]
    Routers,
    Audit,
}

impl Seen {
    /// The word of the URL.
    pub(crate) fn plural(self) -> &'static str {
        match self {
            Self::Providers => "providers",
            Self::Routes => "routes",
            Self::Keys => "keys",
            Self::Tiers => "tiers",
            Self::Tokens => "tokens",
            Self::Routers => "routers",
            Self::Audit => "audit",
        }
    }

    /// The kind of document, where it is one.
    pub(crate) fn document(self) -> Option<Kind> {
        match self {
            Self::Providers => Some(Kind::Provider),
            Self::Routes => Some(Kind::Route),
            Self::Keys => Some(Kind::Key),
            Self::Tiers => Some(Kind::Tier),
            Self::Tokens | Self::Routers | Self::Audit => None,
        }
    }
}

/// What can be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Deleted {
    #[value(alias = "providers")]
    Provider,
    #[value(alias = "routes")]
    Route,
    #[value(alias = "keys")]
    Key,
    #[value(alias = "tiers")]
    Tier,
    #[value(alias = "tokens")]
    Token,
}

impl Deleted {
    /// The word of the URL.
    pub(crate) fn plural(self) -> &'static str {
        match self {
            Self::Provider => "providers",
            Self::Route => "routes",
            Self::Key => "keys",
            Self::Tier => "tiers",
            Self::Token => "tokens",
        }
    }

    /// The word for one.
    pub(crate) fn singular(self) -> &'static str {
        self.plural().trim_end_matches('s')
    }
}

/// What a token may do, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    Viewer,
    Operator,
    Admin,
}

impl Role {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

/// `gpt=95`: a target and its percent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Weight {
    pub(crate) target: String,
    pub(crate) percent: f64,
}

impl FromStr for Weight {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || "write TARGET=PERCENT, e.g. gpt=95".to_owned();
        let (target, percent) = text.split_once('=').ok_or_else(bad)?;
        let target = name(target.trim())?;
        let percent = percent.trim().trim_end_matches('%');
        let percent = percent.parse().ok().filter(|p: &f64| p.is_finite());
        Ok(Self {
            target,
            percent: percent.ok_or_else(bad)?,
        })
    }
}

/// Names stand in URLs: what is none never gets there.
pub(super) fn name(text: &str) -> Result<String, String> {
    if is_name(text) {
        Ok(text.to_owned())
    } else {
        Err(
            "no name: 1 to 63 of a-z, 0-9, . and -, beginning and ending with a letter or digit"
                .to_owned(),
        )
    }
}

/// An address that HTTP is spoken at. What it holds is not repeated: it may be a password.
pub(super) fn http_url(text: &str) -> Result<String, String> {
    let rest = text
        .strip_prefix("http://")
        .or(text.strip_prefix("https://"));
    let is_whole = |rest: &str| {
        !rest.is_empty()
            && !rest.starts_with(['/', '@', '?', '#'])
            && rest.bytes().all(|b| b.is_ascii_graphic())
    };
    match rest.filter(|rest| is_whole(rest)) {
        Some(_) => Ok(text.to_owned()),
        None => Err("no URL: write http:// or https://, a host and a port".to_owned()),
    }
}

/// Routers are named by their host and audit records by a ULID: more letters than a name.
pub(super) fn shown_name(text: &str) -> Result<String, String> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    // `..` would be another URL.
    let begins = text
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphanumeric());
    if begins && text.len() <= 253 && text.bytes().all(legal) {
        Ok(text.to_owned())
    } else {
        Err("no name: letters, digits, . - and _".to_owned())
    }
}

/// Rollouts are named by 12 hex digits.
pub(super) fn rollout_id(text: &str) -> Result<String, String> {
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if text.len() == 12 && text.bytes().all(hex) {
        Ok(text.to_owned())
    } else {
        Err("no id of a rollout: 12 hex digits, as `serin rollout list` shows them".to_owned())
    }
}

pub(super) fn count(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| "write a whole number from 1".to_owned())
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|bad| format!("{bad}; write e.g. 30s, 5m, 24h"))
}
