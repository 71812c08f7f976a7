//! One event taken in: the handlers' common ground, and what every step ends with. Pure.

use super::{
    analyst::{Analyst, Statistics},
    exposure, hook, moves, replan, tell, tick, verb,
};
use crate::{
    analysis::judge::Guard,
    rollout::{
        event::{Decision, Effect, Event, Illegal, Kept, Step, Transition, Verb},
        plan::Plan,
        state::{Phase, State},
    },
};

/// Events a state keeps before a record takes them along.
const EVENTS_MAX: usize = 20;
/// The same as JSON.
const EVENTS_BYTES_MAX: usize = 16 * 1_024;
/// Of the whole state as JSON: from there on its events are moved out, so that it stays below what
/// is kept at most.
const STATE_BYTES_FULL: usize = 24 * 1_024;

/// A state that an event is happening to.
pub(super) struct Run<'a> {
    pub(super) state: State,
    pub(super) plan: Plan,
    pub(super) analyst: &'a dyn Analyst,
    /// Unix seconds.
    pub(super) at: u64,
}

impl Run<'_> {
    /// The phase that runs, paused or not.
    pub(super) fn here(&self) -> Phase {
        exposure::here(&self.state)
    }

    pub(super) fn transition(
        &self,
        name: &'static str,
        decision: Decision,
        reason: impl Into<String>,
    ) -> Transition {
        Transition {
            name,
            reason: reason.into(),
            decision,
            verdict: self.state.verdict.clone(),
        }
    }
}

/// What an event makes of a state.
///
/// # Errors
/// A verb that is not legal now; ticks and answers always are.
pub fn step(state: &State, event: &Event, at: u64) -> Result<Step, Illegal> {
    step_by(&Statistics, state, event, at)
}

pub(in crate::rollout) fn step_by(
    analyst: &dyn Analyst,
    before: &State,
    event: &Event,
    at: u64,
) -> Result<Step, Illegal> {
    let Ok(plan) = Plan::of(before) else {
        return unreadable(before, event, at);
    };
    let mut run = Run {
        state: before.clone(),
        plan,
        analyst,
        at,
    };
    let moved = match event {
        Event::Verb(verb) => verb::asked(&mut run, verb)?,
        _ if before.phase.is_terminal() => None,
        Event::Tick(tick) => tick::passed(&mut run, tick),
        Event::Hook { name, n, answer } => hook::answered(&mut run, name, *n, *answer),
        Event::Lowered { share } => moves::lowered_by_hand(&mut run, *share),
        Event::Rebased { base_weights } => {
            run.state.base_weights.clone_from(base_weights);
            let reason = "the other targets' proportions were changed";
            Some(run.transition("rebase", Decision::Hold, reason))
        }
        Event::Replanned { plan } => replan::replanned(&mut run, plan),
        Event::Superseded { by } => Some(moves::superseded(&mut run, by)),
        Event::Redefined { target } => {
            let reason = format!("the definition of {target} is another one than it was");
            Some(moves::guarded(&mut run, Guard::DefinitionChanged, reason))
        }
    };
    Ok(finish(run, event, moved))
}

/// The event is kept, a transition counted and told, and a tick asks what is due.
fn finish(mut run: Run<'_>, event: &Event, moved: Option<Transition>) -> Step {
    let is_news = moved.is_some()
        || !run.state.phase.is_terminal() && !matches!(event, Event::Verb(Verb::Retry));
    if is_news {
        // Ticks alone see time pass: nobody's verb may hide a time in which there were none.
        if matches!(event, Event::Tick(_)) || run.state.stepped_at == 0 {
            run.state.stepped_at = run.at;
        }
        let event = event.clone();
        run.state.events.push(Kept { at: run.at, event });
    }
    let moved = moved.or_else(|| {
        let reason = "events were moved into the history";
        is_full(&run.state).then(|| run.transition("checkpoint", Decision::Hold, reason))
    });
    let mut effects = Vec::new();
    if let Some(moved) = &moved {
        run.state.seq += 1;
        tell::all(&mut run, moved, event, &mut effects);
    }
    if matches!(event, Event::Tick(_)) {
        hook::ask(&mut run, &mut effects);
    }
    Step {
        state: run.state,
        transition: moved,
        effects,
    }
}

fn is_full(state: &State) -> bool {
    let bytes = || serde_json::to_vec(&state.events).map_or(0, |json| json.len());
    let whole = || serde_json::to_vec(state).map_or(0, |json| json.len());
    state.events.len() >= EVENTS_MAX
        || state.events.len() > 1 && (bytes() >= EVENTS_BYTES_MAX || whole() >= STATE_BYTES_FULL)
}

/// A plan that a newer program wrote holds, and can be ended.
fn unreadable(before: &State, event: &Event, at: u64) -> Result<Step, Illegal> {
    let mut state = before.clone();
    let hold = |state| Step {
        state,
        transition: None,
        effects: Vec::<Effect>::new(),
    };
    let aborts = matches!(event, Event::Verb(Verb::Abort) | Event::Superseded { .. });
    if before.phase.is_terminal() || !aborts {
        return match event {
            Event::Verb(verb) => Err(Illegal {
                verb: verb::word(verb),
                why: "its plan cannot be read by this program".to_owned(),
                legal: vec!["abort"],
            }),
            _ => Ok(hold(state)),
        };
    }
    let (name, phase) = match event {
        Event::Superseded { .. } => ("t12", Phase::Superseded),
        _ => ("t10", Phase::Aborted),
    };
    moves::end_state(&mut state, phase, "ended by hand", at);
    state.events.push(Kept {
        at,
        event: event.clone(),
    });
    state.seq += 1;
    let transition = Some(Transition {
        name,
        reason: "ended by hand".to_owned(),
        decision: Decision::RollBack,
        verdict: before.verdict.clone(),
    });
    Ok(Step {
        transition,
        ..hold(state)
    })
}
