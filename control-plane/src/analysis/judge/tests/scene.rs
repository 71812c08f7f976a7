//! A plan, a rollout of it, and windows made up for it.

use std::collections::BTreeMap;

use serin_proto::unit::Share;

use crate::{
    analysis::{
        chance::Chance,
        evidence::Analysis,
        judge::{Judged, Stand, judge, open},
        sample::{Arms, Counts, ERRORS, Gauges, Measured, Opening, Window},
    },
    rollout::plan::{
        AnalysisPlan, Events, Guards, MetricPlan, Mode, Null, OnNoData, OnProviderError, Test,
    },
};

pub(super) fn null(ratio: f64, margin: f64) -> Null {
    Null { ratio, margin }
}

pub(in crate::analysis) fn errors() -> MetricPlan {
    MetricPlan {
        name: ERRORS.to_owned(),
        mode: Mode::Enforce,
        share: 0.6,
        test: Test::Events {
            of: Events::Errors,
            null: null(1.0, 0.005),
            max: None,
            tolerance: Some(0.02),
        },
    }
}

pub(super) fn metric(name: &str, mode: Mode, share: f64, test: Test) -> MetricPlan {
    MetricPlan {
        name: name.to_owned(),
        mode,
        share,
        test,
    }
}

pub(in crate::analysis) fn plan(metrics: Vec<MetricPlan>) -> AnalysisPlan {
    AnalysisPlan {
        interval_ms: 10_000,
        alpha: 0.01,
        beta: 0.05,
        metrics,
        guards: Guards {
            breaker_open_ms: 10_000,
            fail_fast_samples: 12,
            fail_fast_ratio: 0.8,
        },
        on_no_data: OnNoData::Hold,
        on_provider_error: OnProviderError::Hold,
        consecutive_error_limit: 4,
        inconclusive_deadline_ms: 1_800_000,
        blind_max_ms: 600_000,
        threshold: 5,
        webhooks: Vec::new(),
        alerts: Vec::new(),
        warmup_ms: None,
        scrape_interval_ms: None,
        variables: BTreeMap::new(),
    }
}

pub(super) fn window(canary: [u64; 2], stable: [u64; 2]) -> Window {
    Arms {
        canary: Counts::from(canary),
        stable: Counts::from(stable),
    }
}

/// A rollout that is judged, window after window of ten seconds.
pub(super) struct Scene {
    pub(super) plan: AnalysisPlan,
    pub(super) stand: Stand,
    pub(super) analysis: Analysis,
    pub(super) chance: Chance,
    pub(super) at: u64,
    pub(super) tick_ms: u64,
    pub(super) rps: f64,
}

impl Scene {
    /// At 5 % of 50 requests a second, 1 % of errors in the hour before, K = 4, warm.
    pub(super) fn new(plan: AnalysisPlan, seed: u64) -> Self {
        let mut scene = Self {
            plan,
            stand: Stand {
                share: Share::try_from(5.0).unwrap(),
                warming: false,
                min_samples: 300,
                certificate: false,
            },
            analysis: Analysis::default(),
            chance: Chance::seeded(seed),
            at: 0,
            tick_ms: 10_000,
            rps: 50.0,
        };
        scene.open(0.01);
        scene
    }

    pub(super) fn open(&mut self, rate: f64) {
        let n = (self.rps * 3600.0) as u64;
        let e = (n as f64 * rate) as u64;
        let names = self.plan.metrics.iter().map(|m| m.name.clone());
        let baseline: BTreeMap<_, _> = names
            .chain([ERRORS.to_owned()])
            .map(|name| (name, vec![Counts { n, e }; 2]))
            .collect();
        let names = self.plan.metrics.iter().map(|m| m.name.clone());
        let opening = Opening {
            now: self.at,
            bounds: names.map(|name| (name, vec![1.0, 2.0])).collect(),
            stable_p99_ms: None,
            baseline,
        };
        open(&self.plan, 4, &mut self.analysis, &opening);
    }

    /// A window in which every counted metric has these counts.
    pub(super) fn measured(&mut self, counts: Window) -> Measured {
        let from = self.at;
        self.at += self.tick_ms;
        let names = self.plan.metrics.iter().map(|m| m.name.clone());
        Measured {
            from,
            to: self.at,
            counts: names
                .chain([ERRORS.to_owned()])
                .map(|name| (name, vec![counts; 2]))
                .collect(),
            ended: Arms {
                canary: counts.canary.n,
                stable: counts.stable.n,
            },
            gauges: Gauges {
                fresh: 3,
                ..Gauges::default()
            },
            ..Measured::default()
        }
    }

    pub(super) fn judge(&mut self, measured: &Measured) -> Judged {
        let (plan, stand) = (&self.plan, self.stand);
        judge(plan, stand, &mut self.analysis, measured, self.tick_ms)
    }

    pub(super) fn see(&mut self, canary: [u64; 2], stable: [u64; 2]) -> Judged {
        let measured = self.measured(window(canary, stable));
        self.judge(&measured)
    }

    /// A window of random arrivals of which so many fail.
    pub(super) fn draw(&mut self, p_c: f64, p_b: f64) -> Window {
        let all = self.rps * self.tick_ms as f64 / 1000.0;
        let share = self.stand.share.as_ratio();
        let n_c = self.chance.arrivals(all * share);
        let n_b = self.chance.arrivals(all * (1.0 - share));
        let (e_c, e_b) = (self.chance.events(n_c, p_c), self.chance.events(n_b, p_b));
        window([n_c, e_c], [n_b, e_b])
    }

    pub(super) fn tick(&mut self, p_c: f64, p_b: f64) -> Judged {
        let counts = self.draw(p_c, p_b);
        let measured = self.measured(counts);
        self.judge(&measured)
    }
}
