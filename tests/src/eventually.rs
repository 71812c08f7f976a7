//! Waiting for something to become true.
//!
//! Stories never sleep for "long enough": they ask again and again until the condition holds or a
//! deadline passes, and then say what they saw last. This is the only file that waits for time.

use std::fmt::Debug;
use std::time::Duration;

use tokio::time::{Instant, sleep};

const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// Looks until `holds` says yes and returns that value.
///
/// # Panics
/// When `within` has passed; the message names the promise and the last value seen.
pub async fn eventually<T: Debug>(
    promise: &str,
    within: Duration,
    mut look: impl AsyncFnMut() -> T,
    holds: impl Fn(&T) -> bool,
) -> T {
    let deadline = Instant::now() + within;
    loop {
        let seen = look().await;
        if holds(&seen) {
            return seen;
        }
        assert!(
            Instant::now() < deadline,
            "not within {within:?}: {promise}\nlast seen: {seen:#?}"
        );
        sleep(BETWEEN_LOOKS).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_value_that_holds_is_returned() {
        let mut count = 0;
        let look = async || {
            count += 1;
            count
        };
        let seen = eventually("three looks", Duration::from_secs(5), look, |n| *n >= 3).await;
        assert_eq!(seen, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "last seen: \"still closed\"")]
    async fn a_missed_deadline_shows_the_last_value() {
        let look = async || "still closed";
        eventually("it opens", Duration::from_millis(30), look, |_| false).await;
    }
}
