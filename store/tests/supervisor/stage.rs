//! What the tests of this folder share: a store with small deadlines, and reading a watch with a
//! bound.

use std::sync::Arc;
use std::time::Duration;

use serin_proto::unit::Revision;
use serin_store::etcd::Timing;
use serin_store::watch::{Change, Event, Reason};
use serin_store::{EtcdSettings, EtcdStore, Key, Listing, Watch};
use serin_tests::eventually;
use tokio::runtime::Handle;
use tokio::time::timeout;

/// Longest wait for an event that must come.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Deadlines that make a story short. Pings stay: a server refuses more of them.
pub(crate) fn quick() -> Timing {
    Timing {
        connect: Duration::from_millis(500),
        call: Duration::from_secs(1),
        ask_progress: Duration::from_millis(100),
        silent: Duration::from_millis(600),
        pause_min: Duration::from_millis(10),
        pause_max: Duration::from_millis(200),
        relist_max: Duration::from_millis(50),
        ..Timing::default()
    }
}

/// A store at these endpoints on the runtime of the test.
pub(crate) fn store_at(endpoints: Vec<String>, timing: Timing) -> Arc<EtcdStore> {
    let settings = EtcdSettings::default();
    EtcdStore::open_with(endpoints, settings, timing, &Handle::current())
}

pub(crate) fn key(text: &str) -> Key {
    Key::new(text).expect("a short text is a key")
}

/// Waits until this many streams are open to the server.
pub(crate) async fn streams(store: &EtcdStore, count: usize) {
    let open = async || store.open_watches();
    eventually("streams are open", SOON, open, |open| *open == count).await;
}

/// What comes within a bound.
pub(crate) async fn within<T>(what: &str, coming: impl Future<Output = T>) -> T {
    let Ok(came) = timeout(SOON, coming).await else {
        panic!("not within {SOON:?}: {what}");
    };
    came
}

/// The next event of any kind.
pub(crate) async fn next(watch: &mut Watch) -> Event {
    let event = within("an event", watch.next()).await;
    event.expect("a watch never ends by itself")
}

/// The next event that is no `Progress`.
pub(crate) async fn news(watch: &mut Watch) -> Event {
    let news = async {
        loop {
            match next(watch).await {
                Event::Progress(_) => {}
                event => return event,
            }
        }
    };
    within("an event that is no progress", news).await
}

/// The next event, which must be a listing; `Down` may come before it.
pub(crate) async fn reset(watch: &mut Watch) -> Listing {
    loop {
        match news(watch).await {
            Event::Reset(listing) => return listing,
            Event::Down(..) => {}
            other => panic!("expected a Reset, got {other:?}"),
        }
    }
}

/// The next news, which must be that it is down.
pub(crate) async fn down(watch: &mut Watch) -> Reason {
    match news(watch).await {
        Event::Down(reason, _) => reason,
        other => panic!("expected Down, got {other:?}"),
    }
}

/// The next news, which must be changes: each as `key@revision`, a deletion with a `-` before it.
pub(crate) async fn changes(watch: &mut Watch) -> (Vec<String>, u64) {
    match news(watch).await {
        Event::Changes { batch, revision } => (batch.iter().map(told).collect(), revision.0),
        other => panic!("expected Changes, got {other:?}"),
    }
}

/// The next event, which must be progress.
pub(crate) async fn progress(watch: &mut Watch) -> u64 {
    match next(watch).await {
        Event::Progress(Revision(revision)) => revision,
        other => panic!("expected Progress, got {other:?}"),
    }
}

pub(crate) fn told(change: &Change) -> String {
    match change {
        Change::Put(entry) => format!("{}@{}", entry.key, entry.mod_revision),
        Change::Delete { key, mod_revision } => format!("-{key}@{mod_revision}"),
    }
}

/// The keys of a listing, each as `key@revision`.
pub(crate) fn listed(listing: &Listing) -> Vec<String> {
    let entries = listing.entries.iter();
    let told = entries.map(|entry| format!("{}@{}", entry.key, entry.mod_revision));
    told.collect()
}
