//! A real Prometheus that scrapes routers once a second, in the story's folder.
//!
//! It is killed, frozen and started again at the same address with what it had stored.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Request, ask};
use crate::etcd::tool;
use crate::process::Process;
use crate::serin::answers;
use crate::{World, eventually, free_address};

const START_WITHIN: Duration = Duration::from_secs(60);
const SCRAPED_WITHIN: Duration = Duration::from_secs(30);
/// How often it scrapes.
pub const SCRAPE_INTERVAL: Duration = Duration::from_secs(1);

/// A Prometheus server that may be down.
#[derive(Debug)]
pub struct Prometheus {
    /// Where it answers.
    pub address: SocketAddr,
    config: PathBuf,
    arguments: Vec<String>,
    process: Option<Process>,
}

impl Prometheus {
    /// Starts one that scrapes these addresses (the routers' admin listeners), and waits until it is
    /// ready.
    ///
    /// # Panics
    /// When it is not within a minute, with all it printed; when there is no Prometheus.
    pub async fn start(world: &World, targets: &[SocketAddr]) -> Self {
        let address = free_address();
        let name = format!("prometheus-{}", address.port());
        let config = world.write(&format!("{name}.yaml"), &written(targets));
        let arguments = [
            format!("--config.file={}", config.display()),
            format!("--storage.tsdb.path={}", world.path(&name).display()),
            format!("--web.listen-address={address}"),
            "--log.level=warn".to_owned(),
        ];
        let mut prometheus = Self {
            address,
            config,
            arguments: arguments.to_vec(),
            process: None,
        };
        prometheus.again().await;
        prometheus
    }

    /// As `--prometheus` wants it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends it at once (SIGKILL).
    pub async fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().await;
        }
    }

    /// Starts it again with what it has stored, and waits until it is ready.
    pub async fn again(&mut self) {
        let program = tool("prometheus");
        let mut process = Process::start(program.as_os_str(), &self.arguments, &[]);
        let address = self.address;
        let look = async || match process.ended() {
            Some(status) => panic!("prometheus ended: {status}\n{}", process.printed()),
            None => (answers(address, "/-/ready").await, process.stderr()),
        };
        eventually("Prometheus is ready", START_WITHIN, look, |seen| {
            seen.0 == Some(200)
        })
        .await;
        self.process = Some(process);
    }

    /// Freezes it (SIGSTOP): connections stay, nothing is answered or scraped.
    pub async fn pause(&self) {
        self.signal("STOP").await;
    }

    /// Lets it go on (SIGCONT).
    pub async fn resume(&self) {
        self.signal("CONT").await;
    }

    /// Has it scrape other addresses from now on.
    ///
    /// # Panics
    /// When it does not run, or its file cannot be written.
    pub async fn scrape(&self, targets: &[SocketAddr]) {
        std::fs::write(&self.config, written(targets)).expect("the story's folder can be written");
        self.signal("HUP").await;
    }

    async fn signal(&self, name: &str) {
        let process = self.process.as_ref().expect("Prometheus runs");
        process.signal(name).await;
    }

    /// Waits until it has so many routers' series.
    ///
    /// # Panics
    /// When it does not within half a minute.
    pub async fn wait_until_scraped(&self, routers: usize) {
        let count = "count(serin_config_revision)";
        let look = async || self.query(count).await;
        let expected = routers.to_string();
        eventually("routers are scraped", SCRAPED_WITHIN, look, |seen| {
            seen.pointer("/0/value/1").and_then(Value::as_str) == Some(&expected)
        })
        .await;
    }

    /// The result of an instant query, now.
    ///
    /// # Panics
    /// When it does not answer with a success.
    pub async fn query(&self, promql: &str) -> Value {
        let encoded: String = promql.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let request = Request::get(&format!("/api/v1/query?query={encoded}"));
        let mut answer = ask(self.address, &request).await.json();
        assert_eq!(answer["status"], "success", "{promql}: {answer}");
        answer["data"]["result"].take()
    }
}

/// Its configuration; JSON is YAML.
fn written(targets: &[SocketAddr]) -> String {
    let targets: Vec<String> = targets.iter().map(SocketAddr::to_string).collect();
    let interval = format!("{}s", SCRAPE_INTERVAL.as_secs());
    let config = json!({
        "global": { "scrape_interval": interval, "scrape_timeout": interval },
        "scrape_configs": [{ "job_name": "router", "static_configs": [{ "targets": targets }] }],
    });
    config.to_string()
}
