//! What of a rollout's state is told, and the words it is told in.

use std::time::Duration;

use serin_proto::{metric::control_plane::rollout::Completed, unit::Share};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::rows::{self, Evidence};
use crate::{
    analysis::verdict::Verdict,
    rollout::{
        event::Decision,
        plan::Plan,
        state::{PauseReason, Phase, State},
    },
};

/// A rollout as it is told.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) id: String,
    /// Of the route's newest record.
    pub(super) seq: u64,
    pub(super) candidate: String,
    pub(super) phase: Phase,
    /// None twice; empty unless it is paused.
    pub(super) reasons: Vec<PauseReason>,
    /// The newest step begun.
    pub(super) step: Option<u32>,
    pub(super) steps: usize,
    /// Wanted.
    pub(super) share: Share,
    /// Somebody moved it past what the analysis had said.
    pub(super) manual: bool,
    /// It had succeeded and was taken back.
    undone: bool,
    pub(super) verdict: Option<Verdict>,
    pub(super) samples_required: u64,
    pub(super) ack_lag: Duration,
    pub(super) evidence: Evidence,
    started_at: Option<OffsetDateTime>,
    ended_at: Option<OffsetDateTime>,
}

impl Shown {
    pub(super) fn of(state: &State, plan: &Plan) -> Self {
        let steps = &plan.steps;
        let step = state.step.and_then(|step| usize::try_from(step).ok());
        // Waiting for the promotion and baking ask for none beyond what the last step had.
        let asks = matches!(state.phase, Phase::Progressing(_) | Phase::Paused);
        let required = step.and_then(|step| steps.get(step)).filter(|_| asks);
        Self {
            id: state.rollout_id.clone(),
            seq: state.seq,
            candidate: state.candidate.target.clone(),
            phase: state.phase,
            reasons: state.pause_reasons.clone(),
            step: state.step,
            steps: steps.len(),
            share: Share::try_from(state.share).unwrap_or_default(),
            manual: state.manual,
            undone: state.undone,
            verdict: state.verdict.as_ref().map(|told| told.kind),
            samples_required: required.map_or(0, |step| step.min_samples),
            ack_lag: Duration::from_millis(state.clocks.unacked_ms),
            evidence: rows::of(plan, state),
            started_at: time(&state.started_at),
            ended_at: time(&state.ended_at),
        }
    }

    /// How it has ended.
    pub(super) fn end(&self) -> Option<Completed> {
        let undone = self.undone.then_some(Completed::Undone);
        undone.or_else(|| completed(self.phase))
    }

    /// How `before` ended, and after what time, if this is what came after it.
    pub(super) fn end_of(&self, before: &Self) -> Option<(Completed, Option<Duration>)> {
        let is_same = before.id == self.id;
        if before.phase.is_terminal() {
            let is_news = is_same && self.undone && !before.undone;
            return is_news.then_some((Completed::Undone, None));
        }
        let (result, ended_at) = if is_same {
            (completed(self.phase)?, self.ended_at)
        } else {
            (Completed::Superseded, self.started_at)
        };
        let lasted = ended_at.zip(before.started_at).map(|(to, from)| to - from);
        Some((result, lasted.and_then(|lasted| lasted.try_into().ok())))
    }
}

fn completed(phase: Phase) -> Option<Completed> {
    match phase {
        Phase::Succeeded => Some(Completed::Succeeded),
        Phase::Failed => Some(Completed::Failed),
        Phase::Aborted => Some(Completed::Aborted),
        Phase::Superseded => Some(Completed::Superseded),
        _ => None,
    }
}

fn time(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

/// Label `phase`.
pub(super) fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Pending => "pending",
        Phase::WaitingRollout => "waiting_rollout",
        Phase::Preflight => "preflight",
        Phase::Progressing(_) => "progressing",
        Phase::Paused => "paused",
        Phase::WaitingPromotion => "waiting_promotion",
        Phase::Promoting(_) => "promoting",
        Phase::Baking(_) => "baking",
        Phase::Succeeded => "succeeded",
        Phase::Failed => "failed",
        Phase::Aborted => "aborted",
        Phase::Superseded => "superseded",
    }
}

/// Label `reason` of a pause.
pub(super) fn reason(reason: PauseReason) -> &'static str {
    match reason {
        PauseReason::User => "user",
        PauseReason::Suspended => "suspended",
        PauseReason::Inconclusive => "inconclusive",
        PauseReason::MetricsUnavailable => "metrics_unavailable",
        PauseReason::RoutersLagging => "routers_lagging",
        PauseReason::StoreChanged => "store_changed",
        PauseReason::Blind => "blind",
        PauseReason::Frozen => "frozen",
    }
}

/// Label `decision`.
pub(super) fn decision(decision: Decision) -> &'static str {
    match decision {
        Decision::Hold => "hold",
        Decision::Advance => "advance",
        Decision::Pause => "pause",
        Decision::Promote => "promote",
        Decision::StepBack => "step_back",
        Decision::RollBack => "roll_back",
    }
}
