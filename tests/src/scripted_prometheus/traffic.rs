//! What callers and targets of a made-up route do, request by request.
//!
//! A request is drawn from a seeded sequence: its arm by the route's live share, its router, its
//! ending, how long it takes. It counts when it ends, as in a router, so quick failures come before
//! slow answers.

use std::collections::BTreeMap;

use serin_proto::metric::Ending;

/// A failure that costs no time.
const AT_ONCE_MS: f64 = 5.0;
/// Of an answer's time, until its first content.
const FIRST_CONTENT: f64 = 0.2;
/// Claims of one affinity value last so long (`serin_analysis_samples_total`).
pub(super) const CLAIM_MS: u64 = 10_000;

/// The traffic of one route.
#[derive(Clone, Debug)]
pub struct Traffic {
    pub per_second: f64,
    pub stable: Side,
    pub canary: Side,
    /// False: whoever is assigned to the canary does not come.
    pub canary_comes: bool,
    /// Whether durations, first contents, tokens and cost are exposed.
    pub histograms: bool,
    pub seed: u64,
}

/// How the targets of one arm answer. Parts are 0..1.
#[derive(Clone, Copy, Debug)]
pub struct Side {
    /// Part of the requests that fail.
    pub errors: f64,
    /// How they fail; a time-out takes as long as an answer, others no time.
    pub ending: Ending,
    /// Part that is refused for the caller's own fault.
    pub rejected: f64,
    /// Part of the callers who leave after `patience_ms`.
    pub leaves: f64,
    pub patience_ms: f64,
    pub answer_ms: f64,
    /// Part of the answers that take ten times as long.
    pub slow: f64,
    pub tokens: f64,
    pub usd: f64,
}

impl Side {
    /// One answer in a hundred fails, the others take 300 ms.
    pub const fn healthy() -> Self {
        Self {
            errors: 0.01,
            ending: Ending::Http5xx,
            rejected: 0.0,
            leaves: 0.0,
            patience_ms: 1_000.0,
            answer_ms: 300.0,
            slow: 0.02,
            tokens: 200.0,
            usd: 0.004,
        }
    }

    /// The same with another part of failures.
    #[must_use]
    pub const fn failing(errors: f64) -> Self {
        Self {
            errors,
            ..Self::healthy()
        }
    }
}

impl Traffic {
    /// Both arms healthy.
    pub fn healthy(per_second: f64) -> Self {
        Self {
            per_second,
            stable: Side::healthy(),
            canary: Side::healthy(),
            canary_comes: true,
            histograms: false,
            seed: 1,
        }
    }
}

/// How one request went.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gone {
    pub(super) ending: Ending,
    pub(super) took_ms: f64,
    pub(super) first_ms: f64,
    pub(super) tokens: f64,
    pub(super) usd: f64,
}

/// A seeded sequence of numbers (splitmix64).
#[derive(Clone, Debug)]
pub(super) struct Draws(u64);

impl Draws {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 0..1
    pub(super) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(super) fn below(&mut self, part: f64) -> bool {
        self.next() < part
    }
}

impl Side {
    pub(super) fn serve(&self, draws: &mut Draws) -> Gone {
        let spread = |mean: f64, draws: &mut Draws| mean * (0.5 + draws.next());
        let mut took_ms = spread(self.answer_ms, draws);
        if draws.below(self.slow) {
            took_ms *= 10.0;
        }
        let mut gone = Gone {
            ending: Ending::Success,
            took_ms,
            first_ms: took_ms * FIRST_CONTENT,
            tokens: spread(self.tokens, draws).round(),
            usd: spread(self.usd, draws),
        };
        if draws.below(self.leaves) {
            (gone.ending, gone.took_ms) = (Ending::ClientGone, self.patience_ms);
        } else if draws.below(self.rejected) {
            (gone.ending, gone.took_ms) = (Ending::Http4xx, AT_ONCE_MS);
        } else if draws.below(self.errors) {
            gone.ending = self.ending;
            if !is_timeout(self.ending) {
                gone.took_ms = AT_ONCE_MS;
            }
        }
        gone
    }
}

pub(super) fn is_timeout(ending: Ending) -> bool {
    ending.reason().starts_with("timeout_")
}

/// One affinity value after another that fails as fast as it can: samples are capped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Burst {
    pub(super) keys: u64,
    pub(super) next_ms: u64,
    pub(super) until_ms: u64,
}

/// The live traffic of a route, as the store has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Live {
    /// Percent by target.
    pub weights: BTreeMap<String, f64>,
    pub canary: Option<String>,
}

impl Live {
    /// The canary's share, 0..1.
    pub fn share(&self) -> f64 {
        let canary = self.canary.as_ref();
        let weight = canary.and_then(|canary| self.weights.get(canary));
        weight.copied().unwrap_or(0.0) / 100.0
    }

    /// Who gets a request: `true` for the canary.
    pub(super) fn assign(&self, draws: &mut Draws) -> Option<(&str, bool)> {
        if let Some(canary) = &self.canary
            && draws.below(self.share())
        {
            return Some((canary, true));
        }
        let is_canary = |name: &String| self.canary.as_ref() == Some(name);
        let others = self.weights.iter().filter(|(name, _)| !is_canary(name));
        let all: f64 = others.clone().map(|(_, weight)| weight).sum();
        let mut at = draws.next() * all;
        for (name, weight) in others {
            at -= weight;
            if at < 0.0 {
                return Some((name, false));
            }
        }
        None
    }
}
