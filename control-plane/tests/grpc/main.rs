//! Promises of the control plane's gRPC, each on a control plane of its own over a store in memory.

mod changes;
mod documents;
mod operate;
mod refusals;
mod rollouts;
mod services;
mod stage;
mod wait;
