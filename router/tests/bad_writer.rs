//! Somebody writes nonsense into the store: each bad document is refused alone, told, and pinned to
//! its last good form, over a restart too.

use std::{fs, path::Path, sync::Arc};

use serde_json::{Value, json};
use serin_proto::unit::Revision;
use serin_store::{
    Entry,
    watch::{Change, Event},
};

use crate::{
    running::Options,
    stage::Stage,
    store::{asks, route, serves, shown},
    stores::{Scripted, changes, entry, removal, report, reset},
    wait::eventually,
};

/// A bad form of a document: whose, and the code of its refusal.
struct Bad(&'static str, String, &'static str);

fn edited(name: &str, from: &str, to: &str) -> String {
    let good = route(name, "");
    assert!(good.contains(from), "{good}");
    good.replace(from, to)
}

/// A provider whose routes are to go on.
fn provider(name: &str, url: &str, more: &str) -> String {
    format!(r#"{{"name":"{name}","dialect":"openai","baseUrl":"{url}"{more}}}"#)
}

/// Every way to write nonsense. The document is named after it.
fn bad_forms(url: &str) -> Vec<Bad> {
    let weights = |to: &str| (r#""weights":{"a":100}"#, format!(r#""weights":{to}"#));
    let weighted = |name: &'static str, to: &str, code| {
        let (from, to) = weights(to);
        Bad(name, edited(name, from, &to), code)
    };
    let target = r#"{"name":"a","provider":"sim","model":"twice"}"#;
    let fallbacks = vec![r#""a""#; 10_000].join(",");
    let fallbacks = format!(r#""weights":{{"a":100}},"fallback":[{fallbacks}]"#);
    let secret = r#","credential":{"env":"sk-canary 0123456789"}"#;
    let header = r#","headers":{"authorization":"Bearer sk-canary"}"#;
    vec![
        Bad("no-json", "{\"name\":".to_owned(), "unreadable"),
        Bad("no-text", "\u{0}".to_owned(), "unreadable"),
        Bad("no-object", "[]".to_owned(), "wrong_type"),
        Bad(
            "word",
            route("word", r#","whenAllOpen":"perhaps""#),
            "unknown_word",
        ),
        weighted("sum", r#"{"a":99}"#, "weights_sum"),
        weighted("zero", r#"{"a":0}"#, "weights_sum"),
        weighted("negative", r#"{"a":-1}"#, "bad_weight"),
        weighted("nan", r#"{"a":"NaN"}"#, "wrong_type"),
        weighted("literal-nan", r#"{"a":NaN}"#, "unreadable"),
        Bad(
            "targets",
            r#"{"name":"targets","targets":[]}"#.to_owned(),
            "missing",
        ),
        Bad(
            "provider",
            edited("provider", r#""sim""#, r#""nobody""#),
            "unknown_provider",
        ),
        Bad(
            "fallbacks",
            edited("fallbacks", r#""weights":{"a":100}"#, &fallbacks),
            "duplicate_fallback",
        ),
        Bad(
            "twice",
            edited("twice", target, &format!("{target},{target}")),
            "duplicate_name",
        ),
        Bad(
            "alias",
            route("alias", r#","aliases":["live"]"#),
            "alias_taken",
        ),
        Bad(
            "large",
            format!("{}{}", route("large", ""), " ".repeat(2 << 20)),
            "document_too_large",
        ),
        Bad("renamed", route("live", ""), "bad_name"),
        Bad(
            "link",
            provider("link", "http://169.254.169.254/v1", ""),
            "forbidden_address",
        ),
        Bad("literal", provider("literal", url, secret), "bad_variable"),
        Bad("header", provider("header", url, header), "bad_header"),
    ]
}

fn is_provider(bad: &Bad) -> bool {
    bad.1.contains("baseUrl")
}

fn key_of(bad: &Bad) -> String {
    let kind = if is_provider(bad) {
        "providers"
    } else {
        "routes"
    };
    format!("config/{kind}/{}", bad.0)
}

/// The good documents: each route, and a route of its own name for each provider.
fn good(stage: &Stage, bad: &[Bad], url: &str) -> Vec<Entry> {
    let mut entries = stage.listed("").entries;
    let live = route("live", "");
    entries.push(entry("config/routes/live", live.as_bytes(), (1, 1)));
    let mut add = |name: &str, value: String| entries.push(entry(name, value.as_bytes(), (2, 2)));
    for bad in bad {
        let mut own = route(bad.0, "");
        if is_provider(bad) {
            own = own.replace(r#""sim""#, &format!(r#""{}""#, bad.0));
            add(&key_of(bad), provider(bad.0, url, ""));
        }
        add(&format!("config/routes/{}", bad.0), own);
    }
    entries
}

/// What `/snapshot` says of refused documents: key, code, and the revision that serves.
fn refused(stage: &Stage) -> Vec<(String, String, Value)> {
    let shown = shown(stage);
    let rejected = shown["rejected"].as_array().expect("a list");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let row = |one: &Value| {
        (
            text(&one["key"]),
            text(&one["code"]),
            one["servingRevision"].clone(),
        )
    };
    rejected.iter().map(row).collect()
}

fn written(key: &str, value: &str, revisions: (u64, u64)) -> Event {
    Event::Changes {
        batch: vec![Change::Put(entry(key, value.as_bytes(), revisions))],
        revision: Revision(revisions.1),
    }
}

fn options(state: &Path) -> Options {
    Options {
        state_dir: Some(state.to_owned()),
        ..Options::default()
    }
}

/// A router that was told the good forms, and then, one by one, the bad ones.
fn pinned(state: &Path) -> (Stage, Arc<Scripted>, Vec<Bad>) {
    let store = Scripted::new();
    let stage = Stage::following("{}", options(state), store.follower());
    let url = stage.simulator.base_url();
    let bad = bad_forms(&url);
    store.tell(reset("one", 2, &good(&stage, &bad, &url)));
    serves(&stage, Revision(2));
    let mut revision = 2;
    for one in &bad {
        revision += 2;
        let idle = format!(r#","timeouts":{{"idle":"{revision}s"}}"#);
        let live = route("live", &idle);
        store.tell(written(&key_of(one), &one.1, (2, revision - 1)));
        store.tell(written("config/routes/live", &live, (1, revision)));
        serves(&stage, Revision(revision));
        assert_eq!(asks(&stage, "live"), 200, "after {}", one.0);
    }
    (stage, store, bad)
}

fn everything_is_pinned(stage: &Stage, bad: &[Bad]) {
    let mut expected: Vec<_> = bad
        .iter()
        .map(|one| (key_of(one), one.2.to_owned(), json!(2)))
        .collect();
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(refused(stage), expected);
    let gauge = stage.scrape().sum("serin_config_rejected_documents", &[]);
    assert_eq!(gauge, bad.len() as f64);
    for one in bad {
        assert_eq!(asks(stage, one.0), 200, "{} serves as before", one.0);
    }
    let text = shown(stage).to_string();
    assert!(!text.contains("sk-canary"), "a secret is told: {text}");
}

#[test]
fn each_bad_document_is_refused_alone_and_pinned_over_a_restart_too() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut stage, store, bad) = pinned(folder.path());
    everything_is_pinned(&stage, &bad);
    let rejected = [("result", "rejected")];
    let scrape = stage.scrape();
    assert_eq!(
        scrape.sum("serin_config_applies_total", &rejected),
        bad.len() as f64
    );
    let told = || report(&*store.memory, "one").map(|(report, _)| report.rejected_count);
    eventually("the report tells", told, |told| {
        *told == Some(bad.len() as u64)
    });

    let silent = Scripted::new();
    stage.restart(options(folder.path()), silent.follower());
    stage.is_ready();
    assert_eq!(shown(&stage)["source"], "cache");
    everything_is_pinned(&stage, &bad);

    let url = stage.simulator.base_url();
    let listed = good(&stage, &bad, &url).into_iter().map(|mut entry| {
        entry.mod_revision = Revision(100);
        entry
    });
    silent.tell(reset("one", 100, &listed.collect::<Vec<_>>()));
    serves(&stage, Revision(100));
    assert_eq!(refused(&stage), [], "all were written well again");
}

#[test]
fn a_key_that_is_no_documents_is_told_and_harms_nothing() {
    let store = Scripted::new();
    let stage = Stage::following("{}", Options::default(), store.follower());
    store.tell(reset("one", 2, &good(&stage, &[], "")));
    let strange = [
        "config/routes/No Name",
        "config/rollouts/live",
        "config/stray",
    ];
    let value = route("live", "");
    store.tell(changes(strange.map(|key| (key, value.as_bytes())), 3));
    serves(&stage, Revision(3));
    let keys: Vec<String> = refused(&stage).into_iter().map(|row| row.0).collect();
    assert_eq!(
        keys,
        [
            "config/rollouts/live",
            "config/routes/No Name",
            "config/stray"
        ]
    );
    assert_eq!(asks(&stage, "live"), 200);
    for (key, revision) in strange.into_iter().zip(4..) {
        store.tell(removal(key, revision));
    }
    serves(&stage, Revision(6));
    assert_eq!(refused(&stage), []);
}

#[test]
fn a_deleted_provider_serves_until_no_route_needs_it() {
    let store = Scripted::new();
    let stage = Stage::following("{}", Options::default(), store.follower());
    store.tell(reset("one", 2, &good(&stage, &[], "")));
    store.tell(removal("config/providers/sim", 3));
    serves(&stage, Revision(3));
    assert_eq!(asks(&stage, "live"), 200, "its route needs it");
    assert_eq!(refused(&stage).len(), 1, "and that is told");
    store.tell(removal("config/routes/live", 4));
    serves(&stage, Revision(4));
    let late = route("late", "");
    store.tell(changes([("config/routes/late", late.as_bytes())], 5));
    serves(&stage, Revision(5));
    assert_eq!(
        asks(&stage, "late"),
        404,
        "nothing needs it any more, so it is gone"
    );
}

#[test]
fn fields_of_a_newer_version_are_accepted_and_counted() {
    let store = Scripted::new();
    let stage = Stage::following("{}", Options::default(), store.follower());
    store.tell(reset("one", 2, &good(&stage, &[], "")));
    let newer = route("live", r#","mood":{"good":true},"shadow":[1,2]"#);
    store.tell(changes([("config/routes/live", newer.as_bytes())], 3));
    serves(&stage, Revision(3));
    assert_eq!(asks(&stage, "live"), 200);
    assert_eq!(refused(&stage), []);
    let counted = stage.scrape().sum("serin_config_unknown_fields_total", &[]);
    assert_eq!(counted, 2.0);
}

#[test]
fn a_folder_that_takes_no_file_costs_nobody_an_answer() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let state = folder.path().join("state");
    fs::write(&state, "").expect("a file in its place");
    let store = Scripted::new();
    let stage = Stage::following("{}", options(&state), store.follower());
    store.tell(reset("one", 2, &good(&stage, &[], "")));
    serves(&stage, Revision(2));
    let failures = || {
        stage
            .scrape()
            .sum("serin_snapshot_write_failures_total", &[])
    };
    eventually("it is counted", failures, |failures| *failures >= 1.0);
    assert_eq!(asks(&stage, "live"), 200);
    fs::remove_file(&state).expect("a file");
    let written = || state.join("snapshot").exists();
    eventually("it is written as soon as it can be", written, |written| {
        *written
    });
    store.tell(Event::Progress(Revision(1)));
}
