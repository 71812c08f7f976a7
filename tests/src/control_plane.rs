//! `serin control-plane` on ports of its own, with a token for each role. It may be killed, stopped,
//! or told to die at a place with a name.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde_json::Value;

use crate::client::{Answer, Connection, Request, ask};
use crate::metrics::Scrape;
use crate::namespace::Namespace;
use crate::process::{Process, failpoints_binary, serin_binary};
use crate::serin::answers;
use crate::{Api, World, eventually, free_address};

/// The token of each role: name, role, environment variable, secret.
pub const TOKENS: [(&str, &str, &str, &str); 3] = [
    ("ada", "admin", "STORY_ADMIN", "serin-token-admin"),
    ("otto", "operator", "STORY_OPERATOR", "serin-token-operator"),
    ("vera", "viewer", "STORY_VIEWER", "serin-token-viewer"),
];

const START_WITHIN: Duration = Duration::from_secs(60);
/// The newest lines of what it printed that a failure shows.
const TAIL_LINES: usize = 25;

/// What one is started with.
#[derive(Clone, Debug)]
pub struct Launch {
    /// After `control-plane`.
    arguments: Vec<String>,
    /// Further lines of its block of settings.
    settings: String,
    environment: Vec<(String, String)>,
    has_failpoints: bool,
    /// Words before the program, such as a network to run in, and its address there.
    before: Vec<String>,
    inside: Ipv4Addr,
}

impl Launch {
    /// On a store (`etcd://…`).
    pub fn on(store: &str) -> Self {
        let environment = environment().map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            arguments: vec!["--store".to_owned(), store.to_owned()],
            settings: String::new(),
            environment: environment.to_vec(),
            has_failpoints: false,
            before: Vec::new(),
            inside: Ipv4Addr::LOCALHOST,
        }
    }

    /// With a Prometheus, named by a flag.
    #[must_use]
    pub fn prometheus(mut self, url: &str) -> Self {
        let flag = ["--prometheus", url].map(str::to_owned);
        self.arguments.extend(flag);
        self
    }

    /// With a Prometheus, named in its file.
    #[must_use]
    pub fn prometheus_written(mut self, url: &str) -> Self {
        self.settings = format!("    prometheus: \"{url}\"\n");
        self
    }

    /// It kills itself when it comes to that place (`t7.before`).
    #[must_use]
    pub fn dies_at(mut self, point: &str) -> Self {
        self.has_failpoints = true;
        self.with("SERIN_FAILPOINT", point)
    }

    /// It stops itself there, once; SIGCONT lets it go on.
    #[must_use]
    pub fn stops_at(self, point: &str) -> Self {
        self.dies_at(point).with("SERIN_FAILPOINT_SIGNAL", "STOP")
    }

    /// With an environment variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// In a network of its own.
    #[must_use]
    pub fn inside(mut self, namespace: &Namespace) -> Self {
        self.before = namespace.enter().to_vec();
        self.inside = namespace.inside;
        self
    }

    /// Starts one with that name and file on these addresses, without waiting for anything.
    fn go(&self, world: &World, name: &str, [api, grpc]: [SocketAddr; 2]) -> Process {
        let server = "server:\n  allowedNetworks: [127.0.0.0/8]\n";
        let text = format!("{server}{}{}", settings(api, grpc), self.settings);
        let config = world.write(&format!("{name}.yaml"), &text);
        let program = if self.has_failpoints {
            failpoints_binary()
        } else {
            serin_binary()
        };
        let mut words: Vec<OsString> = self.before.iter().map(OsString::from).collect();
        words.extend([program.into(), OsString::from("control-plane")]);
        words.extend(self.arguments.iter().map(OsString::from));
        words.extend([OsString::from("--config"), config.into()]);
        let variables = self.environment.iter();
        let environment: Vec<(&str, &str)> = variables
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        Process::start(&words[0], &words[1..], &environment)
    }
}

/// A control plane that answers, or has ended.
#[derive(Debug)]
pub struct ControlPlane {
    pub process: Process,
    pub name: String,
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

/// What the one that leads measures; nothing if none does.
pub async fn leader(planes: &[ControlPlane]) -> Option<Scrape> {
    for plane in planes {
        let scrape = plane.metrics().await;
        if scrape.sum("serin_cp_leader", &[]) == 1.0 {
            return Some(scrape);
        }
    }
    None
}

impl ControlPlane {
    /// Starts one on a store (`etcd://…`) and waits until it is ready.
    ///
    /// # Panics
    /// When it ends or is not ready in a minute, with all it printed.
    pub async fn start(world: &World, name: &str, store: &str) -> Self {
        Self::launch(world, name, &Launch::on(store)).await
    }

    /// The same with all that it is to be started with.
    pub async fn launch(world: &World, name: &str, launch: &Launch) -> Self {
        let at = |address: SocketAddr| SocketAddr::from((launch.inside, address.port()));
        let [api, grpc] = [at(free_address()), at(free_address())];
        let mut plane = Self {
            process: launch.go(world, name, [api, grpc]),
            name: name.to_owned(),
            api,
            grpc,
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
    pub fn admin(&self) -> Api {
        Api::new(self.api, token("admin"))
    }

    /// `POST /api/v1<path>` as an admin; nothing if it died over it.
    pub async fn post(&self, path: &str, body: &Value, key: &str) -> Option<Answer> {
        let request = Request::post(&format!("/api/v1{path}"), body.to_string());
        self.send(request.header("idempotency-key", key)).await
    }

    /// `PUT /api/v1<path>` as an admin, whatever is there; nothing if it died over it.
    pub async fn put(&self, path: &str, body: &Value) -> Option<Answer> {
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

    pub async fn metrics(&self) -> Scrape {
        Scrape::read(&ask(self.api, &Request::get("/metrics")).await.text())
    }

    /// Transactions of that result so far (`ok`, `conflict`, `fenced`, …).
    pub async fn txns(&self, result: &str) -> f64 {
        let labels = [("result", result)];
        let metrics = self.metrics().await;
        metrics.sum("serin_cp_store_txn_total", &labels)
    }

    /// The newest of what it printed.
    pub fn tail(&self) -> String {
        let log = self.process.stderr() + &self.process.stdout();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }
}
