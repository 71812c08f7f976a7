//! The control plane by gRPC: what `/api/v1` does, by the same functions, for programs that would
//! rather have types.
//!
//! ```text
//!   call    who asks, under which id; a refusal → a status      details   its faults
//!   documents · rollouts · tokens · apply · watch · operate     one file per kind of service
//!   answer  results → messages                                  incoming   connections
//! ```
//! It has a thread and a runtime of its own: no call waits behind a worker of the REST listener, and
//! none of them behind a call. Plain HTTP/2; reflection and `grpc.health.v1` are open to everybody,
//! since they tell what anybody can read in the source.

mod answer;
mod apply;
mod call;
mod details;
mod documents;
mod incoming;
mod operate;
mod rollouts;
mod tokens;
mod watch;

use std::{
    error::Error,
    future::{self, Future},
    io,
    net::TcpListener,
    sync::Arc,
    thread,
    time::Duration,
};

use serin_store::TXN_BYTES_MAX;
use tokio::{runtime, sync::oneshot};
use tonic::{server::NamedService, service::interceptor::InterceptedService, transport::Server};
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::plane::Plane;
use call::Door;
use v1::{
    audit_server::AuditServer, documents_server::DocumentsServer, keys_server::KeysServer,
    providers_server::ProvidersServer, rollouts_server::RolloutsServer,
    routers_server::RoutersServer, routes_server::RoutesServer, store_server::StoreServer,
    tiers_server::TiersServer, tokens_server::TokensServer,
};

/// The services as generated from `serin/v1/service.proto`, and the messages that they alone use.
/// Documents are those of `serin_proto::v1`.
#[expect(clippy::too_many_lines, reason = "generated code")]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/serin.v1.rs"));
}

/// What the reflection service tells of.
const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/services.bin"));
/// Largest message that is taken, in bytes: an apply in its binary form is smaller than in JSON.
const MESSAGE_BYTES_MAX: usize = TXN_BYTES_MAX;
/// Calls under way on one connection, streams among them.
const CALLS_PER_CONNECTION_MAX: u32 = 16;
/// Longest time from a call's head to the head of its answer. A stream has begun by then and goes on.
const CALL_MAX: Duration = Duration::from_secs(30);
/// A connection that is silent for so long is asked whether it lives …
const PING_AFTER: Duration = Duration::from_secs(30);
/// … and closed without an answer within this time.
const PONG_WITHIN: Duration = Duration::from_secs(10);
/// Longest wait for calls under way at the end.
const DRAIN_MAX: Duration = Duration::from_secs(4);

/// All services of one control plane.
#[derive(Clone, Debug)]
struct Services {
    plane: Arc<Plane>,
}

/// Answers on `listener` until `shutdown`; then takes no call any more, and ends with the last one
/// under way.
///
/// # Errors
/// When its thread, its runtime or the listener cannot be used.
pub(crate) async fn serve(
    listener: TcpListener,
    plane: Arc<Plane>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (ended, end) = oneshot::channel();
    let work = move || {
        let answered = runtime.block_on(answer(listener, plane, shutdown));
        drop(runtime);
        // Who does not wait for the end any more needs no word of it.
        let _ = ended.send(answered);
    };
    thread::Builder::new()
        .name("serin-grpc".to_owned())
        .spawn(work)?;
    end.await
        .unwrap_or_else(|_| Err(io::Error::other("the thread of gRPC has panicked")))
}

async fn answer(
    listener: TcpListener,
    plane: Arc<Plane>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let incoming = incoming::incoming(listener);
    let (health, health_service) = tonic_health::server::health_reporter();
    say(&health, ServingStatus::NotServing).await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(io::Error::other)?;
    let (stopping, stop) = oneshot::channel();
    let server = router(&Services {
        plane: Arc::clone(&plane),
    })
    .add_service(health_service)
    .add_service(reflection)
    .serve_with_incoming_shutdown(incoming, async {
        // The sender is used below, or this future is gone.
        let _ = stop.await;
    });
    let end = async {
        let ready = async {
            plane.ready().await;
            say(&health, ServingStatus::Serving).await;
            future::pending::<()>().await;
        };
        tokio::select! {
            () = shutdown => {}
            () = ready => {}
        }
        say(&health, ServingStatus::NotServing).await;
        // An error means that the server has ended, which is what this asks for.
        let _ = stopping.send(());
        tokio::time::sleep(DRAIN_MAX).await;
    };
    tokio::select! {
        ended = server => ended.map_err(|error| io::Error::other(told(&error))),
        () = end => Ok(()),
    }
}

fn router(services: &Services) -> tonic::transport::server::Router {
    macro_rules! service {
        ($server:ident) => {
            InterceptedService::new(
                $server::new(services.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX),
                Door {
                    plane: Arc::clone(&services.plane),
                    service: $server::<Services>::NAME,
                },
            )
        };
    }
    Server::builder()
        .timeout(CALL_MAX)
        .max_concurrent_streams(CALLS_PER_CONNECTION_MAX)
        .http2_keepalive_interval(Some(PING_AFTER))
        .http2_keepalive_timeout(Some(PONG_WITHIN))
        .add_service(service!(ProvidersServer))
        .add_service(service!(RoutesServer))
        .add_service(service!(KeysServer))
        .add_service(service!(TiersServer))
        .add_service(service!(TokensServer))
        .add_service(service!(DocumentsServer))
        .add_service(service!(RolloutsServer))
        .add_service(service!(RoutersServer))
        .add_service(service!(AuditServer))
        .add_service(service!(StoreServer))
}

/// Tells the health of the whole and of each service.
async fn say(health: &HealthReporter, status: ServingStatus) {
    let names = [
        "",
        ProvidersServer::<Services>::NAME,
        RoutesServer::<Services>::NAME,
        KeysServer::<Services>::NAME,
        TiersServer::<Services>::NAME,
        TokensServer::<Services>::NAME,
        DocumentsServer::<Services>::NAME,
        RolloutsServer::<Services>::NAME,
        RoutersServer::<Services>::NAME,
        AuditServer::<Services>::NAME,
        StoreServer::<Services>::NAME,
    ];
    for name in names {
        health.set_service_status(name, status).await;
    }
}

/// An error with its causes: tonic's own text is "transport error".
fn told(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
