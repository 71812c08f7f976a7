//! A document written or deleted.

use std::sync::Arc;

use serin_proto::{
    Fault,
    admission::Proposed,
    document::Document,
    fault::Pointer,
    key::{DocumentKey, Kind},
    unit::Revision,
    v1,
};
use serin_store::{Compare, Entry, Key, Op, Scope};

use super::{
    Asked, Body, Changed, Difference, Refusal,
    audit::{self, Differences, Verb},
    commit::{Deed, Judged, Write, carry_out},
    guard, invalid,
    judging::{self, Freshness, judge, readable},
    live,
    precondition::{self, Intent},
    running::{self, Moved},
};
use crate::{
    auth::{Actor, Right},
    plane::Plane,
    rollout::commit::{Current, state_key},
};

/// Writes a document under the name of its URL.
///
/// # Errors
/// Every kind of [`Refusal`] but those of tokens and of idempotency.
pub(crate) async fn put(
    plane: &Arc<Plane>,
    actor: &Actor,
    key: DocumentKey,
    body: Body<Document>,
    asked: Asked,
) -> Result<Changed, Refusal> {
    plane.require(actor, Right::WriteDocuments)?;
    audit::check_reason(&asked.reason)?;
    let document = read(&key, body)?;
    let actor = actor.clone();
    let work = move |plane: Arc<Plane>| async move {
        let deed = Put {
            key,
            document,
            actor: &actor,
            asked: &asked,
        };
        carry_out(&plane, &actor, &asked, &deed).await
    };
    plane.finish(work).await
}

/// Deletes a document that nothing needs.
///
/// # Errors
/// As [`put`].
pub(crate) async fn delete(
    plane: &Arc<Plane>,
    actor: &Actor,
    key: DocumentKey,
    asked: Asked,
) -> Result<Changed, Refusal> {
    plane.require(actor, Right::WriteDocuments)?;
    audit::check_reason(&asked.reason)?;
    let actor = actor.clone();
    let work = move |plane: Arc<Plane>| async move {
        let deed = Delete { key, asked: &asked };
        carry_out(&plane, &actor, &asked, &deed).await
    };
    plane.finish(work).await
}

/// The document in a body, which may leave its name to the URL.
fn read(key: &DocumentKey, body: Body<Document>) -> Result<Document, Refusal> {
    let mut document = match body {
        Body::Json(json) => {
            judging::check_size("the document", json.len())?;
            Document::read_strict(key.kind, &json).map_err(Refusal::Malformed)?
        }
        Body::Message(document) => document,
    };
    document.name_if_unnamed(&key.name);
    if document.key() != *key {
        let message = format!("is not {:?}, the name in the URL", key.name);
        return Err(invalid("name", "name_differs", message));
    }
    Ok(document)
}

struct Put<'a> {
    key: DocumentKey,
    document: Document,
    actor: &'a Actor,
    asked: &'a Asked,
}

impl Deed for Put<'_> {
    type Answer = Changed;

    async fn judge(&self, plane: &Plane, id: &str) -> Result<Judged<Changed>, Refusal> {
        let at = Key::from(&self.key);
        let (entry, as_of) = plane.store.get(&at).await?;
        let now = entry.as_ref().map(|entry| entry.mod_revision);
        let name = || self.key.to_string();
        precondition::check(&self.asked.precondition, Intent::Put, now, name)?;
        let before = entry
            .as_ref()
            .and_then(|entry| readable(self.key.kind, &entry.value));
        let document =
            completed(self.document.clone(), before.as_ref()).map_err(Refusal::Invalid)?;
        let (document, moved) = self
            .beside_rollout(plane, id, document, before.as_ref())
            .await?;
        let stored = judging::stored_form(&document)?;

        let proposed = [Proposed {
            key: self.key.clone(),
            document: Some(document.clone()),
        }];
        let freshness = freshness(self.asked, as_of);
        let looked = |seen: guard::Seen<'_>| {
            let refused = match (&document, &before) {
                (Document::Provider(document), Some(Document::Provider(before))) => {
                    running::check_provider(before, document, seen.admission)
                }
                _ => Ok(()),
            };
            refused.map(|()| guard::of_put(&document, before.as_ref(), seen))
        };
        let mut verdict = judge(plane, &proposed, freshness, looked).await?;
        if verdict.looked.is_err() {
            // The rollout that refuses may have ended since the view heard of it.
            let fresh = Freshness::ToAnswer(as_of);
            verdict = judge(plane, &proposed, fresh, looked).await?;
        }
        if !verdict.judgement.faults.is_empty() {
            return Err(Refusal::Invalid(judging::faults(verdict.judgement.faults)));
        }
        let warnings = judging::faults(verdict.judgement.warnings);
        let difference = Difference {
            key: self.key.to_string(),
            before: entry
                .as_ref()
                .and_then(|entry| audit::shown_bytes(&entry.value)),
            after: audit::shown(&document),
        };
        let answer = Changed {
            revision: as_of,
            created: entry.is_none(),
            document: serde_json::from_slice(&stored).ok(),
            difference: difference.clone(),
            warnings: warnings.into_iter().map(Into::into).collect(),
            audit: None,
        };
        Ok(judged(
            self.asked,
            id,
            answer,
            Written {
                own: own(&at, entry.as_ref()),
                guards: verdict.looked?,
                op: Op::Put(at, stored.into(), None),
                verb: Verb::Put,
                moved,
            },
        ))
    }

    fn done(answer: Changed, revision: Revision) -> Changed {
        Changed { revision, ..answer }
    }
}

impl Put<'_> {
    /// A route as the rollout that runs on it has it written, and what that means to the rollout.
    async fn beside_rollout(
        &self,
        plane: &Plane,
        id: &str,
        document: Document,
        before: Option<&Document>,
    ) -> Result<(Document, Beside), Refusal> {
        let (Document::Route(after), Some(Document::Route(before))) = (&document, before) else {
            return Ok((document, Beside::default()));
        };
        let current = Current::read(&*plane.store, &self.key.name).await?;
        running::check_route(before, after, &current)?;
        let mut beside = Beside::default();
        if current.state.is_some() {
            let key = state_key(&self.key.name);
            let guard = Compare::ModRevision(key, current.state_revision);
            beside.guards.push(guard);
        }
        let wanted = after.traffic.clone().unwrap_or_default();
        let by = (self.actor, self.asked, id);
        let Some(moved) = running::moved(&current, &wanted, by)? else {
            return Ok((document, beside));
        };
        let route = v1::Route {
            traffic: Some(moved.traffic.clone()),
            ..after.clone()
        };
        Ok((Document::Route(route), Beside::of(moved)))
    }
}

struct Delete<'a> {
    key: DocumentKey,
    asked: &'a Asked,
}

impl Deed for Delete<'_> {
    type Answer = Changed;

    async fn judge(&self, plane: &Plane, id: &str) -> Result<Judged<Changed>, Refusal> {
        let at = Key::from(&self.key);
        let (entry, as_of) = plane.store.get(&at).await?;
        let now = entry.as_ref().map(|entry| entry.mod_revision);
        let name = || self.key.to_string();
        precondition::check(&self.asked.precondition, Intent::Delete, now, name)?;
        let proposed = [Proposed {
            key: self.key.clone(),
            document: None,
        }];
        let moved = match self.key.kind {
            Kind::Route => {
                let (guards, ops) = running::deleted(plane, &self.key.name).await?;
                Beside {
                    guards,
                    ops,
                    changes: Vec::new(),
                }
            }
            _ => Beside::default(),
        };
        let guards = |seen: guard::Seen<'_>| guard::of_delete(self.key.kind, seen);
        let verdict = judge(plane, &proposed, freshness(self.asked, as_of), guards).await?;
        if !verdict.judgement.faults.is_empty() {
            return Err(Refusal::InUse(judging::faults(verdict.judgement.faults)));
        }
        let difference = Difference {
            key: self.key.to_string(),
            before: entry
                .as_ref()
                .and_then(|entry| audit::shown_bytes(&entry.value)),
            after: None,
        };
        let answer = Changed {
            revision: as_of,
            created: false,
            document: None,
            difference,
            warnings: Vec::new(),
            audit: None,
        };
        Ok(judged(
            self.asked,
            id,
            answer,
            Written {
                own: own(&at, entry.as_ref()),
                guards: verdict.looked,
                op: Op::Delete(at),
                verb: Verb::Delete,
                moved,
            },
        ))
    }

    fn done(answer: Changed, revision: Revision) -> Changed {
        Changed { revision, ..answer }
    }
}

/// What a change of one key writes.
pub(super) struct Written {
    pub(super) own: Compare,
    pub(super) guards: Vec<Compare>,
    pub(super) op: Op,
    pub(super) verb: Verb,
    pub(super) moved: Beside,
}

/// What is written of a route's rollout in the same breath.
#[derive(Debug, Default)]
pub(super) struct Beside {
    pub(super) guards: Vec<Compare>,
    pub(super) ops: Vec<Op>,
    /// For the audit.
    pub(super) changes: Vec<Difference>,
}

impl Beside {
    /// The steps of a rollout, but for the route, which is written with them.
    pub(super) fn of(moved: Moved) -> Self {
        let is_document = |key: &Key| key.document().is_some();
        let mut prepared = moved.prepared;
        prepared.ops.retain(|op| !is_document(op.key()));
        let is_step = |one: &Difference| one.key.starts_with(Scope::Rollouts.prefix());
        prepared.changes.retain(is_step);
        Self {
            guards: prepared.compares,
            ops: prepared.ops,
            changes: prepared.changes,
        }
    }
}

/// The change of one key as it is to be written, or answered if it is a dry run.
pub(super) fn judged(
    asked: &Asked,
    id: &str,
    answer: Changed,
    written: Written,
) -> Judged<Changed> {
    if asked.dry_run {
        return Judged::Answer(answer);
    }
    let mut guards = vec![written.own];
    guards.extend(written.guards);
    guards.extend(written.moved.guards);
    let mut ops = vec![written.op];
    ops.extend(written.moved.ops);
    let mut changes = written.moved.changes;
    let differences = if changes.is_empty() {
        Differences::One(answer.difference.clone())
    } else {
        changes.push(answer.difference.clone());
        Differences::Many { changes }
    };
    Judged::Write(Box::new(Write {
        guards,
        ops,
        verb: written.verb,
        differences,
        answer: Changed {
            audit: Some(id.to_owned()),
            ..answer
        },
    }))
}

/// The key is as it was read.
pub(super) fn own(key: &Key, entry: Option<&Entry>) -> Compare {
    let revision = entry.map(|entry| entry.mod_revision);
    Compare::ModRevision(key.clone(), revision.unwrap_or_default())
}

/// A dry run has no guards to hold what it says.
pub(super) fn freshness(asked: &Asked, as_of: Revision) -> Freshness {
    if asked.dry_run {
        Freshness::ToAnswer(as_of)
    } else {
        Freshness::ToRefuse(as_of)
    }
}

/// A route without traffic keeps the live one; with traffic it keeps what belongs to a rollout.
fn completed(document: Document, before: Option<&Document>) -> Result<Document, Vec<Fault>> {
    let Document::Route(mut route) = document else {
        return Ok(document);
    };
    let live = match before {
        Some(Document::Route(before)) => before.traffic.as_ref(),
        _ => None,
    };
    let at = Pointer::root().key("traffic");
    let route = match (&mut route.traffic, live) {
        (None, Some(live)) => live::keep(route, live)?,
        (None, None) => route,
        (Some(traffic), live) => {
            live::with_rollout(traffic, live).map_err(|why| vec![why.fault(&at)])?;
            route
        }
    };
    Ok(Document::Route(route))
}

/// The store key of a document of that kind.
pub(super) fn document_key(kind: Kind, name: &str) -> DocumentKey {
    DocumentKey {
        kind,
        name: name.to_owned(),
    }
}
