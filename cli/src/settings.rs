//! Flags over environment over the `server:` block, turned into what each part is told.
//!
//! clap has merged the first two already. What is refused here is refused before anything starts.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    num::NonZero,
    path::PathBuf,
    thread,
    time::Duration,
};

use serin_control_plane::settings::MetricsSource;
use serin_proto::{address::Networks, unit::parse_duration, v1};
use serin_router::settings::{AccessLog, Auth, Drain, Settings};
use serin_store::{EtcdSettings, file};

use crate::{
    args::{AuthWord, ControlPlaneFlags, RouterFlags, ServerFlags},
    exit::Failed,
};

const TRAFFIC_PORT: u16 = 8080;
const ADMIN_PORT: u16 = 8081;
const API_PORT: u16 = 8090;
const GRPC_PORT: u16 = 8091;
const BODY_BYTES_MAX: u32 = 32 * 1024 * 1024;
/// How often the router of this process is read, if nobody else does.
const METRICS_EVERY: Duration = Duration::from_secs(5);
const VERSION: &str = env!("CARGO_PKG_VERSION");
const COMMIT: &str = match option_env!("SERIN_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};
/// What a process is called on a host that has no name.
const NAMELESS: &str = "serin";

/// What a router is told. It is called as its host is, and keeps nothing on disk.
///
/// # Errors
/// A setting that cannot be used, or `auth` left out where it must be written.
pub(crate) fn router(
    server: &v1::Server,
    flags: &RouterFlags,
    common: &ServerFlags,
) -> Result<Settings, Failed> {
    let ip = default_ip(common);
    let listen = address(flags.listen, &server.listen, (ip, TRAFFIC_PORT), "listen")?;
    let admin = (ip, ADMIN_PORT);
    let admin_listen = address(
        flags.admin_listen,
        &server.admin_listen,
        admin,
        "adminListen",
    )?;
    let parallelism = thread::available_parallelism().map_or(1, NonZero::get);
    let workers = flags.workers.or(server.workers);
    let drain = server.drain.clone().unwrap_or_default();
    Ok(Settings {
        listen,
        admin_listen,
        workers: workers.map_or(parallelism, |n| n as usize).max(1),
        auth: auth(flags.auth, &server.auth, listen)?,
        body_bytes_max: server.max_body_bytes.unwrap_or(BODY_BYTES_MAX) as usize,
        drain: Drain {
            grace: duration(&drain.grace, Duration::from_secs(10)),
            limit: duration(&drain.limit, Duration::from_secs(600)),
        },
        allowed_networks: networks(server)?,
        access_log: AccessLog::Stdout,
        id: host_name(),
        state_dir: None,
        version: VERSION,
        commit: COMMIT,
    })
}

/// What a control plane is told.
///
/// # Errors
/// A setting that cannot be used, a token's secret that cannot be read.
pub(crate) fn control_plane(
    server: &v1::Server,
    flags: &ControlPlaneFlags,
    common: &ServerFlags,
) -> Result<serin_control_plane::Settings, Failed> {
    let ip = default_ip(common);
    let block = server.control_plane.clone().unwrap_or_default();
    let api = (ip, API_PORT);
    let listen = address(flags.api_listen, &block.listen, api, "controlPlane.listen")?;
    let grpc = (ip, GRPC_PORT);
    let grpc_listen = address(
        flags.grpc_listen,
        &block.grpc_listen,
        grpc,
        "controlPlane.grpcListen",
    )?;
    let tokens = block.tokens.iter().enumerate().map(|(index, token)| {
        settings_token(token).map_err(|why| {
            let place = format!("server.controlPlane.tokens, entry {}", index + 1);
            Failed::because(format!("{place} ({}): {why}", token.name))
        })
    });
    let written = block.prometheus.filter(|url| !url.is_empty());
    let prometheus = flags.prometheus.clone().or(written);
    Ok(serin_control_plane::Settings {
        listen,
        grpc_listen,
        metrics_source: prometheus
            .map_or(MetricsSource::None, |url| MetricsSource::Prometheus { url }),
        tokens: tokens.collect::<Result<_, _>>()?,
        allowed_networks: networks(server)?,
        id: host_name(),
        flagger_aliases: server
            .metrics
            .is_some_and(|metrics| metrics.flagger_aliases),
        version: VERSION,
        commit: COMMIT,
    })
}

/// The metrics of the router in this process. A listener on all addresses is reached at loopback.
pub(crate) fn own_metrics(admin_listen: SocketAddr) -> MetricsSource {
    let mut at = admin_listen;
    match at.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => at.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => at.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    MetricsSource::Router {
        metrics_url: format!("http://{at}/metrics"),
        every: METRICS_EVERY,
    }
}

fn settings_token(
    token: &v1::ControlPlaneToken,
) -> Result<serin_control_plane::SettingsToken, String> {
    let sha256 = if token.sha256.is_empty() {
        file::digest_of(&token.env, &token.file)?
    } else {
        token.sha256.clone()
    };
    Ok(serin_control_plane::SettingsToken {
        name: token.name.clone(),
        role: token
            .role
            .parse()
            .map_err(|bad: serin_control_plane::UnknownRole| bad.to_string())?,
        sha256: sha256
            .parse()
            .map_err(|bad: serin_control_plane::BadDigest| bad.to_string())?,
    })
}

/// Who we are to etcd.
pub(crate) fn etcd(server: &v1::Server) -> EtcdSettings {
    let block = server.etcd.clone().unwrap_or_default();
    let path = |text: String| (!text.is_empty()).then(|| PathBuf::from(text));
    EtcdSettings {
        ca_file: path(block.ca_file),
        cert_file: path(block.cert_file),
        key_file: path(block.key_file),
        username: (!block.username.is_empty()).then_some(block.username),
        password_file: path(block.password_file),
    }
}

/// The ranges that providers may be in.
pub(crate) fn networks(server: &v1::Server) -> Result<Networks, Failed> {
    Networks::parse(&server.allowed_networks).map_err(|(index, bad)| {
        Failed::because(format!(
            "server.allowedNetworks, entry {}: {bad}",
            index + 1
        ))
    })
}

/// Who may call must be written out wherever others than this machine can reach the listener.
fn auth(flag: Option<AuthWord>, written: &str, listen: SocketAddr) -> Result<Auth, Failed> {
    match (flag, written) {
        (Some(AuthWord::Required), _) | (None, "required") => Ok(Auth::Required),
        (Some(AuthWord::None), _) | (None, "none") => Ok(Auth::None),
        (None, "") if listen.ip().is_loopback() => Ok(Auth::Required),
        (None, "") => Err(Failed::because(format!(
            "server.auth is left out while listening on {listen}, where others can reach it: \
             write `auth: required`, or `auth: none` to let anybody in"
        ))),
        (None, other) => Err(Failed::because(format!(
            "server.auth is {other:?}: write `required` or `none`"
        ))),
    }
}

/// The flag's address, else the written one, else the default.
fn address(
    flag: Option<SocketAddr>,
    written: &str,
    default: (IpAddr, u16),
    field: &str,
) -> Result<SocketAddr, Failed> {
    match flag {
        Some(address) => Ok(address),
        None if written.is_empty() => Ok(default.into()),
        None => written
            .parse()
            .map_err(|_| Failed::because(format!("server.{field}: {written:?} is not host:port"))),
    }
}

fn default_ip(common: &ServerFlags) -> IpAddr {
    IpAddr::V4(if common.container {
        Ipv4Addr::UNSPECIFIED
    } else {
        Ipv4Addr::LOCALHOST
    })
}

fn duration(text: &str, default: Duration) -> Duration {
    if text.is_empty() {
        default
    } else {
        parse_duration(text).unwrap_or(default)
    }
}

/// What the kernel calls this host.
fn host_name() -> String {
    let told = ["/proc/sys/kernel/hostname", "/etc/hostname"]
        .iter()
        .find_map(|path| fs::read_to_string(path).ok());
    let legal = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let name: String = told
        .unwrap_or_default()
        .trim()
        .chars()
        .filter(legal)
        .collect();
    if name.is_empty() {
        NAMELESS.to_owned()
    } else {
        name
    }
}

#[cfg(test)]
mod tests;
