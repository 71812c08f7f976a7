//! Promise 5: reads see every committed write; a listing is one revision.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use serin_store::{Entry, Op, Outcome, Page, Scope, Store};

use crate::{
    recorder::{key, revision},
    subject::Subject,
    writer::{Writer, commit, put},
};

/// More than two pages of etcd.
const MANY: usize = 1_200;
const OPS: usize = 100;

pub(crate) async fn a_read_sees_what_was_committed_before_it(subject: impl Subject) {
    let store = subject.store();
    let mut writer = Writer::of(&store);
    for n in 0..50 {
        let at = writer.put("config/a", &n.to_string()).await;
        let (entry, now) = store.get(&key("config/a")).await.expect("an answer");
        let entry = entry.expect("it was put");
        assert_eq!((entry.mod_revision.0, now.0), (at, at));
        assert_eq!(entry.value, n.to_string().as_bytes());
        let listing = store.list(Scope::Documents, Page::whole()).await;
        assert_eq!(listing.expect("an answer").entries, [entry]);
    }
}

pub(crate) async fn a_scope_ends_where_its_neighbours_begin(subject: impl Subject) {
    let store = subject.store();
    let mut writer = Writer::of(&store);
    let neighbours = [
        "a",
        "a/",
        "ab",
        "config",
        "config-",
        "config/",
        "config/a",
        "config/~",
        "config0",
        "configs/a",
    ];
    for name in neighbours {
        writer.put(name, "1").await;
    }
    let listed = async |scope| names(&list(&store, scope, Page::whole()).await);
    let documents = listed(Scope::Documents).await;
    assert_eq!(documents, ["config/", "config/a", "config/~"]);
    assert_eq!(listed(Scope::All).await, neighbours);
    assert!(listed(Scope::Fleet).await.is_empty());
}

pub(crate) async fn pages_follow_each_other_in_both_directions(subject: impl Subject) {
    let store = subject.store();
    let mut writer = Writer::of(&store);
    for name in [
        "audit/1", "audit/2", "audit/3", "audit/4", "config/0", "tokens/9",
    ] {
        writer.put(name, "1").await;
    }
    let page = |after: Option<&str>, limit, newest_first| Page {
        after: after.map(key),
        limit,
        newest_first,
    };
    for (page, expected) in [
        (page(None, Some(2), false), &["1", "2"][..]),
        (page(Some("audit/2"), Some(2), false), &["3", "4"]),
        (page(Some("audit/4"), Some(2), false), &[]),
        (page(Some("audit/25"), None, false), &["3", "4"]),
        (page(None, Some(3), true), &["4", "3", "2"]),
        (page(Some("audit/2"), None, true), &["1"]),
        (page(Some("audit/1"), Some(9), true), &[]),
        (page(None, None, true), &["4", "3", "2", "1"]),
    ] {
        let what = format!("{page:?}");
        let listed = names(&list(&store, Scope::Audit, page).await);
        let expected: Vec<String> = expected.iter().map(|n| format!("audit/{n}")).collect();
        assert_eq!(listed, expected, "{what}");
    }
}

/// Each transaction writes the first and the last key alike, so a listing of two revisions shows.
pub(crate) async fn a_listing_is_one_revision_while_others_write_and_compact(
    subject: impl Subject,
) {
    let store = subject.store();
    for chunk in (0..MANY).collect::<Vec<_>>().chunks(OPS) {
        let puts = chunk.iter().map(|n| put(&format!("config/m{n:04}"), "1"));
        let outcome = commit(&store, puts.collect()).await;
        assert!(matches!(outcome, Ok(Outcome::Committed(_))), "{outcome:?}");
    }
    let stop = Arc::new(AtomicBool::new(false));
    let writers =
        [1, 2].map(|id| tokio::spawn(write_pairs(Arc::clone(&store), id, Arc::clone(&stop))));
    let before = revision(&store).await;
    for round in 0..30 {
        if round % 5 == 0 {
            subject.compact().await;
        }
        let listing = store.list(Scope::Documents, Page::whole()).await;
        let listing = listing.expect("an answer");
        let value = |name: &str| {
            let entry = listing.entries.iter().find(|e| e.key.as_str() == name);
            entry.map(|entry| (entry.value.clone(), entry.mod_revision))
        };
        assert_eq!(value("config/a"), value("config/z"), "round {round}");
        let newest = listing.entries.iter().map(|entry| entry.mod_revision).max();
        assert!(newest <= Some(listing.revision), "round {round}");
        let middle = listing
            .entries
            .iter()
            .filter(|e| e.key.as_str() < "config/z");
        assert!(middle.count() >= MANY, "round {round}");
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.expect("no panic");
    }
    assert!(revision(&store).await > before, "they wrote meanwhile");
}

async fn write_pairs(store: Arc<dyn Store>, id: u32, stop: Arc<AtomicBool>) {
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let value = format!("{id}:{n}");
        let outcome = commit(
            &store,
            vec![put("config/a", &value), put("config/z", &value)],
        )
        .await;
        assert!(matches!(outcome, Ok(Outcome::Committed(_))), "{outcome:?}");
    }
}

/// Values whose listing is larger than what a client of etcd decodes by default.
pub(crate) async fn a_listing_may_be_large(subject: impl Subject) {
    let store = subject.store();
    let value = Bytes::from(vec![b'x'; 256 * 1024]);
    for n in 0..40 {
        let op = Op::Put(key(&format!("config/{n:02}")), value.clone(), None);
        let outcome = commit(&store, vec![op]).await;
        assert!(matches!(outcome, Ok(Outcome::Committed(_))), "{outcome:?}");
    }
    let entries = list(&store, Scope::Documents, Page::whole()).await;
    assert_eq!(entries.len(), 40);
    assert!(entries.iter().all(|entry| entry.value == value));
}

async fn list(store: &Arc<dyn Store>, scope: Scope, page: Page) -> Vec<Entry> {
    store.list(scope, page).await.expect("an answer").entries
}

fn names(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(|entry| entry.key.to_string()).collect()
}
