//! What counts as a word, when, and how often its absence is told.

use serin_proto::unit::Revision;

use super::*;

const TTL: u64 = 60_000;

fn leased(routes: &[&str]) -> Exposures {
    let lease = Lease::new(Duration::from_millis(TTL));
    Exposures {
        leases: routes.iter().map(|name| ((*name).into(), lease)).collect(),
        ..Exposures::default()
    }
}

#[rustfmt::skip]
#[test]
fn only_who_has_caught_up_takes_a_change_for_contact() {
    const CHANGE: (bool, Option<Heard>) = (false, Some(Heard::Changed(Revision(7))));
    const LISTING: (bool, Option<Heard>) = (true, Some(Heard::Changed(Revision(7))));
    const ADOPTED: (bool, Option<Heard>) = (true, Some(Heard::Adopted(Revision(7))));
    const PROGRESS: (bool, Option<Heard>) = (true, Some(Heard::Confirmed));
    const DOWN: (bool, Option<Heard>) = (false, None);
    const FOREIGN: (bool, Option<Heard>) = (true, Some(Heard::Foreign));
    let table: [(&[_], bool); 12] = [
        // events, the last of which is contact
        (&[LISTING], true),
        (&[PROGRESS], true),
        (&[ADOPTED], true),
        (&[CHANGE], false),
        (&[LISTING, CHANGE], true),
        (&[LISTING, DOWN], false),
        (&[LISTING, DOWN, CHANGE], false),
        (&[LISTING, DOWN, CHANGE, PROGRESS], true),
        (&[LISTING, DOWN, PROGRESS, CHANGE], true),
        (&[LISTING, FOREIGN], false),
        (&[LISTING, FOREIGN, CHANGE], false),
        (&[LISTING, FOREIGN, LISTING], true),
    ];
    for (events, counts) in table {
        let (contact, mut exposures) = (Contact::default(), Exposures::default());
        let (last, before) = events.split_last().expect("some event");
        for (is_whole, heard) in before {
            exposures.hear(*is_whole, *heard);
        }
        exposures.heard = false;
        exposures.hear(last.0, last.1);
        exposures.settle(&contact, clock::now());
        assert_eq!(contact.last_ms().is_some(), counts, "{events:?}");
    }
}

#[test]
fn what_could_not_be_applied_is_no_contact_until_something_is() {
    let (contact, mut exposures) = (Contact::default(), Exposures::default());
    exposures.hear(true, Some(Heard::Changed(Revision(7))));
    exposures.fail();
    exposures.settle(&contact, clock::now());
    exposures.hear(true, Some(Heard::Confirmed));
    exposures.settle(&contact, clock::now());
    assert_eq!(contact.last_ms(), None, "what serves is not what it says");
    exposures.failed = false;
    exposures.settle(&contact, clock::now());
    assert_eq!(contact.last_ms(), None, "nor is what was said before");
    exposures.hear(true, Some(Heard::Confirmed));
    exposures.settle(&contact, clock::now());
    assert!(contact.last_ms().is_some());
}

#[test]
fn an_end_is_told_once_and_so_is_a_new_beginning() {
    let mut exposures = leased(&["a", "b"]);
    let both = |is_exposed| vec![("a".into(), is_exposed), ("b".into(), is_exposed)];
    assert_eq!(exposures.changes(0, TTL), vec![], "it holds");
    assert_eq!(exposures.changes(0, TTL + 1), both(false));
    assert_eq!(exposures.changes(0, TTL + 2), vec![]);
    assert_eq!(exposures.changes(TTL + 3, TTL + 3), both(true));
    assert_eq!(exposures.changes(TTL + 3, TTL + 4), vec![]);
}

#[test]
fn a_rollout_that_went_did_not_end_and_the_next_one_begins_afresh() {
    let mut exposures = leased(&["a"]);
    assert_eq!(exposures.changes(0, TTL + 1), vec![("a".into(), false)]);
    exposures.leases.clear();
    assert_eq!(exposures.changes(TTL + 2, TTL + 2), vec![]);
    exposures.leases = leased(&["a"]).leases;
    assert_eq!(exposures.changes(TTL + 3, TTL + 3), vec![], "another one");
}

#[test]
fn the_next_end_is_that_of_the_shortest_lease_that_still_holds() {
    let (contact, mut exposures) = (Contact::default(), leased(&["long"]));
    let short = Lease::new(Duration::from_secs(5));
    exposures.leases.push(("short".into(), short));
    let now = clock::now();
    contact.was(clock::since_start_ms(now));
    let after = |exposures: &Exposures| {
        let due = exposures.due(&contact, now).expect("a lease runs");
        due.duration_since(now).as_millis()
    };
    assert_eq!(after(&exposures), 5_001);
    exposures.ended.insert("short".into());
    assert_eq!(after(&exposures), u128::from(TTL) + 1);
    exposures.ended.insert("long".into());
    assert_eq!(exposures.due(&contact, now), None);
}
