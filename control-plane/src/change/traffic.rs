//! A route's live traffic replaced as a whole; its spec stays as it is.

use std::sync::Arc;

use serde_json::Value as Json;
use serin_proto::{
    Fault,
    admission::Proposed,
    document::{Document, read_traffic_strict},
    fault::Pointer,
    key::Kind,
    unit::Revision,
    v1,
};
use serin_store::{Key, Op};

use super::{
    Asked, Body, Changed, Difference, Refusal, audit,
    audit::Verb,
    commit::{Deed, Judged, carry_out},
    document::{Beside, Written, document_key, freshness, judged, own},
    judging::{self, judge, readable},
    live,
    precondition::{self, Intent},
    running,
};
use crate::{
    auth::{Actor, Right},
    plane::Plane,
    rollout::commit::Current,
};

/// Where a route has its traffic.
const PLACE: &str = "/traffic";

/// Moves a route's traffic. What the body leaves out is none.
///
/// # Errors
/// Every kind of [`Refusal`] but those of tokens and of idempotency.
pub(crate) async fn put_traffic(
    plane: &Arc<Plane>,
    actor: &Actor,
    route: &str,
    body: Body<v1::Traffic>,
    mut asked: Asked,
) -> Result<Changed, Refusal> {
    plane.require(actor, Right::MoveTraffic)?;
    let traffic = match body {
        Body::Json(json) => {
            let body = read_traffic_strict(&json).map_err(Refusal::Malformed)?;
            asked.says(body.reason);
            body.value
        }
        Body::Message(traffic) => traffic,
    };
    audit::check_reason(&asked.reason)?;
    let (actor, route) = (actor.clone(), route.to_owned());
    let work = move |plane: Arc<Plane>| async move {
        let deed = Move {
            route,
            traffic,
            actor: &actor,
            asked: &asked,
        };
        carry_out(&plane, &actor, &asked, &deed).await
    };
    plane.finish(work).await
}

struct Move<'a> {
    route: String,
    traffic: v1::Traffic,
    actor: &'a Actor,
    asked: &'a Asked,
}

impl Deed for Move<'_> {
    type Answer = Changed;

    async fn judge(&self, plane: &Plane, id: &str) -> Result<Judged<Changed>, Refusal> {
        let key = document_key(Kind::Route, &self.route);
        let at = Key::from(&key);
        let (entry, as_of) = plane.store.get(&at).await?;
        let now = entry.as_ref().map(|entry| entry.mod_revision);
        let name = || key.to_string();
        precondition::check(&self.asked.precondition, Intent::Change, now, name)?;
        let stored = entry
            .as_ref()
            .map(|entry| &entry.value[..])
            .unwrap_or_default();
        let Some(Document::Route(before)) = readable(Kind::Route, stored) else {
            return Err(Refusal::Unreadable {
                revision: now.unwrap_or_default(),
                why: "its traffic cannot be told from the rest".to_owned(),
            });
        };

        let mut traffic = self.traffic.clone();
        let live = before.traffic.as_ref();
        live::with_rollout(&mut traffic, live)
            .map_err(|why| Refusal::Invalid(vec![why.fault(&Pointer::root())]))?;
        let (traffic, moved) = self.beside_rollout(plane, id, &before, traffic).await?;
        let route = Document::Route(v1::Route {
            traffic: Some(traffic.clone()),
            ..before.clone()
        });
        let stored = judging::stored_form(&route)?;
        let proposed = [Proposed {
            key: key.clone(),
            document: Some(route),
        }];
        // Its own revision holds all it rests on: what the route names cannot go while it is there.
        let verdict = judge(plane, &proposed, freshness(self.asked, as_of), |_| ()).await?;
        let faults = verdict.judgement.faults;
        if !faults.is_empty() {
            let faults = judging::faults(faults).into_iter().map(in_body).collect();
            return Err(Refusal::Invalid(faults));
        }
        let warnings = judging::faults(verdict.judgement.warnings);
        let of_traffic = warnings
            .into_iter()
            .filter(|warning| warning.pointer.starts_with(PLACE));
        let answer = Changed {
            revision: as_of,
            created: false,
            document: json(&traffic),
            difference: Difference {
                key: key.to_string(),
                before: live.and_then(json),
                after: json(&traffic),
            },
            warnings: of_traffic.map(|warning| in_body(warning).into()).collect(),
            audit: None,
        };
        Ok(judged(
            self.asked,
            id,
            answer,
            Written {
                own: own(&at, entry.as_ref()),
                guards: Vec::new(),
                op: Op::Put(at, stored.into(), None),
                verb: Verb::Traffic,
                moved,
            },
        ))
    }

    fn done(answer: Changed, revision: Revision) -> Changed {
        Changed { revision, ..answer }
    }
}

impl Move<'_> {
    /// The traffic as the rollout that runs on it has it, and what that means to the rollout.
    async fn beside_rollout(
        &self,
        plane: &Plane,
        id: &str,
        before: &v1::Route,
        traffic: v1::Traffic,
    ) -> Result<(v1::Traffic, Beside), Refusal> {
        if running::rollout_of(before).is_none() {
            return Ok((traffic, Beside::default()));
        }
        let current = Current::read(&*plane.store, &self.route).await?;
        let moved = running::moved(&current, &traffic, (self.actor, self.asked, id))?;
        Ok(match moved {
            Some(moved) => (moved.traffic.clone(), Beside::of(moved)),
            None => (traffic, Beside::default()),
        })
    }
}

fn json(traffic: &v1::Traffic) -> Option<Json> {
    serde_json::to_value(traffic).ok()
}

/// Pointers begin at the body, which is the traffic alone. A fault elsewhere in the route was there
/// before and says so.
fn in_body(fault: Fault) -> Fault {
    match fault.pointer.strip_prefix(PLACE) {
        Some(rest) => Fault {
            pointer: rest.to_owned(),
            ..fault
        },
        None => Fault {
            message: format!("the stored route: {}: {}", fault.pointer, fault.message),
            pointer: String::new(),
            ..fault
        },
    }
}
