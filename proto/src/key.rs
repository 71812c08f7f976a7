//! Store keys: which document lives where. The only place that parses and prints them.
//!
//! Under [`PREFIX`]: `config/providers/<name>`, `config/routes/<name>`, `config/keys/<name>`,
//! `config/tiers/<name>`. A route's spec and traffic are one value: one change is one event.

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
}
