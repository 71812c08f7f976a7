//! When which bytes of an answer are sent, and how it ends.
//!
//! A plan is data: bytes, and steps over them. `wire.rs` carries it out; tests read it. Times count
//! from the arrival of the request, so a late timer delays one event and not all that follow.

use std::time::Duration;

use super::ink::stamp;
use super::rendered::{Kind, Rendered};
use crate::draw::{Draws, Question};
use crate::script::Model;

/// One answer, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) status: u16,
    pub(crate) bytes: Vec<u8>,
    pub(crate) steps: Vec<Step>,
    /// Where events end, so that those sent can be counted.
    pub(crate) marks: Vec<usize>,
    /// At most so many bytes in a write, and the pause between two.
    pub(crate) trickle: Option<(usize, Duration)>,
}

/// What is done next. When none is left the answer is whole and the connection is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Not before this time since the request.
    Until(Duration),
    /// All bytes up to here are due. They need not go out before a step has to wait.
    Write(usize),
    /// What is due goes out now, by a write of its own.
    Flush,
    Stop(Stop),
}

/// How an answer stops before its end, or rests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Close,
    Reset,
    /// Open and silent until the caller leaves.
    Hold,
    /// Silent for so long, then on.
    Pause(Duration),
    /// These bytes until the caller leaves.
    Repeat {
        bytes: Vec<u8>,
        every: Duration,
    },
}

impl Plan {
    /// Nothing but an ending.
    pub(super) fn nothing(stop: Stop) -> Self {
        let steps = vec![Step::Stop(stop)];
        Self {
            status: 0,
            bytes: Vec::new(),
            steps,
            marks: Vec::new(),
            trickle: None,
        }
    }

    /// These bytes and an ending.
    pub(super) fn raw(bytes: Vec<u8>, stop: Stop) -> Self {
        let steps = vec![Step::Write(bytes.len()), Step::Stop(stop)];
        Self {
            status: 0,
            bytes,
            steps,
            marks: Vec::new(),
            trickle: None,
        }
    }

    /// The whole answer in one write, `after` the request.
    pub(super) fn whole(answer: Rendered, after: Duration, id: u64) -> Self {
        let mut steps = Vec::with_capacity(2);
        if !after.is_zero() {
            steps.push(Step::Until(after));
        }
        steps.push(Step::Write(answer.ink.bytes.len()));
        Self::of(answer, steps, id)
    }

    /// An answer paced as the model's script says, stopped where a fault says.
    pub(super) fn paced(
        answer: Rendered,
        pace: &Pace<'_>,
        stop: Option<(usize, Stop)>,
        id: u64,
    ) -> Self {
        let steps = steps(&answer, pace, stop);
        Self::of(answer, steps, id)
    }

    /// The same, and the connection closes behind it.
    pub(crate) fn then_close(mut self) -> Self {
        self.steps.push(Step::Stop(Stop::Close));
        self
    }

    fn of(answer: Rendered, steps: Vec<Step>, id: u64) -> Self {
        let mut bytes = answer.ink.bytes;
        stamp(&mut bytes, &answer.ink.ids, id);
        let marks = answer.marks.iter().map(|mark| mark.end).collect();
        Self {
            status: answer.status,
            bytes,
            steps,
            marks,
            trickle: None,
        }
    }
}

/// How fast a model speaks to one request.
pub(super) struct Pace<'a> {
    model: &'a Model,
    first_token: Duration,
}

impl<'a> Pace<'a> {
    pub(super) fn new(model: &'a Model, draws: Draws) -> Self {
        let stray = if model.jitter > 0.0 {
            1.0 + model.jitter * (2.0 * draws.unit(Question::Jitter) - 1.0)
        } else {
            1.0
        };
        Self {
            model,
            first_token: model.first_token.mul_f64(stray),
        }
    }

    /// Nothing to wait for and nothing to split: one write does it.
    pub(super) fn is_instant(&self) -> bool {
        self.first_token.is_zero()
            && self.model.tokens_per_second == 0.0
            && self.model.events_per_write == 0
    }

    fn due(&self, tokens: u32, kind: Kind) -> Duration {
        if kind == Kind::Preamble && self.model.early_head {
            return Duration::ZERO;
        }
        let rate = self.model.tokens_per_second;
        let generating = if rate > 0.0 {
            f64::from(tokens) / rate
        } else {
            0.0
        };
        // A rate of one token in an age must not overflow what a Duration holds.
        self.first_token + Duration::from_secs_f64(generating.min(1e9))
    }
}

fn steps(answer: &Rendered, pace: &Pace<'_>, stop: Option<(usize, Stop)>) -> Vec<Step> {
    let (pause, stop) = match stop {
        Some((at, Stop::Pause(lasting))) => (Some((at, lasting)), None),
        other => (None, other),
    };
    let end = stop.as_ref().map_or(answer.ink.bytes.len(), |(at, _)| *at);
    let head_due = answer
        .marks
        .first()
        .map_or(pace.first_token, |m| pace.due(m.tokens, m.kind));
    let head_due = if pace.model.early_head {
        Duration::ZERO
    } else {
        head_due
    };
    let mut steps = vec![Step::Until(head_due), Step::Write(answer.head_end.min(end))];
    let mut begin = answer.head_end;
    let mut rested = Duration::ZERO;
    for (index, mark) in answer.marks.iter().enumerate() {
        if begin >= end {
            break;
        }
        if let Some((at, lasting)) = pause
            && at == begin
        {
            rested = lasting;
        }
        steps.push(Step::Until(pace.due(mark.tokens, mark.kind) + rested));
        steps.push(Step::Write(mark.end.min(end)));
        let group = pace.model.events_per_write;
        if group > 0 && (index + 1) % group == 0 {
            steps.push(Step::Flush);
        }
        begin = mark.end;
    }
    if let Some((at, lasting)) = pause
        && at >= begin
    {
        // Behind the last event there is only the end of the body to hold back.
        let last = answer
            .marks
            .last()
            .map_or(head_due, |m| pace.due(m.tokens, m.kind));
        steps.push(Step::Until(last + lasting));
    }
    steps.push(Step::Write(end));
    steps.extend(stop.map(|(_, stop)| Step::Stop(stop)));
    steps
}
