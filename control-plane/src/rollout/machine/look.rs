//! What a tick's reading says, and what it does to the clocks and counters. Pure.
//!
//! A window is consumed exactly once: it begins at the cursor, and the cursor moves to its end in
//! the same step. Windows of Applying and Warming are consumed, and only guards look at them.

use super::{exposure, run::Run};
use crate::{
    analysis::{
        judge::{Guard, Judged, Stand},
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

/// The source may be so far behind the present, by the leader's clock, before having nothing new is
/// being blind: two scrapes a minute apart, and some ticks.
const READING_DELAY_MAX_MS: u64 = 180_000;

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
        Reading::Checked(_) => told,
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
        return nothing_new(run, measured, elapsed_ms);
    }
    if measured.from < run.state.cursor_ms {
        // It would count again what was counted.
        let why = "the window begins before the cursor".to_owned();
        let trouble = Trouble::Partial;
        return failed(run, &Untold { trouble, why });
    }
    let stand = exposure::stand(&run.state, &run.plan);
    let judged = judged(run, stand, (measured, elapsed_ms));
    run.state.cursor_ms = measured.to;
    let covered = covered(run, measured, elapsed_ms);
    run.state.clocks.unread_ms = 0;
    run.state.clocks.unread_paused_ms = 0;
    if run.state.phase != Phase::Paused {
        run.state.clocks.exposure_ms += covered.exposure_ms;
    }
    let mut seen = weighed(run, judged, measured, stand.warming);
    seen.gap_ms = covered.gap_ms.filter(|_| !run.state.promoted);
    if exposure::sub(run.here()) == Some(Sub::Warming) && exposure::warm(run) {
        let said = run.state.verdict.as_mut();
        let said = said.filter(|told| told.kind == Verdict::Inconclusive);
        if let Some(told) = said {
            "warm: counts are judged from now on".clone_into(&mut told.why);
        }
    }
    seen
}

/// The source has not read on since the cursor: guards have something to look at, nothing else has.
fn nothing_new(run: &mut Run<'_>, measured: &Measured, elapsed_ms: u64) -> Seen {
    let stand = Stand {
        warming: true,
        ..exposure::stand(&run.state, &run.plan)
    };
    let is_late = run.state.clocks.unread_ms >= READING_DELAY_MAX_MS;
    let is_told = measured.untold.is_none() && !is_late;
    let gauges_alone = Measured {
        untold: Some(Untold {
            trouble: Trouble::Stale,
            why: "nothing was read since the last window".to_owned(),
        }),
        ..measured.clone()
    };
    let judged = judged(run, stand, (&gauges_alone, elapsed_ms));
    Seen {
        is_told,
        guard: judged.guard.map(|guard| (guard, judged.why)),
        ..Seen::default()
    }
}

/// What somebody let pass is still looked at, and holds nothing any more.
fn judged(run: &mut Run<'_>, stand: Stand, window: (&Measured, u64)) -> Judged {
    let (plan, analysis) = (&run.plan.analysis, &mut run.state.analysis);
    if run.state.waived.is_empty() {
        return run.analyst.judge(plan, stand, analysis, window);
    }
    let mut plan = plan.clone();
    let metrics = plan.metrics.iter_mut();
    for metric in metrics.filter(|metric| metric.mode == Mode::PauseOnly) {
        if run.state.waived.contains(&metric.name) {
            metric.mode = Mode::Observe;
        }
    }
    run.analyst.judge(&plan, stand, analysis, window)
}

struct Covered {
    exposure_ms: u64,
    gap_ms: Option<u64>,
}

/// How much of a window was exposure. Nobody's clock is believed alone: only time that the source's
/// and the leader's both saw pass without a step is a gap, and what one of them alone saw shortens
/// nothing.
fn covered(run: &Run<'_>, measured: &Measured, elapsed_ms: u64) -> Covered {
    let window_ms = measured.to - measured.from;
    let known_ms = run.state.clocks.unread_ms.saturating_add(elapsed_ms);
    let slack_ms = LEASE_MS + 2 * run.plan.analysis.interval_ms;
    let by_source_ms = window_ms.saturating_sub(known_ms);
    let since_step_ms = run
        .at
        .saturating_sub(run.state.stepped_at)
        .saturating_mul(1_000);
    let by_wall_ms = since_step_ms.saturating_sub(elapsed_ms);
    let gap_ms = by_source_ms.min(by_wall_ms);
    let covered_ms = if by_source_ms > slack_ms {
        known_ms
    } else {
        window_ms
    };
    Covered {
        exposure_ms: covered_ms.saturating_sub(run.state.clocks.unread_paused_ms),
        gap_ms: (gap_ms > slack_ms).then_some(gap_ms),
    }
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
        pause = over.pause.or(judged.pause.filter(|metric| !waived(metric)));
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
    let most = run.plan.analysis.threshold.saturating_sub(1);
    for metric in &run.plan.analysis.metrics {
        let failure_limit = match metric.test {
            Test::Query { failure_limit, .. } => failure_limit,
            // Those that roll back are counted together, below.
            Test::Literal { .. } if metric.mode == Mode::PauseOnly => most,
            _ => continue,
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
            Mode::PauseOnly if !run.state.waived.contains(&metric.name) => {
                over.pause.get_or_insert_with(|| metric.name.clone());
            }
            Mode::PauseOnly | Mode::Observe => {}
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
        clocks.unread_paused_ms += if is_paused { elapsed_ms } else { 0 };
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
