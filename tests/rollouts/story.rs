//! One route and its rollouts, and what the scripted Prometheus and routers know of them.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use serin_tests::eventually;
use serin_tests::rollouts::record::{counts, span};
use serin_tests::rollouts::{Rollout, State, is_taken_back, three_targets};
use serin_tests::scripted_prometheus::{Tally, Traffic};
use tokio::time::interval;

use crate::stage::Stage;

/// Between two looks at a clock.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const SOON: Duration = Duration::from_secs(20);
/// By the Prometheus' clock: how long a route serves before anything happens.
const BEFORE_MS: u64 = 30_000;

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
    /// A route with targets `gpt` (all of it), `claude` and `mistral`, and its traffic.
    pub(crate) async fn begin(stage: &'a Stage, route: &str, traffic: Traffic) -> Self {
        stage.prometheus.traffic(route, traffic);
        let rollout = Rollout::on_new_route(stage.apis.clone(), &three_targets(route)).await;
        let story = Self { stage, rollout };
        let look = async || stage.routers.live(route).weights.len();
        let served = |targets: &usize| *targets > 0;
        eventually("routers serve the route", SOON, look, served).await;
        story.passes(BEFORE_MS).await;
        story
    }

    /// Lets so much time pass at the Prometheus.
    pub(crate) async fn passes(&self, ms: u64) {
        let until = self.stage.prometheus.now_ms() + ms;
        let mut pace = interval(LOOK_EVERY);
        let look = async || {
            pace.tick().await;
            self.stage.prometheus.now_ms()
        };
        let within = Duration::from_millis(ms) + SOON;
        eventually("time passes", within, look, |now| *now >= until).await;
    }

    /// Looks for so many ticks that nothing else is the case.
    pub(crate) async fn stays(&self, promise: &str, ticks: u64, holds: impl Fn(&State) -> bool) {
        let from = self.state().await.number("/cursorMs");
        let until = self.stage.prometheus.now_ms() + ticks * self.tick_ms();
        let mut pace = interval(LOOK_EVERY);
        let look = async || {
            pace.tick().await;
            let seen = self.state().await;
            let route = &self.route;
            assert!(
                holds(&seen),
                "{route}: not {promise}, from {from}: {seen:#?}"
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

    /// Nothing of the candidate is left in the route, soon on all routers.
    pub(crate) async fn is_taken_back(&self) {
        let traffic = self.traffic().await;
        assert!(is_taken_back(&traffic), "{}: {traffic}", self.route);
        let look = async || self.stage.routers.live(&self.route).share();
        eventually("share 0 on all routers", SOON, look, |share| *share == 0.0).await;
    }

    /// Asserts that the windows came to exactly what was scraped in their time.
    pub(crate) async fn counts_are_exact(&self) {
        let windows = self.windows().await;
        assert!(!windows.is_empty(), "{}: no windows", self.route);
        let mut counted = [(0, 0); 2];
        let mut truth = [Tally::default(); 2];
        for window in &windows {
            for (at, arm) in ["c", "s"].iter().enumerate() {
                let (samples, errors) = counts(window, arm);
                counted[at].0 += samples;
                counted[at].1 += errors;
                let is_canary = *arm == "c";
                let scraped = self
                    .stage
                    .prometheus
                    .truth(&self.route, is_canary, span(window));
                truth[at].add(scraped);
            }
        }
        let truth = truth.map(|tally| tally.errors());
        assert_eq!(counted, truth, "{}: {} windows", self.route, windows.len());
        assert!(counted[0].0 > 0, "{}: nothing was counted", self.route);
    }
}
