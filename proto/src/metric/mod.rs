//! Metric names, labels, closed label sets, buckets: the router writes them, analysis reads them,
//! dashboards draw them.
//!
//! A metric is a value ([`Metric`]), so that a test can hold a live `/metrics` against the list
//! ([`family::ALL`], [`control_plane::ALL`]). Labels are names from configuration or closed sets, never what a caller sent.
//! What is not built yet is not listed yet.

pub mod control_plane;
pub mod family;
mod label;
mod process;

pub use label::{Arm, BreakerState, Ending, Operation, Phase, Role, TokenSource, TokenType};
pub use process::{ActorKind, Applied, OverheadPhase, PanicPlace};

/// Label `route` of a request whose route is not known.
pub const UNMATCHED_ROUTE: &str = "_unmatched";

/// What one family of series is called and looks like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// As exposed; counters end in `_total`.
    pub name: &'static str,
    /// One line, for people.
    pub help: &'static str,
    pub kind: Kind,
    /// In the order they are exposed; `le` of histograms not among them.
    pub labels: &'static [&'static str],
    /// Upper bounds of a histogram, rising, without `+Inf`; empty for other kinds.
    pub buckets: &'static [f64],
}

/// What a series counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    /// The word of the `# TYPE` line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

#[cfg(test)]
mod tests;
