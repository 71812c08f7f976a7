//! The shared stage: it begins with the first scenario and ends with the last.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use serde_json::{Map, Value, json};
use serin_tests::client::{Request, ask};
use serin_tests::command;
use serin_tests::control_plane::{environment, settings, token};
use serin_tests::etcd::Etcd;
use serin_tests::metrics::Scrape;
use serin_tests::process::{Process, serin_binary};
use serin_tests::serin::{CALLER_SHA256, answers};
use serin_tests::{
    Api, ControlPlane, Prometheus, Router, Simulator, World, eventually, free_address,
};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Mutex, RwLock};
use tokio::task::spawn_blocking;

const START_WITHIN: Duration = Duration::from_secs(60);
/// Share of the answers that are errors, by model; any other model has none.
const ERRORS: [(&str, f64); 5] = [
    ("ro2-gpt", 0.01),
    ("ro2-claude", 0.3),
    ("ro3-claude", 1.0),
    ("ro9-gpt", 0.05),
    ("ro9-claude", 0.05),
];

/// The stage, while a scenario plays on it.
static SHARED: Mutex<Weak<Stage>> = Mutex::const_new(Weak::new());
/// What it runs on: it outlives every scenario.
static RUNTIME: OnceLock<Runtime> = OnceLock::new();

pub(crate) struct Stage {
    // Ended in this order: followers before what they follow.
    pub(crate) routers: [Router; 2],
    planes: [ControlPlane; 2],
    /// Whoever needs it up reads; whoever kills it writes, so comes last.
    pub(crate) prometheus: RwLock<Prometheus>,
    _simulator: Simulator,
    _etcd: Etcd,
    _folder: World,
    turn: AtomicUsize,
}

impl Stage {
    pub(crate) async fn shared() -> Arc<Self> {
        let mut shared = SHARED.lock().await;
        if let Some(stage) = shared.upgrade() {
            return stage;
        }
        let begin = || {
            let build = || {
                Builder::new_multi_thread()
                    .worker_threads(1)
                    .enable_all()
                    .build()
            };
            let runtime = RUNTIME.get_or_init(|| build().expect("a runtime can be built"));
            runtime.block_on(Self::start())
        };
        let stage = spawn_blocking(begin).await.expect("the stage begins");
        let stage = Arc::new(stage);
        *shared = Arc::downgrade(&stage);
        stage
    }

    async fn start() -> Self {
        let folder = World::new();
        let etcd = Etcd::start(&folder).await;
        let store = etcd.store();
        let simulator = Simulator::start(&folder).await;
        simulator.script(&script()).await;
        let routers = [
            Router::start(&folder, "r1", &store).await,
            Router::start(&folder, "r2", &store).await,
        ];
        let prometheus = Prometheus::start(&folder, &[routers[0].admin, routers[1].admin]).await;
        let planes = [
            plane(&folder, "one", (&store, &prometheus.url())).await,
            plane(&folder, "two", (&store, &prometheus.url())).await,
        ];
        let api = planes[0].admin();
        let base_url = format!("http://{}/v1", simulator.address);
        let provider = json!({"name": "a", "dialect": "openai", "baseUrl": base_url});
        api.set("/providers/a", &provider).await;
        let key = json!({"name": "story", "secrets": [{"sha256": CALLER_SHA256}], "routes": ["*"]});
        api.set("/keys/story", &key).await;
        prometheus.wait_until_scraped(routers.len()).await;
        Self {
            routers,
            planes,
            prometheus: RwLock::new(prometheus),
            _simulator: simulator,
            _etcd: etcd,
            _folder: folder,
            turn: AtomicUsize::new(0),
        }
    }

    /// Where callers go.
    pub(crate) fn doors(&self) -> [SocketAddr; 2] {
        [self.routers[0].traffic, self.routers[1].traffic]
    }

    /// The API of one control plane after the other, as an admin.
    pub(crate) fn api(&self) -> Api {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.planes[turn % self.planes.len()].admin()
    }

    /// `serin ARGUMENTS` as an operator.
    pub(crate) async fn command(&self, arguments: &[&str]) -> command::Ended {
        command::serin(self.planes[0].api, token("operator"), arguments).await
    }

    /// What the control plane that leads measures; nothing if none does.
    pub(crate) async fn leader(&self) -> Option<Scrape> {
        for plane in &self.planes {
            let text = ask(plane.api, &Request::get("/metrics")).await.text();
            let scrape = Scrape::read(&text);
            if scrape.sum("serin_cp_leader", &[]) == 1.0 {
                return Some(scrape);
            }
        }
        None
    }

    /// A sum over both routers, as they say themselves.
    pub(crate) async fn counted(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let mut sum = 0.0;
        for router in &self.routers {
            sum += router.metrics().await.sum(name, labels);
        }
        format!("{sum:.0}").parse().expect("a count")
    }
}

fn script() -> Value {
    let model = |share: f64| json!({"errors": [{"status": 500, "share": share}]});
    let models = ERRORS.map(|(name, share)| (name.to_owned(), model(share)));
    json!({"seed": 7, "models": Map::from_iter(models)})
}

/// A control plane with a Prometheus.
async fn plane(world: &World, name: &str, (store, prometheus): (&str, &str)) -> ControlPlane {
    let (api, grpc) = (free_address(), free_address());
    let text = format!(
        "server:\n  allowedNetworks: [127.0.0.0/8]\n{}",
        settings(api, grpc)
    );
    let config = world.write(&format!("{name}.yaml"), &text);
    let config = config.to_string_lossy().into_owned();
    let arguments = [
        "control-plane",
        "--store",
        store,
        "--config",
        &config,
        "--prometheus",
        prometheus,
    ];
    let process = Process::start(serin_binary().as_os_str(), &arguments, &environment());
    let mut plane = ControlPlane { process, api, grpc };
    let process = &mut plane.process;
    let look = async || match process.ended() {
        Some(status) => panic!("serin control-plane ended: {status}\n{}", process.printed()),
        None => (answers(api, "/readyz").await, process.stderr()),
    };
    let promise = "the control plane's /readyz answers 200";
    eventually(promise, START_WITHIN, look, |seen| seen.0 == Some(200)).await;
    plane
}
