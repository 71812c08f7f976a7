//! What a tick's reading says, and what it does to the clocks and counters. Pure.
//!
//! A window is consumed exactly once: it begins at the cursor, and the cursor moves to its end in
//! the same step. Windows of Applying and Warming are consumed, and only guards look at them.

use super::{exposure, run::Run};
use crate::{
    analysis::{
        judge::{Guard, Judged},
        sample::{Measured, Trouble, Untold},
        verdict::Verdict,
    },
    rollout::{
        event::{Reading, Tick, Transition},
        plan::{Mode, Test},
        state::{Phase, Sub, Told},
    },
};

/// After so long without a commit, routers have taken the share away (the exposure lease).
const LEASE_MS: u64 = 60_000;

/// What was seen at a tick.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// `None`: nothing was judged.
    pub(super) verdict: Option<Verdict>,
    /// The source was asked and answered.
    pub(super) is_told: bool,
    pub(super) guard: Option<(Guard, String)>,
    /// There were no canary samples where there should be some.
    pub(super) no_data: bool,
    /// A metric that pauses has passed its limit, and why.
    pub(super) pause: Option<String>,
    /// T6.
    pub(super) opened: Option<Transition>,
    /// Time in which nothing was committed, if the lease ended in it.
    pub(super) gap_ms: Option<u64>,
    /// The probe of Preflight: it is neither down nor is its breaker open.
    pub(super) is_up: bool,
}

/// Takes the reading in. `elapsed_ms` is bounded already.
pub(super) fn look(run: &mut Run<'_>, tick: &Tick, elapsed_ms: u64, all_acked: bool) -> Seen {
    let is_exposed = run.state.share > 0.0;
    let sub = exposure::sub(run.here());
    let told = Seen {
        is_told: true,
        ..Seen::default()
    };
    let seen = match &tick.reading {
        Reading::Failed(untold) => failed(run, untold),
        Reading::Checked(checked) => Seen {
            is_up: checked.faults.is_empty() && !checked.candidate_down,
            ..told
        },
        Reading::Opening(opening) if sub == Some(Sub::Applying) && all_acked && is_exposed => {
            Seen {
                opened: Some(exposure::open(run, opening)),
                ..told
            }
        }
        Reading::Opening(_) => told,
        Reading::Window(measured) if is_exposed => window(run, measured, elapsed_ms),
        Reading::None | Reading::Window(_) => Seen::default(),
    };
    clocks(run, &seen, sub, elapsed_ms);
    seen
}

/// The source could not be asked, or cannot be trusted.
fn failed(run: &mut Run<'_>, untold: &Untold) -> Seen {
    run.state.verdict = Some(Told {
        kind: Verdict::Error,
        why: untold.to_string(),
    });
    Seen {
        verdict: Some(Verdict::Error),
        ..Seen::default()
    }
}

fn window(run: &mut Run<'_>, measured: &Measured, elapsed_ms: u64) -> Seen {
    if measured.to <= measured.from {
        return Seen::default();
    }
    if measured.from < run.state.cursor_ms {
        // It would count again what was counted.
        let why = "the window begins before the cursor".to_owned();
        let trouble = Trouble::Partial;
        return failed(run, &Untold { trouble, why });
    }
    let stand = exposure::stand(&run.state, &run.plan);
    let judged = run.analyst.judge(
        &run.plan.analysis,
        stand,
        &mut run.state.analysis,
        (measured, elapsed_ms),
    );
    run.state.cursor_ms = measured.to;
    let covered_ms = measured.to - measured.from;
    let known_ms = run.state.clocks.unread_ms.saturating_add(elapsed_ms);
    let slack_ms = LEASE_MS + 2 * run.plan.analysis.interval_ms;
    let lost_ms = covered_ms.saturating_sub(known_ms);
    run.state.clocks.unread_ms = 0;
    if run.state.phase != Phase::Paused {
        run.state.clocks.exposure_ms += covered_ms;
    }
    let mut seen = weighed(run, judged, measured, stand.warming);
    if lost_ms > slack_ms && !run.state.promoted {
        seen.gap_ms = Some(lost_ms);
    }
    if exposure::sub(run.here()) == Some(Sub::Warming) {
        exposure::warm(run);
    }
    seen
}

/// The judgement, with what only the state knows: checks that failed before, and what was waived.
fn weighed(run: &mut Run<'_>, judged: Judged, measured: &Measured, is_warming: bool) -> Seen {
    let mut why = judged.why;
    let guard = judged.guard.map(|guard| (guard, why.clone()));
    let untold = measured.untold.is_some() || judged.verdict == Verdict::Error;
    let mut verdict = match judged.verdict {
        // Consumed, not judged.
        _ if is_warming && !untold => Verdict::Inconclusive,
        _ if is_warming => Verdict::Error,
        verdict if untold => verdict.max(Verdict::Error),
        verdict => verdict,
    };
    let mut pause = None;
    if !is_warming {
        let over = failed_checks(run, &judged.failed_checks);
        let waived = |metric: &String| run.state.waived.contains(metric);
        pause = over.pause.or(judged.pause).filter(|metric| !waived(metric));
        if let Some(fails) = over.fails {
            verdict = Verdict::Fail;
            why = fails;
        }
        if pause.is_some() {
            verdict = verdict.max(Verdict::Inconclusive);
        }
    }
    run.state.verdict = Some(Told { kind: verdict, why });
    Seen {
        verdict: Some(verdict),
        is_told: verdict != Verdict::Error,
        guard,
        no_data: judged.no_data && !is_warming,
        pause,
        ..Seen::default()
    }
}

#[derive(Default)]
struct Over {
    fails: Option<String>,
    pause: Option<String>,
}

/// Counts checks that failed, and says which of them failed too often within this step.
fn failed_checks(run: &mut Run<'_>, names: &[String]) -> Over {
    for name in names {
        *run.state
            .counters
            .failed_checks
            .entry(name.clone())
            .or_default() += 1;
    }
    let mut over = Over::default();
    let counted = &run.state.counters.failed_checks;
    for metric in &run.plan.analysis.metrics {
        let Test::Query { failure_limit, .. } = metric.test else {
            continue;
        };
        let count = counted.get(&metric.name).copied().unwrap_or_default();
        if count <= failure_limit {
            continue;
        }
        match metric.mode {
            Mode::Enforce => {
                let why = format!(
                    "{} failed {count} times; its limit is {failure_limit}",
                    metric.name
                );
                over.fails.get_or_insert(why);
            }
            Mode::PauseOnly => over.pause = Some(metric.name.clone()),
            Mode::Observe => {}
        }
    }
    over.fails = over.fails.or_else(|| threshold(run));
    over
}

/// Failed checks of this step together, those that are only observed or pause left out.
pub(super) fn threshold(run: &Run<'_>) -> Option<String> {
    let acts = |name: &str| {
        let metric = run.plan.analysis.metrics.iter().find(|m| m.name == name);
        metric.is_none_or(|metric| metric.mode == Mode::Enforce)
    };
    let counted = run.state.counters.failed_checks.iter();
    let failed: u32 = counted
        .filter(|(name, _)| acts(name))
        .map(|(_, count)| count)
        .sum();
    let threshold = run.plan.analysis.threshold;
    (failed >= threshold)
        .then(|| format!("{failed} checks failed in this step; the threshold is {threshold}"))
}

/// Budgets: each stands still where rollout.md 4.6 says so.
fn clocks(run: &mut Run<'_>, seen: &Seen, sub: Option<Sub>, elapsed_ms: u64) {
    let is_paused = run.state.phase == Phase::Paused;
    let is_exposed = run.state.share > 0.0;
    let clocks = &mut run.state.clocks;
    if is_paused {
        clocks.paused_ms += elapsed_ms;
    } else {
        clocks.step_ms += elapsed_ms;
    }
    // No verdict is as blind as an error; whatever else was said is not.
    let is_blind = match seen.verdict {
        Some(verdict) => verdict == Verdict::Error,
        None => !seen.is_told,
    };
    clocks.blind_ms = if is_blind && is_exposed {
        clocks.blind_ms + elapsed_ms
    } else {
        0
    };
    if matches!(seen.verdict, None | Some(Verdict::Error)) && seen.opened.is_none() {
        clocks.unread_ms += elapsed_ms;
    }
    if matches!(sub, Some(Sub::Analysing | Sub::Gated)) && !is_paused {
        clocks.inconclusive_ms = match seen.verdict {
            Some(Verdict::Pass) => 0,
            _ => clocks.inconclusive_ms + elapsed_ms,
        };
    }
    let errors = &mut run.state.counters.consecutive_errors;
    match seen.verdict {
        Some(Verdict::Error) => *errors = errors.saturating_add(1),
        None if !seen.is_told => {}
        _ => *errors = 0,
    }
}
