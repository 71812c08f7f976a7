//! The rules by themselves: drafts, the window, and what a watcher at a place is told.

use bytes::Bytes;
use serin_proto::unit::Revision;

use super::{BATCH_CHANGES_MAX, FIRST_REVISION, Ledger, Step, Window};
use crate::{
    Compare, Error, Key, LeaseId, Op, Outcome, Resume, Scope, StoreIdentity, Txn, watch::Change,
};

const UNLIMITED: usize = usize::MAX;

fn key(name: &str) -> Key {
    Key::new(name).expect("a short key")
}

fn put(name: &str, lease: Option<i64>) -> Op {
    Op::Put(key(name), Bytes::from_static(b"1"), lease.map(LeaseId))
}

fn txn(ops: &[Op]) -> Txn {
    Txn {
        ops: ops.to_vec(),
        ..Txn::default()
    }
}

fn ledger() -> Ledger {
    Ledger::new(StoreIdentity("ours".to_owned()))
}

/// Commits each operation by itself.
fn commit(ledger: &mut Ledger, ops: &[Op]) {
    for op in ops {
        let mut draft = ledger.draft();
        let outcome = draft.apply(&txn(std::slice::from_ref(op)));
        assert!(matches!(outcome, Ok(Outcome::Committed(_))), "{outcome:?}");
        let drafted = draft.finish();
        ledger.adopt(drafted);
    }
}

fn revisions(step: &Step) -> Vec<u64> {
    match step {
        Step::Changes { batch, .. } => batch.iter().map(|change| change.revision().0).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_draft_sees_itself_and_nobody_else_does() {
    let ledger = ledger();
    let mut draft = ledger.draft();
    let first = draft.apply(&txn(&[put("config/a", None)]));
    assert_eq!(first, Ok(Outcome::Committed(Revision(2))));
    for (compare, holds) in [
        (Compare::ModRevision(key("config/a"), Revision(2)), true),
        (Compare::ModRevision(key("config/a"), Revision(0)), false),
        (
            Compare::NothingNewer(Scope::Documents.range(), Revision(1)),
            false,
        ),
        (
            Compare::NothingNewer(Scope::Documents.range(), Revision(2)),
            true,
        ),
    ] {
        let compares = vec![compare];
        let asked = Txn {
            compares,
            ..Txn::default()
        };
        let outcome = draft.apply(&asked).expect("a fine transaction");
        let held = matches!(outcome, Outcome::Committed(_));
        assert_eq!(held, holds, "{:?}", asked.compares);
    }
    assert_eq!(ledger.revision(), FIRST_REVISION);
    assert_eq!(ledger.get(&key("config/a")), None);
}

#[test]
fn a_key_deleted_in_a_draft_is_no_longer_newer() {
    let mut ledger = ledger();
    commit(&mut ledger, &[put("config/a", None)]);
    let mut draft = ledger.draft();
    draft
        .apply(&txn(&[Op::Delete(key("config/a"))]))
        .expect("a fine transaction");
    let compares = vec![Compare::NothingNewer(Scope::Documents.range(), Revision(1))];
    let outcome = draft.apply(&Txn {
        compares,
        ..Txn::default()
    });
    assert!(matches!(outcome, Ok(Outcome::Committed(_))), "{outcome:?}");
}

#[test]
fn the_end_of_a_lease_takes_what_was_drafted_under_it() {
    let mut ledger = ledger();
    ledger.grant(LeaseId(7));
    commit(
        &mut ledger,
        &[put("routers/a", Some(7)), put("routers/b", Some(7))],
    );
    let mut draft = ledger.draft();
    for op in [put("routers/c", Some(7)), put("routers/b", None)] {
        draft.apply(&txn(&[op])).expect("a fine transaction");
    }
    draft.end_lease(LeaseId(7));
    let late = draft.apply(&txn(&[put("routers/d", Some(7))]));
    assert!(matches!(late, Err(Error::Invalid(_))), "{late:?}");
    let drafted = draft.finish();
    ledger.adopt(drafted);
    let there: Vec<&str> = ledger.entries.keys().map(Key::as_str).collect();
    assert_eq!(there, ["routers/b"]);
    assert_eq!(ledger.revision(), Revision(6), "all deletions are one");
    assert!(!ledger.is_granted(LeaseId(7)));
}

#[test]
fn the_window_is_bounded_by_count_and_by_bytes() {
    let mut ledger = ledger();
    commit(&mut ledger, &vec![put("config/a", None); 9]);
    let now = ledger.revision().0;
    let one = {
        let size = |bytes_max| {
            ledger.surplus(Window {
                revisions_max: UNLIMITED,
                bytes_max,
            })
        };
        // What one revision takes is not said: it is found.
        (1..).find(|bytes| size(*bytes).0 < now).expect("it ends")
    };
    for (revisions_max, bytes_max, kept) in [
        (UNLIMITED, UNLIMITED, 9),
        (9, UNLIMITED, 9),
        (3, UNLIMITED, 3),
        (0, UNLIMITED, 0),
        (UNLIMITED, 4 * one, 4),
        (2, 4 * one, 2),
    ] {
        let window = Window {
            revisions_max,
            bytes_max,
        };
        let surplus = ledger.surplus(window);
        assert_eq!(surplus, Revision(now - kept), "{window:?}");
    }
}

#[test]
fn who_is_behind_the_window_is_told_everything() {
    let mut ledger = ledger();
    commit(
        &mut ledger,
        &["a", "b", "c", "a"].map(|n| put(&format!("config/{n}"), None)),
    );
    ledger.compact(Revision(3));
    assert_eq!(ledger.compacted(), Revision(3));
    let told = |at| ledger.follow(Scope::Documents, at);
    for at in [None, Some(Revision(0)), Some(Revision(2))] {
        let step = told(at);
        assert!(
            matches!(&step, Step::Reset(listing) if listing.entries.len() == 3),
            "{step:?}"
        );
    }
    assert_eq!(revisions(&told(Some(Revision(3)))), [4, 5]);
    assert_eq!(revisions(&told(Some(Revision(4)))), [5]);
    assert_eq!(told(Some(Revision(5))), Step::Quiet(Revision(5)));
    let elsewhere = ledger.follow(Scope::Fleet, Some(Revision(3)));
    assert_eq!(elsewhere, Step::Quiet(Revision(5)));
}

#[test]
fn a_batch_ends_with_a_revision_and_not_within_one() {
    let mut ledger = ledger();
    for _ in 0..30 {
        let ops: Vec<Op> = (0..70).map(|n| put(&format!("config/{n}"), None)).collect();
        let mut draft = ledger.draft();
        draft.apply(&txn(&ops)).expect("a fine transaction");
        let drafted = draft.finish();
        ledger.adopt(drafted);
    }
    let (mut at, mut told) = (FIRST_REVISION, 0);
    while at < ledger.revision() {
        let step = ledger.follow(Scope::Documents, Some(at));
        let Step::Changes {
            batch,
            revision,
            at: next,
        } = step
        else {
            panic!("{step:?}")
        };
        assert!(batch.len() < BATCH_CHANGES_MAX + 70);
        assert_eq!(batch.len() % 70, 0, "a part of a revision");
        assert_eq!(batch.last().map(Change::revision), Some(revision));
        (at, told) = (next, told + batch.len());
    }
    assert_eq!(told, 30 * 70);
}

#[test]
fn a_resume_is_believed_if_its_history_is_ours() {
    let mut ledger = ledger();
    commit(&mut ledger, &[put("config/a", None), put("config/b", None)]);
    commit(
        &mut ledger,
        &[Op::Delete(key("config/a")), put("config/b", None)],
    );
    let ours = StoreIdentity("ours".to_owned());
    for (identity, revision, newest, resumed) in [
        (&ours, 3, None, true),
        (&ours, 5, None, true),
        (&ours, 6, None, false),
        (&StoreIdentity::default(), 3, None, false),
        // As it was left, changed since, deleted since, never so.
        (&ours, 5, Some(("config/b", 5)), true),
        (&ours, 3, Some(("config/b", 3)), true),
        (&ours, 2, Some(("config/a", 2)), true),
        (&ours, 5, Some(("config/a", 2)), false),
        (&ours, 5, Some(("config/b", 4)), false),
        (&ours, 3, Some(("config/c", 3)), false),
    ] {
        let resume = Resume {
            identity: identity.clone(),
            revision: Revision(revision),
            newest: newest.map(|(name, at)| (key(name), Revision(at))),
        };
        let expected = resumed.then_some(Revision(revision));
        assert_eq!(ledger.resume(&resume), expected, "{resume:?}");
    }
}
