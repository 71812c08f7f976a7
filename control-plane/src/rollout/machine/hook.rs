//! Webhooks: which are asked now, what their answers mean, and gates. Pure.
//!
//! Answers of gates are looked at by ticks; "roll back now" and a failed check act at once. A
//! question is asked with the same number until it is answered, whoever leads.

use super::{exposure, look, moves, pause, run::Run};
use crate::{
    analysis::{judge::Guard, verdict::Verdict},
    rollout::{
        event::{Effect, HookAnswer, Transition, share_of},
        plan::HookKind,
        state::{PauseReason, Phase, Sub, Told},
    },
};

/// Before a webhook's name where failed checks are counted: no metric is called so.
pub(super) const WEBHOOK_CHECK: &str = "webhook:";

/// Whether all webhooks of a type have answered so; there may be none.
pub(super) fn all_say(run: &Run<'_>, kind: HookKind, word: &str) -> bool {
    let mut hooks = run
        .plan
        .analysis
        .webhooks
        .iter()
        .filter(|hook| hook.kind == kind);
    hooks.all(|hook| {
        let answered = run.state.hooks.get(&hook.name);
        answered.is_some_and(|hook| hook.answer == word)
    })
}

/// The webhook that does not say so, and what it says instead.
pub(super) fn withheld(run: &Run<'_>, kind: HookKind, word: &str) -> Option<String> {
    let (state, hooks) = (&run.state, &run.plan.analysis.webhooks);
    let mut hooks = hooks.iter().filter(|hook| hook.kind == kind);
    hooks.find_map(|hook| {
        let heard = state.hooks.get(&hook.name);
        let answer = heard.map_or("", |heard| heard.answer.as_str());
        let said = match (answer, heard.map_or("", |heard| heard.why.as_str())) {
            ("", _) => "has not answered yet".to_owned(),
            (answer, "") => format!("said {answer}"),
            (answer, why) => format!("said {answer}: {why}"),
        };
        let (name, kind) = (&hook.name, kind.word());
        (answer != word).then(|| format!("webhook {name} ({kind}) {said}"))
    })
}

/// Whether the gates behind the present step are open.
pub(super) fn may_increase(run: &Run<'_>) -> bool {
    let gate = gate_of_step(run);
    let kind = HookKind::ConfirmTrafficIncrease;
    gate.is_none_or(|gate| is_open(run, gate))
        && (!confirms_increase(run) || all_say(run, kind, "open"))
}

pub(super) fn may_promote(run: &Run<'_>) -> bool {
    let gate = run.plan.promotion.gate.as_deref();
    gate.is_none_or(|gate| is_open(run, gate)) && all_say(run, HookKind::ConfirmPromotion, "open")
}

fn is_open(run: &Run<'_>, gate: &str) -> bool {
    run.state.gates.get(gate).is_some_and(|gate| gate.open)
}

fn gate_of_step<'a>(run: &'a Run<'_>) -> Option<&'a str> {
    let step = usize::try_from(run.state.step?).ok()?;
    run.plan.steps.get(step)?.gate.as_deref()
}

/// After the last step traffic is not increased but promoted, which has a gate of its own.
fn confirms_increase(run: &Run<'_>) -> bool {
    let present = share_of(run.state.share);
    run.plan.steps.iter().any(|step| step.share > present)
        || gate_of_step(run) == Some(HookKind::ConfirmTrafficIncrease.word())
}

/// Gates are asked anew: what they said while something else held says nothing of later.
pub(super) fn forget_gates(run: &mut Run<'_>) {
    let gates = [HookKind::ConfirmTrafficIncrease, HookKind::ConfirmPromotion];
    let hooks = run.plan.analysis.webhooks.iter();
    for hook in hooks.filter(|hook| gates.contains(&hook.kind)) {
        run.state.hooks.remove(&hook.name);
    }
}

/// Asks each webhook that is due.
pub(super) fn ask(run: &mut Run<'_>, effects: &mut Vec<Effect>) {
    let hooks = run.plan.analysis.webhooks.iter().enumerate();
    let due: Vec<(usize, String)> = hooks
        .filter(|(_, hook)| is_due(run, hook.kind, &hook.name))
        .map(|(i, hook)| (i, hook.name.clone()))
        .collect();
    let state = &mut run.state;
    for (webhook, name) in due {
        let hook = state.hooks.entry(name).or_default();
        if !hook.asked {
            state.asks += 1;
            hook.asked = true;
            hook.n = state.asks;
            hook.seq = state.seq;
        }
        effects.push(Effect::Ask { webhook, n: hook.n });
    }
}

fn is_due(run: &Run<'_>, kind: HookKind, name: &str) -> bool {
    let phase = run.state.phase;
    let answer = run
        .state
        .hooks
        .get(name)
        .map_or("", |hook| hook.answer.as_str());
    match kind {
        HookKind::ConfirmRollout => phase == Phase::WaitingRollout,
        HookKind::PreRollout => phase == Phase::Preflight && answer != "passed",
        HookKind::Rollout => generates_load(run),
        HookKind::ConfirmTrafficIncrease if phase == Phase::Preflight => answer != "open",
        HookKind::ConfirmTrafficIncrease => {
            phase == Phase::Progressing(Sub::Gated) && confirms_increase(run)
        }
        HookKind::ConfirmPromotion => phase == Phase::WaitingPromotion,
        // Asked while something waits too (Flagger#1432).
        HookKind::Rollback => phase != Phase::Pending && !phase.is_terminal(),
        HookKind::PostRollout | HookKind::Event => false,
    }
}

/// Tests that make traffic go on while it is judged, and while it waits for traffic.
fn generates_load(run: &Run<'_>) -> bool {
    let held = [
        PauseReason::User,
        PauseReason::Suspended,
        PauseReason::Frozen,
    ];
    let is_held = held
        .iter()
        .any(|reason| run.state.pause_reasons.contains(reason));
    let sub = exposure::sub(exposure::here(&run.state));
    !is_held
        && run.state.share > 0.0
        && matches!(sub, Some(Sub::Warming | Sub::Analysing | Sub::Gated))
}

pub(super) fn answered(
    run: &mut Run<'_>,
    name: &str,
    n: u32,
    answer: HookAnswer,
) -> Option<Transition> {
    let webhooks = run.plan.analysis.webhooks.iter();
    let kind = webhooks.into_iter().find(|hook| hook.name == name)?.kind;
    let hook = run.state.hooks.get_mut(name)?;
    if !hook.asked || hook.n != n {
        return None;
    }
    let (word, why) = meaning(kind, answer);
    hook.asked = false;
    word.clone_into(&mut hook.answer);
    why.clone_into(&mut hook.why);
    if answer == HookAnswer::Rollback || kind == HookKind::Rollback && answer == HookAnswer::Yes {
        return Some(moves::guarded(
            run,
            Guard::Webhook,
            format!("{name} asks for it"),
        ));
    }
    (word == "failed")
        .then(|| failed_check(run, name, why))
        .flatten()
}

fn failed_check(run: &mut Run<'_>, name: &str, why: &str) -> Option<Transition> {
    let check = format!("{WEBHOOK_CHECK}{name}");
    *run.state.counters.failed_checks.entry(check).or_default() += 1;
    let over = look::threshold(run)?;
    run.state.failed = true;
    let kind = Verdict::Fail;
    let why = format!("{over}; {name}: {why}");
    run.state.verdict = Some(Told { kind, why });
    (!pause::holds_failures(run)).then(|| moves::failed(run))
}

/// The table of rollout.md 3.
fn meaning(kind: HookKind, answer: HookAnswer) -> (&'static str, &'static str) {
    let is_check = matches!(kind, HookKind::PreRollout | HookKind::Rollout);
    match answer {
        HookAnswer::Yes if is_check => ("passed", ""),
        HookAnswer::Yes => ("open", ""),
        HookAnswer::Wait => ("wait", "it says wait"),
        HookAnswer::Rollback => ("rollback", "it says roll back"),
        HookAnswer::No if is_check => ("failed", "another status than 2xx"),
        HookAnswer::No => ("closed", "another status than 2xx"),
        HookAnswer::Unanswered if is_check => ("failed", "no answer in time"),
        HookAnswer::Unanswered => ("closed", "no answer in time"),
    }
}
