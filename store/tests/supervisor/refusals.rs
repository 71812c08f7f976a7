//! The server refuses: history is gone, a role is missing, a message belongs to nobody. And calls
//! that fail: what certainly did nothing, and what nobody knows.

use etcd_client::proto::PbWatchResponse;
use serin_store::watch::Reason;
use serin_store::{Compare, Error, Op, Page, Scope, Store, Txn};
use tokio::time::Instant;
use tonic::Status;

use crate::fake::{Fake, NOBODY, Play};
use crate::stage::{down, key, listed, quick, reset, store_at};

const COMPACTED: &str = "etcdserver: mvcc: required revision has been compacted";

#[tokio::test]
async fn a_compacted_history_is_listed_again_and_deletions_are_seen() {
    type Refuse = fn(Play);
    let ways: [(&str, Refuse); 4] = [
        ("as a field", |play| {
            play.send(PbWatchResponse {
                canceled: true,
                compact_revision: 15,
                ..play.message()
            });
        }),
        ("as a field, not canceled", |play| {
            play.send(PbWatchResponse {
                compact_revision: 15,
                ..play.message()
            });
        }),
        ("as a text beside created", |play| {
            play.send(PbWatchResponse {
                canceled: true,
                created: true,
                watch_id: NOBODY,
                cancel_reason: COMPACTED.to_owned(),
                ..play.message()
            });
        }),
        ("as an error", |play| {
            play.fail(Status::out_of_range(COMPACTED));
        }),
    ];
    for (what, refuse) in ways {
        let fake = Fake::start().await;
        fake.holds("a", 8);
        fake.holds("b", 9);
        let store = store_at(vec![fake.endpoint()], quick());
        let mut watch = store.watch(Scope::Documents, None);
        reset(&mut watch).await;
        let play = fake.watched().await;
        fake.table(|table| {
            table.keys.remove("/serin/v1/config/routes/a");
            table.revision = 20;
        });
        refuse(play);
        assert_eq!(down(&mut watch).await, Reason::Canceled, "{what}");
        let listing = reset(&mut watch).await;
        assert_eq!(listed(&listing), ["config/routes/b@9"], "{what}");
        assert_eq!(fake.watched().await.start, 20, "{what}");
    }
}

#[tokio::test]
async fn a_refusal_that_also_says_created_is_a_refusal() {
    for text in [
        "etcdserver: permission denied",
        "etcdserver: invalid auth token",
        "etcdserver: revision of auth store is old",
        "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token",
    ] {
        let fake = Fake::start().await;
        let store = store_at(vec![fake.endpoint()], quick());
        let mut watch = store.watch(Scope::Documents, None);
        reset(&mut watch).await;
        let play = fake.watched().await;
        play.send(PbWatchResponse {
            created: true,
            canceled: true,
            watch_id: NOBODY,
            cancel_reason: text.to_owned(),
            ..play.message()
        });
        assert_eq!(down(&mut watch).await, Reason::Auth, "{text}");
        assert_eq!(fake.watched().await.start, 10, "{text}");
        let listings = fake.table(|table| table.listings.len());
        assert_eq!(listings, 1, "{text}: nothing is missing from history");
    }
}

#[tokio::test]
async fn no_leader_goes_on_where_it_was() {
    let fake = Fake::start().await;
    let store = store_at(vec![fake.endpoint()], quick());
    let mut watch = store.watch(Scope::Documents, None);
    reset(&mut watch).await;
    let play = fake.watched().await;
    play.created();
    play.fail(Status::unavailable("etcdserver: no leader"));
    assert_eq!(down(&mut watch).await, Reason::NoLeader);
    assert_eq!(fake.watched().await.start, 10);
}

#[tokio::test]
async fn what_belongs_to_no_watch_of_ours_is_not_trusted() {
    let fake = Fake::start().await;
    let store = store_at(vec![fake.endpoint()], quick());
    let mut watch = store.watch(Scope::Documents, None);
    reset(&mut watch).await;
    let play = fake.watched().await;
    play.created();
    play.send(PbWatchResponse {
        watch_id: 5,
        ..play.message()
    });
    assert_eq!(down(&mut watch).await, Reason::Canceled);
    reset(&mut watch).await;
}

#[tokio::test]
async fn a_read_goes_to_the_next_member_when_one_is_silent() {
    let (silent, other) = (Fake::start().await, Fake::start().await);
    silent.table(|table| table.mute = true);
    let endpoints = vec![silent.endpoint(), other.endpoint()];
    // The order is drawn for each store: some of these begin with the silent member.
    for _ in 0..4 {
        let store = store_at(endpoints.clone(), quick());
        let (entry, revision) = store.get(&key("config/routes/a")).await.expect("an answer");
        assert_eq!((entry, revision.0), (None, 10));
    }
}

#[tokio::test]
async fn a_listing_that_is_compacted_away_again_and_again_ends() {
    let fake = Fake::start().await;
    fake.table(|table| table.refuse = Some(Status::out_of_range(COMPACTED)));
    let store = store_at(vec![fake.endpoint()], quick());
    let listing = store.list(Scope::Documents, Page::whole()).await;
    assert!(matches!(listing, Err(Error::Unavailable(_))), "{listing:?}");
    assert_eq!(fake.table(|table| table.listings.len()), 5);
}

#[tokio::test]
async fn a_page_that_is_too_long_is_halved() {
    let fake = Fake::start().await;
    for n in 0..600 {
        fake.holds(&format!("{n:03}"), 5);
    }
    let store = store_at(vec![fake.endpoint()], quick());
    for fits in [usize::MAX, 70, 1] {
        fake.table(|table| table.fits = fits);
        let listing = store.list(Scope::Documents, Page::whole()).await;
        let entries = listing.expect("it is read").entries;
        assert_eq!(entries.len(), 600, "{fits}");
        assert!(entries.is_sorted_by_key(|entry| entry.key.clone()));
    }
    fake.table(|table| table.fits = 0);
    let listing = store.list(Scope::Documents, Page::whole()).await;
    assert!(matches!(listing, Err(Error::TooLarge(_))), "{listing:?}");
}

#[tokio::test]
async fn only_what_certainly_did_nothing_is_not_unknown() {
    let unavailable = |text: &str| Status::unavailable(text.to_owned());
    type Expected = fn(&Error) -> bool;
    let table: [(Option<Status>, Expected); 11] = [
        (None, unknown),
        (Some(unavailable("etcdserver: request timed out")), unknown),
        (Some(unavailable("etcdserver: leader changed")), unknown),
        (Some(unavailable("etcdserver: server stopped")), unknown),
        (
            Some(Status::cancelled("etcdserver: request canceled")),
            unknown,
        ),
        (Some(Status::unknown("something")), unknown),
        (Some(unavailable("etcdserver: no leader")), |error| {
            matches!(error, Error::Unavailable(_))
        }),
        (
            Some(Status::resource_exhausted(
                "etcdserver: mvcc: database space exceeded",
            )),
            |error| matches!(error, Error::Full(_)),
        ),
        (
            Some(Status::permission_denied("etcdserver: permission denied")),
            |error| matches!(error, Error::Denied(_)),
        ),
        (
            Some(Status::invalid_argument(
                "etcdserver: too many operations in txn request",
            )),
            |error| matches!(error, Error::Invalid(_)),
        ),
        (
            Some(Status::invalid_argument("etcdserver: request is too large")),
            |error| matches!(error, Error::TooLarge(_)),
        ),
    ];
    for (status, expected) in table {
        let fake = Fake::start().await;
        fake.table(|table| table.refuse = status.clone());
        let store = store_at(vec![fake.endpoint()], quick());
        let error = store.txn(change()).await.expect_err("it is refused");
        assert!(expected(&error), "{status:?} became {error:?}");
        let again = matches!(&error, Error::Unavailable(_));
        let asked = fake.table(|table| table.txns);
        assert_eq!(asked > 1, again, "{status:?}: asked {asked} times");
    }
}

#[tokio::test]
async fn nothing_was_sent_to_where_nobody_listens() {
    let nobody = serin_tests::free_address().to_string();
    let store = store_at(vec![nobody], quick());
    let began = Instant::now();
    let error = store.txn(change()).await.expect_err("nobody listens");
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    assert!(began.elapsed() < quick().call, "it is said at once");
}

#[tokio::test]
async fn a_full_store_is_asked_at_most_once_a_second() {
    let fake = Fake::start().await;
    let full = Status::resource_exhausted("etcdserver: mvcc: database space exceeded");
    fake.table(|table| table.refuse = Some(full));
    let store = store_at(vec![fake.endpoint()], quick());
    for _ in 0..50 {
        let error = store.txn(change()).await.expect_err("it is full");
        assert!(matches!(error, Error::Full(_)), "{error:?}");
    }
    assert!(
        fake.table(|table| table.txns) <= 2,
        "it was asked again and again"
    );
}

fn unknown(error: &Error) -> bool {
    matches!(error, Error::Unknown { receipt: Some(receipt), .. } if receipt.as_str() == "audit/1")
}

fn change() -> Txn {
    Txn {
        compares: vec![Compare::CreateRevision(key("audit/1"), Default::default())],
        ops: vec![Op::Put(key("audit/1"), "{}".into(), None)],
        receipt: Some(key("audit/1")),
    }
}
