//! What a scenario plays on: a real etcd, real control planes, routers and a Prometheus that are
//! scripted.
//!
//! The shared stage's time runs tenfold at the Prometheus, so that a tick of one second reads what
//! the default interval would; clocks of the plan that are the leader's own are shortened alike.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use serde_json::{Value, json};
use serin_tests::control_plane::{environment, settings, token};
use serin_tests::etcd::Etcd;
use serin_tests::process::{Process, serin_binary};
use serin_tests::scripted_prometheus::{Pace, ScriptedPrometheus};
use serin_tests::scripted_routers::ScriptedRouters;
use serin_tests::serin::answers;
use serin_tests::{Api, ControlPlane, Gateway, World, eventually, free_address};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Mutex, Semaphore, SemaphorePermit};
use tokio::task::spawn_blocking;

const START_WITHIN: Duration = Duration::from_secs(60);
/// The routers of the shared stage.
pub(crate) const ROUTERS: [&str; 2] = ["r1", "r2"];
/// Stages of their own that run at once.
const APART_MAX: usize = 4;

/// The shared stage, while a scenario plays on it. It ends with the last one.
static SHARED: Mutex<Weak<Stage>> = Mutex::const_new(Weak::new());
/// What the shared stage runs on: it outlives every scenario.
static RUNTIME: OnceLock<Runtime> = OnceLock::new();
static APART: Semaphore = Semaphore::const_new(APART_MAX);

pub(crate) struct Stage {
    // Ended in this order: followers before what they follow.
    pub(crate) routers: ScriptedRouters,
    pub(crate) planes: Vec<ControlPlane>,
    pub(crate) prometheus: Arc<ScriptedPrometheus>,
    pub(crate) etcd: Etcd,
    pub(crate) folder: World,
    turn: AtomicUsize,
    _permit: Option<SemaphorePermit<'static>>,
}

impl Stage {
    /// Two control planes and two routers, for all who ask while somebody holds it.
    pub(crate) async fn shared() -> Arc<Self> {
        let mut shared = SHARED.lock().await;
        if let Some(stage) = shared.upgrade() {
            return stage;
        }
        let begin = || {
            let build = || {
                Builder::new_multi_thread()
                    .worker_threads(2)
                    .enable_all()
                    .build()
            };
            let runtime = RUNTIME.get_or_init(|| build().expect("a runtime can be built"));
            runtime.block_on(Self::start(Pace::TENFOLD, &ROUTERS, 2))
        };
        let stage = Arc::new(
            spawn_blocking(begin)
                .await
                .expect("the shared stage begins"),
        );
        *shared = Arc::downgrade(&stage);
        stage
    }

    /// For a scenario that breaks what others stand on.
    pub(crate) async fn apart(pace: Pace, routers: &[&str], planes: usize) -> Self {
        let permit = APART.acquire().await.expect("it is never closed");
        let stage = Self::start(pace, routers, planes).await;
        Self {
            _permit: Some(permit),
            ..stage
        }
    }

    async fn start(pace: Pace, routers: &[&str], planes: usize) -> Self {
        let folder = World::new();
        let etcd = Etcd::start(&folder).await;
        let prometheus = Arc::new(ScriptedPrometheus::start(pace, routers));
        let mut begun = Vec::new();
        for n in 0..planes {
            begun.push(plane(&folder, n, (&etcd.store(), &prometheus.url())).await);
        }
        let followed = Arc::clone(&prometheus);
        let routers = ScriptedRouters::start(etcd.address(), routers, followed);
        let stage = Self {
            routers,
            planes: begun,
            prometheus,
            etcd,
            folder,
            turn: AtomicUsize::new(0),
            _permit: None,
        };
        let base_url = "http://127.0.0.1:9/v1";
        for name in ["a", "b"] {
            let provider = json!({"name": name, "dialect": "openai", "baseUrl": base_url});
            stage
                .api()
                .set(&format!("/providers/{name}"), &provider)
                .await;
        }
        stage
    }

    /// The API of one control plane after the other, as an admin.
    pub(crate) fn api(&self) -> Api {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.planes[turn % self.planes.len()].admin()
    }

    /// A key after the prefix, as it is stored.
    pub(crate) async fn stored(&self, key: &str) -> Option<Value> {
        let mut gateway = self.gateway().await;
        let value = gateway.get(key).await.expect("etcd answers");
        value.and_then(|value| serde_json::from_slice(&value).ok())
    }

    pub(crate) async fn gateway(&self) -> Gateway {
        let gateway = Gateway::open(self.etcd.address()).await;
        gateway.expect("etcd listens")
    }

    /// `serin ARGUMENTS` as an operator.
    pub(crate) async fn command(&self, arguments: &[&str]) -> serin_tests::command::Ended {
        let server = self.planes[0].api;
        serin_tests::command::serin(server, token("operator"), arguments).await
    }
}

/// A control plane with a Prometheus.
async fn plane(world: &World, n: usize, (store, prometheus): (&str, &str)) -> ControlPlane {
    let (api, grpc) = (free_address(), free_address());
    let text = format!(
        "server:\n  allowedNetworks: [127.0.0.0/8]\n{}    prometheus: \"{prometheus}\"\n",
        settings(api, grpc)
    );
    let config = world.write(&format!("plane-{n}.yaml"), &text);
    let config = config.to_string_lossy().into_owned();
    let arguments = ["control-plane", "--store", store, "--config", &config];
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
