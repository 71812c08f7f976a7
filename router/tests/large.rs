//! JSON answers of more than 1 MiB, which are relayed as they come: whether they are whole, and
//! what they used.

use serin_simulator::{How, Model, Raw, Script};

use crate::{
    client::{Answer, Request},
    stage::{Stage, alone, pair},
    wait::eventually,
};

const MIB: usize = 1 << 20;
const CHUNKED: &str = "transfer-encoding: chunked";
const TO_THE_END: &str = "connection: close";
const LAST_CHUNK: &str = "0\r\n\r\n";

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

/// Asks a provider that answers with this header line and body, and then closes. HTTP/1.0 where the
/// close itself is the end: an HTTP/1.1 answer without a length has no body for our client.
fn answered(stage: &Stage, request: &Request, model: &str, how: &str, body: &str) -> Answer {
    let minor = u8::from(how != TO_THE_END);
    let head = format!("HTTP/1.{minor} 200 OK\r\ncontent-type: application/json\r\n{how}");
    let raw = Raw {
        text: format!("{head}\r\n\r\n{body}"),
        how: How::Close,
        ..Raw::default()
    };
    let model_of = Model {
        raw: Some(raw),
        ..Model::default()
    };
    let script = Script::default().with(model, model_of);
    stage.simulator.set_script(script).expect("a script");
    stage.ask(request)
}

fn tokens(stage: &Stage, route: &str, expected: &[&str]) {
    let promise = format!("tokens of {route} are {expected:?}");
    let tokens = || {
        stage
            .scrape()
            .told("serin_tokens_total", route, &["type", "source"])
    };
    eventually(&promise, tokens, |seen| seen == expected);
}

#[test]
fn without_a_length_a_large_answer_is_whole_if_its_json_is() {
    // Brackets that close nothing: they stand in a string.
    let json = format!("{{\"text\":\"{}\"}}", "}".repeat(2 * MIB));
    let (first, second) = json.split_at(3 * MIB / 2);
    let half = chunk(first);
    let rows = [
        // route          header               body                                            whole
        (
            "in-a-chunk",
            CHUNKED,
            format!("{:x}\r\n{first}", json.len()),
            false,
        ),
        ("between-chunks", CHUNKED, half.clone(), false),
        (
            "half-and-ended",
            CHUNKED,
            format!("{half}{LAST_CHUNK}"),
            false,
        ),
        ("closed", TO_THE_END, first.to_owned(), false),
        ("chunks", CHUNKED, half + &chunk(second) + LAST_CHUNK, true),
        ("to-the-end", TO_THE_END, json.clone(), true),
    ];
    let routes: String = rows.iter().map(|row| pair(row.0, "")).collect();
    let stage = Stage::new("{}", &routes);
    for (route, how, body, whole) in rows {
        let answer = answered(&stage, &Request::chat(route), route, how, &body);
        let seen = (answer.status, answer.whole);
        assert_eq!(seen, (200, whole), "{route}: {} bytes", answer.body.len());
        assert!(answer.body.len() > MIB, "{route}");
        assert!(json.as_bytes().starts_with(&answer.body), "{route}");
        let (reason, code) = if whole {
            ("none", "200")
        } else {
            ("truncated", "502")
        };
        stage.counts(route, &[&format!("first a stable {reason}=1")]);
        let codes = stage
            .scrape()
            .told("serin_requests_total", route, &["code"]);
        assert_eq!(codes, [format!("{code}=1")], "{route}");
    }
    assert!(stage.received("b").is_empty(), "it was on its way already");
}

#[test]
fn a_small_answer_in_chunks_that_breaks_off_is_another_targets_to_give() {
    let stage = Stage::new("{}", &pair("chat", ""));
    let half = chunk("{\"choices\":[{\"message\":");
    let answer = answered(&stage, &Request::chat("chat"), "chat", CHUNKED, &half);
    let told = (answer.status, answer.whole, answer.header("x-serin-target"));
    assert_eq!(told, (200, true, Some("b")), "{answer:?}");
    let counted = ["fallback b stable none=1", "first a stable truncated=1"];
    stage.counts("chat", &counted);
}

#[test]
fn an_answer_of_unknown_length_is_another_targets_to_give_and_never_an_empty_success() {
    let stage = Stage::new("{}", &pair("chat", ""));
    let request = Request::chat("chat");
    let answer = answered(&stage, &request, "chat", "x-framed: no", "{\"id\":1}");
    let told = (answer.status, answer.whole, answer.header("x-serin-target"));
    assert_eq!(told, (200, true, Some("b")), "{answer:?}");
    let counted = ["fallback b stable none=1", "first a stable bad_response=1"];
    stage.counts("chat", &counted);
}

/// Embeddings of so many bytes that end with `usage`.
fn embeddings(bytes: usize, usage: &str) -> String {
    let (begin, end) = ("{\"data\":[{\"embedding\":\"", format!("\"}}]{usage}}}"));
    let filler = "A".repeat(bytes - begin.len() - end.len());
    format!("{begin}{filler}{end}")
}

#[test]
fn embeddings_too_large_to_hold_are_counted_as_their_provider_says() {
    const USAGE: &str = ",\"usage\":{\"prompt_tokens\":9,\"total_tokens\":9}";
    let rows = [
        // route     bytes       usage   in chunks
        ("held", MIB + 1, USAGE, false),
        ("chunked", MIB + 1, USAGE, true),
        ("straddles", MIB + 30, USAGE, false),
        ("behind", 3 * MIB, USAGE, false),
        ("behind-chunked", 3 * MIB, USAGE, true),
        ("silent", MIB + 1, "", false),
        ("silent-large", 3 * MIB, "", true),
    ];
    let routes: String = rows.iter().map(|row| alone(row.0, "")).collect();
    let stage = Stage::new("{}", &routes);
    for (route, bytes, usage, chunks) in rows {
        let json = embeddings(bytes, usage);
        let (how, body) = if chunks {
            (CHUNKED.to_owned(), chunk(&json) + LAST_CHUNK)
        } else {
            (format!("content-length: {bytes}"), json.clone())
        };
        let asked = format!("{{\"model\":\"{route}\",\"input\":\"hello there\"}}");
        let request = Request::post("/v1/embeddings", asked.clone());
        let answer = answered(&stage, &request, route, &how, &body);
        let seen = (answer.status, answer.whole, answer.body.len());
        assert_eq!(seen, (200, true, bytes), "{route}");
        assert!(answer.body == json.as_bytes(), "{route}");
        let estimated = format!("input estimated={}", asked.len() / 4);
        let reported = "input reported=9";
        tokens(
            &stage,
            route,
            &[if usage.is_empty() {
                &estimated
            } else {
                reported
            }],
        );
    }
}
