//! When a target is left alone, who is told, and how it comes back.

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
};

use serin_simulator::Script;

use crate::{
    client::{Answer, Connection, Request},
    comeback::under_way,
    stage::{Setup, Stage, alone, pair},
    wait::eventually,
};

/// Open for long: nothing comes back during a test.
const LONG: &str =
    ", breaker: {openFor: 60s}, whenAllOpen: reject, retry: {backoff: 1ms, budget: 0}";
/// Open for so short that a probe is let through at once.
const SHORT: &str = ", breaker: {openFor: 50ms, maxOpenFor: 50ms}";

pub(crate) fn state(stage: &Stage, route: &str, target: &str) -> String {
    let of = [("route", route), ("target", target)];
    let scrape = stage.scrape();
    let states = scrape
        .of("serin_breaker_state", &of)
        .filter(|sample| sample.value == 1.0);
    states
        .map(|sample| sample.label("state").to_owned())
        .collect::<Vec<_>>()
        .join("+")
}

pub(crate) fn becomes(stage: &Stage, route: &str, expected: &str) {
    let promise = format!("the breaker of {route} is {expected}");
    eventually(
        &promise,
        || state(stage, route, "a"),
        |seen| seen == expected,
    );
}

pub(crate) fn script(stage: &Stage, text: &str) {
    let script = Script::parse(&format!("---\n{text}")).expect("a script");
    stage.simulator.set_script(script).expect("a script");
}

/// What a model does, how it is asked, and after how many requests its breaker opens.
struct Row(&'static str, &'static str, &'static str, Option<usize>);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row("s500",    "errors: [{status: 500}]",                    "plain",  Some(5)),
    Row("s503",    "errors: [{status: 503, retryAfter: '60'}]",  "plain",  Some(5)),
    Row("reset",   "reset: true",                                "plain",  Some(5)),
    Row("type",    "contentType: text/html",                     "plain",  Some(5)),
    Row("error",   "errorInStream: {afterEvents: 0}",            "stream", Some(5)),
    Row("s403",    "errors: [{status: 403}]",                    "plain",  Some(5)),
    Row("midway",  "cut: {afterEvents: 4}",                      "stream", Some(5)),
    Row("s401",    "errors: [{status: 401}]",                    "plain",  Some(1)),
    Row("s402",    "errors: [{status: 402}]",                    "plain",  Some(1)),
    Row("quota",   "errors: [{status: 429, code: insufficient_quota}]", "plain", Some(1)),
    Row("s429",    "errors: [{status: 429}]",                    "plain",  None),
    Row("s408",    "errors: [{status: 408}]",                    "plain",  None),
    Row("s404",    "errors: [{status: 404}]",                    "plain",  None),
    Row("s400",    "errors: [{status: 400}]",                    "plain",  None),
    Row("good",    "",                                           "stream", None),
];

#[test]
fn five_hard_failures_in_a_row_open_it_refused_credentials_at_once_and_nothing_else_ever() {
    let models: Vec<String> = ROWS
        .iter()
        .map(|row| format!("{}: {{{}}}", row.0, row.1))
        .collect();
    let routes: String = ROWS.iter().map(|row| alone(row.0, LONG)).collect();
    let stage = Stage::new(&format!("{{models: {{{}}}}}", models.join(", ")), &routes);
    for Row(name, _, kind, opens) in ROWS {
        let request = if *kind == "stream" {
            Request::stream(name)
        } else {
            Request::chat(name)
        };
        let tries = opens.unwrap_or(8);
        for _ in 0..tries {
            let answer = stage.ask(&request);
            assert_ne!(answer.code(), "no_target_available", "{name}: too early");
        }
        assert_eq!(
            stage.received(name).len(),
            tries,
            "each of them reached the target: {name}"
        );
        if opens.is_none() {
            assert_eq!(state(&stage, name, "a"), "closed", "{name}");
            continue;
        }
        becomes(&stage, name, "open");
        let answer = stage.ask(&request);
        assert_eq!(
            (answer.status, &*answer.code()),
            (503, "no_target_available"),
            "{name}"
        );
        assert_eq!(answer.header("x-should-retry"), Some("false"), "{name}");
        let wait: u64 = answer
            .header("retry-after")
            .and_then(|s| s.parse().ok())
            .expect("a wait");
        assert!((1..=90).contains(&wait), "{name}: {wait}");
        assert_eq!(answer.header("x-serin-attempts"), Some("0"), "{name}");
        assert_eq!(
            stage.received(name).len(),
            tries,
            "the target is left alone: {name}"
        );
        let of = [
            ("route", *name),
            ("reason", "diverted_open"),
            ("role", "first"),
        ];
        assert_eq!(
            stage.scrape().sum("serin_upstream_requests_total", &of),
            1.0,
            "{name}"
        );
        let of = [("route", *name), ("to", "open")];
        assert_eq!(
            stage.scrape().sum("serin_breaker_transitions_total", &of),
            1.0,
            "{name}"
        );
    }
}

#[test]
fn one_success_in_between_starts_the_count_anew() {
    let model = "{models: {chat: {errors: [{status: 500, times: 4}, {status: 500, skip: 5}]}}}";
    let stage = Stage::new(model, &alone("chat", LONG));
    for number in 1..=10 {
        let expected = if number == 5 { 200 } else { 502 };
        assert_eq!(
            stage.ask(&Request::chat("chat")).status,
            expected,
            "request {number}"
        );
    }
    becomes(&stage, "chat", "open");
    assert_eq!(stage.received("chat").len(), 10);
}

#[test]
fn an_open_target_is_not_tried_and_still_charged() {
    let stage = Stage::new("{models: {chat: {reset: true}}}", &pair("chat", LONG));
    for _ in 0..5 {
        assert_eq!(
            stage.ask(&Request::chat("chat")).header("x-serin-attempts"),
            Some("2")
        );
    }
    becomes(&stage, "chat", "open");
    for _ in 0..20 {
        let answer = stage.ask(&Request::stream("chat"));
        let told = ["x-serin-target", "x-serin-attempts"].map(|name| answer.header(name));
        assert_eq!((answer.status, told), (200, [Some("b"), Some("1")]));
    }
    assert_eq!(stage.received("chat").len(), 5);
    let counted = [
        "fallback b stable none=25",
        "first a stable diverted_open=20",
        "first a stable reset=5",
    ];
    stage.counts("chat", &counted);
    let scrape = stage.scrape();
    let edges = scrape.told("serin_fallbacks_total", "chat", &["from", "to", "reason"]);
    assert_eq!(edges, ["a b diverted_open=20", "a b reset=5"]);
    let weight = [("route", "chat"), ("target", "a")];
    assert_eq!(
        scrape.sum("serin_target_weight_ratio", &weight),
        0.0,
        "nothing flows there"
    );
}

/// Opens the breaker of target `a`, whose model always fails.
pub(crate) fn opened(stage: &Stage) {
    for _ in 0..5 {
        stage.ask(&Request::chat("chat"));
    }
    let of = [("route", "chat"), ("target", "a"), ("to", "open")];
    let opens = || stage.scrape().sum("serin_breaker_transitions_total", &of);
    eventually("its breaker opens", opens, |opens| *opens == 1.0);
}

#[test]
fn fifty_callers_at_once_send_one_probe_and_its_success_closes_it() {
    let stage = Stage::new("{models: {chat: {reset: true}}}", &pair("chat", SHORT));
    opened(&stage);
    stage.simulator.journal().clear();
    script(&stage, "{models: {chat: {firstToken: 300ms}}}");
    let back = AtomicBool::new(false);
    let call = || {
        let mut connection = Connection::open(stage.traffic);
        while !back.load(Relaxed) {
            let answer = connection.ask(&Request::chat("chat")).expect("an answer");
            assert_eq!(answer.status, 200, "nobody notices");
            back.fetch_or(answer.header("x-serin-target") == Some("a"), Relaxed);
        }
    };
    thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(call);
        }
    });
    let seen = stage.received("chat");
    let judged_at_ms = seen[0].at_ms + seen[0].elapsed_ms;
    // Whole milliseconds are compared: the two clocks may differ by one.
    let early = seen
        .iter()
        .skip(1)
        .filter(|other| other.at_ms + 1 < judged_at_ms)
        .count();
    assert_eq!(early, 0, "only the probe before its verdict");
    becomes(&stage, "chat", "closed");
    let moves = stage
        .scrape()
        .told("serin_breaker_transitions_total", "chat", &["target", "to"]);
    assert_eq!(moves, ["a closed=1", "a half_open=1", "a open=1"]);
}

#[test]
fn a_failed_probe_opens_it_again_and_its_caller_is_served_elsewhere() {
    let stage = Stage::new("{models: {chat: {reset: true}}}", &pair("chat", SHORT));
    opened(&stage);
    let probed = || {
        assert_eq!(stage.ask(&Request::chat("chat")).status, 200);
        stage.received("chat").len()
    };
    eventually("two probes", probed, |calls| *calls == 7);
    let of = [("route", "chat"), ("target", "a"), ("to", "open")];
    let opens = || stage.scrape().sum("serin_breaker_transitions_total", &of);
    eventually("each opens it again", opens, |opens| *opens == 3.0);
}

/// Asks until a request is out at the target as its probe; the others are answered 503.
fn probe(stage: &Stage) -> Connection {
    let calls = stage.received("chat").len();
    let attempt = || {
        let connection = stage.begin(&Request::chat("chat"));
        let look = || {
            (
                stage.received("chat").len() > calls,
                connection.has_answer(),
            )
        };
        let (is_probe, _) = eventually("sent on or answered", look, |seen| seen.0 || seen.1);
        is_probe.then_some(connection)
    };
    eventually("a probe is out", attempt, Option::is_some).expect("as awaited")
}

#[test]
fn a_probe_whose_caller_leaves_frees_its_slot_and_teaches_nothing() {
    let limits = format!("{SHORT}, whenAllOpen: reject, retry: {{attempts: 1, budget: 0}}");
    let stage = Stage::new("{models: {chat: {reset: true}}}", &alone("chat", &limits));
    opened(&stage);
    script(&stage, "{models: {chat: {hang: true}}}");
    let first = probe(&stage);
    becomes(&stage, "chat", "half_open");
    first.leave();
    under_way(&stage, 0.0);
    assert_eq!(state(&stage, "chat", "a"), "half_open");
    // Neither a change of documents nor a straggler may take the silence for a success.
    stage.apply(&alone(
        "chat",
        &limits.replace("attempts: 1", "attempts: 2"),
    ));
    stage.simulator.journal().clear();
    let second = probe(&stage);
    for _ in 0..5 {
        let answer = stage.ask(&Request::chat("chat"));
        assert_eq!(
            (answer.status, &*answer.code()),
            (503, "no_target_available")
        );
        let wait: u64 = answer
            .header("retry-after")
            .and_then(|s| s.parse().ok())
            .expect("a wait");
        assert!(wait >= 1, "a wait of nothing asks for a stampede");
    }
    assert_eq!(stage.received("chat").len(), 1, "one probe at a time");
    second.leave();
    script(&stage, "{}");
    let answer = || stage.ask(&Request::chat("chat")).status;
    eventually("the next probe brings it back", answer, |status| {
        *status == 200
    });
    becomes(&stage, "chat", "closed");
}

#[test]
fn with_nothing_else_left_the_least_bad_is_tried_once() {
    let stage = Stage::new(
        "{models: {chat: {reset: true}}}",
        &alone("chat", ", breaker: {openFor: 60s}"),
    );
    opened(&stage);
    let calls = stage.received("chat").len();
    let answer = stage.ask(&Request::chat("chat"));
    assert_eq!(
        (answer.status, stage.received("chat").len()),
        (502, calls + 1),
        "{answer:?}"
    );
    script(&stage, "{}");
    let answer = stage.ask(&Request::chat("chat"));
    let told = ["x-serin-target", "x-serin-attempts"].map(|name| answer.header(name));
    assert_eq!(
        (answer.status, told),
        (200, [Some("a"), Some("1")]),
        "{answer:?}"
    );
    becomes(&stage, "chat", "closed");
    let moves = stage
        .scrape()
        .told("serin_breaker_transitions_total", "chat", &["to"]);
    assert_eq!(
        moves,
        ["closed=1", "open=1"],
        "the failure was no news, the success was"
    );
    let counted = [
        "first a stable diverted_open=2",
        "first a stable reset=5",
        "retry a stable none=1",
        "retry a stable reset=1",
    ];
    stage.counts("chat", &counted);
}

#[test]
fn a_target_whose_credential_cannot_be_read_is_not_used_until_it_can() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("secret");
    let provider = format!(
        "  - {{name: shy, dialect: openai, baseUrl: \"http://{{sim}}/v1\", credential: {{file: {}}}}}\n",
        file.display()
    );
    let routes = pair("chat", "").replacen("provider: sim", "provider: shy", 1);
    let stage = Stage::with(
        "{}",
        Setup {
            routes,
            providers: provider,
            ..Setup::default()
        },
    );
    let up = || {
        stage
            .scrape()
            .sum("serin_target_up", &[("route", "chat"), ("target", "a")])
    };
    eventually("it is down", up, |up| *up == 0.0);
    let target = |answer: Answer| answer.header("x-serin-target").map(str::to_owned);
    assert_eq!(
        target(stage.ask(&Request::chat("chat"))).as_deref(),
        Some("b")
    );
    stage.counts(
        "chat",
        &[
            "fallback b stable none=1",
            "first a stable diverted_unhealthy=1",
        ],
    );
    for secret in ["sk-up-1", "sk-up-2"] {
        fs::write(&file, format!("{secret}\n")).expect("a temporary file");
        let sent = || {
            stage.ask(&Request::chat("chat"));
            stage
                .received("chat")
                .pop()
                .and_then(|seen| seen.header("authorization").map(str::to_owned))
        };
        let bearer = format!("Bearer {secret}");
        eventually("the new secret is sent", sent, |sent| {
            sent.as_deref() == Some(&*bearer)
        });
        assert_eq!(up(), 1.0);
    }
    assert!(
        stage
            .received("b")
            .iter()
            .all(|seen| seen.header("authorization").is_none())
    );
}
