//! One access line: a request in one JSON object.
//!
//! Always: no prompt, no answer, no key's secret, no header map. What is absent is left out, never
//! `null`. Strings are escaped, so a newline in a model name stays inside its line.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use serde::{Serialize, Serializer, ser::SerializeSeq as _};
use serin_proto::metric::{Ending, Phase, TokenSource};

use super::{Outcome, Record, Tried};
use crate::{auth::Caller, clock, route::Route, worker::RequestId};

/// What a line needs of a record, moved out of it when it is sealed.
#[derive(Debug)]
pub(crate) struct Line {
    at_unix: Duration,
    id: RequestId,
    caller: Option<Arc<Caller>>,
    route: Option<Arc<Route>>,
    operation: &'static str,
    stream: bool,
    arm: Option<&'static str>,
    assigned: Option<usize>,
    served: Option<usize>,
    attempts: u32,
    revision: u64,
    status: u16,
    outcome: Outcome,
    code: Option<&'static str>,
    took: Duration,
    first_token_after: Option<Duration>,
    overhead: Duration,
    tokens: Option<(crate::provider::usage::Split, TokenSource)>,
    cost_nano_usd: Option<u64>,
    bytes_in: u64,
    bytes_out: u64,
    chunks: u64,
    phase: Option<Phase>,
    peer: Option<SocketAddr>,
    user_agent: Option<Box<str>>,
    tried: Vec<Tried>,
}

impl Line {
    pub(super) fn of(record: &mut Record, took: Duration) -> Self {
        let outcome = record.outcome();
        Self {
            at_unix: clock::unix(),
            id: record.id.clone(),
            caller: record.caller.take(),
            route: record.route.take(),
            operation: record.operation.as_str(),
            stream: record.stream,
            arm: record.assigned.map(|assigned| assigned.arm.as_str()),
            assigned: record.assigned.map(|assigned| assigned.target),
            served: record.served,
            attempts: record.attempts,
            revision: record.snapshot.as_ref().map_or(0, |snapshot| snapshot.revision.0),
            status: record.status,
            outcome,
            code: record.code,
            took,
            first_token_after: record.first_token_after,
            overhead: record.overhead,
            tokens: record.counted.map(|counted| (counted.usage.split(), counted.source)),
            cost_nano_usd: record.cost.map(|cost| cost.0),
            bytes_in: record.bytes_in,
            bytes_out: record.bytes_out,
            chunks: record.chunks,
            phase: (outcome == Outcome::ClientGone).then_some(record.phase),
            peer: record.peer.address,
            user_agent: record.peer.user_agent.take(),
            tried: std::mem::take(&mut record.tried),
        }
    }

    /// Appends the line, its newline included.
    pub(super) fn write_json(&self, out: &mut Vec<u8>) {
        let written = serde_json::to_writer(&mut *out, &self.view());
        debug_assert!(written.is_ok(), "a line has nothing that JSON lacks");
        out.push(b'\n');
    }

    fn view(&self) -> View<'_> {
        let target = |index: usize| {
            let route = self.route.as_ref()?;
            route.targets.get(index).map(|target| &*target.name)
        };
        let tokens = self.tokens.as_ref();
        // One clean attempt is told by the other fields already.
        let eventful = self.tried.len() > 1
            || self.tried.first().is_some_and(|tried| tried.ending.is_diversion());
        View {
            ts: timestamp(self.at_unix),
            kind: "access",
            request_id: Id(&self.id),
            key: self.caller.as_ref().map(|caller| &*caller.name),
            route: self.route.as_ref().map(|route| &*route.name),
            operation: self.operation,
            stream: self.stream,
            arm: self.arm,
            assigned: self.assigned.and_then(target),
            target: self.served.and_then(target),
            attempts: self.attempts,
            revision: self.revision,
            status: self.status,
            outcome: match self.outcome {
                Outcome::Ok => "ok",
                Outcome::Error => "error",
                Outcome::Cut => "cut",
                Outcome::ClientGone => "client_gone",
            },
            code: self.code,
            reason: self.reason(),
            duration_ms: ms(self.took),
            ttft_ms: self.first_token_after.filter(|_| self.stream).map(ms),
            overhead_us: u64::try_from(self.overhead.as_micros()).unwrap_or(u64::MAX),
            tokens_in: tokens.map(|(split, _)| split.input + split.cached_input),
            tokens_cached: tokens.map(|(split, _)| split.cached_input).filter(|n| *n > 0),
            tokens_out: tokens.map(|(split, _)| split.output + split.reasoning),
            usage: tokens.map(|(_, source)| source.as_str()),
            cost_usd: self.cost_nano_usd.map(|nano| nano as f64 / 1e9),
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            chunks: self.chunks,
            phase: self.phase.map(Phase::as_str),
            peer: self.peer,
            user_agent: self.user_agent.as_deref(),
            tried: eventful.then_some(Tries(&self.tried)),
        }
    }

    /// Why the last attempt did not end well, if it did not.
    fn reason(&self) -> Option<&'static str> {
        let last = self.tried.last()?;
        (last.ending != Ending::Success).then(|| last.ending.reason())
    }
}

#[derive(Serialize)]
struct View<'a> {
    ts: String,
    kind: &'static str,
    request_id: Id<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    operation: &'static str,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    arm: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    assigned: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
    attempts: u32,
    revision: u64,
    status: u16,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    duration_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttft_ms: Option<f64>,
    overhead_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens_in: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens_cached: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens_out: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_usd: Option<f64>,
    bytes_in: u64,
    bytes_out: u64,
    chunks: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tried: Option<Tries<'a>>,
}

struct Id<'a>(&'a RequestId);

impl Serialize for Id<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            RequestId::Given(value) => {
                serializer.serialize_str(value.to_str().unwrap_or_default())
            }
            RequestId::Made(id) => serializer.collect_str(&format_args!("{id:016x}")),
        }
    }
}

struct Tries<'a>(&'a [Tried]);

#[derive(Serialize)]
struct Try<'a> {
    target: &'a str,
    role: &'static str,
    reason: &'static str,
    ms: f64,
}

impl Serialize for Tries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for tried in self.0 {
            list.serialize_element(&Try {
                target: &tried.target,
                role: tried.role.as_str(),
                reason: tried.ending.reason(),
                ms: ms(tried.took),
            })?;
        }
        list.end()
    }
}

/// Milliseconds with three decimals.
fn ms(took: Duration) -> f64 {
    took.as_micros() as f64 / 1e3
}

/// RFC 3339 with microseconds, UTC.
fn timestamp(at_unix: Duration) -> String {
    let nanos = i128::try_from(at_unix.as_nanos()).unwrap_or_default();
    let Ok(at) = time::OffsetDateTime::from_unix_timestamp_nanos(nanos) else {
        return String::new();
    };
    let (date, time) = (at.date(), at.time());
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z",
        date.year(),
        u8::from(date.month()),
        date.day(),
        time.hour(),
        time.minute(),
        time.second(),
        time.microsecond()
    )
}
