//! A key of the store, without the prefix that all of ours share.

use std::fmt;

use serin_proto::key::{DocumentKey, StoreKey};

/// Longest key in bytes, prefix left out.
pub const KEY_BYTES_MAX: usize = 512;

/// A key after [`serin_proto::key::PREFIX`]: `config/routes/chat`. Whether it is one that Serin
/// knows is for `proto` to say: others write to etcd too.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

/// A text that cannot be a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} cannot be a key: it is empty or longer than {KEY_BYTES_MAX} bytes")]
pub struct BadKey(pub String);

impl Key {
    /// # Errors
    /// [`BadKey`] when the text is empty or longer than [`KEY_BYTES_MAX`].
    pub fn new(text: impl Into<String>) -> Result<Self, BadKey> {
        let text = text.into();
        if text.is_empty() || text.len() > KEY_BYTES_MAX {
            Err(BadKey(text))
        } else {
            Ok(Self(text))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The document it is the key of, if it is one's.
    pub fn document(&self) -> Option<DocumentKey> {
        self.0.parse().ok()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&DocumentKey> for Key {
    fn from(key: &DocumentKey) -> Self {
        Self(key.to_string())
    }
}

impl From<&StoreKey> for Key {
    fn from(key: &StoreKey) -> Self {
        Self(key.to_string())
    }
}
