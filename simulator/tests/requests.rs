//! Requests in all their forms, and the addresses of the simulator itself.
//!
//! Each test has one simulator and mostly one connection, so that leftovers of one request would
//! show in the next.

use std::io::Write;

use serin_simulator::{Ended, Script};

use crate::{answer, ask, connect, post, rest, simulator};

#[test]
fn one_connection_serves_many_requests_also_pipelined() {
    let simulator = simulator("{}");
    let mut stream = connect(&simulator);
    ask(&mut stream, &post(r#"{"model":"a"}"#).repeat(3));
    let ids: Vec<String> = (0..3).map(|_| answer(&mut stream).1).collect();
    assert!(ids[0] != ids[1] && ids[1] != ids[2]);
    ask(&mut stream, &post("not json"));
    assert_eq!(answer(&mut stream).0, 400);
    ask(&mut stream, &post(r#"{"model":"a"}"#));
    assert_eq!(answer(&mut stream).0, 200);
    let requests = simulator.journal().requests();
    assert!(requests.iter().all(|r| r.connection == 1));
}

#[test]
fn a_chunked_body_is_received_whole_and_recorded_as_it_was() {
    let simulator = simulator("{}");
    let mut stream = connect(&simulator);
    let body = "{ \"model\" :\"a\",\"x\":\"\u{e9}\"}";
    ask(
        &mut stream,
        "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nX-Twin: 1\r\nx-twin: 2\r\n",
    );
    ask(&mut stream, "transfer-encoding: chunked\r\n\r\n");
    for piece in body.as_bytes().chunks(7) {
        stream
            .write_all(format!("{:X}\r\n", piece.len()).as_bytes())
            .unwrap();
        stream.write_all(piece).unwrap();
        stream.write_all(b"\r\n").unwrap();
    }
    ask(&mut stream, "0\r\n\r\n");
    assert_eq!(answer(&mut stream).0, 200);
    let received = crate::eventually(&simulator, |r| r.ended == Ended::Answered);
    assert_eq!(received.text(), Some(body));
    assert_eq!(received.model.as_deref(), Some("a"));
    assert_eq!(received.headers[1], ("X-Twin".to_owned(), "1".to_owned()));
    assert_eq!(received.headers[2], ("x-twin".to_owned(), "2".to_owned()));
    assert_eq!((received.status, received.events_sent), (Some(200), 1));
}

#[test]
fn a_caller_that_waits_for_100_continue_gets_it() {
    let simulator = simulator("{}");
    let mut stream = connect(&simulator);
    let body = r#"{"model":"a"}"#;
    let text = post(body).replace("host: a", "host: a\r\nexpect: 100-continue");
    let (head, _) = text.split_once("{").unwrap();
    ask(&mut stream, head);
    let mut line = [0; 25];
    std::io::Read::read_exact(&mut stream, &mut line).unwrap();
    assert_eq!(&line, b"HTTP/1.1 100 Continue\r\n\r\n");
    ask(&mut stream, body);
    assert_eq!(answer(&mut stream).0, 200);
}

#[test]
fn what_is_no_http_is_answered_400_closed_and_noted() {
    let corpus = [
        "\u{16}\u{3}\u{1}hello\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "POST /v1/x HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}",
        "POST /v1/x HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n{",
        "POST /v1/x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
    ];
    let simulator = simulator("{}");
    for text in corpus {
        let mut stream = connect(&simulator);
        ask(&mut stream, text);
        let (bytes, error) = rest(&mut stream);
        assert!(
            bytes.starts_with(b"HTTP/1.1 400 Bad Request\r\n"),
            "{text:?}"
        );
        assert_eq!(error, None, "{text:?}: the answer stays readable");
    }
    drop(connect(&simulator));
    let counts = simulator.journal().counts();
    assert_eq!(
        (counts.len(), counts[0].ended, counts[0].requests),
        (1, Ended::Refused, 5)
    );
}

#[test]
fn a_refusal_is_readable_while_the_body_is_still_on_its_way() {
    let simulator = simulator("{}");
    let mut stream = connect(&simulator);
    let head = post("").replace("content-length: 0", "content-length: 100000000");
    ask(&mut stream, &head);
    ask(&mut stream, &"x".repeat(8_000_000));
    let (bytes, error) = rest(&mut stream);
    assert!(bytes.starts_with(b"HTTP/1.1 413 "));
    assert_eq!(error, None);
}

#[test]
fn keys_and_names_are_checked_as_openai_does() {
    let simulator = simulator(r#"{"requireKey": "sk-1", "strict": true, "models": {"a": {}}}"#);
    let mut stream = connect(&simulator);
    let keyed = |text: String, key: &str| {
        text.replace(
            "host: a",
            &format!("host: a\r\nauthorization: Bearer {key}"),
        )
    };
    let mut said = |text: &str| {
        ask(&mut stream, text);
        let (status, body) = answer(&mut stream);
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        (status, body["error"]["code"].as_str().map(str::to_owned))
    };
    let (a, b) = (post(r#"{"model":"a"}"#), post(r#"{"model":"b"}"#));
    let get = |path: &str| keyed(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n"), "sk-1");
    assert_eq!(said(&a), (401, None));
    assert_eq!(
        said(&keyed(a.clone(), "sk-2")),
        (401, Some("invalid_api_key".into()))
    );
    assert_eq!(said(&keyed(a.clone(), "sk-1")), (200, None));
    assert_eq!(
        said(&keyed(b, "sk-1")),
        (404, Some("model_not_found".into()))
    );
    assert_eq!(said(&get("/v1/models/a")), (200, None));
    assert_eq!(
        said(&get("/v1/models/b")),
        (404, Some("model_not_found".into()))
    );
    assert_eq!(said(&get("/v1/models")), (200, None));
    assert_eq!(said(&get("/v1/chat/completions")).0, 405);
    assert_eq!(said(&get("/nowhere")).0, 404);
}

#[test]
fn the_script_changes_live_and_a_bad_one_changes_nothing() {
    let simulator = simulator("{}");
    let mut stream = connect(&simulator);
    let mut put = |path: &str, body: &str| {
        let text = post(body).replace("POST /v1/chat/completions", path);
        ask(&mut stream, &text);
        answer(&mut stream)
    };
    assert_eq!(
        put(
            "PUT /__script",
            r#"{"default": {"errors": [{"status": 503}]}}"#
        )
        .0,
        200
    );
    assert_eq!(put("POST /v1/chat/completions", r#"{"model":"a"}"#).0, 503);
    let (status, why) = put("PUT /__script", r#"{"defualt": {}}"#);
    assert!(status == 400 && why.contains("defualt"), "{why}");
    assert_eq!(put("POST /v1/chat/completions", r#"{"model":"a"}"#).0, 503);
    assert_eq!(put("POST /__script", "default: {answerTokens: 1}").0, 200);
    assert_eq!(put("POST /v1/chat/completions", r#"{"model":"a"}"#).0, 200);
    let mut lie = Script::default();
    lie.default.jitter = 2.0;
    assert!(simulator.set_script(lie).is_err());
    let script = Script::parse(&put("GET /__script", "").1).unwrap();
    assert_eq!(script.default.answer_tokens, 1);

    let journal: serde_json::Value = serde_json::from_str(&put("GET /__journal", "").1).unwrap();
    assert_eq!(journal.as_array().unwrap().len(), 3);
    assert_eq!(journal[0]["body"], r#"{"model":"a"}"#);
    assert_eq!(
        (&journal[0]["ended"], &journal[0]["status"]),
        (&"answered".into(), &503.into())
    );
    let summary: serde_json::Value =
        serde_json::from_str(&put("GET /__journal/summary", "").1).unwrap();
    assert_eq!(
        summary[1],
        serde_json::json!(
            {"model": "a", "status": 503, "ended": "answered", "requests": 2}
        )
    );
    assert_eq!(put("DELETE /__journal", "").0, 200);
    assert!(simulator.journal().requests().is_empty());
    assert_eq!(put("PUT /__script", "journal: off").0, 200);
    assert_eq!(put("POST /v1/chat/completions", r#"{"model":"a"}"#).0, 200);
    assert!(simulator.journal().requests().is_empty());
}

#[test]
fn equal_seeds_give_equal_faults_and_answers() {
    let script = r#"{"seed": 5, "default": {"errors": [{"status": 500, "share": 0.3}]}}"#;
    let run = || {
        let simulator = simulator(script);
        let mut stream = connect(&simulator);
        let mut said = || {
            ask(&mut stream, &post(r#"{"model":"a"}"#));
            answer(&mut stream)
        };
        (0..50).map(|_| said()).collect::<Vec<_>>()
    };
    let first = run();
    assert_eq!(first, run());
    let failed = first.iter().filter(|(status, _)| *status == 500).count();
    assert!((5..25).contains(&failed), "{failed}");
}
