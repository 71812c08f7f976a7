//! One member of an etcd: a program that may be down, and what stays of it.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::client::{Connection, Request};
use crate::process::{Process, repository};
use crate::serin::answers;
use crate::{World, eventually, free_address};

const START_WITHIN: Duration = Duration::from_secs(60);
const CLUSTER_TOKEN: &str = "serin-story";

/// One member: a program that may be down, and the addresses and the folder that stay.
#[derive(Debug)]
pub struct Member {
    /// Where clients go.
    pub address: SocketAddr,
    /// Health and metrics, always in plain HTTP.
    pub metrics: SocketAddr,
    pub(super) peer: SocketAddr,
    pub(super) name: String,
    folder: PathBuf,
    /// What stands before the program, such as a network to run in.
    pub(super) before: Vec<String>,
    arguments: Vec<String>,
    process: Option<Process>,
}

impl Member {
    pub(super) fn new(world: &World, name: &str, address: SocketAddr) -> Self {
        Self {
            address,
            metrics: free_address(),
            peer: free_address(),
            name: name.to_owned(),
            folder: world.path(&format!("{name}-{}", address.port())),
            before: Vec::new(),
            arguments: Vec::new(),
            process: None,
        }
    }

    /// A socket in the file system at which clients are answered too, whatever the network does.
    pub fn socket(&self) -> PathBuf {
        self.folder.with_extension("socket")
    }

    pub(super) fn prepare(&mut self, cluster: &str, further: &[&str], scheme: &str) {
        let client = format!("{scheme}://{}", self.address);
        let listen = match self.before.is_empty() {
            true => client.clone(),
            false => format!("{client},unix://{}", self.socket().display()),
        };
        let (peer, metrics) = (
            format!("http://{}", self.peer),
            format!("http://{}", self.metrics),
        );
        let folder = self.folder.to_string_lossy().into_owned();
        let own = [
            ("--name", self.name.as_str()),
            ("--data-dir", &folder),
            ("--listen-client-urls", &listen),
            ("--advertise-client-urls", &client),
            ("--listen-peer-urls", &peer),
            ("--initial-advertise-peer-urls", &peer),
            ("--listen-metrics-urls", &metrics),
            ("--initial-cluster", cluster),
            ("--initial-cluster-token", CLUSTER_TOKEN),
            ("--log-level", "warn"),
        ];
        let own = own.into_iter().flat_map(|(name, value)| [name, value]);
        let all = own.chain(further.iter().copied());
        self.arguments = all.map(str::to_owned).collect();
    }

    /// Starts the program; it may take a while until it is healthy.
    ///
    /// # Panics
    /// When there is no etcd.
    pub fn start(&mut self) {
        let etcd = tool("etcd");
        let mut words: Vec<OsString> = self.before.iter().map(OsString::from).collect();
        words.push(etcd.into());
        words.extend(self.arguments.iter().map(OsString::from));
        let program = words.remove(0);
        self.process = Some(Process::start(&program, &words, &[]));
    }

    /// Ends it at once (SIGKILL).
    pub async fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().await;
        }
    }

    /// Deletes all it has stored.
    ///
    /// # Panics
    /// When it runs.
    pub fn wipe(&self) {
        assert!(self.process.is_none(), "{} runs", self.name);
        // Nothing stored is as good.
        let _ = std::fs::remove_dir_all(&self.folder);
    }

    pub(super) async fn restore(&self, snapshot: &Path) {
        self.wipe();
        let peer = format!("http://{}", self.peer);
        let cluster = format!("{}={peer}", self.name);
        let restored = Command::new(tool("etcdutl"))
            .args(["snapshot", "restore"])
            .arg(snapshot)
            .arg("--data-dir")
            .arg(&self.folder)
            .args(["--name", &self.name, "--initial-cluster", &cluster])
            .args(["--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster-token", CLUSTER_TOKEN])
            .output()
            .await;
        let output = restored.expect("etcdutl can be started");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "etcdutl snapshot restore: {said}");
    }

    /// Sends it a signal by name, such as `STOP`.
    ///
    /// # Panics
    /// When it does not run.
    pub async fn signal(&self, name: &str) {
        let process = self.process.as_ref();
        process.expect("the member runs").signal(name).await;
    }

    /// Waits until it has a leader and answers reads.
    ///
    /// # Panics
    /// When it does not within a minute, with all it printed.
    pub async fn wait_until_healthy(&mut self) {
        // Clients are served a moment after health is told; over TLS that cannot be seen here.
        let (metrics, clients) = (self.metrics, self.address);
        let plain = !self
            .arguments
            .iter()
            .any(|word| word.starts_with("https://"));
        let process = self.process.as_mut().expect("the member runs");
        let look = async || match process.ended() {
            Some(status) => panic!("etcd ended: {status}\n{}", process.printed()),
            None => {
                let healthy = answers(metrics, "/health").await == Some(200);
                let serves = !plain || answers(clients, "/health").await == Some(200);
                (healthy && serves, process.printed())
            }
        };
        eventually("etcd is healthy", START_WITHIN, look, |seen| seen.0).await;
    }

    /// Its own word on who leads; null if it does not answer.
    pub(super) async fn status(&self) -> Value {
        let ask = async {
            let mut connection = Connection::open(self.address).await.ok()?;
            let request = Request::post("/v3/maintenance/status", "{}");
            Some(connection.exchange(&request).await.ok()?.json())
        };
        // A frozen member accepts connections and answers none.
        let answer = tokio::time::timeout(Duration::from_secs(1), ask).await;
        answer.ok().flatten().unwrap_or(Value::Null)
    }
}

/// A program of etcd's in the tools folder.
///
/// # Panics
/// When it is not there, with the command that builds it.
pub fn tool(name: &str) -> PathBuf {
    let path = repository().join(".tools/bin").join(name);
    assert!(
        path.is_file(),
        "there is no .tools/bin/{name}: run `make tools` first"
    );
    path
}

pub(super) async fn etcdctl(endpoints: &str, arguments: &[&str], input: &str) -> String {
    let mut child = Command::new(tool("etcdctl"))
        .args(["--endpoints", endpoints])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("etcdctl can be started");
    let mut stdin = child.stdin.take().expect("stdin was piped");
    // A command that reads nothing may have ended already.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let output = child.wait_with_output().await.expect("etcdctl ends");
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "etcdctl {arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
