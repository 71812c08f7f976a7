//! A request that is sent again is answered again, not done again.
//!
//! The answer is kept in the change's own transaction under `idempotency/<token>/<sha256>`, so it is
//! there exactly if the change was done. It is kept without its revision, which it cannot know: that
//! is the record's own.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value as Json;
use serin_proto::{key::StoreKey, unit::Revision};
use serin_store::{Compare, Entry, Key, Op};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use super::{IdempotencyKey, Refusal};
use crate::{
    auth::Actor,
    clock::{self, rfc3339},
    plane::Plane,
};

/// How long an answer is kept.
const KEPT: Duration = Duration::hours(24);
/// Of every answer that is kept: refusals are not.
const STATUS: u16 = 200;

/// An answer as it is kept.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    body_sha256: String,
    status: u16,
    body: Json,
    expires_at: String,
}

/// What is known of a key.
#[derive(Debug)]
pub(super) enum Known<A> {
    /// It was done at that revision, with that answer.
    Done(A, Revision),
    /// It may be done; the revision of the store when this was so.
    New(Slot, Revision),
}

/// Where an answer will be kept.
#[derive(Debug)]
pub(super) struct Slot {
    at: Key,
    body_sha256: String,
    /// Of an answer whose time is over; 0: there is none.
    now: Revision,
}

/// Looks for an answer given before.
///
/// # Errors
/// [`Refusal::KeyReused`]: the key belongs to another request; the store's.
pub(super) async fn look<A: DeserializeOwned>(
    plane: &Plane,
    actor: &Actor,
    key: &IdempotencyKey,
) -> Result<Known<A>, Refusal> {
    let at = Key::from(&StoreKey::Idempotency {
        token: actor.name.clone(),
        sha256: key.sha256.to_string(),
    });
    let (entry, as_of) = plane.store.get(&at).await?;
    let body_sha256 = key.body_sha256.to_string();
    let kept = entry
        .as_ref()
        .and_then(|entry| living(entry, clock::wall()));
    if let (Some(entry), Some(kept)) = (&entry, kept) {
        if kept.body_sha256 != body_sha256 {
            return Err(Refusal::KeyReused);
        }
        let answer = serde_json::from_value(kept.body);
        let answer = answer.map_err(|bad| Refusal::Internal(bad.to_string()))?;
        return Ok(Known::Done(answer, entry.mod_revision));
    }
    let slot = Slot {
        at,
        body_sha256,
        now: entry.map(|entry| entry.mod_revision).unwrap_or_default(),
    };
    Ok(Known::New(slot, as_of))
}

impl Slot {
    /// Nobody else has kept an answer there meanwhile.
    pub(super) fn guard(&self) -> Compare {
        Compare::ModRevision(self.at.clone(), self.now)
    }

    /// Keeps the answer.
    pub(super) fn keep(&self, answer: &impl Serialize) -> Result<Op, Refusal> {
        let internal = |bad: serde_json::Error| Refusal::Internal(bad.to_string());
        let kept = Kept {
            body_sha256: self.body_sha256.clone(),
            status: STATUS,
            body: serde_json::to_value(answer).map_err(internal)?,
            expires_at: rfc3339(clock::wall() + KEPT),
        };
        let bytes = serde_json::to_vec(&kept).map_err(internal)?;
        Ok(Op::Put(self.at.clone(), bytes.into(), None))
    }
}

/// An answer whose time is not over.
fn living(entry: &Entry, now: OffsetDateTime) -> Option<Kept> {
    let kept: Kept = serde_json::from_slice(&entry.value).ok()?;
    let expires_at = OffsetDateTime::parse(&kept.expires_at, &Rfc3339).ok()?;
    (expires_at > now).then_some(kept)
}
