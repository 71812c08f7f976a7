//! One call: who asks, under which id, from where; and how its end is told and counted.

use std::{
    future::Future,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use prost::Message;
use serin_proto::{Fault, fault::Pointer, header::REQUEST_ID, unit::Revision};
use tonic::{
    Code, Request, Response, Status,
    metadata::{MetadataMap, MetadataValue},
    service::Interceptor,
};

use super::{Services, details, v1};
use crate::{
    auth::{Actor, Denied, Right, Via},
    change::{Asked, IdempotencyKey, Precondition, Refusal},
    plane::Plane,
    read::Part,
    secret::Digest,
};

/// Longest id that is kept as it came, in bytes.
const REQUEST_ID_BYTES_MAX: usize = 128;
/// Longest idempotency key, in bytes.
const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;
/// Entries of a page where nobody says how many, and the most of them.
const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 1_000;

/// What is known of a call besides its message.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) plane: Arc<Plane>,
    pub(super) actor: Actor,
    pub(super) caller: Caller,
}

/// Where a call comes from.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) request_id: String,
    peer: Option<IpAddr>,
    authorization: Authorization,
}

#[derive(Clone, Debug)]
enum Authorization {
    None,
    One(Vec<u8>),
    /// Nobody knows which of them is meant.
    Several,
}

impl Caller {
    fn of<T>(plane: &Plane, request: &Request<T>) -> Self {
        let metadata = request.metadata();
        let mut values = metadata.get_all("authorization").iter();
        let authorization = match (values.next(), values.next()) {
            (None, _) => Authorization::None,
            (Some(value), None) => Authorization::One(value.as_bytes().to_vec()),
            (Some(_), Some(_)) => Authorization::Several,
        };
        Self {
            request_id: request_id(metadata).unwrap_or_else(|| plane.ulids.next()),
            peer: request.remote_addr().map(|address| address.ip()),
            authorization,
        }
    }

    fn identify(&self, plane: &Plane) -> Result<Actor, Refusal> {
        Ok(plane.identify(self.authorization()?, self.peer(), Via::Grpc)?)
    }

    /// Who it is now: a stream asks again, since a token may have ended.
    pub(super) fn identify_again(&self, plane: &Plane) -> Result<Actor, Refusal> {
        Ok(plane.identify_again(self.authorization()?, self.peer(), Via::Grpc)?)
    }

    fn authorization(&self) -> Result<Option<&[u8]>, Denied> {
        match &self.authorization {
            Authorization::None => Ok(None),
            Authorization::One(value) => Ok(Some(value)),
            Authorization::Several => Err(Denied::Malformed),
        }
    }

    fn peer(&self) -> IpAddr {
        self.peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }
}

/// Before a service: who has no valid token is sent away by the head of the call, before its message
/// is read. What a role may do is asked inside.
#[derive(Clone, Debug)]
pub(super) struct Door {
    pub(super) plane: Arc<Plane>,
    /// The service's name, which stands for the call's in metrics: the method is not known here.
    pub(super) service: &'static str,
}

impl Interceptor for Door {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let caller = Caller::of(&self.plane, &request);
        let Err(refusal) = caller.identify(&self.plane) else {
            return Ok(request);
        };
        let status = details::status(&refusal, &caller.request_id);
        self.plane.metrics.grpc(self.service, name(status.code()));
        Err(status)
    }
}

impl Services {
    /// Does one call: identifies its caller, asks for the right, runs `work` and turns its result
    /// into an answer. `method` is the call's name in metrics.
    pub(super) async fn call<Asks, Gives, Work>(
        &self,
        (method, right): (&'static str, Right),
        request: Request<Asks>,
        work: impl FnOnce(Call, Asks) -> Work + Send,
    ) -> Result<Response<Gives>, Status>
    where
        Asks: Send,
        Work: Future<Output = Result<Gives, Refusal>> + Send,
    {
        let caller = Caller::of(&self.plane, &request);
        let request_id = caller.request_id.clone();
        let admitted = caller.identify(&self.plane).and_then(|actor| {
            self.plane.require(&actor, right)?;
            Ok(actor)
        });
        let done = match admitted {
            Ok(actor) => {
                let plane = Arc::clone(&self.plane);
                let call = Call {
                    plane,
                    actor,
                    caller,
                };
                work(call, request.into_inner()).await
            }
            Err(refusal) => Err(refusal),
        };
        let answer = match done {
            Ok(message) => Ok(with_id(Response::new(message), &request_id)),
            Err(refusal) => Err(details::status(&refusal, &request_id)),
        };
        let code = answer.as_ref().err().map_or(Code::Ok, Status::code);
        self.plane.metrics.grpc(method, name(code));
        tracing::debug!(method, code = name(code), request_id, "call answered");
        answer
    }
}

impl Call {
    /// How a change is asked for.
    ///
    /// # Errors
    /// [`Refusal::Malformed`]: more than one condition.
    pub(super) fn asked(&self, options: Option<v1::ChangeOptions>) -> Result<Asked, Refusal> {
        let options = options.unwrap_or_default();
        let precondition = match (options.if_match, options.if_exists, options.if_absent) {
            (None, false, false) => Precondition::None,
            (Some(revision), false, false) => Precondition::OneOf(vec![Revision(revision)]),
            (None, true, false) => Precondition::Exists,
            (None, false, true) => Precondition::Absent,
            _ => {
                let text = "has more than one of ifMatch, ifExists, ifAbsent: send one";
                return Err(malformed("options", "contradiction", text));
            }
        };
        Ok(Asked {
            precondition,
            ..self.unconditional(options.reason, options.dry_run)
        })
    }

    /// How something is asked for that has no precondition. The same `message` under the same `key`
    /// is done once; no key is the empty one.
    ///
    /// # Errors
    /// [`Refusal::Malformed`]: the key is too long.
    pub(super) fn asked_once(
        &self,
        (reason, dry_run): (&str, bool),
        key: &str,
        message: &impl Message,
    ) -> Result<Asked, Refusal> {
        if key.len() > IDEMPOTENCY_KEY_BYTES_MAX {
            let text = format!("is longer than {IDEMPOTENCY_KEY_BYTES_MAX} bytes");
            return Err(malformed("idempotencyKey", "too_long", &text));
        }
        let idempotency = (!key.is_empty()).then(|| IdempotencyKey {
            sha256: Digest::of(key.as_bytes()),
            body_sha256: Digest::of(&message.encode_to_vec()),
        });
        Ok(Asked {
            idempotency,
            ..self.unconditional(reason.to_owned(), dry_run)
        })
    }

    fn unconditional(&self, reason: String, dry_run: bool) -> Asked {
        Asked {
            dry_run,
            reason,
            request_id: self.caller.request_id.clone(),
            source_ip: self.caller.peer,
            ..Asked::default()
        }
    }
}

/// Which part of a list.
///
/// # Errors
/// [`Refusal::Malformed`]: more entries than a page has.
pub(super) fn part(limit: u32, page_token: String) -> Result<Part, Refusal> {
    let limit = match usize::try_from(limit) {
        Ok(0) => PAGE_DEFAULT,
        Ok(limit) if limit <= PAGE_MAX => limit,
        _ => {
            let text = format!("is {limit}; it must be at most {PAGE_MAX}");
            return Err(malformed("limit", "out_of_range", &text));
        }
    };
    let page_token = (!page_token.is_empty()).then_some(page_token);
    Ok(Part { limit, page_token })
}

/// A message that lacks what it is about, or contradicts itself.
pub(super) fn malformed(field: &str, code: &'static str, text: &str) -> Refusal {
    let at = Pointer::root().key(field);
    Refusal::Malformed(vec![Fault::new(&at, code, text)])
}

/// The caller's own id, if it is a sane one.
fn request_id(metadata: &MetadataMap) -> Option<String> {
    let id = metadata.get(REQUEST_ID)?.to_str().ok()?;
    let is_sane = (1..=REQUEST_ID_BYTES_MAX).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_graphic());
    is_sane.then(|| id.to_owned())
}

fn with_id<T>(mut response: Response<T>, request_id: &str) -> Response<T> {
    if let Ok(value) = MetadataValue::try_from(request_id) {
        response.metadata_mut().insert(REQUEST_ID, value);
    }
    response
}

/// As gRPC spells its codes.
fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
