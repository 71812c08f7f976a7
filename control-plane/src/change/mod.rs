//! Every accepted change: who, why, what, resting on which revisions → one transaction.
//!
//! ```text
//!   role ─▶ body read ─▶ entry (linearizable) ─▶ precondition ─▶ whole result judged ─▶ dry run ends here
//!                          ▲                                          │
//!                          │ a guard failed: the view catches up      ▼
//!                          └────────── at most 5 times ◀──── one txn: guards + change + audit/<ulid>
//! ```
//! REST, gRPC and the file of `serin up` come here; there is no other way to write. What a change
//! rests on is guarded, so a view that is behind can refuse nothing and break nothing: it is asked
//! to catch up and the change is judged again. Begun work is finished though nobody waits for it.

mod adopt;
mod apply;
mod asked;
pub(crate) mod audit;
mod commit;
mod document;
mod guard;
mod idempotency;
mod judging;
mod live;
mod plan;
mod precondition;
mod refusal;
pub(crate) mod rollout;
mod running;
mod settle;
mod token;
mod traffic;

use serin_proto::{Fault, fault::Pointer};

pub(crate) use adopt::adopt;
pub(crate) use apply::apply;
pub use asked::{Adopted, Applied, Difference, KeptTraffic, Notice};
pub(crate) use asked::{Asked, Body, Changed, IdempotencyKey, Precondition};
pub(crate) use document::{delete, put};
pub use refusal::Refusal;
pub(crate) use token::{delete_token, put_token};
pub(crate) use traffic::put_traffic;

/// One fault about one field of what was sent.
fn invalid(field: &str, code: &'static str, message: String) -> Refusal {
    let at = Pointer::root().key(field);
    Refusal::Invalid(vec![Fault::new(&at, code, message)])
}

#[cfg(test)]
mod tests;
