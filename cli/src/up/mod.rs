//! `serin up`: router, control plane and an embedded store in one process.
//!
//! ```text
//!   --config FILE ─▶ seen ─▶ applied ─▶ control plane ─▶ redb ─▶ router ─▶ callers
//!                     at start, on change, on SIGHUP: as `serin apply` does
//! ```
//! What can be wrong is refused at start in one message; later a faulty file changes nothing. The
//! end has an order: not ready, the router drains, the control plane ends, the store, the threads
//! behind it.

mod applied;
mod first_admin;
mod seen;

use std::{
    future::Future,
    path::{Path, PathBuf},
    sync::Arc,
};

use serin_control_plane::{Applier, settings::MetricsSource};
use serin_proto::v1;
use serin_router::Listeners;
use serin_store::{Address, EtcdSettings, Follower, Store};
use tokio::sync::oneshot;

use crate::{
    args::Up,
    bundle::Bundle,
    control_plane,
    exit::Failed,
    logging, router,
    runtime::Background,
    settings,
    signals::{self, Stop},
    store_address,
};
use applied::FileApplier;
use seen::Sight;

/// The file that is read when none is named.
const DEFAULT_CONFIG: &str = "serin.yaml";

/// Runs until it is told to stop.
pub(crate) fn up(up: &Up) -> Result<(), Failed> {
    let path = config(up);
    let first = path.as_deref().map(Sight::first).transpose()?;
    let server = first
        .as_ref()
        .and_then(|first| first.server.clone())
        .unwrap_or_default();
    let mut router = settings::router(&server, &up.router, &up.common)?;
    let mut plane = settings::control_plane(&server, &up.control_plane, &up.common)?;
    if let Some(first) = &first {
        router::check_credentials(&first.file)?;
    }
    let router_listeners = router::bind(&mut router)?;
    let plane_listeners = control_plane::bind(&mut plane)?;
    if plane.metrics_source == MetricsSource::None {
        plane.metrics_source = settings::own_metrics(router.admin_listen);
    }
    let process = Process::new((router, router_listeners), (plane, plane_listeners));
    // Dropped after everything that rests on it.
    let background = Background::start()?;
    let address = Address::Redb(up.data_dir.clone());
    let store = store_address::open(&address, &EtcdSettings::default(), background.handle())?;
    logging::start(&server, &up.common);
    let file = path.zip(first.map(|first| first.bundle));
    actix_rt::System::new().block_on(process.run(store, file, &server))
}

/// The file to read: the one that is named, else ./serin.yaml where there is one.
fn config(up: &Up) -> Option<PathBuf> {
    let default = Path::new(DEFAULT_CONFIG);
    up.config
        .clone()
        .or_else(|| default.exists().then(|| default.to_path_buf()))
}

/// Both planes, their addresses taken and nothing started.
pub(crate) struct Process {
    router: serin_router::settings::Settings,
    router_listeners: Listeners,
    plane: serin_control_plane::Settings,
    plane_listeners: serin_control_plane::Listeners,
}

impl Process {
    pub(crate) fn new(
        (router, router_listeners): (serin_router::settings::Settings, Listeners),
        (plane, plane_listeners): (
            serin_control_plane::Settings,
            serin_control_plane::Listeners,
        ),
    ) -> Self {
        Self {
            router,
            router_listeners,
            plane,
            plane_listeners,
        }
    }

    pub(crate) fn router(&self) -> &serin_router::settings::Settings {
        &self.router
    }

    pub(crate) fn plane(&self) -> &serin_control_plane::Settings {
        &self.plane
    }

    async fn run(
        self,
        store: Arc<dyn Store>,
        file: Option<(PathBuf, Bundle)>,
        server: &v1::Server,
    ) -> Result<(), Failed> {
        let stop = Stop::listen().map_err(failed)?;
        let applier = Applier::new(&self.plane, Arc::clone(&store));
        match file {
            Some((path, bundle)) => {
                let applier = FileApplier::new(applier, &path);
                applier.at_start(&bundle).await?;
                first_admin::make_and_show(&applier.applier, self.plane.listen).await?;
                let sight = Sight::new(path, self.router.allowed_networks.clone(), server.clone());
                let (versions, nudge) = sight.follow().map_err(failed)?;
                signals::on_hangup(move || nudge.reread()).map_err(failed)?;
                actix_rt::spawn(applier.follow(versions));
            }
            None => {
                signals::outlive_hangup().map_err(failed)?;
                first_admin::make_and_show(&applier, self.plane.listen).await?;
                tracing::info!(
                    "no ./serin.yaml and no --config: default settings, and what the store holds"
                );
            }
        }
        self.serve(store, stop.wait()).await.map_err(failed)
    }

    /// The router ends first, the control plane after it.
    pub(crate) async fn serve(
        self,
        store: Arc<dyn Store>,
        stop: impl Future<Output = ()>,
    ) -> std::io::Result<()> {
        router::introduce(&self.router);
        control_plane::introduce(&self.plane);
        let follower = Follower::of_store(Arc::clone(&store));
        let (drained, may_end) = oneshot::channel::<()>();
        let plane = serin_control_plane::run(self.plane, self.plane_listeners, store, async {
            // An error says the same: nobody is left to wait for.
            let _ = may_end.await;
        });
        let mut plane = actix_rt::spawn(plane);
        let mut ended_early = None;
        let stop_or_ended = async {
            tokio::select! {
                () = stop => {}
                ended = &mut plane => ended_early = Some(ended),
            }
        };
        let served =
            serin_router::run(self.router, self.router_listeners, follower, stop_or_ended).await;
        drop(drained);
        let plane = match ended_early {
            Some(ended) => ended,
            None => plane.await,
        };
        served?;
        plane.map_err(std::io::Error::other)?
    }
}

fn failed(error: impl std::fmt::Display) -> Failed {
    Failed::because(error.to_string())
}
