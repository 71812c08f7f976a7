//! Flags over environment over the `server:` block, turned into what each part is told.
//!
//! clap has merged the first two already. What is refused here is refused before anything starts.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZero,
    thread,
    time::Duration,
};

use serin_proto::{address::Networks, unit::parse_duration, v1};
use serin_router::settings::{AccessLog, Auth, Drain, Settings};

use crate::{
    args::{AuthWord, ServerFlags},
    exit::Failed,
};

const TRAFFIC_PORT: u16 = 8080;
const ADMIN_PORT: u16 = 8081;
const BODY_BYTES_MAX: u32 = 32 * 1024 * 1024;
const VERSION: &str = env!("CARGO_PKG_VERSION");
const COMMIT: &str = match option_env!("SERIN_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// What a router is told.
///
/// # Errors
/// A setting that cannot be used, or `auth` left out where it must be written.
pub(crate) fn router(server: &v1::Server, flags: &ServerFlags) -> Result<Settings, Failed> {
    let container = flags
        .container
        .as_deref()
        .is_some_and(|word| !matches!(word, "" | "0"));
    let address = |flag: Option<SocketAddr>, written: &str, port, name: &str| match flag {
        Some(address) => Ok(address),
        None => listen(written, port, container)
            .ok_or_else(|| Failed::because(format!("server.{name}: {written:?} is not host:port"))),
    };
    let listen = address(flags.listen, &server.listen, TRAFFIC_PORT, "listen")?;
    let admin_listen = address(
        flags.admin_listen,
        &server.admin_listen,
        ADMIN_PORT,
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
        version: VERSION,
        commit: COMMIT,
    })
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

fn listen(written: &str, port: u16, container: bool) -> Option<SocketAddr> {
    if written.is_empty() {
        let ip = if container {
            Ipv4Addr::UNSPECIFIED
        } else {
            Ipv4Addr::LOCALHOST
        };
        return Some(SocketAddr::new(IpAddr::V4(ip), port));
    }
    written.parse().ok()
}

fn duration(text: &str, default: Duration) -> Duration {
    if text.is_empty() {
        default
    } else {
        parse_duration(text).unwrap_or(default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(listen: &str, auth: &str, flags: &ServerFlags) -> Result<Auth, String> {
        let server = v1::Server {
            listen: listen.into(),
            auth: auth.into(),
            ..Default::default()
        };
        router(&server, flags)
            .map(|settings| settings.auth)
            .map_err(|failed| failed.to_string())
    }

    #[test]
    fn auth_must_be_written_out_wherever_others_can_call() {
        let plain = ServerFlags::default();
        assert_eq!(given("", "", &plain), Ok(Auth::Required));
        assert_eq!(given("", "none", &plain), Ok(Auth::None));
        assert_eq!(
            given("0.0.0.0:8080", "required", &plain),
            Ok(Auth::Required)
        );
        assert_eq!(given("0.0.0.0:8080", "none", &plain), Ok(Auth::None));
        assert!(
            given("0.0.0.0:8080", "", &plain)
                .unwrap_err()
                .contains("auth")
        );
        assert!(given("", "open", &plain).unwrap_err().contains("open"));
        let container = ServerFlags {
            container: Some("1".into()),
            ..Default::default()
        };
        assert!(
            given("", "", &container)
                .unwrap_err()
                .contains("0.0.0.0:8080")
        );
    }

    #[test]
    fn a_flag_wins_over_the_file() {
        let flags = ServerFlags {
            listen: Some(([127, 0, 0, 1], 1).into()),
            auth: Some(AuthWord::None),
            ..Default::default()
        };
        let server = v1::Server {
            listen: "0.0.0.0:9".into(),
            auth: "required".into(),
            ..Default::default()
        };
        let settings = router(&server, &flags).unwrap();
        assert_eq!((settings.listen.port(), settings.auth), (1, Auth::None));
    }
}
