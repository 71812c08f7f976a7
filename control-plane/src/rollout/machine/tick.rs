//! An interval has passed: the phases, and what each waits for. Pure.

use super::{
    exposure, hook,
    look::{self, Seen},
    moves, pause,
    run::Run,
};
use crate::{
    analysis::verdict::Verdict,
    rollout::{
        event::{Checked, Decision, Reading, Tick, Transition, share_of},
        plan::HookKind,
        state::{PauseReason, Phase, Sub, Told},
    },
};

/// A tick counts for at most so many intervals: a clock that jumps makes a step longer, never
/// shorter.
const INTERVALS_MAX: u64 = 2;

pub(super) fn passed(run: &mut Run<'_>, tick: &Tick) -> Option<Transition> {
    let most = INTERVALS_MAX * run.plan.analysis.interval_ms;
    let elapsed_ms = tick.elapsed_ms.min(most);
    match run.state.phase {
        Phase::Pending | Phase::WaitingRollout if tick.fleet.store_changed => None,
        Phase::Pending => pending(run, tick, elapsed_ms),
        Phase::WaitingRollout => waiting(run, elapsed_ms),
        _ => active(run, tick, elapsed_ms),
    }
}

/// T2, T3.
fn pending(run: &mut Run<'_>, tick: &Tick, elapsed_ms: u64) -> Option<Transition> {
    run.state.clocks.step_ms += elapsed_ms;
    if let Some(told) = missing(run, tick) {
        return overdue(run, run.state.clocks.step_ms, told);
    }
    let kind = HookKind::ConfirmRollout;
    let has_gate = run
        .plan
        .analysis
        .webhooks
        .iter()
        .any(|hook| hook.kind == kind);
    let moved = run.transition("t2", Decision::Hold, "routers and metrics are ready");
    run.state.phase = if has_gate {
        Phase::WaitingRollout
    } else {
        Phase::Preflight
    };
    run.state.verdict = None;
    run.state.clocks.step_ms = 0;
    Some(moved)
}

/// T3: what is still missing is told, and waited for until the deadline.
fn overdue(run: &mut Run<'_>, waited_ms: u64, told: Told) -> Option<Transition> {
    let reason = format!("not ready in time: {}", told.why);
    run.state.verdict = Some(told);
    if waited_ms < exposure::deadline_ms(&run.state, &run.plan) {
        return None;
    }
    let moved = run.transition("t3", Decision::RollBack, reason.clone());
    moves::end_state(&mut run.state, Phase::Failed, &reason, run.at);
    Some(moved)
}

fn not_yet(why: impl Into<String>) -> Told {
    let kind = Verdict::Inconclusive;
    let why = why.into();
    Told { kind, why }
}

/// What a rollout still needs before it may begin.
fn missing(run: &Run<'_>, tick: &Tick) -> Option<Told> {
    let fleet = tick.fleet;
    if !all_acked(tick) {
        let (acked, live) = (fleet.acked, fleet.live);
        return Some(not_yet(format!("{acked} of {live} routers acknowledged")));
    }
    let checked = match checked(&tick.reading) {
        Ok(checked) => checked,
        Err(told) => return Some(told),
    };
    if checked.canary_series_on < fleet.live {
        let (seen, live) = (checked.canary_series_on, fleet.live);
        let why = format!("{seen} of {live} routers show the candidate's series");
        return Some(not_yet(why));
    }
    let left_ms = run.state.settle_ms.saturating_sub(run.state.clocks.step_ms);
    let left_s = left_ms / 1_000;
    let why = || format!("streams of its older definition may run for {left_s} s more");
    (left_ms > 0).then(|| not_yet(why()))
}

/// What was looked for, if all of it could be asked.
fn checked(reading: &Reading) -> Result<&Checked, Told> {
    let kind = Verdict::Error;
    match reading {
        Reading::Checked(checked) if checked.faults.is_empty() => Ok(checked),
        Reading::Checked(checked) => Err(Told {
            kind,
            why: checked.faults.join("; "),
        }),
        Reading::Failed(untold) => Err(Told {
            kind,
            why: untold.to_string(),
        }),
        _ => Err(not_yet("metrics were not asked yet")),
    }
}

fn all_acked(tick: &Tick) -> bool {
    tick.fleet.live > 0 && tick.fleet.acked >= tick.fleet.live
}

/// T4.
fn waiting(run: &mut Run<'_>, elapsed_ms: u64) -> Option<Transition> {
    run.state.clocks.step_ms += elapsed_ms;
    hook::all_say(run, HookKind::ConfirmRollout, "open").then(|| begin(run, "the gate is open"))
}

/// T4, by its gate or by hand.
pub(super) fn begin(run: &mut Run<'_>, reason: &str) -> Transition {
    let moved = run.transition("t4", Decision::Hold, reason);
    run.state.phase = Phase::Preflight;
    run.state.clocks.step_ms = 0;
    moved
}

/// Preflight to Baking, paused or not. What takes traffic away comes before what adds some.
fn active(run: &mut Run<'_>, tick: &Tick, elapsed_ms: u64) -> Option<Transition> {
    let all_acked = all_acked(tick);
    let mut seen = look::look(run, tick, elapsed_ms, all_acked);
    pause::acknowledged(run, all_acked, elapsed_ms);
    if let Some((guard, why)) = seen.guard.take() {
        return Some(moves::guarded(run, guard, why));
    }
    run.state.failed |= seen.verdict == Some(Verdict::Fail);
    if run.state.failed && !pause::holds_failures(run) {
        return Some(moves::failed(run));
    }
    if let Some(moved) = pause::blind(run) {
        return Some(moved);
    }
    let store_changed = tick.fleet.store_changed;
    if run.state.phase == Phase::Paused {
        let moved = seen.opened.take().or_else(|| anew(run, &seen));
        return moved.or_else(|| pause::ended(run, &seen, (all_acked, store_changed)));
    }
    if store_changed {
        let reason = "the store is another or an older one";
        let moved = run.transition("t8", Decision::Pause, reason);
        moves::pause(&mut run.state, PauseReason::StoreChanged);
        return Some(moved);
    }
    let moved = seen.opened.take().or_else(|| anew(run, &seen));
    if moved.is_some() {
        return moved;
    }
    if let Phase::Preflight = run.state.phase {
        return preflight(run, tick, elapsed_ms);
    }
    match pause::due(run, &seen) {
        Some(Ok(paused)) => Some(paused),
        Some(Err(why)) => {
            let kind = Verdict::Fail;
            run.state.verdict = Some(Told { kind, why });
            run.state.failed = true;
            Some(moves::failed(run))
        }
        None => forward(run, &seen),
    }
}

/// Time in which nobody could commit is no exposure (rollout.md 7): the step is done once more.
fn anew(run: &mut Run<'_>, seen: &Seen) -> Option<Transition> {
    let gap_ms = seen.gap_ms?;
    let reason = format!(
        "nothing was committed for {} s: the share is applied anew",
        gap_ms / 1_000
    );
    let moved = run.transition("t8", Decision::Hold, reason);
    moves::apply_anew(run, share_of(run.state.share));
    Some(moved)
}

/// T5, and T3 for a candidate that does not come up. Webhooks wait as long as they want: somebody
/// answers them so.
fn preflight(run: &mut Run<'_>, tick: &Tick, elapsed_ms: u64) -> Option<Transition> {
    if let Some(told) = down(run, &tick.reading) {
        // That the metrics cannot be asked is no fault of the candidate's.
        if told.kind == Verdict::Error {
            run.state.verdict = Some(told);
            return None;
        }
        run.state.clocks.inconclusive_ms += elapsed_ms;
        return overdue(run, run.state.clocks.inconclusive_ms, told);
    }
    run.state.clocks.inconclusive_ms = 0;
    let kinds = [
        (HookKind::PreRollout, "passed"),
        (HookKind::ConfirmTrafficIncrease, "open"),
    ];
    let mut awaited = kinds.iter();
    if let Some(why) = awaited.find_map(|(kind, word)| hook::withheld(run, *kind, word)) {
        run.state.verdict = Some(not_yet(why));
        return None;
    }
    run.state.verdict = None;
    Some(moves::first_step(run))
}

/// Why the probe of the candidate is not passed. It asks the metrics alone.
fn down(run: &Run<'_>, reading: &Reading) -> Option<Told> {
    let checked = match checked(reading) {
        Ok(checked) => checked,
        Err(told) => return Some(told),
    };
    let (down, fresh) = (checked.down_on, checked.fresh);
    let name = &run.state.candidate.target;
    let why = match fresh {
        0 => format!("no router has told of {name} yet"),
        _ => format!("{name} is down, or its breaker open, on {down} of {fresh} routers"),
    };
    checked.candidate_down.then(|| not_yet(why))
}

/// T7, T17, T17a, T18: only a fresh `pass` of this exposure moves anything up.
fn forward(run: &mut Run<'_>, seen: &Seen) -> Option<Transition> {
    let verdict = seen.verdict?;
    let phase = run.state.phase;
    let is_judged = matches!(exposure::sub(phase), Some(Sub::Analysing | Sub::Gated));
    if !is_judged {
        return None;
    }
    let passes = verdict == Verdict::Pass && hook::all_say(run, HookKind::Rollout, "passed");
    match phase {
        Phase::Progressing(_) => step_passed(run, passes),
        Phase::WaitingPromotion if passes && hook::may_promote(run) => {
            Some(moves::raise(run, "t17", "passed, and its gate is open"))
        }
        Phase::Promoting(_) if passes => Some(moves::raise(run, "t17", "passed")),
        Phase::Baking(_) if passes => {
            let is_over = run.state.clocks.exposure_ms >= run.plan.promotion.bake_ms;
            is_over.then(|| moves::succeed(run))
        }
        _ => None,
    }
}

fn step_passed(run: &mut Run<'_>, passes: bool) -> Option<Transition> {
    let step = run.state.step.and_then(|i| usize::try_from(i).ok());
    let least_ms = step
        .and_then(|i| run.plan.steps.get(i))
        .map_or(u64::MAX, |step| step.min_duration_ms);
    if !passes || run.state.clocks.exposure_ms < least_ms {
        if run.state.phase == Phase::Progressing(Sub::Gated) {
            hook::forget_gates(run);
        }
        run.state.phase = Phase::Progressing(Sub::Analysing);
        return None;
    }
    if !hook::may_increase(run) {
        run.state.phase = Phase::Progressing(Sub::Gated);
        return None;
    }
    Some(moves::next_step(run, false))
}
