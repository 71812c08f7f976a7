//! `serin` as a person types it: a verb, its answer on stdout, words on stderr, an exit code.

use std::net::SocketAddr;
use std::time::Duration;

use crate::process::{Process, serin_binary};

/// No verb waits longer than this without being asked to.
const ENDS_WITHIN: Duration = Duration::from_secs(30);

/// How a verb ended.
#[derive(Clone, Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs `serin ARGUMENTS` against a control plane with a token.
///
/// # Panics
/// When it still runs after half a minute.
pub async fn serin(server: SocketAddr, token: &str, arguments: &[&str]) -> Ended {
    let address = format!("http://{server}");
    let environment = [
        ("SERIN_SERVER", address.as_str()),
        ("SERIN_TOKEN", token),
        ("NO_COLOR", "1"),
    ];
    let mut process = Process::start(serin_binary().as_os_str(), arguments, &environment);
    let status = process.exit(ENDS_WITHIN).await;
    Ended {
        code: status.code(),
        stdout: process.stdout(),
        stderr: process.stderr(),
    }
}
