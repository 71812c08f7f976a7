//! Another plan for the same candidate (T13), from the next step on. Pure.

use serin_proto::v1;

use super::run::Run;
use crate::rollout::{
    event::{Decision, Transition},
    plan::Plan,
    state::Phase,
};

/// Takes a plan; within a step it waits for the next one.
pub(super) fn replanned(run: &mut Run<'_>, plan: &v1::Rollout) -> Option<Transition> {
    let compiled = Plan::compile(plan).ok()?;
    let reason = format!("plan {} from the next step on", compiled.hash);
    let moved = run.transition("t13", Decision::Hold, reason);
    run.state.next_plan = Some(plan.clone());
    if !matches!(run.here(), Phase::Progressing(_)) {
        adopt(run);
    }
    Some(moved)
}

/// Makes the plan that waits the one that holds. Steps are found again by their shares.
pub(super) fn adopt(run: &mut Run<'_>) {
    let Some(document) = run.state.next_plan.take() else {
        return;
    };
    let Ok(plan) = Plan::compile(&document) else {
        return;
    };
    let (old, new) = (&run.plan.analysis, &plan.analysis);
    run.analyst.replan(old, new, &mut run.state.analysis);
    let last_up_to = |percent: f64| {
        let share = super::super::event::share_of(percent);
        let at = plan.steps.iter().rposition(|step| step.share <= share);
        at.and_then(|at| u32::try_from(at).ok())
    };
    if run.state.step.is_some() {
        run.state.step = Some(last_up_to(run.state.share).unwrap_or_default());
    }
    if run.state.passed.is_some() {
        run.state.passed = last_up_to(run.state.passed_share);
    }
    run.state.plan_hash.clone_from(&plan.hash);
    run.state.plan = document;
    run.plan = plan;
}
