//! One route and its rollout, as an operator sees them and as both routers do.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};
use serin_tests::{Router, eventually};
use tokio::time::interval;

use crate::stage::Stage;

/// Between two looks at a rollout.
const LOOK_EVERY: Duration = Duration::from_millis(250);
const SOON: Duration = Duration::from_secs(20);
/// A decision is on all routers within this.
const APPLIED_WITHIN: Duration = Duration::from_secs(5);

/// A rollout's state; shown in short.
#[derive(Clone)]
pub(crate) struct Seen(pub(crate) Value);

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = [
            "seq",
            "phase",
            "sub",
            "pauseReasons",
            "step",
            "share",
            "verdict",
            "endedBecause",
            "guard",
            "clocks",
            "counters",
            "cursorMs",
            "exposureStartMs",
            "code",
            "detail",
            "errors",
        ];
        let shown = fields
            .iter()
            .filter_map(|name| Some((*name, self.0.get(*name)?)));
        f.debug_map()
            .entries(shown.map(|(k, v)| (k, v.to_string())))
            .finish()
    }
}

impl Seen {
    pub(crate) fn is(&self, phase: &str) -> bool {
        self.0["phase"] == phase
    }

    /// In a step (from 0), of whose counts a window was judged.
    pub(crate) fn analyses(&self, step: u64) -> bool {
        self.is("Progressing") && self.0["sub"] == "Analysing" && self.0["step"] == step
    }

    pub(crate) fn is_paused_for(&self, reason: &str) -> bool {
        let reasons = self.0["pauseReasons"].as_array();
        let mut reasons = reasons.into_iter().flatten();
        self.is("Paused") && reasons.any(|known| known == reason)
    }

    pub(crate) fn verdict(&self) -> &str {
        self.0["verdict"]["kind"].as_str().unwrap_or_default()
    }

    pub(crate) fn share(&self) -> f64 {
        self.0["share"].as_f64().unwrap_or(-1.0)
    }

    pub(crate) fn number(&self, pointer: &str) -> u64 {
        number(self.0.pointer(pointer))
    }

    fn has_ended(&self) -> bool {
        let phase = self.0["phase"].as_str().unwrap_or_default();
        ["Succeeded", "Failed", "Aborted", "Superseded"].contains(&phase)
    }
}

/// A number, also if it is written as a text.
pub(crate) fn number(value: Option<&Value>) -> u64 {
    let Some(value) = value else { return 0 };
    let text = value.as_str().and_then(|text| text.parse().ok());
    value.as_u64().or(text).unwrap_or(0)
}

/// What a window counted: `c` or `s`, samples and errors.
pub(crate) fn counts(window: &Value, arm: &str) -> [u64; 2] {
    let counts = &window["counts"]["errors"][0][arm];
    [number(counts.get(0)), number(counts.get(1))]
}

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
    pub(crate) route: String,
    id: String,
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
        let path = format!("/routes/{route}");
        // Many routes are made at once, and each asks whether it is alone.
        let make = async || {
            let answer = stage.api().put(&path, &document, None).await;
            (answer.status(), answer.text())
        };
        eventually("the route is made", SOON, make, |made| made.0 == 201).await;
        let story = Self {
            stage,
            route: route.to_owned(),
            id: String::new(),
        };
        for router in &stage.routers {
            let look = async || story.served(router).await;
            let there = |seen: &Value| !seen.is_null();
            eventually("the router has the route", SOON, look, there).await;
        }
        story
    }

    /// Starts a rollout.
    pub(crate) async fn start(&mut self, plan: &Value) {
        let path = format!("/routes/{}/rollouts", self.route);
        let answer = self.stage.api().post(&path, plan).await;
        assert_eq!(answer.status(), 201, "{plan}: {}", answer.text());
        let id = answer.json()["rolloutId"].as_str().map(str::to_owned);
        self.id = id.unwrap_or_else(|| panic!("no rolloutId: {}", answer.text()));
    }

    pub(crate) async fn state(&self) -> Seen {
        let path = format!("/rollouts/{}", self.id);
        Seen(self.stage.api().get(&path).await.json())
    }

    /// Looks until it holds.
    pub(crate) async fn until(
        &self,
        promise: &str,
        seconds: u64,
        holds: impl Fn(&Seen) -> bool,
    ) -> Seen {
        let mut pace = interval(LOOK_EVERY);
        let look = async || {
            pace.tick().await;
            self.state().await
        };
        let promise = format!("{}: {promise}", self.route);
        eventually(&promise, Duration::from_secs(seconds), look, holds).await
    }

    /// Waits until it has ended, which must be so.
    pub(crate) async fn ends(&self, phase: &str, seconds: u64) -> Seen {
        let promise = format!("it ends as {phase}");
        let seen = self.until(&promise, seconds, Seen::has_ended).await;
        assert!(seen.is(phase), "{}: not {phase}: {seen:#?}", self.route);
        seen
    }

    pub(crate) async fn abort(&self) {
        let path = format!("/rollouts/{}/abort", self.id);
        let answer = self.stage.api().post(&path, &json!({})).await;
        assert_eq!(answer.status(), 200, "{}: {}", self.route, answer.text());
    }

    /// The route's live traffic.
    pub(crate) async fn traffic(&self) -> Value {
        let path = format!("/routes/{}/traffic", self.route);
        self.stage.api().get(&path).await.json()
    }

    /// The records, oldest first.
    pub(crate) async fn history(&self) -> Vec<Value> {
        let path = format!("/rollouts/{}/history", self.id);
        let answer = self.stage.api().get(&path).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let list = answer.json();
        let items = list.get("items").unwrap_or(&list).as_array().cloned();
        items.unwrap_or_else(|| panic!("no list: {}", answer.text()))
    }

    /// Names of the transitions so far; checkpoints left out.
    pub(crate) async fn transitions(&self) -> String {
        let history = self.history().await;
        let names = history
            .iter()
            .filter_map(|record| record["transition"].as_str());
        let names: Vec<&str> = names.filter(|name| *name != "checkpoint").collect();
        names.join(" ")
    }

    /// All windows that were counted, also those that are in no record yet.
    pub(crate) async fn windows(&self) -> Vec<Value> {
        // The state first: what leaves it meanwhile is in the records. Seen twice it is once.
        let state = self.state().await;
        let history = self.history().await;
        let kept = history
            .iter()
            .filter_map(|record| record["events"].as_array());
        let rest = state.0["events"].as_array().into_iter();
        let mut windows = Vec::new();
        for event in kept.chain(rest).flatten() {
            let window = event.pointer("/event/tick/reading/window").cloned();
            windows.extend(window.filter(|window| window["to"] != window["from"]));
        }
        windows.sort_by_key(|window| number(window.get("from")));
        windows.dedup_by_key(|window| (number(window.get("from")), number(window.get("to"))));
        windows
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
        for name in ["gpt", "claude", "spare"] {
            let weight = traffic["weights"][name].as_f64().unwrap_or(0.0);
            let expected = if name == target { 100.0 } else { 0.0 };
            assert_eq!(weight, expected, "{}: {traffic}", self.route);
        }
        let canary = traffic["canary"].as_str().unwrap_or_default();
        assert!(canary.is_empty(), "{}: {traffic}", self.route);
        let rollout = traffic.get("rollout");
        assert!(
            rollout.is_none_or(Value::is_null),
            "{}: {traffic}",
            self.route
        );
    }

    /// Every automatic decision follows from what is recorded.
    pub(crate) async fn verifies(&self) {
        let arguments = ["rollout", "history", &self.route, "--verify"];
        let said = self.stage.command(&arguments).await;
        assert_eq!(said.code, Some(0), "{}: {said:?}", self.route);
    }
}
