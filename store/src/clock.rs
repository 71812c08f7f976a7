//! The one place of this crate, beside the file source, that reads a clock.

use std::time::Instant;

/// Now, on the clock that never goes back.
#[expect(
    clippy::disallowed_methods,
    reason = "time is read here and nowhere else"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}
