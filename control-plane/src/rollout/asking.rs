//! Webhooks that are being asked, beside the ticks of their rollout.

use std::{sync::Arc, time::Duration};

use serin_proto::metric::control_plane::rollout::WebhookResult;

use super::{
    event::HookAnswer,
    machine,
    plan::Webhook,
    state::State,
    webhook::{self, Heard, Question},
};
use crate::{clock, plane::Plane};

/// A webhook's answer, and to what.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) rollout_id: String,
    pub(super) name: String,
    /// Of the question.
    pub(super) n: u32,
    pub(super) heard: Heard,
}

/// A question as the state has it: the same until it is answered, whoever asks.
pub(super) fn question(state: &State, hook: &Webhook) -> Question {
    let asked = state.hooks.get(&hook.name).cloned().unwrap_or_default();
    let mut at = machine::standing(state);
    at.seq = asked.seq;
    Question {
        route: state.route.clone(),
        phase: machine::flagger_word(state).to_owned(),
        at,
        n: asked.n,
    }
}

/// Asks, and waits for the answer, however long the plan lets it take.
pub(super) async fn ask(plane: Arc<Plane>, hook: Webhook, question: Question) -> Answered {
    let begun = clock::now();
    let heard = webhook::ask(&plane.webhooks, &hook, &question).await;
    let took = clock::now().saturating_duration_since(begun);
    tell(&plane, &hook, &question, &heard, took);
    Answered {
        rollout_id: question.at.rollout_id,
        name: hook.name,
        n: question.n,
        heard,
    }
}

fn tell(plane: &Plane, hook: &Webhook, question: &Question, heard: &Heard, took: Duration) {
    let result = match heard.answer {
        HookAnswer::Yes => WebhookResult::Ok,
        HookAnswer::Wait => WebhookResult::Wait,
        HookAnswer::Rollback => WebhookResult::Rollback,
        HookAnswer::No => WebhookResult::Error,
        HookAnswer::Unanswered => WebhookResult::Timeout,
    };
    let kind = hook.kind.as_str();
    plane.metrics.webhook(kind, result, took);
    let (route, name, why) = (&question.route, &hook.name, &heard.why);
    if matches!(heard.answer, HookAnswer::No | HookAnswer::Unanswered) {
        tracing::warn!(
            route,
            webhook = name,
            kind,
            why,
            "a webhook gave no good answer"
        );
    } else {
        tracing::debug!(route, webhook = name, kind, why, "a webhook answered");
    }
}
