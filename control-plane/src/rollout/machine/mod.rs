//! A state and an event → the next state, and what is done about it. Pure.
//!
//! ```text
//!  Pending ─▶ WaitingRollout ─▶ Preflight ─▶ Progressing ─▶ WaitingPromotion ─▶ Promoting ─▶ Baking ─▶ Succeeded
//!                                             │  ▲ Applying → Warming → Analysing → Gated, per share
//!                                             ▼  │
//!                                            Paused (the running phase goes on inside it, nothing rises)
//!    any of them ─▶ Failed (harm, a guard) · Aborted (somebody) · Superseded (another rollout)
//! ```
//! Always: at most one transition per event; a share rises by itself only after a `pass` of its own
//! exposure; `fail` is never taken back; a terminal state changes by verbs alone.
//! Not here: who reads, commits, asks and tells.

mod analyst;
mod exposure;
mod hook;
mod legal;
mod look;
mod moves;
mod pause;
mod replan;
mod run;
mod size;
mod start;
mod tell;
mod tick;
mod verb;
mod wanted;

pub use exposure::stand;
pub use legal::{gates, legal};
pub use run::step;
pub use start::{Begin, Refused, Start, begin};
pub use tell::{flagger_word, standing};
pub use wanted::{Wanted, queries, wanted};

pub(super) use analyst::{Analyst, Statistics};
pub(super) use exposure::deadline_ms;
pub(super) use moves::wall;
pub(super) use run::step_by;
#[cfg(test)]
pub(super) use start::begin_by;

#[cfg(test)]
pub(super) mod tests;
