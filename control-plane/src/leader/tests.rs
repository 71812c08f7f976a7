//! Elections on a store in memory, whose clock of leases a test sets forward.

use serin_store::{Error, Listing, MemoryStore, Outcome, StoreIdentity};

use super::*;

/// Longest wait for something that should happen soon.
const SOON: Duration = Duration::from_secs(10);

/// One control plane's candidacy, and the means to end it.
struct Running {
    leadership: watch::Receiver<Leadership>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<()>,
}

fn start(store: &Arc<MemoryStore>, id: &str) -> Running {
    let (sender, leadership) = watch::channel(Leadership::default());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let store: Arc<dyn Store> = Arc::clone(store) as _;
    let candidate = Candidate {
        id: id.to_owned(),
        boot_id: format!("boot of {id}"),
        address: "127.0.0.1:8090".to_owned(),
    };
    let stopped = async move {
        // The test has ended: so does the candidate.
        let _ = stopped.await;
    };
    Running {
        leadership,
        stop: Some(stop),
        task: tokio::spawn(run(store, candidate, sender, stopped)),
    }
}

impl Running {
    async fn wins(&mut self) -> Fence {
        let won = self
            .leadership
            .wait_for(|leadership| leadership.leading.is_some());
        let won = timeout(SOON, won).await.expect("it leads soon").unwrap();
        won.leading.unwrap()
    }

    async fn loses(&mut self) {
        let lost = self
            .leadership
            .wait_for(|leadership| leadership.leading.is_none());
        timeout(SOON, lost)
            .await
            .expect("it leads no more soon")
            .unwrap();
    }

    fn leads(&self) -> bool {
        self.leadership.borrow().leading.is_some()
    }

    async fn stop(mut self) {
        drop(self.stop.take());
        timeout(SOON, self.task)
            .await
            .expect("it ends soon")
            .unwrap();
    }
}

/// Leads without a process behind it.
pub(crate) async fn won(store: &MemoryStore) -> (Fence, Lease) {
    let lease = store.lease(TTL).await.unwrap();
    let value = Bytes::from_static(b"{}");
    let outcome = store.txn(claim(value.clone(), lease.id())).await.unwrap();
    (
        fence_of(&outcome, &value).expect("nobody else leads"),
        lease,
    )
}

/// What a leader would do by itself: a write that carries its fence.
async fn write(store: &MemoryStore, fence: Fence, word: &str) -> Outcome {
    let key = Key::new(format!("usage/{word}")).unwrap();
    let txn = Txn {
        compares: vec![fence.compare()],
        ops: vec![Op::Put(key, Bytes::from_static(b"{}"), None)],
        receipt: None,
    };
    store.txn(txn).await.unwrap()
}

async fn seat(store: &MemoryStore) -> Option<Entry> {
    store.get(&Key::from(&StoreKey::Election)).await.unwrap().0
}

#[tokio::test]
async fn of_two_candidates_one_leads_and_its_name_stands_in_the_store() {
    let store = MemoryStore::new();
    let mut a = start(&store, "a");
    let fence = a.wins().await;
    let b = start(&store, "b");
    let entry = seat(&store).await.expect("the leader's key");
    assert_eq!(fence, Fence(entry.create_revision));
    let told: serde_json::Value = serde_json::from_slice(&entry.value).unwrap();
    assert_eq!(told["id"], "a");
    assert_eq!(told["bootId"], "boot of a");
    assert_eq!(told["address"], "127.0.0.1:8090");
    assert!(
        told["since"]
            .as_str()
            .is_some_and(|since| since.ends_with('Z')),
        "{told}"
    );
    // Leases are kept alive: time alone changes nothing.
    store.advance(TTL * 10);
    assert!(matches!(
        write(&store, fence, "x").await,
        Outcome::Committed(_)
    ));
    assert!(a.leads() && !b.leads());
}

#[tokio::test]
async fn who_stops_hands_over_at_once() {
    let store = MemoryStore::new();
    let (mut a, mut b) = (start(&store, "a"), start(&store, "b"));
    let (first, second) = tokio::select! {
        fence = a.wins() => (fence, 'b'),
        fence = b.wins() => (fence, 'a'),
    };
    let (leader, mut follower) = if second == 'b' { (a, b) } else { (b, a) };
    leader.stop().await;
    // The lease's clock stands still, so only the revocation can have freed the key.
    let next = timeout(TTL / 2, follower.wins())
        .await
        .expect("no wait for the lease");
    assert_ne!(first, next);
    follower.stop().await;
    assert_eq!(seat(&store).await, None);
}

#[tokio::test]
async fn a_leader_whose_lease_has_ended_commits_nothing_and_stands_again() {
    let store = MemoryStore::new();
    let mut a = start(&store, "a");
    let old = a.wins().await;
    let entry = seat(&store).await.unwrap();
    // A paused process: its lease goes, and it does not know.
    store.partition();
    store.advance(TTL + Duration::from_secs(1));
    store.heal();
    assert_ne!(seat(&store).await.as_ref(), Some(&entry));
    let before = store.revision();
    let outcome = write(&store, old, "late").await;
    assert!(matches!(outcome, Outcome::Conflict { .. }), "{outcome:?}");
    let won_again = a
        .leadership
        .wait_for(|now| now.leading.is_some_and(|fence| fence != old));
    let new = timeout(SOON, won_again)
        .await
        .expect("it stands again")
        .unwrap()
        .leading
        .unwrap();
    assert!(new.0 > before);
    assert!(matches!(
        write(&store, old, "late").await,
        Outcome::Conflict { .. }
    ));
    assert!(matches!(
        write(&store, new, "now").await,
        Outcome::Committed(_)
    ));
}

#[tokio::test]
async fn a_leader_that_was_paused_past_its_lease_commits_nothing() {
    let store = MemoryStore::new();
    // A process that has won and does nothing any more: no keep-alive, no look at its lease.
    let (old, lease) = won(&store).await;
    let mut b = start(&store, "b");
    assert!(matches!(
        write(&store, old, "in-time").await,
        Outcome::Committed(_)
    ));
    assert!(!b.leads());
    store.expire(lease.id());
    let new = b.wins().await;
    let before = store.revision();
    assert!(matches!(
        write(&store, old, "late").await,
        Outcome::Conflict { .. }
    ));
    assert_eq!(store.revision(), before);
    assert!(matches!(
        write(&store, new, "now").await,
        Outcome::Committed(_)
    ));
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_is_settled_by_reading_the_key() {
    let store = MemoryStore::new();
    store.commit_but_say_unknown();
    let mut a = start(&store, "a");
    let fence = a.wins().await;
    assert_eq!(
        seat(&store).await.map(|entry| entry.create_revision),
        Some(fence.0)
    );
    assert_eq!(
        fence,
        Fence(Revision(2)),
        "the first claim won, no later one"
    );
}

#[tokio::test]
async fn a_claim_that_was_not_done_is_made_again() {
    let store = MemoryStore::new();
    store.fail_next(Error::Unknown {
        receipt: None,
        why: "the answer was lost".to_owned(),
    });
    store.fail_next(Error::Unavailable("no quorum".to_owned()));
    let mut a = start(&store, "a");
    a.wins().await;
}

#[tokio::test]
async fn a_key_that_somebody_deleted_is_a_lost_leadership() {
    let store = MemoryStore::new();
    let mut a = start(&store, "a");
    let old = a.wins().await;
    let txn = Txn {
        ops: vec![Op::Delete(Key::from(&StoreKey::Election))],
        ..Txn::default()
    };
    store.txn(txn).await.unwrap();
    let other = a.leadership.wait_for(|now| now.leading != Some(old));
    timeout(SOON, other).await.expect("it notices").unwrap();
    assert_ne!(a.wins().await, old);
}

#[tokio::test]
async fn a_leader_of_a_store_that_expired_its_lease_says_that_it_leads_no_more() {
    let store = MemoryStore::new();
    let mut a = start(&store, "a");
    a.wins().await;
    store.partition();
    store.advance(TTL + Duration::from_secs(1));
    a.loses().await;
}

#[test]
fn a_lease_without_a_keep_alive_for_half_its_time_is_not_relied_on() {
    let sent = clock::now();
    let s = Duration::from_secs;
    let table = [
        (Held::Since(sent), s(0), Standing::Fresh(s(5))),
        (Held::Since(sent), s(4), Standing::Fresh(s(1))),
        (Held::Since(sent), s(5), Standing::Quiet),
        (Held::Since(sent), s(60), Standing::Quiet),
        (Held::Gone, s(0), Standing::Gone),
    ];
    for (held, later, expected) in table {
        assert_eq!(standing(held, sent + later), expected, "{later:?}");
    }
}

fn entry(create: u64, value: &'static str) -> Entry {
    Entry {
        key: Key::from(&StoreKey::Election),
        value: Bytes::from_static(value.as_bytes()),
        create_revision: Revision(create),
        mod_revision: Revision(create),
        version: 1,
    }
}

fn listing(revision: u64, entries: Vec<Entry>) -> Event {
    Event::Reset(Listing {
        entries,
        revision: Revision(revision),
        identity: StoreIdentity::default(),
    })
}

fn changes(batch: Vec<Change>) -> Event {
    let revision = batch.last().map(Change::revision).unwrap_or_default();
    Event::Changes { batch, revision }
}

fn gone(revision: u64) -> Change {
    Change::Delete {
        key: Key::from(&StoreKey::Election),
        mod_revision: Revision(revision),
    }
}

#[test]
fn news_that_is_older_than_the_answer_to_a_claim_changes_nothing() {
    let mut seat = Seat::default();
    let value = Bytes::from_static(b"mine");
    seat.settle(&Outcome::Committed(Revision(8)), &value);
    seat.take(changes(vec![Change::Put(entry(5, "old")), gone(7)]));
    assert_eq!(seat.holder, Holder::Somebody(Revision(8)));
    assert!(!seat.is_lost(Fence(Revision(8))));
    seat.take(listing(6, vec![]));
    assert!(
        !seat.is_lost(Fence(Revision(8))),
        "a listing from before the claim"
    );
    seat.take(changes(vec![Change::Put(entry(8, "mine"))]));
    assert!(!seat.is_lost(Fence(Revision(8))));
    seat.take(changes(vec![gone(9)]));
    assert!(seat.is_lost(Fence(Revision(8))));
    assert_eq!(seat.holder, Holder::Nobody);
}

#[test]
fn a_key_that_was_lost_and_taken_within_one_batch_is_lost() {
    let mut seat = Seat::default();
    seat.settle(&Outcome::Committed(Revision(8)), &Bytes::new());
    seat.take(changes(vec![gone(9), Change::Put(entry(10, "theirs"))]));
    assert!(seat.is_lost(Fence(Revision(8))));
    assert_eq!(seat.holder, Holder::Somebody(Revision(10)));
}

#[test]
fn a_lost_claim_waits_for_the_winner_though_the_watch_is_late() {
    let mut seat = Seat::default();
    seat.take(listing(3, vec![]));
    let conflict = Outcome::Conflict {
        now: vec![entry(5, "theirs")],
        revision: Revision(6),
    };
    seat.settle(&conflict, &Bytes::from_static(b"mine"));
    assert_eq!(fence_of(&conflict, &Bytes::from_static(b"mine")), None);
    assert_eq!(seat.holder, Holder::Somebody(Revision(5)));
    seat.take(changes(vec![Change::Put(entry(5, "theirs"))]));
    seat.take(changes(vec![gone(7)]));
    assert_eq!(seat.holder, Holder::Nobody);
}
