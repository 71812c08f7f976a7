//! What was counted, never a bare rate: the counts of one window, arm by arm.
//!
//! A reader counts increments of series ([`super::reader`]); `measure.rs` reduces them to a
//! [`Measured`], which holds all that a verdict needs and nothing else. It is kept in the history of
//! its rollout, so that every verdict can be recomputed. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Time of the metrics source since 1970, in milliseconds. Its clock rules over windows.
pub type Millis = u64;

/// Events among samples: `e` of `n`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[u64; 2]", into = "[u64; 2]")]
pub struct Counts {
    pub n: u64,
    /// At most `n`.
    pub e: u64,
}

impl From<[u64; 2]> for Counts {
    fn from([n, e]: [u64; 2]) -> Self {
        Self { n, e: e.min(n) }
    }
}

impl From<Counts> for [u64; 2] {
    fn from(counts: Counts) -> Self {
        [counts.n, counts.e]
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.n += other.n;
        self.e += other.e;
    }
}

/// The same of both arms. `stable` is the concurrent control: all other targets together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arms<T> {
    #[serde(rename = "c")]
    pub canary: T,
    #[serde(rename = "s")]
    pub stable: T,
}

/// Counts of both arms in one tumbling window.
pub type Window = Arms<Counts>;

/// Enough of a distribution for a mean and an upper bound of its variance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    pub n: u64,
    pub sum: f64,
    /// Sum of squares, each value taken at the edge of its bucket that is farther from the mean:
    /// never too small.
    pub squares: f64,
}

/// What a custom query answered at the end of a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answered {
    Value(f64),
    /// No series, or NaN: no word for or against.
    Nothing,
    /// Infinity, several series, warnings, an error of the source, too late.
    Error(String),
}

/// Why a window says nothing that could be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    Connect,
    Timeout,
    Http,
    Parse,
    /// No series where there must be one.
    Empty,
    Nan,
    /// The newest sample is too old.
    Stale,
    /// A live router is missing.
    Partial,
    /// The same series twice, told apart by an outer label only.
    Ambiguous,
}

impl Trouble {
    pub const ALL: [Self; 9] = [
        Self::Connect,
        Self::Timeout,
        Self::Http,
        Self::Parse,
        Self::Empty,
        Self::Nan,
        Self::Stale,
        Self::Partial,
        Self::Ambiguous,
    ];

    /// The label `reason` of `serin_cp_metrics_query_errors_total`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Http => "http",
            Self::Parse => "parse",
            Self::Empty => "empty",
            Self::Nan => "nan",
            Self::Stale => "stale",
            Self::Partial => "partial",
            Self::Ambiguous => "ambiguous",
        }
    }
}

/// A window that cannot be trusted, in words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{}: {why}", .trouble.as_str())]
pub struct Untold {
    pub trouble: Trouble,
    pub why: String,
}

/// What the guards look at: gauges at the end of a window. They come even where counts cannot be
/// trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Gauges {
    /// Routers whose newest samples are fresh.
    pub fresh: u32,
    /// Those of them whose breaker for the candidate is open.
    pub breaker_open: u32,
    /// Those of them that say the candidate is down.
    pub target_down: u32,
    /// Live routers by their leases, fresh or not.
    pub live: u32,
}

impl Gauges {
    /// Routers of which a part is asked for: one that is silent is still one.
    #[must_use]
    pub fn routers(self) -> u32 {
        self.live.max(self.fresh)
    }
}

/// The window `(from, to]`, reduced to what is judged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Measured {
    pub from: Millis,
    pub to: Millis,
    /// By metric of the plan, one per bound (ratios have one). Metrics of the plan alone, but for
    /// [`ERRORS`] and [`REJECTIONS`], which guards and sample sizes need and are always there.
    pub counts: BTreeMap<String, Vec<Window>>,
    /// Metrics that are judged by their mean.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub means: BTreeMap<String, Arms<Moments>>,
    /// Custom queries that were due.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub queries: BTreeMap<String, Answered>,
    /// Attempts of role first that ended, whatever their end.
    pub ended: Arms<u64>,
    /// Errors of the stable arm, router by router in the order of their names: how clustered they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stable_by_router: Vec<(String, Counts)>,
    pub gauges: Gauges,
    /// Something was read but a router is missing, or the like: the counts are consumed, the verdict
    /// is an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub untold: Option<Untold>,
}

/// The metric that sample sizes, fail-fast, common cause and sample ratio look at.
pub const ERRORS: &str = "errors";
/// The other part of what fail-fast looks at.
pub const REJECTIONS: &str = "rejections";

/// What is read once when an exposure begins (T6): fixed until the next one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Opening {
    /// The source's time after the last acknowledgement: where the exposure begins.
    pub now: Millis,
    /// For each metric judged by exceedance, one bucket bound per quantile or limit, in the
    /// histogram's unit.
    pub bounds: BTreeMap<String, Vec<f64>>,
    /// The bucket bound of the stable arm's p99 of whole attempts in the last ten minutes; `None`:
    /// there were none.
    pub stable_p99_ms: Option<u64>,
    /// Stable counts of the hour before, by metric, one per bound: seeds the smoothed stable rate.
    pub baseline: BTreeMap<String, Vec<Counts>>,
}
