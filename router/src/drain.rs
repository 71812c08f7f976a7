//! From serving to stopped, without a caller noticing.
//!
//! ```text
//!   serving ──signal──▶ not ready, still accepting for `grace`
//!                          └──▶ not accepting; answers in flight run to their last byte, at most `limit`
//! ```
//! Load balancers learn late that a router leaves: that is what the grace is for. Bodies count as
//! running: a stream that was cut by a restart is a failure its caller sees.

use std::sync::atomic::Ordering::Release;

use actix_web::dev::ServerHandle;

use crate::worker::Shared;

/// Goes through the steps; returns when nothing is in flight any more, or the limit has passed.
pub(crate) async fn drain(shared: &Shared, traffic: &ServerHandle) {
    let drain = shared.settings.drain;
    shared.draining.store(true, Release);
    tracing::info!(grace = ?drain.grace, "draining: not ready, still accepting");
    tokio::time::sleep(drain.grace).await;
    tracing::info!(limit = ?drain.limit, "draining: answers in flight run to their end");
    traffic.stop(true).await;
}
