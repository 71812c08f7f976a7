//! `serin demo`: a canary that moves, without any provider key.
//!
//! ```text
//!   callers ─▶ router ─▶ simulator: model stable-1, model candidate-1
//!                 ▲ │ /metrics
//!    store in memory└──────▶ control plane: a rollout, judged each second
//! ```
//! One process, the same code that serves real traffic. A candidate takes the route over step by
//! step; with `--break` it begins to fail at 5 % and is taken back, while callers see nothing.

mod callers;
mod stage;
mod story;

use std::{net::SocketAddr, rc::Rc, time::Duration};

use serin_control_plane::{Applier, Apply, settings::MetricsSource};
use serin_router::settings::AccessLog;
use serin_simulator::Simulator;
use serin_store::{MemoryStore, file};

use crate::{
    args::{ControlPlaneFlags, Demo, RouterFlags, ServerFlags},
    control_plane,
    exit::Failed,
    logging, router,
    secret::{self, KEY_PREFIX, Made, TOKEN_PREFIX},
    settings,
    signals::{self, Stop},
    up::Process,
};

/// The route callers ask for.
const ROUTE: &str = "chat";
/// How often a control plane that judges in seconds reads a router's metrics.
const READ_EVERY: Duration = Duration::from_secs(1);

/// Runs until it is told to stop.
pub(crate) fn demo(demo: &Demo) -> Result<(), Failed> {
    logging::quiet();
    let key = secret::make(KEY_PREFIX, "demo")?;
    let token = secret::make(TOKEN_PREFIX, "demo")?;
    let system = actix_rt::System::new();
    system.block_on(async {
        let simulator = Simulator::start(demo.simulator_listen, stage::healthy()).await;
        let simulator = simulator.map_err(|error| taken(demo.simulator_listen, &error))?;
        let simulator = Rc::new(simulator);
        let text = stage::documents(simulator.addr(), &key.sha256, &token.sha256);
        let version = file::read_text("demo", &text, None)
            .map_err(|unusable| Failed::because(unusable.to_string()))?;
        let process = process(demo, &version.file)?;
        let at = Addresses::of(&process, simulator.addr());
        let stop = Stop::listen().map_err(failed)?;
        signals::outlive_hangup().map_err(failed)?;

        let store = MemoryStore::new();
        let applier = Applier::new(process.plane(), store.clone());
        let apply = Apply {
            reason: "the demo's own documents".to_owned(),
            ..Apply::default()
        };
        let applied = applier.apply("demo", &version.file, apply).await;
        applied.map_err(|refusal| Failed::because(refusal.to_string()))?;
        drop(applier);

        let told = Told {
            at,
            key,
            token,
            breaks: demo.breaks,
        };
        let played = Rc::clone(&simulator);
        let story = actix_rt::spawn(async move { story::tell(&told, &played).await });
        let run = process.serve(store, stop.wait()).await;
        story.abort();
        run.map_err(failed)
    })
}

/// Both planes, as settings and flags have them.
fn process(demo: &Demo, file: &serin_proto::v1::File) -> Result<Process, Failed> {
    let server = file.server.clone().unwrap_or_default();
    let flags = RouterFlags {
        listen: Some(demo.listen),
        admin_listen: Some(demo.admin_listen),
        ..RouterFlags::default()
    };
    let mut router = settings::router(&server, &flags, &ServerFlags::default())?;
    router.access_log = AccessLog::Off;
    let flags = ControlPlaneFlags {
        api_listen: Some(demo.api_listen),
        grpc_listen: Some(demo.grpc_listen),
        ..ControlPlaneFlags::default()
    };
    let mut plane = settings::control_plane(&server, &flags, &ServerFlags::default())?;
    let router_listeners = router::bind(&mut router)?;
    let plane_listeners = control_plane::bind(&mut plane)?;
    plane.metrics_source = MetricsSource::Router {
        metrics_url: format!("http://{}/metrics", router.admin_listen),
        every: READ_EVERY,
    };
    Ok(Process::new(
        (router, router_listeners),
        (plane, plane_listeners),
    ))
}

/// What the story needs to know.
struct Told {
    at: Addresses,
    key: Made,
    token: Made,
    /// The candidate begins to fail at its first step.
    breaks: bool,
}

#[derive(Clone, Copy)]
struct Addresses {
    traffic: SocketAddr,
    admin: SocketAddr,
    api: SocketAddr,
    simulator: SocketAddr,
}

impl Addresses {
    fn of(process: &Process, simulator: SocketAddr) -> Self {
        Self {
            traffic: process.router().listen,
            admin: process.router().admin_listen,
            api: process.plane().listen,
            simulator,
        }
    }
}

fn taken(address: SocketAddr, error: &std::io::Error) -> Failed {
    Failed::because(format!(
        "cannot listen on {address}: {error} (choose another with --simulator-listen)"
    ))
}

fn failed(error: impl std::fmt::Display) -> Failed {
    Failed::because(error.to_string())
}
