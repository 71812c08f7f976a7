//! How long a watch waits before it tries again: full jitter, doubling, reset by a healthy life.
//!
//! Pure: how long it lived and the draw come in. Full jitter, because all routers of a fleet lose
//! the same member in the same moment.

use std::time::Duration;

/// Pauses between the tries of one watch.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    /// The first pause lies between zero and this; each next one may be twice as long …
    min: Duration,
    /// … up to this.
    max: Duration,
    /// A watch that lived so long begins again.
    healthy: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(min: Duration, max: Duration, healthy: Duration) -> Self {
        Self {
            min,
            max,
            healthy,
            failures: 0,
        }
    }

    /// The pause after a watch that lived so long (zero: it never stood). `draw` is from 0 to 1.
    pub(crate) fn after(&mut self, lived: Duration, draw: f64) -> Duration {
        if lived >= self.healthy {
            self.failures = 0;
        }
        // Beyond 2^16 times the first pause the longest one rules anyway.
        let doubled = self.min.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        doubled.min(self.max).mul_f64(draw.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backoff() -> Backoff {
        let (min, max) = (Duration::from_millis(100), Duration::from_secs(5));
        Backoff::new(min, max, Duration::from_secs(30))
    }

    #[test]
    fn pauses_double_up_to_the_longest_one() {
        let mut backoff = backoff();
        let pauses: Vec<u128> = (0..8)
            .map(|_| backoff.after(Duration::ZERO, 1.0).as_millis())
            .collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
    }

    #[test]
    fn the_draw_may_shorten_a_pause_to_nothing() {
        let mut backoff = backoff();
        assert_eq!(backoff.after(Duration::ZERO, 0.0), Duration::ZERO);
        assert_eq!(
            backoff.after(Duration::ZERO, 0.5),
            Duration::from_millis(100)
        );
    }

    #[test]
    fn only_a_healthy_life_earns_the_first_pause_again() {
        let mut backoff = backoff();
        for _ in 0..6 {
            backoff.after(Duration::from_secs(29), 1.0);
        }
        let long = backoff.after(Duration::from_secs(29), 1.0);
        let short = backoff.after(Duration::from_secs(30), 1.0);
        assert_eq!((long.as_millis(), short.as_millis()), (5000, 100));
    }

    #[test]
    fn no_number_of_failures_overflows() {
        let mut backoff = backoff();
        for _ in 0..100 {
            assert!(backoff.after(Duration::ZERO, 1.0) <= Duration::from_secs(5));
        }
    }
}
