//! How answers end: whole, cut, reset, stalled, or because the caller left.
//!
//! Asserted from both sides: what the caller read, and what the journal says.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use serin_simulator::{Ended, Phase, Script, Simulator};

use crate::{ask, connect, eventually, post, rest, simulator, started};

const STREAM: &str = r#"{"model":"a","stream":true}"#;

fn whole_stream() -> Vec<u8> {
    let simulator = simulator(r#"{"fixedIds": true, "default": {"answerTokens": 3}}"#);
    let mut stream = connect(&simulator);
    let last = post(STREAM).replace("host: a", "host: a\r\nconnection: close");
    ask(&mut stream, &last);
    let (bytes, error) = rest(&mut stream);
    assert_eq!(error, None);
    bytes
}

#[test]
fn a_stream_arrives_byte_for_byte() {
    let text = String::from_utf8(whole_stream()).expect("a working loopback");
    let (head, body) = text.split_once("\r\n\r\n").expect("a working loopback");
    assert_eq!(
        head,
        "HTTP/1.1 200 OK\r\nserver: serin-simulator\r\n\
         content-type: text/event-stream; charset=utf-8\r\n\
         x-request-id: req_e220a8397b1dcdaf\r\ncache-control: no-cache\r\n\
         transfer-encoding: chunked"
    );
    let mut left = body;
    let mut events = Vec::new();
    while let Some((size, more)) = left.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("a working loopback");
        assert_eq!(&more[size..size + 2], "\r\n");
        events.push(&more[..size]);
        left = &more[size + 2..];
    }
    assert_eq!(
        events.len(),
        7,
        "role, 3 tokens, finish, [DONE], the last chunk"
    );
    assert_eq!(&events[5..], ["data: [DONE]\n\n", ""]);
    assert!(
        events[..6]
            .iter()
            .all(|event| event.starts_with("data: ") && event.ends_with("\n\n"))
    );
}

#[test]
fn a_cut_at_any_byte_sends_those_bytes_and_no_more() {
    let whole = whole_stream();
    for (at, how) in (0..whole.len())
        .step_by(13)
        .zip(["close", "reset"].iter().cycle())
    {
        let simulator = simulator(&format!(
            r#"{{"fixedIds": true, "default": {{"answerTokens": 3,
                "cut": {{"afterBytes": {at}, "how": "{how}"}}}}}}"#
        ));
        let mut stream = connect(&simulator);
        ask(&mut stream, &post(STREAM));
        let (bytes, error) = rest(&mut stream);
        assert_eq!(bytes, whole[..at], "{how} at {at}");
        let expected = (*how == "reset").then_some(ErrorKind::ConnectionReset);
        assert_eq!(error, expected, "{how} at {at}");
        let received = eventually(&simulator, |r| r.ended == Ended::Cut);
        assert_eq!(received.bytes_sent, at);
    }
}

#[test]
fn a_reset_before_the_head_sends_nothing() {
    let simulator = simulator(r#"{"default": {"reset": true}}"#);
    let mut stream = connect(&simulator);
    ask(&mut stream, &post(STREAM));
    assert_eq!(
        rest(&mut stream),
        (Vec::new(), Some(ErrorKind::ConnectionReset))
    );
    let received = eventually(&simulator, |r| r.ended == Ended::Cut);
    assert_eq!(received.status, None);
}

#[test]
fn trickled_bytes_are_the_same_bytes() {
    let simulator =
        simulator(r#"{"fixedIds": true, "default": {"answerTokens": 3, "trickle": {"bytes": 1}}}"#);
    let mut stream = connect(&simulator);
    ask(
        &mut stream,
        &post(STREAM).replace("host: a", "host: a\r\nconnection: close"),
    );
    assert_eq!(rest(&mut stream).0, whole_stream());
}

/// Reads until `count` events have come.
fn read_events(stream: &mut impl Read, count: usize) {
    let (mut all, mut some) = (Vec::new(), [0; 512]);
    while all.windows(6).filter(|w| w == b"data: ").count() < count {
        let read = stream.read(&mut some).expect("a working loopback");
        assert!(read > 0, "ended early");
        all.extend_from_slice(&some[..read]);
    }
}

#[test]
fn a_caller_who_leaves_is_noticed_at_once_in_every_phase() {
    let table = [
        (r#"{"default": {"hang": true}}"#, 0, Phase::Waiting, None),
        (
            r#"{"default": {"firstToken": "1h"}}"#,
            0,
            Phase::Waiting,
            None,
        ),
        (
            r#"{"default": {"stall": {"afterEvents": 2}}}"#,
            2,
            Phase::Stalled,
            Some(200),
        ),
        (
            r#"{"default": {"tokensPerSecond": 2, "answerTokens": 99}}"#,
            2,
            Phase::Streaming,
            Some(200),
        ),
        (
            r#"{"default": {"endless": {"what": "events"}}}"#,
            9,
            Phase::Streaming,
            Some(200),
        ),
        (
            r#"{"default": {"endless": {"what": "event"}}}"#,
            1,
            Phase::Streaming,
            Some(200),
        ),
    ];
    for (script, events, phase, status) in table {
        let simulator = simulator(script);
        let mut stream = connect(&simulator);
        ask(&mut stream, &post(STREAM));
        eventually(&simulator, |r| r.ended == Ended::Running);
        read_events(&mut stream, events);
        drop(stream);
        let left = started();
        let received = eventually(&simulator, |r| r.ended != Ended::Running);
        assert!(left.elapsed() < Duration::from_secs(1), "{script}");
        assert_eq!(
            (received.ended, received.phase),
            (Ended::ClientGone, Some(phase)),
            "{script}"
        );
        assert_eq!(received.status, status, "{script}");
    }
}

#[test]
fn a_caller_who_leaves_in_upload_is_noted_with_what_came() {
    let simulator = simulator("{}");
    let mut stream = connect(&simulator);
    let text = post(r#"{"model":"a"}"#);
    stream
        .write_all(&text.as_bytes()[..text.len() - 3])
        .expect("a working loopback");
    drop(stream);
    let received = eventually(&simulator, |r| r.ended == Ended::ClientGone);
    assert_eq!(received.phase, Some(Phase::Reading));
    assert_eq!(received.text(), Some(r#"{"model":""#));
}

#[test]
fn stopping_closes_the_port_and_every_connection() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a working loopback");
    runtime.block_on(async {
        let addr: SocketAddr = "127.0.0.1:0".parse().expect("a working loopback");
        let simulator = Simulator::start(addr, Script::default())
            .await
            .expect("a working loopback");
        let mut idle = connect(&simulator);
        let addr = simulator.addr();
        ask(&mut idle, &post(r#"{"model":"a"}"#));
        assert_eq!(crate::answer(&mut idle).0, 200);
        simulator.stop().await;
        assert_eq!(rest(&mut idle).0, b"");
        let refused = std::net::TcpStream::connect(addr).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        Simulator::start(addr, Script::default())
            .await
            .expect("a working loopback");
    });
}
