//! A store that lets a test decide when a view hears of what, and who comes in between.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use serin_proto::unit::Revision;
use serin_store::{
    Answer, Entry, Key, Lease, Listing, MemoryStore, Op, Outcome, Page, Resume, Scope, Store, Txn,
    Watch,
    watch::{self, Event},
};
use tokio::sync::watch as cell;

/// When documents reach who watches them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    AtOnce,
    /// When they ask for progress.
    WhenAsked,
    Never,
}

/// What is written before somebody's transaction: another writer who was faster.
type Meddler = Box<dyn Fn(usize) -> Option<Op> + Send + Sync>;

/// A memory store with news held back and writers in between.
pub(crate) struct Staged {
    memory: Arc<MemoryStore>,
    news: cell::Sender<News>,
    meddler: Mutex<Option<Meddler>>,
    sent: Mutex<Vec<Txn>>,
    count: AtomicUsize,
}

impl Staged {
    pub(super) fn new(memory: Arc<MemoryStore>) -> Arc<Self> {
        Arc::new(Self {
            memory,
            news: cell::Sender::new(News::AtOnce),
            meddler: Mutex::default(),
            sent: Mutex::default(),
            count: AtomicUsize::new(0),
        })
    }

    pub(crate) fn news(&self, news: News) {
        self.news.send_replace(news);
    }

    /// Before the n-th transaction from now, from 0, what `meddler` gives is written.
    pub(crate) fn meddle(&self, meddler: impl Fn(usize) -> Option<Op> + Send + Sync + 'static) {
        self.count.store(0, SeqCst);
        *self.meddler.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(meddler));
    }

    /// Every transaction that was sent through it.
    pub(crate) fn sent(&self) -> Vec<Txn> {
        self.sent
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn between(&self) -> Option<Op> {
        let meddler = self.meddler.lock().unwrap_or_else(PoisonError::into_inner);
        meddler
            .as_ref()
            .and_then(|meddler| meddler(self.count.fetch_add(1, SeqCst)))
    }
}

impl fmt::Debug for Staged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Staged").finish_non_exhaustive()
    }
}

impl Store for Staged {
    fn get<'a>(&'a self, key: &'a Key) -> Answer<'a, (Option<Entry>, Revision)> {
        self.memory.get(key)
    }

    fn list(&self, scope: Scope, page: Page) -> Answer<'_, Listing> {
        self.memory.list(scope, page)
    }

    fn txn(&self, txn: Txn) -> Answer<'_, Outcome> {
        self.sent
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(txn.clone());
        Box::pin(async move {
            if let Some(op) = self.between() {
                let first = Txn {
                    ops: vec![op],
                    ..Txn::default()
                };
                self.memory.txn(first).await?;
            }
            self.memory.txn(txn).await
        })
    }

    fn watch(&self, scope: Scope, after: Option<Resume>) -> Watch {
        let inner = self.memory.watch(scope, after);
        if scope != Scope::Documents {
            return inner;
        }
        let (feed, outer) = watch::channel();
        tokio::spawn(hold(inner, feed, self.news.subscribe()));
        outer
    }

    fn lease(&self, ttl: Duration) -> Answer<'_, Lease> {
        self.memory.lease(ttl)
    }

    fn backend(&self) -> &'static str {
        "memory"
    }
}

/// Passes events on as [`News`] says.
async fn hold(mut inner: Watch, feed: watch::Feed, mut news: cell::Receiver<News>) {
    let mut held: Vec<Event> = Vec::new();
    loop {
        let now = *news.borrow_and_update();
        let passes = tokio::select! {
            event = inner.next() => {
                let Some(event) = event else { return };
                held.push(event);
                now == News::AtOnce
            }
            () = feed.asked() => {
                inner.ask_progress();
                now != News::Never
            }
            changed = news.changed() => changed.is_err() || *news.borrow() == News::AtOnce,
            () = feed.closed() => return,
        };
        if passes {
            for event in held.drain(..) {
                feed.send(event).await;
            }
        }
    }
}
