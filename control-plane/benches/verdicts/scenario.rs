//! What is played: shares over time, rates of both arms over time, and what went wrong when.

use serin_control_plane::rollout::plan::Plan;
use serin_proto::v1;

use crate::traffic::MEDIAN_S;

const HOUR_S: u64 = 3600;
/// The candidate's share, at seconds since the rollout began.
type Steps = &'static [(u64, f64)];
/// Four steps of a quarter of an hour.
const USUAL: Steps = &[(0, 0.01), (900, 0.05), (1800, 0.25), (2700, 0.5)];
const AT_FIVE: Steps = &[(0, 0.05)];
/// Something over the seconds since the rollout began.
type Over = fn(f64) -> f64;

/// Failing requests of a few keys, all in the canary's arm.
pub(crate) struct Burst {
    pub(crate) from_s: u64,
    pub(crate) for_s: u64,
    pub(crate) keys: u64,
    pub(crate) requests: u64,
}

pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) runs: usize,
    pub(crate) rps: f64,
    pub(crate) for_s: u64,
    pub(crate) steps: Steps,
    /// Chance to fail.
    pub(crate) canary: Over,
    pub(crate) stable: Over,
    /// Median duration in seconds.
    pub(crate) canary_s: Over,
    pub(crate) stable_s: Over,
    /// Durations are drawn at all.
    pub(crate) is_timed: bool,
    /// Answers of the canary, of the stable arm, end so much later than errors.
    pub(crate) answer_s: [u64; 2],
    /// Failures come so many at a time.
    pub(crate) cluster: u64,
    pub(crate) burst: Option<Burst>,
    pub(crate) document: v1::Rollout,
    /// The same, compiled.
    pub(crate) plan: Plan,
    /// When harm begins; `None`: there is none, and every rollback is a false one.
    pub(crate) onset_s: Option<u64>,
}

/// A plan with the product's defaults, of four steps: an hour with its bake.
fn default_plan() -> v1::Rollout {
    let step = |weight, seconds: u32, certificate| v1::RolloutStep {
        weight: Some(weight),
        min_duration: format!("{seconds}s"),
        certificate,
        ..Default::default()
    };
    v1::Rollout {
        route: "chat".to_owned(),
        candidate: "claude".to_owned(),
        steps: vec![
            step(1.0, 600, false),
            step(5.0, 600, false),
            step(25.0, 600, true),
            step(50.0, 900, true),
        ],
        ..Default::default()
    }
}

/// Flagger's minimum: success rate of 99 % at least, once a minute.
fn bar_plan() -> v1::Rollout {
    let range = v1::ThresholdRange {
        min: Some(99.0),
        max: None,
    };
    let metric = v1::AnalysisMetric {
        name: "request-success-rate".to_owned(),
        threshold_range: Some(range),
        ..Default::default()
    };
    let analysis = v1::Analysis {
        interval: "60s".to_owned(),
        step_weight: Some(10.0),
        max_weight: Some(50.0),
        metrics: vec![metric],
        ..Default::default()
    };
    v1::Rollout {
        analysis: Some(analysis),
        steps: Vec::new(),
        ..default_plan()
    }
}

impl Scenario {
    fn judged_by(self, document: v1::Rollout) -> Self {
        Self {
            plan: compiled(&document),
            document,
            ..self
        }
    }
}

fn compiled(document: &v1::Rollout) -> Plan {
    match Plan::compile(document) {
        Ok(plan) => plan,
        Err(faults) => panic!("a plan of this bench is wrong: {faults:?}"),
    }
}

/// An hour of a healthy candidate; the others differ from it.
fn healthy(name: &'static str, runs: usize) -> Scenario {
    Scenario {
        name,
        runs,
        rps: 50.0,
        for_s: HOUR_S,
        steps: USUAL,
        canary: |_| 0.01,
        stable: |_| 0.01,
        canary_s: |_| MEDIAN_S,
        stable_s: |_| MEDIAN_S,
        is_timed: true,
        answer_s: [0, 0],
        cluster: 1,
        burst: None,
        plan: compiled(&default_plan()),
        document: default_plan(),
        onset_s: None,
    }
}

/// Harm from the start at 5 %.
fn harmful(name: &'static str, runs: usize, canary: Over) -> Scenario {
    Scenario {
        steps: AT_FIVE,
        canary,
        onset_s: Some(0),
        ..healthy(name, runs)
    }
}

pub(crate) const A_A: &str = "healthy, 1 % errors";
pub(crate) const A_A_QUIET: &str = "healthy, 0.2 % errors";
pub(crate) const LONG_ANSWERS: &str = "healthy, 20 s answers, instant errors, 500 rps";
pub(crate) const LONGER_ANSWERS: &str = "healthy, canary answers in 20 s, stable at once";
pub(crate) const CLUSTERS: &str = "healthy, failures ten at a time";
pub(crate) const INCIDENT: &str = "both arms at 30 % for 10 min";
pub(crate) const BOTH_SLOW: &str = "both arms 5 times slower from minute 5 on";
pub(crate) const ONE_KEY: &str = "one key: 500 failures in 30 s";
pub(crate) const FIFTY_KEYS: &str = "fifty keys: 500 failures in 30 s";
pub(crate) const UNDER_BAR: &str = "healthy, 0.9 % errors, bar 99 %, 24 h";
pub(crate) const OVER_BAR: &str = "5 % errors, bar 99 %, 10 % share";
pub(crate) const FIVE: &str = "1 → 5 % errors at 5 %";
pub(crate) const TWO: &str = "1 → 2 % errors at 5 %";
pub(crate) const ALL: &str = "1 → 100 % errors at 5 %";
pub(crate) const ALL_AT_ONE: &str = "1 → 100 % errors at 1 %";
pub(crate) const LATE: &str = "good for 40 min at 5 %, then 5 % errors";
pub(crate) const LATE_STEP: &str = "good for 40 min, 5 % errors from the 25 % step on";
pub(crate) const SLOW: &str = "twice as slow at 5 %";

pub(crate) const WHOLE_HEALTHY: &str = "healthy, 1 % errors";
pub(crate) const WHOLE_INCIDENT: &str = "the same, both arms at 30 % for 10 min";
pub(crate) const WHOLE_FIVE: &str = "5 % errors";
pub(crate) const WHOLE_LATE: &str = "5 % errors from minute 25 on";
pub(crate) const WHOLE_ALL: &str = "100 % errors";

pub(crate) fn all() -> Vec<Scenario> {
    let mut all = without_harm();
    all.extend(with_harm());
    all
}

/// Whole rollouts, of which the state machine moves the share.
pub(crate) fn rollouts() -> Vec<Scenario> {
    let incident: Over = |t| {
        if (1500.0..2100.0).contains(&t) {
            0.3
        } else {
            0.01
        }
    };
    let whole = |name, runs| Scenario {
        for_s: 4 * HOUR_S,
        ..healthy(name, runs)
    };
    vec![
        whole(WHOLE_HEALTHY, 200),
        Scenario {
            canary: incident,
            stable: incident,
            ..whole(WHOLE_INCIDENT, 50)
        },
        Scenario {
            canary: |_| 0.05,
            ..whole(WHOLE_FIVE, 100)
        },
        Scenario {
            canary: |t| if t < 1500.0 { 0.01 } else { 0.05 },
            ..whole(WHOLE_LATE, 100)
        },
        Scenario {
            canary: |_| 1.0,
            ..whole(WHOLE_ALL, 100)
        },
    ]
}

fn without_harm() -> Vec<Scenario> {
    let quiet: Over = |_| 0.002;
    let incident: Over = |t| {
        if (1200.0..1800.0).contains(&t) {
            0.3
        } else {
            0.01
        }
    };
    let slower: Over = |t| if t < 300.0 { MEDIAN_S } else { 5.0 * MEDIAN_S };
    let burst = Burst {
        from_s: 1200,
        for_s: 30,
        keys: 1,
        requests: 500,
    };
    vec![
        healthy(A_A, 400),
        Scenario {
            canary: quiet,
            stable: quiet,
            ..healthy(A_A_QUIET, 200)
        },
        Scenario {
            rps: 500.0,
            is_timed: false,
            answer_s: [20, 20],
            ..healthy(LONG_ANSWERS, 100)
        },
        Scenario {
            is_timed: false,
            answer_s: [20, 0],
            ..healthy(LONGER_ANSWERS, 200)
        },
        Scenario {
            cluster: 10,
            ..healthy(CLUSTERS, 200)
        },
        Scenario {
            canary: incident,
            stable: incident,
            ..healthy(INCIDENT, 200)
        },
        Scenario {
            steps: AT_FIVE,
            canary_s: slower,
            stable_s: slower,
            ..healthy(BOTH_SLOW, 100)
        },
        Scenario {
            steps: AT_FIVE,
            burst: Some(burst),
            ..healthy(ONE_KEY, 200)
        },
        Scenario {
            for_s: 24 * HOUR_S,
            steps: &[(0, 0.1)],
            canary: |_| 0.009,
            stable: |_| 0.009,
            is_timed: false,
            ..healthy(UNDER_BAR, 50).judged_by(bar_plan())
        },
    ]
}

fn with_harm() -> Vec<Scenario> {
    let late: Over = |t| if t < 2400.0 { 0.01 } else { 0.05 };
    let burst = Burst {
        from_s: 1200,
        for_s: 30,
        keys: 50,
        requests: 500,
    };
    vec![
        harmful(FIVE, 400, |_| 0.05),
        harmful(TWO, 100, |_| 0.02),
        harmful(ALL, 200, |_| 1.0),
        Scenario {
            steps: &[(0, 0.01)],
            ..harmful(ALL_AT_ONE, 200, |_| 1.0)
        },
        Scenario {
            for_s: 2 * HOUR_S,
            onset_s: Some(2400),
            ..harmful(LATE, 200, late)
        },
        Scenario {
            steps: &[(0, 0.01), (600, 0.05), (2400, 0.25)],
            onset_s: Some(2400),
            ..harmful(LATE_STEP, 200, late)
        },
        Scenario {
            canary_s: |_| 2.0 * MEDIAN_S,
            ..harmful(SLOW, 200, |_| 0.01)
        },
        Scenario {
            burst: Some(burst),
            onset_s: Some(1200),
            ..harmful(FIFTY_KEYS, 200, |_| 0.01)
        },
        Scenario {
            steps: &[(0, 0.1)],
            is_timed: false,
            ..harmful(OVER_BAR, 200, |_| 0.05).judged_by(bar_plan())
        },
    ]
}
