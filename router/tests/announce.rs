//! `routers/<id>`: what a router tells of itself, how often, and until when.

use std::{sync::Arc, thread, time::Duration};

use bytes::Bytes;
use serin_proto::{
    fleet::{RouterReport, Source},
    unit::Revision,
};
use serin_router::settings::Drain;
use serin_store::{Follower, MemoryStore, Op, Store};

use crate::{
    client::Request,
    running::Options,
    stage::{Stage, alone},
    store::{route, serves},
    stores::{Scripted, changes, commit, delete, key, put, put_all, report, reset},
    wait::{eventually, now},
};

fn follower(store: &Arc<MemoryStore>) -> Follower {
    Follower::of_store(Arc::clone(store) as Arc<dyn Store>)
}

fn options(id: &str) -> Options {
    Options {
        id: id.to_owned(),
        ..Options::default()
    }
}

/// A router of that id on a store that holds the route `chat`.
fn following(id: &str) -> (Stage, Arc<MemoryStore>) {
    let store = MemoryStore::new();
    let stage = Stage::following("{}", options(id), follower(&store));
    let revision = put_all(&*store, &stage.listed(&alone("chat", "")));
    serves(&stage, revision);
    (stage, store)
}

/// Waits for a report that says so.
fn reports(
    store: &dyn Store,
    id: &str,
    promise: &str,
    is: impl Fn(&RouterReport) -> bool,
) -> RouterReport {
    let look = || report(store, id).map(|(report, _)| report);
    let seen = eventually(promise, look, |seen| seen.as_ref().is_some_and(&is));
    seen.expect("as awaited")
}

#[test]
fn a_report_says_who_where_since_when_and_what_is_served() {
    let (stage, store) = following("edge-1");
    let bad = put(&*store, "config/routes/bad", b"{}");
    serves(&stage, bad);
    let report = reports(&*store, "edge-1", "what is refused", |report| {
        report.rejected_count == 1
    });
    assert_eq!((&*report.version, report.boot_id.len()), ("test", 32));
    assert_eq!(report.admin_address, stage.admin.to_string());
    assert_eq!(report.applied_revision, bad.0);
    assert_eq!((report.source, report.hold), (Source::Store, None));
    assert_eq!(report.rejected[0].key, "config/routes/bad");
    assert_eq!(report.rejected[0].mod_revision, bad.0);
    let is_time = report.started_at.len() == 20 && report.started_at.ends_with('Z');
    assert!(is_time, "{}", report.started_at);
}

#[test]
fn a_thousand_changes_are_few_reports_and_the_last_one_is_told() {
    let (stage, store) = following("one");
    reports(&*store, "one", "a first report", |_| true);
    let began = now();
    let mut last = Revision(0);
    for change in 0..1_000 {
        let more = format!(r#","timeouts":{{"idle":"{}s"}}"#, 1 + change % 50);
        last = put(
            &*store,
            "config/routes/chat",
            route("chat", &more).as_bytes(),
        );
        thread::yield_now();
    }
    serves(&stage, last);
    reports(&*store, "one", "the last one", |report| {
        report.applied_revision == last.0
    });
    let (_, entry) = report(&*store, "one").expect("a report");
    let allowed = 3 + began.elapsed().as_secs();
    assert!(
        entry.version <= allowed,
        "{} writes, not {allowed}",
        entry.version
    );
}

#[test]
fn who_has_nothing_new_to_say_writes_nothing() {
    let store = Scripted::new();
    let stage = Stage::following("{}", options("one"), store.follower());
    store.tell(reset("one", 1, &stage.listed("").entries));
    reports(&*store.memory, "one", "a first report", |report| {
        report.applied_revision == 1
    });
    let before = store.memory.revision();
    for revision in 2..200 {
        store.tell(serin_store::watch::Event::Progress(Revision(revision)));
    }
    // The next report is of something else and tells what was applied by then.
    store.tell(reset("two", 300, &[]));
    let held = reports(&*store.memory, "one", "a hold", |report| {
        report.hold.is_some()
    });
    assert_eq!(held.applied_revision, 1);
    assert_eq!(store.memory.revision().0, before.0 + 1, "one write");
}

#[test]
fn of_two_routers_with_one_name_the_second_adds_characters_of_its_own() {
    let (_first, store) = following("twin");
    let first = reports(&*store, "twin", "the first", |_| true);
    let second = Stage::following("{}", options("twin"), follower(&store));
    second.is_ready();
    let others = || {
        let scope = serin_store::Scope::Fleet;
        let listing = crate::stores::now(store.list(scope, serin_store::Page::whole()));
        let keys = listing.expect("a store that answers").entries.into_iter();
        keys.map(|entry| entry.key.to_string()).collect::<Vec<_>>()
    };
    let both = eventually("both are there", others, |keys| keys.len() == 2);
    let own = both[1]
        .strip_prefix("routers/twin-")
        .expect("its name and more");
    let report = reports(&*store, &format!("twin-{own}"), "the second", |_| true);
    assert_eq!((own.len(), &report.boot_id[..6]), (6, own));
    assert_eq!(
        reports(&*store, "twin", "the first", |_| true),
        first,
        "it is left alone"
    );
}

#[test]
fn what_is_no_report_under_its_key_is_replaced() {
    let store = MemoryStore::new();
    put(&*store, "routers/one", b"nonsense");
    let stage = Stage::following("{}", options("one"), follower(&store));
    stage.is_ready();
    let look = || {
        let (entry, _) = crate::stores::now(store.get(&key("routers/one"))).expect("an answer");
        entry.map(|entry| entry.value)
    };
    let is_report = |seen: &Option<Bytes>| seen.as_ref().is_some_and(|v| v.starts_with(b"{"));
    eventually("it is replaced", look, is_report);
}

#[test]
fn a_lost_lease_a_deleted_key_and_a_lost_answer_cost_no_report() {
    let store = Scripted::new();
    let stage = Stage::following("{}", options("one"), store.follower());
    store.tell(reset("one", 1, &stage.listed("").entries));
    let memory = &*store.memory;
    reports(memory, "one", "a first report", |_| true);
    let created = || report(memory, "one").map(|(_, entry)| entry.create_revision);
    let first = created().expect("it is there");
    memory.partition();
    memory.advance(Duration::from_secs(31));
    memory.heal();
    let is_new = |now: &Option<Revision>| now.is_some_and(|now| now > first);
    eventually("it is there anew", created, is_new);

    delete(memory, "routers/one");
    let new = route("new", "");
    store.tell(changes([("config/routes/new", new.as_bytes())], 2));
    reports(memory, "one", "the change", |report| {
        report.applied_revision == 2
    });

    memory.commit_but_say_unknown();
    store.tell(changes([("config/routes/new", new.as_bytes())], 3));
    reports(memory, "one", "it too", |report| {
        report.applied_revision == 3
    });
    store.tell(changes([("config/routes/new", new.as_bytes())], 4));
    reports(memory, "one", "and the next", |report| {
        report.applied_revision == 4
    });
}

#[test]
fn the_report_goes_when_the_last_answer_has_ended_and_not_before() {
    let slow = "{models: {chat: {tokensPerSecond: 20, answerTokens: 16}}}";
    let store = MemoryStore::new();
    let drain = Drain {
        grace: Duration::ZERO,
        limit: Duration::from_secs(60),
    };
    let options = Options {
        drain,
        ..options("one")
    };
    let mut stage = Stage::following(slow, options, follower(&store));
    let revision = put_all(&*store, &stage.listed(&alone("chat", "")));
    serves(&stage, revision);
    reports(&*store, "one", "a report", |report| {
        report.applied_revision == revision.0
    });
    let mut stream = stage.begin(&Request::stream("chat"));
    assert_eq!(stream.head().expect("a head").status, 200);
    stage.stop();
    let later = commit(
        &*store,
        vec![Op::Put(key("config/routes/b"), route("b", "").into(), None)],
    );
    reports(&*store, "one", "it follows on", |report| {
        report.applied_revision == later.0
    });
    let (_, whole) = stream.rest().expect("it goes on");
    assert!(whole);
    stage.ended().expect("a clean end");
    assert!(report(&*store, "one").is_none(), "it was taken back");
    assert_eq!(store.open_watches(), 0);
}
