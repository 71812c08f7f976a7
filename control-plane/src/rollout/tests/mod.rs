//! Rollouts over a store in memory, a router that takes everything, and samples that follow a
//! script: what the controller does, tick by tick, without waiting.

mod answers;
mod beginning;
mod beside;
mod crash;
mod hooks;
mod outbox;
mod story;
mod supervised;
mod told;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use serde_json::{Value as Json, json};
use serin_proto::{fleet::RouterReport, key::StoreKey, unit::Revision};
use serin_store::{Key, Lease, MemoryStore, Store};

use super::{
    runner::{Flow, Runner},
    state::State,
};
use crate::{
    analysis::{
        raw::{Ended, Raw},
        reader::{Asked, Horizon, SampleReader, Want},
        sample::{Answered, Gauges, Millis},
    },
    change::{
        Refusal,
        rollout::{Ran, Started, start, verb},
    },
    clock,
    leader::{Fence, tests::won},
    rollout::event::Verb,
    stage::{Stage, admin, asked, body, eventually, parsed},
};

/// Requests a second of the whole route.
const RATE: u64 = 200;
/// The source's time when a test begins.
const BEGIN: Millis = 1_800_000_000_000;
/// Between two ticks, by every clock.
const INTERVAL: Duration = Duration::from_secs(1);

/// A source of samples that says what its script says.
#[derive(Debug)]
pub(super) struct Script {
    memory: Arc<MemoryStore>,
    said: Mutex<Said>,
}

#[derive(Clone, Debug)]
struct Said {
    now: Millis,
    /// Failures of the candidate, and of the others, in percent.
    harm: u64,
    stable_harm: u64,
    takes_queries: bool,
}

impl Script {
    fn said(&self) -> Said {
        self.said.lock().unwrap().clone()
    }

    async fn share(&self, route: &str) -> f64 {
        let key = Key::new(format!("config/routes/{route}")).unwrap();
        let (entry, _) = self.memory.get(&key).await.unwrap();
        let route = parsed(&entry.unwrap().value);
        let canary = route["traffic"]["canary"].as_str().unwrap_or_default();
        route["traffic"]["weights"][canary].as_f64().unwrap_or(0.0)
    }
}

impl SampleReader for Script {
    fn now(&self) -> Asked<'_, Millis> {
        Box::pin(async move { Ok(self.said().now) })
    }

    fn counts<'a>(&'a self, want: &'a Want, after: Millis, upto: Horizon) -> Asked<'a, Raw> {
        Box::pin(async move {
            let until = upto.until.max(after);
            let said = self.said();
            let share = self.share(&want.route).await;
            let all = RATE * until.saturating_sub(after) / 1_000;
            let canary = (all as f64 * share / 100.0).round() as u64;
            let ended = |canary, n: u64, harm: u64| {
                let failed = n * harm / 100;
                let ended = move |outcome: &str, reason: &str, by| Ended {
                    router: "r1".to_owned(),
                    canary,
                    outcome: outcome.to_owned(),
                    reason: reason.to_owned(),
                    by,
                };
                [
                    ended("success", "", n - failed),
                    ended("error", "http_5xx", failed),
                ]
            };
            let mut samples = Vec::from(ended(true, canary, said.harm));
            samples.extend(ended(false, all - canary, said.stable_harm));
            Ok(Raw {
                from: after,
                to: until,
                samples,
                canary_series_on: want.live,
                gauges: Gauges {
                    fresh: want.live,
                    ..Gauges::default()
                },
                ..Raw::default()
            })
        })
    }

    fn horizon<'a>(&'a self, _want: &'a Want) -> Asked<'a, Horizon> {
        Box::pin(async move {
            Ok(Horizon {
                until: self.said().now,
                scrape_ms: 1_000,
            })
        })
    }

    fn scalar<'a>(&'a self, promql: &'a str, _at: Millis) -> BoxFuture<'a, Answered> {
        let bad = "http: HTTP 400: parse error";
        let is_whole = promql.matches('(').count() == promql.matches(')').count();
        let answer = if is_whole {
            Answered::Nothing
        } else {
            Answered::Error(bad.to_owned())
        };
        Box::pin(async { answer })
    }

    fn takes_queries(&self) -> bool {
        self.said().takes_queries
    }
}

/// One control plane that leads, and a route whose rollout is ticked by hand.
pub(super) struct Rig {
    pub(super) stage: Stage,
    pub(super) script: Arc<Script>,
    pub(super) fence: Fence,
    lease: Lease,
    runner: Runner,
    at: Instant,
}

impl Rig {
    pub(super) async fn new() -> Self {
        let memory = MemoryStore::new();
        let said = Said {
            now: BEGIN,
            harm: 0,
            stable_harm: 0,
            takes_queries: false,
        };
        let script = Arc::new(Script {
            memory: Arc::clone(&memory),
            said: Mutex::new(said),
        });
        let source = Arc::clone(&script) as Arc<dyn SampleReader>;
        let stage = Stage::judging(&memory, source).await.with_chat().await;
        let (fence, lease) = won(&memory).await;
        Self {
            runner: Runner::new(Arc::clone(&stage.plane), fence, "chat".to_owned()),
            stage,
            script,
            fence,
            lease,
            at: clock::now(),
        }
    }

    pub(super) fn harm(&self, percent: u64) {
        self.script.said.lock().unwrap().harm = percent;
    }

    pub(super) fn take_queries(&self) {
        self.script.said.lock().unwrap().takes_queries = true;
    }

    pub(super) async fn start(&self, plan: Json) -> Started {
        self.try_start(plan).await.unwrap()
    }

    pub(super) async fn try_start(&self, plan: Json) -> Result<Started, Refusal> {
        let asked = asked(Default::default());
        start(&self.stage.plane, &admin(), asked, "chat", body(&plan)).await
    }

    pub(super) async fn verb(&self, verb: Verb) -> Result<Ran, Refusal> {
        self.verb_at(verb, None).await
    }

    pub(super) async fn verb_at(&self, asks: Verb, seq: Option<u64>) -> Result<Ran, Refusal> {
        let id = self.state().await.rollout_id;
        let asked = asked(Default::default());
        verb(&self.stage.plane, &admin(), asked, &id, (asks, seq)).await
    }

    /// As it is stored.
    pub(super) async fn state(&self) -> State {
        let entry = self.stage.stored("rollouts/chat/state").await.unwrap();
        serde_json::from_slice(&entry.value).unwrap()
    }

    pub(super) async fn traffic(&self) -> Json {
        let entry = self.stage.stored("config/routes/chat").await.unwrap();
        parsed(&entry.value)["traffic"].clone()
    }

    pub(super) async fn records(&self) -> Vec<Json> {
        let all = self.stage.all(serin_store::Scope::Rollouts).await;
        let records = all
            .iter()
            .filter(|entry| entry.key.as_str().contains("/history/"));
        records.map(|entry| parsed(&entry.value)).collect()
    }

    /// The router takes everything, an interval passes, and the runner ticks.
    pub(super) async fn tick(&mut self) -> Flow {
        self.acknowledge().await;
        self.at += INTERVAL;
        self.script.said.lock().unwrap().now += u64::try_from(INTERVAL.as_millis()).unwrap();
        self.runner.tick(self.at).await
    }

    /// Ticks until it is so, and shows the last state if it never is.
    pub(super) async fn until(&mut self, is_it: impl Fn(&State) -> bool) -> State {
        for _ in 0..400 {
            let state = self.state().await;
            if is_it(&state) {
                return state;
            }
            self.tick().await;
        }
        panic!("it did not come: {:#?}", self.state().await);
    }

    /// The router reports that it serves the newest route.
    pub(super) async fn acknowledge(&self) {
        let entry = self.stage.stored("config/routes/chat").await;
        let Some(entry) = entry else { return };
        let fleet = &self.stage.plane.fleet;
        let seen = || async { fleet.seen("chat", entry.mod_revision) };
        if seen().await.acked == 1 {
            return;
        }
        let report = RouterReport {
            applied_revision: entry.mod_revision.0,
            ..RouterReport::default()
        };
        let key = StoreKey::Router("r1".to_owned()).to_string();
        let value = serde_json::to_vec(&report).unwrap();
        self.stage.write_raw(&key, Some(&value)).await;
        eventually(seen, |seen| seen.acked == 1).await;
    }

    /// Another leads from now on.
    pub(super) async fn depose(&mut self) -> (Fence, Lease) {
        self.stage.memory.expire(self.lease.id());
        won(&self.stage.memory).await
    }

    /// A runner of whoever leads with that fence.
    pub(super) fn replace_runner(&mut self, fence: Fence) {
        self.runner = Runner::new(Arc::clone(&self.stage.plane), fence, "chat".to_owned());
    }

    pub(super) fn revision(&self) -> Revision {
        self.stage.memory.revision()
    }
}

/// Two steps of two seconds, a bake of two, no warm-up.
pub(super) fn plan() -> Json {
    json!({
        "candidate": "b",
        "steps": [
            {"weight": 10, "minDuration": "2s", "minSamples": 20},
            {"weight": 50, "minDuration": "2s", "minSamples": 20},
        ],
        "promotion": {"bake": "2s", "holdback": 1, "undoWindow": "1h"},
        "analysis": {
            "interval": "1s",
            "warmup": "1s",
            "metrics": [{"name": "errors", "share": 1.0}],
        },
    })
}
