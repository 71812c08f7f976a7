//! A provider that follows a script: OpenAI's API with every fault a real provider can have.
//!
//! ```text
//!   wire ─bytes▶ http ─head, body▶ server ─▶ ask ─Ask▶ stage ─Act▶ answer ─Plan▶ wire
//!    │                               └─▶ journal             ▲
//!    └ RST, cuts, trickle, hang-ups noticed          script ─┘ (live over /__script)
//! ```
//! It is the double that tests and benchmarks believe, so it shares no code with the router: a
//! shared parser would share its mistakes. Equal scripts and seeds give equal bytes.
//! Not here: TLS, HTTP/2, faults of the network between the two (a fault proxy in `tests`).

mod answer;
mod ask;
mod clock;
mod control;
mod draw;
mod http;
mod journal;
mod models;
mod script;
mod server;
mod stage;
mod wire;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::oneshot;

pub use journal::{Count, Ended, Journal, Phase, Received};
pub use script::{
    BadScript, Cut, Endless, Endlessness, ErrorInStream, Failure, Garbage, How, Model, Place, Raw,
    Recording, Script, Stall, ToolCall, Trickle, When, WrongLength,
};
use server::Shared;

/// A running simulator. Dropping it ends it, with all its connections.
#[derive(Debug)]
pub struct Simulator {
    addr: SocketAddr,
    shared: Arc<Shared>,
    runner: Option<Runner>,
}

/// Who runs it.
#[derive(Debug)]
enum Runner {
    Task(tokio::task::JoinHandle<()>),
    Thread {
        stop: oneshot::Sender<()>,
        thread: std::thread::JoinHandle<()>,
    },
}

impl Simulator {
    /// Listens on `addr` (port 0: any) and serves on the current tokio runtime.
    ///
    /// # Errors
    /// The address cannot be bound, or the script has a value out of its range.
    pub async fn start(addr: SocketAddr, script: Script) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(script).map_err(invalid)?);
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        let serving = server::accept(listener, Arc::clone(&shared), std::future::pending());
        let runner = Some(Runner::Task(tokio::spawn(serving)));
        Ok(Self {
            addr,
            shared,
            runner,
        })
    }

    /// The same on a thread and runtime of its own: for tests whose runtime is busy or blocked.
    ///
    /// # Errors
    /// As `start`, or the thread cannot be made.
    pub fn spawn_thread(addr: SocketAddr, script: Script) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(script).map_err(invalid)?);
        let listener = std::net::TcpListener::bind(addr)?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let serving = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("simulator".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    match TcpListener::from_std(listener) {
                        Ok(listener) => {
                            let shutdown = async { drop(stopped.await) };
                            server::accept(listener, serving, shutdown).await;
                        }
                        Err(error) => tracing::error!(%error, "simulator did not start"),
                    }
                });
            })?;
        Ok(Self {
            addr,
            shared,
            runner: Some(Runner::Thread { stop, thread }),
        })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `http://ADDR/v1`, as SDKs want their base URL.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.addr)
    }

    /// Replaces the script. Answers under way go on as they began; models count from 0 again.
    ///
    /// # Errors
    /// A value out of its range; the old script stays.
    pub fn set_script(&self, script: Script) -> Result<(), BadScript> {
        self.shared.set_script(script)
    }

    /// What it has received.
    pub fn journal(&self) -> Journal {
        self.shared.journal.clone()
    }

    /// Ends it. When this returns, the port is closed and so is every connection.
    pub async fn stop(mut self) {
        match self.runner.take() {
            Some(Runner::Task(task)) => {
                task.abort();
                let _ = task.await;
            }
            Some(thread) => end(thread),
            None => {}
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        if let Some(runner) = self.runner.take() {
            end(runner);
        }
    }
}

/// Serves on `listener` until `shutdown`: what `serin simulate` does.
///
/// # Errors
/// The script has a value out of its range.
pub async fn serve(
    listener: TcpListener,
    script: Script,
    shutdown: impl Future<Output = ()>,
) -> Result<(), BadScript> {
    let shared = Arc::new(Shared::new(script)?);
    server::accept(listener, shared, shutdown).await;
    Ok(())
}

fn end(runner: Runner) {
    match runner {
        Runner::Task(task) => task.abort(),
        Runner::Thread { stop, thread } => {
            // Either it hears this or it has ended already; both are what is wanted.
            let _ = stop.send(());
            let _ = thread.join();
        }
    }
}

fn invalid(fault: BadScript) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, fault)
}
