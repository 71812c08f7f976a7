//! An exposure: one share from its writing to the next. Pure.
//!
//! Applying until all routers have it, Warming until what ends was begun under it, Analysing. A
//! pause does not stop it: it goes on inside `paused_in`.

use serin_proto::unit::Share;

use super::run::Run;
use crate::{
    analysis::{judge::Stand, sample::Opening, verdict::Verdict},
    rollout::{
        event::{Decision, Transition, share_of},
        plan::{HookKind, Plan},
        state::{Counters, Phase, State, Sub, Told},
    },
};

/// The phase that runs, paused or not.
pub(super) fn here(state: &State) -> Phase {
    match state.phase {
        Phase::Paused => state.paused_in.unwrap_or(Phase::Preflight),
        phase => phase,
    }
}

/// Where the exposure is; a phase that has none of its own analyses the one before.
pub(super) fn sub(phase: Phase) -> Option<Sub> {
    match phase {
        Phase::Progressing(sub) | Phase::Promoting(sub) | Phase::Baking(sub) => Some(sub),
        Phase::WaitingPromotion => Some(Sub::Analysing),
        _ => None,
    }
}

/// The same phase elsewhere in its exposure.
pub(super) fn with_sub(phase: Phase, sub: Sub) -> Phase {
    match phase {
        Phase::Progressing(_) => Phase::Progressing(sub),
        Phase::Promoting(_) => Phase::Promoting(sub),
        Phase::Baking(_) => Phase::Baking(sub),
        // It has no exposure of its own: the last step's begins anew.
        Phase::WaitingPromotion if sub == Sub::Applying => Phase::Progressing(sub),
        phase => phase,
    }
}

pub(super) fn set_sub(state: &mut State, sub: Sub) {
    match &mut state.paused_in {
        Some(phase) if state.phase == Phase::Paused => *phase = with_sub(*phase, sub),
        _ => state.phase = with_sub(state.phase, sub),
    }
}

/// How long a rollout may not be ready (T3): streams that must end first are given their time.
pub(in crate::rollout) fn deadline_ms(state: &State, plan: &Plan) -> u64 {
    plan.progress_deadline_ms.saturating_add(state.settle_ms)
}

/// Another share, or the same anew: nothing seen before says anything about it.
pub(super) fn expose(run: &mut Run<'_>, share: Share) {
    let state = &mut run.state;
    state.share = percent(share);
    state.exposure_start_ms = 0;
    state.warmup_ms = 0;
    state.counters = Counters::default();
    state.starved = false;
    state.clocks.step_ms = 0;
    state.clocks.exposure_ms = 0;
    state.clocks.inconclusive_ms = 0;
    state.clocks.unacked_ms = 0;
    state.clocks.unread_ms = 0;
    state.clocks.unread_paused_ms = 0;
    state.verdict = Some(Told {
        kind: Verdict::Inconclusive,
        why: format!("{share} % has just been asked for"),
    });
    let asked_anew = [
        HookKind::Rollout,
        HookKind::ConfirmTrafficIncrease,
        HookKind::ConfirmPromotion,
    ];
    let hooks = run.plan.analysis.webhooks.iter();
    for hook in hooks.filter(|hook| asked_anew.contains(&hook.kind)) {
        state.hooks.remove(&hook.name);
    }
}

/// T6: all routers have the share; everything that ends from now on is counted.
pub(super) fn open(run: &mut Run<'_>, opening: &Opening) -> Transition {
    let analysis = &run.plan.analysis;
    let state = &mut run.state;
    state.exposure_start_ms = opening.now;
    state.cursor_ms = opening.now;
    state.clocks.exposure_ms = 0;
    state.clocks.unread_ms = 0;
    state.clocks.unread_paused_ms = 0;
    state.warmup_ms = analysis.warmup_ms.unwrap_or_else(|| {
        let stable = opening.stable_p99_ms.unwrap_or(analysis.interval_ms);
        stable.min(state.warmup_max_ms.max(analysis.interval_ms))
    });
    let exposures = usize::try_from(state.exposures).unwrap_or(usize::MAX);
    run.analyst
        .open(analysis, exposures, &mut state.analysis, opening);
    set_sub(state, Sub::Warming);
    let reason = format!("all routers serve {} %", state.share);
    run.transition("t6", Decision::Hold, reason)
}

/// What a verdict needs to know of where the rollout stands.
#[must_use]
pub fn stand(state: &State, plan: &Plan) -> Stand {
    let here = here(state);
    let step = state.step.and_then(|i| usize::try_from(i).ok());
    let step = step.and_then(|i| plan.steps.get(i));
    let in_step = matches!(here, Phase::Progressing(_));
    Stand {
        share: share_of(state.share),
        warming: matches!(sub(here), Some(Sub::Applying | Sub::Warming)),
        min_samples: match here {
            Phase::Baking(_) => 0,
            _ => step.map_or(0, |step| step.min_samples),
        },
        certificate: in_step && step.is_some_and(|step| step.certificate),
    }
}

/// A window of a warm-up was consumed: was it the last? A warm-up that somebody wrote is as long as
/// written; otherwise the canary's answers must have caught up with its share. Whether it was.
pub(super) fn warm(run: &mut Run<'_>) -> bool {
    let state = &run.state;
    let warmed_ms = state.cursor_ms.saturating_sub(state.exposure_start_ms);
    let is_settled = run.plan.analysis.warmup_ms.is_some()
        || run.analyst.settled(&state.analysis)
        || warmed_ms >= state.warmup_max_ms;
    let is_warm = warmed_ms >= state.warmup_ms && is_settled;
    if is_warm {
        set_sub(&mut run.state, Sub::Analysing);
    }
    is_warm
}

fn percent(share: Share) -> f64 {
    f64::from(share.hundredths()) / 100.0
}
