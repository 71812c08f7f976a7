//! A source of metrics that says what a test wants, and a judge who takes it by its word.

use std::collections::BTreeMap;

use crate::{
    analysis::{
        evidence::Analysis,
        judge::{Guard, Judged, Stand},
        sample::{Answered, Arms, Counts, ERRORS, Gauges, Measured, Opening, Trouble, Untold},
        verdict::Verdict,
    },
    rollout::{
        event::{Checked, FleetSeen, Reading},
        machine::{Analyst, Wanted},
        plan::{AnalysisPlan, Mode},
        state::State,
    },
};

const ROUTERS: u32 = 3;

/// Says of a window what the numbers in it were made to say.
#[derive(Clone, Copy, Debug)]
pub(in crate::rollout) struct Script;

impl Analyst for Script {
    fn open(&self, _: &AnalysisPlan, _: usize, _: &mut Analysis, _: &Opening) {}

    fn judge(
        &self,
        plan: &AnalysisPlan,
        _: Stand,
        _: &mut Analysis,
        (measured, _): (&Measured, u64),
    ) -> Judged {
        let counts = measured.counts[ERRORS][0].canary;
        let verdict = match counts {
            _ if measured.untold.is_some() => Verdict::Error,
            Counts { n: 0, .. } => Verdict::Inconclusive,
            Counts { n, e } if 2 * e > n => Verdict::Fail,
            Counts { e: 0, .. } => Verdict::Pass,
            Counts { .. } => Verdict::Inconclusive,
        };
        let value = |name: &str| match measured.queries.get(name) {
            Some(Answered::Value(value)) => *value,
            _ => 1.0,
        };
        let checks = ["score", "asked", "watched", "request-success-rate"];
        let failed: Vec<&str> = checks
            .into_iter()
            .filter(|name| value(name) < 0.5)
            .collect();
        let pauses = |name: &&str| {
            let mut metrics = plan.metrics.iter();
            metrics.any(|metric| metric.name == **name && metric.mode == Mode::PauseOnly)
        };
        let is_held = failed.iter().any(pauses) && verdict == Verdict::Pass;
        let mut over = ["cost", "output-tokens"].into_iter().filter(pauses);
        Judged {
            verdict: if is_held {
                Verdict::Inconclusive
            } else {
                verdict
            },
            why: format!("{} of {}", counts.e, counts.n),
            guard: (measured.gauges.breaker_open > 0).then_some(Guard::BreakerOpen),
            pause: over.find(|name| value(name) > 1.5).map(str::to_owned),
            no_data: counts.n == 0,
            failed_checks: failed.into_iter().map(str::to_owned).collect(),
        }
    }

    fn settled(&self, _: &Analysis) -> bool {
        true
    }

    fn replan(&self, _: &AnalysisPlan, _: &AnalysisPlan, _: &mut Analysis) {}
}

/// What the source of metrics has to say at a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rollout) enum Mood {
    Healthy,
    /// More than half of the canary's requests fail.
    Harmful,
    /// Some fail: no pass, no fail.
    Unclear,
    /// No canary traffic.
    Quiet,
    /// It cannot be asked.
    Down,
    /// A router is missing in what it says.
    Partial,
    /// The candidate's breaker is open.
    Broken,
    /// A metric that pauses is over its limit.
    Costly,
    /// A check is out of its range: by name.
    Off(&'static str),
    /// Nothing was read.
    Mute,
}

/// What a source of that mood answers at that time.
pub(in crate::rollout) fn read(
    state: &State,
    wanted: &Wanted,
    mood: Mood,
    (now, fleet): (u64, FleetSeen),
) -> Reading {
    let untold = Untold {
        trouble: Trouble::Connect,
        why: "refused".to_owned(),
    };
    match (wanted, mood) {
        (Wanted::Nothing, _) | (_, Mood::Mute) => Reading::None,
        (_, Mood::Down) => Reading::Failed(untold),
        (Wanted::Check, _) => Reading::Checked(Checked {
            canary_series_on: fleet.live,
            faults: Vec::new(),
            candidate_down: mood == Mood::Broken,
            down_on: if mood == Mood::Broken { 2 } else { 0 },
            fresh: fleet.live,
        }),
        (Wanted::Opening(_), _) => Reading::Opening(Box::new(Opening {
            now,
            ..Opening::default()
        })),
        (Wanted::Window { .. }, _) => Reading::Window(Box::new(window(state, mood, now))),
    }
}

fn window(state: &State, mood: Mood, now: u64) -> Measured {
    let canary = match mood {
        Mood::Harmful => Counts { n: 100, e: 90 },
        Mood::Unclear => Counts { n: 100, e: 10 },
        Mood::Quiet => Counts::default(),
        _ => Counts { n: 100, e: 0 },
    };
    let stable = Counts { n: 1_000, e: 0 };
    let mut queries = BTreeMap::new();
    match mood {
        Mood::Off(name) => queries.insert(name.to_owned(), Answered::Value(0.0)),
        Mood::Costly => queries.insert("cost".to_owned(), Answered::Value(2.0)),
        _ => None,
    };
    let untold = Untold {
        trouble: Trouble::Partial,
        why: "2 of 3 routers".to_owned(),
    };
    Measured {
        from: state.cursor_ms,
        to: now,
        counts: BTreeMap::from([(ERRORS.to_owned(), vec![Arms { canary, stable }])]),
        queries,
        gauges: Gauges {
            fresh: ROUTERS,
            breaker_open: if mood == Mood::Broken { 2 } else { 0 },
            target_down: 0,
            live: ROUTERS,
        },
        untold: (mood == Mood::Partial).then_some(untold),
        ..Measured::default()
    }
}
