//! A canary's share on lease: a rollback reaches routers that cannot hear of it, too.

use std::{path::Path, sync::Arc};

use serin_proto::unit::Revision;
use serin_store::{
    Entry,
    watch::{Event, Reason},
};
use tempfile::TempDir;

use crate::{
    client::{Connection, Request},
    running::Options,
    stage::{Stage, pair},
    store::{route, serves, shown},
    stores::{Scripted, changes, entry, reset},
    wait::eventually,
};

const CHAT: &str = "config/routes/chat";

/// Route `chat` with the canary `new`, and whatever `rollout` says of it.
fn chat(share: u32, rollout: &str) -> String {
    let target = |name: &str| format!(r#"{{"name":"{name}","provider":"sim","model":"{name}"}}"#);
    let (targets, old) = ([target("old"), target("new")].join(","), 100 - share);
    format!(
        r#"{{"name":"chat","targets":[{targets}],"traffic":{{"canary":"new","fallback":["old"],
            "weights":{{"old":{old},"new":{share}}}{rollout}}}}}"#
    )
}

fn leased(ttl: &str) -> String {
    format!(r#","rollout":{{"id":"7f3a09c2b1d4","salt":"9f2c","exposureTtl":"{ttl}"}}"#)
}

/// What the store lists with that route.
fn listed(stage: &Stage, chat: &str) -> Vec<Entry> {
    let mut entries = stage.listed("").entries;
    entries.push(entry(CHAT, chat.as_bytes(), (1, 5)));
    entries
}

/// A router that follows a store with that route at revision 10.
fn following(script: &str, chat: &str, state: &Path) -> (Stage, Arc<Scripted>) {
    let store = Scripted::new();
    let stage = Stage::following(script, options(state), store.follower());
    store.tell(reset("one", 10, &listed(&stage, chat)));
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

fn arm(stage: &Stage) -> String {
    let answer = stage.ask(&Request::chat("chat"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.header("x-serin-arm").unwrap_or_default().to_owned()
}

fn is_exposed(stage: &Stage) -> bool {
    let canary = &shown(stage)["routes"][0]["canary"];
    canary["exposed"].as_bool().expect("a route with a canary")
}

fn lapses(stage: &Stage) {
    let exposed = || is_exposed(stage);
    eventually("the lease ends", exposed, |exposed| !exposed);
}

fn gets_nobody(stage: &Stage, why: &str) {
    let arms: Vec<String> = (0..20).map(|_| arm(stage)).collect();
    assert_eq!(arms, ["stable"; 20], "{why}");
}

/// Waits for a request in the canary, giving word from the store before each look.
fn gets_its_share_again(stage: &Stage, store: &Scripted, revision: u64) {
    let look = || {
        store.tell(Event::Progress(Revision(revision)));
        arm(stage)
    };
    eventually("it has its share again", look, |arm| arm == "canary");
}

/// A stream that runs at the canary, its head read.
fn canary_stream(stage: &Stage, store: &Scripted) -> Connection {
    let mut found = None;
    let look = || {
        store.tell(Event::Progress(Revision(10)));
        let mut stream = stage.begin(&Request::stream("chat"));
        let head = stream.head().expect("a head");
        let arm = crate::client::header(&head.headers, "x-serin-arm").map(str::to_owned);
        found = Some(stream);
        arm
    };
    eventually("a stream at the canary", look, |arm| {
        arm.as_deref() == Some("canary")
    });
    found.expect("it was found")
}

#[test]
fn without_word_from_the_store_the_canary_gets_nobody_new_and_what_runs_there_finishes() {
    let folder = folder();
    let script = "{models: {new: {stall: {afterEvents: 4, for: 4s}}}}";
    let (stage, store) = following(script, &chat(100, &leased("1s")), folder.path());
    let mut running = canary_stream(&stage, &store);
    lapses(&stage);
    gets_nobody(&stage, "the lease has ended");
    let streams = [("route", "chat")];
    let streams = stage.scrape().sum("serin_streams_in_flight", &streams);
    assert!(streams >= 1.0, "it still runs");
    let (body, whole) = running.rest().expect("the rest of it");
    assert!(whole && body.ends_with(b"data: [DONE]\n\n"), "it finishes");
    gets_nobody(&stage, "nothing was heard since");
    gets_its_share_again(&stage, &store, 10);
}

#[test]
fn without_word_from_the_store_the_candidate_rescues_nobody_either() {
    let folder = folder();
    let script = "{models: {old: {reset: true}}}";
    let route = chat(1, &leased("1s")).replace(r#""fallback":["old"]"#, r#""fallback":["new"]"#);
    let (stage, store) = following(script, &route, folder.path());
    let ask = || stage.ask(&Request::chat("chat")).status;
    let rescued = || {
        store.tell(Event::Progress(Revision(10)));
        ask()
    };
    eventually("the candidate rescues", rescued, |status| *status == 200);
    lapses(&stage);
    let of = [("target", "new"), ("outcome", "success")];
    let sent = || stage.scrape().sum("serin_upstream_requests_total", &of);
    let before = sent();
    let answers: Vec<u16> = (0..20).map(|_| ask()).collect();
    assert!(answers.iter().all(|status| *status >= 500), "{answers:?}");
    assert_eq!(sent(), before, "nothing new goes there (I14)");
    eventually("it rescues again", rescued, |status| *status == 200);
}

#[test]
fn after_an_outage_a_change_is_applied_and_proves_nothing_until_the_router_has_caught_up() {
    let folder = folder();
    let (stage, store) = following("{}", &chat(100, &leased("1s")), folder.path());
    store.tell(Event::Down(Reason::Connect, "cut off".to_owned()));
    lapses(&stage);
    let other = route("other", "");
    store.tell(changes([("config/routes/other", other.as_bytes())], 12));
    serves(&stage, Revision(12));
    gets_nobody(&stage, "more changes may follow");
    let abort = chat(0, "");
    store.tell(changes([(CHAT, abort.as_bytes())], 13));
    store.tell(Event::Progress(Revision(13)));
    serves(&stage, Revision(13));
    gets_nobody(&stage, "it was taken back meanwhile");
    let begun = chat(100, &leased("1s"));
    store.tell(changes([(CHAT, begun.as_bytes())], 14));
    gets_its_share_again(&stage, &store, 14);
}

#[test]
fn a_start_without_the_store_exposes_nothing_until_the_store_has_spoken() {
    let folder = folder();
    let route = chat(100, &leased("1h"));
    let (mut stage, store) = following("{}", &route, folder.path());
    assert_eq!(arm(&stage), "canary");
    drop(store);
    let store = Scripted::new();
    stage.restart(options(folder.path()), store.follower());
    stage.is_ready();
    gets_nobody(&stage, "served from the snapshot file");
    assert_eq!(
        shown(&stage)["routes"][0]["canary"],
        serde_json::json!({"target": "new", "share": 100.0, "exposed": false})
    );
    store.tell(Event::Down(Reason::Connect, "refused".to_owned()));
    gets_nobody(&stage, "a store that is away has not spoken");
    store.tell(reset("one", 10, &listed(&stage, &route)));
    gets_its_share_again(&stage, &store, 10);
    assert!(is_exposed(&stage));
}

#[test]
fn another_store_than_the_one_followed_is_no_word() {
    let folder = folder();
    let route = chat(100, &leased("1s"));
    let (stage, store) = following("{}", &route, folder.path());
    store.tell(reset("two", 20, &listed(&stage, &route)));
    let look = || {
        store.tell(Event::Progress(Revision(21)));
        is_exposed(&stage)
    };
    eventually("the lease ends", look, |exposed| !exposed);
    gets_nobody(&stage, "it holds");
    store.tell(reset("one", 10, &listed(&stage, &route)));
    gets_its_share_again(&stage, &store, 10);
}

#[test]
fn a_canary_that_nobody_lent_its_share_keeps_it() {
    let promoted = r#","rollout":{"id":"7f3a09c2b1d4","salt":"9f2c"}"#;
    for rollout in ["", promoted] {
        let folder = folder();
        let (mut stage, store) = following("{}", &chat(100, rollout), folder.path());
        assert_eq!(arm(&stage), "canary", "{rollout}");
        drop(store);
        let store = Scripted::new();
        stage.restart(options(folder.path()), store.follower());
        stage.is_ready();
        store.tell(Event::Down(Reason::Connect, "refused".to_owned()));
        assert_eq!(arm(&stage), "canary", "{rollout}: without any word");
        assert!(is_exposed(&stage), "{rollout}");
    }
}

#[test]
fn a_canary_that_is_named_has_its_series_at_0_before_it_has_a_share() {
    let folder = folder();
    let (stage, store) = following("{}", &chat(0, &leased("60s")), folder.path());
    let is_at_zero = |what: &str| {
        let scrape = stage.scrape();
        let of = [("target", "new"), ("arm", "canary"), ("role", "first")];
        for counter in [
            "serin_analysis_samples_total",
            "serin_upstream_requests_total",
        ] {
            assert_eq!(scrape.of(counter, &of).count(), 22, "{counter}, {what}");
            assert_eq!(scrape.sum(counter, &of), 0.0, "{counter}, {what}");
        }
        for histogram in [
            "serin_upstream_duration_seconds",
            "serin_upstream_ttft_seconds",
        ] {
            let count = format!("{histogram}_count");
            assert_eq!(scrape.sum(&count, &of), 0.0, "{histogram}, {what}");
        }
        for histogram in ["serin_output_tokens", "serin_request_cost_usd"] {
            let count = format!("{histogram}_count");
            assert_eq!(scrape.sum(&count, &of[..2]), 0.0, "{histogram}, {what}");
        }
        let open = [("route", "chat"), ("target", "new"), ("state", "open")];
        assert_eq!(scrape.sum("serin_breaker_state", &open), 0.0, "{what}");
    };
    is_at_zero("as it is named");
    let again = chat(0, r#","rollout":{"id":"0a1b2c3d4e5f","salt":"b7e0"}"#);
    store.tell(changes([(CHAT, again.as_bytes())], 12));
    serves(&stage, Revision(12));
    is_at_zero("by another rollout");
    assert_eq!(arm(&stage), "stable");
}

#[test]
fn what_an_open_breaker_turns_away_is_the_canarys_error_and_a_sample_of_it() {
    let folder = folder();
    let script = "{models: {new: {reset: true}}}";
    let route = chat(100, &leased("1h"))
        .replace(r#""traffic""#, r#""breaker":{"openFor":"60s"},"traffic""#);
    let (stage, _store) = following(script, &route, folder.path());
    let open = [("route", "chat"), ("target", "new"), ("state", "open")];
    let is_open = || {
        assert_eq!(arm(&stage), "canary");
        stage.scrape().sum("serin_breaker_state", &open)
    };
    eventually("its breaker opens", is_open, |open| *open == 1.0);
    for _ in 0..20 {
        assert_eq!(arm(&stage), "canary", "health does not change the arm");
    }
    let of = [
        ("target", "new"),
        ("arm", "canary"),
        ("role", "first"),
        ("outcome", "error"),
        ("reason", "diverted_open"),
    ];
    for counter in [
        "serin_upstream_requests_total",
        "serin_analysis_samples_total",
    ] {
        let diverted = || stage.scrape().sum(counter, &of);
        eventually(counter, diverted, |count| *count >= 20.0);
    }
}

#[test]
fn a_stream_that_hangs_is_slow_to_its_first_token_whichever_limit_ends_it() {
    let script = "{models: {first: {hang: true}, total: {hang: true}, \
                  idle: {stall: {afterEvents: 1}}, midway: {stall: {afterEvents: 5}}}}";
    let table = [
        ("first", "firstToken: 150ms", "timeout_first_token"),
        ("total", "total: 150ms", "timeout_total"),
        ("idle", "idle: 150ms", "timeout_idle"),
        ("midway", "idle: 150ms", "timeout_idle"),
    ];
    let routes = table.map(|(name, limit, _)| pair(name, &format!(", timeouts: {{{limit}}}")));
    let stage = Stage::new(script, &routes.concat());
    for (name, _, reason) in table {
        stage.ask(&Request::stream(name));
        let of = [("route", name), ("target", "a"), ("role", "first")];
        let counted = || {
            let scrape = stage.scrape();
            let ended = [of[0], of[1], of[2], ("reason", reason)];
            let times = [
                "serin_upstream_ttft_seconds_count",
                "serin_upstream_duration_seconds_count",
            ];
            let [ttft, duration] = times.map(|times| scrape.sum(times, &of));
            [
                scrape.sum("serin_upstream_requests_total", &ended),
                ttft,
                duration,
            ]
        };
        eventually(name, counted, |counted| *counted == [1.0; 3]);
    }
}
