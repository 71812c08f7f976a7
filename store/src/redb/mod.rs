//! A store in one file of one process: what `serin up` rests on.
//!
//! ```text
//!   get, list, watch ──▶ mirror (memory) ◀── adopt ── writer thread ──▶ DIR/serin.redb
//!   txn ──▶ queue ───────────────────────────────────────┘   one fsync per ≤ 64 transactions
//! ```
//!
//! What is answered `Committed` is on disk before anyone can read it. A folder belongs to one
//! process; a file that is damaged, or newer than we are, is refused and never replaced. Leases
//! end with the process, so their keys are deleted when the store is opened.

mod disk;
mod error;
mod folder;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    fmt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    thread,
    time::Duration,
};

use serin_proto::unit::Revision;
use tokio::sync::{mpsc, oneshot};

pub use error::OpenError;

use crate::{
    Answer, Entry, Error, Key, Lease, LeaseId, Listing, Outcome, Page, Result, Resume, Scope,
    Store, Txn, Watch, clock,
    local::{Mirror, Renewal, Worker, keep},
};
use folder::{Folder, Opener};
use writer::{Command, Writer};

/// Transactions that may wait for the writer before their callers wait too.
const COMMANDS_WAITING_MAX: usize = 256;

/// Why nobody writes any more: a panic, which has been reported.
const ENDED: &str = "the writer of the store has ended";

/// A store in a folder of its own. Dropping the last handle closes the file, so that it can be
/// opened again at once.
pub struct RedbStore {
    mirror: Arc<Mirror>,
    next_lease: AtomicI64,
    // Dropped in this order: the tasks, which may command the writer too; the last way to command
    // it; and the writer itself, which then ends.
    worker: Worker,
    commands: mpsc::Sender<Command>,
    _writer: WriterThread,
}

impl RedbStore {
    /// Opens the store of a folder, both made if they are not there. Reads the whole file, on the
    /// calling thread.
    ///
    /// # Errors
    /// [`OpenError::InUse`], [`OpenError::Damaged`], [`OpenError::Newer`], [`OpenError::Io`].
    pub fn open(folder: &Path) -> std::result::Result<Arc<Self>, OpenError> {
        Self::open_by(folder, Box::new(folder::database))
    }

    fn open_by(path: &Path, opener: Opener) -> std::result::Result<Arc<Self>, OpenError> {
        let folder = Folder::take(path, opener)?;
        let disk = folder.disk(true)?;
        let mirror = Mirror::of(disk.ledger()?);
        // Not one that a key is under: should its end fail now, it would take our keys later.
        let left_over = mirror.read().leases_in_use();
        let next_lease = left_over.last().map_or(1, |lease| lease.0 + 1);
        let mut writer = Writer::new(Arc::clone(&mirror), folder, disk);
        writer.end_leases();
        let failed = |source| OpenError::Io {
            path: path.to_owned(),
            source,
        };
        let worker = Worker::start("serin-redb").map_err(failed)?;
        let handle = worker.handle();
        let (commands, waiting) = mpsc::channel(COMMANDS_WAITING_MAX);
        let writer = thread::Builder::new()
            .name("serin-redb-writer".to_owned())
            .spawn(move || writer.run(waiting, &handle))
            .map_err(failed)?;
        Ok(Arc::new(Self {
            mirror,
            next_lease: AtomicI64::new(next_lease),
            worker,
            commands,
            _writer: WriterThread(Some(writer)),
        }))
    }

    /// Forgets all history: a watcher that is behind gets a `Reset`. Without it as much is kept as
    /// the window holds.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Full`] when the file cannot be written.
    pub async fn compact(&self) -> Result<()> {
        let (answer, answered) = oneshot::channel();
        let ended = |_| Error::Unavailable(ENDED.to_owned());
        let asked = self.commands.send(Command::Compact { answer }).await;
        asked.map_err(|_| ended(()))?;
        answered.await.map_err(|_| ended(()))?
    }

    /// Watches that are open: 0 soon after the last one was dropped.
    pub fn open_watches(&self) -> usize {
        self.mirror.watches()
    }

    fn grant(&self, ttl: Duration) -> Lease {
        let id = LeaseId(self.next_lease.fetch_add(1, Ordering::Relaxed));
        let (lease, keeper) = Lease::new(id, ttl, clock::now());
        self.mirror.write().grant(id);
        let mirror = Arc::clone(&self.mirror);
        // Only its end loses a lease here: holder and store are one process.
        let renew = move || match mirror.read().is_granted(id) {
            true => Renewal::Kept(clock::now()),
            false => Renewal::Lost,
        };
        let commands = self.commands.clone();
        let end = async move {
            let (done, ended) = oneshot::channel();
            let command = Command::EndLease { lease: id, done };
            if commands.send(command).await.is_ok() {
                let _ = ended.await;
            }
        };
        self.worker.spawn(keep(keeper, ttl, renew, end));
        lease
    }
}

impl Store for RedbStore {
    fn get<'a>(&'a self, key: &'a Key) -> Answer<'a, (Option<Entry>, Revision)> {
        Box::pin(async move {
            let ledger = self.mirror.read();
            Ok((ledger.get(key).cloned(), ledger.revision()))
        })
    }

    fn list(&self, scope: Scope, page: Page) -> Answer<'_, Listing> {
        Box::pin(async move { Ok(self.mirror.read().list(scope, &page)) })
    }

    fn txn(&self, txn: Txn) -> Answer<'_, Outcome> {
        Box::pin(async move {
            let receipt = txn.receipt.clone();
            let (answer, answered) = oneshot::channel();
            let command = Command::Commit { txn, answer };
            if self.commands.send(command).await.is_err() {
                return Err(Error::Unavailable(ENDED.to_owned()));
            }
            let lost = |_| Error::Unknown {
                receipt,
                why: ENDED.to_owned(),
            };
            answered.await.map_err(lost)?
        })
    }

    fn watch(&self, scope: Scope, after: Option<Resume>) -> Watch {
        self.mirror.watch(&self.worker, scope, after)
    }

    fn lease(&self, ttl: Duration) -> Answer<'_, Lease> {
        Box::pin(async move { Ok(self.grant(ttl)) })
    }

    fn backend(&self) -> &'static str {
        "redb"
    }
}

impl fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ledger = self.mirror.read();
        f.debug_struct("RedbStore")
            .field("identity", ledger.identity())
            .field("revision", &ledger.revision())
            .finish_non_exhaustive()
    }
}

/// Waits for the writer when it is dropped, so that the file is closed afterwards.
struct WriterThread(Option<thread::JoinHandle<()>>);

impl Drop for WriterThread {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            // A panic has been reported by the panic hook already.
            let _ = thread.join();
        }
    }
}
