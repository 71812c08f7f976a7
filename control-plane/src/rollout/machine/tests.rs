//! The machine by stories and tables, with a script in place of the statistics, and by a model.

mod clocks;
mod draws;
pub(in crate::rollout) mod drive;
mod endings;
mod hooks;
mod invariants;
mod model;
mod plans;
mod preflight;
mod size;
pub(in crate::rollout) mod source;
mod stale;
mod transitions;
mod verbs;
