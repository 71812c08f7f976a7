//! Serin's own judge, fed as its reader would feed it: windows of an interval, two scrapes late.

use serin_control_plane::{
    analysis::{
        evidence::Analysis,
        judge::{Stand, judge, open, settled},
        verdict::Verdict,
    },
    rollout::plan::Plan,
};
use serin_proto::unit::Share;

use crate::{
    feed::{Feed, READING_S},
    rule::Rule,
    scenario::Scenario,
    traffic::Cell,
};

/// A warm-up ends at last.
const WARMUP_S_MAX: u64 = 600;

pub(crate) struct Serin {
    plan: Plan,
    analysis: Analysis,
    feed: Feed,
    share: Share,
    interval_s: u64,
    exposed_s: u64,
    is_warm: bool,
}

impl Serin {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let plan = scenario.plan.clone();
        Self {
            feed: Feed::new(scenario, &plan),
            interval_s: plan.analysis.interval_ms / 1000,
            plan,
            analysis: Analysis::default(),
            share: Share::NONE,
            exposed_s: 0,
            is_warm: false,
        }
    }
}

impl Rule for Serin {
    fn step(&mut self, at_s: u64, share: f64) {
        let opening = self.feed.opening(at_s);
        let exposures = self.plan.exposures();
        open(&self.plan.analysis, exposures, &mut self.analysis, &opening);
        self.share = Share::try_from(share * 100.0).unwrap_or_default();
        (self.exposed_s, self.is_warm) = (at_s, false);
    }

    fn see(&mut self, cell: &Cell) -> Option<u64> {
        self.feed.take(cell);
        if !cell.at_s.is_multiple_of(self.interval_s) {
            return None;
        }
        let window = self.feed.window(cell.at_s - self.interval_s, cell.at_s);
        let stand = Stand {
            share: self.share,
            warming: !self.is_warm,
            min_samples: 100,
            certificate: false,
        };
        let (plan, elapsed_ms) = (&self.plan.analysis, self.interval_s * 1000);
        let judged = judge(plan, stand, &mut self.analysis, &window, elapsed_ms);
        let exposed_s = cell.at_s - self.exposed_s;
        let is_over = exposed_s >= self.feed.p99_s && settled(&self.analysis);
        self.is_warm |= is_over || exposed_s >= WARMUP_S_MAX;
        (judged.verdict == Verdict::Fail).then_some(cell.at_s + READING_S)
    }
}
