//! The control plane by REST: `/api/v1`, and the probes beside it.
//!
//! ```text
//!   server ─▶ who? ─▶ endpoint::find ─▶ may they? ─▶ a handler ─▶ change / read ─▶ answer
//!              401      404 405           403         400 413 415     the rest        │
//!                                                                        problem ◀────┘
//! ```
//! A handler reads what was sent, asks one function of `change` or `read` and tells what came of
//! it; it decides nothing. Which URLs there are, and who may ask for them, is one table in
//! [`endpoint`]; the OpenAPI document is made of it.

mod answer;
mod audit;
mod body;
mod bulk;
mod call;
mod documents;
mod endpoint;
mod openapi;
mod precondition;
mod probe;
mod problem;
mod query;
mod rollouts;
mod routers;
mod server;
mod watch;

pub(crate) use server::start;
