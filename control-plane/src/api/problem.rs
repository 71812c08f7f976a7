//! A refusal as the API tells it: `application/problem+json` (RFC 9457).
//!
//! Every refusal has this form, those of a wrong path or method too, so a client needs one reading.
//! The code is the stable word for programs and fixes status and title; the detail is for people.

use std::time::Duration;

use actix_web::{
    HttpResponse, HttpResponseBuilder,
    http::{
        StatusCode,
        header::{ALLOW, CONTENT_TYPE, ETAG, RETRY_AFTER, WWW_AUTHENTICATE},
    },
};
use serde::Serialize;
use serde_json::{Map, Value as Json, json};
use serin_proto::{Fault, fault::Pointer, unit::Revision};

use super::precondition::etag;
use crate::{auth::Denied, change::Refusal};

/// The media type of every refusal.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";
/// What a `type` begins with, before the code.
const TYPE_PREFIX: &str = "urn:serin:problem:";
/// Most faults that one refusal tells; nobody mends more of them at once.
const FAULTS_MAX: usize = 50;
/// When to ask a store again that did not answer.
const STORE_RETRY_AFTER: Duration = Duration::from_secs(1);

/// A code, its status and its title.
pub(crate) type Row = (&'static str, u16, &'static str);

/// Every code the API knows.
#[rustfmt::skip]
pub(crate) static CODES: [Row; 28] = [
    ("invalid_request",        400, "The request cannot be read"),
    ("unauthenticated",        401, "A valid token is needed"),
    ("forbidden",              403, "The token's role does not allow this"),
    ("not_found",              404, "There is nothing of that name"),
    ("unknown_path",           404, "There is no such URL"),
    ("method_not_allowed",     405, "The URL has other methods"),
    ("request_timeout",        408, "The body did not arrive in time"),
    ("candidate_is_stable",    409, "The candidate serves as a stable target"),
    ("conflict",               409, "Others change the same things"),
    ("in_use",                 409, "Something else needs it"),
    ("rollout_active",         409, "A running rollout owns this"),
    ("stale_seq",              409, "The rollout went on meanwhile"),
    ("unreadable_document",    409, "What is stored is no document"),
    ("compacted",              410, "The history is not kept that far back"),
    ("stale",                  412, "The precondition does not hold"),
    ("document_too_large",     413, "A document is too large"),
    ("request_too_large",      413, "The request is too large"),
    ("unsupported_media_type", 415, "A body of this type is not taken"),
    ("idempotency_key_reused", 422, "The Idempotency-Key was used for another request"),
    ("illegal_verb",           422, "The rollout's phase does not allow this"),
    ("invalid_document",       422, "The documents would be invalid"),
    ("precondition_required",  428, "A precondition is needed"),
    ("too_many_attempts",      429, "Too many wrong tokens"),
    ("internal",               500, "Something is wrong in the control plane"),
    ("overloaded",             503, "There are too many readers"),
    ("store_unavailable",      503, "The store does not answer"),
    ("outcome_unknown",        504, "It is not known whether it was done"),
    ("store_full",             507, "The store has no room"),
];

/// A refusal.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    row: &'static Row,
    /// What happened and the way out.
    detail: String,
    errors: Vec<Fault>,
    /// The methods that the URL has, for a 405.
    allow: Option<String>,
    /// What the thing asked for has now.
    current: Option<Revision>,
    retry_after: Option<Duration>,
    /// What programs need besides to go on.
    more: Box<Map<String, Json>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<u64>,
    #[serde(flatten)]
    more: &'a Map<String, Json>,
    errors: Vec<Item<'a>>,
}

/// One fault of what was sent.
#[derive(Serialize)]
struct Item<'a> {
    pointer: &'a str,
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<u32>,
}

impl Problem {
    /// A refusal of HTTP's own. A code that [`CODES`] lacks would be a mistake of ours and is told
    /// as one.
    pub(crate) fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            row: row(code),
            detail: detail.into(),
            errors: Vec::new(),
            allow: None,
            current: None,
            retry_after: None,
            more: Box::default(),
        }
    }

    /// Nothing is there under that URL.
    pub(crate) fn unknown_path() -> Self {
        Self::new(
            "unknown_path",
            "no such URL: those there are stand in /api/v1/openapi.json",
        )
    }

    /// The URL is there and has other methods.
    pub(crate) fn other_methods(allow: String) -> Self {
        let detail = format!("this URL has the methods {allow}");
        Self {
            allow: Some(allow),
            ..Self::new("method_not_allowed", detail)
        }
    }

    pub(crate) fn invalid_request(detail: impl ToString) -> Self {
        Self::new("invalid_request", detail.to_string())
    }

    /// Somebody was faster, or wanted to be sure that nobody was.
    pub(crate) fn is_stale(&self) -> bool {
        self.row.1 == 412
    }

    /// As the caller gets it. `request_id` is told in the body too, as people copy bodies.
    pub(crate) fn response(&self, request_id: &str) -> HttpResponse {
        let (code, status, title) = *self.row;
        let body = Body {
            r#type: format!("{TYPE_PREFIX}{code}"),
            title,
            status,
            detail: &self.detail,
            code,
            request_id,
            revision: self.current.map(|revision| revision.0),
            more: &self.more,
            errors: self.errors.iter().map(Item::from).collect(),
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = HttpResponseBuilder::new(status);
        response.insert_header((CONTENT_TYPE, PROBLEM_JSON));
        if let Some(allow) = &self.allow {
            response.insert_header((ALLOW, allow.as_str()));
        }
        if let Some(after) = self.retry_after {
            response.insert_header((RETRY_AFTER, after.as_secs().max(1).to_string()));
        }
        if let (409, Some(revision)) = (status.as_u16(), self.current) {
            response.insert_header((ETAG, etag(revision)));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.insert_header((WWW_AUTHENTICATE, "Bearer"));
        }
        response.body(serde_json::to_vec(&body).unwrap_or_default())
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let retry_after = match &refusal {
            Refusal::Denied(Denied::TooMany { retry_after }) => Some(*retry_after),
            Refusal::StoreUnavailable(_) => Some(STORE_RETRY_AFTER),
            _ => None,
        };
        Self {
            errors: told(refusal.faults()),
            current: refusal.current(),
            retry_after,
            more: Box::new(more(&refusal)),
            ..Self::new(refusal.code(), refusal.to_string())
        }
    }
}

/// The first faults; who has more of them is told how many.
fn told(faults: &[Fault]) -> Vec<Fault> {
    let mut told: Vec<Fault> = faults.iter().take(FAULTS_MAX).cloned().collect();
    let more = faults.len() - told.len();
    if more > 0 {
        let at = Pointer::root();
        told.push(Fault::new(&at, "more_faults", format!("and {more} more")));
    }
    told
}

/// What a rollout's refusal tells besides: where it stands, and which verbs may be used.
fn more(refusal: &Refusal) -> Map<String, Json> {
    let told = match refusal {
        Refusal::StaleSeq { state, seq } => json!({ "state": state, "seq": seq.to_string() }),
        Refusal::Illegal { legal, .. } => json!({ "legal": legal }),
        Refusal::RolloutActive {
            rollout_id, legal, ..
        } => json!({ "rolloutId": rollout_id, "legal": legal }),
        _ => return Map::new(),
    };
    told.as_object().cloned().unwrap_or_default()
}

impl<'a> From<&'a Fault> for Item<'a> {
    fn from(fault: &'a Fault) -> Self {
        Self {
            pointer: &fault.pointer,
            code: fault.code,
            message: &fault.message,
            line: fault.line,
            column: fault.column,
        }
    }
}

/// The last resort is for a mistake of ours, which the tests look for.
fn row(code: &str) -> &'static Row {
    const UNKNOWN: Row = ("internal", 500, "Something is wrong in the control plane");
    let known = CODES.iter().find(|(word, ..)| *word == code);
    known.unwrap_or(&UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Role;

    #[test]
    fn every_refusal_has_a_row_of_its_own_status() {
        let refusals = [
            Refusal::Denied(Denied::Missing),
            Refusal::Denied(Denied::TooMany {
                retry_after: Duration::ZERO,
            }),
            Refusal::Forbidden { least: Role::Admin },
            Refusal::Malformed(Vec::new()),
            Refusal::NotFound(String::new()),
            Refusal::InUse(Vec::new()),
            Refusal::Unreadable {
                revision: Revision(7),
                why: String::new(),
            },
            Refusal::Conflict,
            Refusal::Compacted,
            Refusal::StaleSeq {
                state: Json::Null,
                seq: 7,
            },
            Refusal::Illegal {
                verb: "resume",
                why: String::new(),
                legal: Vec::new(),
            },
            Refusal::RolloutActive {
                rollout_id: String::new(),
                why: String::new(),
                legal: Vec::new(),
            },
            Refusal::CandidateIsStable(Box::new(Fault::new(&Pointer::root(), "x", "y"))),
            Refusal::Missing {
                what: String::new(),
                faults: Vec::new(),
            },
            Refusal::Stale { current: None },
            Refusal::TooLarge(String::new()),
            Refusal::Invalid(Vec::new()),
            Refusal::KeyReused,
            Refusal::PreconditionRequired {
                current: Revision(7),
            },
            Refusal::UnconditionalDelete,
            Refusal::StoreFull,
            Refusal::StoreUnavailable(String::new()),
            Refusal::OutcomeUnknown {
                audit: String::new(),
            },
            Refusal::Internal(String::new()),
        ];
        for refusal in refusals {
            let (code, status, _) = *row(refusal.code());
            assert_eq!((code, status), (refusal.code(), refusal.status()));
        }
    }

    #[tokio::test]
    async fn who_asks_a_rollout_too_late_or_for_the_wrong_is_told_how_to_go_on() {
        let body = async |refusal: Refusal| -> Json {
            let response = Problem::from(refusal).response("r1");
            let bytes = actix_web::body::to_bytes(response.into_body()).await;
            serde_json::from_slice(&bytes.unwrap()).unwrap()
        };
        let stale = Refusal::StaleSeq {
            state: json!({ "phase": "Baking" }),
            seq: 18,
        };
        let stale = body(stale).await;
        assert_eq!(
            (&stale["code"], &stale["status"]),
            (&json!("stale_seq"), &json!(409))
        );
        assert_eq!(
            (&stale["state"]["phase"], &stale["seq"]),
            (&json!("Baking"), &json!("18"))
        );
        let illegal = Refusal::Illegal {
            verb: "resume",
            why: "it is not paused".to_owned(),
            legal: vec!["pause", "abort"],
        };
        let illegal = body(illegal).await;
        assert_eq!(
            (&illegal["code"], &illegal["status"]),
            (&json!("illegal_verb"), &json!(422))
        );
        assert_eq!(illegal["legal"], json!(["pause", "abort"]));
    }

    #[test]
    fn of_very_many_faults_the_first_are_told_and_the_number_of_the_others() {
        let fault = |i: usize| Fault::new(&Pointer::root().at(i), "x", "y");
        let faults = |n: usize| (0..n).map(fault).collect::<Vec<_>>();
        assert_eq!(told(&faults(FAULTS_MAX)).len(), FAULTS_MAX);
        let many = told(&faults(20_000));
        let last = many.last().map(|fault| fault.message.as_str());
        assert_eq!((many.len(), last), (FAULTS_MAX + 1, Some("and 19950 more")));
    }

    #[test]
    fn what_cannot_be_read_tells_the_tag_that_heals_it() {
        let refusal = Refusal::Unreadable {
            revision: Revision(7),
            why: "not JSON".to_owned(),
        };
        let response = Problem::from(refusal).response("r1");
        assert_eq!(response.headers().get(ETAG).unwrap(), "\"7\"");
    }
}
