//! Promises of the control plane's REST, each on a control plane of its own over a store in memory.

mod client;
mod stage;
mod wait;

mod apply;
mod audit;
mod documents;
mod openapi;
mod refusals;
mod roles;
mod rollouts;
mod traffic;
mod watch;
