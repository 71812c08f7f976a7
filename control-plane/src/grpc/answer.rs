//! Results as messages. Pure.

use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use serin_proto::{Fault, document::Document, key::Kind, token::Token};

use super::v1;
use crate::{
    change::{Applied, Changed, Difference, Notice, Refusal},
    read::{Listed, Shown, Unreadable},
};

/// A stored document as the message it was written from, read as routers read it: fields that are
/// not known are left out.
///
/// # Errors
/// [`Refusal::Unreadable`]: it cannot be told as a message.
pub(super) fn document<D: DeserializeOwned>(kind: Kind, shown: &Shown) -> Result<D, Refusal> {
    let unreadable = |why: String| Refusal::Unreadable {
        revision: shown.revision,
        why,
    };
    let json = shown.json.to_string();
    let tolerated = Document::read_tolerant(kind, json.as_bytes());
    let document = tolerated.map_err(|fault| unreadable(fault.to_string()))?;
    serde_json::from_slice(&document.document.to_json())
        .map_err(|error| unreadable(error.to_string()))
}

/// The same for a token.
///
/// # Errors
/// As [`document`].
pub(super) fn token(shown: &Shown) -> Result<v1::TokenEntry, Refusal> {
    let unreadable = |why: String| Refusal::Unreadable {
        revision: shown.revision,
        why,
    };
    let first = |faults: Vec<Fault>| faults.first().map(Fault::to_string).unwrap_or_default();
    let token = Token::read_tolerant(shown.json.to_string().as_bytes())
        .map_err(|faults| unreadable(first(faults)))?;
    let message = serde_json::from_slice(&token.to_json());
    Ok(v1::TokenEntry {
        name: shown.name.clone(),
        revision: shown.revision.0,
        token: Some(message.map_err(|error| unreadable(error.to_string()))?),
    })
}

/// The entries of a list. What cannot be told as a message goes to those that cannot be read.
pub(super) fn items<T>(listed: &mut Listed, read: impl Fn(&Shown) -> Result<T, Refusal>) -> Vec<T> {
    let mut items = Vec::new();
    for shown in std::mem::take(&mut listed.items) {
        match read(&shown) {
            Ok(item) => items.push(item),
            Err(refusal) => listed.unreadable.push(Unreadable {
                name: shown.name,
                revision: shown.revision,
                why: refusal.to_string(),
            }),
        }
    }
    listed.unreadable.sort_by(|a, b| a.name.cmp(&b.name));
    items
}

pub(super) fn unreadable(listed: &Listed) -> Vec<v1::Unreadable> {
    let unreadable = listed.unreadable.iter().map(|one| v1::Unreadable {
        name: one.name.clone(),
        revision: one.revision.0,
        message: one.why.clone(),
    });
    unreadable.collect()
}

pub(super) fn changed(changed: Changed) -> v1::ChangeResponse {
    v1::ChangeResponse {
        revision: changed.revision.0,
        created: changed.created,
        difference: Some(difference(changed.difference)),
        warnings: changed.warnings.into_iter().map(notice).collect(),
        audit_id: changed.audit.unwrap_or_default(),
    }
}

pub(super) fn applied(applied: Applied) -> v1::ApplyResponse {
    let kept = applied.traffic_kept.into_iter();
    v1::ApplyResponse {
        revision: applied.revision.0,
        changes: applied.changes.into_iter().map(difference).collect(),
        traffic_kept: kept
            .map(|kept| v1::KeptTraffic {
                route: kept.route,
                live: kept.live.to_string(),
                written: kept.written.to_string(),
            })
            .collect(),
        warnings: applied.warnings.into_iter().map(notice).collect(),
        audit_id: applied.audit_id.unwrap_or_default(),
    }
}

/// A stored audit record. What it does not say is empty.
pub(super) fn audit_record(json: &Json, revision: u64) -> v1::AuditRecord {
    let text = |pointer: &str| {
        let value = json.pointer(pointer).and_then(Json::as_str);
        value.unwrap_or_default().to_owned()
    };
    let many = json.get("changes").and_then(Json::as_array);
    let changes: Vec<&Json> = match many {
        Some(many) => many.iter().collect(),
        None => json.get("key").map(|_| json).into_iter().collect(),
    };
    v1::AuditRecord {
        id: text("/id"),
        at: text("/at"),
        actor: Some(v1::Actor {
            name: text("/actor/name"),
            role: text("/actor/role"),
            via: text("/actor/via"),
        }),
        source_ip: text("/sourceIp"),
        request_id: text("/requestId"),
        verb: text("/verb"),
        reason: text("/reason"),
        changes: changes.into_iter().map(recorded).collect(),
        revision,
    }
}

fn recorded(change: &Json) -> v1::Difference {
    let side = |field: &str| {
        let value = change.get(field).filter(|value| !value.is_null());
        value.map(Json::to_string)
    };
    let key = change.get("key").and_then(Json::as_str);
    v1::Difference {
        key: key.unwrap_or_default().to_owned(),
        before: side("before"),
        after: side("after"),
    }
}

fn difference(difference: Difference) -> v1::Difference {
    v1::Difference {
        key: difference.key,
        before: difference.before.map(|json| json.to_string()),
        after: difference.after.map(|json| json.to_string()),
    }
}

pub(super) fn notice(notice: Notice) -> v1::Notice {
    v1::Notice {
        pointer: notice.pointer,
        code: notice.code,
        message: notice.message,
    }
}
