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
mod records;
mod stage;
mod story;
mod words;

use std::{net::SocketAddr, rc::Rc, time::Duration};

use serin_control_plane::{Applier, Apply, settings::MetricsSource};
use serin_router::settings::AccessLog;
use serin_simulator::Simulator;
use serin_store::{MemoryStore, file};

use crate::{
    args::{ControlPlaneFlags, Demo, RouterFlags, ServerFlags},
    control_plane,
    exit::Failed,
    logging, output, router,
    secret::{self, KEY_PREFIX, Made, TOKEN_PREFIX},
    settings,
    signals::{self, Stop},
    up::Process,
};
use callers::Seen;

/// The route callers ask for.
const ROUTE: &str = "chat";
/// How often a control plane that judges in seconds reads a router's metrics.
const READ_EVERY: Duration = Duration::from_secs(1);
/// Longest wait for the answers that callers still expect at the end.
const QUIET_MAX: Duration = Duration::from_secs(5);

/// Runs until it is told to stop.
pub(crate) fn demo(demo: &Demo) -> Result<(), Failed> {
    logging::quiet();
    let key = secret::make(KEY_PREFIX, "demo")?;
    let token = secret::make(TOKEN_PREFIX, "demo")?;
    let system = actix_rt::System::new();
    system.block_on(async {
        let simulator = Simulator::start(demo.simulator_listen, stage::healthy()).await;
        let simulator = simulator
            .map_err(|error| taken(demo.simulator_listen, &error, "--simulator-listen"))?;
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
        let seen = Seen::default();
        let (theirs, counted) = (seen.clone(), seen.clone());
        let story = actix_rt::spawn(async move { story::tell(&told, &played, theirs).await });
        let mut is_unread = false;
        let over = async {
            tokio::select! {
                () = stop.wait() => {}
                () = output::unread() => is_unread = true,
            }
            // Callers first: that a listener closes is no failure of anybody's.
            story.abort();
            seen.stop();
            seen.quiet(QUIET_MAX).await;
        };
        process.serve(store, over).await.map_err(failed)?;
        if is_unread {
            return Err(Failed::Unread);
        }
        let (answered, failed) = (counted.answered(), counted.failed());
        output::line(format_args!(
            "\nStopped. Callers sent {} requests; {failed} of them failed.",
            answered + failed
        ));
        Ok(())
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
    let router_listeners = router::bind(&mut router);
    let router_listeners =
        router_listeners.map_err(|other| taken(other.address, &other.source, other.flag))?;
    let plane_listeners = control_plane::bind(&mut plane);
    let plane_listeners =
        plane_listeners.map_err(|other| taken(other.address, &other.source, other.flag))?;
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

/// The demo has no file: a flag is the only way out.
fn taken(address: SocketAddr, error: &std::io::Error, flag: &str) -> Failed {
    Failed::because(format!(
        "cannot listen on {address}: {error} (choose another with {flag})"
    ))
}

fn failed(error: impl std::fmt::Display) -> Failed {
    Failed::because(error.to_string())
}
