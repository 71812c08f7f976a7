//! What we remember of a request.
//!
//! A [`Record`] is begun before anything else is looked at and sealed in `Drop`, so every exit —
//! answer, refusal, cut stream, caller gone, panic — is counted once and logged once. It owns all
//! that must be given back: the place at the target, the probe's slot, the attempt that is running.
//! It moves from the handler into the answer's body and ends with it.
//!
//! Always: role `first` is counted exactly once for a request that was assigned a target, charged
//! to that target, whoever rescued the caller.

mod attempt;
pub(crate) mod cost;
mod id;
mod json;
mod line;
pub(crate) mod metrics;
pub(crate) mod recorder;
pub(crate) mod sample;

use std::{
    net::SocketAddr,
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use serin_proto::{
    metric::{Arm, Ending, Operation, OverheadPhase, PanicPlace, Phase, Role, TokenSource},
    unit::NanoUsd,
};

pub(crate) use attempt::Running;
pub(crate) use id::RequestId;
pub(crate) use line::Line;

use crate::{
    auth::Caller,
    clock,
    pick::{Affinity, Assigned},
    provider::{failure::Failure, usage::Usage},
    record::metrics::RouteMetrics,
    route::Route,
    snapshot::Edition,
    worker::Worker,
};

/// Where the answer stands when a record is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// Nothing has gone out: sealed like this, the caller left before the head.
    Open,
    /// The head is out and the body is not whole: sealed like this, the caller left in the stream.
    Flowing,
    /// The last byte was handed over, or the answer was one of our own.
    Complete,
    /// We broke the body off after the head.
    Cut,
}

/// How a request ended for its caller (`outcome` of the access line).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ok,
    Error,
    Cut,
    ClientGone,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Cut => "cut",
            Self::ClientGone => "client_gone",
        }
    }
}

/// One attempt, or a diversion before one, for the access line.
#[derive(Clone, Debug)]
pub(crate) struct Tried {
    pub(crate) target: Arc<str>,
    pub(crate) role: Role,
    pub(crate) ending: Ending,
    pub(crate) took: Duration,
}

/// Tokens of an answer, and who counted them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted {
    pub(crate) usage: Usage,
    pub(crate) source: TokenSource,
}

/// What the caller's head told about the caller.
#[derive(Debug, Default)]
pub(crate) struct Peer {
    pub(crate) address: Option<SocketAddr>,
    pub(crate) user_agent: Option<Box<str>>,
}

/// Everything known of one request so far.
pub(crate) struct Record {
    pub(crate) worker: Rc<Worker>,
    pub(crate) id: RequestId,
    pub(crate) started: Instant,
    pub(crate) operation: Operation,
    pub(crate) stream: bool,
    pub(crate) peer: Peer,
    pub(crate) caller: Option<Arc<Caller>>,
    pub(crate) route: Option<Arc<Route>>,
    /// Which snapshot this request was routed by.
    pub(crate) edition: Option<Edition>,
    pub(crate) assigned: Option<Assigned>,
    /// Role `first` is still to be counted.
    first_open: bool,
    /// Role `first` counts as a sample of the analysis too.
    is_sample: bool,
    pub(crate) running: Option<Running>,
    /// Attempts begun; diversions are none.
    pub(crate) attempts: u32,
    /// The target that answers, once one does.
    pub(crate) served: Option<usize>,
    pub(crate) tried: Vec<Tried>,
    answer: Answer,
    status: u16,
    code: Option<&'static str>,
    /// What we are doing: where a caller that leaves now was.
    pub(crate) phase: Phase,
    /// Time spent waiting for the caller's body: not ours.
    pub(crate) waited_for_body: Duration,
    overhead: Duration,
    first_token_after: Option<Duration>,
    pub(crate) counted: Option<Counted>,
    pub(crate) cost: Option<NanoUsd>,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) chunks: u64,
    in_flight: Option<InFlight>,
}

impl Record {
    /// Begins the record of a request whose head was just read.
    pub(crate) fn begin(worker: &Rc<Worker>, operation: Operation, peer: Peer) -> Self {
        Self {
            worker: Rc::clone(worker),
            id: worker.next_id(),
            started: clock::now(),
            operation,
            stream: false,
            peer,
            caller: None,
            route: None,
            edition: None,
            assigned: None,
            first_open: false,
            is_sample: false,
            running: None,
            attempts: 0,
            served: None,
            tried: Vec::new(),
            answer: Answer::Open,
            status: 0,
            code: None,
            phase: Phase::Upload,
            waited_for_body: Duration::ZERO,
            overhead: Duration::ZERO,
            first_token_after: None,
            counted: None,
            cost: None,
            bytes_in: 0,
            bytes_out: 0,
            chunks: 0,
            in_flight: None,
        }
    }

    /// The request has a route: from here on it counts there.
    pub(crate) fn routed(&mut self, route: &Arc<Route>) {
        let metrics = Arc::clone(&route.metrics);
        self.in_flight = Some(InFlight::new(metrics, self.worker.index, self.stream));
        self.route = Some(Arc::clone(route));
    }

    /// The request has an arm and a target that it is charged to, whatever happens next.
    pub(crate) fn assigned(&mut self, assigned: Assigned, affinity: &Affinity<'_>) {
        self.assigned = Some(assigned);
        self.first_open = true;
        self.phase = Phase::Head;
        let seed = self.route.as_ref().map_or(0, |route| route.seed);
        let now_ms = clock::since_start_ms(self.started);
        let claims = &self.worker.shared.claims;
        self.is_sample = claims.claim(seed, assigned.arm, affinity, now_ms);
    }

    /// The body is here and says whether a stream is wanted.
    pub(crate) fn read(&mut self, stream: bool) {
        self.stream = stream;
        self.phase = Phase::Head;
    }

    /// The provider's head is here, its first content is not.
    pub(crate) fn waiting_for_content(&mut self) {
        self.phase = Phase::FirstToken;
    }

    /// The same target is tried again after a pause.
    pub(crate) fn backing_off(&mut self, target: usize, failure: &Failure) {
        self.phase = Phase::Backoff;
        if let Some(shard) = self.shard(target) {
            shard.retries[failure.ending() as usize].fetch_add(1, Relaxed);
        }
    }

    /// Our head is written; `began`: when the first content was here.
    pub(crate) fn head_written(&self, began: Instant) {
        self.worker
            .process()
            .added(OverheadPhase::Head, clock::now().duration_since(began));
    }

    /// The arm this request was assigned to; `stable` before it was.
    pub(crate) fn arm(&self) -> Arm {
        self.assigned.map_or(Arm::Stable, |assigned| assigned.arm)
    }

    /// An answer that is whole already: one of our own, or a provider's that we held to its end.
    pub(crate) fn answered(&mut self, status: u16, code: Option<&'static str>) {
        self.status = status;
        self.code = code;
        self.answer = Answer::Complete;
    }

    /// The head is about to go out; the body follows piece by piece.
    pub(crate) fn flowing(&mut self, status: u16) {
        self.status = status;
        self.phase = Phase::Stream;
        self.answer = Answer::Flowing;
    }

    /// The last byte of a flowing body was handed over.
    pub(crate) fn completed(&mut self) {
        self.answer = Answer::Complete;
    }

    /// The body is broken off: it counts as the status its error event stands for.
    pub(crate) fn cut(&mut self, status: u16, code: &'static str) {
        self.status = status;
        self.code = Some(code);
        self.answer = Answer::Cut;
    }

    /// The first attempt is handed to the HTTP client: what has passed so far was our own time.
    pub(crate) fn handed_over(&mut self, now: Instant) {
        if self.attempts == 1 {
            self.overhead = now
                .duration_since(self.started)
                .saturating_sub(self.waited_for_body);
            self.worker
                .process()
                .added(OverheadPhase::Request, self.overhead);
        }
    }

    fn outcome(&self) -> Outcome {
        match self.answer {
            Answer::Open | Answer::Flowing => Outcome::ClientGone,
            Answer::Cut => Outcome::Cut,
            Answer::Complete if self.status < 400 => Outcome::Ok,
            Answer::Complete => Outcome::Error,
        }
    }

    fn seal(&mut self) {
        let now = clock::now();
        if std::thread::panicking() {
            self.worker.metrics.process.panicked(PanicPlace::Handler);
        }
        if matches!(self.answer, Answer::Open | Answer::Flowing) {
            self.caller_left(now);
        }
        let took = now.duration_since(self.started);
        let route = self
            .route
            .as_ref()
            .map_or(&self.worker.metrics.unmatched, |r| &r.metrics);
        let what = (self.operation, self.stream);
        route.answered(self.worker.index, what, self.status, took);
        self.in_flight = None;
        let line = Line::of(self, now);
        self.worker.record(line);
    }

    fn caller_left(&mut self, now: Instant) {
        if self.answer == Answer::Open {
            self.status = 499;
        }
        let route = self
            .route
            .as_ref()
            .map_or(&self.worker.metrics.unmatched, |r| &r.metrics);
        if let Some(shard) = route.shard(self.worker.index) {
            shard.disconnects[self.phase as usize].fetch_add(1, Relaxed);
        }
        if self.running.is_some() {
            let counted = self.counted.unwrap_or_else(|| self.estimate(0));
            self.counted = Some(counted);
            self.attempt_ended(Ending::ClientGone, now);
        }
        self.count_first(Ending::ClientGone);
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.seal();
    }
}

/// One request in the gauges of its route.
struct InFlight {
    route: Arc<RouteMetrics>,
    worker: usize,
    stream: bool,
}

impl InFlight {
    fn new(route: Arc<RouteMetrics>, worker: usize, stream: bool) -> Self {
        let guard = Self {
            route,
            worker,
            stream,
        };
        guard.add(1);
        guard
    }

    fn add(&self, change: i64) {
        if let Some(shard) = self.route.shard(self.worker) {
            shard.in_flight.fetch_add(change, Relaxed);
            if self.stream {
                shard.streams_in_flight.fetch_add(change, Relaxed);
            }
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.add(-1);
    }
}
