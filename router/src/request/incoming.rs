//! A caller's body, off the wire and understood as far as we need it.
//!
//! Always: bounded in bytes, in time, and together with all other bodies in memory. What cannot be
//! read is refused before a provider hears of it.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::Ordering::{AcqRel, Relaxed},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use actix_web::{
    HttpRequest,
    error::PayloadError,
    http::header::{CONTENT_ENCODING, CONTENT_LENGTH},
    web::Payload,
};
use bytes::{Bytes, BytesMut};
use futures_util::Stream as _;
use serin_proto::metric::Operation;
use tokio::time::{Sleep, sleep};

use super::{
    parse::{Shallow, shallow},
    rejection::Rejection,
};
use crate::{clock, record::Record, worker::Shared};

/// Most memory that is set aside for a body before it has come.
const RESERVED_MAX: usize = 256 * 1024;
/// A body that brings less than [`WINDOW_BYTES_MIN`] in this time is too slow.
const WINDOW: Duration = Duration::from_secs(30);
const WINDOW_BYTES_MIN: usize = 30 * 1024;
/// All bodies in memory together may have so many times the largest single one.
const BODIES_HELD: usize = 8;

/// A request that was read.
pub(crate) struct Call {
    pub(crate) shallow: Shallow,
    /// A stream is wanted, of an operation that has streams.
    pub(crate) stream: bool,
    pub(crate) body: Bytes,
    _held: Held,
}

/// Reads and understands a body.
///
/// # Errors
/// What is wrong with it, or with how it came.
pub(crate) async fn read(
    head: &HttpRequest,
    payload: Payload,
    record: &mut Record,
) -> Result<Call, Rejection> {
    let encoding = head.headers().get(CONTENT_ENCODING);
    if encoding.is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(Rejection::CompressedBody);
    }
    let shared = Arc::clone(&record.worker.shared);
    let bytes_max = shared.body_bytes_max;
    let announced = announced(head).unwrap_or(0);
    if announced > bytes_max {
        return Err(Rejection::BodyTooLarge { bytes_max });
    }
    let mut held = Held::new(shared);
    let body = collect(payload, announced, &mut held, record).await?;
    record.bytes_in = body.len() as u64;
    let shallow = shallow(&body).map_err(Rejection::Unreadable)?;
    // Where there is no such thing as a stream, providers ignore the wish for one.
    let unstreamed = matches!(
        record.operation,
        Operation::Embeddings | Operation::Moderations
    );
    let stream = shallow.stream && !unstreamed;
    Ok(Call {
        shallow,
        stream,
        body,
        _held: held,
    })
}

async fn collect(
    payload: Payload,
    announced: usize,
    held: &mut Held,
    record: &mut Record,
) -> Result<Bytes, Rejection> {
    let payload = payload.into_inner();
    let mut incoming = Incoming {
        payload,
        window: None,
        brought: 0,
        waiting_since: None,
    };
    let Some(first) = incoming.next().await? else {
        return Ok(Bytes::new());
    };
    held.grow_to(first.len())?;
    // Most bodies are one read: they are used as they came.
    if first.len() == announced {
        record.waited_for_body = incoming.waited();
        return Ok(first);
    }
    let mut body =
        BytesMut::with_capacity(announced.clamp(first.len(), RESERVED_MAX.max(first.len())));
    let mut chunk = Some(first);
    while let Some(bytes) = chunk {
        let bytes_max = record.worker.shared.body_bytes_max;
        if body.len() + bytes.len() > bytes_max {
            return Err(Rejection::BodyTooLarge { bytes_max });
        }
        held.grow_to(body.len() + bytes.len())?;
        body.extend_from_slice(&bytes);
        chunk = incoming.next().await?;
    }
    record.waited_for_body = incoming.waited();
    Ok(body.freeze())
}

fn announced(head: &HttpRequest) -> Option<usize> {
    head.headers()
        .get(CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// The bytes still to come, and how slowly they may.
struct Incoming {
    payload: actix_web::dev::Payload,
    /// Made when there is something to wait for; most bodies are there at once.
    window: Option<Pin<Box<Sleep>>>,
    /// Bytes since the window began.
    brought: usize,
    waiting_since: Option<Instant>,
}

impl Incoming {
    /// Time from the first wait to now; none if all was there.
    fn waited(&self) -> Duration {
        self.waiting_since
            .map_or(Duration::ZERO, |since| clock::now().duration_since(since))
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Rejection> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Rejection>> {
        match Pin::new(&mut self.payload).poll_next(cx) {
            Poll::Ready(Some(Ok(bytes))) => {
                self.brought += bytes.len();
                Poll::Ready(Ok(Some(bytes)))
            }
            Poll::Ready(Some(Err(PayloadError::EncodingCorrupted))) => {
                Poll::Ready(Err(Rejection::BadFraming))
            }
            Poll::Ready(Some(Err(_))) => Poll::Ready(Err(Rejection::BodyBroken)),
            Poll::Ready(None) => Poll::Ready(Ok(None)),
            Poll::Pending => self.poll_window(cx),
        }
    }

    fn poll_window(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Rejection>> {
        self.waiting_since.get_or_insert_with(clock::now);
        loop {
            let window = self.window.get_or_insert_with(|| Box::pin(sleep(WINDOW)));
            if window.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if self.brought < WINDOW_BYTES_MIN {
                return Poll::Ready(Err(Rejection::BodyTooSlow));
            }
            self.brought = 0;
            self.window = None;
        }
    }
}

/// This body's part of the memory that all bodies share.
struct Held {
    shared: Arc<Shared>,
    bytes: usize,
}

impl Held {
    fn new(shared: Arc<Shared>) -> Self {
        Self { shared, bytes: 0 }
    }

    fn grow_to(&mut self, bytes: usize) -> Result<(), Rejection> {
        let more = bytes.saturating_sub(self.bytes);
        if more == 0 {
            return Ok(());
        }
        let before = self.shared.bodies_held.fetch_add(more, AcqRel);
        self.bytes += more;
        let all_max = self.shared.body_bytes_max.saturating_mul(BODIES_HELD);
        if before + more > all_max {
            Err(Rejection::BodiesFull)
        } else {
            Ok(())
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shared.bodies_held.fetch_sub(self.bytes, Relaxed);
    }
}
