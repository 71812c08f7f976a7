//! The simulator over real sockets: what it sends and what it notices.
//!
//! The client is a bare `TcpStream`, so that every byte is seen. Waiting is always for a condition
//! that must come, and ends by a bound that is far away.

mod endings;
mod requests;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serin_simulator::{Received, Script, Simulator};

/// A wait that lasts this long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

pub fn simulator(script: &str) -> Simulator {
    let addr: SocketAddr = "127.0.0.1:0".parse().expect("a working loopback");
    Simulator::spawn_thread(addr, Script::parse(script).expect("a working loopback"))
        .expect("a working loopback")
}

pub fn connect(simulator: &Simulator) -> TcpStream {
    let stream = TcpStream::connect(simulator.addr()).expect("a working loopback");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("a working loopback");
    stream
}

pub fn post(body: &str) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub fn ask(stream: &mut TcpStream, text: &str) {
    stream
        .write_all(text.as_bytes())
        .expect("a working loopback");
}

/// Everything up to the end of the connection; the error, if it ended by one.
pub fn rest(stream: &mut TcpStream) -> (Vec<u8>, Option<std::io::ErrorKind>) {
    let (mut all, mut some) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut some) {
            Ok(0) => return (all, None),
            Ok(count) => all.extend_from_slice(&some[..count]),
            Err(error) => return (all, Some(error.kind())),
        }
    }
}

/// One answer of known length: status and body.
pub fn answer(stream: &mut TcpStream) -> (u16, String) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("a working loopback");
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).expect("a working loopback");
    let length = head
        .lines()
        .find_map(|l| l.strip_prefix("content-length: "))
        .expect("a working loopback");
    let mut body = vec![0; length.parse().expect("a working loopback")];
    stream.read_exact(&mut body).expect("a working loopback");
    (
        head[9..12].parse().expect("a working loopback"),
        String::from_utf8(body).expect("a working loopback"),
    )
}

/// The journal's only request, once `seen` holds of it.
pub fn eventually(simulator: &Simulator, seen: impl Fn(&Received) -> bool) -> Received {
    let began = started();
    loop {
        let requests = simulator.journal().requests();
        match requests.as_slice() {
            [only] if seen(only) => return only.clone(),
            _ if began.elapsed() < PATIENCE => std::thread::yield_now(),
            _ => panic!("last seen: {requests:?}"),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a bound on waiting for another thread"
)]
pub fn started() -> Instant {
    Instant::now()
}
