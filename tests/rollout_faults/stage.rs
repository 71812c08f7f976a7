//! An etcd, a scripted Prometheus, scripted routers, and as many control planes as a scenario kills.
//!
//! One route after the other gets the traffic of two healthy targets; what a scenario wants to go
//! wrong it says itself. Scenarios about routers bring real ones.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use serin_tests::client::Answer;
use serin_tests::command;
use serin_tests::control_plane::token;
use serin_tests::etcd::Etcd;
use serin_tests::scripted_prometheus::{Pace, ScriptedPrometheus, Traffic};
use serin_tests::scripted_routers::ScriptedRouters;
use serin_tests::{Api, World, eventually};

use crate::plane::{Launch, Plane};
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
        Launch::new(&self.etcd.store(), &self.prometheus.url())
    }

    /// The same through an address of its own.
    pub(crate) fn launch_by(&self, etcd: SocketAddr) -> Launch {
        Launch::new(&format!("etcd://{etcd}"), &self.prometheus.url())
    }

    /// One that leads, or one that stands by.
    pub(crate) async fn plane(&self, name: &str, launch: &Launch) -> Plane {
        Plane::start(&self.world, name, launch).await
    }

    /// Two of them; the first leads.
    pub(crate) async fn two_planes(&self) -> [Plane; 2] {
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
    let target = |name: &str| json!({"name": name, "provider": "a", "model": name});
    let document = json!({
        "name": route,
        "targets": [target("gpt"), target("claude"), target("mistral")],
        "traffic": {"weights": {"gpt": 100, "claude": 0, "mistral": 0}, "fallback": ["gpt"]},
        "timeouts": {"total": "20s"},
    });
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

/// Starts a rollout that must be accepted, and returns its id.
pub(crate) async fn start(api: &Api, route: &str, plan: &Value) -> String {
    let answer = api.post(&format!("/routes/{route}/rollouts"), plan).await;
    assert!(
        matches!(answer.status(), 200 | 201),
        "{plan}: {}",
        answer.text()
    );
    id_in(&answer)
}

pub(crate) fn id_in(answer: &Answer) -> String {
    let id = answer.json()["rolloutId"].as_str().map(str::to_owned);
    id.unwrap_or_else(|| panic!("no rolloutId: {} {}", answer.status(), answer.text()))
}

/// Every automatic decision of the route's newest rollout follows from what is recorded, as
/// `serin rollout history --verify` finds.
pub(crate) async fn verifies(plane: &Plane, route: &str) {
    let arguments = ["rollout", "history", route, "--verify"];
    let ended = command::serin(plane.api, token("viewer"), &arguments).await;
    assert_eq!(
        ended.code,
        Some(0),
        "{route}: {}\n{}",
        ended.stderr,
        ended.stdout
    );
}

/// The traffic of a route whose rollout has come to nothing.
pub(crate) fn is_taken_back(traffic: &Value) -> bool {
    let weight = |name: &str| traffic["weights"][name].as_f64().unwrap_or_default();
    let names_none = traffic["canary"].as_str().unwrap_or_default().is_empty();
    weight("gpt") == 100.0 && weight("claude") == 0.0 && names_none && traffic["rollout"].is_null()
}

/// The traffic of a route whose rollout has succeeded.
pub(crate) fn is_all_the_candidates(traffic: &Value) -> bool {
    let weight = |name: &str| traffic["weights"][name].as_f64().unwrap_or_default();
    let names_none = traffic["canary"].as_str().unwrap_or_default().is_empty();
    weight("claude") == 100.0 && weight("gpt") == 0.0 && names_none && traffic["rollout"].is_null()
}
