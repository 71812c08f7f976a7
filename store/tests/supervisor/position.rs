//! Where a watch goes on: after a listing, a silence, a cut, and before another store.

use serin_proto::unit::Revision;
use serin_store::watch::{Event, Reason};
use serin_store::{Resume, Scope, Store, StoreIdentity};
use tonic::Status;

use crate::fake::Fake;
use crate::stage::{SOON, changes, down, key, listed, next, progress, quick, reset, store_at};

/// What a router holds that saw route `a` at 9 and everything up to 10.
fn held() -> Resume {
    Resume {
        identity: StoreIdentity("0000000000000007".to_owned()),
        revision: Revision(10),
        newest: Some((key("config/routes/a"), Revision(9))),
    }
}

#[tokio::test]
async fn changes_between_the_listing_and_the_watch_are_seen() {
    let fake = Fake::start().await;
    fake.holds("a", 9);
    let store = store_at(vec![fake.endpoint()], quick());
    let mut watch = store.watch(Scope::Documents, None);
    assert_eq!(listed(&reset(&mut watch).await), ["config/routes/a@9"]);
    let play = fake.watched().await;
    assert_eq!(play.start, 10, "it begins with the listing's revision");
    play.created();
    play.events(&["b@11"]);
    let expected = (vec!["config/routes/b@11".to_owned()], 11);
    assert_eq!(changes(&mut watch).await, expected);
}

#[tokio::test]
async fn a_scope_is_watched_with_its_delimiter() {
    let fake = Fake::start().await;
    let store = store_at(vec![fake.endpoint()], quick());
    let _watch = store.watch(Scope::Documents, None);
    let play = fake.watched().await;
    let range = (play.first.as_str(), play.end.as_str());
    assert_eq!(range, ("/serin/v1/config/", "/serin/v1/config0"));
}

#[tokio::test]
async fn silence_moves_nothing() {
    let fake = Fake::start().await;
    let store = store_at(vec![fake.endpoint()], quick());
    let mut watch = store.watch(Scope::Documents, None);
    reset(&mut watch).await;
    let play = fake.watched().await;
    play.created();
    play.events(&["a@11"]);
    changes(&mut watch).await;
    // The store moves on, the stream says nothing of it.
    fake.holds("a", 11);
    fake.holds("b", 15);
    fake.table(|table| table.revision = 20);
    assert_eq!(down(&mut watch).await, Reason::Silent);
    play.dropped().await;
    let again = fake.watched().await;
    assert_eq!(again.start, 11, "only events and progress move a watch");
    again.created();
    again.events(&["b@15"]);
    assert_eq!(changes(&mut watch).await.1, 15);
}

#[tokio::test]
async fn a_cut_moves_nothing_and_progress_does() {
    let fake = Fake::start().await;
    let store = store_at(vec![fake.endpoint()], quick());
    let mut watch = store.watch(Scope::Documents, None);
    reset(&mut watch).await;
    let play = fake.watched().await;
    play.created();
    fake.table(|table| table.revision = 16);
    play.progress(15);
    assert_eq!(progress(&mut watch).await, 15);
    play.fail(Status::unavailable("the member is going"));
    down(&mut watch).await;
    assert_eq!(fake.watched().await.start, 15);
}

#[tokio::test]
async fn whoever_was_told_that_it_is_down_learns_that_it_is_up() {
    let fake = Fake::start().await;
    fake.holds("a", 9);
    let store = store_at(vec![fake.endpoint()], quick());
    let mut watch = store.watch(Scope::Documents, Some(held()));
    let mut play = fake.watched().await;
    assert_eq!(play.start, 10);
    play.created();
    // Asked at once and, because a watch that catches up is not answered, again.
    for _ in 0..2 {
        assert!(play.asked(SOON).await);
    }
    play.progress(10);
    assert_eq!(progress(&mut watch).await, 10);
    assert_eq!(fake.table(|table| table.listings.len()), 0, "no listing");
}

#[tokio::test]
async fn another_history_is_listed_again() {
    type Change = fn(&Fake);
    let histories: [(&str, Change); 5] = [
        ("another id", |fake| fake.table(|table| table.cluster = 8)),
        ("a lower revision", |fake| {
            fake.table(|table| table.revision = 9);
        }),
        ("our newest key is older", |fake| fake.holds("a", 8)),
        ("our newest key was changed before", |fake| {
            fake.holds("a", 10);
        }),
        ("our newest key is gone", |fake| {
            fake.table(|table| table.keys.clear());
        }),
    ];
    for (what, change) in histories {
        let fake = Fake::start().await;
        fake.holds("a", 9);
        change(&fake);
        let store = store_at(vec![fake.endpoint()], quick());
        let mut watch = store.watch(Scope::Documents, Some(held()));
        assert_eq!(down(&mut watch).await, Reason::Foreign, "{what}");
        let listing = reset(&mut watch).await;
        let revision = fake.table(|table| table.revision);
        assert_eq!(fake.watched().await.start, revision, "{what}");
        assert_eq!(listing.revision.0, revision.unsigned_abs(), "{what}");
    }
}

#[tokio::test]
async fn a_newer_change_of_our_newest_key_is_our_history() {
    let fake = Fake::start().await;
    fake.holds("a", 12);
    fake.table(|table| table.revision = 12);
    let store = store_at(vec![fake.endpoint()], quick());
    let mut watch = store.watch(Scope::Documents, Some(held()));
    let play = fake.watched().await;
    assert_eq!(play.start, 10);
    play.created();
    play.events(&["a@12"]);
    assert_eq!(changes(&mut watch).await.1, 12);
}

#[tokio::test]
async fn the_newest_key_is_known_by_events_too() {
    let fake = Fake::start().await;
    fake.holds("a", 9);
    let store = store_at(vec![fake.endpoint()], quick());
    let mut watch = store.watch(Scope::Documents, None);
    reset(&mut watch).await;
    let play = fake.watched().await;
    play.created();
    play.events(&["b@11"]);
    play.events(&["-b@12"]);
    changes(&mut watch).await;
    changes(&mut watch).await;
    // The store was rebuilt: same id, further on, but `a` is another one.
    fake.holds("a", 8);
    fake.table(|table| table.revision = 50);
    play.fail(Status::unavailable("rebuilt"));
    down(&mut watch).await;
    assert_eq!(down(&mut watch).await, Reason::Foreign);
    assert!(matches!(next(&mut watch).await, Event::Reset(_)));
}
