//! A call may be awaited anywhere: also on a thread that has no runtime.

use std::{
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

use serin_store::{Answer, MemoryStore, Outcome, Page, RedbStore, Result, Scope, Store, Txn};

use crate::writer::put;

/// Polled again after this at the latest.
const PARKED_MAX: Duration = Duration::from_secs(1);

#[test]
fn a_local_store_needs_no_runtime_of_its_callers() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let redb = RedbStore::open(folder.path()).expect("an empty folder");
    let stores: [Arc<dyn Store>; 2] = [MemoryStore::new(), redb];
    for store in stores {
        let txn = Txn {
            ops: vec![put("config/a", "1")],
            ..Txn::default()
        };
        let outcome = alone(store.txn(txn));
        assert!(matches!(outcome, Ok(Outcome::Committed(_))), "{outcome:?}");
        let listing = alone(store.list(Scope::All, Page::whole())).expect("an answer");
        assert_eq!(listing.entries.len(), 1, "{}", store.backend());
        let lease = alone(store.lease(Duration::from_secs(60)));
        assert!(lease.is_ok(), "{lease:?}");
        drop(store.watch(Scope::All, None));
    }
}

struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls on this thread alone.
fn alone<T>(mut answer: Answer<'_, T>) -> Result<T> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match answer.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => thread::park_timeout(PARKED_MAX),
        }
    }
}
