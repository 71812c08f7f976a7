//! Random histories, done to memory and to another store: answers, revisions and events have to be
//! equal.
//!
//! Memory is the model: a few lines of rules behind a lock. Redb is the same rules behind a queue,
//! a file and restarts, and none of that may show. Etcd has rules of its own, which have to come
//! to the same; it may begin a watch anew where memory needs not, and its leases outlive it. After
//! each step every open watch is read to the newest revision, so what it was told depends on
//! nothing but the history.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};
use serin_proto::unit::Revision;
use serin_store::{Compare, Lease, Op, Outcome, Page, Range, Result, Scope, Store, Txn};
use tokio::runtime::{Builder, Runtime};

use crate::{
    judge::{Mark, Seen, judge},
    recorder::{Recorder, key, revision},
    subject::{Etcd, Lasting as _, Losing as _, Memory, Redb, Subject},
};

const KEYS: [&str; 6] = [
    "config/a",
    "config/a/",
    "config/ab",
    "routers/a",
    "routers/b",
    "audit/1",
];
const SCOPES: [Scope; 3] = [Scope::Documents, Scope::Fleet, Scope::All];
const LEASES: usize = 2;
/// Nobody waits for it: leases of this test end by command.
const TTL: Duration = Duration::from_secs(3_600);

#[derive(Clone, Debug)]
enum Step {
    Txn(Vec<Wanted>, Vec<Done>),
    Grant(usize),
    EndLease(usize),
    Compact,
    Restart,
    CloseWatch(usize),
    OpenWatch(usize, bool),
}

/// A compare with what is there, or a little beside it.
#[derive(Clone, Debug)]
enum Wanted {
    Modified(usize, u64),
    Created(usize, u64),
    NothingNewer(usize, u64),
}

#[derive(Clone, Debug)]
enum Done {
    Put(usize, u8, Option<usize>),
    Delete(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let key = || 0..KEYS.len();
    // Mostly what is there, so that transactions commit.
    let beside = || prop_oneof![5 => Just(0_u64), 1 => 1_u64..3];
    let wanted = prop_oneof![
        (key(), beside()).prop_map(|(key, by)| Wanted::Modified(key, by)),
        (key(), beside()).prop_map(|(key, by)| Wanted::Created(key, by)),
        (0..SCOPES.len(), 0_u64..6).prop_map(|(scope, ago)| Wanted::NothingNewer(scope, ago)),
    ];
    let lease = prop_oneof![3 => Just(None), 1 => (0..LEASES).prop_map(Some)];
    let done = prop_oneof![
        3 => (key(), any::<u8>(), lease).prop_map(|(key, value, lease)| Done::Put(key, value, lease)),
        2 => key().prop_map(Done::Delete),
    ];
    prop_oneof![
        20 => (vec(wanted, 0..2), vec(done, 0..4)).prop_map(|(wanted, done)| Step::Txn(wanted, done)),
        3 => (0..LEASES).prop_map(Step::Grant),
        2 => (0..LEASES).prop_map(Step::EndLease),
        1 => Just(Step::Compact),
        1 => Just(Step::Restart),
        3 => (0..SCOPES.len()).prop_map(Step::CloseWatch),
        3 => (0..SCOPES.len(), any::<bool>()).prop_map(|(scope, fresh)| Step::OpenWatch(scope, fresh)),
    ]
}

/// Each case of etcd starts one.
const CASES_REDB: u32 = 64;
const CASES_ETCD: u32 = 12;

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(CASES_REDB))]

    #[test]
    fn redb_answers_and_tells_what_memory_does(steps in vec(step(), 1..50)) {
        runtime().block_on(async {
            let redb = Side::of(Redb::start().await);
            compare(steps, redb).await;
        });
    }
}

proptest! {
    #![proptest_config(cases(CASES_ETCD))]

    #[test]
    fn etcd_answers_what_memory_does(mut steps in vec(step(), 30..60)) {
        steps.retain(|step| !matches!(step, Step::Restart));
        runtime().block_on(async {
            let etcd = Side::of(Etcd::start().await);
            compare(steps, etcd).await;
        });
    }
}

fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime")
}

async fn compare<S: Modelled>(steps: Vec<Step>, mut real: Side<S>) {
    let mut memory = Side::of(Memory::start().await);
    // A watch is read before anything is written, so that both begin alike.
    assert_eq!(real.look().await, memory.look().await);
    for (at, step) in steps.iter().enumerate() {
        let what = format!("step {at}: {step:?}");
        match step {
            Step::Restart => {
                memory.close();
                real.close();
                memory.end_leases_behind_their_backs().await;
                S::restart(&mut real).await;
            }
            Step::Compact => {
                memory.subject.compact().await;
                real.subject.compact().await;
            }
            step => {
                let expected = memory.take(step).await;
                assert_eq!(real.take(step).await, expected, "{what}");
            }
        }
        assert_eq!(real.look().await, memory.look().await, "{what}");
        if S::TELLS_THE_SAME {
            assert_eq!(real.told(), memory.told(), "{what}");
        }
    }
}

/// A store that is held against memory.
trait Modelled: Subject {
    /// Whether its watches begin anew only where those of memory do.
    const TELLS_THE_SAME: bool;

    async fn restart(side: &mut Side<Self>);
}

impl Modelled for Redb {
    const TELLS_THE_SAME: bool = true;

    async fn restart(side: &mut Side<Self>) {
        side.subject.restart().await;
        // Given back only now: while the store ran that would have ended them in an orderly way.
        side.leases = [const { None }; LEASES];
    }
}

impl Modelled for Etcd {
    const TELLS_THE_SAME: bool = false;

    async fn restart(_: &mut Side<Self>) {
        unreachable!("its leases outlive it: left out of its histories")
    }
}

/// One of the two stores with its clients.
struct Side<S> {
    subject: S,
    leases: [Option<Lease>; LEASES],
    recorders: Vec<Recorder>,
    open: BTreeSet<usize>,
}

/// All that can be seen of a side.
#[derive(Debug, PartialEq)]
struct Look {
    entries: Vec<serin_store::Entry>,
    revision: Revision,
    /// What each watcher holds, and where it is.
    held: Vec<(BTreeMap<String, u64>, u64)>,
}

/// What a watcher was told, however it was cut into events.
#[derive(Debug, PartialEq)]
enum Told {
    Reset(u64, Vec<Mark>),
    Change(Mark),
}

impl Side<Memory> {
    /// What a restart does to leases.
    async fn end_leases_behind_their_backs(&mut self) {
        let mut ids: Vec<_> = self.leases.iter().flatten().map(Lease::id).collect();
        ids.sort();
        for id in ids {
            self.subject.expire(id).await;
        }
        self.leases = [const { None }; LEASES];
    }
}

impl<S: Subject> Side<S> {
    fn of(subject: S) -> Self {
        let store = subject.store();
        let recorders = SCOPES.map(|scope| Recorder::open(&store, scope));
        Self {
            subject,
            leases: [const { None }; LEASES],
            recorders: recorders.into(),
            open: (0..SCOPES.len()).collect(),
        }
    }

    fn close(&mut self) {
        self.open.clear();
        self.recorders.iter_mut().for_each(Recorder::close);
    }

    async fn take(&mut self, step: &Step) -> Option<Result<Outcome>> {
        let store = self.subject.store();
        match step {
            Step::Txn(wanted, done) => {
                let txn = self.txn(&store, wanted, done).await;
                return Some(store.txn(txn).await.map(sorted));
            }
            Step::Grant(slot) => {
                let lease = store.lease(TTL).await.expect("a lease");
                self.end_lease(*slot).await;
                self.leases[*slot] = Some(lease);
            }
            Step::EndLease(slot) => self.end_lease(*slot).await,
            Step::CloseWatch(scope) => {
                self.open.remove(scope);
                self.recorders[*scope].close();
            }
            Step::OpenWatch(scope, fresh) => {
                self.open.insert(*scope);
                let recorder = &mut self.recorders[*scope];
                // Nothing was seen yet if it was closed before its first event.
                if *fresh || recorder.at == 0 {
                    *recorder = Recorder::open(&store, SCOPES[*scope]);
                } else {
                    recorder.reopen(&store);
                }
            }
            Step::Compact | Step::Restart => {}
        }
        None
    }

    async fn end_lease(&mut self, slot: usize) {
        if let Some(lease) = self.leases[slot].take() {
            lease.revoke().await;
        }
    }

    async fn txn(&self, store: &Arc<dyn Store>, wanted: &[Wanted], done: &[Done]) -> Txn {
        let now = revision(store).await;
        let mut txn = Txn::default();
        for wanted in wanted {
            let compare = match *wanted {
                Wanted::NothingNewer(scope, ago) => {
                    let range = Range::under(SCOPES[scope].prefix());
                    Compare::NothingNewer(range, Revision(now.saturating_sub(ago)))
                }
                Wanted::Modified(name, by) => {
                    let (entry, _) = store.get(&key(KEYS[name])).await.expect("an answer");
                    let there = entry.map_or(0, |entry| entry.mod_revision.0);
                    Compare::ModRevision(key(KEYS[name]), Revision(there + by))
                }
                Wanted::Created(name, by) => {
                    let (entry, _) = store.get(&key(KEYS[name])).await.expect("an answer");
                    let there = entry.map_or(0, |entry| entry.create_revision.0);
                    Compare::CreateRevision(key(KEYS[name]), Revision(there + by))
                }
            };
            txn.compares.push(compare);
        }
        for done in done {
            txn.ops.push(match *done {
                Done::Delete(name) => Op::Delete(key(KEYS[name])),
                Done::Put(name, value, slot) => {
                    let lease = slot.and_then(|slot| self.leases[slot].as_ref());
                    let value = Bytes::from(vec![value]);
                    Op::Put(key(KEYS[name]), value, lease.map(Lease::id))
                }
            });
        }
        txn
    }

    async fn look(&mut self) -> Look {
        let store = self.subject.store();
        let listing = store.list(Scope::All, Page::whole()).await;
        let listing = listing.expect("an answer");
        for scope in &self.open {
            let recorder = &mut self.recorders[*scope];
            recorder.until(listing.revision.0).await;
            assert_eq!(judge(&recorder.seen, None), [], "{:?}", recorder.seen);
        }
        let held = self.recorders.iter();
        Look {
            entries: listing.entries,
            revision: listing.revision,
            held: held.map(|r| (r.held.clone(), r.at)).collect(),
        }
    }

    fn told(&self) -> Vec<Vec<Told>> {
        self.recorders.iter().map(told).collect()
    }
}

/// The order of what is there is nobody's promise.
fn sorted(mut outcome: Outcome) -> Outcome {
    if let Outcome::Conflict { now, .. } = &mut outcome {
        now.sort_by(|one, other| one.key.cmp(&other.key));
    }
    outcome
}

fn told(recorder: &Recorder) -> Vec<Told> {
    let mut told = Vec::new();
    for seen in &recorder.seen {
        match seen {
            Seen::Reset { revision, held } => told.push(Told::Reset(*revision, held.clone())),
            Seen::Changes { marks, .. } => told.extend(marks.iter().cloned().map(Told::Change)),
            Seen::Opened { .. } | Seen::Progress { .. } => {}
        }
    }
    told
}
