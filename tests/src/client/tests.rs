//! A body that was cut must never look whole: every story about streams rests on it.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// A server that answers one connection with these bytes and closes it.
async fn serve(bytes: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("loopback can be bound");
    let address = listener.local_addr().expect("a listener has an address");
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("one connection comes");
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await;
        let _ = stream.write_all(bytes.as_bytes()).await;
    });
    address
}

#[rustfmt::skip]
#[tokio::test]
async fn a_cut_body_is_told_from_a_whole_one() {
    let table = [
        ("content-length: 3\r\n\r\nabc",                                "abc", true),
        ("content-length: 5\r\n\r\nabc",                                "abc", false),
        ("content-length: 0\r\n\r\n",                                   "",    true),
        ("transfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", "abc", true),
        ("transfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n",     "abc", false),
        ("transfer-encoding: chunked\r\n\r\n2\r\nab\r\n9\r\nc",         "ab",  false),
        ("x: y\r\n\r\nabc",                                             "abc", true),
    ];
    for (rest, body, whole) in table {
        let bytes = format!("HTTP/1.1 200 OK\r\n{rest}").leak();
        let answer = ask(serve(bytes).await, &Request::get("/")).await;
        assert_eq!((answer.text().as_str(), answer.whole), (body, whole), "{rest}");
    }
}

#[tokio::test]
async fn an_interim_answer_is_passed_over_and_headers_are_found() {
    let bytes =
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 No\r\nX-One:  a b \r\ncontent-length: 0\r\n\r\n";
    let answer = ask(serve(bytes).await, &Request::get("/")).await;
    assert_eq!(
        (answer.status(), answer.header("x-one")),
        (404, Some("a b"))
    );
}

#[test]
fn a_request_is_sent_as_it_is_built() {
    let request = Request::post("/p", "{}").key("k");
    let expected = "POST /p HTTP/1.1\r\nhost: serin.test\r\ncontent-length: 2\r\n\
                    content-type: application/json\r\nauthorization: Bearer k\r\n\r\n{}";
    assert_eq!(String::from_utf8_lossy(&request.bytes()), expected);
}
