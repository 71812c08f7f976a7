//! `serin router`: the data plane alone, on a cluster's store or on a file.
//!
//! Everything that can be wrong at start is refused here, in one message, before a port is opened
//! to callers: a file that is not there, any fault in it, a credential that cannot be read, a port
//! that is taken, a listener whose callers nobody has decided on. A cluster that cannot be reached
//! is nothing wrong: the router waits for it, and serves its last snapshot meanwhile.

use std::{fs, net::TcpListener, path::Path};

use serin_proto::{address::Networks, v1, validate::Context, yaml};
use serin_router::{
    Listeners, Taken,
    settings::{Auth, Settings},
};
use serin_store::{
    Address, Follower,
    file::{self, Version},
};

use crate::{
    args::Router,
    exit::Failed,
    logging,
    runtime::Background,
    settings,
    signals::{self, Stop},
    store_address::{self, StoreAddress},
};

/// Runs until it is told to stop.
pub(crate) fn router(router: &Router) -> Result<(), Failed> {
    match &router.store {
        StoreAddress::File(path) => on_file(router, path),
        StoreAddress::Cluster(address) => on_cluster(router, address),
    }
}

fn on_file(router: &Router, path: &Path) -> Result<(), Failed> {
    let (version, server) = match &router.config {
        None => {
            let version = read(path, None)?;
            let server = version.file.server.clone().unwrap_or_default();
            (version, server)
        }
        Some(config) => {
            let server = read(config, None)?.file.server.unwrap_or_default();
            (read(path, Some(&settings::networks(&server)?))?, server)
        }
    };
    let mut settings = told(router, &server)?;
    check_credentials(&version.file)?;
    let listeners = bind(&mut settings)?;
    logging::start(&server, &router.common);
    for warning in &version.warnings {
        tracing::warn!(%warning, "document accepted with a warning");
    }
    let networks = Some(settings.allowed_networks.clone());
    actix_rt::System::new()
        .block_on(async {
            let (follower, nudge) = file::follow(path.to_path_buf(), &version, networks)?;
            signals::on_hangup(move || nudge.reread())?;
            run(settings, listeners, follower).await
        })
        .map_err(|error| Failed::because(error.to_string()))
}

fn on_cluster(router: &Router, address: &Address) -> Result<(), Failed> {
    let (server, ignored) = settings_alone(router.config.as_deref())?;
    let mut settings = told(router, &server)?;
    let listeners = bind(&mut settings)?;
    logging::start(&server, &router.common);
    warn_ignored(ignored);
    // Dropped after everything that rests on it.
    let background = Background::start()?;
    let store = store_address::open(address, &settings::etcd(&server), background.handle())?;
    let follower = Follower::of_store(store);
    actix_rt::System::new()
        .block_on(async {
            signals::outlive_hangup()?;
            run(settings, listeners, follower).await
        })
        .map_err(|error| Failed::because(error.to_string()))
}

fn told(router: &Router, server: &v1::Server) -> Result<Settings, Failed> {
    let mut settings = settings::router(server, &router.router, &router.common)?;
    settings.state_dir.clone_from(&router.state_dir);
    if let Some(id) = &router.id {
        settings.id.clone_from(id);
    }
    Ok(settings)
}

/// Takes the addresses of the settings, which afterwards say what a port 0 became.
pub(crate) fn bind(settings: &mut Settings) -> Result<Listeners, Taken> {
    let bound = Listeners::bind(settings)?;
    let address = |listener: &TcpListener, told| listener.local_addr().unwrap_or(told);
    settings.listen = address(&bound.traffic, settings.listen);
    settings.admin_listen = address(&bound.admin, settings.admin_listen);
    Ok(bound)
}

fn read(path: &Path, networks: Option<&Networks>) -> Result<Version, Failed> {
    file::read(path, networks).map_err(|unusable| Failed::because(unusable.to_string()))
}

async fn run(settings: Settings, listeners: Listeners, follower: Follower) -> std::io::Result<()> {
    let stop = Stop::listen()?;
    introduce(&settings);
    serin_router::run(settings, listeners, follower, stop.wait()).await
}

/// The log's first lines.
pub(crate) fn introduce(settings: &Settings) {
    if settings.auth == Auth::None {
        tracing::warn!("auth: none: anybody who reaches this listener may use every route");
    }
    let (traffic, admin) = (settings.listen, settings.admin_listen);
    tracing::info!(%traffic, %admin, version = settings.version, "router listening");
}

/// The `server:` block of a file, and how many documents stand beside it, which are no concern of
/// who follows a store.
pub(crate) fn settings_alone(config: Option<&Path>) -> Result<(v1::Server, usize), Failed> {
    let Some(path) = config else {
        return Ok((v1::Server::default(), 0));
    };
    let name = path.display().to_string();
    let text = fs::read_to_string(path)
        .map_err(|error| Failed::because(format!("cannot read {name}: {error}")))?;
    let read = yaml::read_part(&name, &text, &Context::default()).map_err(|faults| {
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        Failed::because(lines.join("\n"))
    })?;
    let file = read.file;
    let documents = file.providers.len() + file.routes.len() + file.keys.len() + file.tiers.len();
    Ok((file.server.unwrap_or_default(), documents))
}

pub(crate) fn warn_ignored(documents: usize) {
    if documents > 0 {
        tracing::warn!(
            documents,
            "documents of --config are ignored here: the store has them (serin apply -f writes it)"
        );
    }
}

/// The file's own providers must be able to prove who we are from the start.
pub(crate) fn check_credentials(file: &v1::File) -> Result<(), Failed> {
    let unreadable = file.providers.iter().filter_map(|provider| {
        let why = serin_router::check_credential(provider.credential.as_ref()?).err()?;
        Some(format!("provider {}: credential: {why}", provider.name))
    });
    let unreadable: Vec<String> = unreadable.collect();
    if unreadable.is_empty() {
        Ok(())
    } else {
        Err(Failed::because(unreadable.join("\n")))
    }
}
