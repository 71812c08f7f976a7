//! An etcd, a scripted Prometheus, scripted routers, and as many control planes as a scenario kills.
//!
//! One route after the other gets the traffic of two healthy targets; what a scenario wants to go
//! wrong it says itself. Scenarios about routers bring real ones.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use serin_tests::control_plane::Launch;
use serin_tests::etcd::Etcd;
use serin_tests::rollouts::three_targets;
use serin_tests::scripted_prometheus::{Pace, ScriptedPrometheus, Traffic};
use serin_tests::scripted_routers::ScriptedRouters;
use serin_tests::{Api, ControlPlane, Rollout, World, eventually};

use crate::store::{Store, fresh};

pub(crate) const SOON: Duration = Duration::from_secs(20);
/// Four seconds of the Prometheus within one of ours, scraped each second of its own: a leader may
/// be missing for eleven seconds before routers take the share away.
pub(crate) const PACE: Pace = Pace {
    speed: 4,
    scrape_ms: 1_000,
    kept: 900,
};
/// Least time of a plan's step, by the Prometheus.
pub(crate) const STEP_MS: u64 = 8_000;
const ROUTERS: [&str; 2] = ["r1", "r2"];
/// Requests of a route in a second of the Prometheus.
const PER_SECOND: f64 = 200.0;

pub(crate) struct Stage {
    // Ended in this order: followers before what they follow.
    pub(crate) routers: ScriptedRouters,
    pub(crate) prometheus: Arc<ScriptedPrometheus>,
    pub(crate) etcd: Etcd,
    pub(crate) store: Store,
    pub(crate) world: World,
}

impl Stage {
    pub(crate) async fn start() -> Self {
        Self::at(PACE).await
    }

    pub(crate) async fn at(pace: Pace) -> Self {
        let (world, etcd, store) = fresh().await;
        let prometheus = Arc::new(ScriptedPrometheus::start(pace, &ROUTERS));
        let routers = ScriptedRouters::start(etcd.address(), &ROUTERS, Arc::clone(&prometheus));
        Self {
            routers,
            prometheus,
            etcd,
            store,
            world,
        }
    }

    /// How a control plane of this stage is started.
    pub(crate) fn launch(&self) -> Launch {
        Launch::on(&self.etcd.store()).prometheus(&self.prometheus.url())
    }

    /// The same through an address of its own.
    pub(crate) fn launch_by(&self, etcd: SocketAddr) -> Launch {
        Launch::on(&format!("etcd://{etcd}")).prometheus(&self.prometheus.url())
    }

    /// One that leads, or one that stands by.
    pub(crate) async fn plane(&self, name: &str, launch: &Launch) -> ControlPlane {
        ControlPlane::launch(&self.world, name, launch).await
    }

    /// Two of them; the first leads.
    pub(crate) async fn two_planes(&self) -> [ControlPlane; 2] {
        let first = self.plane("one", &self.launch()).await;
        self.store.is_led_by(&first, SOON).await;
        let second = self.plane("two", &self.launch()).await;
        [first, second]
    }

    /// A route with targets `gpt` (all of it), `claude` and `mistral`, healthy, with some past.
    pub(crate) async fn route(&self, api: &Api, name: &str) {
        self.routes(api, &[name.to_owned()]).await;
    }

    /// The same for many.
    pub(crate) async fn routes(&self, api: &Api, names: &[String]) {
        for name in names {
            self.prometheus.traffic(name, Traffic::healthy(PER_SECOND));
            documents(api, "http://127.0.0.1:9/v1", name).await;
        }
        for name in names {
            let look = async || (self.routers.live(name).weights.len(), self.routers.error());
            eventually("routers serve the route", SOON, look, |seen| seen.0 > 0).await;
        }
        let from = self.prometheus.now_ms();
        let now = async || self.prometheus.now_ms();
        let past = |now: &u64| *now >= from + 15_000;
        eventually("the routes have a past", SOON, now, past).await;
    }
}

/// The provider, if it is not there, and a route with three targets.
pub(crate) async fn documents(api: &Api, base_url: &str, route: &str) {
    let provider = json!({"name": "a", "dialect": "openai", "baseUrl": base_url});
    if api.get("/providers/a").await.status() != 200 {
        api.set("/providers/a", &provider).await;
    }
    let document = three_targets(route);
    api.set(&format!("/routes/{route}"), &document).await;
}

/// A plan of steps of two seconds of ours, looked at each second. `changes` is put over it.
pub(crate) fn plan(weights: &[u32], changes: &Value) -> Value {
    let least = format!("{STEP_MS}ms");
    let step = |weight: &u32| json!({"weight": weight, "minDuration": least, "minSamples": 10});
    let steps: Vec<Value> = weights.iter().map(step).collect();
    let mut plan = json!({
        "candidate": "claude",
        "steps": steps,
        "promotion": {"bake": least, "holdback": 1},
        "analysis": {
            "interval": "1s",
            "warmup": "1s",
            "metrics": [{"name": "errors", "margin": {"points": 20, "ratio": 2}}],
        },
        "progressDeadline": "120s",
    });
    merge(&mut plan, changes);
    plan
}

fn merge(into: &mut Value, changes: &Value) {
    match (into, changes) {
        (Value::Object(into), Value::Object(changes)) => {
            for (name, value) in changes {
                merge(into.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (into, changes) => *into = changes.clone(),
    }
}

/// Starts a rollout.
pub(crate) async fn start(api: &Api, route: &str, plan: &Value) -> Rollout {
    let mut rollout = Rollout::of(api.clone(), route);
    rollout.start(plan).await;
    rollout
}
