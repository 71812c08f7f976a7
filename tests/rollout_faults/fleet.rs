//! A stage with two real routers and a provider behind them; the second router speaks with etcd over
//! a wire. What the scripted Prometheus makes up goes where the route says.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use serin_tests::control_plane::Launch;
use serin_tests::etcd::Etcd;
use serin_tests::rollouts::State;
use serin_tests::scripted_prometheus::{Live, Pace, ScriptedPrometheus, Traffic};
use serin_tests::serin::CALLER_SHA256;
use serin_tests::wire::Wire;
use serin_tests::{Api, Router, Simulator, World, eventually};
use serin_tests::{ControlPlane, Rollout};
use tokio::task::JoinHandle;
use tokio::time::interval;

use crate::stage::{SOON, documents, plan, start};
use crate::store::{Store, fresh};

const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(crate) struct Fleet {
    // Ended in this order: followers before what they follow.
    pub(crate) routers: [Router; 2],
    pub(crate) planes: [ControlPlane; 2],
    pub(crate) wire: Wire,
    follower: JoinHandle<()>,
    pub(crate) prometheus: Arc<ScriptedPrometheus>,
    pub(crate) simulator: Simulator,
    pub(crate) etcd: Etcd,
    pub(crate) store: Store,
    pub(crate) world: World,
}

impl Fleet {
    /// With the route `chat` served by both routers.
    pub(crate) async fn start(pace: Pace, arguments: &[&str]) -> Self {
        let (world, etcd, store) = if arguments.is_empty() {
            fresh().await
        } else {
            let world = World::new();
            let etcd = Etcd::start_with(&world, arguments).await;
            let store = Store(etcd.address());
            (world, etcd, store)
        };
        let simulator = Simulator::start(&world).await;
        let prometheus = Arc::new(ScriptedPrometheus::start(pace, &["r1", "r2"]));
        prometheus.traffic("chat", Traffic::healthy(200.0));
        let follower = tokio::spawn(follow(store, Arc::clone(&prometheus)));
        let launch = Launch::on(&etcd.store()).prometheus(&prometheus.url());
        let first = ControlPlane::launch(&world, "one", &launch).await;
        store.is_led_by(&first, SOON).await;
        let planes = [first, ControlPlane::launch(&world, "two", &launch).await];
        let api = planes[0].admin();
        documents(&api, &format!("http://{}/v1", simulator.address), "chat").await;
        let key = json!({"name": "story", "secrets": [{"sha256": CALLER_SHA256}], "routes": ["*"]});
        api.set("/keys/story", &key).await;
        let wire = Wire::to(etcd.address()).await;
        let routers = [
            Router::start(&world, "r1", &etcd.store()).await,
            Router::start(&world, "r2", &format!("etcd://{}", wire.address)).await,
        ];
        Self {
            routers,
            planes,
            wire,
            follower,
            prometheus,
            simulator,
            etcd,
            store,
            world,
        }
    }

    pub(crate) fn api(&self) -> Api {
        self.planes[0].admin()
    }

    /// A rollout whose last step does not end by itself, there and judged.
    pub(crate) async fn stands_at(&self, weights: &[u32]) -> Rollout {
        let mut plan = plan(weights, &json!({}));
        let last = weights.len() - 1;
        plan["steps"][last]["minDuration"] = json!("36000s");
        let chat = start(&self.api(), "chat", &plan).await;
        let there = |state: &State| state.step() == Some(last as u64) && state.sub() == "Analysing";
        self.store
            .until(("chat", "its last step is judged"), SOON * 4, there)
            .await;
        for router in &self.routers {
            exposes(router, f64::from(weights[last]), SOON).await;
        }
        chat
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

async fn follow(store: Store, prometheus: Arc<ScriptedPrometheus>) {
    let mut pace = interval(LOOK_EVERY);
    let mut last = Value::Null;
    loop {
        pace.tick().await;
        let routes = store
            .try_list("config/routes/chat")
            .await
            .unwrap_or_default();
        let Some(traffic) = routes.first().map(|kept| kept.json()["traffic"].take()) else {
            continue;
        };
        if traffic != last {
            prometheus.live("chat", live(&traffic));
            last = traffic;
        }
    }
}

fn live(traffic: &Value) -> Live {
    let mut live = Live::default();
    for name in ["gpt", "claude", "mistral"] {
        let weight = traffic["weights"][name].as_f64().unwrap_or_default();
        live.weights.insert(name.to_owned(), weight);
    }
    let canary = traffic["canary"].as_str().filter(|name| !name.is_empty());
    live.canary = canary.map(str::to_owned);
    live
}

/// The route's canary as a router shows it; null: it has none.
pub(crate) async fn canary(router: &Router) -> Value {
    let snapshot = router.snapshot().await;
    let mut routes = snapshot["routes"].as_array().into_iter().flatten();
    let chat = routes.find(|route| route["name"] == "chat");
    chat.unwrap_or_else(|| panic!("{} has no route: {snapshot}", router.id))["canary"].clone()
}

/// Waits until a router gives the canary that share.
pub(crate) async fn exposes(router: &Router, percent: f64, within: Duration) {
    let look = async || canary(router).await;
    let promise = format!("{} gives the canary {percent} %", router.id);
    let gives = |canary: &Value| canary["share"] == percent && canary["exposed"] == true;
    eventually(&promise, within, look, gives).await;
}

/// Waits until a router sends nothing new to a candidate.
pub(crate) async fn exposes_nothing(router: &Router, within: Duration) {
    let look = async || canary(router).await;
    let promise = format!("{} sends nothing new to the candidate", router.id);
    let nothing = |canary: &Value| canary.is_null() || canary["exposed"] == false;
    eventually(&promise, within, look, nothing).await;
}
