//! Which series exist: those of the list, from the first scrape on, and none that a caller made up.

use std::collections::{BTreeMap, BTreeSet};

use serin_proto::metric::{Ending, Kind, Metric, family};
use serin_simulator::Ended;

use crate::{
    client::{CHAT, Connection, Request, chat_body},
    scrape::{Sample, Scrape},
    stage::{Stage, alone, pair},
    wait::eventually,
};

/// The family of a sample, if it is one of ours.
fn family_of(sample: &Sample) -> Option<&'static Metric> {
    let named = |metric: &&Metric| {
        let part = sample.name.strip_prefix(metric.name);
        match metric.kind {
            Kind::Histogram => matches!(part, Some("_bucket" | "_sum" | "_count")),
            _ => part == Some(""),
        }
    };
    family::ALL.iter().find(named)
}

/// Every sample is of a known family and has exactly its labels.
fn check(scrape: &Scrape) {
    for sample in &scrape.samples {
        if sample.name.starts_with("process_") {
            assert!(sample.labels.is_empty(), "{sample:?}");
            continue;
        }
        let metric = family_of(sample).unwrap_or_else(|| panic!("on no list: {sample:?}"));
        let mut expected: BTreeSet<&str> = metric.labels.iter().copied().collect();
        if sample.name.ends_with("_bucket") {
            expected.insert("le");
        }
        let labels: BTreeSet<&str> = sample.labels.keys().map(String::as_str).collect();
        assert_eq!(labels, expected, "{}", sample.name);
        assert!(
            sample.value.is_finite() && sample.value >= 0.0,
            "{sample:?}"
        );
    }
    let unique = scrape.series().len();
    assert_eq!(unique, scrape.samples.len(), "a series is there twice");
    histograms_add_up(scrape);
}

/// Buckets only rise, and the last of them is the count.
fn histograms_add_up(scrape: &Scrape) {
    let mut last: BTreeMap<String, f64> = BTreeMap::new();
    for sample in &scrape.samples {
        let series = |suffix: &str| {
            let mut labels = sample.labels.clone();
            labels.remove("le");
            format!("{}{labels:?}", sample.name.trim_end_matches(suffix))
        };
        if sample.name.ends_with("_bucket") {
            let before = last
                .insert(series("_bucket"), sample.value)
                .unwrap_or_default();
            assert!(before <= sample.value, "{sample:?} falls below {before}");
        } else if sample.name.ends_with("_count") {
            assert_eq!(
                last.get(&series("_count")),
                Some(&sample.value),
                "{sample:?}"
            );
        }
    }
}

/// Requests of every fate.
fn mix(stage: &Stage) {
    for model in ["good", "bad", "busy", "cut", "nobody"] {
        for request in [Request::chat(model), Request::stream(model)] {
            stage.ask(&request);
        }
    }
    stage.ask(&Request::get("/v1/models"));
    stage.ask(&Request::post(
        "/v1/embeddings",
        "{\"model\":\"good\",\"input\":\"x\"}",
    ));
    for _ in 0..5 {
        stage.ask(&Request::chat("bad"));
    }
    let hung = stage.begin(&Request::chat("hung"));
    let running = || stage.received("hung").len();
    eventually("it hangs", running, |running| *running == 1);
    hung.leave();
    let gone = || stage.received("hung")[0].ended;
    eventually("it is let go", gone, |ended| *ended == Ended::ClientGone);
}

fn stage() -> Stage {
    let script = "{models: {bad: {reset: true}, busy: {errors: [{status: 503}]}, hung: {hang: true}, \
                  cut: {cut: {afterEvents: 4}}}}";
    let priced = pair("good", "").replace(
        "model: good",
        "model: good, price: {input: 2.0, output: 8.0}",
    );
    let routes = [
        priced,
        pair("bad", ""),
        alone("busy", ", retry: {backoff: 1ms}"),
        alone("hung", ""),
        alone("cut", ""),
    ];
    Stage::new(script, &routes.concat())
}

#[test]
fn every_series_is_on_the_list_with_its_labels_and_every_family_is_exposed() {
    let stage = stage();
    check(&stage.scrape());
    mix(&stage);
    stage.at_rest("hung");
    let scrape = stage.scrape();
    check(&scrape);
    let exposed: BTreeSet<_> = scrape
        .samples
        .iter()
        .filter_map(family_of)
        .map(|f| f.name)
        .collect();
    let all: BTreeSet<_> = family::ALL.iter().map(|metric| metric.name).collect();
    assert_eq!(exposed, all);
    for route in ["good", "bad", "busy", "cut", "hung"] {
        let first = [("route", route), ("role", "first")];
        let charged = scrape.sum("serin_upstream_requests_total", &first);
        let seen = scrape.sum("serin_requests_total", &[("route", route)]);
        assert_eq!(charged, seen, "role first once for each request of {route}");
    }
    let text = stage.admin("/metrics").text();
    for metric in family::ALL {
        let kind = format!("# TYPE {} {}\n", metric.name, metric.kind.as_str());
        assert!(text.contains(&kind), "{kind}");
        assert!(text.contains(&format!("# HELP {} {}\n", metric.name, metric.help)));
    }
}

#[test]
fn known_series_exist_at_0_before_the_first_request() {
    let stage = Stage::new("{}", &pair("chat", ""));
    let scrape = stage.scrape();
    for target in ["a", "b"] {
        let of = [
            ("route", "chat"),
            ("target", target),
            ("role", "first"),
            ("arm", "stable"),
        ];
        for family in [
            "serin_upstream_requests_total",
            "serin_analysis_samples_total",
        ] {
            let pairs: BTreeSet<_> = scrape
                .of(family, &of)
                .map(|s| (s.label("outcome"), s.label("reason")))
                .collect();
            let legal: BTreeSet<_> = Ending::ALL
                .iter()
                .map(|ending| (ending.outcome(), ending.reason()))
                .collect();
            assert_eq!(pairs, legal, "{family} of {target}");
            assert_eq!(scrape.sum(family, &of), 0.0);
        }
        assert_eq!(scrape.sum("serin_upstream_ttft_seconds_count", &of), 0.0);
        let at = [("route", "chat"), ("target", target)];
        for family in [
            "serin_tokens_total",
            "serin_cost_usd_total",
            "serin_breaker_transitions_total",
        ] {
            assert_eq!(scrape.sum(family, &at), 0.0);
        }
        assert_eq!(scrape.sum("serin_target_up", &at), 1.0);
        assert_eq!(scrape.of("serin_breaker_state", &at).count(), 3);
    }
    for code in ["200", "403", "429", "499", "502", "503", "504"] {
        let of = [
            ("route", "chat"),
            ("operation", "chat"),
            ("stream", "true"),
            ("code", code),
        ];
        assert_eq!(scrape.sum("serin_requests_total", &of), 0.0);
    }
    let zeros = [
        ("serin_requests_in_flight", 1),
        ("serin_streams_in_flight", 1),
        ("serin_client_disconnects_total", 5),
    ];
    for (name, series) in zeros {
        let of = [("route", "chat")];
        assert_eq!(
            (scrape.of(name, &of).count(), scrape.sum(name, &of)),
            (series, 0.0),
            "{name}"
        );
    }
    let weight = |target| {
        stage
            .scrape()
            .sum("serin_target_weight_ratio", &[("target", target)])
    };
    eventually(
        "their weights",
        || (weight("a"), weight("b")),
        |seen| *seen == (1.0, 0.0),
    );
}

#[test]
fn whatever_callers_make_up_adds_no_series() {
    let stage = stage();
    mix(&stage);
    // One of each, so that what such requests may add is there.
    let made_up = |number: u64| {
        let word = format!("x{}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let model = Request::post(CHAT, chat_body(&word, "")).header("user-agent", &word);
        let path = Request::post(
            &format!("/v1/{word}"),
            chat_body("good", &format!(",\"user\":\"{word}\"")),
        );
        let unknown = Request::get(&format!("/{word}"));
        let key = Request::chat("good")
            .key(Some(&word))
            .header("x-request-id", &word);
        let one = Request::get(&format!("/v1/models/{word}"));
        let method = Request::new("BREW", CHAT);
        [model, path, unknown, key, one, method]
    };
    let ask = |numbers: std::ops::Range<u64>| {
        let mut connection = Connection::open(stage.traffic);
        for request in numbers.flat_map(made_up) {
            let answer = connection.ask(&request).expect("an answer");
            if answer.header("connection") == Some("close") {
                connection = Connection::open(stage.traffic);
            }
        }
    };
    ask(0..1);
    stage.at_rest("good");
    let before = stage.scrape().series();
    ask(1..335);
    stage.at_rest("good");
    let after = stage.scrape();
    check(&after);
    let added: Vec<_> = after.series().difference(&before).cloned().collect();
    assert!(added.is_empty(), "{added:?}");
    assert!(after.sum("serin_requests_total", &[("route", "_unmatched")]) > 1_000.0);
}
