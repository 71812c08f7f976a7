//! The shared stage: it begins with the first scenario and ends with the last.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use serin_tests::control_plane::{self, Launch};
use serin_tests::etcd::Etcd;
use serin_tests::serin::CALLER_SHA256;
use serin_tests::shared::Shared;
use serin_tests::{Apis, ControlPlane, Prometheus, Router, Simulator, World, eventually};
use tokio::sync::RwLock;

/// Share of the answers that are errors, by model; any other model has none.
const ERRORS: [(&str, f64); 5] = [
    ("ro2-gpt", 0.01),
    ("ro2-claude", 0.3),
    ("ro3-claude", 1.0),
    ("ro9-gpt", 0.05),
    ("ro9-claude", 0.05),
];

static SHARED: Shared<Stage> = Shared::new();

pub(crate) struct Stage {
    // Ended in this order: followers before what they follow.
    pub(crate) routers: [Router; 2],
    planes: [ControlPlane; 2],
    /// Whoever needs it up reads; whoever kills it writes, so comes last.
    pub(crate) prometheus: RwLock<Prometheus>,
    _simulator: Simulator,
    _etcd: Etcd,
    _folder: World,
    pub(crate) apis: Apis,
}

impl Stage {
    pub(crate) async fn shared() -> Arc<Self> {
        SHARED.get(Self::start).await
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
        let launch = Launch::on(&store).prometheus(&prometheus.url());
        let planes = [
            ControlPlane::launch(&folder, "one", &launch).await,
            ControlPlane::launch(&folder, "two", &launch).await,
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
            apis: Apis::new(planes.iter().map(ControlPlane::admin).collect()),
            planes,
            prometheus: RwLock::new(prometheus),
            _simulator: simulator,
            _etcd: etcd,
            _folder: folder,
        }
    }

    /// Where callers go.
    pub(crate) fn doors(&self) -> [SocketAddr; 2] {
        [self.routers[0].traffic, self.routers[1].traffic]
    }

    /// Waits until the control plane that leads measures that.
    pub(crate) async fn measures(&self, name: &str, labels: &[(&str, &str)], expected: f64) {
        let look = async || {
            let leader = control_plane::leader(&self.planes).await;
            leader.map(|scrape| scrape.sum(name, labels))
        };
        let is_so = |value: &Option<f64>| *value == Some(expected);
        eventually(name, Duration::from_secs(20), look, is_so).await;
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
