//! A store's folder: one process at a time, and a file that is whole or not there.
//!
//! The lock is the folder's, not the file's: it outlives the file being closed and opened again
//! after an error, so nobody else can come in between. A new file is made under another name and
//! renamed once it is complete: an empty `serin.redb` is therefore damage, never a beginning.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use ::redb::{Builder, Database, DatabaseError, backends::FileBackend};

use super::{disk::Disk, error::OpenError};

/// The store.
pub(super) const FILE: &str = "serin.redb";

/// A store that is being made.
const FILE_NEW: &str = "serin.redb.new";

/// What redb may keep in memory. Reads come from the mirror, so it has little use for more.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

/// How a file becomes a database; another one in tests of what a disk does.
pub(super) type Opener = Box<dyn Fn(File) -> Result<Database, DatabaseError> + Send>;

/// A folder that is ours until this is dropped.
pub(super) struct Folder {
    path: PathBuf,
    lock: File,
    opener: Opener,
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Closing is not enough: a program that is being started has our descriptors for a moment.
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(folder = %self.path.display(), %error, "store folder was not unlocked");
        }
    }
}

/// A database in a file, each page of it checked: a file that was altered is refused here instead
/// of being found out by a panic later.
pub(super) fn database(file: File) -> Result<Database, DatabaseError> {
    Builder::new()
        .set_cache_size(CACHE_BYTES)
        .set_check_integrity_on_open(true)
        .create_with_backend(FileBackend::new(file)?)
}

impl Folder {
    /// Takes a folder, which is made if it is not there.
    ///
    /// # Errors
    /// [`OpenError::InUse`], [`OpenError::Io`].
    pub(super) fn take(path: &Path, opener: Opener) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Io {
            path: path.to_owned(),
            source,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(failed)?;
        let lock = File::open(path).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                lock,
                opener,
            }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_owned())),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    /// The file, opened; made if there never was one and `make` is set.
    ///
    /// # Errors
    /// [`OpenError::Damaged`], [`OpenError::Newer`], [`OpenError::Io`].
    pub(super) fn disk(&self, make: bool) -> Result<Disk, OpenError> {
        let file = self.path.join(FILE);
        if make && !file.try_exists().map_err(|error| self.failed(error))? {
            self.make(&file)?;
        }
        let open = OpenOptions::new().read(true).write(true).open(&file);
        let open = open.map_err(|error| self.failed(error))?;
        if open.metadata().map_err(|error| self.failed(error))?.len() == 0 {
            return Err(OpenError::Damaged {
                file,
                why: "it is empty".to_owned(),
            });
        }
        let database = (self.opener)(open).map_err(|error| self.unopened(error))?;
        Disk::of(database, file)
    }

    fn make(&self, file: &Path) -> Result<(), OpenError> {
        let new = self.path.join(FILE_NEW);
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(self.failed(error)),
            _ => {}
        }
        let made = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)
            .map_err(|error| self.failed(error))?;
        let database = (self.opener)(made).map_err(|error| self.unopened(error))?;
        Disk::begin(database, &new)?;
        // Both folders may be new: what is in them is there after a crash once they are synced.
        let parent = self.path.join("..");
        fs::rename(&new, file)
            .and_then(|()| File::open(&self.path)?.sync_all())
            .and_then(|()| File::open(parent)?.sync_all())
            .map_err(|error| self.failed(error))
    }

    fn failed(&self, source: io::Error) -> OpenError {
        OpenError::Io {
            path: self.path.join(FILE),
            source,
        }
    }

    fn unopened(&self, error: DatabaseError) -> OpenError {
        let file = self.path.join(FILE);
        match error {
            DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
                OpenError::InUse(self.path.clone())
            }
            other => OpenError::of(other.into(), file),
        }
    }
}
