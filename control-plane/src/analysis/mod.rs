//! Is the canary worse? Counts of two arms, read window by window, and a test that may be looked at
//! on every one of them.
//!
//! ```text
//!   reader ─ increments ─▶ measure ─ Measured ─▶ judge ─▶ Verdict
//!   (Prometheus,                        │           │ evidence: Analysis, kept in the state
//!    or the router's own /metrics)      └─ kept in the history: every verdict can be recomputed
//! ```
//! A verdict is `pass`, `inconclusive`, `error` or `fail`. Silence is none of them: no data is
//! `inconclusive`, a source that cannot be asked is `error`, and both hold.

pub mod cause;
pub mod certificate;
#[cfg(test)]
pub(crate) mod chance;
pub mod check;
pub mod evidence;
pub mod explain;
pub mod guard;
pub mod increase;
pub mod judge;
pub mod mean;
pub mod measure;
pub mod planner;
pub mod probability;
pub mod query;
pub mod raw;
pub mod reader;
pub mod sample;
pub mod sequential;
pub mod series;
pub mod tally;
pub mod tempering;
pub mod verdict;
pub mod want;
pub mod why;
pub mod wording;
