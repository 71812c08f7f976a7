//! The fleet as events tell it, at made-up times.

use bytes::Bytes;
use serin_store::{Listing, StoreIdentity};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn fleet() -> Arc<Fleet> {
    Fleet::new(Metrics::new("0", "0"))
}

fn report(applied: u64) -> RouterReport {
    RouterReport {
        boot_id: "boot".to_owned(),
        applied_revision: applied,
        ..RouterReport::default()
    }
}

fn entry(id: &str, value: impl Into<Bytes>) -> Entry {
    Entry {
        key: Key::from(&StoreKey::Router(id.to_owned())),
        value: value.into(),
        create_revision: Revision(1),
        mod_revision: Revision(1),
        version: 1,
    }
}

fn reported(id: &str, applied: u64) -> Entry {
    entry(id, serde_json::to_vec(&report(applied)).unwrap())
}

fn put(entry: Entry) -> Event {
    Event::Changes {
        batch: vec![Change::Put(entry)],
        revision: Revision(1),
    }
}

fn reset(entries: Vec<Entry>) -> Event {
    Event::Reset(Listing {
        entries,
        revision: Revision(1),
        identity: StoreIdentity::default(),
    })
}

fn seen(fleet: &Fleet, now: Instant) -> Vec<(String, u64, State)> {
    let routers = fleet.routers(now).into_iter();
    routers
        .map(|router| (router.id, router.lag, router.state))
        .collect()
}

#[test]
fn a_router_that_does_not_take_a_change_lags_after_five_seconds_and_until_it_does() {
    let (fleet, t) = (fleet(), clock::now());
    fleet.listed(Revision(10), t);
    fleet.take(reset(vec![reported("a", 10), reported("b", 10)]), t);
    fleet.changed(Revision(17), t + SECOND);
    fleet.take(put(reported("a", 17)), t + SECOND * 2);
    let b = |lag, state| ("b".to_owned(), lag, state);
    assert_eq!(seen(&fleet, t + SECOND * 5)[1], b(7, State::Live));
    assert_eq!(seen(&fleet, t + SECOND * 6)[1], b(7, State::Lagging));
    assert_eq!(seen(&fleet, t + SECOND * 6)[0].2, State::Live);
    fleet.take(put(reported("b", 17)), t + SECOND * 7);
    assert_eq!(seen(&fleet, t + SECOND * 60)[1], b(0, State::Live));
}

#[test]
fn a_router_ahead_of_what_this_replica_saw_is_not_behind() {
    let (fleet, t) = (fleet(), clock::now());
    fleet.listed(Revision(10), t);
    fleet.take(put(reported("a", 12)), t);
    assert_eq!(
        seen(&fleet, t + SECOND * 60),
        [("a".to_owned(), 0, State::Live)]
    );
}

#[test]
fn a_router_whose_lease_is_over_is_not_told_of() {
    let (fleet, t) = (fleet(), clock::now());
    fleet.take(reset(vec![reported("a", 5), reported("b", 4)]), t);
    let gone = Change::Delete {
        key: Key::from(&StoreKey::Router("b".to_owned())),
        mod_revision: Revision(9),
    };
    let (batch, revision) = (vec![gone], Revision(9));
    fleet.take(Event::Changes { batch, revision }, t);
    assert_eq!(seen(&fleet, t), [("a".to_owned(), 0, State::Live)]);
}

#[test]
fn a_report_that_cannot_be_read_is_shown_as_such_and_harms_no_other() {
    let (fleet, t) = (fleet(), clock::now());
    let bad = [
        &b"{"[..],
        b"7",
        b"{\"appliedRevision\":-1}",
        b"{\"hold\":\"tired\"}",
        b"\xff",
    ];
    for (i, value) in bad.iter().enumerate() {
        fleet.take(
            put(entry(&format!("r{i}"), Bytes::copy_from_slice(value))),
            t,
        );
    }
    let newer = &b"{\"appliedRevision\":3,\"mood\":\"fine\"}"[..];
    fleet.take(put(entry("z", newer)), t);
    let states: Vec<State> = fleet.routers(t).iter().map(|router| router.state).collect();
    assert_eq!(states[..5], [State::Unreadable; 5]);
    assert_eq!(
        states[5..],
        [State::Live],
        "an unknown field is a newer router's"
    );
}

#[test]
fn a_new_listing_forgets_who_is_not_in_it() {
    let (fleet, t) = (fleet(), clock::now());
    fleet.take(reset(vec![reported("a", 1), reported("b", 1)]), t);
    fleet.take(reset(vec![reported("b", 2), reported("c", 1)]), t);
    let ids: Vec<String> = fleet
        .routers(t)
        .into_iter()
        .map(|router| router.id)
        .collect();
    assert_eq!(ids, ["b", "c"]);
    let down = Event::Down(serin_store::watch::Reason::Connect, String::new());
    fleet.take(down, t);
    assert_eq!(fleet.routers(t).len(), 2, "no word is not bad word");
}

#[test]
fn the_time_to_an_acknowledgement_is_counted_once_for_each_router() {
    let metrics = Metrics::new("0", "0");
    let (fleet, t) = (Fleet::new(Arc::clone(&metrics)), clock::now());
    fleet.listed(Revision(10), t);
    fleet.take(reset(vec![reported("a", 10), reported("b", 10)]), t);
    fleet.changed(Revision(11), t);
    fleet.take(put(reported("a", 11)), t + SECOND);
    fleet.take(put(reported("a", 11)), t + SECOND * 2);
    fleet.take(put(reported("b", 11)), t + SECOND * 3);
    // The report came before the change itself.
    fleet.take(put(reported("a", 12)), t + SECOND * 4);
    fleet.changed(Revision(12), t + SECOND * 4);
    // A router that has just started acknowledges nothing it was not there for.
    let other = RouterReport {
        boot_id: "another".to_owned(),
        ..report(12)
    };
    fleet.take(
        put(entry("b", serde_json::to_vec(&other).unwrap())),
        t + SECOND * 5,
    );
    let text = metrics.text(&crate::metrics::tests::facts());
    for line in [
        "serin_cp_router_ack_seconds_count 3",
        "serin_cp_router_ack_seconds_sum 4",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

#[test]
fn a_router_has_a_routes_revision_unless_it_is_behind_holds_refuses_the_route_or_cannot_be_read() {
    let refusing = |count, keys: &[&str]| {
        let rejected = keys.iter().map(|key| RejectedDocument {
            key: (*key).to_owned(),
            ..RejectedDocument::default()
        });
        RouterReport {
            rejected_count: count,
            rejected: rejected.collect(),
            ..report(9)
        }
    };
    let holding = RouterReport {
        hold: Some(Hold::Empty),
        ..report(9)
    };
    // Its report, whether it serves revision 7 of `chat`, whether it knows the store.
    let table = [
        (report(7), 1, false),
        (report(6), 0, false),
        (holding, 0, true),
        (refusing(1, &["config/routes/chat"]), 0, false),
        (refusing(1, &["config/routes/other"]), 1, false),
        (refusing(2, &["config/routes/other"]), 0, false),
    ];
    for (report, acked, store_changed) in table {
        let fleet = fleet();
        let value = serde_json::to_vec(&report).unwrap();
        fleet.take(reset(vec![entry("a", value)]), clock::now());
        let expected = FleetSeen {
            live: 1,
            acked,
            store_changed,
        };
        assert_eq!(fleet.seen("chat", Revision(7)), expected, "{report:?}");
    }
    let fleet = fleet();
    fleet.take(reset(vec![entry("a", "{")]), clock::now());
    let seen = fleet.seen("chat", Revision(7));
    assert_eq!(
        (seen.live, seen.acked),
        (1, 0),
        "it is there and says nothing"
    );
}

#[test]
fn a_store_that_fell_back_is_another_one_until_it_is_adopted() {
    let fleet = fleet();
    assert!(!fleet.seen("chat", Revision(7)).store_changed);
    fleet.store_regressed(true);
    assert!(fleet.seen("chat", Revision(7)).store_changed);
    fleet.store_regressed(false);
    assert!(!fleet.seen("chat", Revision(7)).store_changed);
}
