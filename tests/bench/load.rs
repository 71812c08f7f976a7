//! Callers that ask again as soon as they are answered, on one thread.
//!
//! A run is: connect all, warm up, take the counters, wait, take them again, let every caller finish
//! its answer. What lies between the two looks is the measurement; the rest is only load.
//! Always: each answer is checked (status, length, events), and one bad answer fails the run.
//! Requests are bytes prepared before the run; sockets are raw.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::answer::Answer;
use crate::cpu::Busy;
use crate::measured::Measured;
use crate::{Outcome, clock};

/// What a run sends, and what it must get back.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) request: Request,
    pub(crate) connections: usize,
    pub(crate) warm: Duration,
    pub(crate) measured: Duration,
}

/// One kind of request with the answer it must get.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The same request for many callers; they are sent in turn.
    pub(crate) spellings: Vec<Vec<u8>>,
    pub(crate) streamed: bool,
    pub(crate) answer_bytes: usize,
    pub(crate) answer_events: u64,
}

#[derive(Default)]
struct Tally {
    requests: AtomicU64,
    events: AtomicU64,
    over: AtomicBool,
}

/// Runs the load; `busy` tells the nanoseconds so far.
///
/// # Errors
/// A caller was refused, cut off or answered wrongly; nothing came for 30 s.
pub(crate) async fn run(load: Load, busy: &dyn Fn() -> Outcome<Busy>) -> Outcome<Measured> {
    let (warm, measured) = (load.warm, load.measured);
    let load = Arc::new(load);
    let tally = Arc::new(Tally::default());
    let mut callers = JoinSet::new();
    for index in 0..load.connections {
        callers.spawn(call_on(index, Arc::clone(&load), Arc::clone(&tally)));
    }
    tokio::time::sleep(warm).await;
    let before = (
        tally.requests.load(Relaxed),
        tally.events.load(Relaxed),
        busy()?,
        clock::now(),
    );
    tokio::time::sleep(measured).await;
    let after = (
        tally.requests.load(Relaxed),
        tally.events.load(Relaxed),
        busy()?,
        clock::now(),
    );
    tally.over.store(true, Relaxed);
    tokio::time::timeout(Duration::from_secs(30), async {
        while let Some(ended) = callers.join_next().await {
            ended??;
        }
        Outcome::Ok(())
    })
    .await
    .map_err(|_| "callers are still waiting for an answer after 30 s")??;
    Ok(Measured {
        requests: after.0 - before.0,
        events: after.1 - before.1,
        wall: after.3 - before.3,
        busy: after.2.since(before.2),
    })
}

async fn call_on(index: usize, load: Arc<Load>, tally: Arc<Tally>) -> Outcome<()> {
    // Streams of one rhythm would otherwise beat together.
    tokio::time::sleep(Duration::from_millis(index as u64 % 20)).await;
    let socket = TcpStream::connect(load.address).await?;
    socket.set_nodelay(true)?;
    let mut buffer = vec![0; 64 * 1024];
    for spelling in load.request.spellings.iter().cycle().skip(index) {
        if tally.over.load(Relaxed) {
            break;
        }
        send(&socket, spelling).await?;
        let mut answer = Answer::awaited(load.request.streamed);
        while !answer.is_whole() {
            let seen = answer.events;
            answer.take(receive(&socket, &mut buffer).await?)?;
            tally.events.fetch_add(answer.events - seen, Relaxed);
        }
        load.request.check(&answer)?;
        tally.requests.fetch_add(1, Relaxed);
    }
    Ok(())
}

impl Request {
    /// # Errors
    /// The answer is not as long as the provider's own.
    pub(crate) fn check(&self, answer: &Answer) -> Outcome<()> {
        let (bytes, events) = (answer.body_bytes, answer.events);
        if (bytes, events) != (self.answer_bytes, self.answer_events) {
            return Err(format!(
                "an answer of {bytes} bytes and {events} events instead of {} and {}",
                self.answer_bytes, self.answer_events
            )
            .into());
        }
        Ok(())
    }
}

async fn send(socket: &TcpStream, mut bytes: &[u8]) -> Outcome<()> {
    while !bytes.is_empty() {
        match socket.try_write(bytes) {
            Ok(sent) => bytes = bytes.get(sent..).unwrap_or_default(),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                socket.writable().await?;
            }
            Err(error) => return Err(format!("sending: {error}").into()),
        }
    }
    Ok(())
}

async fn receive<'a>(socket: &TcpStream, buffer: &'a mut [u8]) -> Outcome<&'a [u8]> {
    loop {
        socket.readable().await?;
        match socket.try_read(buffer) {
            Ok(0) => return Err("the connection was closed before the answer was whole".into()),
            Ok(received) => return Ok(buffer.get(..received).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(format!("receiving: {error}").into()),
        }
    }
}
