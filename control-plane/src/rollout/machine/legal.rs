//! Which verbs may be used now. One table; pure.

use super::exposure::here;
use crate::rollout::{
    event::share_of,
    plan::Plan,
    state::{PauseReason, Phase, State, Sub},
};

/// Verbs that may be used now: `pause`, `resume`, `promote`, `promote full`, `abort`, `undo`,
/// `retry`, `skip-step`, `gate`. Whether an undo comes in time depends on more than the state.
#[must_use]
pub fn legal(state: &State) -> Vec<&'static str> {
    let mut verbs = match state.phase {
        Phase::Succeeded if state.undone => vec![],
        Phase::Succeeded => vec!["undo"],
        Phase::Failed | Phase::Aborted | Phase::Superseded => vec!["retry"],
        Phase::Pending => vec!["abort"],
        Phase::WaitingRollout => vec!["abort", "promote"],
        Phase::Preflight => vec!["abort", "pause"],
        Phase::Progressing(Sub::Gated) => {
            vec!["abort", "pause", "promote", "promote full", "skip-step"]
        }
        // Nothing waits for a promotion before its share has been applied and warmed.
        Phase::Progressing(Sub::Applying | Sub::Warming) if is_last(state) => {
            vec!["abort", "pause", "promote full"]
        }
        Phase::Progressing(_) => vec!["abort", "pause", "promote full", "skip-step"],
        Phase::WaitingPromotion => vec!["abort", "pause", "promote", "promote full"],
        Phase::Promoting(_) => vec!["abort", "pause", "promote full"],
        Phase::Baking(_) => vec!["abort", "pause", "undo"],
        Phase::Paused => return paused(state),
    };
    if !state.phase.is_terminal() && names_gates(state) {
        verbs.push("gate");
    }
    without_rises(state, verbs)
}

fn paused(state: &State) -> Vec<&'static str> {
    let reasons = &state.pause_reasons;
    if reasons.contains(&PauseReason::Frozen) {
        return vec!["abort", "retry"];
    }
    let mut verbs = vec!["abort", "pause"];
    if reasons
        .iter()
        .any(|reason| *reason != PauseReason::StoreChanged)
    {
        verbs.push("resume");
    }
    let is_baking = matches!(here(state), Phase::Baking(_));
    if is_baking {
        verbs.push("undo");
    }
    if reasons[..] == [PauseReason::User] {
        verbs.push("promote");
        if !is_baking && here(state) != Phase::Preflight {
            verbs.push("promote full");
        }
    }
    if names_gates(state) {
        verbs.push("gate");
    }
    without_rises(state, verbs)
}

/// After a `fail` nothing rises any more, whoever asks.
fn without_rises(state: &State, mut verbs: Vec<&'static str>) -> Vec<&'static str> {
    if state.failed {
        verbs.retain(|verb| !["promote", "promote full", "skip-step"].contains(verb));
    }
    verbs
}

fn is_last(state: &State) -> bool {
    let newest = state.next_plan.as_ref().unwrap_or(&state.plan);
    let present = share_of(state.share);
    Plan::compile(newest).is_ok_and(|plan| plan.steps.iter().all(|step| step.share <= present))
}

fn names_gates(state: &State) -> bool {
    gates(state).next().is_some()
}

/// Gates that the plan names, and the one that waits for the next step.
pub fn gates(state: &State) -> impl Iterator<Item = &str> {
    let plans = std::iter::once(&state.plan).chain(&state.next_plan);
    plans.flat_map(|plan| {
        let steps = plan.steps.iter().map(|step| step.gate.as_str());
        let promotion = plan
            .promotion
            .iter()
            .map(|promotion| promotion.gate.as_str());
        steps.chain(promotion).filter(|gate| !gate.is_empty())
    })
}
