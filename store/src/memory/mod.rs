//! A store in memory: for tests and `serin demo`, and the model that the other stores are held
//! against.
//!
//! It promises what every store promises, but for the stable storage. Its switches make happen
//! what a test waits for: a partition, an unknown outcome, a compaction, the end of a lease.
//!
//! Leases run on a clock that is the real one, set forward by [`MemoryStore::advance`]. While
//! nothing is cut off they are kept alive, however far it is set.

mod script;
mod tenures;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use serin_proto::unit::Revision;
use ulid::Ulid;

use crate::{
    Answer, Entry, Error, Key, Lease, LeaseId, Listing, Outcome, Page, Result, Resume, Scope,
    Store, StoreIdentity, Txn, Watch, clock,
    ledger::{Ledger, Window},
    local::{Mirror, Renewal, Worker, keep},
};
use script::{Script, Turn};
use tenures::Tenures;

/// A store that ends with its process.
pub struct MemoryStore {
    rooms: Arc<Rooms>,
    worker: Worker,
    next_lease: AtomicI64,
}

/// What its tasks share with it.
#[derive(Debug)]
struct Rooms {
    mirror: Arc<Mirror>,
    inside: Mutex<Inside>,
    begun: Instant,
}

#[derive(Debug)]
struct Inside {
    /// How far the clock was set forward.
    ahead: Duration,
    tenures: Tenures,
    script: Script,
    window: Window,
}

impl MemoryStore {
    /// An empty store at revision 1, with an unlimited history.
    ///
    /// # Panics
    /// When the process can start no thread.
    pub fn new() -> Arc<Self> {
        let identity = StoreIdentity(Ulid::generate().to_string());
        let inside = Inside {
            ahead: Duration::ZERO,
            tenures: Tenures::default(),
            script: Script::default(),
            window: Window {
                revisions_max: usize::MAX,
                bytes_max: usize::MAX,
            },
        };
        let rooms = Rooms {
            mirror: Mirror::of(Ledger::new(identity)),
            inside: Mutex::new(inside),
            begun: clock::now(),
        };
        Arc::new(Self {
            rooms: Arc::new(rooms),
            worker: Worker::start("serin-memory").expect("a process that can start a thread"),
            next_lease: AtomicI64::new(1),
        })
    }

    /// Keeps the changes of so many revisions at most, from the next transaction on.
    pub fn set_history(&self, revisions: usize) {
        self.rooms.inside().window.revisions_max = revisions;
    }

    /// Forgets all history: a watcher that is behind gets a `Reset`.
    pub fn compact(&self) {
        let mut ledger = self.rooms.mirror.write();
        let now = ledger.revision();
        ledger.compact(now);
    }

    /// Sets the clock of leases forward. Those that cannot be kept alive (see
    /// [`Self::partition`]) end if their time to live is over.
    pub fn advance(&self, by: Duration) {
        self.rooms.inside().ahead += by;
        self.rooms.settle();
    }

    /// Ends a lease behind its holder's back, as when keep-alives did not get through.
    pub fn expire(&self, lease: LeaseId) {
        self.rooms.end(lease);
    }

    /// The next transaction that is not told otherwise fails so, and changes nothing.
    /// [`Error::Unknown`] may be given too.
    pub fn fail_next(&self, error: Error) {
        self.rooms.inside().script.then(Turn::Fail(error));
    }

    /// The next transaction that is not told otherwise is done, and answered with
    /// [`Error::Unknown`] if it committed.
    pub fn commit_but_say_unknown(&self) {
        self.rooms.inside().script.then(Turn::CommitInSilence);
    }

    /// Cuts everybody off: calls are [`Error::Unavailable`], watches are `Down`, leases are not
    /// kept alive.
    pub fn partition(&self) {
        self.rooms.settle();
        self.rooms.mirror.set_reachable(false);
    }

    /// Ends a partition. Watches go on where they were.
    pub fn heal(&self) {
        self.rooms.settle();
        self.rooms.mirror.set_reachable(true);
        self.rooms.settle();
    }

    /// Watches that are open: 0 soon after the last one was dropped.
    pub fn open_watches(&self) -> usize {
        self.rooms.mirror.watches()
    }

    /// The revision now.
    pub fn revision(&self) -> Revision {
        self.rooms.mirror.read().revision()
    }

    fn grant(&self, ttl: Duration) -> Lease {
        let id = LeaseId(self.next_lease.fetch_add(1, Ordering::Relaxed));
        let now = clock::now();
        let (lease, keeper) = Lease::new(id, ttl, now);
        self.rooms.mirror.write().grant(id);
        let held = keeper.held.clone();
        {
            let mut inside = self.rooms.inside();
            let since = self.rooms.at(&inside);
            inside.tenures.begin(id, ttl, since, held);
        }
        let renewing = Arc::clone(&self.rooms);
        let ending = Arc::clone(&self.rooms);
        let end = async move { ending.end(id) };
        self.worker
            .spawn(keep(keeper, ttl, move || renewing.renew(id), end));
        lease
    }
}

impl Rooms {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time of leases, since the store began.
    fn at(&self, inside: &Inside) -> Duration {
        clock::now().saturating_duration_since(self.begun) + inside.ahead
    }

    fn commit(&self, txn: &Txn) -> Result<Outcome> {
        self.mirror.reach()?;
        let mut inside = self.inside();
        let turn = inside.script.next();
        if let Some(Turn::Fail(error)) = turn {
            return Err(error);
        }
        let mut ledger = self.mirror.write();
        let mut draft = ledger.draft();
        let outcome = draft.apply(txn)?;
        let drafted = draft.finish();
        ledger.adopt(drafted);
        let surplus = ledger.surplus(inside.window);
        ledger.compact(surplus);
        drop(ledger);
        drop(inside);
        self.mirror.tell();
        match (turn, &outcome) {
            (Some(Turn::CommitInSilence), Outcome::Committed(_)) => Err(Error::Unknown {
                receipt: txn.receipt.clone(),
                why: "the answer was lost".to_owned(),
            }),
            _ => Ok(outcome),
        }
    }

    fn renew(&self, lease: LeaseId) -> Renewal {
        self.settle();
        if !self.mirror.read().is_granted(lease) {
            Renewal::Lost
        } else if self.mirror.is_reachable() {
            Renewal::Kept(clock::now())
        } else {
            Renewal::Missed
        }
    }

    /// Keeps the leases alive that can be, and ends those whose time is over.
    fn settle(&self) {
        let lapsed = {
            let mut inside = self.inside();
            let at = self.at(&inside);
            if self.mirror.is_reachable() {
                inside.tenures.keep_all(at);
            }
            inside.tenures.lapsed(at)
        };
        for lease in lapsed {
            self.end(lease);
        }
    }

    /// Deletes the keys of a lease and tells its holder. Once it is gone, nothing happens.
    fn end(&self, lease: LeaseId) {
        {
            let mut ledger = self.mirror.write();
            let mut draft = ledger.draft();
            draft.end_lease(lease);
            let drafted = draft.finish();
            ledger.adopt(drafted);
        }
        self.mirror.tell();
        self.inside().tenures.end(lease);
    }
}

impl Store for MemoryStore {
    fn get<'a>(&'a self, key: &'a Key) -> Answer<'a, (Option<Entry>, Revision)> {
        Box::pin(async move {
            self.rooms.mirror.reach()?;
            let ledger = self.rooms.mirror.read();
            Ok((ledger.get(key).cloned(), ledger.revision()))
        })
    }

    fn list(&self, scope: Scope, page: Page) -> Answer<'_, Listing> {
        Box::pin(async move {
            self.rooms.mirror.reach()?;
            Ok(self.rooms.mirror.read().list(scope, &page))
        })
    }

    fn txn(&self, txn: Txn) -> Answer<'_, Outcome> {
        Box::pin(async move { self.rooms.commit(&txn) })
    }

    fn watch(&self, scope: Scope, after: Option<Resume>) -> Watch {
        self.rooms.mirror.watch(&self.worker, scope, after)
    }

    fn lease(&self, ttl: Duration) -> Answer<'_, Lease> {
        Box::pin(async move {
            self.rooms.mirror.reach()?;
            Ok(self.grant(ttl))
        })
    }

    fn backend(&self) -> &'static str {
        "memory"
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ledger = self.rooms.mirror.read();
        f.debug_struct("MemoryStore")
            .field("identity", ledger.identity())
            .field("revision", &ledger.revision())
            .finish_non_exhaustive()
    }
}
