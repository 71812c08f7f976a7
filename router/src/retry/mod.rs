//! Is another attempt right, and when?
//!
//! `classify`: what a failure allows. `decide`: what to do now, given what is left. `after`: how
//! long the provider asked us to wait. `backoff`, `budget`: how long and how often at the same
//! target. `exhausted`: what the caller is told when nobody answered.
//!
//! Always: nothing here knows of a committed answer. After the first content nobody asks.
//! Not here: which target is next (`pick/plan.rs`).

mod after;
mod backoff;
mod budget;
mod classify;
mod decide;
mod exhausted;

pub(crate) use after::retry_after;
pub(crate) use budget::Budget;
pub(crate) use classify::after;
pub(crate) use decide::{Decision, Left, Policy, Tried, decide};
pub(crate) use exhausted::{Exhausted, Failed, exhausted};
