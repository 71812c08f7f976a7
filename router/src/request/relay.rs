//! An answer on its way to the caller, piece by piece.
//!
//! It carries the record: whatever ends it (the end, a failure, the caller's hang-up, which is a
//! drop) is counted once. A stream that breaks off ends with an error event and an aborted body,
//! never with a clean end, and never with `[DONE]`.
//!
//! actix polls a body only while its write buffer has room, so a caller that stops reading stops
//! the provider: there is no pump and no channel in between.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use serin_proto::metric::{Ending, OverheadPhase, TokenSource};

use super::{
    events::Events,
    opening::{Flow, Form},
    rejection::error_event,
};
use crate::{
    clock,
    provider::{client::Body, failure::Failure},
    record::{Counted, Record},
};

/// One chunk in so many is timed.
const TIMED_ONE_IN: u64 = 64;
/// How long a provider may take to end its body once its terminator was seen.
const LINGER: Duration = Duration::from_secs(1);

/// What is left to do.
enum Stage {
    Flowing,
    /// The last bytes are in actix's buffer. It drops them if the body fails before they are
    /// written, so it gets one turn to write first.
    Flushing,
    Aborting,
    Ended,
}

/// A body that relays.
pub(crate) struct Relay {
    flow: Flow,
    stage: Stage,
    record: Record,
}

impl Relay {
    pub(crate) fn new(flow: Flow, record: Record) -> Self {
        Self {
            flow,
            stage: Stage::Flowing,
            record,
        }
    }

    fn poll_flowing(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, io::Error>>> {
        loop {
            if let Some(bytes) = self.flow.ready.pop_front() {
                self.record.bytes_out += bytes.len() as u64;
                return Poll::Ready(Some(Ok(bytes)));
            }
            if self.events().is_some_and(|events| events.done) {
                return self.end();
            }
            if self.events().is_some_and(|events| events.failed) {
                // The provider's own error event has gone out; ours would be a second one.
                self.abort(&Failure::StreamError);
                return self.poll_flushing(cx);
            }
            match self.flow.body.poll_next(cx) {
                Poll::Ready(Some(Ok(chunk))) => {
                    if let Err(failure) = self.take(chunk) {
                        return self.break_off(&failure, cx);
                    }
                }
                Poll::Ready(Some(Err(failure))) => return self.break_off(&failure, cx),
                Poll::Ready(None) if self.is_whole() => return self.end(),
                Poll::Ready(None) => return self.break_off(&Failure::Truncated, cx),
                Poll::Pending => match self.flow.timer.poll_expired(cx) {
                    Poll::Ready(failure) => return self.break_off(&failure, cx),
                    Poll::Pending => return Poll::Pending,
                },
            }
        }
    }

    fn take(&mut self, chunk: Bytes) -> Result<(), Failure> {
        let now = clock::now();
        self.flow.timer.progressed(now);
        self.record.chunks += 1;
        if let Some(left) = self.flow.bytes_left.as_mut() {
            *left = left.saturating_sub(chunk.len() as u64);
        }
        match &mut self.flow.form {
            Form::Events(events) => events.flow(chunk, &mut self.flow.ready)?,
            Form::Json(large) => {
                large.take(&chunk);
                self.flow.ready.push_back(chunk);
            }
            Form::Opaque => self.flow.ready.push_back(chunk),
        }
        if self.record.chunks % TIMED_ONE_IN == 1 {
            let process = self.record.worker.process();
            process.added(OverheadPhase::Chunk, clock::now().duration_since(now));
        }
        Ok(())
    }

    fn is_whole(&self) -> bool {
        match &self.flow.form {
            Form::Events(events) => events.ended_well(),
            Form::Json(large) => {
                large.is_whole() && self.flow.bytes_left.is_none_or(|left| left == 0)
            }
            Form::Opaque => self.flow.bytes_left.is_none_or(|left| left == 0),
        }
    }

    fn events(&self) -> Option<&Events> {
        match &self.flow.form {
            Form::Events(events) => Some(events),
            Form::Json(_) | Form::Opaque => None,
        }
    }

    /// The answer is whole. The caller's body ends now; the provider's may take a moment longer,
    /// and only a body read to its end gives its connection back.
    fn end(&mut self) -> Poll<Option<Result<Bytes, io::Error>>> {
        self.count();
        self.record.attempt_succeeded(clock::now());
        self.record.completed();
        self.stage = Stage::Ended;
        if self.events().is_some_and(|events| events.done) {
            let body = std::mem::replace(&mut self.flow.body, Body::empty());
            linger(body);
        }
        Poll::Ready(None)
    }

    /// The provider failed after the commit: nobody can take over.
    fn break_off(
        &mut self,
        failure: &Failure,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, io::Error>>> {
        let (status, code) = self.abort(failure);
        if self.events().is_none() {
            return self.poll_flushing(cx);
        }
        let event = Bytes::from(error_event(status, code));
        self.record.bytes_out += event.len() as u64;
        Poll::Ready(Some(Ok(event)))
    }

    fn abort(&mut self, failure: &Failure) -> (u16, &'static str) {
        self.count();
        self.record.attempt_failed(failure, None);
        let timed_out = matches!(failure.ending(), Ending::TimeoutIdle | Ending::TimeoutTotal);
        let (status, code) = if timed_out {
            (504, "upstream_timeout")
        } else {
            (502, "upstream_error")
        };
        self.record.cut(status, code);
        self.flow.body = Body::empty(); // closes the provider's connection
        self.stage = Stage::Flushing;
        (status, code)
    }

    /// Lets actix write what it holds, then breaks the body off.
    fn poll_flushing(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, io::Error>>> {
        self.stage = Stage::Aborting;
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// What the provider said it used, or what it must have used: an answer that broke off is paid
    /// for too. Each event carries about one token.
    fn count(&mut self) {
        let (reported, output) = match &self.flow.form {
            Form::Events(events) => (events.usage, events.count),
            Form::Json(large) => (large.usage(), self.record.output_of(self.record.bytes_out)),
            Form::Opaque => return,
        };
        self.record.counted = Some(match reported {
            Some(usage) => Counted {
                usage,
                source: TokenSource::Reported,
            },
            None => self.record.estimate(output),
        });
    }
}

impl MessageBody for Relay {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, io::Error>>> {
        match self.stage {
            Stage::Flowing => self.poll_flowing(cx),
            Stage::Flushing => self.poll_flushing(cx),
            Stage::Aborting => Poll::Ready(Some(Err(aborted()))),
            Stage::Ended => Poll::Ready(None),
        }
    }
}

impl Drop for Relay {
    /// Dropped while it flows: the caller hung up. What was used so far is still counted.
    fn drop(&mut self) {
        if matches!(self.stage, Stage::Flowing) {
            self.count();
        }
    }
}

/// What makes actix close the connection without the last chunk.
fn aborted() -> io::Error {
    io::Error::new(
        io::ErrorKind::ConnectionAborted,
        "the provider's answer broke off",
    )
}

/// Reads the rest of a body that should be nothing but its end.
fn linger(mut body: Body) {
    actix_rt::spawn(async move {
        let rest = async { while let Some(Ok(_)) = body.next().await {} };
        // Too slow: the connection is closed instead of kept.
        let _ = tokio::time::timeout(LINGER, rest).await;
    });
}
