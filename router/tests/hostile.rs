//! Requests that are none: each gets its status and code, and no provider hears of it.
//!
//! After each of them the next request on the connection works, or the connection is closed.

use serde_json::json;

use crate::{
    client::{CHAT, Connection, Request, SECRET, chat_body},
    stage::{BODY_BYTES_MAX, Setup, Stage, alone, key},
    wait::eventually,
};

const NARROW: &str = "sk-serin-narrow-0123456789abcdefghijklmnopqrstuvwxyzABC";
const OLD: &str = "sk-serin-old-0123456789abcdefghijklmnopqrstuvwxyzABCDEF";
const OFF: &str = "sk-serin-off-0123456789abcdefghijklmnopqrstuvwxyzABCDEF";

/// What is wrong, the bytes, the status, the code and `param` of the error.
struct Row(
    &'static str,
    Vec<u8>,
    u16,
    &'static str,
    Option<&'static str>,
);

fn stage() -> Stage {
    let old = key("old", OLD, "\"*\"").replace("\"}]", "\", expiresAt: \"2020-01-01T00:00:00Z\"}]");
    let off = key("off", OFF, "\"*\"").replace("routes:", "disabled: true, routes:");
    let keys = key("narrow", NARROW, "chat") + &old + &off;
    let routes = alone("chat", "") + &alone("other", "");
    Stage::with(
        "{}",
        Setup {
            routes,
            keys,
            ..Setup::default()
        },
    )
}

fn nested(depth: usize) -> String {
    // The object itself is the first level.
    let (open, close) = ("[".repeat(depth - 1), "]".repeat(depth - 1));
    format!("{{\"model\":\"chat\",\"messages\":[],\"x\":{open}{close}}}")
}

#[rustfmt::skip]
fn bodies() -> Vec<Row> {
    let row = |name, body: &[u8], status, code, param| Row(name, Request::post(CHAT, body).bytes(), status, code, param);
    let bad = |name, body: &str, param| row(name, body.as_bytes(), 400, "invalid_request", param);
    let lying: Vec<u8> = [b"\xef\xbb\xbf", chat_body("chat", "").as_bytes()].concat();
    let wide: Vec<u8> = chat_body("chat", "").encode_utf16().flat_map(u16::to_le_bytes).collect();
    vec![
        bad("an empty body",              "",                                     None),
        bad("white space",                " \r\n\t",                              None),
        bad("not JSON",                   "hello",                                None),
        bad("half of it",                 "{\"model\":\"chat\"",                  None),
        bad("a list",                     "[{\"model\":\"chat\"}]",               None),
        bad("a string",                   "\"chat\"",                             None),
        bad("two objects",                "{\"model\":\"chat\"}{\"model\":\"chat\"}", None),
        bad("a trailing comma",           "{\"model\":\"chat\",}",                None),
        bad("a comment",                  "{\"model\":\"chat\"/*x*/}",            None),
        bad("no model",                   "{\"messages\":[]}",                    Some("model")),
        bad("a model in another object",  "{\"x\":{\"model\":\"chat\"}}",         Some("model")),
        bad("an empty model",             "{\"model\":\"\"}",                     Some("model")),
        bad("a model that is a number",   "{\"model\":7}",                        Some("model")),
        bad("a model that is null",       "{\"model\":null}",                     Some("model")),
        bad("a model too long",           &chat_body(&"x".repeat(257), ""),       Some("model")),
        bad("model twice",                "{\"model\":\"chat\",\"model\":\"chat\"}", None),
        bad("model twice, once escaped",  "{\"model\":\"chat\",\"mod\\u0065l\":\"chat\"}", None),
        bad("model in another case",      "{\"model\":\"chat\",\"MODEL\":\"other\"}", None),
        bad("only Model",                 "{\"Model\":\"chat\"}",                 None),
        bad("stream twice",               "{\"model\":\"chat\",\"stream\":true,\"stream\":false}", None),
        bad("stream in another case",     "{\"model\":\"chat\",\"Stream\":true}", None),
        bad("a stream that is a word",    "{\"model\":\"chat\",\"stream\":\"true\"}", Some("stream")),
        bad("a stream that is 1",         "{\"model\":\"chat\",\"stream\":1}",    Some("stream")),
        bad("129 levels",                 &nested(129),                           None),
        bad("100 000 levels",             &nested(100_000),                       None),
        bad("100 000 levels, left open",  &"[".repeat(100_000),                   None),
        bad("NaN",                        "{\"model\":\"chat\",\"x\":NaN}",       None),
        row("invalid UTF-8",              b"{\"model\":\"chat\",\"x\":\"\xff\"}", 400, "invalid_request", None),
        row("a byte order mark",          &lying,                                 400, "invalid_request", None),
        row("UTF-16",                     &wide,                                  400, "invalid_request", None),
        row("a zero byte",                b"{\"model\":\"chat\",\"x\":\"\0\"}",   400, "invalid_request", None),
        row("an unknown model",           b"{\"model\":\"nobody\"}",              404, "model_not_found", None),
        row("a model in another case",    b"{\"model\":\"Chat\"}",                404, "model_not_found", None),
        row("a model with a line break",  b"{\"model\":\"chat\\r\\nx: y\"}",      404, "model_not_found", None),
    ]
}

#[rustfmt::skip]
fn heads() -> Vec<Row> {
    let row = |name, request: Request, status, code| Row(name, request.bytes(), status, code, None);
    let chat = || Request::chat("chat");
    let with = |authorization: &str| chat().key(None).header("authorization", authorization);
    let zipped = |encoding| chat().header("content-encoding", encoding);
    let post = |path: &str| Request::post(path, chat_body("chat", ""));
    vec![
        row("no key",                 chat().key(None),                  401, "invalid_api_key"),
        row("a wrong key",            chat().key(Some("sk-wrong")),      401, "invalid_api_key"),
        row("another scheme",         with("Basic c2s6eA=="),            401, "invalid_api_key"),
        row("only the scheme",        with("Bearer"),                    401, "invalid_api_key"),
        row("an empty key",           with("Bearer "),                   401, "invalid_api_key"),
        row("the key without scheme", with(SECRET),                      401, "invalid_api_key"),
        row("a beginning of the key", with(&format!("Bearer {}", &SECRET[..40])), 401, "invalid_api_key"),
        row("a key with a space",     with(&format!("Bearer {SECRET} x")), 401, "invalid_api_key"),
        row("a key of 257 bytes",     with(&format!("Bearer {}", "x".repeat(257))), 401, "invalid_api_key"),
        row("a key of 10 000 bytes",  with(&format!("Bearer {}", "x".repeat(10_000))), 401, "invalid_api_key"),
        row("an expired key",         chat().key(Some(OLD)),             401, "invalid_api_key"),
        row("a disabled key",         chat().key(Some(OFF)),             401, "invalid_api_key"),
        row("another's route",        Request::chat("other").key(Some(NARROW)), 403, "route_not_allowed"),
        row("an unknown one, narrow", Request::chat("nobody").key(Some(NARROW)), 404, "model_not_found"),
        row("models without a key",   Request::get("/v1/models").key(None), 401, "invalid_api_key"),
        row("gzip",                   zipped("gzip"),                    415, "unsupported_encoding"),
        row("two encodings",          zipped("identity, br"),            415, "unsupported_encoding"),
        row("an unknown path",        Request::get("/v2/models"),        404, "unknown_path"),
        row("the root",               Request::get("/"),                 404, "unknown_path"),
        row("GET on chat",            Request::get(CHAT),                405, "method_not_allowed"),
        row("PUT on chat",            Request::new("PUT", CHAT),         405, "method_not_allowed"),
        row("POST on models",         post("/v1/models"),                405, "method_not_allowed"),
        row("a path that climbs",     post("/v1/a/../chat"),             400, "invalid_request"),
        row("an empty segment",       post("/v1//chat/completions"),     400, "invalid_request"),
        row("an escaped slash",       post("/v1/chat%2fcompletions"),    400, "invalid_request"),
        row("a semicolon",            post("/v1/chat;x/completions"),    400, "invalid_request"),
    ]
}

fn large() -> Vec<Row> {
    let head = |more: &str| {
        let authorization = format!("authorization: Bearer {SECRET}");
        format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\n{authorization}\r\n{more}\r\n\r\n").into_bytes()
    };
    let body = vec![b' '; 3 * BODY_BYTES_MAX];
    let announced = head(&format!("content-length: {}", body.len()));
    let mut chunked = head("transfer-encoding: chunked");
    for chunk in body.chunks(50_000) {
        let size = format!("{:x}\r\n", chunk.len());
        chunked.extend_from_slice(&[size.as_bytes(), chunk, b"\r\n"].concat());
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let one_more = vec![b' '; BODY_BYTES_MAX + 1];
    let one_more = [
        head(&format!("content-length: {}", one_more.len())),
        one_more,
    ]
    .concat();
    let row = |name, bytes| Row(name, bytes, 413, "request_too_large", None);
    vec![
        row("three times the limit", [announced, body].concat()),
        row("the same in chunks", chunked),
        row("one byte over it", one_more),
        row(
            "a length and nothing of it",
            head("content-length: 99999999999"),
        ),
    ]
}

/// The row, then a good request: on the same connection, unless that was closed.
fn check(stage: &Stage, Row(name, bytes, status, code, param): &Row) {
    let mut connection = Connection::open(stage.traffic);
    let sent = connection.send(bytes);
    let answer = connection.answer();
    let answer = answer.unwrap_or_else(|error| panic!("{name}: no answer: {error}; {sent:?}"));
    let context = format!("{name}: {answer:?}: {}", answer.text());
    assert_eq!(
        (answer.status, &*answer.code(), answer.whole),
        (*status, *code, true),
        "{context}"
    );
    let error = &answer.json()["error"];
    assert_eq!(error["param"], json!(param), "{context}");
    let kind = match status {
        401 => "authentication_error",
        403 => "permission_error",
        _ => "invalid_request_error",
    };
    assert_eq!(error["type"], json!(kind), "{context}");
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|message| message.len() > 10),
        "{context}"
    );
    assert_eq!(
        answer.header("content-type"),
        Some("application/json"),
        "{context}"
    );
    assert!(answer.header("x-request-id").is_some(), "{context}");
    assert_eq!(
        answer.header("allow").is_some(),
        *status == 405,
        "{context}"
    );
    let says_close = answer.header("connection") == Some("close");
    match connection.ask(&Request::chat("chat")) {
        Ok(good) => assert_eq!(good.status, 200, "{name}: then {good:?}"),
        Err(error) => assert!(says_close, "{name}: closed without a word: {error}"),
    }
}

fn check_all(rows: &[Row]) {
    let stage = stage();
    for row in rows {
        check(&stage, row);
    }
    let strange = stage.simulator.journal().requests().into_iter();
    let strange: Vec<_> = strange
        .filter(|seen| seen.text() != Some(&chat_body("chat", "")))
        .collect();
    assert!(strange.is_empty(), "the provider has heard of {strange:?}");
}

#[test]
fn bodies_that_are_no_request_are_refused() {
    check_all(&bodies());
}

#[test]
fn heads_without_a_right_to_an_answer_are_refused() {
    check_all(&heads());
}

#[test]
fn a_body_over_the_limit_is_refused_so_that_its_sender_can_read_it() {
    check_all(&large());
}

#[test]
fn the_limits_themselves_are_allowed() {
    let stage = stage();
    let filler = "x".repeat(BODY_BYTES_MAX - chat_body("chat", ",\"x\":\"\"").len());
    let largest = chat_body("chat", &format!(",\"x\":\"{filler}\""));
    assert_eq!(largest.len(), BODY_BYTES_MAX);
    let many_keys: String = (0..20_000).map(|n| format!(",\"k{n}\":{n}")).collect();
    let digits = "9".repeat(100_000);
    let bodies = [
        largest,
        nested(128),
        chat_body("chat", &many_keys),
        chat_body("chat", &format!(",\"n\":{digits}")),
        chat_body("chat", ",\"s\":\"\\ud800\""),
        chat_body("chat", ",\"stream\":null"),
        chat_body("chat", &format!(",\"x\":\"{}\"", "[{".repeat(10_000))),
    ];
    for body in bodies {
        let answer = stage.ask(&Request::post(CHAT, body.clone()));
        // The simulator is a provider of its own mind: what matters is that it was asked.
        let seen = stage
            .simulator
            .journal()
            .requests()
            .pop()
            .expect("it has arrived");
        assert_eq!(seen.text(), Some(&*body), "{answer:?}");
    }
    let plain = Request::chat("chat").header("content-encoding", "identity");
    assert_eq!(stage.ask(&plain).status, 200);
}

#[test]
fn bodies_together_have_a_limit_too() {
    let stage = stage();
    let whole = Request::post(CHAT, vec![b' '; BODY_BYTES_MAX]).bytes();
    let begin = |_| {
        let mut connection = Connection::open(stage.traffic);
        connection
            .send(&whole[..whole.len() - 1])
            .expect("nearly all of it");
        connection
    };
    let mut all: Vec<Connection> = (0..12).map(begin).collect();
    let told = || {
        all.iter()
            .filter(|connection| connection.has_answer())
            .count()
    };
    eventually("eight of the largest are held", told, |told| *told == 4);
    let (mut refused, held): (Vec<_>, Vec<_>) = all.drain(..).partition(Connection::has_answer);
    for answer in refused
        .iter_mut()
        .map(|connection| connection.answer().expect("an answer"))
    {
        assert_eq!(
            (answer.status, &*answer.code()),
            (503, "overloaded"),
            "{answer:?}"
        );
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    held.into_iter().for_each(Connection::leave);
    let status = || stage.ask(&Request::chat("chat")).status;
    eventually("there is room again", status, |status| *status == 200);
}

#[test]
fn what_is_only_announced_takes_no_room_from_others() {
    let stage = stage();
    let request = Request::post(CHAT, vec![b' '; BODY_BYTES_MAX]).header("expect", "100-continue");
    let bytes = request.bytes();
    let (head, body) = bytes.split_at(bytes.len() - BODY_BYTES_MAX);
    let begin = |_| {
        let mut connection = Connection::open(stage.traffic);
        connection.send(head).expect("a head can be written");
        // Said when its body is about to be read.
        let interim = connection.any_head().expect("an interim answer");
        assert_eq!(interim.status, 100);
        connection.send(&body[..1]).expect("and one byte");
        connection
    };
    let slow: Vec<Connection> = (0..12).map(begin).collect();
    for _ in 0..10 {
        assert_eq!(stage.ask(&Request::chat("chat")).status, 200);
    }
    assert!(
        !slow.iter().any(Connection::has_answer),
        "they are waited for"
    );
    slow.into_iter().for_each(Connection::leave);
}

#[test]
fn a_key_that_may_not_use_a_route_is_counted_at_that_route() {
    let stage = stage();
    for request in [Request::chat("other"), Request::stream("other")] {
        assert_eq!(stage.ask(&request.key(Some(NARROW))).status, 403);
    }
    let labels = ["operation", "stream", "code"];
    let counted = || {
        stage
            .scrape()
            .told("serin_requests_total", "other", &labels)
    };
    let expected = ["chat false 403=1", "chat true 403=1"];
    eventually("counted there", counted, |seen| *seen == expected);
    let unmatched = stage
        .scrape()
        .told("serin_requests_total", "_unmatched", &labels);
    assert_eq!(unmatched, [""; 0]);
    stage.counts("other", &[]);
    stage.at_rest("other");
}
