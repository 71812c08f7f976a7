//! A rollout begun: on a route without one, in the place of another, or with a changed plan.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use serin_proto::{document::read_rollout_strict, unit::Revision, v1};

use super::{
    begin::{Begun, Ids, begin},
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
    failpoint,
    plane::Plane,
    rollout::commit::Current,
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
    /// The id of the audit record, if anything was written.
    pub(crate) audit: Option<String>,
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
        let started = carry_out(&plane, &actor, &asked, &deed).await?;
        if started.audit.is_some() {
            failpoint::reach(Word::Start.as_str(), "after");
        }
        Ok(started)
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
        if begun.is_empty() {
            return Ok(Judged::Answer(self.same(&current)?));
        }
        if self.asked.dry_run {
            return Ok(Judged::Answer(self.planned(plane, &current, &begun).await?));
        }
        self.written(id, &current, begun, slot)
    }

    fn done(answer: Started, revision: Revision) -> Started {
        Started { revision, ..answer }
    }
}

impl Start<'_> {
    /// It runs already.
    fn same(&self, current: &Current) -> Result<Started, Refusal> {
        let state = current.state.as_ref().map(shown).transpose()?;
        Ok(Started {
            state: state.unwrap_or_default(),
            created: false,
            revision: current.state_revision,
            warnings: self.warnings(),
            planned: None,
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
        let said = said(
            self.actor,
            self.asked,
            Word::Start.as_str(),
            id,
            begun.first(),
        );
        let prepared = begun.prepare(current, &said)?;
        let before = current.running().map(|state| &state.rollout_id);
        let answer = Started {
            created: before != Some(&prepared.state.rollout_id),
            state: shown(&prepared.state)?,
            revision: current.as_of,
            warnings: self.warnings(),
            planned: None,
            audit: Some(id.to_owned()),
        };
        failpoint::reach(Word::Start.as_str(), "before");
        write(prepared, Word::Start, begun.guards, slot, answer)
    }

    /// What it would come to: each query is asked once.
    async fn planned(
        &self,
        plane: &Plane,
        current: &Current,
        begun: &Begun,
    ) -> Result<Started, Refusal> {
        let state = begun.first();
        let planned = planned::tell(plane, current, state).await?;
        Ok(Started {
            state: shown(state)?,
            created: false,
            revision: current.as_of,
            warnings: self.warnings(),
            planned: Some(planned),
            audit: None,
        })
    }

    fn warnings(&self) -> Vec<Notice> {
        let findings = serin_proto::validate::rollout(&self.plan);
        findings.warnings.into_iter().map(Into::into).collect()
    }
}
