//! A router that follows a store: each change alone, in order, and what cannot be used refused alone.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use serin_proto::unit::Revision;
use serin_store::{
    Follower, MemoryStore, Store,
    watch::{Event, Reason},
};

use crate::{
    breaker::state,
    client::Request,
    running::Options,
    stage::{Stage, alone},
    stores::{Scripted, changes, delete, entry, put, put_all, reset},
    wait::{eventually, within},
};

/// What bounds a change from its commit to the request that is routed by it, with room for a
/// machine that is busy with other tests.
const SOON: Duration = Duration::from_secs(20);

/// A router on a store in memory that holds these routes.
fn following(script: &str, routes: &str) -> (Stage, Arc<MemoryStore>) {
    let store = MemoryStore::new();
    let follower = Follower::of_store(Arc::clone(&store) as Arc<dyn Store>);
    let stage = Stage::following(script, Options::default(), follower);
    let revision = put_all(&*store, &stage.listed(routes));
    serves(&stage, revision);
    (stage, store)
}

pub(crate) fn serves(stage: &Stage, revision: Revision) {
    stage.is_ready();
    let gauge = || stage.scrape().sum("serin_config_revision", &[]);
    within(SOON, "the change serves", gauge, |seen| {
        *seen >= revision.0 as f64
    });
}

/// What `/snapshot` shows.
pub(crate) fn shown(stage: &Stage) -> Value {
    stage.admin("/snapshot").json()
}

pub(crate) fn asks(stage: &Stage, model: &str) -> u16 {
    stage.ask(&Request::chat(model)).status
}

/// The stored form of a route with one target.
pub(crate) fn route(name: &str, more: &str) -> String {
    format!(
        r#"{{"name":"{name}","targets":[{{"name":"a","provider":"sim","model":"{name}"}}],
            "traffic":{{"weights":{{"a":100}}}}{more}}}"#
    )
}

#[test]
fn a_router_of_an_empty_store_is_ready_and_knows_no_model() {
    let follower = Follower::of_store(MemoryStore::new() as Arc<dyn Store>);
    let stage = Stage::following("{}", Options::default(), follower);
    stage.is_ready();
    assert_eq!(stage.ask(&Request::get("/ready")).status, 200);
    assert_eq!(shown(&stage)["routes"], serde_json::json!([]));
    assert_eq!(stage.scrape().sum("serin_config_watch_up", &[]), 1.0);
    assert_eq!(asks(&stage, "chat"), 401, "nor a key");
}

#[test]
fn each_change_serves_soon_and_a_plain_delete_is_one() {
    let (stage, store) = following("{}", &alone("chat", ""));
    assert_eq!(asks(&stage, "chat"), 200);
    for name in ["a", "b", "c"] {
        let key = format!("config/routes/{name}");
        let revision = put(&*store, &key, route(name, "").as_bytes());
        serves(&stage, revision);
        let answer = stage.ask(&Request::chat(name));
        let served_by = answer.header("x-serin-revision").map(str::to_owned);
        assert_eq!(
            (answer.status, served_by),
            (200, Some(revision.0.to_string()))
        );
    }
    serves(&stage, delete(&*store, "config/routes/b"));
    assert_eq!([asks(&stage, "a"), asks(&stage, "b")], [200, 404]);
    serves(&stage, delete(&*store, "config/keys/app"));
    assert_eq!(asks(&stage, "a"), 401, "the key is revoked");
}

#[test]
fn a_thousand_changes_end_with_the_last_one_and_cost_no_request() {
    let (stage, store) = following("{}", &alone("chat", ""));
    let mut last = Revision(0);
    for change in 0..1_000 {
        let more = format!(r#","timeouts":{{"idle":"{}s"}}"#, 1 + change % 50);
        last = put(
            &*store,
            "config/routes/chat",
            route("chat", &more).as_bytes(),
        );
        if change % 100 == 0 {
            assert_eq!(asks(&stage, "chat"), 200);
        }
    }
    serves(&stage, last);
    let scrape = stage.scrape();
    assert_eq!(scrape.sum("serin_config_rejected_documents", &[]), 0.0);
    let resync = [("result", "resync")];
    assert_eq!(scrape.sum("serin_config_applies_total", &resync), 0.0);
}

/// A router on a store that says what it is told to say; it listed these routes at revision 10.
fn told(script: &str, routes: &str, options: Options) -> (Stage, Arc<Scripted>) {
    let store = Scripted::new();
    let stage = Stage::following(script, options, store.follower());
    store.tell(reset("one", 10, &stage.listed(routes).entries));
    serves(&stage, Revision(10));
    (stage, store)
}

#[test]
fn what_was_deleted_out_of_sight_is_gone_after_a_new_listing_and_nothing_else_is() {
    let routes = ["kept", "changed", "gone"].map(|name| alone(name, ""));
    let (stage, store) = told("{}", &routes.concat(), Options::default());
    store.tell(Event::Down(Reason::Canceled, "compacted".to_owned()));
    let up = || stage.scrape().sum("serin_config_watch_up", &[]);
    eventually("it is down", up, |up| *up == 0.0);
    assert_eq!(
        stage.admin("/readyz").status,
        200,
        "that makes nobody unready"
    );
    assert_eq!(asks(&stage, "gone"), 200, "as it was seen last");
    let mut listed = stage.listed(&routes[..2].concat());
    for entry in &mut listed.entries {
        if entry.key.as_str() == "config/routes/changed" {
            let other = route("changed", "").replace(r#""model":"changed""#, r#""model":"other""#);
            (entry.value, entry.mod_revision) = (other.into(), Revision(11));
        }
    }
    store.tell(reset("one", 12, &listed.entries));
    serves(&stage, Revision(12));
    let statuses = ["kept", "changed", "gone"].map(|name| asks(&stage, name));
    assert_eq!(statuses, [200, 200, 404]);
    assert_eq!(stage.received("other").len(), 1);
    let result = |word| {
        let of = [("result", word)];
        stage.scrape().sum("serin_config_applies_total", &of)
    };
    assert_eq!([result("ok"), result("resync"), up()], [1.0, 1.0, 1.0]);
}

/// Route `chat` over `a` and `b`; `broken`, whose breaker opens; `hung`, which has one place.
fn routes(a: u32) -> [(&'static str, String); 3] {
    let weights = format!(r#""weights":{{"a":{a},"b":{}}}"#, 100 - a);
    let two =
        r#"{"name":"a","provider":"sim","model":"chat"},{"name":"b","provider":"sim","model":"b"}"#;
    let chat = format!(r#"{{"name":"chat","targets":[{two}],"traffic":{{{weights}}}}}"#);
    let broken = format!(r#","breaker":{{"openFor":"{a}m"}},"whenAllOpen":"reject""#);
    let hung = route("hung", &format!(r#","timeouts":{{"firstToken":"{a}s"}}"#));
    let hung = hung.replace(r#""model":"hung""#, r#""model":"hung","maxConcurrency":1"#);
    [
        ("config/routes/chat", chat),
        ("config/routes/broken", route("broken", &broken)),
        ("config/routes/hung", hung),
    ]
}

fn changed(revision: u64, a: u32) -> Event {
    let routes = routes(a);
    let puts = routes.iter().map(|(name, value)| (*name, value.as_bytes()));
    changes(puts, revision)
}

#[test]
fn breakers_and_places_survive_changes_and_new_listings() {
    let script = "{models: {broken: {reset: true}, hung: {hang: true}}}";
    let (stage, store) = told(script, "", Options::default());
    store.tell(changed(11, 50));
    serves(&stage, Revision(11));
    for _ in 0..5 {
        assert_eq!(asks(&stage, "broken"), 502);
    }
    let open = || state(&stage, "broken", "a");
    eventually("the breaker is open", open, |state| state == "open");
    let hanging = stage.begin(&Request::chat("hung"));
    let in_flight = || {
        let of = [("route", "hung")];
        stage.scrape().sum("serin_requests_in_flight", &of)
    };
    eventually("one hangs", in_flight, |running| *running == 1.0);
    let holds = |what: &str| {
        assert_eq!(open(), "open", "{what}");
        assert_eq!(asks(&stage, "broken"), 503, "{what}");
        assert_eq!(asks(&stage, "hung"), 503, "{what}: its place is taken");
        assert_eq!(stage.simulator.journal().count("broken"), 5, "{what}");
    };
    holds("before");
    for (revision, weight) in (20..40).zip(51..) {
        store.tell(changed(revision, weight));
    }
    serves(&stage, Revision(39));
    holds("after twenty changes of everything");
    let mut listed = stage.listed("").entries;
    let routes = routes(99);
    listed.extend(routes.map(|(name, value)| entry(name, value.as_bytes(), (1, 40))));
    store.tell(reset("one", 41, &listed));
    serves(&stage, Revision(41));
    holds("after a new listing");
    hanging.leave();
}
