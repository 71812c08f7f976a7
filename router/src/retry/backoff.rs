//! How long before the same target is tried again?
//!
//! `backoff · 2^(n−1)`, at most `max_backoff`, times a draw from 0.5 to 1.0, so that requests that
//! failed together do not come back together.

use std::time::Duration;

/// Beyond this many doublings every backoff is at its most.
const DOUBLINGS_MAX: u32 = 20;

/// The wait before retry number `retry`, counted from 1.
pub(super) fn wait(backoff: Duration, max_backoff: Duration, retry: u32, draw: u64) -> Duration {
    let doublings = retry.saturating_sub(1).min(DOUBLINGS_MAX);
    let full = backoff.saturating_mul(1 << doublings).min(max_backoff);
    // 500 to 1000 thousandths; the remainder is below 501, so the cast is exact.
    full.saturating_mul(500 + (draw % 501) as u32) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;
    const LEAST: u64 = 0;
    const MOST: u64 = 500;

    #[rustfmt::skip]
    #[test]
    fn waits_double_up_to_the_most() {
        let table = [
            // retry  draw   wait
            (1,       MOST,  MS(250)),
            (1,       LEAST, MS(125)),
            (1,       250,   Duration::from_micros(187_500)),
            (2,       MOST,  MS(500)),
            (5,       MOST,  MS(4_000)),
            (6,       MOST,  MS(4_000)),
            (6,       LEAST, MS(2_000)),
            (u32::MAX, MOST, MS(4_000)),
        ];
        for (retry, draw, expected) in table {
            assert_eq!(wait(MS(250), MS(4_000), retry, draw), expected, "retry {retry}");
        }
    }

    #[test]
    fn the_longest_durations_do_not_overflow() {
        assert!(wait(Duration::MAX, Duration::MAX, 9, MOST) > Duration::from_secs(1));
    }
}
