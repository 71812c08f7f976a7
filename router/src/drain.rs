//! From serving to stopped, without a caller noticing.
//!
//! ```text
//!   Serving ──signal──▶ Draining: not ready, still accepting for `grace`
//!                          └──▶ not accepting; answers in flight run to their last byte, at most `limit`
//! ```
//! Load balancers learn late that a router leaves: that is what the grace is for. Bodies count as
//! running: a stream that was cut by a restart is a failure its caller sees.

use std::sync::atomic::{AtomicBool, Ordering::{Acquire, Release}};

/// Whether this router is leaving.
#[derive(Debug, Default)]
pub(crate) struct Drain {
    draining: AtomicBool,
}

impl Drain {
    pub(crate) fn begin(&self) {
        self.draining.store(true, Release);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Acquire)
    }
}
