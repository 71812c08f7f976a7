//! What each message means for the position of a watch.

use bytes::Bytes;

use super::*;
use crate::Entry;

fn key(name: &str) -> Key {
    Key::new(format!("config/routes/{name}")).expect("a short text is a key")
}

fn change(text: &str) -> Change {
    let (name, revision) = text.split_once('@').expect("name@revision");
    let mod_revision = Revision(revision.parse().expect("a revision"));
    match name.strip_prefix('-') {
        Some(name) => Change::Delete {
            key: key(name),
            mod_revision,
        },
        None => Change::Put(Entry {
            key: key(name),
            value: Bytes::new(),
            create_revision: mod_revision,
            mod_revision,
            version: 1,
        }),
    }
}

fn events(texts: &[&str]) -> Message {
    let changes: Vec<Change> = texts.iter().map(|text| change(text)).collect();
    Message {
        moved: changes.iter().map(Change::revision).max(),
        bytes: 100 * changes.len(),
        changes,
        ..Message::default()
    }
}

fn progress(watch_id: i64, revision: u64) -> Message {
    Message {
        watch_id,
        revision: Revision(revision),
        ..Message::default()
    }
}

fn listing(texts: &[&str], revision: u64) -> Listing {
    let entries = texts.iter().map(|text| match change(text) {
        Change::Put(entry) => entry,
        Change::Delete { .. } => panic!("a listing holds no deletions"),
    });
    Listing {
        entries: entries.collect(),
        revision: Revision(revision),
        identity: StoreIdentity("one".to_owned()),
    }
}

/// A watch that stands, after a listing at 10.
fn standing() -> Cursor {
    let mut cursor = Cursor::default();
    cursor.listed(&listing(&["a@5", "b@9"], 10));
    cursor.asked();
    let created = Message {
        created: true,
        ..Message::default()
    };
    assert_eq!(cursor.take(created), Step::Created);
    cursor
}

fn seen(identity: &str, revision: u64, changed: Option<u64>) -> Seen {
    Seen {
        identity: StoreIdentity(identity.to_owned()),
        revision: Revision(revision),
        changed: changed.map(Revision),
    }
}

#[test]
fn only_listings_events_and_progress_move_it() {
    let mut cursor = standing();
    assert_eq!(cursor.start(), Revision(10));
    for message in [
        Message {
            created: true,
            revision: Revision(50),
            ..Message::default()
        },
        Message {
            canceled: true,
            revision: Revision(50),
            ..Message::default()
        },
        Message {
            compact_revision: Revision(50),
            revision: Revision(60),
            ..Message::default()
        },
        progress(7, 50),
        progress(0, 9),
        Message {
            fragment: true,
            ..events(&["c@11"])
        },
    ] {
        cursor.take(message.clone());
        assert_eq!(cursor.start(), Revision(10), "{message:?}");
    }
    cursor.asked();
    let unheard = progress(NO_WATCH, 70);
    assert_eq!(cursor.take(unheard), Step::Wait, "before it stands");
    assert_eq!(cursor.start(), Revision(10));

    let mut cursor = standing();
    cursor.take(events(&["c@11", "d@12"]));
    assert_eq!(cursor.start(), Revision(12));
    cursor.take(progress(NO_WATCH, 20));
    assert_eq!(cursor.start(), Revision(20));
    cursor.take(progress(0, 21));
    assert_eq!(cursor.start(), Revision(21));
    cursor.listed(&listing(&[], 30));
    assert_eq!(cursor.start(), Revision(30));
}

#[test]
fn it_never_asks_for_now() {
    let resume = Resume {
        identity: StoreIdentity::default(),
        revision: Revision(0),
        newest: None,
    };
    assert_eq!(Cursor::new(Some(resume)).start(), Revision(1));
}

#[test]
fn a_refusal_is_seen_before_created() {
    let refusal = Message {
        watch_id: NO_WATCH,
        created: true,
        canceled: true,
        cancel_reason: "etcdserver: permission denied".to_owned(),
        ..Message::default()
    };
    let mut cursor = standing();
    cursor.asked();
    let step = cursor.take(refusal);
    assert_eq!(
        step,
        Step::Canceled("etcdserver: permission denied".to_owned())
    );
}

#[test]
fn fragments_beyond_the_bound_are_listed_instead() {
    let mut cursor = standing();
    let part = || Message {
        fragment: true,
        bytes: FRAGMENT_BYTES_MAX / 2,
        ..events(&["c@11"])
    };
    assert_eq!(cursor.take(part()), Step::Wait);
    assert_eq!(cursor.take(part()), Step::Wait);
    assert!(matches!(cursor.take(part()), Step::Relist(_)));
}

#[test]
fn a_batch_of_fragments_counts_from_zero_again() {
    let mut cursor = standing();
    for revision in 11..20 {
        let half = |more, text: &str| Message {
            fragment: more,
            bytes: FRAGMENT_BYTES_MAX / 3,
            ..events(&[text])
        };
        assert_eq!(
            cursor.take(half(true, &format!("c@{revision}"))),
            Step::Wait
        );
        let step = cursor.take(half(false, &format!("d@{revision}")));
        let Step::Deliver(Event::Changes { batch, .. }) = step else {
            panic!("{step:?}");
        };
        assert_eq!(batch.len(), 2);
    }
}

#[rustfmt::skip]
#[test]
fn it_goes_on_only_in_the_history_it_knows() {
    let table = [
        // what the store says,          may it go on
        (seen("one", 10, Some(9)),       true),
        (seen("one", 90, Some(9)),       true),
        (seen("one", 90, Some(11)),      true),
        (seen("two", 90, Some(9)),       false),
        (seen("one", 9, Some(9)),        false),
        (seen("one", 90, Some(8)),       false),
        (seen("one", 90, Some(10)),      false),
        (seen("one", 90, None),          false),
    ];
    for (seen, expected) in table {
        assert_eq!(standing().may_resume(&seen), expected, "{seen:?}");
    }
}

#[test]
fn the_newest_key_follows_puts_and_deletions() {
    let mut cursor = standing();
    let newest = |cursor: &Cursor| cursor.newest().map(|(key, at)| format!("{key}@{at}"));
    assert_eq!(newest(&cursor).as_deref(), Some("config/routes/b@9"));
    cursor.take(events(&["c@11"]));
    assert_eq!(newest(&cursor).as_deref(), Some("config/routes/c@11"));
    cursor.take(events(&["-c@12", "-b@12"]));
    assert_eq!(newest(&cursor).as_deref(), Some("config/routes/a@5"));
    cursor.take(events(&["-a@13"]));
    assert_eq!(newest(&cursor), None);
    assert!(
        cursor.may_resume(&seen("one", 90, None)),
        "known to be empty"
    );
}

#[test]
fn who_resumed_with_one_key_and_lost_it_no_longer_knows() {
    let resume = Resume {
        identity: StoreIdentity("one".to_owned()),
        revision: Revision(10),
        newest: Some((key("b"), Revision(9))),
    };
    let mut cursor = Cursor::new(Some(resume));
    assert!(cursor.may_resume(&seen("one", 10, Some(9))));
    cursor.take(Message {
        created: true,
        ..Message::default()
    });
    cursor.take(events(&["-b@11"]));
    assert!(!cursor.may_resume(&seen("one", 90, None)));
    cursor.take(events(&["c@12"]));
    assert!(cursor.may_resume(&seen("one", 90, Some(12))));
}
