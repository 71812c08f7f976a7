//! What is counted for one target of one route.
//!
//! Arrays of atomics indexed by closed sets: no map, no label look-up, one shard per worker so that
//! two workers never write one cache line. A target's counters are found by name, not by address:
//! they outlive its state, because a counter that jumps back to 0 would look like a restart.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use serin_proto::metric::{Arm, BreakerState, Ending, Role, TokenSource, TokenType, family};

use super::hist::Hist;
use crate::target::gate::Gate;

pub(crate) const ARMS: usize = Arm::ALL.len();
pub(crate) const ROLES: usize = Role::ALL.len();
pub(crate) const ENDINGS: usize = Ending::ALL.len();

pub(crate) type DurationHist = Hist<{ family::UPSTREAM_DURATION.buckets.len() + 1 }>;
pub(crate) type FirstTokenHist = Hist<{ family::UPSTREAM_TTFT.buckets.len() + 1 }>;
pub(crate) type PerTokenHist = Hist<{ family::UPSTREAM_TIME_PER_OUTPUT_TOKEN.buckets.len() + 1 }>;
pub(crate) type TokensHist = Hist<{ family::OUTPUT_TOKENS.buckets.len() + 1 }>;
pub(crate) type CostHist = Hist<{ family::REQUEST_COST.buckets.len() + 1 }>;

/// What one worker counted for one target.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct TargetShard {
    pub(crate) attempts: [[[AtomicU64; ENDINGS]; ROLES]; ARMS],
    pub(crate) samples: [[AtomicU64; ENDINGS]; ARMS],
    pub(crate) retries: [AtomicU64; ENDINGS],
    pub(crate) duration: [[DurationHist; ROLES]; ARMS],
    pub(crate) first_token: [[FirstTokenHist; ROLES]; ARMS],
    pub(crate) per_token: [[PerTokenHist; ROLES]; ARMS],
    pub(crate) tokens: [[[AtomicU64; TokenSource::ALL.len()]; TokenType::ALL.len()]; ARMS],
    pub(crate) cost_nano_usd: [AtomicU64; ARMS],
    pub(crate) output_tokens: [TokensHist; ARMS],
    pub(crate) request_cost: [CostHist; ARMS],
}

/// All that is exported for one target of one route.
#[derive(Debug)]
pub(crate) struct TargetMetrics {
    pub(crate) route: Arc<str>,
    pub(crate) target: Arc<str>,
    pub(crate) shards: Box<[TargetShard]>,
    /// Which arms this target has stood for: their series exist at 0.
    pub(crate) arms: [AtomicBool; ARMS],
    /// The gate of the handle that counts here now, for the scrape.
    gate: Mutex<Gate>,
    pub(crate) breaker_transitions: [AtomicU64; BreakerState::ALL.len()],
    pub(crate) up: AtomicBool,
    /// Weight in hundredths of a percent, 0 while the gate is shut.
    pub(crate) weight: AtomicU32,
    /// Requests that this target handed on, by who took them and why. Behind a lock because a
    /// fallback is no hot path and its series appear on first use.
    pub(crate) fallbacks: Mutex<BTreeMap<(Arc<str>, usize), u64>>,
}

impl TargetMetrics {
    pub(crate) fn new(route: Arc<str>, target: Arc<str>, shards: usize) -> Self {
        Self {
            route,
            target,
            shards: (0..shards).map(|_| TargetShard::default()).collect(),
            arms: Default::default(),
            gate: Mutex::default(),
            breaker_transitions: Default::default(),
            up: AtomicBool::new(true),
            weight: AtomicU32::new(0),
            fallbacks: Mutex::default(),
        }
    }

    /// From now on `gate` is the one whose state is told.
    pub(crate) fn counted_by(&self, gate: &Gate) {
        *self.gate.lock().unwrap_or_else(PoisonError::into_inner) = gate.clone();
    }

    /// As it would meet a request now.
    pub(crate) fn breaker_state(&self, now_ms: u64) -> BreakerState {
        self.gate
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .state(now_ms)
    }

    pub(crate) fn shard(&self, worker: usize) -> Option<&TargetShard> {
        self.shards.get(worker)
    }

    pub(crate) fn handed_on(&self, to: &Arc<str>, ending: Ending) {
        let mut fallbacks = self
            .fallbacks
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *fallbacks
            .entry((Arc::clone(to), ending as usize))
            .or_default() += 1;
    }
}

impl TargetShard {
    /// Counts the end of one attempt, or of a request that was diverted before its first.
    pub(crate) fn ended(&self, arm: Arm, role: Role, ending: Ending) {
        self.attempts[arm as usize][role as usize][ending as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn took(&self, arm: Arm, role: Role, took: Duration) {
        let bounds = family::UPSTREAM_DURATION.buckets;
        self.duration[arm as usize][role as usize].observe(bounds, took.as_secs_f64(), nanos(took));
    }

    pub(crate) fn first_token_after(&self, arm: Arm, role: Role, took: Duration) {
        let bounds = family::UPSTREAM_TTFT.buckets;
        let hist = &self.first_token[arm as usize][role as usize];
        hist.observe(bounds, took.as_secs_f64(), nanos(took));
    }

    pub(crate) fn per_output_token(&self, arm: Arm, role: Role, took: Duration) {
        let bounds = family::UPSTREAM_TIME_PER_OUTPUT_TOKEN.buckets;
        let hist = &self.per_token[arm as usize][role as usize];
        hist.observe(bounds, took.as_secs_f64(), nanos(took));
    }
}

/// A duration as the parts that a histogram's sum is kept in.
pub(crate) fn nanos(took: Duration) -> u64 {
    u64::try_from(took.as_nanos()).unwrap_or(u64::MAX)
}
