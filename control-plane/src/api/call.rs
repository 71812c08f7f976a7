//! One call by somebody who is known and may make it: what all handlers read from it.

use std::{net::IpAddr, sync::Arc};

use actix_web::{HttpRequest, http::header::AUTHORIZATION};
use serin_proto::{
    Fault,
    fault::Pointer,
    key::{DocumentKey, Kind},
    name::is_name,
};
use tokio::sync::Semaphore;

use super::{
    precondition::{Tags, if_match, if_none_match},
    problem::Problem,
};
use crate::{
    auth::{Actor, Denied, Via},
    change::{Asked, IdempotencyKey, Precondition, Refusal},
    plane::Plane,
    secret::Digest,
};

/// The header that makes a POST safe to send again.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Longest value of it, in bytes.
const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// A call.
pub(crate) struct Call {
    pub(crate) plane: Arc<Plane>,
    /// Places for readers of `/watch`.
    pub(crate) readers: Arc<Semaphore>,
    pub(crate) actor: Actor,
    pub(crate) head: HttpRequest,
    /// The names in the path, as they came; empty where the path has fewer.
    pub(crate) names: [String; 2],
    pub(crate) request_id: String,
}

/// Who sent a request, by its head.
///
/// # Errors
/// Nobody is known by it.
pub(crate) fn identify(plane: &Plane, head: &HttpRequest) -> Result<Actor, Denied> {
    plane.identify(authorization(head)?, peer(head), Via::Rest)
}

/// Who it is now: a stream asks again.
///
/// # Errors
/// Nobody is known by it any more.
pub(crate) fn identify_again(plane: &Plane, head: &HttpRequest) -> Result<Actor, Denied> {
    plane.identify_again(authorization(head)?, peer(head), Via::Rest)
}

fn authorization(head: &HttpRequest) -> Result<Option<&[u8]>, Denied> {
    let mut values = head.headers().get_all(AUTHORIZATION);
    match (values.next(), values.next()) {
        // Several are none: nobody knows which of them a proxy in between looked at.
        (Some(_), Some(_)) => Err(Denied::Malformed),
        (value, _) => Ok(value.map(|value| value.as_bytes())),
    }
}

/// The address a request came from.
fn peer(head: &HttpRequest) -> IpAddr {
    let unknown = IpAddr::from([0, 0, 0, 0]);
    head.peer_addr().map_or(unknown, |peer| peer.ip())
}

impl Call {
    /// The document that the path names. What is no name names nothing.
    pub(crate) fn document(&self, kind: Kind) -> Result<DocumentKey, Problem> {
        let name = self.existing(kind.plural())?;
        Ok(DocumentKey { kind, name })
    }

    /// The same for what is there or is not: nothing has a name that is none.
    pub(crate) fn existing(&self, plural: &str) -> Result<String, Problem> {
        let [name, _] = &self.names;
        if is_name(name) {
            return Ok(name.clone());
        }
        Err(Refusal::NotFound(format!("{plural}/{name}")).into())
    }

    /// The same for what is to be written: the rule of names is told.
    pub(crate) fn named(&self) -> Result<String, Problem> {
        let [name, _] = &self.names;
        if is_name(name) {
            return Ok(name.clone());
        }
        let at = Pointer::root().key("name");
        let message = "the name in the URL is none: 1 to 63 of a-z, 0-9, . and -, \
                       a letter or digit first and last";
        Err(Refusal::Invalid(vec![Fault::new(&at, "bad_name", message)]).into())
    }

    /// How a document or token is to be changed.
    ///
    /// # Errors
    /// 400: preconditions that cannot be read or make no sense.
    pub(crate) fn asked(&self, dry_run: bool) -> Result<Asked, Problem> {
        Ok(Asked {
            precondition: self.precondition()?,
            dry_run,
            request_id: self.request_id.clone(),
            source_ip: Some(peer(&self.head)),
            ..Asked::default()
        })
    }

    /// How something is to be done that has no ETag. `body` and `query` are what its
    /// `Idempotency-Key`, if there is one, stands for.
    ///
    /// # Errors
    /// 400: an `Idempotency-Key` that cannot be one.
    pub(crate) fn asked_once(&self, dry_run: bool, body: &[u8]) -> Result<Asked, Problem> {
        Ok(Asked {
            dry_run,
            request_id: self.request_id.clone(),
            source_ip: Some(peer(&self.head)),
            idempotency: self.idempotency(body)?,
            ..Asked::default()
        })
    }

    fn precondition(&self) -> Result<Precondition, Problem> {
        let headers = self.head.headers();
        let matching = if_match(headers).map_err(Problem::invalid_request)?;
        let absent = if_none_match(headers).map_err(Problem::invalid_request)?;
        match (matching, absent) {
            (None, None) => Ok(Precondition::None),
            (Some(Tags::Any), None) => Ok(Precondition::Exists),
            (Some(Tags::These(revisions)), None) => Ok(Precondition::OneOf(revisions)),
            (None, Some(Tags::Any)) => Ok(Precondition::Absent),
            (None, Some(Tags::These(_))) => Err(Problem::invalid_request(
                "If-None-Match of a write must be *: create only",
            )),
            (Some(_), Some(_)) => Err(Problem::invalid_request(
                "If-Match and If-None-Match contradict each other: send one of them",
            )),
        }
    }

    fn idempotency(&self, body: &[u8]) -> Result<Option<IdempotencyKey>, Problem> {
        let mut values = self.head.headers().get_all(IDEMPOTENCY_KEY);
        let Some(value) = values.next() else {
            return Ok(None);
        };
        let bytes = value.as_bytes();
        let is_sane = (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&bytes.len())
            && bytes.iter().all(u8::is_ascii_graphic);
        if !is_sane || values.next().is_some() {
            let text = format!(
                "Idempotency-Key must be one value of 1 to {IDEMPOTENCY_KEY_BYTES_MAX} visible \
                 ASCII characters"
            );
            return Err(Problem::invalid_request(text));
        }
        // The same bytes to another URL are another request.
        let url = format!("{}?{}\n", self.head.path(), self.head.query_string());
        Ok(Some(IdempotencyKey {
            sha256: Digest::of(bytes),
            body_sha256: Digest::of(&[url.as_bytes(), body].concat()),
        }))
    }
}
