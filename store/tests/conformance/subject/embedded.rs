//! The stores inside this process.

use std::sync::Arc;

use serin_store::{LeaseId, MemoryStore, RedbStore, Store};
use tempfile::TempDir;

use super::{Lasting, Losing, Subject};

pub(crate) struct Memory(Arc<MemoryStore>);

impl Subject for Memory {
    async fn start() -> Self {
        Self(MemoryStore::new())
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.0) as Arc<dyn Store>
    }

    async fn compact(&self) {
        self.0.compact();
    }

    async fn open_watches(&self) -> usize {
        self.0.open_watches()
    }
}

impl Losing for Memory {
    async fn expire(&self, lease: LeaseId) {
        self.0.expire(lease);
    }
}

pub(crate) struct Redb {
    folder: TempDir,
    store: Option<Arc<RedbStore>>,
}

impl Redb {
    fn now(&self) -> &Arc<RedbStore> {
        self.store.as_ref().expect("open but for a restart")
    }
}

impl Subject for Redb {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Some(RedbStore::open(folder.path()).expect("an empty folder"));
        Self { folder, store }
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(self.now()) as Arc<dyn Store>
    }

    async fn compact(&self) {
        self.now().compact().await.expect("a file to write");
    }

    async fn open_watches(&self) -> usize {
        self.now().open_watches()
    }
}

impl Lasting for Redb {
    async fn restart(&mut self) {
        self.store = None;
        let again = RedbStore::open(self.folder.path());
        self.store = Some(again.expect("nobody holds it any more"));
    }
}
