//! The beginning of an answer, held back until there is no way back.
//!
//! Until the first content the caller gets nothing: no status, no head, no comment. So whatever
//! fails up to there can still become a success of another target. A stream commits at its first
//! content, a JSON answer when it is whole, anything else at its first byte.

use std::{
    collections::VecDeque,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use actix_web::http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER,
};
use bytes::{Bytes, BytesMut};
use serde::de::IgnoredAny;
use serin_proto::metric::Operation;

use super::{events::Events, large::LargeJson, timer::Timer};
use crate::{
    clock,
    provider::{
        client::{Body, Incoming},
        content,
        failure::Failure,
        usage::{self, Usage},
    },
    retry,
};

/// Most events that are held before the first content.
const PREAMBLE_EVENTS_MAX: u64 = 64;
/// Most bytes of them.
const PREAMBLE_BYTES_MAX: usize = 256 * 1024;
/// A JSON answer larger than this is relayed as it comes.
const JSON_BYTES_MAX: usize = 1024 * 1024;
/// Most bytes of an error's body.
const ERROR_BYTES_MAX: usize = 64 * 1024;

/// What the caller of an opening expects of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    pub(crate) operation: Operation,
    pub(crate) stream: bool,
    /// We asked for usage where the caller had not.
    pub(crate) strip_usage: bool,
}

/// Head fields of the provider's that the caller may see.
pub(crate) type Passed = Vec<(HeaderName, HeaderValue)>;

/// An answer that has begun: from here on nothing is tried again.
pub(crate) struct Opened {
    /// When the first content was here.
    pub(crate) at: Instant,
    pub(crate) status: u16,
    pub(crate) headers: Passed,
    pub(crate) content: Content,
}

/// The two forms of an answer.
pub(crate) enum Content {
    Whole { body: Bytes, usage: Option<Usage> },
    Flowing(Flow),
}

/// An answer that comes piece by piece.
pub(crate) struct Flow {
    /// Ready to go out: what was held back.
    pub(crate) ready: VecDeque<Bytes>,
    pub(crate) form: Form,
    /// Bytes still to come, if the provider announced a length.
    pub(crate) bytes_left: Option<u64>,
    pub(crate) body: Body,
    pub(crate) timer: Timer,
}

/// What the pieces are pieces of.
pub(crate) enum Form {
    Events(Events),
    Json(LargeJson),
    /// Bytes are bytes.
    Opaque,
}

/// Why there is no answer yet.
#[derive(Debug)]
pub(crate) struct Unanswered {
    pub(crate) failure: Failure,
    pub(crate) retry_after: Option<Duration>,
    /// The provider's own refusal, for a failure that is the caller's.
    pub(crate) refusal: Option<Refusal>,
}

/// A provider's 4xx as it came.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) headers: Passed,
    pub(crate) body: Bytes,
}

impl From<Failure> for Unanswered {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            retry_after: None,
            refusal: None,
        }
    }
}

/// Reads an answer up to its commit.
///
/// # Errors
/// Any failure: the caller has seen nothing yet.
pub(crate) async fn first_content(
    mut incoming: Incoming,
    mut timer: Timer,
    expected: Expected,
) -> Result<Opened, Unanswered> {
    timer.progressed(clock::now());
    let status = incoming.status();
    if !status.is_success() {
        return Err(refused(incoming, timer).await);
    }
    if incoming
        .headers()
        .get(CONTENT_ENCODING)
        .is_some_and(|value| value != "identity")
    {
        return Err(Failure::BadResponse("content-encoding").into());
    }
    if incoming.is_unframed() {
        return Err(Failure::BadResponse("neither length nor chunks").into());
    }
    let kind = kind_of(&incoming);
    let speaks_events = expected.stream && kind == Kind::Events;
    let strict = matches!(
        expected.operation,
        Operation::Chat | Operation::Completions | Operation::Embeddings | Operation::Responses
    );
    if strict
        && kind
            != if expected.stream {
                Kind::Events
            } else {
                Kind::Json
            }
    {
        return Err(Failure::BadResponse("content-type").into());
    }
    let announced = content_length(&incoming);
    let headers = passed(&incoming, &[CONTENT_TYPE]);
    let content = if speaks_events {
        Content::Flowing(preamble(incoming.body, timer, expected).await?)
    } else if kind == Kind::Json {
        json(incoming.body, timer, announced).await?
    } else {
        let first = next(&mut incoming.body, &mut timer).await?;
        let ready = first.into_iter().collect();
        flow(ready, Form::Opaque, (incoming.body, timer, announced))
    };
    Ok(Opened {
        at: clock::now(),
        status: status.as_u16(),
        headers,
        content,
    })
}

async fn preamble(mut body: Body, mut timer: Timer, expected: Expected) -> Result<Flow, Failure> {
    let mut events = Events::new(expected.operation, expected.strip_usage);
    let mut ready = VecDeque::new();
    loop {
        let Some(chunk) = next(&mut body, &mut timer).await? else {
            return Err(Failure::Truncated);
        };
        let commits = events.preamble(chunk, &mut ready)?;
        let held: usize = ready.iter().map(Bytes::len).sum();
        if commits || events.count >= PREAMBLE_EVENTS_MAX || held >= PREAMBLE_BYTES_MAX {
            break;
        }
    }
    timer.committed();
    Ok(Flow {
        ready,
        form: Form::Events(events),
        bytes_left: None,
        body,
        timer,
    })
}

async fn json(
    mut body: Body,
    mut timer: Timer,
    announced: Option<u64>,
) -> Result<Content, Failure> {
    let mut held = VecDeque::new();
    let mut len = 0;
    while let Some(chunk) = next(&mut body, &mut timer).await? {
        len += chunk.len();
        held.push_back(chunk);
        if len > JSON_BYTES_MAX {
            let large = LargeJson::begun_with(&held);
            return Ok(flow(held, Form::Json(large), (body, timer, announced)));
        }
    }
    // awc ends a body that was cut as if it were whole.
    if announced.is_some_and(|announced| announced != len as u64) {
        return Err(Failure::Truncated);
    }
    let whole = joined(held, len);
    let usage = usage::reported(&whole);
    if usage.is_none() && serde_json::from_slice::<IgnoredAny>(&whole).is_err() {
        let cut = announced.is_none();
        return Err(if cut {
            Failure::Truncated
        } else {
            Failure::BadResponse("JSON")
        });
    }
    if content::mentions(&whole).error
        && content::is_content(Operation::Other, &whole) == content::Seen::Error
    {
        return Err(Failure::StreamError);
    }
    Ok(Content::Whole { body: whole, usage })
}

fn flow(
    ready: VecDeque<Bytes>,
    form: Form,
    (body, mut timer, announced): (Body, Timer, Option<u64>),
) -> Content {
    timer.committed();
    let held: usize = ready.iter().map(Bytes::len).sum();
    let bytes_left = announced.map(|announced| announced.saturating_sub(held as u64));
    Content::Flowing(Flow {
        ready,
        form,
        bytes_left,
        body,
        timer,
    })
}

/// The answer is no success: its body is read as far as it may be of use.
async fn refused(mut incoming: Incoming, mut timer: Timer) -> Unanswered {
    let status = incoming.status().as_u16();
    let now_ms = clock::unix_ms(clock::unix());
    let text = |name: &str| {
        incoming
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let retry_after = retry::retry_after(text, now_ms);
    let headers = passed(&incoming, &[CONTENT_TYPE, CONTENT_ENCODING, RETRY_AFTER]);
    let mut body = BytesMut::new();
    // What cannot be read of an error's body is not missed.
    while let Ok(Some(chunk)) = next(&mut incoming.body, &mut timer).await {
        body.extend_from_slice(&chunk);
        if body.len() > ERROR_BYTES_MAX {
            body.truncate(ERROR_BYTES_MAX);
            break;
        }
    }
    let body = body.freeze();
    let insufficient_quota = memchr::memmem::find(&body, b"insufficient_quota").is_some();
    Unanswered {
        failure: Failure::Status {
            code: status,
            insufficient_quota,
        },
        retry_after,
        refusal: Some(Refusal {
            status,
            headers,
            body,
        }),
    }
}

/// The next bytes, or what has failed while waiting for them.
async fn next(body: &mut Body, timer: &mut Timer) -> Result<Option<Bytes>, Failure> {
    let chunk = std::future::poll_fn(|cx: &mut Context<'_>| match body.poll_next(cx) {
        Poll::Ready(chunk) => Poll::Ready(chunk),
        Poll::Pending => timer.poll_expired(cx).map(|failure| Some(Err(failure))),
    });
    let chunk = chunk.await.transpose()?;
    if chunk.is_some() {
        timer.progressed(clock::now());
    }
    Ok(chunk)
}

/// Waits for the head within the limits of the timer.
///
/// # Errors
/// What failed, a limit included.
pub(crate) async fn head(
    sending: impl Future<Output = Result<Incoming, Failure>>,
    timer: &mut Timer,
) -> Result<Incoming, Failure> {
    let mut sending = std::pin::pin!(sending);
    std::future::poll_fn(|cx: &mut Context<'_>| match sending.as_mut().poll(cx) {
        Poll::Ready(head) => Poll::Ready(head),
        Poll::Pending => timer.poll_expired(cx).map(Err),
    })
    .await
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Json,
    Events,
    Other,
}

fn kind_of(incoming: &Incoming) -> Kind {
    let value = incoming
        .headers()
        .get(CONTENT_TYPE)
        .map(HeaderValue::as_bytes);
    let essence = value
        .unwrap_or_default()
        .split(|byte| *byte == b';')
        .next()
        .unwrap_or_default();
    let essence = essence.trim_ascii();
    if essence.eq_ignore_ascii_case(b"text/event-stream") {
        Kind::Events
    } else if essence.eq_ignore_ascii_case(b"application/json") {
        Kind::Json
    } else {
        Kind::Other
    }
}

fn content_length(incoming: &Incoming) -> Option<u64> {
    let value = incoming.headers().get(CONTENT_LENGTH)?;
    value.to_str().ok()?.parse().ok()
}

/// The allow-list of what a caller sees of a provider's head.
fn passed(incoming: &Incoming, always: &[HeaderName]) -> Passed {
    const OPENAI: [&str; 2] = ["openai-processing-ms", "openai-version"];
    let mut headers = Passed::new();
    for name in always {
        if let Some(value) = incoming.headers().get(name) {
            headers.push((name.clone(), value.clone()));
        }
    }
    for name in OPENAI {
        if let Some(value) = incoming.headers().get(name) {
            headers.push((HeaderName::from_static(name), value.clone()));
        }
    }
    headers
}

fn joined(mut chunks: VecDeque<Bytes>, len: usize) -> Bytes {
    if chunks.len() == 1 {
        return chunks.pop_front().unwrap_or_default();
    }
    let mut whole = BytesMut::with_capacity(len);
    for chunk in chunks {
        whole.extend_from_slice(&chunk);
    }
    whole.freeze()
}
