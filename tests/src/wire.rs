//! A wire between a program and what it talks to, held or cut by a scenario.
//!
//! ```text
//!   program ──▶ address ── up ──▶ server        held: bytes wait, nothing is refused or reset
//!           ◀────────────  down ◀──             cut: what waits is lost, connections end
//! ```
//! Each direction is held by itself, so that a request may arrive whose answer does not: whoever
//! asked cannot know what became of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::free_address;

/// Bytes of one direction that wait at most; further ones wait in the sockets.
const WAITING_MAX: usize = 4 * 1024 * 1024;

/// Which directions pass nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Held {
    up: bool,
    down: bool,
    /// Connections older than this cut have ended.
    cuts: u64,
}

/// A listener that passes bytes on.
#[derive(Debug)]
pub struct Wire {
    /// Where the program goes.
    pub address: SocketAddr,
    held: watch::Sender<Held>,
    counts: Arc<Counts>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Counts {
    /// Bytes the program has sent, passed on or waiting.
    sent: AtomicU64,
    /// Bytes the server has sent, passed on or waiting.
    answered: AtomicU64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

impl Wire {
    /// Passes everything on to a server, from a free loopback address.
    ///
    /// # Panics
    /// When it cannot listen.
    pub async fn to(server: SocketAddr) -> Self {
        Self::between(free_address(), server).await
    }

    /// The same from an address of one's own.
    ///
    /// # Panics
    /// When it cannot listen.
    pub async fn between(address: SocketAddr, server: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await;
        let listener = listener.unwrap_or_else(|error| panic!("listening at {address}: {error}"));
        let (held, told) = watch::channel(Held::default());
        let counts = Arc::<Counts>::default();
        let task = tokio::spawn(serve(listener, server, told, Arc::clone(&counts)));
        Self {
            address,
            held,
            counts,
            task,
        }
    }

    /// Holds what goes to the server, and what comes from it; or lets it pass.
    pub fn hold(&self, up: bool, down: bool) {
        self.held
            .send_modify(|held| (held.up, held.down) = (up, down));
    }

    /// Ends all connections now; what waits is lost. New ones are taken.
    pub fn cut(&self) {
        self.held.send_modify(|held| held.cuts += 1);
    }

    /// Bytes that the program has sent so far, whether they passed or wait.
    pub fn sent_bytes(&self) -> u64 {
        self.counts.sent.load(Ordering::Relaxed)
    }

    /// Bytes that the server has sent so far, whether they passed or wait.
    pub fn answered_bytes(&self) -> u64 {
        self.counts.answered.load(Ordering::Relaxed)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    listener: TcpListener,
    server: SocketAddr,
    told: watch::Receiver<Held>,
    counts: Arc<Counts>,
) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((program, _)) = accepted {
                open.spawn(join(program, server, told.clone(), Arc::clone(&counts)));
            },
            Some(_) = open.join_next() => {}
        }
    }
}

async fn join(
    program: TcpStream,
    server: SocketAddr,
    mut told: watch::Receiver<Held>,
    counts: Arc<Counts>,
) {
    // A program that connects while the wire is held waits for its server, too.
    if told.wait_for(|held| !held.up).await.is_err() {
        return;
    }
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    let _ = (program.set_nodelay(true), server.set_nodelay(true));
    let began = told.borrow().cuts;
    let (from_program, to_program) = program.into_split();
    let (from_server, to_server) = server.into_split();
    let up = pass(
        (from_program, to_server),
        (Way::Up, began),
        told.clone(),
        &counts,
    );
    let down = pass(
        (from_server, to_program),
        (Way::Down, began),
        told.clone(),
        &counts,
    );
    tokio::select! {
        _ = up => {}
        _ = down => {}
    }
}

async fn pass(
    (mut from, mut to): (OwnedReadHalf, OwnedWriteHalf),
    (way, began): (Way, u64),
    mut told: watch::Receiver<Held>,
    counts: &Counts,
) -> Option<()> {
    let mut piece = vec![0; 16 * 1024];
    let mut waiting = Vec::new();
    loop {
        let held = *told.borrow_and_update();
        let is_held = if way == Way::Up { held.up } else { held.down };
        // A cut comes before a release that follows it.
        if held.cuts != began {
            return None;
        }
        if !is_held && !waiting.is_empty() {
            to.write_all(&waiting).await.ok()?;
            waiting.clear();
        }
        tokio::select! {
            changed = told.changed() => changed.ok()?,
            read = from.read(&mut piece), if waiting.len() < WAITING_MAX => {
                let count = read.ok().filter(|count| *count > 0)?;
                waiting.extend_from_slice(&piece[..count]);
                let counted = if way == Way::Up { &counts.sent } else { &counts.answered };
                counted.fetch_add(count as u64, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::client::{Connection, Request};
    use crate::eventually;
    use crate::scripted_http::{Reply, ScriptedHttp};

    #[tokio::test]
    async fn what_is_held_waits_what_is_cut_is_lost_and_an_answer_may_wait_alone() {
        let server = ScriptedHttp::start(|_| Reply::Says(200, "yes".to_owned()));
        let listens = async || TcpStream::connect(server.address).await.is_ok();
        let within = Duration::from_secs(20);
        eventually("it listens", within, listens, |ok| *ok).await;
        let wire = Wire::to(server.address).await;
        let mut asked = Connection::open(wire.address).await.expect("it listens");
        let request = Request::get("/");
        let answer = asked.exchange(&request).await.expect("an answer");
        assert_eq!(answer.text(), "yes");

        wire.hold(false, true);
        let before = wire.answered_bytes();
        asked.send(&request.bytes()).await.expect("it is taken");
        let answered = async || wire.answered_bytes() - before;
        eventually("it was answered", within, answered, |bytes| *bytes > 0).await;
        wire.hold(false, false);
        asked.head().await.expect("what waited comes");
        asked.rest().await.expect("and its body");

        wire.hold(true, true);
        asked.send(&request.bytes()).await.expect("it is taken");
        wire.cut();
        assert!(asked.head().await.is_err(), "it was not cut");
        wire.hold(false, false);
        let mut again = Connection::open(wire.address).await.expect("it listens");
        let sent = wire.sent_bytes();
        again.exchange(&request).await.expect("an answer");
        assert_eq!(wire.sent_bytes() - sent, request.bytes().len() as u64);
    }
}
