//! Another plan for the same candidate (T13), from the next step on. Pure.

use serin_proto::v1;

use super::{exposure, hook::WEBHOOK_CHECK, moves, run::Run};
use crate::rollout::{
    event::{Decision, Transition, share_of},
    plan::{MetricPlan, Plan, Test},
    state::{Phase, State, Sub},
};

/// Takes a plan; within a step it waits for the next one.
pub(super) fn replanned(run: &mut Run<'_>, plan: &v1::Rollout) -> Option<Transition> {
    let compiled = Plan::compile(plan).ok()?;
    let reason = format!("plan {} from the next step on", compiled.hash);
    let moved = run.transition("t13", Decision::Hold, reason);
    run.state.next_plan = Some(plan.clone());
    if !matches!(run.here(), Phase::Progressing(_)) {
        let is_unjudged = adopt(run);
        further_steps(run);
        if is_unjudged && exposure::sub(run.here()).is_some() && run.state.share > 0.0 {
            moves::apply_anew(run, share_of(run.state.share));
        }
    }
    Some(moved)
}

/// The last step is not the last any more.
fn further_steps(run: &mut Run<'_>) {
    let state = &mut run.state;
    let present = share_of(state.lowered_from.unwrap_or(state.share));
    if run.plan.steps.iter().all(|step| step.share <= present) {
        return;
    }
    let here = match &mut state.paused_in {
        Some(phase) => phase,
        None => &mut state.phase,
    };
    if *here == Phase::WaitingPromotion {
        *here = Phase::Progressing(Sub::Analysing);
    }
}

/// Makes the plan that waits the one that holds. Steps are found again by their shares. Whether
/// there is a metric now that cannot be judged before the next exposure: its bounds are read there.
pub(super) fn adopt(run: &mut Run<'_>) -> bool {
    let Some(document) = run.state.next_plan.take() else {
        return false;
    };
    let Ok(plan) = Plan::compile(&document) else {
        return false;
    };
    let (old, new) = (&run.plan.analysis, &plan.analysis);
    run.analyst.replan(old, new, &mut run.state.analysis);
    let has_no_bounds = new.metrics.iter().any(|metric| {
        let was = old.metrics.iter().find(|was| was.name == metric.name);
        matches!(metric.test, Test::Beyond { .. }) && was.is_none_or(|was| was.test != metric.test)
    });
    forget_changed(&mut run.state, &run.plan, &plan);
    let last_up_to = |percent: f64| {
        let share = share_of(percent);
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
    has_no_bounds
}

/// What webhooks said that are others now, and failures of checks that are others now, say nothing.
fn forget_changed(state: &mut State, old: &Plan, new: &Plan) {
    let (old, new) = (&old.analysis, &new.analysis);
    let is_same_hook = |name: &str| {
        let was = old.webhooks.iter().find(|hook| hook.name == name);
        was.is_some_and(|was| new.webhooks.contains(was))
    };
    let is_same_metric = |name: &str| {
        let was = old.metrics.iter().find(|metric| metric.name == name);
        let is = new.metrics.iter().find(|metric| metric.name == name);
        let tested = |metric: &MetricPlan| (metric.mode, metric.test.clone());
        is.is_some() && was.map(tested) == is.map(tested)
    };
    state.hooks.retain(|name, _| is_same_hook(name));
    let failed = &mut state.counters.failed_checks;
    failed.retain(|name, _| match name.strip_prefix(WEBHOOK_CHECK) {
        Some(hook) => is_same_hook(hook),
        None => is_same_metric(name),
    });
}
