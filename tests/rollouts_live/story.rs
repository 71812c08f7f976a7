//! One route and its rollout, as both routers see it.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use serde_json::{Value, json};
use serin_tests::rollouts::is_all;
use serin_tests::{Rollout, Router, eventually};

use crate::stage::Stage;

const SOON: Duration = Duration::from_secs(20);
/// A decision is on all routers within this.
const APPLIED_WITHIN: Duration = Duration::from_secs(5);

/// A step of so many percent: two seconds, and so many samples.
pub(crate) fn step(weight: u32, samples: u32) -> Value {
    json!({"weight": weight, "minDuration": "2s", "minSamples": samples})
}

/// The same until something happens.
pub(crate) fn endless(weight: u32, samples: u32) -> Value {
    json!({"weight": weight, "minDuration": "24h", "minSamples": samples})
}

/// A plan of those steps, looked at each second, judged by errors alone.
pub(crate) fn plan(steps: &[Value]) -> Value {
    json!({
        "candidate": "claude",
        "steps": steps,
        "promotion": {"bake": "2s"},
        "analysis": {
            "interval": "1s",
            "warmup": "1s",
            "metrics": [{"name": "errors", "margin": {"points": 0.5}}],
            // What fails wholly is found by counting, not by its breaker.
            "guards": {"breakerOpen": "60s"},
            "consecutiveErrorLimit": 20,
        },
    })
}

/// A route on the stage.
pub(crate) struct Story<'a> {
    pub(crate) stage: &'a Stage,
    rollout: Rollout,
}

impl Deref for Story<'_> {
    type Target = Rollout;

    fn deref(&self) -> &Rollout {
        &self.rollout
    }
}

impl DerefMut for Story<'_> {
    fn deref_mut(&mut self) -> &mut Rollout {
        &mut self.rollout
    }
}

impl<'a> Story<'a> {
    /// A route with targets `gpt` (all of it), `claude`, and one to fall back to that never fails.
    /// Models have the route's name before their own.
    pub(crate) async fn begin(stage: &'a Stage, route: &str) -> Self {
        let target =
            |name: &str| json!({"name": name, "provider": "a", "model": format!("{route}-{name}")});
        let document = json!({
            "name": route,
            "targets": [target("gpt"), target("claude"), target("spare")],
            "traffic": {"weights": {"gpt": 100, "claude": 0, "spare": 0}, "fallback": ["gpt", "spare"]},
            "affinity": ["body:user"],
            "timeouts": {"total": "20s"},
        });
        let rollout = Rollout::on_new_route(stage.apis.clone(), &document).await;
        let story = Self { stage, rollout };
        for router in &stage.routers {
            let look = async || story.served(router).await;
            let there = |seen: &Value| !seen.is_null();
            eventually("the router has the route", SOON, look, there).await;
        }
        story
    }

    /// What one router has of the route; null: nothing.
    async fn served(&self, router: &Router) -> Value {
        let snapshot = router.snapshot().await;
        let mut routes = snapshot["routes"].as_array().into_iter().flatten();
        let found = routes.find(|route| route["name"] == self.route.as_str());
        found.cloned().unwrap_or_default()
    }

    /// No router names a canary any more, at once after the decision.
    pub(crate) async fn routers_name_no_canary(&self) {
        for router in &self.stage.routers {
            let look = async || self.served(router).await;
            let promise = format!("{} at {}: no canary", self.route, router.id);
            let is_none = |route: &Value| !route.is_null() && route["canary"].is_null();
            eventually(&promise, APPLIED_WITHIN, look, is_none).await;
        }
    }

    /// All weight is one target's, and nothing of a rollout is left.
    pub(crate) async fn all_is(&self, target: &str) {
        let traffic = self.traffic().await;
        assert!(is_all(&traffic, target), "{}: {traffic}", self.route);
    }
}
