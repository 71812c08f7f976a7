//! One `serin control-plane` that may be killed, stopped, or told to die at a place of its own.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde_json::Value;
use serin_tests::client::{Answer, Connection, Request};
use serin_tests::control_plane::{environment, settings, token};
use serin_tests::metrics::Scrape;
use serin_tests::namespace::Namespace;
use serin_tests::process::{Process, failpoints_binary, serin_binary};
use serin_tests::serin::answers;
use serin_tests::{Api, World, eventually, free_address};

const START_WITHIN: Duration = Duration::from_secs(60);

/// What it is started with.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    store: String,
    prometheus: String,
    environment: Vec<(String, String)>,
    has_failpoints: bool,
    /// Words before the program, such as a network to run in, and its address there.
    before: Vec<String>,
    inside: Ipv4Addr,
}

impl Launch {
    pub(crate) fn new(store: &str, prometheus: &str) -> Self {
        let environment = environment().map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            store: store.to_owned(),
            prometheus: prometheus.to_owned(),
            environment: environment.to_vec(),
            has_failpoints: false,
            before: Vec::new(),
            inside: Ipv4Addr::LOCALHOST,
        }
    }

    /// It kills itself when it comes to that place (`t7.before`).
    pub(crate) fn dies_at(mut self, point: &str) -> Self {
        self.has_failpoints = true;
        self.with("SERIN_FAILPOINT", point)
    }

    /// It stops itself there, once; SIGCONT lets it go on.
    pub(crate) fn stops_at(self, point: &str) -> Self {
        self.dies_at(point).with("SERIN_FAILPOINT_SIGNAL", "STOP")
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn inside(mut self, namespace: &Namespace) -> Self {
        self.before = namespace.enter().to_vec();
        self.inside = namespace.inside;
        self
    }
}

/// One that runs, or has ended.
#[derive(Debug)]
pub(crate) struct Plane {
    pub(crate) process: Process,
    pub(crate) name: String,
    pub(crate) api: SocketAddr,
}

impl Plane {
    /// Starts one and waits until it is ready.
    pub(crate) async fn start(world: &World, name: &str, launch: &Launch) -> Self {
        let at = |address: SocketAddr| SocketAddr::from((launch.inside, address.port()));
        let (api, grpc) = (at(free_address()), at(free_address()));
        let text = format!(
            "server:\n  allowedNetworks: [127.0.0.0/8]\n{}",
            settings(api, grpc)
        );
        let config = world.write(&format!("{name}.yaml"), &text);
        let program = if launch.has_failpoints {
            failpoints_binary()
        } else {
            serin_binary()
        };
        let mut words: Vec<OsString> = launch.before.iter().map(OsString::from).collect();
        words.push(program.into());
        let arguments = ["control-plane", "--store", &launch.store, "--config"];
        words.extend(arguments.map(OsString::from));
        words.push(config.into());
        words.extend(["--prometheus", &launch.prometheus].map(OsString::from));
        let program = words.remove(0);
        let environment: Vec<(&str, &str)> = launch
            .environment
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let mut plane = Self {
            process: Process::start(&program, &words, &environment),
            name: name.to_owned(),
            api,
        };
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
    pub(crate) fn admin(&self) -> Api {
        Api::new(self.api, token("admin"))
    }

    /// `POST /api/v1<path>`; nothing if it died over it.
    pub(crate) async fn post(&self, path: &str, body: &Value, key: &str) -> Option<Answer> {
        let request = Request::post(&format!("/api/v1{path}"), body.to_string());
        self.send(request.header("idempotency-key", key)).await
    }

    /// `PUT /api/v1<path>` whatever is there; nothing if it died over it.
    pub(crate) async fn put(&self, path: &str, body: &Value) -> Option<Answer> {
        let request = Request::new("PUT", &format!("/api/v1{path}"))
            .header("content-type", "application/json")
            .header("if-match", "*")
            .body(body.to_string());
        self.send(request).await
    }

    async fn send(&self, request: Request) -> Option<Answer> {
        let mut connection = Connection::open(self.api).await.ok()?;
        let request = request.key(token("admin"));
        connection.exchange(&request).await.ok()
    }

    pub(crate) async fn metrics(&self) -> Scrape {
        let request = Request::get("/metrics");
        let answer = serin_tests::client::ask(self.api, &request).await;
        Scrape::read(&answer.text())
    }

    /// Transactions of that result so far (`ok`, `conflict`, `fenced`, …).
    pub(crate) async fn txns(&self, result: &str) -> f64 {
        let labels = [("result", result)];
        self.metrics()
            .await
            .sum("serin_cp_store_txn_total", &labels)
    }

    /// The newest of what it printed.
    pub(crate) fn tail(&self) -> String {
        let log = self.process.stderr() + &self.process.stdout();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(25)..].join("\n")
    }
}
