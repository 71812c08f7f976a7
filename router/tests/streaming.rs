//! Streams: what reaches the caller, what is left out, and what ends them.
//!
//! After the first content nobody can take over: a failure is an error event and a cut body, never
//! `[DONE]`, never a clean end.

use std::time::Duration;

use serde_json::{Value, json};
use serin_simulator::Ended;

use crate::{
    client::{Answer, CHAT, Connection, Piece, Request, chat_body},
    stage::{Stage, alone, pair},
    wait::{eventually, now, within},
};

fn direct(stage: &Stage, request: &Request) -> Answer {
    Connection::begin(stage.simulator.addr(), request)
        .answer()
        .expect("the provider answers")
}

fn wanting_usage(model: &str) -> Request {
    let more = ",\"stream\":true,\"stream_options\":{\"include_usage\":true}";
    Request::post(CHAT, chat_body(model, more))
}

fn error_code(event: &str) -> Value {
    let event: Value = serde_json::from_str(event).unwrap_or_default();
    event["error"]["code"].clone()
}

#[test]
fn a_stream_is_the_providers_byte_for_byte_and_its_usage_only_for_who_asked() {
    let stage = Stage::new("{fixedIds: true}", &alone("chat", ""));
    let with_usage = direct(&stage, &wanting_usage("chat"));
    let asked = stage.ask(&wanting_usage("chat"));
    assert!(asked.whole);
    assert_eq!(asked.text(), with_usage.text(), "asked for: all of it");
    assert_eq!(
        asked.header("content-type"),
        with_usage.header("content-type")
    );
    assert_eq!(asked.header("x-serin-attempts"), Some("1"));
    let not_asked = stage.ask(&Request::stream("chat"));
    let is_usage = |event: &&String| event.contains("\"choices\":[]");
    let mut expected = with_usage.events();
    expected.retain(|event| !is_usage(&event));
    assert_eq!(expected.len() + 1, with_usage.events().len());
    assert_eq!(
        not_asked.events(),
        expected,
        "not asked for: but for that one frame"
    );
    let sent = stage
        .received("chat")
        .pop()
        .and_then(|seen| seen.text().map(str::to_owned));
    let expected = chat_body("chat", ",\"stream\":true").replacen(
        '{',
        "{\"stream_options\":{\"include_usage\":true},",
        1,
    );
    assert_eq!(sent, Some(expected));
    let tokens = || {
        stage
            .scrape()
            .told("serin_tokens_total", "chat", &["type", "source"])
    };
    eventually("tokens of both", tokens, |t| {
        *t == ["input reported=16", "output reported=32"]
    });
    let scrape = stage.scrape();
    let first = [("route", "chat"), ("role", "first")];
    assert_eq!(scrape.sum("serin_upstream_ttft_seconds_count", &first), 2.0);
    let per_token = "serin_upstream_time_per_output_token_seconds_count";
    assert_eq!(scrape.sum(per_token, &first), 2.0);
}

#[test]
fn a_provider_that_refuses_to_be_asked_for_usage_is_not_asked() {
    let provider =
        "  - {name: old, dialect: openai, baseUrl: \"http://{sim}/v1\", usageInStream: false}\n";
    let routes = "  - {name: chat, targets: [{name: a, provider: old, model: m}], \
                  traffic: {weights: {a: 100}}}\n";
    let setup = crate::stage::Setup {
        routes: routes.to_owned(),
        providers: provider.to_owned(),
        ..Default::default()
    };
    let stage = Stage::with("{fixedIds: true}", setup);
    let answer = stage.ask(&Request::stream("chat"));
    assert_eq!(
        stage.received("m")[0].text(),
        Some(&*chat_body("m", ",\"stream\":true"))
    );
    assert_eq!(answer.body, direct(&stage, &Request::stream("m")).body);
    let tokens = || {
        stage
            .scrape()
            .told("serin_tokens_total", "chat", &["type", "source"])
    };
    eventually("tokens are estimated", tokens, |seen| {
        seen.len() == 2 && seen.iter().all(|line| line.contains("estimated"))
    });
}

#[test]
fn a_stream_is_relayed_as_it_comes() {
    let script = "{models: {chat: {stall: {afterEvents: 4}}}}";
    let stage = Stage::new(script, &alone("chat", ""));
    let mut connection = stage.begin(&Request::stream("chat"));
    assert_eq!(connection.head().expect("a head").status, 200);
    let mut read = String::new();
    while read.matches("\n\n").count() < 4 {
        match connection.piece().expect("the four events come at once") {
            Piece::Data(data) => read.push_str(&String::from_utf8_lossy(&data)),
            end => panic!("{end:?} after {read}"),
        }
    }
    assert_eq!(
        stage
            .scrape()
            .sum("serin_streams_in_flight", &[("route", "chat")]),
        1.0
    );
    connection.leave();
    stage.at_rest("chat");
}

#[test]
fn any_cutting_of_the_bytes_gives_the_same_stream() {
    let script = "{fixedIds: true, models: {chat: {trickle: {bytes: 1}, answerTokens: 6}}}";
    let stage = Stage::new(script, &alone("chat", ""));
    let answer = stage.ask(&wanting_usage("chat"));
    assert_eq!(answer.text(), direct(&stage, &wanting_usage("chat")).text());
    assert!(answer.whole);
}

#[test]
fn the_other_operations_stream_too() {
    let stage = Stage::new("{fixedIds: true}", &alone("chat", ""));
    for path in ["/v1/completions", "/v1/responses", "/v1/anything"] {
        let body = "{\"model\":\"chat\",\"stream\":true,\"stream_options\":{\"include_usage\":true},\"input\":\"x\",\"prompt\":\"y\"}";
        let request = Request::post(path, body);
        let (answer, direct) = (stage.ask(&request), direct(&stage, &request));
        assert!(answer.whole, "{path}");
        assert_eq!(answer.text(), direct.text(), "{path}");
    }
    stage.counts("chat", &["first a stable none=3"]);
}

/// What a provider does after the first content, and what that is called.
const BREAKS: [(&str, &str, &str, &str); 6] = [
    // route      script                                          reason          code
    (
        "close",
        "cut: {afterEvents: 5, how: close}",
        "truncated",
        "upstream_error",
    ),
    (
        "rst",
        "cut: {afterEvents: 5, how: reset}",
        "truncated",
        "upstream_error",
    ),
    (
        "no-end",
        "noDone: true, answerTokens: 3",
        "truncated",
        "upstream_error",
    ),
    (
        "in-event",
        "cut: {afterBytes: 1500, how: close}",
        "truncated",
        "upstream_error",
    ),
    (
        "idle",
        "stall: {afterEvents: 5}",
        "timeout_idle",
        "upstream_timeout",
    ),
    (
        "too-long",
        "endless: {what: events, every: 5ms}",
        "timeout_total",
        "upstream_timeout",
    ),
];

#[test]
fn a_stream_that_breaks_off_ends_with_an_error_event_and_a_cut_body() {
    let model = |(name, script, ..): &(&str, &str, &str, &str)| format!("{name}: {{{script}}}");
    let models: Vec<String> = BREAKS.iter().map(model).collect();
    let script = format!(
        "{{fixedIds: true, models: {{{}, whole: {{}}}}}}",
        models.join(", ")
    );
    let limits = ", timeouts: {idle: 150ms, total: 400ms, firstToken: 400ms, answer: 400ms}";
    let routes: String = BREAKS.iter().map(|row| pair(row.0, limits)).collect();
    let stage = Stage::new(&script, &(routes + &alone("whole", "")));
    for (route, _, reason, code) in BREAKS {
        let answer = stage.ask(&Request::stream(route));
        let mut events = answer.events();
        let last = events.pop().expect("an error event");
        assert_eq!(
            (answer.status, answer.whole),
            (200, false),
            "{route}: {}",
            answer.text()
        );
        assert_eq!(error_code(&last), json!(code), "{route}: {}", answer.text());
        assert!(!answer.text().contains("[DONE]"), "{route}");
        assert!(
            !events.is_empty() && events.iter().all(|e| e.contains("\"choices\"")),
            "{route}"
        );
        if matches!(route, "close" | "rst" | "idle") {
            assert_eq!(events.len(), 5, "{route}: {}", answer.text());
        }
        stage.counts(route, &[&format!("first a stable {reason}=1")]);
        let status = if code == "upstream_timeout" {
            "504"
        } else {
            "502"
        };
        let of = [("route", route), ("stream", "true"), ("code", status)];
        assert_eq!(
            stage.scrape().sum("serin_requests_total", &of),
            1.0,
            "{route}"
        );
        let ended = || {
            stage
                .received(route)
                .iter()
                .filter(|seen| seen.ended == Ended::Running)
                .count()
        };
        eventually("nothing runs at the provider", ended, |running| {
            *running == 0
        });
        stage.at_rest(route);
    }
    assert!(
        stage.received("b").is_empty(),
        "nobody takes over after the first content"
    );
}

#[test]
fn the_providers_own_error_event_is_passed_on_once_and_is_the_last() {
    let script = "{models: {chat: {errorInStream: {afterEvents: 4, code: engine_down}}}}";
    let stage = Stage::new(script, &pair("chat", ""));
    let answer = stage.ask(&Request::stream("chat"));
    let events = answer.events();
    assert_eq!(
        (answer.whole, events.len()),
        (false, 5),
        "{}",
        answer.text()
    );
    assert_eq!(error_code(&events[4]), json!("engine_down"));
    assert!(stage.received("b").is_empty());
    stage.counts("chat", &["first a stable stream_error=1"]);
}

#[test]
fn an_idle_stream_ends_when_its_limit_does_and_steady_ones_go_on() {
    let script = "{models: {slow: {tokensPerSecond: 20, answerTokens: 10}, \
                  still: {stall: {afterEvents: 3}}}}";
    let limits = ", timeouts: {idle: 200ms}";
    let stage = Stage::new(script, &(alone("slow", limits) + &alone("still", limits)));
    let began = now();
    let answer = stage.ask(&Request::stream("still"));
    let took = began.elapsed();
    assert!(!answer.whole);
    assert!(
        took >= Duration::from_millis(200) && took < Duration::from_secs(2),
        "{took:?}"
    );
    let gone = || {
        stage
            .received("still")
            .iter()
            .all(|seen| seen.ended == Ended::ClientGone)
    };
    within(
        Duration::from_secs(1),
        "its provider's connection is closed",
        gone,
        |gone| *gone,
    );
    let answer = stage.ask(&Request::stream("slow"));
    assert!(
        answer.whole,
        "500 ms without a gap of 200 ms: {}",
        answer.text()
    );
}

#[test]
fn what_follows_the_terminator_is_not_the_callers() {
    let event = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n";
    let length = 2 * event.len() + "data: [DONE]\n\n".len();
    let text = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {length}\r\n\r\n\
         {event}data: [DONE]\n\n{event}"
    );
    let script = json!({"models": {"chat": {"raw": {"text": text, "how": "close"}}}});
    let stage = Stage::new(&script.to_string(), &alone("chat", ""));
    let answer = stage.ask(&Request::stream("chat"));
    assert_eq!(
        (answer.text(), answer.whole),
        (format!("{event}data: [DONE]\n\n"), true)
    );
}

#[test]
fn a_stream_that_says_nothing_for_64_events_is_committed_all_the_same() {
    let role = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\n\n".repeat(64);
    let text = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 99999\r\n\r\n{role}"
    );
    let script = json!({"models": {"chat": {"raw": {"text": text, "how": "hold"}}}});
    let stage = Stage::new(&script.to_string(), &pair("chat", ""));
    let mut connection = stage.begin(&Request::stream("chat"));
    assert_eq!(connection.head().expect("a head").status, 200);
    assert!(stage.received("b").is_empty());
    connection.leave();
}

#[test]
fn comments_odd_line_ends_and_split_events_arrive_as_they_were_written() {
    let stream = ": ping\r\n\r\nretry: 5\rid: 7\revent: x\r\rdata: {\"choices\":[{\"delta\":\r\n\
                  data: {\"content\":\"\u{e4}\u{1f600}\"}}]}\r\n\r\n: late\n\ndata:[DONE]\n\n";
    let length = stream.len();
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {length}");
    let raw = json!({"text": format!("{head}\r\n\r\n{stream}"), "how": "close"});
    let script = json!({"models": {"chat": {"raw": raw, "trickle": {"bytes": 3}}}});
    let stage = Stage::new(&script.to_string(), &alone("chat", ""));
    let answer = stage.ask(&Request::stream("chat"));
    assert_eq!((answer.text().as_str(), answer.whole), (stream, true));
    stage.counts("chat", &["first a stable none=1"]);
}

#[test]
fn a_large_plain_answer_that_breaks_off_is_cut_and_never_looks_whole() {
    let script = "{models: {chat: {padding: 3000000, cut: {afterBytes: 2000000}}}}";
    let stage = Stage::new(script, &pair("chat", ""));
    let answer = stage.ask(&Request::chat("chat"));
    assert_eq!((answer.status, answer.whole), (200, false));
    assert!(answer.body.len() > 1_000_000 && !answer.text().contains("error"));
    assert!(stage.received("b").is_empty());
    stage.counts("chat", &["first a stable truncated=1"]);
}

#[test]
fn every_broken_stream_ends_with_its_error_event_one_after_the_other() {
    let text = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 9999\r\n\r\n\
                data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n\
                data: {\"error\":{\"message\":\"down\",\"code\":\"engine_down\"}}\n\n";
    // In one read with the first content and with the connection left open, or later, or not at all.
    let script = json!({"models": {
        "at-once": {"raw": {"text": text, "how": "hold"}},
        "later": {"errorInStream": {"afterEvents": 4, "code": "engine_down"}},
        "ours": {"cut": {"afterEvents": 4}},
    }});
    let rows = [
        ("at-once", "engine_down"),
        ("later", "engine_down"),
        ("ours", "upstream_error"),
    ];
    let routes: String = rows.iter().map(|row| alone(row.0, "")).collect();
    let stage = Stage::new(&script.to_string(), &routes);
    for (route, code) in rows.repeat(2) {
        let answer = stage.ask(&Request::stream(route));
        let mut events = answer.events();
        let last = events.pop().expect("an event");
        assert_eq!(error_code(&last), json!(code), "{route}: {}", answer.text());
        assert!(!answer.whole && !events.is_empty(), "{route}");
        assert!(
            events.iter().all(|event| error_code(event).is_null()),
            "{route}"
        );
    }
    for (route, code) in rows {
        let reason = if code == "engine_down" {
            "stream_error"
        } else {
            "truncated"
        };
        stage.counts(route, &[&format!("first a stable {reason}=2")]);
    }
}
