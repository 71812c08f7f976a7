//! `serin control-plane`: the control plane alone, on a cluster's store.

use std::net::TcpListener;

use serin_control_plane::{Listeners, Taken};

use crate::{
    args::ControlPlane,
    exit::Failed,
    logging, router,
    runtime::Background,
    settings,
    signals::{self, Stop},
    store_address::{self, StoreAddress},
};

/// Runs until it is told to stop.
pub(crate) fn control_plane(args: &ControlPlane) -> Result<(), Failed> {
    let StoreAddress::Cluster(address) = &args.store else {
        let message = "a file cannot be changed through an API: write --store etcd://HOST:PORT, \
                       or start serin up, which has a store of its own";
        return Err(Failed::Usage(message.to_owned()));
    };
    let (server, ignored) = router::settings_alone(args.config.as_deref())?;
    let mut settings = settings::control_plane(&server, &args.control_plane, &args.common)?;
    let listeners = bind(&mut settings)?;
    logging::start(&server, &args.common);
    router::warn_ignored(ignored);
    // Dropped after everything that rests on it.
    let background = Background::start()?;
    let store = store_address::open(address, &settings::etcd(&server), background.handle())?;
    actix_rt::System::new()
        .block_on(async {
            let stop = Stop::listen()?;
            signals::outlive_hangup()?;
            introduce(&settings);
            serin_control_plane::run(settings, listeners, store, stop.wait()).await
        })
        .map_err(|error| Failed::because(error.to_string()))
}

/// Takes the addresses of the settings, which afterwards say what a port 0 became.
pub(crate) fn bind(settings: &mut serin_control_plane::Settings) -> Result<Listeners, Taken> {
    let bound = Listeners::bind(settings)?;
    let address = |listener: &TcpListener, told| listener.local_addr().unwrap_or(told);
    settings.listen = address(&bound.rest, settings.listen);
    settings.grpc_listen = address(&bound.grpc, settings.grpc_listen);
    Ok(bound)
}

/// The log's first line.
pub(crate) fn introduce(settings: &serin_control_plane::Settings) {
    let (api, grpc) = (settings.listen, settings.grpc_listen);
    tracing::info!(%api, %grpc, version = settings.version, "control plane listening");
}
