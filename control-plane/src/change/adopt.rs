//! The mark by which routers that hold take another store for theirs.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serin_proto::{Fault, fault::Pointer, key::StoreKey, unit::Revision};
use serin_store::{Key, Op};
use ulid::Ulid;

use super::{
    Adopted, Asked, Body, Difference, Refusal,
    apply::now,
    audit::{self, Differences, Verb},
    commit::{Deed, Judged, Write, carry_out},
    document::own,
    idempotency::{self, Known},
    invalid,
};
use crate::{
    auth::{Actor, Right},
    plane::Plane,
};

/// What lies under `config/adopted`.
#[derive(Debug, Serialize)]
struct Mark<'a> {
    /// Newer than that of every adoption before it.
    ulid: &'a str,
    by: &'a str,
    reason: &'a str,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    #[serde(default)]
    reason: String,
}

/// Has routers follow this store, whatever they followed before. It needs a reason.
///
/// # Errors
/// [`Refusal::Malformed`], [`Refusal::Invalid`] without a reason, [`Refusal::Conflict`],
/// [`Refusal::KeyReused`], those of tokens and store.
pub(crate) async fn adopt(
    plane: &Arc<Plane>,
    actor: &Actor,
    body: Body<String>,
    mut asked: Asked,
) -> Result<Adopted, Refusal> {
    plane.require(actor, Right::Adopt)?;
    asked.says(match body {
        Body::Json(json) => reason(&json)?,
        Body::Message(reason) => reason,
    });
    audit::check_reason(&asked.reason)?;
    if asked.reason.trim().is_empty() {
        let message = "is missing: say why this store is the right one";
        return Err(invalid("reason", "missing", message.to_owned()));
    }
    let actor = actor.clone();
    let work = move |plane: Arc<Plane>| async move {
        let deed = Adopt {
            actor: &actor,
            asked: &asked,
        };
        carry_out(&plane, &actor, &asked, &deed).await
    };
    plane.finish(work).await
}

fn reason(json: &Bytes) -> Result<String, Refusal> {
    let read: Result<Request, _> = serde_json::from_slice(json);
    let unreadable = |error: serde_json::Error| {
        let message = format!("the body is no {{\"reason\": TEXT}}: {error}");
        Refusal::Malformed(vec![Fault::new(&Pointer::root(), "syntax", message)])
    };
    read.map(|request| request.reason).map_err(unreadable)
}

/// The ULID of a stored mark; `None`: it cannot be read, and routers do not heed it.
fn mark(value: &[u8]) -> Option<Ulid> {
    #[derive(Deserialize)]
    struct Stored {
        ulid: String,
    }
    let stored: Stored = serde_json::from_slice(value).ok()?;
    Ulid::from_string(&stored.ulid).ok()
}

/// `id`, or what is just above the stored mark: a replica whose clock was ahead may have made that,
/// and routers take newer marks alone.
fn newer(id: &str, stored: Option<Ulid>) -> String {
    let above = stored.map(|stored| Ulid(stored.0.saturating_add(1)).to_string());
    // In text they are ordered as they are.
    above.map_or_else(|| id.to_owned(), |above| above.max(id.to_owned()))
}

struct Adopt<'a> {
    actor: &'a Actor,
    asked: &'a Asked,
}

impl Deed for Adopt<'_> {
    type Answer = Adopted;

    async fn judge(&self, plane: &Plane, id: &str) -> Result<Judged<Adopted>, Refusal> {
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
        let at = Key::from(&StoreKey::Adopted);
        let (entry, _) = plane.store.get(&at).await?;
        let ulid = newer(id, entry.as_ref().and_then(|entry| mark(&entry.value)));
        if self.asked.dry_run {
            return Ok(Judged::Answer(Adopted {
                revision: now(plane, id).await?,
                ulid,
                audit_id: None,
            }));
        }
        let mark = Mark {
            ulid: &ulid,
            by: &self.actor.name,
            reason: &self.asked.reason,
        };
        let bytes = serde_json::to_vec(&mark).map_err(|bad| Refusal::Internal(bad.to_string()))?;
        let difference = Difference {
            key: at.to_string(),
            before: entry
                .as_ref()
                .and_then(|entry| audit::shown_bytes(&entry.value)),
            after: audit::shown_bytes(&bytes),
        };
        let answer = Adopted {
            revision: Revision::default(),
            ulid,
            audit_id: Some(id.to_owned()),
        };
        let mut write = Write {
            guards: vec![own(&at, entry.as_ref())],
            ops: vec![Op::Put(at, bytes.into(), None)],
            verb: Verb::Adopt,
            differences: Differences::One(difference),
            answer,
        };
        if let Some(slot) = slot {
            write.guards.push(slot.guard());
            write.ops.push(slot.keep(&write.answer)?);
        }
        Ok(Judged::Write(Box::new(write)))
    }

    fn done(answer: Adopted, revision: Revision) -> Adopted {
        Adopted { revision, ..answer }
    }
}
