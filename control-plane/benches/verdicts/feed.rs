//! What Serin's reader would make of the traffic: windows, bounds, the hour before.

use std::collections::BTreeMap;

use serin_control_plane::{
    analysis::sample::{Arms, Counts, ERRORS, Gauges, Measured, Opening, Window},
    rollout::plan::{MetricPlan, Plan, Test},
};

use crate::{
    scenario::Scenario,
    traffic::{CELL_S, Cell, OTHER_RATE, SLOW_RATE, SLOW_S, Side},
};

/// From a count to its reading: two scrapes.
pub(crate) const READING_S: u64 = 2 * CELL_S;
const ROUTERS: u32 = 1;

pub(crate) struct Feed {
    metrics: Vec<MetricPlan>,
    baseline: BTreeMap<String, Vec<Counts>>,
    /// The bucket bound of the stable arm's p99.
    pub(crate) p99_s: u64,
    canary: Side,
    stable: Side,
}

impl Feed {
    pub(crate) fn new(scenario: &Scenario, plan: &Plan) -> Self {
        let errors = (scenario.stable)(0.0);
        let hour = |rate: f64| {
            let n = (scenario.rps * 3600.0) as u64;
            let e = (n as f64 * rate) as u64;
            vec![Counts { n, e }]
        };
        let metrics = plan.analysis.metrics.clone();
        let baseline = metrics.iter().map(|metric| {
            let rate = match metric.name.as_str() {
                "rejections" | "abandoned" => OTHER_RATE,
                "ttft" | "duration" => SLOW_RATE,
                _ => errors,
            };
            (metric.name.clone(), hour(rate))
        });
        let of_errors = (ERRORS.to_owned(), hour(errors));
        Self {
            baseline: baseline.chain([of_errors]).collect(),
            metrics,
            p99_s: if scenario.answer_s[1] > 0 { 30 } else { 8 },
            canary: Side::none(),
            stable: Side::none(),
        }
    }

    pub(crate) fn take(&mut self, cell: &Cell) {
        self.canary.add(&cell.canary);
        self.stable.add(&cell.stable);
    }

    /// What was counted before is never read.
    pub(crate) fn opening(&mut self, at_s: u64) -> Opening {
        (self.canary, self.stable) = (Side::none(), Side::none());
        Opening {
            now: at_s * 1000,
            bounds: BTreeMap::from(["ttft", "duration"].map(|n| (n.to_owned(), vec![SLOW_S]))),
            stable_p99_ms: Some(self.p99_s * 1000),
            baseline: self.baseline.clone(),
        }
    }

    pub(crate) fn window(&mut self, from_s: u64, to_s: u64) -> Measured {
        let canary = std::mem::replace(&mut self.canary, Side::none());
        let stable = std::mem::replace(&mut self.stable, Side::none());
        let errors = arms(&canary, &stable, |s| (s.capped_n, s.capped_e));
        let counts = self.metrics.iter().filter_map(|metric| {
            let window = window_of(metric, &canary, &stable)?;
            Some((metric.name.clone(), vec![window]))
        });
        let of_errors = (ERRORS.to_owned(), vec![errors]);
        Measured {
            from: from_s * 1000,
            to: to_s * 1000,
            counts: counts.chain([of_errors]).collect(),
            ended: Arms {
                canary: canary.capped_n,
                stable: stable.capped_n,
            },
            stable_by_router: vec![("router-1".to_owned(), errors.stable)],
            gauges: Gauges {
                fresh: ROUTERS,
                ..Gauges::default()
            },
            ..Measured::default()
        }
    }
}

fn window_of(metric: &MetricPlan, canary: &Side, stable: &Side) -> Option<Window> {
    let window = match metric.name.as_str() {
        "rejections" => arms(canary, stable, |s| (s.n, s.rejected)),
        "abandoned" => arms(canary, stable, |s| (s.n, s.left)),
        "ttft" | "duration" => arms(canary, stable, |s| (s.timed, s.slow)),
        _ if matches!(metric.test, Test::Events { .. }) => {
            arms(canary, stable, |s| (s.capped_n, s.capped_e))
        }
        _ => return None,
    };
    Some(window)
}

fn arms(canary: &Side, stable: &Side, of: impl Fn(&Side) -> (u64, u64)) -> Window {
    let counts = |side| {
        let (n, e) = of(side);
        Counts { n, e }
    };
    Arms {
        canary: counts(canary),
        stable: counts(stable),
    }
}
