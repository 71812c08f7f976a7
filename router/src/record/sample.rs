//! Who may count as a sample now: at most one request per affinity value, arm and ten seconds.
//!
//! A verdict on a canary assumes independent samples; a thousand requests of one session are not.
//! A shared table of 65 536 cells remembers the epoch in which a value was last claimed. Two values
//! in one cell lose a sample now and then and never gain one. A drawn value always counts.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serin_proto::metric::Arm;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::pick::Affinity;

/// Cells of the table: a power of two.
const CELLS: usize = 65_536;
/// Length of an epoch in milliseconds.
const EPOCH_MS: u64 = 10_000;

/// The table, shared by all workers.
#[derive(Debug)]
pub(crate) struct Claims {
    epochs: Box<[AtomicU64]>,
}

impl Default for Claims {
    fn default() -> Self {
        Self {
            epochs: (0..CELLS).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl Claims {
    /// Whether this request is the first of its value and arm in the running ten seconds.
    /// `route` seeds the hash, so that a value counts once per route; `now_ms` is any clock that
    /// does not go back.
    pub(crate) fn claim(&self, route: u64, arm: Arm, affinity: &Affinity<'_>, now_ms: u64) -> bool {
        let Affinity::Sticky { kind, value } = affinity else {
            return true;
        };
        let seed = route ^ xxh3_64_with_seed(kind.as_bytes(), arm as u64);
        let hash = xxh3_64_with_seed(value, seed);
        let cell = usize::try_from(hash).unwrap_or(usize::MAX) % CELLS;
        let epoch = now_ms / EPOCH_MS + 1; // 0 = never claimed
        self.epochs
            .get(cell)
            .is_some_and(|last| last.swap(epoch, Relaxed) != epoch)
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    fn session(value: &[u8]) -> Affinity<'_> {
        Affinity::Sticky {
            kind: "header:x-session-id",
            value: Cow::Borrowed(value),
        }
    }

    #[test]
    fn a_value_counts_once_per_arm_and_ten_seconds() {
        let claims = Claims::default();
        let claim = |value, arm, now_ms| claims.claim(7, arm, &session(value), now_ms);
        assert!(claim(b"a", Arm::Stable, 1_000));
        assert!(!claim(b"a", Arm::Stable, 9_999));
        assert!(claim(b"b", Arm::Stable, 9_999), "another value");
        assert!(claim(b"a", Arm::Canary, 9_999), "the other arm");
        assert!(claim(b"a", Arm::Stable, 10_000), "the next ten seconds");
    }

    #[test]
    fn a_drawn_value_always_counts() {
        let claims = Claims::default();
        assert!((0..100).all(|_| claims.claim(7, Arm::Stable, &Affinity::Drawn, 1_000)));
    }
}
