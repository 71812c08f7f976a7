//! Waiting for something to become true: the one place of these tests that knows time.

use std::{
    fmt::Debug,
    thread,
    time::{Duration, Instant},
};

/// A wait that lasts this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// Looks until `holds` says yes and returns that value.
///
/// # Panics
/// After [`PATIENCE`]; the message names the promise and the last value seen.
pub(crate) fn eventually<T: Debug>(
    promise: &str,
    look: impl FnMut() -> T,
    holds: impl FnMut(&T) -> bool,
) -> T {
    within(PATIENCE, promise, look, holds)
}

/// The same with another deadline.
pub(crate) fn within<T: Debug>(
    time: Duration,
    promise: &str,
    mut look: impl FnMut() -> T,
    mut holds: impl FnMut(&T) -> bool,
) -> T {
    let began = now();
    loop {
        let seen = look();
        if holds(&seen) {
            return seen;
        }
        assert!(
            began.elapsed() < time,
            "not within {time:?}: {promise}\nlast seen: {seen:#?}"
        );
        thread::park_timeout(BETWEEN_LOOKS);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "deadlines, and how long an answer took"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}
