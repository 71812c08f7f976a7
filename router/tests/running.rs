//! A router in a thread of its own, on ports that nobody else has.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    thread::{self, JoinHandle},
    time::Duration,
};

use serin_proto::address::Networks;
use serin_router::{
    Listeners,
    settings::{AccessLog, Auth, Drain, Settings},
};
use serin_store::Follower;
use tempfile::NamedTempFile;
use tokio::sync::oneshot;

use crate::wait::eventually;

pub(crate) const BODY_BYTES_MAX: usize = 1_000_000;

/// What differs from router to router.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) auth: Auth,
    pub(crate) drain: Drain,
    pub(crate) id: String,
    pub(crate) state_dir: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            auth: Auth::Required,
            drain: Drain {
                grace: Duration::ZERO,
                limit: Duration::from_secs(1),
            },
            id: "one".to_owned(),
            state_dir: None,
        }
    }
}

pub(crate) struct Running {
    pub(crate) traffic: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) log: NamedTempFile,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Running {
    pub(crate) fn start(options: Options, follower: Follower) -> Self {
        let log = NamedTempFile::new().expect("a temporary file");
        let settings = settings(options, &log);
        let listeners = Listeners::bind(&settings).expect("port 0 is never taken");
        let at = |listener: &TcpListener| listener.local_addr().expect("a bound listener");
        let (traffic, admin) = (at(&listeners.traffic), at(&listeners.admin));
        let (stop, stopped) = oneshot::channel();
        let run = move || {
            let shutdown = async { drop(stopped.await) };
            let run = serin_router::run(settings, listeners, follower, shutdown);
            actix_rt::System::new().block_on(run)
        };
        Self {
            traffic,
            admin,
            log,
            stop: Some(stop),
            thread: Some(thread::spawn(run)),
        }
    }

    /// Asks it to stop.
    pub(crate) fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop.send(()).expect("the router runs");
        }
    }

    pub(crate) fn was_stopped(&self) -> bool {
        self.stop.is_none()
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits for its end, which is told once.
    pub(crate) fn ended(&mut self) -> io::Result<()> {
        eventually("the router has ended", || self.has_ended(), |ended| *ended);
        let thread = self.thread.take();
        thread.map_or(Ok(()), |t| t.join().expect("the router does not panic"))
    }
}

fn settings(options: Options, log: &NamedTempFile) -> Settings {
    Settings {
        id: options.id,
        state_dir: options.state_dir,
        listen: loopback(),
        admin_listen: loopback(),
        workers: 2,
        auth: options.auth,
        body_bytes_max: BODY_BYTES_MAX,
        drain: options.drain,
        allowed_networks: Networks::parse(&["127.0.0.0/8"]).expect("a network"),
        access_log: AccessLog::File(log.reopen().expect("a temporary file")),
        version: "test",
        commit: "none",
    }
}

pub(crate) fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}
