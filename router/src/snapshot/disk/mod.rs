//! The last known good, on disk: for a start while no store answers.
//!
//! ```text
//!   snapshot       serin-snapshot 1 <bytes> <sha256>\n{identity, revision, adopted, …, documents, lastGood}
//!   snapshot.prev  the one before it           snapshot.damaged  the last one that could not be used
//! ```
//! A file is whole or it is not used: it is written beside, synced, and renamed, the folder synced
//! after it; a wrong magic word, version, length or checksum makes the reader go to the one before,
//! and then to none. Documents stand in it as they are stored, bad ones too, and of each bad one the
//! form that serves, so that a restart changes nothing. No secret is in it: documents hold references
//! and digests.

mod format;
mod writer;

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use serin_proto::unit::Revision;
use ulid::Ulid;

pub(super) use writer::Writer;

use format::{Damaged, decode, encode};

const CURRENT: &str = "snapshot";
const PREVIOUS: &str = "snapshot.prev";
const TEMPORARY: &str = "snapshot.tmp";
const DAMAGED: &str = "snapshot.damaged";
/// Largest file, in bytes. Above it nothing is written, and nothing is read.
const FILE_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// All that a router knows of its store.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Saved {
    pub(super) identity: String,
    /// Everything up to here was seen.
    pub(super) revision: Revision,
    /// The newest adoption that was followed.
    pub(super) adopted: Option<Ulid>,
    /// When the store was last heard of, milliseconds since 1970.
    pub(super) last_contact_unix_ms: u64,
    /// Milliseconds since 1970.
    pub(super) saved_unix_ms: u64,
    /// As stored.
    pub(super) documents: Vec<SavedDocument>,
    /// The forms that serve in place of those that cannot.
    pub(super) last_good: Vec<SavedDocument>,
}

/// One key and its value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SavedDocument {
    /// After the prefix of all keys.
    pub(super) key: String,
    pub(super) value: Vec<u8>,
    pub(super) create_revision: Revision,
    pub(super) mod_revision: Revision,
}

/// What was saved last and can be read. Whatever is wrong with a file is logged, and the one before
/// it is used, or none.
pub(super) fn read(folder: &Path) -> Option<Saved> {
    [CURRENT, PREVIOUS].iter().find_map(|name| {
        let path = folder.join(name);
        match read_file(&path) {
            Ok(saved) => saved,
            Err(why) => {
                tracing::warn!(path = %path.display(), %why, "snapshot file ignored");
                if why.is_for_good() {
                    // Out of the way, or it would become the one before in the place of a good one.
                    let _ = fs::rename(&path, folder.join(DAMAGED));
                }
                None
            }
        }
    })
}

/// `None`: there is no such file.
fn read_file(path: &Path) -> Result<Option<Saved>, Damaged> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(Damaged::TooLarge);
    }
    decode(&bytes).map(Some)
}

/// Puts `saved` in the place of what is there, which becomes the one before.
fn write(folder: &Path, saved: &Saved) -> io::Result<()> {
    let bytes = encode(saved).map_err(io::Error::other)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other(Damaged::TooLarge));
    }
    fs::create_dir_all(folder)?;
    let temporary = folder.join(TEMPORARY);
    let written = replace(folder, &temporary, &bytes);
    if written.is_err() {
        // On a full disk, half a file would be in the way of the next attempt.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn replace(folder: &Path, temporary: &Path, bytes: &[u8]) -> io::Result<()> {
    forget(temporary)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    let current = folder.join(CURRENT);
    match fs::rename(&current, folder.join(PREVIOUS)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::rename(temporary, current)?;
    File::open(folder)?.sync_all()
}

/// Removes what an earlier attempt left.
fn forget(temporary: &Path) -> io::Result<()> {
    match fs::remove_file(temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
