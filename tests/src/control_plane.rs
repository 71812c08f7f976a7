//! `serin control-plane` on ports of its own, with a token for each role.

use std::net::SocketAddr;
use std::time::Duration;

use crate::process::{Process, serin_binary};
use crate::serin::answers;
use crate::{Api, World, eventually, free_address};

/// The token of each role: name, role, environment variable, secret.
pub const TOKENS: [(&str, &str, &str, &str); 3] = [
    ("ada", "admin", "STORY_ADMIN", "serin-token-admin"),
    ("otto", "operator", "STORY_OPERATOR", "serin-token-operator"),
    ("vera", "viewer", "STORY_VIEWER", "serin-token-viewer"),
];

const START_WITHIN: Duration = Duration::from_secs(30);

/// A control plane that answers.
#[derive(Debug)]
pub struct ControlPlane {
    pub process: Process,
    pub api: SocketAddr,
    pub grpc: SocketAddr,
}

/// The lines of the `server:` block that give a control plane its addresses and tokens.
pub fn settings(api: SocketAddr, grpc: SocketAddr) -> String {
    let token = |(name, role, variable, _): (&str, &str, &str, &str)| {
        format!("{{name: {name}, role: {role}, env: {variable}}}")
    };
    let tokens = TOKENS.map(token).join(", ");
    format!("  controlPlane:\n    listen: {api}\n    grpcListen: {grpc}\n    tokens: [{tokens}]\n")
}

/// The environment in which those tokens have their secrets.
pub fn environment() -> [(&'static str, &'static str); 3] {
    TOKENS.map(|(_, _, variable, secret)| (variable, secret))
}

/// The secret of a role's token.
///
/// # Panics
/// When there is no such role.
pub fn token(role: &str) -> &'static str {
    let found = TOKENS.iter().find(|(_, known, _, _)| *known == role);
    found.map(|(_, _, _, secret)| *secret).expect("a role")
}

impl ControlPlane {
    /// Starts one on a store (`etcd://…`) and waits until it is ready.
    ///
    /// # Panics
    /// When it ends or is not ready in half a minute, with all it printed.
    pub async fn start(world: &World, name: &str, store: &str) -> Self {
        let (api, grpc) = (free_address(), free_address());
        let text = format!(
            "server:\n  allowedNetworks: [127.0.0.0/8]\n{}",
            settings(api, grpc)
        );
        let config = world.write(&format!("{name}.yaml"), &text);
        let arguments = [
            "control-plane".as_ref(),
            "--store".as_ref(),
            store.as_ref(),
            "--config".as_ref(),
            config.as_os_str(),
        ];
        let process = Process::start(serin_binary().as_os_str(), &arguments, &environment());
        let mut plane = Self { process, api, grpc };
        plane.wait_until_ready().await;
        plane
    }

    async fn wait_until_ready(&mut self) {
        let api = self.api;
        let process = &mut self.process;
        let look = async || match process.ended() {
            Some(status) => panic!("serin control-plane ended: {status}\n{}", process.printed()),
            None => (answers(api, "/readyz").await, process.stderr()),
        };
        let promise = "the control plane's /readyz answers 200";
        eventually(promise, START_WITHIN, look, |seen| seen.0 == Some(200)).await;
    }

    /// Its API as an admin.
    pub fn admin(&self) -> Api {
        Api::new(self.api, token("admin"))
    }
}
