//! `serin router --store …` on ports of its own, which keeps them over restarts.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::client::{Answer, Request, ask};
use crate::metrics::Scrape;
use crate::process::{Process, serin_binary};
use crate::serin::{CALLER_SECRET, ENVIRONMENT, answers};
use crate::{World, eventually, free_address};

const START_WITHIN: Duration = Duration::from_secs(30);

/// A router on a store.
#[derive(Debug)]
pub struct Router {
    pub process: Process,
    pub id: String,
    pub traffic: SocketAddr,
    pub admin: SocketAddr,
    launch: Launch,
}

/// What it is started with each time.
#[derive(Clone, Debug)]
struct Launch {
    arguments: Vec<String>,
}

impl Router {
    /// Starts one and waits until it is ready.
    ///
    /// # Panics
    /// When it ends or is not ready in half a minute, with all it printed.
    pub async fn start(world: &World, id: &str, store: &str) -> Self {
        let mut router = Self::launch(world, id, store);
        router.wait_until_ready(START_WITHIN).await;
        router
    }

    /// Starts one without waiting for anything. Its log tells every batch it received.
    pub fn launch(world: &World, id: &str, store: &str) -> Self {
        let (traffic, admin) = (free_address(), free_address());
        let text = format!(
            "server:\n  listen: {traffic}\n  adminListen: {admin}\n  workers: 1\n  \
             drain: {{grace: 0s, limit: 60s}}\n  allowedNetworks: [127.0.0.0/8]\n  \
             logging: {{format: json, level: debug}}\n"
        );
        let config = world.write(&format!("{id}.yaml"), &text);
        let state: PathBuf = world.path(&format!("{id}-state"));
        let arguments = [
            "router",
            "--store",
            store,
            "--config",
            &config.to_string_lossy(),
            "--state-dir",
            &state.to_string_lossy(),
            "--id",
            id,
        ];
        let launch = Launch {
            arguments: arguments.map(str::to_owned).to_vec(),
        };
        Self {
            process: launch.go(),
            id: id.to_owned(),
            traffic,
            admin,
            launch,
        }
    }

    /// Starts it again after its process has ended, with the same addresses and folder. What the
    /// old process printed is gone.
    pub fn again(&mut self) {
        self.process = self.launch.go();
    }

    /// # Panics
    /// When it ends or is not ready in time, with all it printed.
    pub async fn wait_until_ready(&mut self, within: Duration) {
        let admin = self.admin;
        let process = &mut self.process;
        let look = async || match process.ended() {
            Some(status) => panic!("serin router ended: {status}\n{}", process.printed()),
            None => (answers(admin, "/readyz").await, process.stderr()),
        };
        let promise = "the router's /readyz answers 200";
        eventually(promise, within, look, |seen| seen.0 == Some(200)).await;
    }

    /// One request over a new connection, with the caller's key.
    pub async fn ask(&self, request: Request) -> Answer {
        ask(self.traffic, &request.key(CALLER_SECRET)).await
    }

    pub async fn metrics(&self) -> Scrape {
        Scrape::read(&ask(self.admin, &Request::get("/metrics")).await.text())
    }

    /// What it says it serves.
    pub async fn snapshot(&self) -> Value {
        ask(self.admin, &Request::get("/snapshot")).await.json()
    }
}

impl Launch {
    fn go(&self) -> Process {
        Process::start(serin_binary().as_os_str(), &self.arguments, &ENVIRONMENT)
    }
}
