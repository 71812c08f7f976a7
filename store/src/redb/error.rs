//! Why a folder cannot be opened as a store. Every text names the folder or the file.

use std::{io, path::PathBuf};

/// A store that was not opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "{} is in use by another serin (stop it, or choose another --data-dir)",
        .0.display()
    )]
    InUse(PathBuf),
    #[error("{} is damaged and stays as it is: {why}", file.display())]
    Damaged { file: PathBuf, why: String },
    #[error("{} has format {format}, which a newer serin wrote", file.display())]
    Newer { file: PathBuf, format: u64 },
    #[error("cannot open {}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// Why a file that was open cannot be written or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub(super) struct Trouble {
    /// The disk has no room, or we may have no more of it.
    pub(super) full: bool,
    pub(super) why: String,
}

impl Trouble {
    /// As a transaction's end that was certainly not written.
    pub(super) fn refusal(&self) -> crate::Error {
        if self.full {
            crate::Error::Full(self.why.clone())
        } else {
            crate::Error::Unavailable(self.why.clone())
        }
    }
}

impl OpenError {
    /// What an error of the file means. A file that ends too soon, or is none of redb's, is an
    /// error of I/O to redb.
    pub(super) fn of(error: ::redb::Error, file: PathBuf) -> Self {
        match error {
            ::redb::Error::Io(source) if !is_damage(source.kind()) => {
                Self::Io { path: file, source }
            }
            other => Self::Damaged {
                file,
                why: other.to_string(),
            },
        }
    }
}

impl From<::redb::Error> for Trouble {
    fn from(error: ::redb::Error) -> Self {
        let full = matches!(&error, ::redb::Error::Io(error) if is_full(error.kind()));
        Self {
            full,
            why: error.to_string(),
        }
    }
}

fn is_damage(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
    )
}

pub(super) fn is_full(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}
