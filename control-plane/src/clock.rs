//! The one place of the control plane that reads time and draws randomness.
//!
//! Everything else is given both as arguments. Durations come from the monotonic clock alone; the
//! wall clock is for dates that people read and for the expiry of tokens.

use std::{
    sync::Mutex,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use ring::rand::{SecureRandom as _, SystemRandom};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use ulid::{Generator, Ulid};

/// Now, on the monotonic clock.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Time since 1970 on the wall clock.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) fn unix() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// Now, on the wall clock, in UTC.
pub(crate) fn wall() -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + unix()
}

/// A time as documents and records write it: RFC 3339.
pub(crate) fn rfc3339(at: OffsetDateTime) -> String {
    // Fails for years above 9999 alone.
    at.format(&Rfc3339).unwrap_or_default()
}

/// So many random bytes, in hex.
pub(crate) fn random_hex(bytes: usize) -> String {
    let mut drawn = vec![0; bytes];
    // It fails where a system has no randomness at all, and nothing of TLS would work either.
    SystemRandom::new()
        .fill(&mut drawn)
        .expect("the system has randomness");
    drawn.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Ids whose order is that of their making in this process: the keys of audit records.
#[derive(Debug)]
pub(crate) struct Ulids {
    last: Mutex<Generator>,
}

impl Ulids {
    pub(crate) fn new() -> Self {
        Self {
            last: Mutex::new(Generator::new()),
        }
    }

    /// An id above every one before it.
    pub(crate) fn next(&self) -> String {
        let made = self.last.lock().map(|mut last| match last.generate() {
            Ok(ulid) => ulid,
            // More in one millisecond than its random part can count: on with the next one.
            Err(overflow) => overflow.commit_overflow_increment(),
        });
        made.unwrap_or_else(|_| Ulid::generate()).to_string()
    }
}
