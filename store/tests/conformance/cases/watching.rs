//! Promises 6–11: what a watcher is told, and from where.

use std::{sync::Arc, time::Duration};

use serin_proto::unit::Revision;
use serin_store::{Op, Outcome, Resume, Scope, Store, StoreIdentity, watch::Event};
use serin_tests::eventually;

use crate::{
    judge::Truth,
    recorder::{Recorder, key, revision},
    subject::Subject,
    writer::{Writer, commit, delete, put},
};

/// Sooner than a watch is looked at without a reason.
const FREED_WITHIN: Duration = Duration::from_secs(5);

pub(crate) async fn a_fresh_watch_begins_with_all_there_is(subject: impl Subject) {
    let store = subject.store();
    let mut writer = Writer::of(&store);
    for name in ["config/a", "config/b", "routers/a"] {
        writer.put(name, "1").await;
    }
    writer.delete("config/b").await;
    for scope in [Scope::Documents, Scope::All, Scope::Tokens] {
        let mut recorder = Recorder::open(&store, scope);
        let event = recorder.news().await;
        assert!(matches!(event, Event::Reset(_)), "{event:?}");
        writer.put("config/c", "1").await;
        recorder.until(revision(&store).await).await;
        recorder.assert_true(&writer.truth_of(scope));
    }
}

pub(crate) async fn every_change_comes_once_in_order_and_whole(subject: impl Subject) {
    let store = subject.store();
    let mut writer = Writer::of(&store);
    let scopes = [Scope::Documents, Scope::Fleet, Scope::All];
    let mut recorders = Vec::new();
    for scope in scopes {
        recorders.push(Recorder::begun(&store, scope).await);
    }
    for n in 0..100 {
        let (a, b) = (format!("config/{}", n % 7), format!("routers/{}", n % 3));
        writer.put(&a, "1").await;
        writer
            .ops(vec![put("config/x", "1"), put(&b, "1"), delete(&a)])
            .await;
    }
    let now = revision(&store).await;
    for (scope, mut recorder) in scopes.into_iter().zip(recorders) {
        recorder.until(now).await;
        recorder.assert_true(&writer.truth_of(scope));
        assert_eq!(recorder.resets(), 1, "{scope:?}");
    }
}

pub(crate) async fn a_change_elsewhere_is_progress_and_nothing_else(subject: impl Subject) {
    let store = subject.store();
    let mut recorder = Recorder::begun(&store, Scope::Documents).await;
    let now = Writer::of(&store).put("routers/a", "1").await;
    recorder.until(now).await;
    assert_eq!(recorder.marks(), [], "a report of a router is no document");
    recorder.assert_true(&Truth::new());
}

pub(crate) async fn a_watch_resumes_after_what_was_seen(subject: impl Subject) {
    let store = subject.store();
    let mut writer = Writer::of(&store);
    writer.put("config/a", "1").await;
    let mut recorder = Recorder::begun(&store, Scope::Documents).await;
    for round in 0..5 {
        recorder.close();
        for n in 0..round {
            writer.put(&format!("config/{n}"), &round.to_string()).await;
        }
        recorder.reopen(&store);
        recorder.until(revision(&store).await).await;
    }
    recorder.assert_true(&writer.truth);
    assert_eq!(recorder.resets(), 1, "nothing was told twice");
}

/// Whether its history is ours cannot be told by that key any more, so it may begin anew.
pub(crate) async fn a_watch_resumes_though_its_newest_key_is_gone(subject: impl Subject) {
    let store = subject.store();
    let mut writer = Writer::of(&store);
    writer.put("config/a", "1").await;
    writer.put("config/b", "1").await;
    let mut recorder = Recorder::begun(&store, Scope::Documents).await;
    recorder.close();
    writer.delete("config/b").await;
    recorder.reopen(&store);
    let now = writer.put("config/c", "1").await;
    recorder.until(now).await;
    recorder.assert_true(&writer.truth);
}

pub(crate) async fn who_resumes_and_missed_nothing_is_told_so(subject: impl Subject) {
    let store = subject.store();
    let now = Writer::of(&store).put("config/a", "1").await;
    let mut recorder = Recorder::begun(&store, Scope::Documents).await;
    recorder.reopen(&store);
    recorder.ask_progress();
    assert_eq!(recorder.news().await, Event::Progress(Revision(now)));
}

pub(crate) async fn a_watcher_behind_the_history_begins_anew(subject: impl Subject) {
    let store = subject.store();
    let mut writer = Writer::of(&store);
    for name in ["config/a", "config/b"] {
        writer.put(name, "1").await;
    }
    let mut recorder = Recorder::begun(&store, Scope::Documents).await;
    recorder.close();
    writer.delete("config/a").await;
    for n in 0..5 {
        writer.put("config/c", &n.to_string()).await;
    }
    subject.compact().await;
    writer.put("config/d", "1").await;
    recorder.reopen(&store);
    let event = recorder.news().await;
    assert!(matches!(event, Event::Reset(_)), "{event:?}");
    recorder.until(revision(&store).await).await;
    recorder.assert_true(&writer.truth);
    assert!(!recorder.held.contains_key("config/a"), "a deletion counts");
}

pub(crate) async fn a_compaction_does_not_disturb_who_keeps_up(subject: impl Subject) {
    let store = subject.store();
    let mut writer = Writer::of(&store);
    let mut recorder = Recorder::begun(&store, Scope::Documents).await;
    for n in 0..3 {
        for _ in 0..5 {
            writer.put("config/a", &n.to_string()).await;
        }
        recorder.until(revision(&store).await).await;
        subject.compact().await;
    }
    let now = writer.put("config/b", "1").await;
    recorder.until(now).await;
    recorder.assert_true(&writer.truth);
    assert_eq!(recorder.resets(), 1);
}

pub(crate) async fn what_does_not_fit_our_history_begins_anew(subject: impl Subject) {
    let store = subject.store();
    let mut writer = Writer::of(&store);
    writer.put("config/a", "1").await;
    let now = writer.put("config/b", "1").await;
    let good = Recorder::begun(&store, Scope::Documents).await.resume();
    let rows = [
        (
            "a revision to come",
            Resume {
                revision: Revision(now + 1_000),
                ..good.clone()
            },
        ),
        (
            "another store",
            Resume {
                identity: StoreIdentity("0".to_owned()),
                ..good.clone()
            },
        ),
        (
            "a key that is older here",
            Resume {
                newest: Some((key("config/b"), Revision(now - 1))),
                ..good.clone()
            },
        ),
        (
            "a key that was never here",
            Resume {
                newest: Some((key("config/c"), Revision(now))),
                ..good
            },
        ),
    ];
    for (what, resume) in rows {
        let mut recorder = Recorder::open(&store, Scope::Documents);
        recorder.reopen_from(&store, resume);
        // The judge is not asked: to it this is one watcher, which cannot go back.
        let event = recorder.news().await;
        let Event::Reset(listing) = event else {
            panic!("{what}: {event:?}")
        };
        assert_eq!(
            (listing.revision.0, listing.entries.len()),
            (now, 2),
            "{what}"
        );
    }
}

/// 2 500 transactions of four keys each, written while nobody reads.
pub(crate) async fn ten_thousand_events_behind_is_not_too_far(subject: impl Subject) {
    const TXNS: usize = 2_500;
    let store = subject.store();
    let mut writer = Writer::of(&store);
    let mut closed = Recorder::begun(&store, Scope::Documents).await;
    let mut slow = Recorder::begun(&store, Scope::Documents).await;
    closed.close();
    write_many(&store, &mut writer, TXNS).await;
    let now = revision(&store).await;
    closed.reopen(&store);
    for recorder in [&mut closed, &mut slow] {
        recorder.until(now).await;
        recorder.assert_true(&writer.truth);
        assert_eq!(recorder.marks().len(), 4 * TXNS);
        assert_eq!(recorder.resets(), 1);
    }
}

/// Writes from 32 callers at once, and adds what committed to the truth.
async fn write_many(store: &Arc<dyn Store>, writer: &mut Writer, txns: usize) {
    const CALLERS: usize = 32;
    let calls = (0..CALLERS).map(|caller| {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            let mut done: Vec<(Revision, Vec<Op>)> = Vec::new();
            for n in (caller..txns).step_by(CALLERS) {
                let puts = (0..4).map(|k| put(&format!("config/{}-{k}", n % 50), "1"));
                let ops: Vec<Op> = puts.collect();
                match commit(&store, ops.clone()).await {
                    Ok(Outcome::Committed(revision)) => done.push((revision, ops)),
                    other => panic!("{other:?}"),
                }
            }
            done
        })
    });
    for call in calls.collect::<Vec<_>>() {
        for (revision, ops) in call.await.expect("no panic") {
            writer.wrote(revision, &ops);
        }
    }
}

pub(crate) async fn a_dropped_watch_is_freed(subject: impl Subject) {
    let store = subject.store();
    let mut writer = Writer::of(&store);
    writer.put("config/a", "1").await;
    let mut recorders = Vec::new();
    for _ in 0..20 {
        recorders.push(Recorder::begun(&store, Scope::Documents).await);
    }
    assert!(subject.open_watches().await >= 20);
    drop(recorders);
    let look = async || subject.open_watches().await;
    eventually("no watch is open", FREED_WITHIN, look, |open| *open == 0).await;
    writer.put("config/a", "2").await;
}
