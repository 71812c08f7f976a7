//! `serin router` and `serin up`: documents from a file, traffic to providers.
//!
//! Everything that can be wrong at start is refused here, in one message, before a port is opened
//! to callers: a file that is not there, any fault in it, a credential that cannot be read, a port
//! that is taken, a listener whose callers nobody has decided on.

use std::path::Path;

use serin_proto::{address::Networks, v1};
use serin_router::{
    Listeners,
    settings::{Auth, Settings},
};
use serin_store::{
    Follower,
    file::{self, Version},
};

use crate::{
    args::{Router, ServerFlags, Store, Up},
    exit::Failed,
    logging, settings,
    signals::{self, Stop},
};

/// `serin up`.
pub(crate) fn up(up: &Up) -> Result<(), Failed> {
    let version = read(&up.config, None)?;
    let server = version.file.server.clone().unwrap_or_default();
    serve(&up.config, &version, &server, &up.server)
}

/// `serin router --store file:PATH`.
pub(crate) fn router(router: &Router) -> Result<(), Failed> {
    let Store::File(path) = &router.store;
    let Some(config) = &router.config else {
        let version = read(path, None)?;
        let server = version.file.server.clone().unwrap_or_default();
        return serve(path, &version, &server, &router.server);
    };
    let server = read(config, None)?.file.server.unwrap_or_default();
    let version = read(path, Some(&settings::networks(&server)?))?;
    serve(path, &version, &server, &router.server)
}

fn read(path: &Path, networks: Option<&Networks>) -> Result<Version, Failed> {
    file::read(path, networks).map_err(|unusable| Failed::because(unusable.to_string()))
}

fn serve(
    path: &Path,
    version: &Version,
    server: &v1::Server,
    flags: &ServerFlags,
) -> Result<(), Failed> {
    let settings = settings::router(server, flags)?;
    check_credentials(&version.file)?;
    let listeners =
        Listeners::bind(&settings).map_err(|taken| Failed::because(taken.to_string()))?;
    logging::start(server, flags);
    if settings.auth == Auth::None {
        tracing::warn!("auth: none: anybody who reaches this listener may use every route");
    }
    for warning in &version.warnings {
        tracing::warn!(%warning, "document accepted with a warning");
    }
    let networks = Some(settings.allowed_networks.clone());
    actix_rt::System::new()
        .block_on(async {
            let (follower, nudge) = file::follow(path.to_path_buf(), version, networks)?;
            signals::on_hangup(move || nudge.reread())?;
            run(settings, listeners, follower).await
        })
        .map_err(|error| Failed::because(error.to_string()))
}

async fn run(settings: Settings, listeners: Listeners, follower: Follower) -> std::io::Result<()> {
    let stop = Stop::listen()?;
    let (traffic, admin) = (settings.listen, settings.admin_listen);
    tracing::info!(%traffic, %admin, version = settings.version, "router listening");
    serin_router::run(settings, listeners, follower, stop.wait()).await
}

/// The file's own providers must be able to prove who we are from the start.
fn check_credentials(file: &v1::File) -> Result<(), Failed> {
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
