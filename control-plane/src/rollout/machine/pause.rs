//! What pauses a rollout, and what ends a pause. Pure.

use super::{exposure, look::Seen, moves, run::Run};
use crate::{
    analysis::verdict::Verdict,
    rollout::{
        event::{Decision, Transition, share_of},
        plan::{OnNoData, OnProviderError},
        state::{PauseReason, Phase},
    },
};

/// Routers may take so long to acknowledge a share.
const UNACKED_MAX_MS: u64 = 30_000;

/// T16: no verdict was possible for too long while the candidate had traffic.
pub(super) fn blind(run: &mut Run<'_>) -> Option<Transition> {
    let state = &run.state;
    let is_held = [
        PauseReason::Blind,
        PauseReason::Suspended,
        PauseReason::Frozen,
    ]
    .iter()
    .any(|reason| state.pause_reasons.contains(reason));
    let max_ms = run.plan.analysis.blind_max_ms;
    if is_held || state.share <= 0.0 || state.clocks.blind_ms < max_ms {
        return None;
    }
    let share = share_of(state.passed_share);
    let reason = format!("no verdict was possible for {} s", max_ms / 1_000);
    let moved = run.transition("t16", Decision::StepBack, reason);
    moves::lower(run, share);
    moves::pause(&mut run.state, PauseReason::Blind);
    if run.state.share <= 0.0 {
        // Without traffic there is nothing that could end it.
        let reasons = &mut run.state.pause_reasons;
        reasons.retain(|reason| *reason != PauseReason::Inconclusive);
    }
    Some(moved)
}

/// T8: a limit of waiting is passed. `Err`: the plan makes a failure of it.
pub(super) fn due(run: &mut Run<'_>, seen: &Seen) -> Option<Result<Transition, String>> {
    let (reason, why) = match cause(run, seen)? {
        Ok(cause) => cause,
        Err(why) => return Some(Err(why)),
    };
    run.state.paused_for = seen.pause.clone().unwrap_or_default();
    run.state.starved = reason == PauseReason::Inconclusive && seen.no_data;
    let moved = run.transition("t8", Decision::Pause, why);
    moves::pause(&mut run.state, reason);
    Some(Ok(moved))
}

type Cause = Result<(PauseReason, String), String>;

fn cause(run: &Run<'_>, seen: &Seen) -> Option<Cause> {
    let (state, analysis) = (&run.state, &run.plan.analysis);
    let why = || {
        state
            .verdict
            .as_ref()
            .map(|told| told.why.clone())
            .unwrap_or_default()
    };
    if state.clocks.unacked_ms >= UNACKED_MAX_MS {
        let why = "routers do not acknowledge the share".to_owned();
        return Some(Ok((PauseReason::RoutersLagging, why)));
    }
    if seen.verdict == Some(Verdict::Error) {
        let at_once = analysis.on_provider_error == OnProviderError::Pause;
        let count = state.counters.consecutive_errors;
        if at_once || count > analysis.consecutive_error_limit {
            return Some(Ok((PauseReason::MetricsUnavailable, why())));
        }
    }
    if let Some(metric) = &seen.pause {
        let why = format!("{metric} has passed its limit");
        return Some(Ok((PauseReason::Inconclusive, why)));
    }
    if seen.no_data && analysis.on_no_data == OnNoData::Pause {
        return Some(Ok((PauseReason::Inconclusive, why())));
    }
    if state.clocks.inconclusive_ms < analysis.inconclusive_deadline_ms {
        return None;
    }
    if seen.no_data && analysis.on_no_data == OnNoData::Fail {
        return Some(Err(
            "there was no canary traffic until the deadline".to_owned()
        ));
    }
    Some(Ok((PauseReason::Inconclusive, why())))
}

/// Adds what holds it, takes away what has gone, and goes on when nothing is left (T15).
pub(super) fn ended(
    run: &mut Run<'_>,
    seen: &Seen,
    (all_acked, store_changed): (bool, bool),
) -> Option<Transition> {
    let before = run.state.pause_reasons.clone();
    let starved = run.state.starved;
    let has_gone = |reason: PauseReason| match reason {
        PauseReason::User | PauseReason::Suspended | PauseReason::Frozen => false,
        PauseReason::Inconclusive => {
            let has_data = starved && !seen.no_data && seen.verdict == Some(Verdict::Inconclusive);
            seen.verdict == Some(Verdict::Pass) || has_data && seen.pause.is_none()
        }
        PauseReason::MetricsUnavailable | PauseReason::Blind => seen.is_told,
        PauseReason::RoutersLagging => all_acked,
        PauseReason::StoreChanged => !store_changed,
    };
    let mut after = before.clone();
    after.retain(|reason| !has_gone(*reason));
    if store_changed && let Err(at) = after.binary_search(&PauseReason::StoreChanged) {
        after.insert(at, PauseReason::StoreChanged);
    }
    if after == before {
        return None;
    }
    if after.is_empty() {
        let moved = run.transition("t15", Decision::Hold, "what held it has gone");
        moves::resume(run);
        return Some(moved);
    }
    let reason = format!("held by {}", words(&after));
    run.state.pause_reasons = after;
    Some(run.transition("t15", Decision::Hold, reason))
}

/// The words of the API, for people.
pub(super) fn words(reasons: &[PauseReason]) -> String {
    let words: Vec<String> = reasons.iter().map(|reason| format!("{reason:?}")).collect();
    words.join(", ")
}

/// Whether a failure waits: somebody suspended it, or it is frozen because of one.
pub(super) fn holds_failures(run: &Run<'_>) -> bool {
    let reasons = &run.state.pause_reasons;
    reasons.contains(&PauseReason::Suspended) || reasons.contains(&PauseReason::Frozen)
}

/// Acknowledgements that are missing run a clock, but for the first share's that is not there yet.
pub(super) fn acknowledged(run: &mut Run<'_>, all_acked: bool, elapsed_ms: u64) {
    let is_exposing = exposure::sub(run.here()).is_some() && run.state.share > 0.0;
    let clocks = &mut run.state.clocks;
    clocks.unacked_ms = match (all_acked, is_exposing) {
        (false, true) if run.state.phase != Phase::Paused => clocks.unacked_ms + elapsed_ms,
        (false, true) => clocks.unacked_ms,
        _ => 0,
    };
}
