//! The body of a write, off the wire: bounded in bytes and in time, and of a type that is taken.

use std::time::Duration;

use actix_web::{
    HttpRequest,
    error::PayloadError,
    http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
    web::Payload,
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use serin_store::TXN_BYTES_MAX;
use tokio::time::timeout;

use super::problem::Problem;

/// Largest body, in bytes.
pub(crate) const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Largest body of an apply, in bytes: what fits into one transaction.
pub(crate) const APPLY_BYTES_MAX: usize = TXN_BYTES_MAX;
/// Time for the whole of a body.
const BODY_TIME_MAX: Duration = Duration::from_secs(30);

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Yaml,
}

/// Reads a body of JSON.
///
/// # Errors
/// 400, 408, 413, 415.
pub(crate) async fn json(head: &HttpRequest, payload: Payload) -> Result<Bytes, Problem> {
    if form(head)? != Form::Json {
        return Err(unsupported("application/json"));
    }
    read(head, payload, BODY_BYTES_MAX).await
}

/// Reads the body of an apply, JSON or YAML.
///
/// # Errors
/// 400, 408, 413, 415.
pub(crate) async fn documents(
    head: &HttpRequest,
    payload: Payload,
) -> Result<(Form, Bytes), Problem> {
    let form = form(head)?;
    Ok((form, read(head, payload, APPLY_BYTES_MAX).await?))
}

/// What the head says of the body's form. Nothing said is JSON.
fn form(head: &HttpRequest) -> Result<Form, Problem> {
    let encoding = head.headers().get(CONTENT_ENCODING);
    if encoding.is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity")) {
        let text = "a compressed body is not taken: send it without Content-Encoding";
        return Err(Problem::new("unsupported_media_type", text));
    }
    let Some(value) = head.headers().get(CONTENT_TYPE) else {
        return Ok(Form::Json);
    };
    let text = value.to_str().unwrap_or_default();
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    let utf8 = matches!(
        parameters.trim().to_ascii_lowercase().as_str(),
        "" | "charset=utf-8" | "charset=\"utf-8\""
    );
    match essence.trim().to_ascii_lowercase().as_str() {
        "application/json" if utf8 => Ok(Form::Json),
        "application/yaml" | "application/x-yaml" | "text/yaml" if utf8 => Ok(Form::Yaml),
        _ => Err(unsupported(
            "application/json (an apply also application/yaml)",
        )),
    }
}

fn unsupported(wanted: &str) -> Problem {
    let text = format!("the body must be {wanted}, in UTF-8: say so in Content-Type");
    Problem::new("unsupported_media_type", text)
}

async fn read(head: &HttpRequest, payload: Payload, bytes_max: usize) -> Result<Bytes, Problem> {
    let announced = head.headers().get(CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|bytes| bytes > bytes_max) {
        return Err(too_large(bytes_max));
    }
    let whole = collect(payload, bytes_max);
    timeout(BODY_TIME_MAX, whole).await.unwrap_or_else(|_| {
        let seconds = BODY_TIME_MAX.as_secs();
        let text = format!("the body did not arrive within {seconds} s");
        Err(Problem::new("request_timeout", text))
    })
}

async fn collect(mut payload: Payload, bytes_max: usize) -> Result<Bytes, Problem> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| unreadable(&error))?;
        if body.len() + chunk.len() > bytes_max {
            return Err(too_large(bytes_max));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn too_large(bytes_max: usize) -> Problem {
    let text = format!("the body is longer than {bytes_max} bytes: send it in parts");
    Problem::new("request_too_large", text)
}

fn unreadable(error: &PayloadError) -> Problem {
    Problem::new("invalid_request", format!("the body broke off: {error}"))
}
