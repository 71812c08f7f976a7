//! Who is told of a transition, and in which words. Pure.

use super::run::Run;
use crate::rollout::{
    event::{Decision, Effect, Event, Message, Receiver, Standing, Transition},
    plan::{HookKind, Severity},
    state::{PauseReason, Phase, State},
};

/// Flagger's word for the phase, as its webhooks are told it.
#[must_use]
pub fn flagger_word(state: &State) -> &'static str {
    match state.phase {
        Phase::Pending => "Initializing",
        Phase::WaitingRollout => "Waiting",
        Phase::Preflight | Phase::Progressing(_) | Phase::Paused => "Progressing",
        Phase::WaitingPromotion => "WaitingPromotion",
        Phase::Promoting(_) => "Promoting",
        Phase::Baking(_) => "Finalising",
        Phase::Succeeded => "Succeeded",
        Phase::Failed | Phase::Aborted | Phase::Superseded => "Failed",
    }
}

/// Webhooks of type `event` hear everything but checkpoints, those of type `post-rollout` the end,
/// alerts what is at least as severe as they want.
pub(super) fn all(run: &mut Run<'_>, moved: &Transition, event: &Event, to: &mut Vec<Effect>) {
    if moved.name == "checkpoint" {
        return;
    }
    let severity = severity(&run.state, moved);
    let has_ended = run.state.phase.is_terminal();
    let webhooks = run.plan.analysis.webhooks.iter().filter(|hook| {
        hook.kind == HookKind::Event || hook.kind == HookKind::PostRollout && has_ended
    });
    let mut told: Vec<(Receiver, String)> = webhooks
        .map(|hook| (Receiver::Webhook, hook.name.clone()))
        .collect();
    if !is_quiet(run, moved, event) {
        let alerts = run.plan.analysis.alerts.iter();
        let heard = alerts.filter(|alert| severity >= alert.severity);
        told.extend(heard.map(|alert| (Receiver::Alert, alert.name.clone())));
    }
    let text = text(&run.state, moved);
    let verdict = moved.verdict.as_ref();
    let at = Standing {
        verdict: verdict.map_or_else(String::new, |told| told.kind.as_str().to_owned()),
        ..standing(&run.state)
    };
    for (receiver, name) in told {
        run.state.asks += 1;
        let message = Message {
            to: receiver,
            name,
            severity,
            text: text.clone(),
            phase: flagger_word(&run.state).to_owned(),
            at: at.clone(),
        };
        let n = run.state.asks;
        to.push(Effect::Deliver { n, message });
    }
}

fn severity(state: &State, moved: &Transition) -> Severity {
    let is_frozen = state.pause_reasons.contains(&PauseReason::Frozen);
    match moved.decision {
        _ if state.phase == Phase::Failed || is_frozen => Severity::Error,
        Decision::Pause | Decision::StepBack | Decision::RollBack => Severity::Warn,
        Decision::Hold | Decision::Advance | Decision::Promote => Severity::Info,
    }
}

/// Chats are spared what changes nothing, and gates whose webhooks are muted.
fn is_quiet(run: &Run<'_>, moved: &Transition, event: &Event) -> bool {
    let hooks = &run.plan.analysis.webhooks;
    let gate = match run.state.phase {
        Phase::WaitingRollout => Some(HookKind::ConfirmRollout),
        Phase::WaitingPromotion => Some(HookKind::ConfirmPromotion),
        _ => None,
    };
    let mut of_gate = hooks
        .iter()
        .filter(|hook| Some(hook.kind) == gate)
        .peekable();
    let is_muted_gate = of_gate.peek().is_some() && of_gate.all(|hook| hook.mute_alert);
    let is_muted = |name: &str| {
        hooks
            .iter()
            .any(|hook| hook.name == name && hook.mute_alert)
    };
    let is_muted_answer = matches!(event, Event::Hook { name, .. } if is_muted(name));
    ["t6", "gate", "rebase"].contains(&moved.name) || is_muted_gate || is_muted_answer
}

fn text(state: &State, moved: &Transition) -> String {
    let (route, candidate) = (&state.route, &state.candidate.target);
    let phase = state.phase.word();
    format!(
        "{route}: {candidate} is {phase} at {} %: {}",
        state.share, moved.reason
    )
}

/// Where a rollout stands, as others are told.
#[must_use]
pub fn standing(state: &State) -> Standing {
    let verdict = state.verdict.as_ref();
    Standing {
        rollout_id: state.rollout_id.clone(),
        seq: state.seq,
        step: state.step.map_or(-1, i64::from),
        weight: state.share,
        verdict: verdict.map_or_else(String::new, |told| told.kind.as_str().to_owned()),
        phase: state.phase.word().to_owned(),
        checksum: format!("{}-{}", state.candidate.hash, state.plan_hash),
    }
}
