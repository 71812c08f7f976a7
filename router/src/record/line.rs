//! One access line: a request in one JSON object.
//!
//! Always: no prompt, no answer, no key's secret, no header map. What is absent is left out, never
//! `null`. Strings are escaped, so a newline in a model name stays inside its line.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use serin_proto::{
    metric::{Ending, Phase, TokenSource},
    unit::NanoUsd,
};

use super::{
    Outcome, Record, RequestId, Tried,
    id::hex,
    json::{Object, Stamp},
};
use crate::{auth::Caller, clock, route::Route};

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
    cost: Option<NanoUsd>,
    bytes_in: u64,
    bytes_out: u64,
    chunks: u64,
    phase: Option<Phase>,
    peer: Option<SocketAddr>,
    user_agent: Option<Box<str>>,
    tried: Vec<Tried>,
}

impl Line {
    pub(super) fn of(record: &mut Record, now: Instant) -> Self {
        let outcome = record.outcome();
        Self {
            at_unix: clock::unix_at(now),
            id: record.id.clone(),
            caller: record.caller.take(),
            route: record.route.take(),
            operation: record.operation.as_str(),
            stream: record.stream,
            arm: record.assigned.map(|assigned| assigned.arm.as_str()),
            assigned: record.assigned.map(|assigned| assigned.target),
            served: record.served,
            attempts: record.attempts,
            revision: record
                .edition
                .as_ref()
                .map_or(0, |edition| edition.revision.0),
            status: record.status,
            outcome,
            code: record.code,
            took: now.duration_since(record.started),
            first_token_after: record.first_token_after,
            overhead: record.overhead,
            tokens: record
                .counted
                .map(|counted| (counted.usage.split(), counted.source)),
            cost: record.cost,
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
    pub(super) fn write_json(&self, stamp: &mut Stamp, out: &mut Vec<u8>) {
        let target = |index: usize| {
            let route = self.route.as_ref()?;
            route.targets.get(index).map(|target| &*target.name)
        };
        let mut line = Object::open(out);
        line.text("ts", stamp.of(self.at_unix));
        line.text("kind", "access");
        match &self.id {
            RequestId::Given(value) => line.text("request_id", value.to_str().unwrap_or_default()),
            RequestId::Made(id) => line.text("request_id", hex(*id, &mut [0; 16])),
        }
        line.maybe("key", self.caller.as_ref().map(|caller| &*caller.name));
        line.maybe("route", self.route.as_ref().map(|route| &*route.name));
        line.text("operation", self.operation);
        line.bool("stream", self.stream);
        line.maybe("arm", self.arm);
        line.maybe("assigned", self.assigned.and_then(target));
        line.maybe("target", self.served.and_then(target));
        line.number("attempts", self.attempts.into());
        line.number("revision", self.revision);
        line.number("status", self.status.into());
        line.text("outcome", self.outcome.as_str());
        line.maybe("code", self.code);
        line.maybe("reason", self.reason());
        line.millis("duration_ms", self.took);
        if let Some(after) = self.first_token_after.filter(|_| self.stream) {
            line.millis("ttft_ms", after);
        }
        line.number(
            "overhead_us",
            u64::try_from(self.overhead.as_micros()).unwrap_or(u64::MAX),
        );
        self.write_spend(&mut line);
        line.number("bytes_in", self.bytes_in);
        line.number("bytes_out", self.bytes_out);
        line.number("chunks", self.chunks);
        line.maybe("phase", self.phase.map(Phase::as_str));
        if let Some(peer) = self.peer {
            line.text("peer", &peer.to_string());
        }
        line.maybe("user_agent", self.user_agent.as_deref());
        if self.is_eventful() {
            line.list("tried", &self.tried, |tried, one| {
                one.text("target", &tried.target);
                one.text("role", tried.role.as_str());
                one.text("reason", tried.ending.reason());
                one.millis("ms", tried.took);
            });
        }
        line.close();
        out.push(b'\n');
    }

    fn write_spend(&self, line: &mut Object<'_>) {
        if let Some((split, source)) = &self.tokens {
            line.number("tokens_in", split.input + split.cached_input);
            if split.cached_input > 0 {
                line.number("tokens_cached", split.cached_input);
            }
            line.number("tokens_out", split.output + split.reasoning);
            line.text("usage", source.as_str());
        }
        if let Some(cost) = self.cost {
            line.raw("cost_usd", &cost.to_string());
        }
    }

    /// Why the last attempt did not end well, if it did not.
    fn reason(&self) -> Option<&'static str> {
        let last = self.tried.last()?;
        (last.ending != Ending::Success).then(|| last.ending.reason())
    }

    /// One clean attempt is told by the other fields already.
    fn is_eventful(&self) -> bool {
        self.tried.len() > 1
            || self
                .tried
                .first()
                .is_some_and(|tried| tried.ending.is_diversion())
    }
}
