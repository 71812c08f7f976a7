//! The data plane: one request in, one answer out.
//!
//! ```text
//!   server ─▶ request::answer ─▶ attempt ─▶ provider::client ─▶ a provider
//!      │          │ auth · route · pick · retry      │
//!      │          └──────────── record ◀─────────────┘   counted and logged, however it ends
//!      └ reads snapshot::Cell ◀─ snapshot::watcher ◀─ serin_store::Follower
//!                                     └─▶ target::actor, one per upstream model route ─▶ its gate
//! ```
//! A request reads cells and gates and tells actors facts; it never waits for one. [`run`] takes
//! its listeners and its end as arguments, so a test starts a router on port 0.

mod admin;
mod auth;
mod clock;
mod drain;
mod pick;
mod provider;
mod record;
mod request;
mod retry;
mod route;
mod server;
pub mod settings;
mod snapshot;
mod target;
mod worker;

use std::{
    future::Future,
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use actix::Arbiter;
use serin_store::Follower;
use socket2::{Domain, Socket, Type};

pub use provider::credential::check as check_credential;

use record::{
    metrics::{Exposition, Metrics},
    recorder::Recorder,
};
use settings::Settings;
use snapshot::watcher::Watching;
use worker::Shared;

/// The two addresses of a router, bound before anything else is started.
#[derive(Debug)]
pub struct Listeners {
    pub traffic: TcpListener,
    pub admin: TcpListener,
}

/// An address that could not be bound.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen on {address}: {source} (choose another address with {flag} or server.{field})"
)]
pub struct Taken {
    pub address: SocketAddr,
    pub flag: &'static str,
    pub field: &'static str,
    pub source: io::Error,
}

/// Connections the kernel may hold before they are accepted.
const BACKLOG: i32 = 8_192;

impl Listeners {
    /// Binds both addresses of `settings`.
    ///
    /// # Errors
    /// The first that cannot be bound, and how to choose another.
    pub fn bind(settings: &Settings) -> Result<Self, Taken> {
        let bound = |address, flag, field| {
            listener(address).map_err(|source| Taken {
                address,
                flag,
                field,
                source,
            })
        };
        Ok(Self {
            traffic: bound(settings.listen, "--listen", "listen")?,
            admin: bound(settings.admin_listen, "--admin-listen", "adminListen")?,
        })
    }
}

fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Runs a router until `shutdown` resolves and everything in flight has ended. Needs an actix
/// system around it.
///
/// # Errors
/// When threads or listeners cannot be started.
pub async fn run(
    settings: Settings,
    listeners: Listeners,
    follower: Follower,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let settings = Arc::new(settings);
    let metrics = Metrics::new(settings.workers, settings.version, settings.commit);
    let exposition = Exposition::new(Arc::clone(&metrics)).map_err(io::Error::other)?;
    let mut recorder = Recorder::start(&settings.access_log, settings.workers)?;
    let shared = Shared::new(Arc::clone(&settings), metrics);
    let targets = Arbiter::new();
    let admin_address = listeners.admin.local_addr()?;
    let watching = Watching::start(follower, &shared, targets.handle(), admin_address);
    let admin = admin::start(listeners.admin, &shared, exposition)?;
    let traffic = server::start(listeners.traffic, &shared, &recorder.lines())?;
    let (admin_handle, traffic_handle) = (admin.handle(), traffic.handle());
    let admin = actix_rt::spawn(admin);
    let traffic = actix_rt::spawn(traffic);

    shutdown.await;
    drain::drain(&shared, &traffic_handle).await;
    // What the servers return was logged as it happened; they have ended, which is what counts.
    let _ = traffic.await;
    watching.stop().await;
    targets.stop();
    recorder.stop();
    admin_handle.stop(false).await;
    let _ = admin.await;
    tracing::info!("drained");
    Ok(())
}
