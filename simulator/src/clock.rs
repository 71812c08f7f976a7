//! What time is it for a person who reads the journal?
//!
//! The one place that reads the wall clock. Pacing uses tokio's own clock, which tests can pause;
//! answers carry no time at all, so that equal scripts give equal bytes.
#![expect(
    clippy::disallowed_methods,
    reason = "the one file that reads the wall clock"
)]

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970. 0 if the machine believes in an earlier year.
pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}
