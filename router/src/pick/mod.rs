//! Which target gets a request, and which comes next if it cannot answer.
//!
//! `affinity`: what keeps a caller with one target. `assign`: the target and arm a request is
//! charged to, decided from documents alone, blind to health. `exposure`: whether a canary may get new
//! requests. `plan`: the order of attempts.
//!
//! Always: what yields to health is the *served* target, never the *assigned* one; otherwise an
//! open breaker would hide a bad canary.

mod affinity;
mod assign;
mod exposure;
mod plan;

pub(crate) use affinity::{Affinity, Place, Rule, find};
pub(crate) use assign::{Assigned, Split};
pub(crate) use exposure::Lease;
pub(crate) use plan::{Fallback, Plan};
