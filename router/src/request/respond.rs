//! The caller's head: status, headers, body, for each way a request can end.

use std::time::Duration;

use actix_web::{
    HttpResponse, HttpResponseBuilder,
    http::{
        StatusCode,
        header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER},
    },
};
use serin_proto::header;

use super::{
    opening::{Content, Opened, Refusal},
    rejection::Rejection,
    relay::Relay,
};
use crate::record::Record;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A provider's answer.
pub(super) fn opened(opened: Opened, mut record: Record) -> HttpResponse {
    record.committed(opened.at);
    let status = StatusCode::from_u16(opened.status).unwrap_or(StatusCode::OK);
    match opened.content {
        Content::Whole { body, usage } => {
            record.count(usage, body.len() as u64);
            record.attempt_succeeded(opened.at);
            record.bytes_out = body.len() as u64;
            record.answered(opened.status, None);
            let mut response = begin(status, &record);
            if let Some(cost) = record.cost {
                response.insert_header((header::COST_USD, cost.to_string()));
            }
            passed(&mut response, opened.headers);
            let response = response.body(body);
            record.head_written(opened.at);
            response
        }
        Content::Flowing(flow) => {
            record.flowing(opened.status);
            let mut response = begin(status, &record);
            passed(&mut response, opened.headers);
            record.head_written(opened.at);
            response.body(Relay::new(flow, record))
        }
    }
}

/// A provider's own refusal of this caller's request, as it came.
pub(super) fn refused(refusal: Refusal, mut record: Record) -> HttpResponse {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
    record.bytes_out = refusal.body.len() as u64;
    record.answered(refusal.status, None);
    let mut response = begin(status, &record);
    passed(&mut response, refusal.headers);
    response.body(refusal.body)
}

/// Our own refusal.
pub(crate) fn rejected(rejection: &Rejection, mut record: Record) -> HttpResponse {
    let told = rejection.told();
    let body = told.body();
    record.bytes_out = body.len() as u64;
    if !matches!(rejection, Rejection::BodyBroken) {
        record.answered(told.status.as_u16(), Some(told.code));
    }
    let mut response = begin(told.status, &record);
    response.insert_header((CONTENT_TYPE, JSON));
    if let Some(retry_after) = told.retry_after {
        response.insert_header((RETRY_AFTER, whole_seconds(retry_after)));
    }
    if let Some(should_retry) = told.should_retry {
        let value = HeaderValue::from_static(if should_retry { "true" } else { "false" });
        response.insert_header((header::SHOULD_RETRY, value));
    }
    if let Some(allow) = told.allow {
        response.insert_header((ALLOW, allow));
    }
    if told.close {
        response.force_close();
    }
    response.body(body)
}

/// An answer of our own that is no refusal.
pub(crate) fn json(body: String, mut record: Record) -> HttpResponse {
    record.bytes_out = body.len() as u64;
    record.answered(200, None);
    let mut response = begin(StatusCode::OK, &record);
    response.insert_header((CONTENT_TYPE, JSON));
    response.body(body)
}

/// What every answer carries.
fn begin(status: StatusCode, record: &Record) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response.insert_header((name(header::REQUEST_ID), record.id.header()));
    if let Some(route) = &record.route {
        response.insert_header((name(header::ROUTE), route.name_header.clone()));
        if let Some(target) = record.served.and_then(|index| route.targets.get(index)) {
            response.insert_header((name(header::TARGET), target.name_header.clone()));
        }
        let arm = HeaderValue::from_static(record.arm().as_str());
        response.insert_header((name(header::ARM), arm));
        response.insert_header((name(header::ATTEMPTS), small_number(record.attempts)));
    }
    if let Some(edition) = &record.edition {
        response.insert_header((name(header::REVISION), edition.header.clone()));
    }
    if record.worker.shared.is_draining() {
        response.force_close();
    }
    response
}

/// Nearly every answer has one attempt or two: those need no allocation.
fn small_number(number: u32) -> HeaderValue {
    match number {
        0 => HeaderValue::from_static("0"),
        1 => HeaderValue::from_static("1"),
        2 => HeaderValue::from_static("2"),
        _ => HeaderValue::from(number),
    }
}

fn passed(response: &mut HttpResponseBuilder, headers: Vec<(HeaderName, HeaderValue)>) {
    for header in headers {
        response.insert_header(header);
    }
}

fn name(name: &'static str) -> HeaderName {
    HeaderName::from_static(name)
}

/// Whole seconds, rounded up: a caller that waits as told is let in.
fn whole_seconds(wait: Duration) -> HeaderValue {
    HeaderValue::from(wait.as_millis().div_ceil(1000) as u64)
}
