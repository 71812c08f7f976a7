//! What people ask for. Each verb is one transition, or refused with those that may be used. Pure.

use super::{
    legal::{gates, legal},
    moves,
    pause::words,
    run::Run,
    tick,
};
use crate::{
    analysis::verdict::Verdict,
    rollout::{
        event::{Decision, Illegal, Transition, Undo, Verb},
        state::{PauseReason, Phase},
    },
};

type Asked = Result<Option<Transition>, Illegal>;

/// As people call it.
pub(super) fn word(verb: &Verb) -> &'static str {
    match verb {
        Verb::Pause { .. } => "pause",
        Verb::Resume => "resume",
        Verb::Promote { full: false } => "promote",
        Verb::Promote { full: true } => "promote full",
        Verb::Abort => "abort",
        Verb::Undo(_) => "undo",
        Verb::Retry => "retry",
        Verb::SkipStep => "skip-step",
        Verb::Gate { .. } => "gate",
    }
}

pub(super) fn asked(run: &mut Run<'_>, verb: &Verb) -> Asked {
    if !legal(&run.state).contains(&word(verb)) {
        let why = standing(run);
        return Err(illegal(run, verb, why));
    }
    match verb {
        Verb::Pause { suspend } => Ok(pause(run, *suspend)),
        Verb::Resume => Ok(Some(resume(run))),
        Verb::Promote { full: false } => promote(run, verb),
        Verb::Promote { full: true } => {
            leave_pause(run);
            run.state.manual = true;
            Ok(Some(moves::raise(run, "t21", "promoted by hand")))
        }
        Verb::Abort => Ok(Some(ended(run, "aborted by hand"))),
        Verb::Undo(undo) => undone(run, verb, *undo),
        Verb::Retry => Ok(None),
        Verb::SkipStep => {
            run.state.manual = true;
            Ok(Some(moves::next_step(run, true)))
        }
        Verb::Gate { gate, open } => set_gate(run, verb, gate, *open),
    }
}

/// What is refused now is none of the choices.
fn illegal(run: &Run<'_>, verb: &Verb, why: String) -> Illegal {
    let verb = word(verb);
    let mut legal = legal(&run.state);
    legal.retain(|legal| *legal != verb);
    Illegal { verb, why, legal }
}

fn standing(run: &Run<'_>) -> String {
    let state = &run.state;
    let phase = state.phase.word();
    let mut why = match state.phase {
        Phase::Paused => format!("the rollout is {phase} ({})", words(&state.pause_reasons)),
        Phase::Succeeded if state.undone => {
            "the rollout was undone, and the traffic is what it was before it".to_owned()
        }
        _ => format!("the rollout is {phase}"),
    };
    if state.failed && !state.phase.is_terminal() {
        why.push_str(", and has failed");
    }
    why
}

/// T22.
fn pause(run: &mut Run<'_>, suspend: bool) -> Option<Transition> {
    let (reason, text) = if suspend {
        (PauseReason::Suspended, "suspended by hand")
    } else {
        (PauseReason::User, "paused by hand")
    };
    if run.state.pause_reasons.contains(&reason) {
        return None;
    }
    let moved = run.transition("t22", Decision::Pause, text);
    moves::pause(&mut run.state, reason);
    Some(moved)
}

/// T14, T15, T22. Another store is waited for whatever anybody says.
fn resume(run: &mut Run<'_>) -> Transition {
    let reasons = &run.state.pause_reasons;
    let name = if reasons.contains(&PauseReason::User) {
        "t14"
    } else if reasons.contains(&PauseReason::Suspended) {
        "t22"
    } else {
        "t15"
    };
    let moved = run.transition(name, Decision::Hold, "resumed by hand");
    let metric = std::mem::take(&mut run.state.paused_for);
    if !metric.is_empty() {
        run.state.waived.push(metric);
    }
    if run.state.pause_reasons.contains(&PauseReason::StoreChanged) {
        run.state.pause_reasons = vec![PauseReason::StoreChanged];
    } else {
        moves::resume(run);
    }
    moved
}

/// Passes once what it waits for.
fn promote(run: &mut Run<'_>, verb: &Verb) -> Asked {
    let moved = match run.state.phase {
        Phase::WaitingRollout => tick::begin(run, "begun by hand"),
        Phase::Paused => return Ok(Some(resume(run))),
        Phase::WaitingPromotion => {
            let told = run.state.verdict.as_ref().map(|told| told.kind);
            if told != Some(Verdict::Pass) {
                let why = "the newest verdict is no pass; promote full goes past it".to_owned();
                return Err(illegal(run, verb, why));
            }
            moves::raise(run, "t17", "passed, and let through by hand")
        }
        _ => moves::next_step(run, false),
    };
    run.state.manual = true;
    Ok(Some(moved))
}

fn leave_pause(run: &mut Run<'_>) {
    if run.state.phase == Phase::Paused {
        // What it was lowered from is no matter: the share becomes another.
        run.state.lowered_from = None;
        moves::resume(run);
    }
}

/// T10, and T19 after the promotion.
fn ended(run: &mut Run<'_>, reason: &str) -> Transition {
    let is_baking = matches!(run.here(), Phase::Baking(_));
    let name = if is_baking { "t19" } else { "t10" };
    let moved = run.transition(name, Decision::RollBack, reason);
    moves::end_state(&mut run.state, Phase::Aborted, reason, run.at);
    moved
}

/// T19, T20.
fn undone(run: &mut Run<'_>, verb: &Verb, undo: Undo) -> Asked {
    if run.state.phase != Phase::Succeeded {
        return Ok(Some(ended(run, "undone by hand")));
    }
    let window_ms = run.plan.promotion.undo_window_ms;
    if undo.since_end_ms > window_ms {
        let why = format!("its undoWindow of {} s is over", window_ms / 1_000);
        return Err(illegal(run, verb, why));
    }
    if !undo.traffic_unchanged {
        let why = "the traffic is no longer what the promotion left".to_owned();
        return Err(illegal(run, verb, why));
    }
    let moved = run.transition("t20", Decision::RollBack, "undone by hand");
    run.state.undone = true;
    run.state.share = 0.0;
    "undone by hand".clone_into(&mut run.state.ended_because);
    Ok(Some(moved))
}

fn set_gate(run: &mut Run<'_>, verb: &Verb, gate: &str, open: bool) -> Asked {
    if !gates(&run.state).any(|known| known == gate) {
        let known: Vec<&str> = gates(&run.state).collect();
        let why = format!("the plan names no gate {gate:?}, but {}", known.join(", "));
        return Err(illegal(run, verb, why));
    }
    let stored = run.state.gates.entry(gate.to_owned()).or_default();
    if stored.open == open {
        return Ok(None);
    }
    stored.open = open;
    let what = if open { "opened" } else { "closed" };
    Ok(Some(run.transition(
        "gate",
        Decision::Hold,
        format!("{gate} was {what}"),
    )))
}
