//! Programs in other languages: the official SDKs as callers, a real engine as provider.
//!
//! `tests/install.sh` puts both into `.tools/`; without it these fail and say so.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::process::{Process, repository};
use crate::{World, eventually, free_address};

const SCRIPT_WITHIN: Duration = Duration::from_secs(180);
const ENGINE_WITHIN: Duration = Duration::from_secs(60);

/// An official SDK.
#[derive(Clone, Copy, Debug)]
pub enum Sdk {
    Python,
    JavaScript,
}

/// llama.cpp's server on a model of random weights.
#[derive(Debug)]
pub struct Engine {
    pub process: Process,
    pub address: SocketAddr,
}

impl Sdk {
    /// Runs all cases against an API and returns what the SDK gave to its caller, a case each.
    ///
    /// # Panics
    /// When the script fails or prints no JSON.
    pub async fn transcript(self, api: SocketAddr, key: &str) -> Vec<Value> {
        let url = format!("http://{api}/v1");
        let (program, script): (OsString, _) = match self {
            Self::Python => (python().into(), "cases.py"),
            Self::JavaScript => ("node".into(), "cases.cjs"),
        };
        let script = repository().join("tests/sdk").join(script);
        let modules = installed("node/node_modules")
            .to_string_lossy()
            .into_owned();
        let arguments = [script.as_os_str(), url.as_ref(), key.as_ref()];
        let environment = [("NODE_PATH", modules.as_str())];
        let mut process = Process::start(&program, &arguments, &environment);
        let status = process.exit(SCRIPT_WITHIN).await;
        assert!(
            status.success(),
            "{self:?} SDK: {status}\n{}",
            process.printed()
        );
        serde_json::from_str(&process.stdout())
            .unwrap_or_else(|error| panic!("{self:?} SDK: {error}\n{}", process.printed()))
    }
}

impl Engine {
    /// Writes the model of that seed and serves it.
    pub async fn start(world: &World, seed: u32) -> Self {
        let address = free_address();
        let serve = repository().join("tests/engine/serve.py");
        let (port, seed) = (address.port().to_string(), seed.to_string());
        let folder = world.path("");
        let arguments = [
            serve.as_os_str(),
            port.as_ref(),
            seed.as_ref(),
            folder.as_os_str(),
        ];
        let mut process = Process::start(python().as_os_str(), &arguments, &[]);
        let look = async || match process.ended() {
            Some(status) => panic!("the engine ended: {status}\n{}", process.printed()),
            None => process.stdout(),
        };
        eventually("the engine serves", ENGINE_WITHIN, look, |out| {
            out.contains("ready")
        })
        .await;
        Self { process, address }
    }
}

pub fn python() -> PathBuf {
    installed("venv/bin/python")
}

fn installed(what: &str) -> PathBuf {
    let path = repository().join(".tools").join(what);
    assert!(
        path.exists(),
        "there is no .tools/{what}: run `tests/install.sh` first"
    );
    path
}
