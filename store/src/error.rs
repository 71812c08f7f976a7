//! How a call of a store fails. Everything but [`Error::Unknown`] means: nothing was written.

use crate::Key;

/// Why a call gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The store cannot be reached or has no quorum. Later it may be.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// A transaction was sent and no answer came: it may have committed, may commit later, or never.
    /// The receipt, if it has one, is there once it committed.
    #[error("nobody knows whether the change was written: {why}")]
    Unknown { receipt: Option<Key>, why: String },
    /// A key, or the transaction, is larger than the store takes.
    #[error("too large for the store: {0}")]
    TooLarge(String),
    /// The store has no room: etcd's quota, the embedded store's disk.
    #[error("the store is full: {0}")]
    Full(String),
    /// The store refuses us: user, password, certificate, role.
    #[error("the store denies access: {0}")]
    Denied(String),
    /// The transaction can never be right: a key twice, too many operations.
    #[error("the transaction is invalid: {0}")]
    Invalid(String),
}
