//! A refusal as a gRPC status: the nearest code, the word for programs in the message, and every
//! fault in the details, in the form that clients of other services know (`google.rpc.Status` with
//! `ErrorInfo` and `BadRequest`). Pure.

use std::collections::BTreeMap;

use prost::Message;
use tonic::{Code, Status};

use crate::change::Refusal;

/// Whose words the reasons are.
const DOMAIN: &str = "serin";

#[derive(Clone, PartialEq, Message)]
pub(super) struct RpcStatus {
    #[prost(int32, tag = "1")]
    pub(super) code: i32,
    #[prost(string, tag = "2")]
    pub(super) message: String,
    #[prost(message, repeated, tag = "3")]
    pub(super) details: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Any {
    #[prost(string, tag = "1")]
    pub(super) type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ErrorInfo {
    #[prost(string, tag = "1")]
    pub(super) reason: String,
    #[prost(string, tag = "2")]
    pub(super) domain: String,
    #[prost(btree_map = "string, string", tag = "3")]
    pub(super) metadata: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct BadRequest {
    #[prost(message, repeated, tag = "1")]
    pub(super) field_violations: Vec<FieldViolation>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct FieldViolation {
    /// A JSON pointer.
    #[prost(string, tag = "1")]
    pub(super) field: String,
    #[prost(string, tag = "2")]
    pub(super) description: String,
    /// The word for programs.
    #[prost(string, tag = "3")]
    pub(super) reason: String,
}

/// The status of a refusal of the request with that id.
pub(super) fn status(refusal: &Refusal, request_id: &str) -> Status {
    let code = code(refusal);
    let word = refusal.code();
    let message = format!("{word}: {refusal}");
    let mut metadata = BTreeMap::from([("requestId".to_owned(), request_id.to_owned())]);
    if let Some(revision) = refusal.current() {
        metadata.insert("revision".to_owned(), revision.to_string());
    }
    let info = ErrorInfo {
        reason: word.to_owned(),
        domain: DOMAIN.to_owned(),
        metadata,
    };
    let mut details = vec![any("google.rpc.ErrorInfo", &info)];
    let faults = refusal.faults();
    if !faults.is_empty() {
        let violations = faults.iter().map(|fault| FieldViolation {
            field: fault.pointer.clone(),
            description: fault.message.clone(),
            reason: fault.code.to_owned(),
        });
        let request = BadRequest {
            field_violations: violations.collect(),
        };
        details.push(any("google.rpc.BadRequest", &request));
    }
    let details = RpcStatus {
        code: code as i32,
        message: message.clone(),
        details,
    };
    Status::with_details(code, message, details.encode_to_vec().into())
}

fn any(name: &str, message: &impl Message) -> Any {
    Any {
        type_url: format!("type.googleapis.com/{name}"),
        value: message.encode_to_vec(),
    }
}

fn code(refusal: &Refusal) -> Code {
    match refusal.status() {
        400 | 413 | 422 => Code::InvalidArgument,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::NotFound,
        // The client should read again and may then try again.
        412 => Code::Aborted,
        409 if matches!(refusal, Refusal::Conflict) => Code::Aborted,
        409 | 428 => Code::FailedPrecondition,
        410 => Code::OutOfRange,
        429 | 507 => Code::ResourceExhausted,
        503 => Code::Unavailable,
        504 => Code::DeadlineExceeded,
        _ => Code::Internal,
    }
}
