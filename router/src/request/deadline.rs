//! How long may this still take, and what has failed if it takes longer?
//!
//!   head ──────────────────────── total: all attempts, to the last byte ───────────────────────▶
//!          attempt ── first token (streams, to the commit) ──▶
//!          attempt ── answer (unstreamed, to the last byte) ─────────────▶
//!                        provider byte ── idle ──▶ next provider byte
//!
//! Always: one deadline over everything; no attempt gets more than is left of it. Times are
//! milliseconds of one monotonic clock.
//! Not here: the timer. It is set to `Watch::next`, and when it fires asks `Watch::expired`;
//! progress only moves the numbers, it never re-arms a timer.

use std::time::Duration;

use crate::provider::failure::Failure;

/// A route's limits, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub first_token_ms: u64,
    pub idle_ms: u64,
    pub answer_ms: u64,
    pub total_ms: u64,
}

/// The time budget of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadline {
    limits: Limits,
    total_at_ms: u64,
}

/// The time limits of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Watch {
    deadline: Deadline,
    started_at_ms: u64,
    stream: bool,
    committed: bool,
    /// When the provider last sent something (for JSON its head counts); `None`: nothing yet.
    progress_at_ms: Option<u64>,
}

impl Deadline {
    /// Starts with the request's head.
    pub(crate) fn new(limits: Limits, head_at_ms: u64) -> Self {
        Self {
            limits,
            total_at_ms: head_at_ms.saturating_add(limits.total_ms),
        }
    }

    /// What is left for everything.
    pub(crate) fn left(&self, now_ms: u64) -> Duration {
        Duration::from_millis(self.total_at_ms.saturating_sub(now_ms))
    }

    /// Begins an attempt.
    pub(crate) fn attempt(&self, now_ms: u64, stream: bool) -> Watch {
        Watch {
            deadline: *self,
            started_at_ms: now_ms,
            stream,
            committed: false,
            progress_at_ms: None,
        }
    }
}

impl Watch {
    /// The provider sent something: bytes of a stream, or the head or bytes of a JSON answer.
    pub(crate) fn progressed(&mut self, now_ms: u64) {
        self.progress_at_ms = Some(now_ms);
    }

    /// The first content was handed on.
    pub(crate) fn committed(&mut self) {
        self.committed = true;
    }

    /// The limit that ends first as things stand: when, and as what.
    pub(crate) fn next(&self) -> (u64, Failure) {
        let limits = &self.deadline.limits;
        let mut nearest = (self.deadline.total_at_ms, Failure::TimeoutTotal);
        let mut consider = |from: Option<u64>, limit: u64, failure: Failure| {
            // Not `<=`: where limits coincide it is the deadline that has passed.
            if let Some(at) = from
                .map(|from| from.saturating_add(limit))
                .filter(|at| *at < nearest.0)
            {
                nearest = (at, failure);
            }
        };
        let started = Some(self.started_at_ms);
        if !self.stream {
            consider(started, limits.answer_ms, Failure::TimeoutAnswer);
        } else if !self.committed {
            consider(started, limits.first_token_ms, Failure::TimeoutFirstToken);
        }
        consider(self.progress_at_ms, limits.idle_ms, Failure::TimeoutIdle);
        nearest
    }

    /// What has failed by now, if anything: the limit that ended first.
    pub(crate) fn expired(&self, now_ms: u64) -> Option<Failure> {
        let (at, failure) = self.next();
        (at <= now_ms).then_some(failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        first_token_ms: 30_000,
        idle_ms: 60_000,
        answer_ms: 300_000,
        total_ms: 600_000,
    };

    /// An attempt that starts at `started`, with the last provider byte at `progress`.
    fn watch(started: u64, stream: bool, progress: Option<u64>, committed: bool) -> Watch {
        let mut watch = Deadline::new(LIMITS, 0).attempt(started, stream);
        if let Some(at) = progress {
            watch.progressed(at);
        }
        if committed {
            watch.committed();
        }
        watch
    }

    #[rustfmt::skip]
    #[test]
    fn the_nearest_limit_counts() {
        let table = [
            // started stream  progress        committed  next
            (0,       true,   None,           false,     (30_000, Failure::TimeoutFirstToken)),
            (0,       true,   Some(10_000),   false,     (30_000, Failure::TimeoutFirstToken)),
            (0,       true,   Some(10_000),   true,      (70_000, Failure::TimeoutIdle)),
            (100_000, true,   None,           false,     (130_000, Failure::TimeoutFirstToken)),
            (0,       false,  None,           false,     (300_000, Failure::TimeoutAnswer)),
            (0,       false,  Some(10_000),   false,     (70_000, Failure::TimeoutIdle)),
            (0,       false,  Some(290_000),  true,      (300_000, Failure::TimeoutAnswer)),
            (580_000, true,   None,           false,     (600_000, Failure::TimeoutTotal)),
            (570_000, true,   None,           false,     (600_000, Failure::TimeoutTotal)),   // coincide
            (569_999, true,   None,           false,     (599_999, Failure::TimeoutFirstToken)),
            (0,       true,   Some(599_000),  true,      (600_000, Failure::TimeoutTotal)),
        ];
        for (started, stream, progress, committed, next) in table {
            let watch = watch(started, stream, progress, committed);
            assert_eq!(watch.next(), next, "{watch:?}");
            assert_eq!(watch.expired(next.0 - 1), None);
            assert_eq!(watch.expired(next.0), Some(next.1));
        }
    }

    #[test]
    fn attempts_share_one_deadline() {
        let deadline = Deadline::new(LIMITS, 1_000);
        assert_eq!(deadline.left(1_000), Duration::from_secs(600));
        assert_eq!(deadline.left(600_999), Duration::from_millis(1));
        assert_eq!(deadline.left(700_000), Duration::ZERO);
        let late = deadline.attempt(600_990, true);
        assert_eq!(late.next(), (601_000, Failure::TimeoutTotal));
    }
}
