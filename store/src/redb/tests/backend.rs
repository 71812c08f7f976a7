//! A file that does as a test says: it counts what is done to it, remembers it, and fails.

use std::{
    fs::File,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use ::redb::{Builder, StorageBackend, backends::FileBackend};

use crate::redb::folder::Opener;

/// One thing done to a file.
#[derive(Clone, Debug)]
pub(super) enum Done {
    Write(u64, Vec<u8>),
    Length(u64),
    Sync,
}

/// What a test knows of a file, and tells it.
#[derive(Debug, Default)]
pub(super) struct Hand {
    /// What was in the file when it was opened last, and what was done to it since.
    log: Mutex<(Vec<u8>, Vec<Done>)>,
    /// Operations that still succeed, and how many fail then.
    left: AtomicU64,
    failing: AtomicU64,
    kind: Mutex<Option<io::ErrorKind>>,
}

impl Hand {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// After so many operations that change the file, so many fail.
    pub(super) fn fail(&self, after: u64, times: u64, kind: io::ErrorKind) {
        *self.kind.lock().unwrap_or_else(PoisonError::into_inner) = Some(kind);
        self.left.store(after, Ordering::SeqCst);
        self.failing.store(times, Ordering::SeqCst);
    }

    pub(super) fn heal(&self) {
        self.failing.store(0, Ordering::SeqCst);
    }

    /// Whether none of the failures is left to come.
    pub(super) fn has_failed(&self) -> bool {
        self.failing.load(Ordering::SeqCst) == 0
    }

    pub(super) fn log(&self) -> (Vec<u8>, Vec<Done>) {
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn done(&self) -> usize {
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .1
            .len()
    }

    /// Opens files that are in this hand.
    pub(super) fn opener(self: &Arc<Self>) -> Opener {
        let hand = Arc::clone(self);
        Box::new(move |file: File| {
            let backend = Held::of(file, Arc::clone(&hand))?;
            Builder::new()
                .set_check_integrity_on_open(true)
                .create_with_backend(backend)
        })
    }

    fn take(&self, done: Done) -> io::Result<()> {
        if self.failing.load(Ordering::SeqCst) > 0 {
            if self.left.load(Ordering::SeqCst) == 0 {
                self.failing.fetch_sub(1, Ordering::SeqCst);
                let kind = *self.kind.lock().unwrap_or_else(PoisonError::into_inner);
                return Err(kind.unwrap_or(io::ErrorKind::Other).into());
            }
            self.left.fetch_sub(1, Ordering::SeqCst);
        }
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.1.push(done);
        Ok(())
    }
}

#[derive(Debug)]
struct Held {
    file: FileBackend,
    hand: Arc<Hand>,
}

impl Held {
    fn of(file: File, hand: Arc<Hand>) -> Result<Self, ::redb::DatabaseError> {
        let file = FileBackend::new(file)?;
        let length = file.len()?;
        let mut before = vec![0; usize::try_from(length).expect("a small file")];
        file.read(0, &mut before)?;
        *hand.log.lock().unwrap_or_else(PoisonError::into_inner) = (before, Vec::new());
        Ok(Self { file, hand })
    }
}

impl StorageBackend for Held {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.hand.take(Done::Length(length))?;
        self.file.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.hand.take(Done::Sync)?;
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.hand.take(Done::Write(offset, data.to_vec()))?;
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
}
