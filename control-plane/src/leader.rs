//! Which control plane leads, and the fence that makes a wrong answer harmless.
//!
//! ```text
//!   key there ──▶ watch ── key gone ──▶ jitter ──▶ claim: create election/control-plane under a lease
//!                  ▲                                  │ conflict           │ committed
//!                  └──────────────────────────────────┘                    ▼
//!                  ▲                                                 lead (Fence = its revision)
//!                  └── lease gone · no keep-alive for half of it · key gone ──┘      shutdown: revoke
//! ```
//!
//! Leading is a courtesy that saves work; safety is the [`Fence`]. Every write that a leader does by
//! itself compares the key's `create_revision` with the one it won, in the same transaction: who was
//! paused past the end of its lease commits nothing, whatever it believes.

use std::{
    future::Future,
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde::Serialize;
use serin_proto::{key::StoreKey, unit::Revision};
use serin_store::{
    Compare, Entry, Held, Key, Lease, LeaseId, Op, Outcome, Scope, Store, Txn, Watch,
    watch::{Change, Event},
};
use tokio::{sync::watch, time::timeout};

use crate::clock;

/// Time to live of the leader's lease: the longest time without a leader after one has died, less
/// the jitter.
const TTL: Duration = Duration::from_secs(10);
/// A leader whose newest keep-alive is older leads no more.
const QUIET_MAX: Duration = Duration::from_secs(5);
/// Losers try within this time after the key has gone, so that they do not try at once.
const JITTER_MAX: Duration = Duration::from_millis(500);
/// Pause after a claim that failed for the store's sake.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Times the same claim is sent while nobody knows what became of it.
const CLAIMS_MAX: usize = 5;
/// Longest wait for the store to hear that the lease is given up. It ends by itself anyway.
const REVOKE_MAX: Duration = Duration::from_secs(2);

/// Proof of having won: the `create_revision` of the leader's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fence(Revision);

impl Fence {
    /// What every transaction carries that a leader does by itself.
    pub(crate) fn compare(self) -> Compare {
        Compare::CreateRevision(Key::from(&StoreKey::Election), self.0)
    }
}

/// Whether this process leads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Leadership {
    pub(crate) leading: Option<Fence>,
}

/// Who wants to lead.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Candidate {
    /// Told to people: the host's name, say.
    pub(crate) id: String,
    /// Made anew with each start of the process.
    pub(crate) boot_id: String,
    /// Where its API listens, `host:port`.
    pub(crate) address: String,
}

/// Seeks to lead until `shutdown`, and tells by `leadership` whether it does. At the end the lease is
/// revoked, so that another may lead at once.
pub(crate) async fn run(
    store: Arc<dyn Store>,
    candidate: Candidate,
    leadership: watch::Sender<Leadership>,
    shutdown: impl Future<Output = ()>,
) {
    let watch = store.watch(Scope::Election, None);
    let mut race = Race {
        store,
        candidate,
        watch,
        seat: Seat::default(),
        claims_failed: 0,
    };
    tokio::pin!(shutdown);
    loop {
        let won = tokio::select! {
            () = &mut shutdown => return,
            won = race.win() => won,
        };
        let Some((fence, mut lease)) = won else {
            continue;
        };
        tracing::info!(revision = fence.0.0, "leadership was won");
        leadership.send_replace(Leadership {
            leading: Some(fence),
        });
        let stopping = tokio::select! {
            () = &mut shutdown => true,
            why = race.lead(fence, &mut lease) => {
                tracing::warn!(why, "leadership was lost");
                false
            }
        };
        leadership.send_replace(Leadership::default());
        if stopping {
            // Not heard in time: the key goes at the end of its lease.
            let _ = timeout(REVOKE_MAX, lease.revoke()).await;
            tracing::info!("leadership was given up");
            return;
        }
    }
}

struct Race {
    store: Arc<dyn Store>,
    candidate: Candidate,
    watch: Watch,
    seat: Seat,
    /// In a row.
    claims_failed: u32,
}

impl Race {
    /// Waits until nobody leads and claims the key. `None`: another was faster, or the store is
    /// in trouble.
    async fn win(&mut self) -> Option<(Fence, Lease)> {
        let was_held = self.vacancy().await;
        if was_held {
            tokio::time::sleep(jitter(JITTER_MAX)).await;
            while let Some(event) = self.watch.waiting() {
                self.seat.take(event);
            }
            if self.seat.holder != Holder::Nobody {
                return None;
            }
        }
        match self.claim().await {
            Ok(won) => {
                self.claims_failed = 0;
                won
            }
            Err(error) => {
                self.claims_failed = self.claims_failed.saturating_add(1);
                if self.claims_failed == 1 {
                    tracing::warn!(%error, "leadership could not be claimed");
                }
                tokio::time::sleep(RETRY_AFTER + jitter(JITTER_MAX)).await;
                None
            }
        }
    }

    /// Resolves when the key is known to be absent; tells whether somebody was seen to hold it
    /// meanwhile.
    async fn vacancy(&mut self) -> bool {
        let mut was_held = matches!(self.seat.holder, Holder::Somebody(_));
        while self.seat.holder != Holder::Nobody {
            let event = next(&mut self.watch).await;
            self.seat.take(event);
            was_held |= matches!(self.seat.holder, Holder::Somebody(_));
        }
        was_held
    }

    async fn claim(&mut self) -> serin_store::Result<Option<(Fence, Lease)>> {
        let lease = self.store.lease(TTL).await?;
        let value = told(&self.candidate, clock::rfc3339(clock::wall()));
        let txn = claim(value.clone(), lease.id());
        let mut failed = None;
        for _ in 0..CLAIMS_MAX {
            match self.store.txn(txn.clone()).await {
                Ok(outcome) => {
                    self.seat.settle(&outcome, &value);
                    return Ok(fence_of(&outcome, &value).map(|fence| (fence, lease)));
                }
                // The same again: its guard lets at most one commit, and a conflict shows whose
                // the key is.
                Err(error @ serin_store::Error::Unknown { .. }) => failed = Some(error),
                Err(error) => return Err(error),
            }
        }
        match failed {
            Some(error) => Err(error),
            None => Ok(None),
        }
    }

    /// Resolves when this process should not lead any more, with the reason.
    async fn lead(&mut self, fence: Fence, lease: &mut Lease) -> &'static str {
        loop {
            let left = match standing(lease.held(), clock::now()) {
                Standing::Fresh(left) => left,
                Standing::Quiet => return "no keep-alive",
                Standing::Gone => return "lease gone",
            };
            tokio::select! {
                () = tokio::time::sleep(left) => {}
                () = lease.gone() => {}
                event = next(&mut self.watch) => self.seat.take(event),
            }
            if self.seat.is_lost(fence) {
                return "key gone";
            }
        }
    }
}

/// A source that has ended says nothing more; what it told stays true.
async fn next(watch: &mut Watch) -> Event {
    match watch.next().await {
        Some(event) => event,
        None => std::future::pending().await,
    }
}

/// What is known of the key. Pure.
#[derive(Debug, Default)]
struct Seat {
    holder: Holder,
    /// The revision at which that was true.
    at: Revision,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Holder {
    /// Nothing was heard of the key yet.
    #[default]
    Unheard,
    Nobody,
    /// The `create_revision` of the key.
    Somebody(Revision),
}

impl Seat {
    fn take(&mut self, event: Event) {
        match event {
            // Believed even when it is older: after a restore everything is.
            Event::Reset(listing) => {
                self.holder = holder(&listing.entries);
                self.at = listing.revision;
            }
            Event::Changes { batch, .. } => {
                let news = batch
                    .iter()
                    .filter(|change| is_seat(change.key()) && change.revision() > self.at);
                if let Some(change) = news.last() {
                    self.at = change.revision();
                    self.holder = match change {
                        Change::Put(entry) => Holder::Somebody(entry.create_revision),
                        Change::Delete { .. } => Holder::Nobody,
                    };
                }
            }
            Event::Progress(_) | Event::Refused(_) | Event::Down(..) => {}
        }
    }

    /// What the answer to a claim tells, usually before the watch does.
    fn settle(&mut self, outcome: &Outcome, value: &Bytes) {
        let (now, at) = match outcome {
            Outcome::Committed(revision) => (Holder::Somebody(*revision), *revision),
            Outcome::Conflict { now, revision } => (holder(now), *revision),
        };
        let won = fence_of(outcome, value).is_some();
        if won || at >= self.at {
            self.holder = now;
            self.at = at;
        }
    }

    /// Whether the key is another's, or nobody's, since it was won.
    fn is_lost(&self, fence: Fence) -> bool {
        self.at > fence.0 && self.holder != Holder::Somebody(fence.0)
    }
}

fn holder(entries: &[Entry]) -> Holder {
    entries
        .iter()
        .find(|entry| is_seat(&entry.key))
        .map_or(Holder::Nobody, |entry| {
            Holder::Somebody(entry.create_revision)
        })
}

fn is_seat(key: &Key) -> bool {
    *key == Key::from(&StoreKey::Election)
}

/// The fence, if the claim with that value won: by its answer, or because the key holds that value.
fn fence_of(outcome: &Outcome, value: &Bytes) -> Option<Fence> {
    match outcome {
        Outcome::Committed(revision) => Some(Fence(*revision)),
        Outcome::Conflict { now, .. } => now
            .iter()
            .find(|entry| is_seat(&entry.key) && entry.value == *value)
            .map(|entry| Fence(entry.create_revision)),
    }
}

fn claim(value: Bytes, lease: LeaseId) -> Txn {
    let key = Key::from(&StoreKey::Election);
    Txn {
        compares: vec![Compare::CreateRevision(key.clone(), Revision(0))],
        ops: vec![Op::Put(key.clone(), value, Some(lease))],
        receipt: Some(key),
    }
}

/// The key's value. Its time, to the nanosecond, makes each claim's own.
fn told(candidate: &Candidate, since: String) -> Bytes {
    #[derive(Serialize)]
    struct Told<'a> {
        #[serde(flatten)]
        candidate: &'a Candidate,
        since: String,
    }
    Bytes::from(serde_json::to_vec(&Told { candidate, since }).unwrap_or_default())
}

/// How a leader's lease stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// For so much longer, without a further keep-alive.
    Fresh(Duration),
    /// Held perhaps, but not long enough to rely on.
    Quiet,
    Gone,
}

fn standing(held: Held, now: Instant) -> Standing {
    match held {
        Held::Gone => Standing::Gone,
        Held::Since(sent) => match (sent + QUIET_MAX).checked_duration_since(now) {
            Some(left) if !left.is_zero() => Standing::Fresh(left),
            _ => Standing::Quiet,
        },
    }
}

/// Up to `max`, anew each time.
pub(crate) fn jitter(max: Duration) -> Duration {
    let draw = RandomState::new().hash_one(0_u8) % 1_000;
    max * u32::try_from(draw).unwrap_or_default() / 1_000
}

#[cfg(test)]
pub(crate) mod tests;
