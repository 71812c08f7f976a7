//! What one may list and watch: fixed ranges of keys, so that nobody watches half a thing.

use crate::Key;

/// A set of keys with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// `config/`: every document, and the adoption mark.
    Documents,
    /// `rollouts/`
    Rollouts,
    /// `routers/`
    Fleet,
    /// `audit/`
    Audit,
    /// `tokens/`
    Tokens,
    /// `usage/`
    Usage,
    /// `idempotency/`
    Idempotency,
    /// `election/`
    Election,
    /// Everything.
    All,
}

impl Scope {
    pub const EVERY: [Self; 9] = [
        Self::Documents,
        Self::Rollouts,
        Self::Fleet,
        Self::Audit,
        Self::Tokens,
        Self::Usage,
        Self::Idempotency,
        Self::Election,
        Self::All,
    ];

    /// What its keys begin with, the delimiter included; empty for all.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Documents => "config/",
            Self::Rollouts => "rollouts/",
            Self::Fleet => "routers/",
            Self::Audit => "audit/",
            Self::Tokens => "tokens/",
            Self::Usage => "usage/",
            Self::Idempotency => "idempotency/",
            Self::Election => "election/",
            Self::All => "",
        }
    }

    /// The range of its keys.
    pub fn range(self) -> Range {
        Range::under(self.prefix())
    }

    pub fn contains(self, key: &Key) -> bool {
        key.as_str().starts_with(self.prefix())
    }
}

/// The keys that begin with a text. Written out with an end where a backend wants one: a prefix
/// without its delimiter would hold its neighbours too.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Range {
    prefix: String,
}

impl Range {
    /// Keys below a folder: the text ends in `/`, or is empty for every key.
    pub fn under(prefix: &str) -> Self {
        debug_assert!(prefix.is_empty() || prefix.ends_with('/'), "{prefix:?}");
        Self {
            prefix: prefix.to_owned(),
        }
    }

    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    pub fn contains(&self, key: &Key) -> bool {
        key.as_str().starts_with(&self.prefix)
    }
}

/// A part of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Only keys behind this one, in the order of the page.
    pub after: Option<Key>,
    /// At most so many; `None`: all.
    pub limit: Option<usize>,
    /// Keys from the last to the first. Audit keys begin with their time, hence the name.
    pub newest_first: bool,
}

impl Page {
    /// Everything there is, keys rising.
    pub fn whole() -> Self {
        Self::default()
    }
}
