//! A refusal as a gRPC status: the nearest code, the word for programs in the message, and every
//! fault in the details, in the form that clients of other services know (`google.rpc.Status` with
//! `ErrorInfo` and `BadRequest`). Pure.

use std::collections::BTreeMap;

use prost::Message;
use serin_proto::Fault;
use tonic::{Code, Status};

use crate::change::Refusal;

/// Largest list of faults, in bytes. Statuses travel in headers, of which clients take 8 to 16 KiB.
const VIOLATIONS_BYTES_MAX: usize = 4 * 1024;
/// Longest text in a status, in bytes; the rest is cut.
const TEXT_BYTES_MAX: usize = 1024;
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
    let faults = refusal.faults();
    let violations = violations(faults);
    let more = match faults.len() - violations.len() {
        0 => String::new(),
        more => format!(" (the details have {}, and {more} more)", violations.len()),
    };
    let message = format!("{}{more}", clipped(&format!("{word}: {refusal}")));
    let mut metadata = BTreeMap::from([("requestId".to_owned(), request_id.to_owned())]);
    if let Some(revision) = refusal.current() {
        metadata.insert("revision".to_owned(), revision.to_string());
    }
    match refusal {
        Refusal::StaleSeq { seq, .. } => {
            metadata.insert("seq".to_owned(), seq.to_string());
        }
        Refusal::Illegal { legal, .. } | Refusal::RolloutActive { legal, .. } => {
            metadata.insert("legal".to_owned(), legal.join(","));
        }
        _ => {}
    }
    let info = ErrorInfo {
        reason: word.to_owned(),
        domain: DOMAIN.to_owned(),
        metadata,
    };
    let mut details = vec![any("google.rpc.ErrorInfo", &info)];
    if !violations.is_empty() {
        let request = BadRequest {
            field_violations: violations,
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

/// The first faults, as many as there is room for; the first of all always has it.
fn violations(faults: &[Fault]) -> Vec<FieldViolation> {
    let mut bytes = 0;
    let violations = faults.iter().map(|fault| FieldViolation {
        field: clipped(&fault.pointer),
        description: clipped(&fault.message),
        reason: fault.code.to_owned(),
    });
    let fitting = violations.take_while(|violation| {
        // A tag and a length of at most two bytes come before each.
        bytes += violation.encoded_len() + 3;
        bytes <= VIOLATIONS_BYTES_MAX
    });
    fitting.collect()
}

fn clipped(text: &str) -> String {
    if text.len() <= TEXT_BYTES_MAX {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(TEXT_BYTES_MAX)])
}

fn any(name: &str, message: &impl Message) -> Any {
    Any {
        type_url: format!("type.googleapis.com/{name}"),
        value: message.encode_to_vec(),
    }
}

fn code(refusal: &Refusal) -> Code {
    match refusal.status() {
        // The same message may be right later.
        422 if matches!(refusal, Refusal::Illegal { .. }) => Code::FailedPrecondition,
        400 | 413 | 422 => Code::InvalidArgument,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::NotFound,
        // The client should read again and may then try again.
        412 => Code::Aborted,
        409 if matches!(refusal, Refusal::Conflict | Refusal::StaleSeq { .. }) => Code::Aborted,
        409 | 428 => Code::FailedPrecondition,
        410 => Code::OutOfRange,
        429 | 507 => Code::ResourceExhausted,
        503 => Code::Unavailable,
        504 => Code::DeadlineExceeded,
        _ => Code::Internal,
    }
}

#[cfg(test)]
mod tests {
    use serin_proto::fault::Pointer;

    use super::*;

    #[test]
    fn many_or_long_faults_fit_into_the_headers_and_the_rest_is_counted() {
        for (count, length, told) in [(3, 10, 3), (1_000, 100, 30), (9, 100_000, 3)] {
            let at = Pointer::root().key("weights");
            let fault = || Fault::new(&at, "bad_weight", "ü".repeat(length / 2));
            let faults = (0..count).map(|_| fault()).collect();
            let status = status(&Refusal::Invalid(faults), "req-1");
            let details = RpcStatus::decode(status.details()).unwrap();
            let request = BadRequest::decode(&details.details[1].value[..]).unwrap();
            let shown = request.field_violations.len();
            assert!(shown >= told && shown <= count, "{shown} of {count}");
            assert!(
                status.details().len() <= 7 * 1024,
                "{}",
                status.details().len()
            );
            let more = format!("and {} more)", count - shown);
            assert_eq!(
                status.message().ends_with(&more),
                shown < count,
                "{status:?}"
            );
        }
    }
}
