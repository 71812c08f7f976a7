//! The one thread that writes a store's file.
//!
//! ```text
//!   commands (≤ 64) ─▶ draft on the mirror ─▶ one durable commit ─▶ mirror adopts ─▶ answers
//!                                                  │ failed
//!                           open the file again: what does it hold?
//!          as before: nothing was written │ the new revisions: committed │ cannot be opened: unknown
//! ```
//!
//! While the file cannot be written, every transaction is refused at once, and it is opened again
//! with growing pauses. Reads and watches come from the mirror and know nothing of it.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use serin_proto::unit::Revision;
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
    time,
};

use super::{
    disk::Disk,
    error::{OpenError, Trouble, is_full},
    folder::Folder,
};
use crate::{
    Error, Key, LeaseId, Op, Outcome, Result, Txn, clock,
    ledger::{Drafted, Window},
    local::Mirror,
};

/// Most commands of one commit.
const COMMANDS_PER_COMMIT_MAX: usize = 64;

/// A commit takes no further transaction once it has so many bytes.
const BYTES_PER_COMMIT: usize = 8 * 1024 * 1024;

/// The history that is kept. A commit may exceed it until the next one.
const WINDOW: Window = Window {
    revisions_max: 10_000,
    bytes_max: 64 * 1024 * 1024,
};

/// The first and the longest pause before a file is opened again.
const REOPEN_AFTER_MIN: Duration = Duration::from_millis(100);
const REOPEN_AFTER_MAX: Duration = Duration::from_secs(5);

/// What the thread is asked to do.
pub(super) enum Command {
    Commit {
        txn: Txn,
        answer: oneshot::Sender<Result<Outcome>>,
    },
    EndLease {
        lease: LeaseId,
        done: oneshot::Sender<()>,
    },
    Compact {
        answer: oneshot::Sender<Result<()>>,
    },
}

/// Commands of one commit.
#[derive(Default)]
struct Batch {
    txns: Vec<Txn>,
    /// Of the transactions, in their order.
    answers: Vec<oneshot::Sender<Result<Outcome>>>,
    leases: Vec<LeaseId>,
    ended: Vec<oneshot::Sender<()>>,
    compacted: Vec<oneshot::Sender<Result<()>>>,
}

pub(super) struct Writer {
    mirror: Arc<Mirror>,
    /// Leases that are over, and whose keys are still there.
    over: BTreeSet<LeaseId>,
    // Dropped in this order: the folder is free once the file is closed.
    standing: Standing,
    folder: Folder,
}

enum Standing {
    Open(Disk),
    Broken(Broken),
}

struct Broken {
    cause: Trouble,
    /// What the file may hold beyond the mirror.
    in_doubt: Drafted,
    failures: u32,
    reopen_at: Instant,
}

/// What became of a commit.
enum Fate {
    Written,
    NotWritten(Trouble),
    Unknown(Trouble),
}

impl Writer {
    pub(super) fn new(mirror: Arc<Mirror>, folder: Folder, disk: Disk) -> Self {
        let over = mirror.read().leases_in_use();
        Self {
            mirror,
            folder,
            standing: Standing::Open(disk),
            over,
        }
    }

    /// Deletes the keys of leases that ended, those of an earlier process included.
    pub(super) fn end_leases(&mut self) {
        self.commit(Batch::default());
    }

    /// Until nobody can ask any more; closes the file.
    pub(super) fn run(mut self, mut commands: mpsc::Receiver<Command>, handle: &Handle) {
        loop {
            let command = match &self.standing {
                Standing::Open(_) => commands.blocking_recv(),
                // Looked at first: who keeps asking must not keep it from being opened again.
                Standing::Broken(broken) if broken.reopen_at <= clock::now() => {
                    self.reopen();
                    self.end_leases();
                    continue;
                }
                Standing::Broken(broken) => {
                    let due = broken.reopen_at.into();
                    let waited = async { time::timeout_at(due, commands.recv()).await };
                    match handle.block_on(waited) {
                        Ok(command) => command,
                        Err(_) => continue,
                    }
                }
            };
            let Some(first) = command else { return };
            self.commit(Batch::gather(first, &mut commands));
        }
    }

    fn commit(&mut self, batch: Batch) {
        self.over.extend(batch.leases);
        let (outcomes, drafted) = self.draft(&batch.txns);
        let fate = self.write(drafted, !batch.compacted.is_empty());
        // Who hung up does not want to know.
        for ((txn, outcome), answer) in batch.txns.into_iter().zip(outcomes).zip(batch.answers) {
            let _ = answer.send(told(outcome, &fate, txn.receipt));
        }
        for done in batch.ended {
            let _ = done.send(());
        }
        for answer in batch.compacted {
            let _ = answer.send(fate.done());
        }
    }

    fn draft(&self, txns: &[Txn]) -> (Vec<Result<Outcome>>, Drafted) {
        let ledger = self.mirror.read();
        let mut draft = ledger.draft();
        for lease in &self.over {
            draft.end_lease(*lease);
        }
        let outcomes = txns.iter().map(|txn| draft.apply(txn)).collect();
        (outcomes, draft.finish())
    }

    fn write(&mut self, drafted: Drafted, compact: bool) -> Fate {
        let disk = match &mut self.standing {
            Standing::Open(disk) => disk,
            Standing::Broken(broken) => return Fate::NotWritten(broken.cause.clone()),
        };
        let now = self.mirror.read();
        let newest = drafted.commits.last().map(|commit| commit.revision);
        let newest = newest.unwrap_or_else(|| now.revision());
        let trim = if compact { newest } else { now.surplus(WINDOW) };
        drop(now);
        match disk.write(&drafted.commits, trim) {
            Ok(()) => {
                self.adopt(drafted, trim);
                Fate::Written
            }
            Err(cause) => self.settle(cause, drafted),
        }
    }

    fn adopt(&mut self, drafted: Drafted, trim: Revision) {
        self.over.retain(|lease| !drafted.ended.contains(lease));
        {
            let mut ledger = self.mirror.write();
            ledger.adopt(drafted);
            ledger.compact(trim);
        }
        self.mirror.tell();
    }

    /// After a failed commit: what does the file hold?
    fn settle(&mut self, cause: Trouble, drafted: Drafted) -> Fate {
        tracing::error!(error = %cause, "store file could not be written");
        let before = self.mirror.read().revision();
        self.standing = Standing::Broken(Broken {
            cause: cause.clone(),
            in_doubt: drafted,
            failures: 0,
            reopen_at: clock::now(),
        });
        self.reopen();
        match self.standing {
            Standing::Broken(_) => Fate::Unknown(cause),
            Standing::Open(_) if self.mirror.read().revision() > before => Fate::Written,
            Standing::Open(_) => Fate::NotWritten(cause),
        }
    }

    /// Opens the file again, and settles what was in doubt.
    fn reopen(&mut self) {
        let Standing::Broken(broken) = &mut self.standing else {
            return;
        };
        let in_mirror = self.mirror.read().revision();
        let in_doubt = broken.in_doubt.commits.last();
        let in_doubt = in_doubt.map_or(in_mirror, |commit| commit.revision);
        let identity = self.mirror.read().identity().clone();
        let disk = self.folder.disk(false).map_err(trouble).and_then(|disk| {
            let meta = disk.meta();
            let ours = meta.identity == identity;
            if ours && (meta.revision == in_mirror || meta.revision == in_doubt) {
                Ok(disk)
            } else {
                Err(foreign(meta.revision, in_mirror))
            }
        });
        match disk {
            Ok(disk) => {
                let settled = std::mem::take(&mut broken.in_doubt);
                let committed = disk.meta().revision > in_mirror;
                self.standing = Standing::Open(disk);
                if committed {
                    let trim = self.mirror.read().compacted();
                    self.adopt(settled, trim);
                }
                tracing::info!(committed, "store file was opened again");
            }
            Err(cause) => {
                broken.failures += 1;
                broken.reopen_at = clock::now() + pause(broken.failures);
                broken.cause = cause;
            }
        }
    }
}

impl Batch {
    /// The first command and those that wait behind it, as many as one commit takes.
    fn gather(first: Command, commands: &mut mpsc::Receiver<Command>) -> Self {
        let mut batch = Self::default();
        let mut bytes = batch.take(first);
        for _ in 1..COMMANDS_PER_COMMIT_MAX {
            if bytes >= BYTES_PER_COMMIT {
                break;
            }
            let Ok(next) = commands.try_recv() else { break };
            bytes += batch.take(next);
        }
        batch
    }

    /// Returns the bytes of its values.
    fn take(&mut self, command: Command) -> usize {
        match command {
            Command::Commit { txn, answer } => {
                let values = txn.ops.iter().map(|op| match op {
                    Op::Put(_, value, _) => value.len(),
                    Op::Delete(_) => 0,
                });
                let bytes = values.sum();
                self.txns.push(txn);
                self.answers.push(answer);
                return bytes;
            }
            Command::EndLease { lease, done } => {
                self.leases.push(lease);
                self.ended.push(done);
            }
            Command::Compact { answer } => self.compacted.push(answer),
        }
        0
    }
}

impl Fate {
    /// For what is asked for without a transaction: it is done, or it may be asked again.
    fn done(&self) -> Result<()> {
        match self {
            Self::Written => Ok(()),
            Self::NotWritten(cause) | Self::Unknown(cause) => Err(cause.refusal()),
        }
    }
}

/// What a caller is told. A refusal of the transaction itself stands whatever the disk does; every
/// other outcome rests on revisions that have to be on disk.
fn told(outcome: Result<Outcome>, fate: &Fate, receipt: Option<Key>) -> Result<Outcome> {
    match (outcome?, fate) {
        (outcome, Fate::Written) => Ok(outcome),
        (_, Fate::NotWritten(cause)) => Err(cause.refusal()),
        (Outcome::Conflict { .. }, Fate::Unknown(cause)) => {
            Err(Error::Unavailable(cause.why.clone()))
        }
        (Outcome::Committed(_), Fate::Unknown(cause)) => Err(Error::Unknown {
            receipt,
            why: cause.why.clone(),
        }),
    }
}

fn pause(failures: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
    REOPEN_AFTER_MIN
        .saturating_mul(doubled)
        .min(REOPEN_AFTER_MAX)
}

fn trouble(error: OpenError) -> Trouble {
    let full = matches!(&error, OpenError::Io { source, .. } if is_full(source.kind()));
    Trouble {
        full,
        why: error.to_string(),
    }
}

fn foreign(on_disk: Revision, in_mirror: Revision) -> Trouble {
    Trouble {
        full: false,
        why: format!("the file on disk is at revision {on_disk}, this process at {in_mirror}"),
    }
}
