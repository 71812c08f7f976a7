//! How often what is told, and with which words.

use serin_store::{Key, Listing, StoreIdentity};

use super::*;
use crate::clock;

fn entry(key: &str, revision: u64) -> Entry {
    Entry {
        key: Key::new(key).expect("a key"),
        value: "{}".into(),
        create_revision: Revision(1),
        mod_revision: Revision(revision),
        version: 1,
    }
}

#[test]
fn a_batch_is_told_by_its_kind_its_revision_and_its_keys() {
    let delete = Change::Delete {
        key: Key::new("config/routes/c").expect("a key"),
        mod_revision: Revision(12),
    };
    let [a, b] = ["config/routes/a", "config/routes/b"].map(|key| entry(key, 12));
    let listing = Listing {
        entries: vec![a.clone(), entry("config/adopted", 3)],
        revision: Revision(13),
        identity: StoreIdentity::default(),
    };
    let changes = Event::Changes {
        batch: vec![Change::Put(a), Change::Put(b), delete],
        revision: Revision(12),
    };
    let table = [
        (
            changes,
            "changes 12 config/routes/a@12,config/routes/b@12,-config/routes/c@12",
        ),
        (
            Event::Reset(listing),
            "reset 13 config/routes/a@12,config/adopted@3",
        ),
        (Event::Progress(Revision(14)), "progress 14 "),
    ];
    for (event, expected) in table {
        let Batch {
            kind,
            revision,
            changed,
        } = Batch::read(&event).expect("a line");
        assert_eq!(format!("{kind} {revision} {changed}"), expected);
    }
    assert!(Batch::read(&Event::Refused(Vec::new())).is_none());
}

#[test]
fn snapshots_are_told_at_once_after_a_quiet_second_and_then_once_a_second() {
    let (mut snapshots, began) = (Snapshots::default(), clock::now());
    assert_eq!(snapshots.due(began), None, "nothing to tell");
    let mut told = 0;
    for tenth in 0..100 {
        let now = began + Duration::from_millis(tenth * 100);
        snapshots.count(Applied::default());
        snapshots.tell(now);
        told += u64::from(snapshots.due(now).is_none());
    }
    assert_eq!(told, 10, "in ten seconds");
    let last = snapshots.due(began).expect("what came since the last line");
    snapshots.tell(last);
    assert_eq!(snapshots.due(last), None, "nothing is left untold");
}

#[test]
fn a_document_is_counted_as_refused_once_for_each_version() {
    let mut refusals = Refusals::default();
    let rejected = |key: &str, mod_revision| RejectedDocument {
        key: key.to_owned(),
        mod_revision,
        ..RejectedDocument::default()
    };
    let (a, b) = (rejected("a", 1), rejected("b", 2));
    assert_eq!(refusals.take(&[a.clone(), b.clone()]), 2);
    assert_eq!(refusals.take(&[a.clone(), b.clone()]), 0, "as before");
    assert_eq!(
        refusals.take(&[a.clone(), rejected("b", 3)]),
        1,
        "a newer one"
    );
    assert_eq!(refusals.take(&[]), 0);
    assert_eq!(refusals.take(&[a]), 1, "again");
}
