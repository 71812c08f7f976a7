//! Promises 1–4: revisions, compares, versions, and what a transaction may hold.

use bytes::Bytes;
use serin_proto::unit::Revision;
use serin_store::{Compare, Error, OPERATIONS_MAX, Op, Outcome, Range, Scope, TXN_BYTES_MAX};

use crate::{
    recorder::{key, revision},
    subject::Subject,
    writer::{Writer, commit, commit_if, delete, put},
};

pub(crate) async fn one_revision_for_each_transaction(subject: impl Subject) {
    let store = subject.store();
    let before = revision(&store).await;
    for (step, ops) in [
        vec![put("config/a", "1")],
        vec![
            put("routers/b", "1"),
            put("config/c", "1"),
            delete("config/a"),
        ],
        vec![delete("routers/b"), put("config/c", "2")],
    ]
    .into_iter()
    .enumerate()
    {
        let expected = Revision(before + 1 + step as u64);
        let outcome = commit(&store, ops).await;
        assert_eq!(outcome, Ok(Outcome::Committed(expected)), "step {step}");
        assert_eq!(revision(&store).await, expected.0);
    }
    let (entry, now) = store.get(&key("config/c")).await.expect("an answer");
    let entry = entry.expect("it was put twice");
    assert_eq!((entry.mod_revision, entry.version), (now, 2));
}

pub(crate) async fn what_changes_nothing_moves_no_revision(subject: impl Subject) {
    let store = subject.store();
    let before = Writer::of(&store).put("config/a", "1").await;
    let stale = Compare::ModRevision(key("config/a"), Revision(before + 7));
    for (compares, ops) in [
        (vec![], vec![]),
        (vec![], vec![delete("config/absent")]),
        (vec![stale.clone()], vec![]),
        (
            vec![stale],
            vec![put("config/a", "2"), put("config/b", "1")],
        ),
    ] {
        let conflicts = !compares.is_empty();
        let outcome = commit_if(&store, compares, ops).await.expect("an answer");
        match outcome {
            Outcome::Committed(at) => assert!(at == Revision(before) && !conflicts, "{at}"),
            Outcome::Conflict { revision, .. } => {
                assert!(revision == Revision(before) && conflicts, "{revision}");
            }
        }
        assert_eq!(revision(&store).await, before);
    }
    let (entry, _) = store.get(&key("config/b")).await.expect("an answer");
    assert_eq!(entry, None, "a conflict does nothing");
}

pub(crate) async fn versions_count_from_the_put_after_absence(subject: impl Subject) {
    let store = subject.store();
    let mut writer = Writer::of(&store);
    let first = writer.put("config/a", "1").await;
    let second = writer.put("config/a", "2").await;
    let look = async || {
        let (entry, _) = store.get(&key("config/a")).await.expect("an answer");
        entry.map(|e| (e.create_revision.0, e.mod_revision.0, e.version))
    };
    assert_eq!(look().await, Some((first, second, 2)));
    writer.delete("config/a").await;
    assert_eq!(look().await, None);
    let again = writer.put("config/a", "3").await;
    assert_eq!(look().await, Some((again, again, 1)));
}

pub(crate) async fn compares_hold_or_nothing_is_done(subject: impl Subject) {
    let store = subject.store();
    let mut writer = Writer::of(&store);
    let created = writer.put("config/a", "1").await;
    let changed = writer.put("config/a", "2").await;
    let (a, absent) = (|| key("config/a"), || key("config/absent"));
    let modified = |key, revision| Compare::ModRevision(key, Revision(revision));
    let begun = |key, revision| Compare::CreateRevision(key, Revision(revision));
    for (compares, holds) in [
        (vec![], true),
        (vec![modified(a(), changed)], true),
        (vec![modified(a(), created)], false),
        (vec![modified(a(), changed + 1)], false),
        (vec![modified(a(), 0)], false),
        (vec![modified(absent(), 0)], true),
        (vec![modified(absent(), created)], false),
        (vec![begun(a(), created)], true),
        (vec![begun(a(), changed)], false),
        (vec![begun(a(), 0)], false),
        (vec![begun(absent(), 0)], true),
        (vec![begun(a(), created), modified(a(), changed)], true),
        (vec![begun(a(), created), modified(a(), created)], false),
        (vec![modified(absent(), 0), modified(a(), 0)], false),
    ] {
        let what = format!("{compares:?}");
        let outcome = commit_if(&store, compares, Vec::new()).await;
        let outcome = outcome.expect("an answer");
        let held = matches!(outcome, Outcome::Committed(_));
        assert_eq!(held, holds, "{what}: {outcome:?}");
    }
}

pub(crate) async fn a_conflict_tells_what_is_there(subject: impl Subject) {
    let store = subject.store();
    let mut writer = Writer::of(&store);
    let a = writer.put("config/a", "1").await;
    let b = writer.put("config/b", "2").await;
    let compares = vec![
        Compare::ModRevision(key("config/b"), Revision(a)),
        Compare::CreateRevision(key("config/b"), Revision(b)),
        Compare::CreateRevision(key("config/a"), Revision(a)),
        Compare::ModRevision(key("config/absent"), Revision(0)),
        Compare::NothingNewer(Scope::Documents.range(), Revision(b)),
    ];
    let outcome = commit_if(&store, compares, vec![put("config/c", "3")]).await;
    let Ok(Outcome::Conflict { mut now, revision }) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(revision, Revision(b));
    now.sort_by(|one, other| one.key.cmp(&other.key));
    let told = now.iter().map(|entry| {
        let value = String::from_utf8_lossy(&entry.value).into_owned();
        (entry.key.to_string(), value, entry.mod_revision.0)
    });
    let told: Vec<_> = told.collect();
    let expected = [("config/a", "1", a), ("config/b", "2", b)];
    let expected = expected.map(|(key, value, at)| (key.to_owned(), value.to_owned(), at));
    assert_eq!(told, expected);
}

pub(crate) async fn nothing_newer_looks_at_its_range_alone(subject: impl Subject) {
    let store = subject.store();
    let mut writer = Writer::of(&store);
    let before = writer.put("config/routes/a", "1").await;
    for neighbour in [
        "config/routes",
        "config/routesb",
        "config/routes0",
        "config/keys/a",
    ] {
        writer.put(neighbour, "1").await;
    }
    let holds = async |range: &str, revision| {
        let compare = Compare::NothingNewer(Range::under(range), Revision(revision));
        let outcome = commit_if(&store, vec![compare], Vec::new()).await;
        matches!(outcome, Ok(Outcome::Committed(_)))
    };
    assert!(
        holds("config/routes/", before).await,
        "neighbours are newer"
    );
    assert!(!holds("config/routes/", before - 1).await);
    assert!(holds("config/tiers/", 0).await, "an empty range passes");
    assert!(!holds("config/keys/", before).await);
    assert!(!holds("", before).await, "the range of everything");
    let newer = writer.put("config/routes/b", "1").await;
    assert!(!holds("config/routes/", before).await);
    assert!(holds("config/routes/", newer).await);
    writer.delete("config/routes/b").await;
    assert!(
        holds("config/routes/", before).await,
        "a deletion leaves no trace"
    );
}

pub(crate) async fn a_key_is_named_once(subject: impl Subject) {
    let store = subject.store();
    let before = revision(&store).await;
    for ops in [
        vec![put("config/a", "1"), put("config/a", "2")],
        vec![
            put("config/a", "1"),
            put("config/b", "1"),
            delete("config/a"),
        ],
        vec![delete("config/a"), delete("config/a")],
    ] {
        let outcome = commit(&store, ops).await;
        assert!(matches!(outcome, Err(Error::Invalid(_))), "{outcome:?}");
    }
    assert_eq!(revision(&store).await, before);
}

pub(crate) async fn as_many_operations_as_etcd_takes(subject: impl Subject) {
    let store = subject.store();
    let puts = |count| {
        (0..count)
            .map(|n| put(&format!("config/{n}"), "1"))
            .collect()
    };
    let compares = |count| {
        let absent = |n| Compare::ModRevision(key(&format!("config/x{n}")), Revision(0));
        (0..count).map(absent).collect()
    };
    let outcome = commit_if(&store, compares(OPERATIONS_MAX), puts(OPERATIONS_MAX)).await;
    assert!(matches!(outcome, Ok(Outcome::Committed(_))), "{outcome:?}");
    let before = revision(&store).await;
    for (compare_count, op_count) in [(0, OPERATIONS_MAX + 1), (OPERATIONS_MAX + 1, 1)] {
        let outcome = commit_if(&store, compares(compare_count), puts(op_count)).await;
        assert!(matches!(outcome, Err(Error::Invalid(_))), "{outcome:?}");
    }
    assert_eq!(revision(&store).await, before);
}

pub(crate) async fn a_value_at_the_limit_and_not_one_byte_more(subject: impl Subject) {
    let store = subject.store();
    let name = "config/large";
    let put = |bytes: usize| {
        let value = Bytes::from(vec![b'x'; bytes - name.len()]);
        vec![Op::Put(key(name), value, None)]
    };
    let outcome = commit(&store, put(TXN_BYTES_MAX)).await;
    assert!(matches!(outcome, Ok(Outcome::Committed(_))), "{outcome:?}");
    let outcome = commit(&store, put(TXN_BYTES_MAX + 1)).await;
    assert!(matches!(outcome, Err(Error::TooLarge(_))), "{outcome:?}");
    let (entry, _) = store.get(&key(name)).await.expect("an answer");
    let bytes = entry.map(|entry| entry.value.len());
    assert_eq!(bytes, Some(TXN_BYTES_MAX - name.len()));
}
