//! Events in batches: whole, in order, once.

use etcd_client::proto::{PbEvent, PbKeyValue};
use serin_store::watch::{Event, Reason};
use serin_store::{Scope, Store, Watch};
use tonic::Status;

use crate::fake::{Fake, Play};
use crate::stage::{SOON, changes, down, next, progress, quick, reset, store_at};

/// A watch that stands at revision 10 of an empty store, and the server's end of it.
async fn standing(fake: &Fake) -> (Watch, Play) {
    let store = store_at(vec![fake.endpoint()], quick());
    let mut watch = store.watch(Scope::Documents, None);
    reset(&mut watch).await;
    let play = fake.watched().await;
    play.created();
    (watch, play)
}

fn told(names: &[&str]) -> Vec<String> {
    let full = names.iter().map(|name| match name.strip_prefix('-') {
        Some(name) => format!("-config/routes/{name}"),
        None => format!("config/routes/{name}"),
    });
    full.collect()
}

#[tokio::test]
async fn what_one_transaction_did_comes_at_once() {
    let fake = Fake::start().await;
    let (mut watch, play) = standing(&fake).await;
    play.events(&["a@11", "b@11", "-c@11", "d@12"]);
    let expected = (told(&["a@11", "b@11", "-c@11", "d@12"]), 12);
    assert_eq!(changes(&mut watch).await, expected);
}

#[tokio::test]
async fn fragments_are_one_batch() {
    let fake = Fake::start().await;
    let (mut watch, play) = standing(&fake).await;
    play.fragment(&["a@11", "b@11"], true);
    play.fragment(&["c@11"], true);
    // Progress of others amid the batch must not pass it.
    play.progress(30);
    play.fragment(&["d@11"], false);
    match next(&mut watch).await {
        Event::Changes { batch, .. } => assert_eq!(batch.len(), 4, "{batch:?}"),
        other => panic!("expected the whole batch first, got {other:?}"),
    }
}

#[tokio::test]
async fn half_a_batch_is_void_when_the_stream_breaks() {
    let fake = Fake::start().await;
    let (mut watch, play) = standing(&fake).await;
    play.fragment(&["a@11", "b@11"], true);
    play.fail(Status::unavailable("cut amid a batch"));
    assert_eq!(down(&mut watch).await, Reason::Io);
    let again = fake.watched().await;
    assert_eq!(again.start, 10);
    again.created();
    again.fragment(&["a@11", "b@11"], true);
    again.fragment(&["c@11"], false);
    let expected = (told(&["a@11", "b@11", "c@11"]), 11);
    assert_eq!(changes(&mut watch).await, expected);
}

#[tokio::test]
async fn what_was_delivered_is_not_delivered_again() {
    let fake = Fake::start().await;
    let (mut watch, play) = standing(&fake).await;
    play.events(&["a@11"]);
    play.events(&["a@11"]);
    play.events(&["a@11", "b@12"]);
    assert_eq!(changes(&mut watch).await, (told(&["a@11"]), 11));
    assert_eq!(changes(&mut watch).await, (told(&["b@12"]), 12));
}

#[tokio::test]
async fn progress_is_asked_for_while_nothing_happens() {
    let fake = Fake::start().await;
    let (mut watch, mut play) = standing(&fake).await;
    for revision in [10, 14, 14, 20] {
        assert!(play.asked(quick().ask_progress * 5).await);
        play.progress(revision);
        assert_eq!(progress(&mut watch).await, revision.unsigned_abs());
    }
}

#[tokio::test]
async fn a_consumer_that_asks_is_answered_at_once() {
    let fake = Fake::start().await;
    let mut timing = quick();
    timing.ask_progress = timing.silent * 100;
    timing.silent *= 100;
    let store = store_at(vec![fake.endpoint()], timing);
    let mut watch = store.watch(Scope::Documents, None);
    reset(&mut watch).await;
    let mut play = fake.watched().await;
    play.created();
    assert!(play.asked(SOON).await, "once it stands");
    play.progress(10);
    progress(&mut watch).await;
    watch.ask_progress();
    assert!(play.asked(SOON).await);
    // Asked again, because a server that is behind answers nothing.
    assert!(play.asked(SOON).await);
    play.progress(12);
    assert_eq!(progress(&mut watch).await, 12);
}

#[tokio::test]
async fn what_others_write_beside_our_keys_is_progress() {
    let fake = Fake::start().await;
    let (mut watch, play) = standing(&fake).await;
    let mut message = play.message();
    let kv = PbKeyValue {
        key: b"/serin/v1/config/\xff".to_vec(),
        mod_revision: 11,
        ..PbKeyValue::default()
    };
    message.events.push(PbEvent {
        kv: Some(kv),
        ..PbEvent::default()
    });
    play.send(message);
    assert_eq!(progress(&mut watch).await, 11);
    play.fail(Status::unavailable("over"));
    down(&mut watch).await;
    fake.table(|table| table.revision = 11);
    assert_eq!(fake.watched().await.start, 11);
}
