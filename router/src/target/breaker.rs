//! May we send to this target?
//!
//!   Closed ──failures reach the limit──▶ Open ──open time over, slot taken──▶ HalfOpen
//!     ▲                                    ▲                                    │  │
//!     └───────────── probe succeeded ──────┼────────────────────────────────────┘  │
//!                                          └──────────── probe failed ─────────────┘
//!
//! Always: one transient failure never opens it, unless the limit is one. Only a probe moves it out
//! of Open or HalfOpen: stragglers of earlier attempts change nothing. Time and draws are arguments.
//! Not here: who owns it (`actor.rs`); who takes the probe's slot, one at a time (`gate.rs`); the
//! success ratio, parking and slow start.

use std::time::Duration;

use serin_proto::metric::BreakerState;

/// The longest `Retry-After` that is believed.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

/// A route's `breaker` block, as far as it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// So many hard failures in a row open it. At least 1.
    pub consecutive_failures: u32,
    /// Closed for this long (or for the last open time, if that is longer), earlier trips are
    /// forgotten.
    pub window_ms: u64,
    /// The first open time; each further trip doubles it.
    pub open_for_ms: u64,
    pub max_open_for_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Traffic flows.
    Closed { consecutive: u32 },
    /// None does. `hard_down`: our credential or credit was refused, waiting will hardly help.
    Open { until_ms: u64, hard_down: bool },
    /// A probe was let through; its verdict decides. If its caller leaves there is none, and the
    /// next request from `until_ms` on is the probe.
    HalfOpen { until_ms: u64 },
}

/// What became of an attempt, as far as the target is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Success,
    /// Transient: connection, 5xx, timeout. `retry_after` of a 503 or 529.
    HardFailure {
        retry_after: Option<Duration>,
    },
    /// 429, 408, 409, 425: says little about the target's health.
    RatioOnly,
    /// 401, 402, no credit: every further request would fail alike.
    HardDown,
    /// The caller's request was at fault; the provider answered.
    CallerFault,
    /// The caller left, or we gave up: nobody knows.
    CallerLeft,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// An attempt that was let through while closed has ended.
    Attempt(Outcome),
    /// A request has taken the probe's slot.
    ProbeBegan,
    /// That request got its answer, or failed.
    Probe(Outcome),
}

/// What changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effects {
    /// The state that was entered, if one was.
    pub moved_to: Option<BreakerState>,
    /// It went hard-down: someone must act.
    pub alarm: bool,
}

/// The state machine of one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Breaker {
    policy: Policy,
    state: State,
    /// How often it opened since it was last closed for long enough.
    trips: u32,
    last_open_for_ms: u64,
    closed_at_ms: u64,
}

impl Breaker {
    pub(crate) fn new(policy: Policy, now_ms: u64) -> Self {
        let state = State::Closed { consecutive: 0 };
        Self {
            policy,
            state,
            trips: 0,
            last_open_for_ms: 0,
            closed_at_ms: now_ms,
        }
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// A changed document; the state stays.
    pub(crate) fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// Takes one event. `draw` jitters an open time.
    pub(crate) fn after(&mut self, event: Event, now_ms: u64, draw: u64) -> Effects {
        match (event, self.state) {
            (Event::Attempt(outcome), State::Closed { consecutive }) => {
                self.attempted(outcome, consecutive, now_ms, draw)
            }
            (Event::ProbeBegan, State::Open { until_ms, .. }) => {
                self.enter(State::HalfOpen { until_ms })
            }
            // Its slot had an owner, so the verdict counts even if `ProbeBegan` was lost.
            (Event::Probe(outcome), State::HalfOpen { .. } | State::Open { .. }) => {
                self.probed(outcome, now_ms, draw)
            }
            _ => Effects::default(),
        }
    }

    fn attempted(&mut self, outcome: Outcome, before: u32, now_ms: u64, draw: u64) -> Effects {
        match outcome {
            Outcome::Success => self.state = State::Closed { consecutive: 0 },
            Outcome::HardFailure { retry_after } => {
                let consecutive = before.saturating_add(1);
                self.state = State::Closed { consecutive };
                if consecutive >= self.policy.consecutive_failures {
                    return self.open(retry_after, now_ms, draw);
                }
            }
            Outcome::HardDown => return self.go_hard_down(now_ms),
            Outcome::RatioOnly | Outcome::CallerFault | Outcome::CallerLeft => {}
        }
        Effects::default()
    }

    fn probed(&mut self, outcome: Outcome, now_ms: u64, draw: u64) -> Effects {
        match outcome {
            Outcome::Success | Outcome::CallerFault => {
                self.closed_at_ms = now_ms;
                self.enter(State::Closed { consecutive: 0 })
            }
            Outcome::HardFailure { retry_after } => self.open(retry_after, now_ms, draw),
            Outcome::RatioOnly => self.open(None, now_ms, draw),
            Outcome::HardDown => self.go_hard_down(now_ms),
            // No verdict. The slot is free again, and the next request may take it.
            Outcome::CallerLeft => Effects::default(),
        }
    }

    fn open(&mut self, retry_after: Option<Duration>, now_ms: u64, draw: u64) -> Effects {
        self.count_trip(now_ms);
        let doublings = (self.trips - 1).min(32);
        let max_ms = self.policy.max_open_for_ms;
        let time_ms = self
            .policy
            .open_for_ms
            .saturating_mul(1 << doublings)
            .min(max_ms);
        // Half to one and a half times, so that routers do not all probe at once.
        let jittered_ms = (time_ms.saturating_mul(500 + draw % 1001) / 1000).min(max_ms);
        let asked_ms = retry_after
            .unwrap_or_default()
            .min(RETRY_AFTER_MAX)
            .as_millis();
        let open_for_ms = jittered_ms.max(u64::try_from(asked_ms).unwrap_or(u64::MAX));
        self.enter_open(open_for_ms, false, now_ms)
    }

    fn go_hard_down(&mut self, now_ms: u64) -> Effects {
        self.count_trip(now_ms);
        let effects = self.enter_open(self.policy.max_open_for_ms, true, now_ms);
        Effects {
            alarm: true,
            ..effects
        }
    }

    /// Counts from one again if it has been closed for long enough since.
    fn count_trip(&mut self, now_ms: u64) {
        let is_closed = matches!(self.state, State::Closed { .. });
        let enough_ms = self.policy.window_ms.max(self.last_open_for_ms);
        if is_closed && now_ms.saturating_sub(self.closed_at_ms) >= enough_ms {
            self.trips = 0;
        }
        self.trips = self.trips.saturating_add(1);
    }

    fn enter_open(&mut self, open_for_ms: u64, hard_down: bool, now_ms: u64) -> Effects {
        self.last_open_for_ms = open_for_ms;
        self.enter(State::Open {
            until_ms: now_ms.saturating_add(open_for_ms),
            hard_down,
        })
    }

    fn enter(&mut self, state: State) -> Effects {
        self.state = state;
        let entered = match state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        };
        Effects {
            moved_to: Some(entered),
            alarm: false,
        }
    }
}

#[cfg(test)]
mod tests;
