//! How many retries does a route's traffic allow?
//!
//! Each request puts in a share of a retry, each retry takes a whole one: with a budget of 20
//! percent, retries stay below a fifth of the requests, however bad the day. A small credit to
//! start with lets a quiet route retry, a cap keeps a good day from paying for a bad one.
//!
//! Always: the credit is one atomic number; it is never negative and never above the cap.
//! Fallbacks are not charged: a budget would run dry just when a canary fails.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// One retry in the unit of the credit: hundredths of a percent of a retry.
const RETRY: u32 = 10_000;

const CREDIT_AT_START: u32 = 3 * RETRY;

/// As much as a hundred retries.
const CREDIT_MAX: u32 = 100 * RETRY;

/// The retry budget of one route, shared by all workers and kept over snapshots.
#[derive(Debug)]
pub(crate) struct Budget {
    credit: AtomicU32,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            credit: AtomicU32::new(CREDIT_AT_START),
        }
    }
}

impl Budget {
    /// Called once a request. `percent`: the route's `retry.budget`, 0 to 100.
    pub(crate) fn deposit(&self, percent: f64) {
        // A cast from float saturates, so nonsense is 0 or the cap.
        let put_in = (percent * 100.0).round() as u32;
        let add = |credit: u32| {
            // A full account is only read: in good times workers do not fight for this line.
            (credit < CREDIT_MAX).then(|| credit.saturating_add(put_in).min(CREDIT_MAX))
        };
        // An error means that the account is full.
        let _ = self.credit.fetch_update(Relaxed, Relaxed, add);
    }

    /// Takes one retry; false if there is none to take.
    #[must_use]
    pub(crate) fn withdraw(&self) -> bool {
        self.credit
            .fetch_update(Relaxed, Relaxed, |credit| credit.checked_sub(RETRY))
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn withdrawals(budget: &Budget) -> usize {
        std::iter::from_fn(|| budget.withdraw().then_some(())).count()
    }

    #[test]
    fn a_new_route_has_three_retries() {
        let budget = Budget::default();
        assert_eq!(withdrawals(&budget), 3);
        assert_eq!(withdrawals(&budget), 0, "an empty account stays empty");
    }

    #[test]
    fn requests_earn_their_percentage_in_retries() {
        for (percent, requests, retries) in [
            (20.0, 5, 1),
            (20.0, 4, 0),
            (20.0, 450, 90),
            (12.5, 8, 1),
            (0.01, 10_000, 1),
            (0.0, 1_000, 0),
        ] {
            let budget = Budget::default();
            withdrawals(&budget);
            for _ in 0..requests {
                budget.deposit(percent);
            }
            assert_eq!(withdrawals(&budget), retries, "{percent} % of {requests}");
        }
    }

    #[test]
    fn a_good_day_saves_a_hundred_retries_at_most() {
        for percent in [20.0, 99.99, 100.0, f64::INFINITY] {
            let budget = Budget::default();
            for _ in 0..100_000 {
                budget.deposit(percent);
            }
            assert_eq!(withdrawals(&budget), 100, "{percent} %");
        }
    }

    #[test]
    fn nonsense_earns_nothing() {
        let budget = Budget::default();
        withdrawals(&budget);
        for _ in 0..1_000 {
            budget.deposit(f64::NAN);
            budget.deposit(-5.0);
        }
        assert!(!budget.withdraw());
    }

    #[test]
    fn workers_cannot_take_the_same_retry_twice() {
        let budget = Budget::default();
        for _ in 0..485 {
            budget.deposit(20.0);
        }
        let taken: usize = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| withdrawals(&budget)))
                .collect();
            workers
                .into_iter()
                .map(|worker| worker.join().expect("no panic"))
                .sum()
        });
        assert_eq!(taken, 100);
    }
}
