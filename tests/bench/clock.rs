//! The one place of the bench that reads time and waits.
//!
//! Always: waiting here blocks a thread of the generator, never one of a runtime.

use std::time::{Duration, Instant};

/// The present moment.
#[expect(
    clippy::disallowed_methods,
    reason = "the bench measures; this is its clock.rs"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Blocks this thread for `length`; the kernel adds about 60 µs.
#[expect(
    clippy::disallowed_methods,
    reason = "requests at a fixed rate leave at their time"
)]
pub(crate) fn pause(length: Duration) {
    std::thread::sleep(length);
}

/// Blocks this thread until `at`, and not at all when `at` has passed.
pub(crate) fn pause_until(at: Instant) {
    let left = at.saturating_duration_since(now());
    if !left.is_zero() {
        pause(left);
    }
}
