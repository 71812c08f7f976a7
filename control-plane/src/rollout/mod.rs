//! Moving a route's share from its stable targets to a candidate, and back if it is worse.

pub mod canonical;
pub mod event;
pub mod machine;
pub mod plan;
pub mod record;
pub mod state;
pub mod traffic;
pub mod verify;

mod alert;
mod asking;
pub(crate) mod commit;
mod compared;
pub(crate) mod definition;
pub(crate) mod explained;
pub(crate) mod next;
pub(crate) mod outbox;
pub(crate) mod room;
mod runner;
pub(crate) mod show;
pub(crate) mod supervisor;
#[cfg(test)]
mod tests;
pub(crate) mod view;
mod webhook;
