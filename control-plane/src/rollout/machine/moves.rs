//! Moves of the share, and ends. Each makes exactly one transition. Pure.

use serin_proto::unit::Share;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    exposure::{self, expose},
    hook, replan,
    run::Run,
};
use crate::{
    analysis::{judge::Guard, verdict::Verdict},
    rollout::{
        event::{Decision, Transition, guard_word, share_of},
        plan::{HookKind, OnFail},
        state::{PauseReason, Phase, State, Sub, Told},
    },
};

/// T5: the first share.
pub(super) fn first_step(run: &mut Run<'_>) -> Transition {
    let share = run
        .plan
        .steps
        .first()
        .map_or(Share::NONE, |step| step.share);
    let moved = run.transition("t5", Decision::Advance, format!("step 1: {share} %"));
    run.state.step = Some(0);
    run.state.phase = Phase::Progressing(Sub::Applying);
    expose(run, share);
    moved
}

/// T7 and T21: the next share, or what comes after the last. A step that was skipped is not passed.
pub(super) fn next_step(run: &mut Run<'_>, by_hand: bool) -> Transition {
    if !by_hand {
        run.state.passed = run.state.step;
        run.state.passed_share = run.state.share;
    }
    close_gate(&mut run.state, HookKind::ConfirmTrafficIncrease.word());
    let is_unjudged = replan::adopt(run);
    let present = share_of(run.state.lowered_from.unwrap_or(run.state.share));
    let next = run.plan.steps.iter().position(|step| step.share > present);
    let Some((next, share)) = next.and_then(|i| Some((i, run.plan.steps.get(i)?.share))) else {
        let mut moved = after_last(run, by_hand);
        if is_unjudged && run.state.phase == Phase::WaitingPromotion {
            "a metric is new: the share is applied anew".clone_into(&mut moved.reason);
            apply_anew(run, present);
        }
        return moved;
    };
    let name = if by_hand { "t21" } else { "t7" };
    let reason = format!("step {}: {share} %", next + 1);
    let moved = run.transition(name, Decision::Advance, reason);
    run.state.step = u32::try_from(next).ok();
    run.state.phase = Phase::Progressing(Sub::Applying);
    expose(run, share);
    moved
}

/// Waits for the gate of the promotion if there is one. The exposure goes on.
fn after_last(run: &mut Run<'_>, by_hand: bool) -> Transition {
    let kind = HookKind::ConfirmPromotion;
    let has_gate = run.plan.promotion.gate.is_some()
        || run
            .plan
            .analysis
            .webhooks
            .iter()
            .any(|hook| hook.kind == kind);
    if !has_gate && !by_hand {
        return raise(run, "t17", "the last step was passed");
    }
    let name = if by_hand { "t21" } else { "t7" };
    let reason = "the last step is over: the promotion waits";
    let moved = run.transition(name, Decision::Hold, reason);
    run.state.phase = Phase::WaitingPromotion;
    run.state.clocks.step_ms = 0;
    moved
}

/// T17, or on the way there T17a: towards all but the hold-back.
pub(super) fn raise(run: &mut Run<'_>, name: &'static str, reason: &str) -> Transition {
    replan::adopt(run);
    let target = Share::ALL.hundredths() - run.plan.promotion.holdback.hundredths();
    let by = run.plan.promotion.step.filter(|_| name != "t21");
    let next = by.map_or(target, |by| {
        let present = share_of(run.state.share).hundredths();
        present.saturating_add(by.hundredths()).min(target)
    });
    let share = Share::from_hundredths(next).unwrap_or_default();
    if next < target {
        let moved = run.transition("t17a", Decision::Advance, format!("{reason}: {share} %"));
        run.state.phase = Phase::Promoting(Sub::Applying);
        expose(run, share);
        return moved;
    }
    let moved = run.transition(name, Decision::Promote, format!("{reason}: {share} %"));
    run.state.phase = Phase::Baking(Sub::Applying);
    run.state.promoted = true;
    expose(run, share);
    moved
}

/// T18.
pub(super) fn succeed(run: &mut Run<'_>) -> Transition {
    let reason = "the bake was passed: all traffic";
    let moved = run.transition("t18", Decision::Advance, reason);
    end_state(&mut run.state, Phase::Succeeded, reason, run.at);
    moved
}

/// T9 and T19: harm. What is done about it says the plan; after the promotion, always back.
pub(super) fn failed(run: &mut Run<'_>) -> Transition {
    let told = run.state.verdict.as_ref().map(|told| told.why.clone());
    let reason = told.unwrap_or_default();
    let is_baking = matches!(run.here(), Phase::Baking(_));
    if is_baking || run.plan.on_fail == OnFail::Rollback {
        let name = if is_baking { "t19" } else { "t9" };
        let moved = run.transition(name, Decision::RollBack, reason.clone());
        end_state(&mut run.state, Phase::Failed, &reason, run.at);
        return moved;
    }
    let steps_back = run.plan.on_fail == OnFail::StepBack;
    let decision = if steps_back {
        Decision::StepBack
    } else {
        Decision::Pause
    };
    let moved = run.transition("t9", decision, reason);
    if steps_back {
        lower(run, share_of(run.state.passed_share));
    }
    pause(&mut run.state, PauseReason::Frozen);
    moved
}

/// T11: a rule that needs no significance.
pub(super) fn guarded(run: &mut Run<'_>, guard: Guard, why: String) -> Transition {
    run.state.failed = true;
    run.state.guard = Some(guard);
    let reason = format!("{}: {why}", guard_word(guard));
    run.state.verdict = Some(Told {
        kind: Verdict::Fail,
        why: reason.clone(),
    });
    let moved = run.transition("t11", Decision::RollBack, reason.clone());
    end_state(&mut run.state, Phase::Failed, &reason, run.at);
    moved
}

/// T12: another one takes its place.
pub(super) fn superseded(run: &mut Run<'_>, by: &str) -> Transition {
    let reason = format!("rollout {by} takes its place");
    let moved = run.transition("t12", Decision::RollBack, reason.clone());
    end_state(&mut run.state, Phase::Superseded, &reason, run.at);
    moved
}

/// T21: somebody took traffic from the candidate. He is never refused, and nothing rises until he
/// says so.
pub(super) fn lowered_by_hand(run: &mut Run<'_>, percent: f64) -> Option<Transition> {
    let share = Share::try_from(percent).ok()?;
    let is_lower = share < share_of(run.state.share) && share > Share::NONE;
    if !is_lower || !run.state.phase.is_active() {
        return None;
    }
    let reason = format!("the share was lowered by hand: {share} %");
    let moved = run.transition("t21", Decision::Pause, reason);
    run.state.manual = true;
    lower(run, share);
    pause(&mut run.state, PauseReason::User);
    Some(moved)
}

/// A smaller share while it is paused; what it was is remembered, with its step to be done anew.
pub(super) fn lower(run: &mut Run<'_>, share: Share) {
    if share >= share_of(run.state.share) {
        return;
    }
    let was = run.state.share;
    run.state.lowered_from.get_or_insert(was);
    exposure::set_sub(&mut run.state, Sub::Applying);
    expose(run, share);
}

pub(super) fn pause(state: &mut State, reason: PauseReason) {
    if state.phase != Phase::Paused {
        state.paused_in = Some(state.phase);
        state.phase = Phase::Paused;
        state.clocks.paused_ms = 0;
    }
    if let Err(at) = state.pause_reasons.binary_search(&reason) {
        state.pause_reasons.insert(at, reason);
    }
}

/// Where it was; after a lowering its step anew.
pub(super) fn resume(run: &mut Run<'_>) {
    hook::forget_gates(run);
    let state = &mut run.state;
    state.pause_reasons.clear();
    state.phase = match state.paused_in.take() {
        // What a gate was all that was missing from has to be seen once more.
        Some(Phase::Progressing(Sub::Gated)) => Phase::Progressing(Sub::Analysing),
        Some(phase) => phase,
        None => Phase::Preflight,
    };
    state.starved = false;
    state.paused_for.clear();
    state.counters.consecutive_errors = 0;
    state.clocks.paused_ms = 0;
    state.clocks.inconclusive_ms = 0;
    state.clocks.unacked_ms = 0;
    state.clocks.blind_ms = 0;
    // After a failure nothing rises any more: the next tick acts on it.
    if let Some(share) = state.lowered_from.take().filter(|_| !state.failed) {
        apply_anew(run, share_of(share));
    }
}

/// The present share, or the one before a lowering: acknowledged, warmed and judged once more.
pub(super) fn apply_anew(run: &mut Run<'_>, share: Share) {
    exposure::set_sub(&mut run.state, Sub::Applying);
    expose(run, share);
}

/// Terminal: base weights back, or after a success all traffic.
pub(super) fn end_state(state: &mut State, phase: Phase, reason: &str, at: u64) {
    state.phase = phase;
    state.share = if phase == Phase::Succeeded {
        100.0
    } else {
        0.0
    };
    state.paused_in = None;
    state.pause_reasons.clear();
    state.lowered_from = None;
    state.next_plan = None;
    state.exposure_start_ms = 0;
    state.ended_because = reason.to_owned();
    state.ended_at = wall(at);
}

/// Unix seconds as RFC 3339.
pub(in crate::rollout) fn wall(at: u64) -> String {
    let at = i64::try_from(at).unwrap_or_default();
    let time = OffsetDateTime::from_unix_timestamp(at).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.format(&Rfc3339).unwrap_or_default()
}

/// What [`wall`] was made of.
pub(super) fn unix(text: &str) -> Option<u64> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    u64::try_from(time.unix_timestamp()).ok()
}

fn close_gate(state: &mut State, name: &str) {
    if let Some(gate) = state.gates.get_mut(name) {
        gate.open = false;
    }
}
