//! What a scenario plays on: a real etcd, real control planes, routers and a Prometheus that are
//! scripted.
//!
//! The shared stage's time runs tenfold at the Prometheus, so that a tick of one second reads what
//! the default interval would; clocks of the plan that are the leader's own are shortened alike.

use std::sync::Arc;

use serde_json::{Value, json};
use serin_tests::control_plane::{Launch, token};
use serin_tests::etcd::Etcd;
use serin_tests::scripted_prometheus::{Pace, ScriptedPrometheus};
use serin_tests::scripted_routers::ScriptedRouters;
use serin_tests::shared::Shared;
use serin_tests::{Api, Apis, ControlPlane, Gateway, World};
use tokio::sync::{Semaphore, SemaphorePermit};

/// The routers of the shared stage.
pub(crate) const ROUTERS: [&str; 2] = ["r1", "r2"];
/// Stages of their own that run at once.
const APART_MAX: usize = 4;

static SHARED: Shared<Stage> = Shared::new();
static APART: Semaphore = Semaphore::const_new(APART_MAX);

pub(crate) struct Stage {
    // Ended in this order: followers before what they follow.
    pub(crate) routers: ScriptedRouters,
    pub(crate) planes: Vec<ControlPlane>,
    pub(crate) prometheus: Arc<ScriptedPrometheus>,
    pub(crate) etcd: Etcd,
    pub(crate) folder: World,
    pub(crate) apis: Apis,
    _permit: Option<SemaphorePermit<'static>>,
}

impl Stage {
    /// Two control planes and two routers, for all who ask while somebody holds it.
    pub(crate) async fn shared() -> Arc<Self> {
        SHARED.get(|| Self::start(Pace::TENFOLD, &ROUTERS, 2)).await
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
            let launch = Launch::on(&etcd.store()).prometheus_written(&prometheus.url());
            begun.push(ControlPlane::launch(&folder, &format!("plane-{n}"), &launch).await);
        }
        let followed = Arc::clone(&prometheus);
        let routers = ScriptedRouters::start(etcd.address(), routers, followed);
        let stage = Self {
            routers,
            apis: Apis::new(begun.iter().map(ControlPlane::admin).collect()),
            planes: begun,
            prometheus,
            etcd,
            folder,
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
        self.apis.next().clone()
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
