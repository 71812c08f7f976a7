//! The control plane: whoever may change what routers serve asks here.
//!
//! ```text
//!   api (REST) ──┐            ┌─ auth    who, and what a role may do
//!   grpc       ──┼─▶ change ──┼─ view    every document: is the whole result right?
//!   serin up   ──┘   read     └─ store   one transaction: guards, change, audit record
//!
//!   fleet  what routers serve     leader, care  one of the replicas sweeps     metrics
//! ```
//! REST, gRPC and the file of `serin up` are three ways to the same functions in [`change`] and
//! `read`, which ask for the role themselves. [`run`] takes its listeners and its end as arguments,
//! so a test starts a control plane on port 0.

pub mod analysis;
mod api;
mod applier;
mod auth;
mod background;
mod care;
pub mod change;
mod clock;
mod failpoint;
mod fleet;
pub mod grpc;
mod http;
mod leader;
mod metrics;
mod plane;
mod read;
pub mod rollout;
mod secret;
pub mod settings;
mod view;

#[cfg(test)]
mod stage;

use std::{
    future::Future,
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt as _, future::FusedFuture as _};
use serin_store::Store;
use socket2::{Domain, Socket, Type};
use tokio::{
    runtime::Handle,
    task::{JoinError, JoinHandle},
    time::timeout,
};

pub use applier::{Applier, Apply};
pub use auth::{Denied, Role, UnknownRole};
pub use change::{Applied, Difference, KeptTraffic, Notice, Refusal};
pub use secret::{BadDigest, Digest};
pub use settings::{Settings, SettingsToken};

use background::{Background, keep};
use leader::Candidate;
use plane::Plane;

/// Connections the kernel may hold before they are accepted.
const BACKLOG: i32 = 1_024;
/// Longest wait for a part of the process to end when it was told to.
const END_MAX: Duration = Duration::from_secs(5);

/// The two addresses of a control plane, bound before anything else is started.
#[derive(Debug)]
pub struct Listeners {
    pub rest: TcpListener,
    pub grpc: TcpListener,
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
        let (rest, grpc) = ("--api-listen", "--grpc-listen");
        Ok(Self {
            rest: bound(settings.listen, rest, "controlPlane.listen")?,
            grpc: bound(settings.grpc_listen, grpc, "controlPlane.grpcListen")?,
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

/// Runs a control plane until `shutdown` resolves and every begun change has ended. Needs an actix
/// system around it. It starts, answers and stays ready whether or not the store can be reached.
///
/// # Errors
/// When threads or listeners cannot be started, or one of its servers ends before `shutdown`.
pub async fn run(
    settings: Settings,
    listeners: Listeners,
    store: Arc<dyn Store>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let address = listeners.rest.local_addr()?.to_string();
    let background = Background::start()?;
    let on = background.handle();
    let plane = Plane::new(settings, store, on.clone());
    let server = api::start(listeners.rest, &plane)?;
    let server_handle = server.handle();
    let mut server = actix_rt::spawn(server).fuse();
    let mut grpc = on
        .spawn(grpc::serve(
            listeners.grpc,
            Arc::clone(&plane),
            plane.stopped(),
        ))
        .fuse();
    let parts = parts(on, &plane, address);

    let ended = until(shutdown, &mut server, &mut grpc).await;
    if let Err(error) = plane.finished().await {
        tracing::error!(%error, "changes were still under way at the end");
    }
    plane.stop();
    server_handle.stop(true).await;
    // What the server returns was logged as it happened; it has ended, which is what counts.
    if !server.is_terminated() {
        let _ = server.await;
    }
    if !grpc.is_terminated() {
        let _ = timeout(END_MAX, grpc).await;
    }
    for part in parts {
        let _ = timeout(END_MAX, part).await;
    }
    tracing::info!("control plane ended");
    ended
}

/// Waits for `shutdown`, or for a server that ends before it: half a control plane is none.
async fn until(
    shutdown: impl Future<Output = ()>,
    rest: impl Future<Output = Result<io::Result<()>, JoinError>>,
    grpc: impl Future<Output = Result<io::Result<()>, JoinError>>,
) -> io::Result<()> {
    let (listener, ended) = tokio::select! {
        // Servers that end with it are no trouble.
        biased;
        () = shutdown => return Ok(()),
        ended = rest => ("REST", ended),
        ended = grpc => ("gRPC", ended),
    };
    let error = match ended.map_err(io::Error::other).flatten() {
        Ok(()) => io::Error::other(format!("the {listener} server has ended by itself")),
        Err(error) => io::Error::new(error.kind(), format!("the {listener} server: {error}")),
    };
    tracing::error!(listener, %error, "a server ended before the control plane did");
    Err(error)
}

/// What a control plane does by itself, until it is stopped.
fn parts(on: &Handle, plane: &Arc<Plane>, address: String) -> [JoinHandle<()>; 8] {
    let candidate = Candidate {
        id: plane.settings.id.clone(),
        boot_id: plane.boot_id.clone(),
        address,
    };
    [
        keep(on, plane, "view", view::follow),
        keep(on, plane, "tokens", auth::follow),
        keep(on, plane, "fleet", |plane| {
            let (store, stopped) = (Arc::clone(&plane.store), plane.stopped());
            Arc::clone(&plane.fleet).run(store, stopped)
        }),
        keep(on, plane, "leader", move |plane| {
            let (store, leadership) = (Arc::clone(&plane.store), plane.leadership.clone());
            leader::run(store, candidate.clone(), leadership, plane.stopped())
        }),
        keep(on, plane, "care", |plane| {
            let (store, leadership) = (Arc::clone(&plane.store), plane.leadership.subscribe());
            care::run(store, leadership, plane.stopped())
        }),
        keep(on, plane, "rollouts", rollout::view::follow),
        keep(on, plane, "supervisor", rollout::supervisor::run),
        keep(on, plane, "outbox", rollout::outbox::run),
    ]
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn a_server_that_ends_before_it_should_is_an_error() {
        let failed = || ready(Ok(Err(io::Error::other("out of luck"))));
        let told = until(pending(), failed(), pending()).await.unwrap_err();
        assert_eq!(told.to_string(), "the REST server: out of luck");
        let told = until(pending(), pending(), ready(Ok(Ok(())))).await;
        assert!(told.unwrap_err().to_string().contains("gRPC"));
        assert!(until(ready(()), failed(), failed()).await.is_ok());
    }

    #[test]
    fn an_address_that_is_taken_is_told_with_the_way_to_choose_another() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let (free, taken) = (([127, 0, 0, 1], 0).into(), taken.local_addr().unwrap());
        let settings = |listen, grpc_listen| Settings {
            listen,
            grpc_listen,
            tokens: Vec::new(),
            allowed_networks: serin_proto::address::Networks::default(),
            metrics_source: settings::MetricsSource::None,
            id: String::new(),
            flagger_aliases: false,
            version: "0",
            commit: "none",
        };
        let rest = Listeners::bind(&settings(taken, free))
            .unwrap_err()
            .to_string();
        let grpc = Listeners::bind(&settings(free, taken))
            .unwrap_err()
            .to_string();
        let ways = [
            "--api-listen or server.controlPlane.listen",
            "--grpc-listen or server.controlPlane.grpcListen",
        ];
        for (told, way) in [(rest, ways[0]), (grpc, ways[1])] {
            assert!(
                told.contains(&taken.to_string()) && told.contains(way),
                "{told}"
            );
        }
        assert!(Listeners::bind(&settings(free, free)).is_ok());
    }
}
