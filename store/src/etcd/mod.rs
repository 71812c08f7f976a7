//! The store of a cluster: etcd, through one connection at a time.
//!
//! | file | answers |
//! |---|---|
//! | `connection` | which member do we speak with, and as whom |
//! | `call`, `trouble` | is there an answer in time; may it be asked again; what does a failure mean |
//! | `list`, `txn`, `keys` | our words in etcd's |
//! | `version` | is this etcd too old |
//! | `watch` | one stream of changes; who keeps one open is `watch/supervisor.rs` |
//! | `lease` | a lease and its task |
//!
//! Always: nothing here waits for etcd when it is opened; everything runs on the store's own
//! runtime, so an answer may be awaited anywhere, and what was begun is finished though its caller
//! has left. While etcd says that it is full, at most one write a second is tried.

mod call;
pub(crate) mod clock;
pub(crate) mod connection;
mod keys;
mod lease;
mod list;
mod timing;
pub(crate) mod trouble;
mod txn;
mod version;
pub(crate) mod watch;

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serin_proto::unit::Revision;
use tokio::{runtime::Handle, time::Instant};

use crate::{
    Answer, Entry, Error, EtcdSettings, Key, Lease, Listing, Op, Outcome, Page, Resume, Scope,
    Store, Txn, Watch,
    watch::{channel, supervisor::supervise},
};
use call::within;
use connection::Connector;
use trouble::{Kind, Trouble};
use watch::OpenWatches;

pub use timing::Timing;

/// Between two writes while the store says that it is full.
const FULL_PAUSE: Duration = Duration::from_secs(1);

/// A [`Store`] in an etcd cluster.
#[derive(Debug)]
pub struct EtcdStore {
    connector: Arc<Connector>,
    runtime: Handle,
    open_watches: OpenWatches,
    /// Until when, and with which words, a write is refused without asking.
    full: Arc<Mutex<Option<(Instant, String)>>>,
}

impl EtcdStore {
    /// A store at these endpoints (`host:port`), which need not be there yet.
    pub fn open(endpoints: Vec<String>, settings: EtcdSettings, runtime: &Handle) -> Arc<Self> {
        Self::open_with(endpoints, settings, Timing::default(), runtime)
    }

    /// The same with deadlines of one's own.
    pub fn open_with(
        endpoints: Vec<String>,
        settings: EtcdSettings,
        timing: Timing,
        runtime: &Handle,
    ) -> Arc<Self> {
        Arc::new(Self {
            connector: Arc::new(Connector::new(endpoints, settings, timing)),
            runtime: runtime.clone(),
            open_watches: OpenWatches::default(),
            full: Arc::default(),
        })
    }

    /// Streams that are open to etcd now: at most one for each [`Watch`] that is held.
    pub fn open_watches(&self) -> usize {
        self.open_watches.count()
    }

    /// Runs a call on our own runtime. `lost` is what a caller is told if that runtime ends.
    fn run<T: Send + 'static>(
        &self,
        call: impl Future<Output = crate::Result<T>> + Send + 'static,
        lost: Error,
    ) -> Answer<'static, T> {
        let task = self.runtime.spawn(call);
        Box::pin(async move { task.await.unwrap_or(Err(lost)) })
    }
}

impl Store for EtcdStore {
    fn get<'a>(&'a self, key: &'a Key) -> Answer<'a, (Option<Entry>, Revision)> {
        let (connector, key) = (Arc::clone(&self.connector), key.clone());
        let call = async move {
            let (bytes, deadline) = (keys::full(&key), connector.timing.call);
            let answer = call::read(&connector, |connection| {
                let (mut kv, bytes) = (connection.kv, bytes.clone());
                async move { within(deadline, kv.get(bytes, None)).await }
            });
            let mut answer = answer.await.map_err(Trouble::of_read)?;
            let found = answer.take_kvs().pop();
            let everything = Scope::All.range();
            let entry = found.and_then(|kv| keys::entry(kv.0, &everything));
            Ok((entry, list::at(&answer)))
        };
        self.run(call, stopping())
    }

    fn list(&self, scope: Scope, page: Page) -> Answer<'_, Listing> {
        let connector = Arc::clone(&self.connector);
        let call = async move {
            let deadline = connector.timing.call;
            let listing = call::read(&connector, |connection| {
                let page = page.clone();
                async move { connection.list(scope, &page, deadline).await }
            });
            listing.await.map_err(Trouble::of_read)
        };
        self.run(call, stopping())
    }

    fn txn(&self, txn: Txn) -> Answer<'_, Outcome> {
        let lost = Error::Unknown {
            receipt: txn.receipt.clone(),
            why: "this process is stopping".to_owned(),
        };
        let (connector, full) = (Arc::clone(&self.connector), Arc::clone(&self.full));
        let call = async move {
            txn.check()?;
            let puts = txn.ops.iter().any(|op| matches!(op, Op::Put(..)));
            if puts {
                refused_as_full(&full)?;
            }
            let (request, deadline) = (txn::request(&txn), connector.timing.call);
            let answer = call::write(&connector, |connection| {
                let (mut kv, request) = (connection.kv, request.clone());
                async move { within(deadline, kv.txn(request)).await }
            });
            match answer.await {
                Ok(answer) => Ok(txn::outcome(&answer)),
                Err(trouble) => {
                    if trouble.kind == Kind::Full {
                        let until = clock::now() + FULL_PAUSE;
                        *locked(&full) = Some((until, trouble.text.clone()));
                    }
                    Err(trouble.of_write(txn.receipt))
                }
            }
        };
        self.run(call, lost)
    }

    fn watch(&self, scope: Scope, after: Option<Resume>) -> Watch {
        let (feed, watch) = channel();
        let (connector, open) = (Arc::clone(&self.connector), self.open_watches.clone());
        self.runtime
            .spawn(supervise(connector, open, scope, after, feed));
        watch
    }

    fn lease(&self, ttl: Duration) -> Answer<'_, Lease> {
        let connector = Arc::clone(&self.connector);
        let call = async move {
            lease::grant(&connector, ttl)
                .await
                .map_err(Trouble::of_read)
        };
        self.run(call, stopping())
    }

    fn backend(&self) -> &'static str {
        "etcd"
    }
}

fn stopping() -> Error {
    Error::Unavailable("this process is stopping".to_owned())
}

/// What etcd said less than a second ago it would say again.
fn refused_as_full(full: &Mutex<Option<(Instant, String)>>) -> crate::Result<()> {
    match &*locked(full) {
        Some((until, text)) if clock::now() < *until => Err(Error::Full(text.clone())),
        _ => Ok(()),
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
