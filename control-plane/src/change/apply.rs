//! A documents file: everything it names becomes as it says, in one transaction or not at all.
//!
//! Live traffic is left alone unless the caller wants the file's, and documents that the file does
//! not name are too. What is the same already is not written.

use std::sync::Arc;

use serin_proto::{
    Fault,
    document::{self, Document, read_file_strict},
    fault::Pointer,
    key::StoreKey,
    unit::Revision,
    v1,
};
use serin_store::Key;

use super::{
    Applied, Asked, Body, IdempotencyKey, Refusal,
    audit::{self, Differences, Verb},
    commit::{Deed, Judged, Write, carry_out},
    guard::Seen,
    idempotency::{self, Known, Slot},
    plan::{Judge, Plan, plan},
    running,
};
use crate::{
    auth::{Actor, Right},
    clock,
    plane::Plane,
};

/// Most documents of one file.
const DOCUMENTS_MAX: usize = 100;

/// Applies a file. `replace_traffic`: the file's traffic instead of the live one.
///
/// # Errors
/// [`Refusal::Malformed`], [`Refusal::Invalid`] with pointers that begin at the file,
/// [`Refusal::TooLarge`], [`Refusal::Conflict`], [`Refusal::KeyReused`], those of tokens and store.
pub(crate) async fn apply(
    plane: &Arc<Plane>,
    actor: &Actor,
    body: Body<v1::File>,
    replace_traffic: bool,
    mut asked: Asked,
) -> Result<Applied, Refusal> {
    plane.require(actor, Right::WriteDocuments)?;
    let file = match body {
        Body::Json(json) => {
            let body = read_file_strict(&json).map_err(Refusal::Malformed)?;
            asked.says(body.reason);
            body.value
        }
        Body::Message(file) => file,
    };
    audit::check_reason(&asked.reason)?;
    let documents = documents(file)?;
    let actor = actor.clone();
    let work = move |plane: Arc<Plane>| async move {
        let deed = Apply {
            documents,
            replace_traffic,
            actor: &actor,
            asked: &asked,
        };
        carry_out(&plane, &actor, &asked, &deed).await
    };
    plane.finish(work).await
}

/// The documents of a file that has nothing else.
fn documents(file: v1::File) -> Result<Vec<(Pointer, Document)>, Refusal> {
    let root = Pointer::root();
    let mut faults = Vec::new();
    if file.server.is_some() {
        let message = "settings are read from a process' own file: leave them out";
        faults.push(Fault::new(&root.key("server"), "not_applied", message));
    }
    if !file.rollouts.is_empty() {
        let message = "rollouts are started, not applied: leave them out";
        faults.push(Fault::new(&root.key("rollouts"), "not_applied", message));
    }
    let documents = document::documents(file);
    if documents.len() > DOCUMENTS_MAX {
        let why = format!(
            "the file has {} documents, at most {DOCUMENTS_MAX}: send it in parts",
            documents.len()
        );
        return Err(Refusal::TooLarge(why));
    }
    for (i, (at, document)) in documents.iter().enumerate() {
        let earlier = documents
            .iter()
            .take(i)
            .find(|(_, other)| other.key() == document.key());
        if let Some((first, _)) = earlier.filter(|_| !document.name().is_empty()) {
            let message = format!(
                "{:?} is already at {}/name",
                document.name(),
                first.as_str()
            );
            faults.push(Fault::new(&at.key("name"), "duplicate_name", message));
        }
    }
    if faults.is_empty() {
        Ok(documents)
    } else {
        Err(Refusal::Invalid(faults))
    }
}

struct Apply<'a> {
    documents: Vec<(Pointer, Document)>,
    replace_traffic: bool,
    actor: &'a Actor,
    asked: &'a Asked,
}

impl Deed for Apply<'_> {
    type Answer = Applied;

    async fn judge(&self, plane: &Plane, id: &str) -> Result<Judged<Applied>, Refusal> {
        let (slot, as_of) = match &self.asked.idempotency {
            Some(key) if !self.asked.dry_run => match self.known(plane, key).await? {
                Known::Done(answer, revision) => {
                    return Ok(Judged::Answer(Self::done(answer, revision)));
                }
                Known::New(slot, as_of) => (Some(slot), as_of),
            },
            _ => (None, now(plane, id).await?),
        };
        // All documents as they were at one revision, which is no older than this call.
        plane.view.caught_up(as_of).await?;
        let looked = plane.view.look(|admission, at| {
            let judge = Judge {
                networks: &plane.settings.allowed_networks,
                now: clock::wall(),
                replace_traffic: self.replace_traffic,
            };
            plan(&self.documents, &judge, Seen { admission, at })
        });
        let mut plan =
            looked.ok_or_else(|| Refusal::Internal("nothing was seen yet".to_owned()))??;
        for (before, after) in std::mem::take(&mut plan.losing) {
            let guard = running::losing(&*plane.store, &before, &after).await?;
            plan.guards.extend(guard);
        }
        self.judged(plan, slot, id)
    }

    fn done(answer: Applied, revision: Revision) -> Applied {
        Applied { revision, ..answer }
    }
}

impl Apply<'_> {
    async fn known(&self, plane: &Plane, key: &IdempotencyKey) -> Result<Known<Applied>, Refusal> {
        idempotency::look(plane, self.actor, key).await
    }

    fn judged(&self, plan: Plan, slot: Option<Slot>, id: &str) -> Result<Judged<Applied>, Refusal> {
        if self.asked.dry_run || plan.ops.is_empty() {
            return Ok(Judged::Answer(plan.answer));
        }
        let answer = Applied {
            audit_id: Some(id.to_owned()),
            ..plan.answer
        };
        let (mut guards, mut ops) = (plan.guards, plan.ops);
        if let Some(slot) = slot {
            guards.push(slot.guard());
            ops.push(slot.keep(&answer)?);
        }
        Ok(Judged::Write(Box::new(Write {
            guards,
            ops,
            verb: Verb::Apply,
            differences: Differences::Many {
                changes: answer.changes.clone(),
            },
            answer,
        })))
    }
}

/// The store's revision, read linearizably. The key does not exist: nothing but that is asked.
pub(super) async fn now(plane: &Plane, id: &str) -> Result<Revision, Refusal> {
    let key = Key::from(&StoreKey::Audit(id.to_owned()));
    let (_, revision) = plane.store.get(&key).await?;
    Ok(revision)
}
