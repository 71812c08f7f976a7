//! A rollout begun: on a route without one, in the place of another, or with a changed plan.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use serin_proto::{document::read_rollout_strict, unit::Revision, v1};

use super::{
    begin::{Begun, Ids, Running, begin},
    planned, said, shown, write,
};
use crate::{
    auth::{Actor, Right},
    change::{
        Asked, Body, Notice, Refusal,
        audit::{self, Verb as Word},
        commit::{Deed, Judged, carry_out},
        idempotency::{self, Known, Slot},
        judging::check_size,
    },
    plane::Plane,
    rollout::{commit::Current, state::State},
};

/// What a start came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Started {
    /// Where the rollout stands.
    pub(crate) state: Json,
    /// A new rollout; `false`: an identical one runs, or its plan was changed.
    pub(crate) created: bool,
    #[serde(skip)]
    pub(crate) revision: Revision,
    pub(crate) warnings: Vec<Notice>,
    /// What it would come to: of a dry run alone.
    pub(crate) planned: Option<Json>,
    /// The running rollout whose place it takes, and whose share goes to 0.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) supersedes: Option<Superseded>,
    /// The running rollout goes on with this plan, from its next step on.
    #[serde(default)]
    pub(crate) plan_changed: bool,
    /// The very same runs already.
    #[serde(default)]
    pub(crate) unchanged: bool,
    /// The id of the audit record, if anything was written.
    pub(crate) audit: Option<String>,
}

/// A running rollout that another one ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Superseded {
    pub(crate) id: String,
    /// Name of the target.
    pub(crate) candidate: String,
    /// Percent, at that moment.
    pub(crate) share: f64,
}

impl Started {
    /// What it means to the rollout that runs, as REST tells it: what does not apply is left out.
    pub(crate) fn effect(&self) -> Map<String, Json> {
        let told = [
            ("supersedes", json!(self.supersedes)),
            ("planChanged", json!(self.plan_changed)),
            ("unchanged", json!(self.unchanged)),
        ];
        let applies = |value: &Json| !matches!(value, Json::Null | Json::Bool(false));
        let told = told.into_iter().filter(|(_, value)| applies(value));
        told.map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// Begins a rollout on a route.
///
/// # Errors
/// [`Refusal::Malformed`], [`Refusal::NotFound`], [`Refusal::CandidateIsStable`],
/// [`Refusal::InUse`] where another canary has a share, [`Refusal::Invalid`] with every fault of
/// the plan; those of tokens, idempotency and store.
pub(crate) async fn start(
    plane: &Arc<Plane>,
    actor: &Actor,
    mut asked: Asked,
    route: &str,
    body: Body<v1::Rollout>,
) -> Result<Started, Refusal> {
    plane.require(actor, Right::RunRollouts)?;
    let mut plan = match body {
        Body::Json(json) => {
            check_size("the rollout", json.len())?;
            let body = read_rollout_strict(&json).map_err(Refusal::Malformed)?;
            asked.says(body.reason);
            body.value
        }
        Body::Message(plan) => plan,
    };
    audit::check_reason(&asked.reason)?;
    if plan.route.is_empty() {
        route.clone_into(&mut plan.route);
    }
    if plan.route != route {
        let message = format!("is not {route:?}, the name in the URL");
        return Err(crate::change::invalid("route", "name_differs", message));
    }
    let actor = actor.clone();
    let work = move |plane: Arc<Plane>| async move {
        let deed = Start {
            plan,
            ids: Ids::new(),
            actor: &actor,
            asked: &asked,
        };
        carry_out(&plane, &actor, &asked, &deed).await
    };
    plane.finish(work).await
}

struct Start<'a> {
    plan: v1::Rollout,
    ids: Ids,
    actor: &'a Actor,
    asked: &'a Asked,
}

impl Deed for Start<'_> {
    type Answer = Started;

    async fn judge(&self, plane: &Plane, id: &str) -> Result<Judged<Started>, Refusal> {
        let slot = match &self.asked.idempotency {
            Some(key) if !self.asked.dry_run => {
                match idempotency::look(plane, self.actor, key).await? {
                    Known::Done(answer, revision) => {
                        return Ok(Judged::Answer(Self::done(answer, revision)));
                    }
                    Known::New(slot, _) => Some(slot),
                }
            }
            _ => None,
        };
        let current = Current::read(&*plane.store, &self.plan.route).await?;
        let begun = begin(plane, &current, &self.plan, self.ids.clone(), false).await?;
        if self.asked.dry_run {
            // It is asked of the source: each query once.
            let planned = planned::tell(plane, &current, begun.first()).await?;
            let answer = self.answer(&current, &begun, begun.first())?;
            return Ok(Judged::Answer(Started {
                planned: Some(planned),
                ..answer
            }));
        }
        if begun.running == Running::Same {
            let answer = self.answer(&current, &begun, begun.first())?;
            return Ok(Judged::Answer(Started {
                revision: current.state_revision,
                ..answer
            }));
        }
        self.written(id, &current, begun, slot)
    }

    fn done(answer: Started, revision: Revision) -> Started {
        Started { revision, ..answer }
    }
}

impl Start<'_> {
    /// What is to be told of it, written or not.
    fn answer(&self, current: &Current, begun: &Begun, state: &State) -> Result<Started, Refusal> {
        let running = current
            .running()
            .filter(|_| begun.running == Running::Superseded);
        Ok(Started {
            state: shown(state)?,
            created: false,
            revision: current.as_of,
            warnings: self.warnings(),
            planned: None,
            supersedes: running.map(|old| Superseded {
                id: old.rollout_id.clone(),
                candidate: old.candidate.target.clone(),
                share: old.share,
            }),
            plan_changed: begun.running == Running::Replanned,
            unchanged: begun.running == Running::Same,
            audit: None,
        })
    }

    fn written(
        &self,
        id: &str,
        current: &Current,
        begun: Begun,
        slot: Option<Slot>,
    ) -> Result<Judged<Started>, Refusal> {
        let said = said(self.actor, self.asked, Word::Start.as_str(), id);
        let prepared = begun.prepare(current, &said)?;
        let answer = Started {
            created: begun.running != Running::Replanned,
            audit: Some(id.to_owned()),
            ..self.answer(current, &begun, &prepared.state)?
        };
        write(prepared, Word::Start, begun.guards, slot, answer)
    }

    fn warnings(&self) -> Vec<Notice> {
        let findings = serin_proto::validate::rollout(&self.plan);
        findings.warnings.into_iter().map(Into::into).collect()
    }
}
