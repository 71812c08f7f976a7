//! Another store than before: nothing of it is applied until somebody says that it is meant.

use std::{path::Path, sync::Arc, time::Duration};

use serin_proto::{fleet::Hold, unit::Revision};
use serin_store::{Entry, watch::Event};
use tempfile::TempDir;
use ulid::Ulid;

use crate::{
    client::Request,
    running::Options,
    stage::{Stage, alone},
    store::{asks, route, serves, shown},
    stores::{Scripted, changes, entry, removal, report, reset},
    wait::{eventually, within},
};

const MARK: &str = "config/adopted";

/// A router that follows store `one` at revision 10, with the route `chat`.
fn following(state: &Path) -> (Stage, Arc<Scripted>) {
    let store = Scripted::new();
    let stage = Stage::following("{}", options(state), store.follower());
    store.tell(reset("one", 10, &listed(&stage, "chat")));
    serves(&stage, Revision(10));
    (stage, store)
}

fn options(state: &Path) -> Options {
    Options {
        state_dir: Some(state.to_owned()),
        ..Options::default()
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// A listing with the route of that name, everything in it written at revision 1.
fn listed(stage: &Stage, name: &str) -> Vec<Entry> {
    stage.listed(&alone(name, "")).entries
}

fn mark(ulid: Ulid) -> Vec<u8> {
    format!(r#"{{"ulid":"{ulid}","by":"root","reason":"restored"}}"#).into_bytes()
}

/// The ULID of an adoption that is made so long after now.
fn adopted_in(time: Duration) -> Ulid {
    let now = Ulid::generate().timestamp_ms();
    Ulid::from_parts(now + time.as_millis() as u64, 7)
}

const LATER: Duration = Duration::from_secs(1);

fn holds(stage: &Stage, why: &str) {
    let hold = || shown(stage)["hold"].as_str().map(str::to_owned);
    eventually("it holds", hold, |hold| hold.as_deref() == Some(why));
}

fn follows(stage: &Stage) {
    let hold = || shown(stage)["hold"].is_null();
    eventually("it holds no more", hold, |follows| *follows);
}

#[test]
fn another_history_changes_nothing_and_the_true_one_ends_the_hold() {
    let newer = |entries: Vec<Entry>, revision| {
        let newer = |mut entry: Entry| {
            entry.mod_revision = Revision(revision);
            entry
        };
        entries.into_iter().map(newer).collect::<Vec<_>>()
    };
    let folder = folder();
    let (stage, store) = following(folder.path());
    let table = [
        (
            Hold::ClusterChanged,
            "two",
            20,
            newer(listed(&stage, "other"), 15),
        ),
        (Hold::RevisionRegressed, "one", 9, listed(&stage, "chat")),
        (
            Hold::HistoryDiffers,
            "one",
            11,
            newer(listed(&stage, "chat"), 9),
        ),
        (Hold::HistoryDiffers, "one", 11, listed(&stage, "other")),
        (Hold::Empty, "one", 20, Vec::new()),
    ];
    for (why, identity, revision, entries) in table {
        store.tell(reset(identity, revision, &entries));
        holds(&stage, why.as_str());
        let other = route("foreign", "");
        store.tell(changes(
            [("config/routes/foreign", other.as_bytes())],
            revision + 1,
        ));
        store.tell(removal("config/routes/chat", revision + 2));
        store.tell(Event::Progress(Revision(revision + 3)));
        let reported = || report(&*store.memory, "one").and_then(|(report, _)| report.hold);
        eventually("it is reported", reported, |hold| *hold == Some(why));
        let scrape = stage.scrape();
        assert_eq!(scrape.sum("serin_config_watch_up", &[]), 0.0, "{why:?}");
        assert_eq!(scrape.sum("serin_config_revision", &[]), 10.0, "{why:?}");
        assert_eq!(stage.admin("/readyz").status, 200, "{why:?}");
        assert_eq!(
            [asks(&stage, "chat"), asks(&stage, "foreign")],
            [200, 404],
            "{why:?}"
        );
        store.tell(reset("one", 10, &listed(&stage, "chat")));
        follows(&stage);
        let up = || stage.scrape().sum("serin_config_watch_up", &[]);
        eventually("it follows again", up, |up| *up == 1.0);
    }
    store.tell(removal("config/routes/chat", 11));
    serves(&stage, Revision(11));
    assert_eq!(
        asks(&stage, "chat"),
        404,
        "a delete that comes as an event is one"
    );
}

#[test]
fn an_adoption_goes_over_to_the_store_as_it_is_by_then() {
    let folder = folder();
    let (stage, store) = following(folder.path());
    store.tell(reset("two", 3, &listed(&stage, "gone")));
    holds(&stage, "cluster_changed");
    let new = route("new", "");
    store.tell(changes([("config/routes/new", new.as_bytes())], 4));
    store.tell(removal("config/routes/gone", 5));
    let made = mark(adopted_in(LATER));
    store.tell(changes([(MARK, made.as_slice())], 6));
    follows(&stage);
    let revision = || {
        let answer = stage.ask(&Request::chat("new"));
        answer.header("x-serin-revision").map(str::to_owned)
    };
    eventually("its documents serve", revision, |seen| {
        seen.as_deref() == Some("6")
    });
    let statuses = ["new", "gone", "chat"].map(|name| asks(&stage, name));
    assert_eq!(statuses, [200, 404, 404]);
    store.tell(removal("config/routes/new", 7));
    serves(&stage, Revision(7));
    assert_eq!(asks(&stage, "new"), 404, "it is followed from there on");
}

#[test]
fn an_adoption_that_a_listing_holds_counts_too_but_once_and_only_a_later_one() {
    let folder = folder();
    let (mut stage, store) = following(folder.path());
    let mut entries = listed(&stage, "second");
    let before = Ulid::generate().timestamp_ms() - 60_000;
    let old = mark(Ulid::from_parts(before, 7));
    entries.push(entry(MARK, &old, (2, 2)));
    store.tell(reset("two", 3, &entries));
    holds(&stage, "cluster_changed");
    let made = mark(adopted_in(LATER));
    entries.pop();
    entries.push(entry(MARK, &made, (2, 4)));
    store.tell(reset("two", 4, &entries));
    follows(&stage);
    let second = || asks(&stage, "second");
    eventually("the second store serves", second, |status| *status == 200);

    let again = Scripted::new();
    stage.restart(options(folder.path()), again.follower());
    let mut third = listed(&stage, "third");
    third.push(entry(MARK, &made, (2, 4)));
    again.tell(reset("three", 5, &third));
    holds(&stage, "cluster_changed");
    assert_eq!([asks(&stage, "second"), asks(&stage, "third")], [200, 404]);
}

#[test]
fn a_router_starts_from_its_file_at_once_and_compares_the_store_with_it() {
    let folder = folder();
    let (mut stage, store) = following(folder.path());
    let chat = route("chat", r#","timeouts":{"idle":"7s"}"#);
    store.tell(changes([("config/routes/chat", chat.as_bytes())], 12));
    store.tell(Event::Progress(Revision(15)));
    serves(&stage, Revision(12));
    let silent = Scripted::new();
    stage.restart(options(folder.path()), silent.follower());
    let ready = || stage.admin("/readyz").status;
    within(Duration::from_secs(1), "ready", ready, |status| {
        *status == 200
    });
    assert_eq!(
        (asks(&stage, "chat"), shown(&stage)["source"].as_str()),
        (200, Some("cache"))
    );
    assert_eq!(stage.scrape().sum("serin_config_watch_up", &[]), 0.0);
    let mut kept = listed(&stage, "chat");
    let edited = kept
        .iter_mut()
        .find(|entry| entry.key.as_str() == "config/routes/chat");
    let edited = edited.expect("the route is listed");
    (edited.value, edited.mod_revision) = (chat.into(), Revision(12));
    silent.tell(reset("one", 15, &kept));
    let source = || shown(&stage)["source"].clone();
    eventually("the store confirms it", source, |source| source == "store");
    silent.tell(removal("config/routes/chat", 16));
    serves(&stage, Revision(16));
    assert_eq!(asks(&stage, "chat"), 404);
}

#[test]
fn without_file_and_store_it_waits_and_is_not_ready() {
    let folder = folder();
    let store = Scripted::new();
    let stage = Stage::following("{}", options(folder.path()), store.follower());
    store.tell(Event::Down(
        serin_store::watch::Reason::Connect,
        "refused".to_owned(),
    ));
    assert_eq!(stage.admin("/readyz").status, 503);
    assert_eq!(stage.admin("/livez").status, 200);
    assert_eq!(stage.admin("/snapshot").status, 503);
    assert_eq!(asks(&stage, "chat"), 503);
    store.tell(reset("one", 10, &listed(&stage, "chat")));
    serves(&stage, Revision(10));
    assert_eq!(asks(&stage, "chat"), 200);
}

#[test]
fn a_file_that_was_hurt_is_as_none_and_the_one_before_it_serves() {
    let folder = folder();
    let (mut stage, store) = following(folder.path());
    let file = |name: &str| folder.path().join(name);
    let is_there = |name: &'static str| {
        let path = file(name);
        eventually("it is written", || path.exists(), |there| *there);
    };
    is_there("snapshot");
    let chat = route("chat", r#","timeouts":{"idle":"7s"}"#);
    store.tell(changes([("config/routes/chat", chat.as_bytes())], 12));
    is_there("snapshot.prev");
    stage.stop();
    stage.ended().expect("a clean end");
    let whole = std::fs::read(file("snapshot")).expect("a file");
    std::fs::write(file("snapshot"), &whole[..whole.len() / 2]).expect("a file");
    let silent = Scripted::new();
    stage.restart(options(folder.path()), silent.follower());
    stage.is_ready();
    assert_eq!(stage.scrape().sum("serin_config_revision", &[]), 10.0);
    std::fs::write(file("snapshot.prev"), "").expect("a file");
    std::fs::write(file("snapshot"), "").expect("a file");
    let silent = Scripted::new();
    stage.restart(options(folder.path()), silent.follower());
    assert_eq!(stage.admin("/readyz").status, 503);
}
