//! The tables of a store's file, and how a ledger is read from them and written to them.
//!
//! ```text
//!   kv       key → (create revision, mod revision, version, lease or 0, value)
//!   history  (revision, index) → (key, create revision or 0 for a deletion, version, value)
//!   meta     format · identity · revision · compacted
//! ```

use std::path::{Path, PathBuf};

use ::redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use bytes::Bytes;
use serin_proto::unit::Revision;
use ulid::Ulid;

use super::error::{OpenError, Trouble};
use crate::{
    Entry, Key, LeaseId, StoreIdentity,
    ledger::{Commit, FIRST_REVISION, Ledger, Stored, Write},
    watch::Change,
};

type KvRow = (u64, u64, u64, i64, &'static [u8]);
type HistoryRow = (&'static str, u64, u64, &'static [u8]);

const KV: TableDefinition<&str, KvRow> = TableDefinition::new("kv");
const HISTORY: TableDefinition<(u64, u32), HistoryRow> = TableDefinition::new("history");
const META: TableDefinition<&str, &str> = TableDefinition::new("meta");

const META_FORMAT: &str = "format";
const META_IDENTITY: &str = "identity";
const META_REVISION: &str = "revision";
const META_COMPACTED: &str = "compacted";

/// What this version writes, and all it reads.
const FORMAT: u64 = 1;

/// A store's file, open and of our format.
pub(super) struct Disk {
    database: Database,
    file: PathBuf,
    meta: Meta,
}

#[derive(Clone, Debug)]
pub(super) struct Meta {
    pub(super) identity: StoreIdentity,
    pub(super) revision: Revision,
    compacted: Revision,
}

/// What is wrong with a table.
enum Wrong {
    Damage(String),
    Trouble(::redb::Error),
}

impl<E: Into<::redb::Error>> From<E> for Wrong {
    fn from(error: E) -> Self {
        Self::Trouble(error.into())
    }
}

impl Disk {
    /// Makes an empty store of a new identity.
    ///
    /// # Errors
    /// [`OpenError::Io`], [`OpenError::Damaged`].
    pub(super) fn begin(database: Database, file: &Path) -> Result<(), OpenError> {
        let begin = || {
            let txn = database.begin_write()?;
            {
                txn.open_table(KV)?;
                txn.open_table(HISTORY)?;
                let mut meta = txn.open_table(META)?;
                meta.insert(META_FORMAT, FORMAT.to_string().as_str())?;
                meta.insert(META_IDENTITY, Ulid::generate().to_string().as_str())?;
                meta.insert(META_REVISION, FIRST_REVISION.to_string().as_str())?;
                meta.insert(META_COMPACTED, FIRST_REVISION.to_string().as_str())?;
            }
            txn.commit()?;
            Ok(())
        };
        begin().map_err(|wrong| unopened(wrong, file))
    }

    /// # Errors
    /// [`OpenError::Newer`], [`OpenError::Damaged`], [`OpenError::Io`].
    pub(super) fn of(database: Database, file: PathBuf) -> Result<Self, OpenError> {
        let read = || {
            let txn = database.begin_read()?;
            let table = txn.open_table(META)?;
            let text = |name| {
                let value = table.get(name)?;
                let value = value.map(|value| value.value().to_owned());
                value.ok_or_else(|| Wrong::Damage(format!("its {name} is missing")))
            };
            let number = |name| {
                let text = text(name)?;
                let wrong = |_| Wrong::Damage(format!("its {name} is {text:?}"));
                text.parse::<u64>().map_err(wrong)
            };
            let format = number(META_FORMAT)?;
            if format > FORMAT {
                return Ok(Err(format));
            }
            Ok(Ok(Meta {
                identity: StoreIdentity(text(META_IDENTITY)?),
                revision: Revision(number(META_REVISION)?),
                compacted: Revision(number(META_COMPACTED)?),
            }))
        };
        match read() {
            Ok(Ok(meta)) => Ok(Self {
                database,
                file,
                meta,
            }),
            Ok(Err(format)) => Err(OpenError::Newer { file, format }),
            Err(wrong) => Err(unopened(wrong, &file)),
        }
    }

    pub(super) fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Everything in the file.
    ///
    /// # Errors
    /// [`OpenError::Damaged`] when the tables do not fit together, [`OpenError::Io`].
    pub(super) fn ledger(&self) -> Result<Ledger, OpenError> {
        let load = || {
            let txn = self.database.begin_read()?;
            let mut stored = Vec::new();
            for row in txn.open_table(KV)?.iter()? {
                let (key, row) = row?;
                stored.push(self.stored(key.value(), row.value())?);
            }
            let mut commits: Vec<Commit> = Vec::new();
            for row in txn.open_table(HISTORY)?.iter()? {
                let (place, row) = row?;
                let revision = Revision(place.value().0);
                let write = written(revision, row.value())?;
                match commits.last_mut() {
                    Some(commit) if commit.revision == revision => commit.writes.push(write),
                    _ => commits.push(Commit {
                        revision,
                        writes: vec![write],
                    }),
                }
            }
            self.check(&commits)?;
            let Meta {
                identity,
                compacted,
                ..
            } = self.meta.clone();
            Ok(Ledger::restored(identity, stored, compacted, commits))
        };
        load().map_err(|wrong| unopened(wrong, &self.file))
    }

    /// Writes new revisions down, and drops the history up to `trim`. All or nothing; on stable
    /// storage when it returns.
    ///
    /// # Errors
    /// Afterwards the file has to be opened again, and may hold them or not.
    pub(super) fn write(&mut self, commits: &[Commit], trim: Revision) -> Result<(), Trouble> {
        if commits.is_empty() && trim <= self.meta.compacted {
            return Ok(());
        }
        let newest = commits.last().map(|commit| commit.revision);
        let newest = newest.unwrap_or(self.meta.revision);
        self.write_all(commits, newest, trim)?;
        self.meta.revision = newest;
        self.meta.compacted = self.meta.compacted.max(trim);
        Ok(())
    }

    fn write_all(
        &self,
        commits: &[Commit],
        newest: Revision,
        trim: Revision,
    ) -> Result<(), ::redb::Error> {
        let txn = self.database.begin_write()?;
        {
            let mut kv = txn.open_table(KV)?;
            let mut history = txn.open_table(HISTORY)?;
            for commit in commits {
                for (index, write) in (0_u32..).zip(&commit.writes) {
                    let key = write.change.key().as_str();
                    let place = (commit.revision.0, index);
                    match &write.change {
                        Change::Put(entry) => {
                            let lease = write.lease.map_or(0, |lease| lease.0);
                            let (create, version) = (entry.create_revision.0, entry.version);
                            let value = entry.value.as_ref();
                            let row = (create, entry.mod_revision.0, version, lease, value);
                            kv.insert(key, row)?;
                            history.insert(place, (key, create, version, value))?;
                        }
                        Change::Delete { .. } => {
                            kv.remove(key)?;
                            history.insert(place, (key, 0, 0, &[][..]))?;
                        }
                    }
                }
            }
            let mut meta = txn.open_table(META)?;
            meta.insert(META_REVISION, newest.to_string().as_str())?;
            if trim > self.meta.compacted {
                history.retain_in(..=(trim.0, u32::MAX), |_, _| false)?;
                meta.insert(META_COMPACTED, trim.to_string().as_str())?;
            }
        }
        txn.commit()?;
        Ok(())
    }

    fn stored(&self, key: &str, row: (u64, u64, u64, i64, &[u8])) -> Result<Stored, Wrong> {
        let (create, modified, version, lease, value) = row;
        let key = Key::new(key).map_err(|bad| Wrong::Damage(bad.to_string()))?;
        if modified > self.meta.revision.0 || create > modified {
            let message = format!("{key} is at revision {modified}, the store is not");
            return Err(Wrong::Damage(message));
        }
        Ok(Stored {
            entry: Entry {
                key,
                value: Bytes::copy_from_slice(value),
                create_revision: Revision(create),
                mod_revision: Revision(modified),
                version,
            },
            lease: (lease != 0).then_some(LeaseId(lease)),
        })
    }

    /// A history without a gap, up to the store's revision.
    fn check(&self, commits: &[Commit]) -> Result<(), Wrong> {
        let expected = self.meta.compacted.0 + 1..=self.meta.revision.0;
        if expected.eq(commits.iter().map(|commit| commit.revision.0)) {
            Ok(())
        } else {
            let Meta {
                revision,
                compacted,
                ..
            } = &self.meta;
            let message = format!("its history does not run from {compacted} to {revision}");
            Err(Wrong::Damage(message))
        }
    }
}

fn written(revision: Revision, row: (&str, u64, u64, &[u8])) -> Result<Write, Wrong> {
    let (key, create, version, value) = row;
    let key = Key::new(key).map_err(|bad| Wrong::Damage(bad.to_string()))?;
    let change = if create == 0 {
        Change::Delete {
            key,
            mod_revision: revision,
        }
    } else {
        Change::Put(Entry {
            key,
            value: Bytes::copy_from_slice(value),
            create_revision: Revision(create),
            mod_revision: revision,
            version,
        })
    };
    // The lease is known by the key's own row, and matters nowhere else.
    Ok(Write {
        change,
        lease: None,
    })
}

fn unopened(wrong: Wrong, file: &Path) -> OpenError {
    let file = file.to_owned();
    match wrong {
        Wrong::Trouble(error) => OpenError::of(error, file),
        Wrong::Damage(why) => OpenError::Damaged { file, why },
    }
}
