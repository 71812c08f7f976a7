//! A token of the store made, changed or revoked.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value as Json;
use serin_proto::{Fault, key::StoreKey, name::is_name, token::Token, unit::Revision, v1};
use serin_store::{Key, Op};

use super::{
    Asked, Body, Changed, Difference, Refusal,
    audit::{self, Verb},
    commit::{Deed, Judged, carry_out},
    document::{Beside, Written, judged, own},
    invalid,
    precondition::{self, Intent},
};
use crate::{
    auth::{Actor, Right},
    plane::Plane,
};

/// Codes of a body that cannot be read; others are about what it says.
const OF_FORM: [&str; 6] = [
    "syntax",
    "unknown_field",
    "duplicate_field",
    "wrong_type",
    "not_decodable",
    "document_too_large",
];

/// Writes a token.
///
/// # Errors
/// Every kind of [`Refusal`] but those of documents and of idempotency.
pub(crate) async fn put_token(
    plane: &Arc<Plane>,
    actor: &Actor,
    name: &str,
    body: Body<v1::Token>,
    asked: Asked,
) -> Result<Changed, Refusal> {
    plane.require(actor, Right::WriteTokens)?;
    audit::check_reason(&asked.reason)?;
    if !is_name(name) {
        let rule = "1 to 63 of a-z, 0-9, . and -, beginning and ending with a letter or digit";
        return Err(invalid(
            "name",
            "bad_name",
            format!("{name:?} is no name: {rule}"),
        ));
    }
    if plane.tokens.in_settings(name) {
        let message = "the settings have a token of this name, which holds";
        return Err(invalid("name", "name_taken", message.to_owned()));
    }
    let token = read(body)?;
    change(plane, actor, name, Some(token), asked).await
}

/// Revokes a token.
///
/// # Errors
/// As [`put_token`].
pub(crate) async fn delete_token(
    plane: &Arc<Plane>,
    actor: &Actor,
    name: &str,
    asked: Asked,
) -> Result<Changed, Refusal> {
    plane.require(actor, Right::WriteTokens)?;
    audit::check_reason(&asked.reason)?;
    change(plane, actor, name, None, asked).await
}

fn read(body: Body<v1::Token>) -> Result<Token, Refusal> {
    let json = match body {
        Body::Json(json) => json,
        Body::Message(token) => {
            let bytes = serde_json::to_vec(&token);
            Bytes::from(bytes.map_err(|bad| Refusal::Internal(bad.to_string()))?)
        }
    };
    Token::read_strict(&json).map_err(|faults| {
        if faults
            .iter()
            .any(|fault: &Fault| OF_FORM.contains(&fault.code))
        {
            Refusal::Malformed(faults)
        } else {
            Refusal::Invalid(faults)
        }
    })
}

async fn change(
    plane: &Arc<Plane>,
    actor: &Actor,
    name: &str,
    token: Option<Token>,
    asked: Asked,
) -> Result<Changed, Refusal> {
    let key = StoreKey::Token(name.to_owned());
    let actor = actor.clone();
    let work = move |plane: Arc<Plane>| async move {
        let deed = Change {
            key,
            token,
            asked: &asked,
        };
        let changed = carry_out(&plane, &actor, &asked, &deed).await?;
        if !asked.dry_run {
            plane.tokens.caught_up(changed.revision).await;
        }
        Ok(changed)
    };
    plane.finish(work).await
}

struct Change<'a> {
    key: StoreKey,
    /// `None`: revoked.
    token: Option<Token>,
    asked: &'a Asked,
}

impl Deed for Change<'_> {
    type Answer = Changed;

    async fn judge(&self, plane: &Plane, id: &str) -> Result<Judged<Changed>, Refusal> {
        let at = Key::from(&self.key);
        let (entry, as_of) = plane.store.get(&at).await?;
        let now = entry.as_ref().map(|entry| entry.mod_revision);
        let (intent, verb) = match &self.token {
            Some(_) => (Intent::Put, Verb::Put),
            None => (Intent::Delete, Verb::Delete),
        };
        precondition::check(&self.asked.precondition, intent, now, || {
            self.key.to_string()
        })?;
        let bytes = self.token.as_ref().map(Token::to_json);
        let answer = Changed {
            revision: as_of,
            created: entry.is_none(),
            document: bytes.as_ref().and_then(|bytes| named(bytes, &self.key)),
            difference: Difference {
                key: self.key.to_string(),
                before: entry
                    .as_ref()
                    .and_then(|entry| audit::shown_bytes(&entry.value)),
                after: bytes.as_ref().and_then(|bytes| audit::shown_bytes(bytes)),
            },
            warnings: Vec::new(),
            audit: None,
        };
        let op = match bytes {
            Some(bytes) => Op::Put(at.clone(), bytes.into(), None),
            None => Op::Delete(at.clone()),
        };
        Ok(judged(
            self.asked,
            id,
            answer,
            Written {
                own: own(&at, entry.as_ref()),
                guards: Vec::new(),
                op,
                verb,
                moved: Beside::default(),
            },
        ))
    }

    fn done(answer: Changed, revision: Revision) -> Changed {
        Changed { revision, ..answer }
    }
}

/// A token as readers are shown it: with the name of its key.
fn named(bytes: &[u8], key: &StoreKey) -> Option<Json> {
    let mut json: Json = serde_json::from_slice(bytes).ok()?;
    if let (Some(fields), StoreKey::Token(name)) = (json.as_object_mut(), key) {
        fields.insert("name".to_owned(), name.as_str().into());
    }
    Some(json)
}
