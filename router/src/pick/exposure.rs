//! May a canary get new requests here?
//!
//! Taking a candidate's share back must reach a router that cannot hear of it, too. So a rollout only
//! lends the share: a router that had no word from its store for `traffic.rollout.exposureTtl` acts as
//! if it were 0, until it has caught up with the store again. What is running finishes.
//! A canary that somebody set by hand has no lease: nobody watches over it, so nobody takes it back.
//! Not here: what counts as a word (`snapshot/contact.rs`).

use std::time::Duration;

/// The time a share lasts without word from the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    ttl_ms: u64,
}

impl Lease {
    pub(crate) fn new(ttl: Duration) -> Self {
        Self {
            ttl_ms: u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// Whether it holds at `now_ms`. `contact_ms`: the newest word from the store, by the same clock;
    /// `None`: there was none yet.
    pub(crate) fn holds(self, contact_ms: Option<u64>, now_ms: u64) -> bool {
        contact_ms.is_some_and(|contact| now_ms <= self.ends_ms(contact))
    }

    /// The last moment at which it holds after that word.
    pub(crate) fn ends_ms(self, contact_ms: u64) -> u64 {
        contact_ms.saturating_add(self.ttl_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rustfmt::skip]
    #[test]
    fn a_lease_holds_from_the_newest_word_for_its_time_and_not_without_any() {
        let table = [
            // ttl       contact         now       holds
            (60_000,     None,           0,        false),
            (60_000,     None,           u64::MAX, false),
            (60_000,     Some(5_000),    5_000,    true),
            (60_000,     Some(5_000),    65_000,   true),
            (60_000,     Some(5_000),    65_001,   false),
            (60_000,     Some(65_000),   65_001,   true),
            (60_000,     Some(5_000),    4_000,    true),     // heard of while it was asked
            (0,          Some(5_000),    5_000,    true),
            (0,          Some(5_000),    5_001,    false),
            (u64::MAX,   Some(5_000),    u64::MAX, true),
        ];
        for (ttl, contact, now, holds) in table {
            let lease = Lease::new(Duration::from_millis(ttl));
            assert_eq!(lease.holds(contact, now), holds, "{ttl} {contact:?} {now}");
        }
    }
}
