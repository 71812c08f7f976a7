//! One route and its rollouts, as an operator sees them: started, looked at, waited for.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};
use serin_tests::client::Answer;
use serin_tests::eventually;
use serin_tests::scripted_prometheus::{Tally, Traffic};
use tokio::time::interval;

use crate::stage::Stage;

/// Between two looks at a rollout.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const SOON: Duration = Duration::from_secs(20);
/// By the Prometheus' clock: how long a route serves before anything happens.
const BEFORE_MS: u64 = 30_000;

/// A rollout's state; shown in short.
#[derive(Clone)]
pub(crate) struct Seen(pub(crate) Value);

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = [
            "seq",
            "phase",
            "sub",
            "pausedIn",
            "pauseReasons",
            "step",
            "share",
            "verdict",
            "endedBecause",
            "clocks",
            "counters",
            "cursorMs",
            "exposureStartMs",
            "warmupMs",
            "hooks",
            "gates",
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
    pub(crate) fn phase(&self) -> &str {
        self.0["phase"].as_str().unwrap_or_default()
    }

    pub(crate) fn is(&self, phase: &str) -> bool {
        self.phase() == phase
    }

    pub(crate) fn has_ended(&self) -> bool {
        ["Succeeded", "Failed", "Aborted", "Superseded"].contains(&self.phase())
    }

    /// In a step (from 0), its counts judged.
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

    pub(crate) fn why(&self) -> &str {
        self.0["verdict"]["why"].as_str().unwrap_or_default()
    }

    pub(crate) fn share(&self) -> f64 {
        self.0["share"].as_f64().unwrap_or(-1.0)
    }

    pub(crate) fn number(&self, pointer: &str) -> u64 {
        number(self.0.pointer(pointer))
    }
}

/// A number, also if it is written as a text.
pub(crate) fn number(value: Option<&Value>) -> u64 {
    let Some(value) = value else { return 0 };
    let text = value.as_str().and_then(|text| text.parse().ok());
    value.as_u64().or(text).unwrap_or(0)
}

/// A route on the stage.
pub(crate) struct Story<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) route: String,
    /// Of the newest rollout.
    pub(crate) id: String,
}

impl<'a> Story<'a> {
    /// A route with targets `gpt` (all of it), `claude` and `mistral`, and its traffic.
    pub(crate) async fn begin(stage: &'a Stage, route: &str, traffic: Traffic) -> Self {
        let target = |name: &str| json!({"name": name, "provider": "a", "model": name});
        let document = json!({
            "name": route,
            "targets": [target("gpt"), target("claude"), target("mistral")],
            "traffic": {"weights": {"gpt": 100, "claude": 0, "mistral": 0}, "fallback": ["gpt"]},
            "timeouts": {"total": "20s"},
        });
        stage.prometheus.traffic(route, traffic);
        // Many routes are made at once, and each asks whether it is alone.
        let path = format!("/routes/{route}");
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
        let look = async || stage.routers.live(route).weights.len();
        eventually("routers serve the route", SOON, look, |targets| {
            *targets > 0
        })
        .await;
        story.passes(BEFORE_MS).await;
        story
    }

    /// Lets so much time pass at the Prometheus.
    pub(crate) async fn passes(&self, ms: u64) {
        let from = self.stage.prometheus.now_ms();
        let mut pace = interval(LOOK_EVERY);
        let look = async || {
            pace.tick().await;
            self.stage.prometheus.now_ms()
        };
        let within = Duration::from_millis(ms) + SOON;
        eventually("time passes", within, look, |now| *now >= from + ms).await;
    }

    /// Asks for a rollout to `claude`, unless the plan names another.
    pub(crate) async fn ask(&self, plan: &Value) -> Answer {
        let mut plan = plan.clone();
        if plan.get("candidate").is_none() {
            plan["candidate"] = json!("claude");
        }
        let path = format!("/routes/{}/rollouts", self.route);
        self.stage.api().post(&path, &plan).await
    }

    /// Starts a rollout.
    pub(crate) async fn start(&mut self, plan: &Value) {
        let answer = self.ask(plan).await;
        assert_eq!(answer.status(), 201, "{plan}: {}", answer.text());
        let id = answer.json()["rolloutId"].as_str().map(str::to_owned);
        self.id = id.unwrap_or_else(|| panic!("no rolloutId: {}", answer.text()));
    }

    pub(crate) async fn state(&self) -> Seen {
        let answer = self
            .stage
            .api()
            .get(&format!("/rollouts/{}", self.id))
            .await;
        Seen(answer.json())
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

    /// Looks for so many seconds that nothing else is the case.
    pub(crate) async fn stays(&self, promise: &str, ticks: u64, holds: impl Fn(&Seen) -> bool) {
        let from = self.state().await.number("/cursorMs");
        let until = self.stage.prometheus.now_ms() + ticks * self.tick_ms();
        let mut pace = interval(LOOK_EVERY);
        let look = async || {
            pace.tick().await;
            let seen = self.state().await;
            assert!(
                holds(&seen),
                "{}: not {promise}, from {from}: {seen:#?}",
                self.route
            );
            self.stage.prometheus.now_ms()
        };
        let within = Duration::from_secs(ticks * 2 + 20);
        eventually(promise, within, look, |now| *now >= until).await;
    }

    /// What a tick of one second reads.
    pub(crate) fn tick_ms(&self) -> u64 {
        self.stage.prometheus.speed() * 1_000
    }

    pub(crate) async fn verb(&self, verb: &str, body: &Value) -> Answer {
        let path = format!("/rollouts/{}/{verb}", self.id);
        self.stage.api().post(&path, body).await
    }

    /// A verb that must be legal.
    pub(crate) async fn does(&self, verb: &str, body: &Value) -> Seen {
        let answer = self.verb(verb, body).await;
        assert_eq!(
            answer.status(),
            200,
            "{} {verb}: {}",
            self.route,
            answer.text()
        );
        Seen(answer.json())
    }

    pub(crate) async fn gate(&self, gate: &str, open: bool) -> Answer {
        let path = format!("/rollouts/{}/gates/{gate}", self.id);
        self.stage
            .api()
            .put(&path, &json!({"open": open}), None)
            .await
    }

    /// The route's live traffic.
    pub(crate) async fn traffic(&self) -> Value {
        let path = format!("/routes/{}/traffic", self.route);
        self.stage.api().get(&path).await.json()
    }

    /// The records of the newest rollout, oldest first.
    pub(crate) async fn history(&self) -> Vec<Value> {
        let path = format!("/rollouts/{}/history", self.id);
        let answer = self.stage.api().get(&path).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let list = answer.json();
        let items = list.get("items").unwrap_or(&list).as_array().cloned();
        items.unwrap_or_else(|| panic!("no list: {}", answer.text()))
    }

    pub(crate) async fn analysis(&self) -> Value {
        let path = format!("/rollouts/{}/analysis", self.id);
        self.stage.api().get(&path).await.json()
    }

    /// Names of the transitions so far; checkpoints left out.
    pub(crate) async fn transitions(&self) -> Vec<String> {
        let history = self.history().await;
        let names = history
            .iter()
            .filter_map(|record| record["transition"].as_str());
        names
            .filter(|name| *name != "checkpoint")
            .map(str::to_owned)
            .collect()
    }

    /// Nothing of the candidate is left in the route, soon on all routers.
    pub(crate) async fn is_taken_back(&self) {
        let traffic = self.traffic().await;
        assert_eq!(
            traffic["weights"]["claude"].as_f64().unwrap_or(0.0),
            0.0,
            "{traffic}"
        );
        assert_eq!(traffic["weights"]["gpt"], 100.0, "{traffic}");
        assert!(
            traffic["canary"].as_str().unwrap_or_default().is_empty(),
            "{traffic}"
        );
        let look = async || self.stage.routers.live(&self.route);
        let within = Duration::from_secs(5);
        eventually("share 0 on all routers", within, look, |live| {
            live.share() == 0.0
        })
        .await;
    }

    /// Windows of the newest rollout: all that were counted, from, to, canary, stable.
    pub(crate) async fn windows(&self) -> Vec<Value> {
        let history = self.history().await;
        let state = self.state().await;
        let kept = history
            .iter()
            .filter_map(|record| record["events"].as_array())
            .flatten();
        let rest = state.0["events"].as_array().into_iter().flatten();
        let windows = kept
            .chain(rest)
            .filter_map(|kept| kept.pointer("/event/tick/reading/window").cloned());
        windows.collect()
    }

    /// Asserts that the windows came to exactly what was scraped in their time.
    pub(crate) async fn counts_are_exact(&self) {
        let windows = self.windows().await;
        let first = windows
            .first()
            .unwrap_or_else(|| panic!("{}: no windows", self.route));
        let mut sums = [[0; 2]; 2];
        let mut truth = [Tally::default(); 2];
        for window in &windows {
            let span = (number(window.get("from")), number(window.get("to")));
            for (at, arm) in ["c", "s"].iter().enumerate() {
                let counts = &window["counts"]["errors"][0][arm];
                sums[at][0] += number(counts.get(0));
                sums[at][1] += number(counts.get(1));
                let scraped = self.stage.prometheus.truth(&self.route, at == 0, span);
                truth[at].add(scraped);
            }
        }
        let truth = truth.map(|tally| tally.errors()).map(|(n, e)| [n, e]);
        assert_eq!(sums, truth, "{} windows from {first}", windows.len());
        assert!(sums[0][0] > 0, "nothing was counted: {first}");
    }
}
