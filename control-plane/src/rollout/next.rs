//! What a rollout waits for, in words, and what a person can do about it. Pure.

use serde_json::{Value as Json, json};

use super::{
    machine,
    plan::{HookKind, Mode, Plan, PlanStep, Promotion},
    state::{ByHand, PauseReason, Phase, State, Sub},
};
use crate::analysis::sample::ERRORS;

/// What the running exposure still needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Needs {
    pub(super) samples: Option<u64>,
    pub(super) duration_ms: Option<u64>,
}

/// `text`, and as far as there are any: the next `share`, the closed `gate`, a `command`.
pub(super) fn next(state: &State, plan: &Plan, step: Option<&PlanStep>, needs: Needs) -> Json {
    match state.phase {
        phase if phase.is_terminal() => json!({ "text": ended(state) }),
        Phase::Paused => paused(state),
        Phase::Pending | Phase::Preflight | Phase::WaitingRollout => beginning(state, plan),
        _ => running(state, plan, step, needs),
    }
}

/// Why it has ended: `aborted by ada: not today`
pub(crate) fn ended(state: &State) -> String {
    let because = &state.ended_because;
    let done = match state.by_hand.as_ref().map(|hand| hand.verb.as_str()) {
        Some("undo") => "undone",
        Some("abort") if state.phase == Phase::Aborted => "aborted",
        Some("traffic") if state.phase == Phase::Aborted => "ended with its traffic",
        _ => return because.clone(),
    };
    match &state.by_hand {
        Some(hand) => format!("{done} by {}", told(hand, because)),
        None => because.clone(),
    }
}

/// Who, and why if he said so: the machine's own words say nothing more.
fn told(hand: &ByHand, own: &str) -> String {
    let ByHand { by, reason, .. } = hand;
    if reason.is_empty() || reason == own || reason.ends_with("by hand") {
        by.clone()
    } else {
        format!("{by}: {reason}")
    }
}

fn paused(state: &State) -> Json {
    let reasons = &state.pause_reasons;
    let has = |reason| reasons.contains(&reason);
    let words: Vec<String> = reasons.iter().map(|why| format!("{why:?}")).collect();
    let mut text = format!("it is paused: {}", words.join(", "));
    let is_by_hand = has(PauseReason::User) || has(PauseReason::Suspended);
    let hand = state.by_hand.as_ref();
    let hand = hand.filter(|hand| ["pause", "traffic"].contains(&hand.verb.as_str()));
    if let Some(hand) = hand.filter(|_| is_by_hand) {
        text.push_str(&format!(" by {}", told(hand, "")));
    }
    let route = &state.route;
    let resume = Some(format!("serin rollout resume {route}"));
    let command = if has(PauseReason::Frozen) {
        Some(format!("serin rollout retry {route}, or abort"))
    } else if reasons == &[PauseReason::StoreChanged] {
        Some("serin store adopt".to_owned())
    } else if is_by_hand || has(PauseReason::StoreChanged) {
        resume
    } else {
        // Nobody has to do anything; about what stays unclear somebody can.
        text.push_str("; it goes on by itself when ");
        text.push_str(&ends(reasons));
        resume.filter(|_| has(PauseReason::Inconclusive))
    };
    json!({ "text": text, "command": command })
}

/// What ends pauses that end by themselves.
fn ends(reasons: &[PauseReason]) -> String {
    let ends = reasons.iter().map(|reason| match reason {
        PauseReason::MetricsUnavailable | PauseReason::Blind => "the metrics can be read again",
        PauseReason::RoutersLagging => "all routers serve its share",
        _ => "the verdict is pass",
    });
    let mut ends: Vec<&str> = ends.collect();
    ends.dedup();
    ends.join(" and ")
}

/// Before the first share. Why it is not there yet says the verdict.
fn beginning(state: &State, plan: &Plan) -> Json {
    let share = plan.steps.first().map(|step| step.share);
    let percent = share.map(super::explained::percent);
    let to = share.map_or_else(String::new, |share| format!("{share} % when "));
    if state.phase == Phase::WaitingRollout {
        let hooks = closed(state, plan, HookKind::ConfirmRollout, "open");
        let text = format!("{to}{}", hooks.join(", "));
        return json!({ "text": text, "share": percent });
    }
    let why = state.verdict.as_ref().map(|told| told.why.as_str());
    let mut text = format!("{to}it is ready");
    if let Some(why) = why.filter(|why| !why.is_empty()) {
        text.push_str(&format!(": {why}"));
    }
    let waited_ms = match state.phase {
        Phase::Preflight => state.clocks.inconclusive_ms,
        _ => state.clocks.step_ms,
    };
    if waited_ms > 0 {
        let left_ms = machine::deadline_ms(state, plan).saturating_sub(waited_ms);
        text.push_str(&format!("; it fails in {}", human(left_ms)));
    }
    json!({ "text": text, "share": percent })
}

fn running(state: &State, plan: &Plan, step: Option<&PlanStep>, needs: Needs) -> Json {
    let mut waits = Vec::new();
    match state.phase {
        Phase::Progressing(Sub::Applying)
        | Phase::Promoting(Sub::Applying)
        | Phase::Baking(Sub::Applying) => {
            waits.push(format!("all routers serve {} %", state.share));
        }
        Phase::Progressing(Sub::Warming)
        | Phase::Promoting(Sub::Warming)
        | Phase::Baking(Sub::Warming) => waits.push("it is warm".to_owned()),
        _ => {}
    }
    let judged = state.analysis.judged.canary.n;
    if let Some(missing) = needs.samples.filter(|samples| judged < *samples) {
        waits.push(format!("{missing} samples of {ERRORS}"));
    }
    let least_ms = needs.duration_ms.unwrap_or_default();
    let rest_ms = least_ms.saturating_sub(state.clocks.exposure_ms);
    if rest_ms > 0 {
        waits.push(format!("{} more", human(rest_ms)));
    }
    waits.extend(uncertified(state, plan, step));
    for (kind, word) in asked(state, plan) {
        waits.extend(closed(state, plan, kind, word));
    }
    let is_closed = |gate: &&String| !state.gates.get(*gate).is_some_and(|gate| gate.open);
    let closed = gates(state, plan, step).into_iter().find(is_closed);
    if closed.is_some() {
        waits.push("gate closed".to_owned());
    }
    let share = next_share(state, plan);
    let text = match waits.len() {
        0 => format!("{share} % when the verdict is pass"),
        _ => format!("{share} % when: {}", waits.join(", ")),
    };
    let route = &state.route;
    let command = closed.map(|gate| format!("serin rollout gate {route} {gate} --open"));
    json!({ "text": text, "gate": closed, "command": command, "share": share })
}

fn is_last(state: &State, plan: &Plan) -> bool {
    let next = state.step.map_or(0, |step| step as usize + 1);
    next >= plan.steps.len()
}

/// Gates that hold the next share: after the last step the promotion's too.
fn gates<'a>(state: &State, plan: &'a Plan, step: Option<&'a PlanStep>) -> Vec<&'a String> {
    let Promotion { gate, .. } = &plan.promotion;
    let of_step = step.and_then(|step| step.gate.as_ref());
    match state.phase {
        Phase::WaitingPromotion => gate.iter().collect(),
        Phase::Progressing(_) if is_last(state, plan) => of_step.into_iter().chain(gate).collect(),
        Phase::Progressing(_) => of_step.into_iter().collect(),
        _ => Vec::new(),
    }
}

/// Types of webhooks that hold the next share, and what they are to say.
fn asked(state: &State, plan: &Plan) -> Vec<(HookKind, &'static str)> {
    let rollout = (HookKind::Rollout, "passed");
    match state.phase {
        Phase::Progressing(_) if is_last(state, plan) => {
            vec![rollout, (HookKind::ConfirmPromotion, "open")]
        }
        Phase::Progressing(_) => vec![rollout, (HookKind::ConfirmTrafficIncrease, "open")],
        Phase::WaitingPromotion => vec![rollout, (HookKind::ConfirmPromotion, "open")],
        _ => vec![rollout],
    }
}

fn closed(state: &State, plan: &Plan, kind: HookKind, word: &str) -> Vec<String> {
    let hooks = plan.analysis.webhooks.iter();
    let hooks = hooks.filter(|hook| hook.kind == kind);
    let says = |name: &str| {
        state
            .hooks
            .get(name)
            .is_some_and(|hook| hook.answer == word)
    };
    let closed = hooks.filter(|hook| !says(&hook.name));
    closed
        .map(|hook| format!("webhook {} {word}", hook.name))
        .collect()
}

fn uncertified(state: &State, plan: &Plan, step: Option<&PlanStep>) -> Option<String> {
    let in_step = matches!(state.phase, Phase::Progressing(_));
    step.filter(|step| step.certificate && in_step)?;
    let metrics = plan.analysis.metrics.iter();
    let acting = metrics.filter(|metric| metric.mode != Mode::Observe);
    let missing = acting.filter(|metric| {
        let log = state.analysis.log_certificate(&plan.analysis, metric);
        log.is_some_and(|(log, reached)| log < reached)
    });
    let names: Vec<&str> = missing.map(|metric| metric.name.as_str()).collect();
    (!names.is_empty()).then(|| format!("certificate of {}", names.join(" and ")))
}

fn next_share(state: &State, plan: &Plan) -> f64 {
    let percent = super::explained::percent;
    let promoted = 100.0 - percent(plan.promotion.holdback);
    match state.phase {
        Phase::Progressing(_) => {
            let next = state.step.map_or(0, |step| step as usize + 1);
            let next = plan.steps.get(next);
            next.map_or(promoted, |step| percent(step.share))
        }
        Phase::Baking(_) => 100.0,
        _ => promoted,
    }
}

fn human(ms: u64) -> String {
    let seconds = ms.div_ceil(1_000);
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds}s"),
        (minutes, 0) => format!("{minutes}m"),
        (minutes, seconds) => format!("{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests;
