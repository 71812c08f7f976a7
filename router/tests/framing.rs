//! The framing rule: what is not HTTP/1.1 as it should be is refused and the connection closed, and
//! what is, in whatever form, is one request for the provider.

use crate::{
    client::{CHAT, Connection, Request, SECRET, chat_body},
    stage::{Stage, alone},
};

#[rustfmt::skip]
fn no_requests() -> Vec<(&'static str, String)> {
    let body = chat_body("chat", "");
    let length = body.len();
    let head = |more: &str, body: &str| {
        let authorization = format!("authorization: Bearer {SECRET}");
        format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\n{authorization}\r\n{more}\r\n\r\n{body}")
    };
    let with = |more: &str| head(&format!("{more}\r\ncontent-length: {length}"), &body);
    let sized = |text: &str| head(&format!("content-length: {text}"), &body);
    let chunks = format!("{length:x}\r\n{body}\r\n0\r\n\r\n");
    let coded = |text: &str, chunks: &str| head(&format!("transfer-encoding: {text}"), chunks);
    let h2 = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0";
    vec![
        ("no HTTP",                      "HELLO\r\n\r\n".to_owned()),
        ("HTTP/2 with prior knowledge",  h2.to_owned()),
        ("a head over the limit",        with(&format!("x: {}", "x".repeat(200_000)))),
        ("200 headers",                  with(&vec!["x: y"; 200].join("\r\n"))),
        ("two lengths",                  with("content-length: 3")),
        ("a length and chunks",          head(&format!("content-length: {length}\r\ntransfer-encoding: chunked"), &chunks)),
        ("a negative length",            sized("-1")),
        ("a length with a plus",         sized(&format!("+{length}"))),
        ("a length over 2^64",           sized("18446744073709551617")),
        ("an unknown transfer encoding", coded("xchunked", &chunks)),
        ("chunked, but not last",        coded("chunked, gzip", &chunks)),
        ("a chunk size that is none",    coded("chunked", &format!("zz\r\n{chunks}"))),
        ("a chunk longer than said",     coded("chunked", &format!("1\r\n{body}\r\n0\r\n\r\n"))),
        ("a space before the colon",     with("x : a")),
        ("a folded header",              with("x: a\r\n b")),
        ("a zero byte in a header",      with("x: a\0b")),
        ("an empty header name",         with(": b")),
    ]
}

#[test]
fn what_is_not_http_is_refused_and_the_connection_closed() {
    let stage = Stage::new("{}", &alone("chat", ""));
    for (name, bytes) in no_requests() {
        let mut connection = Connection::open(stage.traffic);
        // It may be closed before all is written.
        let _ = connection.send(bytes.as_bytes());
        if let Ok(answer) = connection.answer() {
            assert!(
                matches!(answer.status, 400 | 413 | 431 | 501 | 505),
                "{name}: {answer:?}"
            );
        }
        assert!(connection.is_closed(), "{name}: the connection stays open");
        assert_eq!(stage.simulator.journal().requests().len(), 0, "{name}");
    }
    assert_eq!(stage.ask(&Request::chat("chat")).status, 200);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let stage = Stage::new("{}", &alone("chat", ""));
    let mut connection = Connection::open(stage.traffic);
    let requests: Vec<Request> = (0..100)
        .map(|n| {
            let request = match n % 4 {
                0 => Request::stream("chat"),
                1 => Request::chat("nobody"),
                2 => Request::post("/v1/embeddings", "{\"model\":\"chat\",\"input\":\"x\"}"),
                _ => Request::chat("chat"),
            };
            request.header("x-request-id", &format!("r{n}"))
        })
        .collect();
    let bytes: Vec<u8> = requests.iter().flat_map(Request::bytes).collect();
    connection.send(&bytes).expect("all of them");
    for n in 0..100 {
        let answer = connection.answer().expect("an answer to each");
        assert_eq!(
            answer.header("x-request-id"),
            Some(&*format!("r{n}")),
            "{answer:?}"
        );
        let expected = if n % 4 == 1 { 404 } else { 200 };
        assert_eq!((answer.status, answer.whole), (expected, true), "{n}");
        let is_stream = answer.text().starts_with("data: ");
        assert_eq!(is_stream, n % 4 == 0, "bodies are not mixed");
    }
}

#[test]
fn expect_100_continue_is_answered_before_the_body() {
    let stage = Stage::new("{}", &alone("chat", ""));
    let body = chat_body("chat", "");
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {SECRET}\r\n\
         content-length: {}\r\nexpect: 100-continue\r\n\r\n",
        body.len()
    );
    let mut connection = Connection::open(stage.traffic);
    connection.send(head.as_bytes()).expect("a head");
    assert_eq!(connection.any_head().expect("an interim head").status, 100);
    connection.send(body.as_bytes()).expect("a body");
    assert_eq!(connection.answer().expect("an answer").status, 200);
    assert_eq!(
        connection
            .ask(&Request::chat("chat"))
            .expect("an answer")
            .status,
        200
    );
}

#[test]
fn a_chunked_body_is_a_body() {
    let stage = Stage::new("{}", &alone("chat", ""));
    let body = chat_body("chat", "");
    let mut bytes = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {SECRET}\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    for byte in body.chars() {
        bytes.push_str(&format!("1\r\n{byte}\r\n"));
    }
    bytes.push_str("0\r\n\r\n");
    let mut connection = Connection::open(stage.traffic);
    connection.send(bytes.as_bytes()).expect("a request");
    assert_eq!(connection.answer().expect("an answer").status, 200);
    assert_eq!(stage.received("chat")[0].text(), Some(&*body));
    assert_eq!(stage.received("chat")[0].header("transfer-encoding"), None);
}
