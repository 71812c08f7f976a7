//! The one place of the router that reads time and draws randomness.
//!
//! Everything else is given both as arguments: a decision that depends on them can be repeated in a
//! test. Durations come from the monotonic clock alone; the wall clock is for expiry dates and logs.

use std::{
    cell::Cell,
    hash::{BuildHasher as _, RandomState},
    sync::OnceLock,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// When this process first asked for the time: the zero of every `_ms` that is monotonic.
static START: OnceLock<Instant> = OnceLock::new();

/// Now, on the monotonic clock.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Milliseconds from the start of the process to `at`.
pub(crate) fn since_start_ms(at: Instant) -> u64 {
    let start = *START.get_or_init(now);
    u64::try_from(at.saturating_duration_since(start).as_millis()).unwrap_or(u64::MAX)
}

/// Time since 1970 on the wall clock.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) fn unix() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// Time since 1970 at a monotonic time. Reads the wall clock once a second and thread, not per call;
/// a change of the clock is followed within that second.
pub(crate) fn unix_at(at: Instant) -> Duration {
    const TRUSTED_FOR: Duration = Duration::from_secs(1);
    thread_local! {
        static PAIR: Cell<Option<(Instant, Duration)>> = const { Cell::new(None) };
    }
    PAIR.with(|pair| match pair.get() {
        Some((then, wall)) if at.saturating_duration_since(then) < TRUSTED_FOR => {
            wall + at.saturating_duration_since(then)
        }
        _ => {
            let wall = unix();
            pair.set(Some((at, wall)));
            wall
        }
    })
}

/// A wall-clock time as whole milliseconds since 1970.
pub(crate) fn unix_ms(at: Duration) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(u64::MAX)
}

/// A wall-clock time as people write it: `2027-01-01T00:00:00Z`.
pub(crate) fn rfc3339(at: Duration) -> String {
    let at = OffsetDateTime::from_unix_timestamp(i64::try_from(at.as_secs()).unwrap_or(0));
    let at = at.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    at.format(&Rfc3339).unwrap_or_default()
}

/// Draws for one thread: fast, well spread, not for secrets (`splitmix64`, Steele et al. 2014).
#[derive(Debug)]
pub(crate) struct Draws {
    state: Cell<u64>,
}

impl Draws {
    /// Seeded from the operating system's randomness.
    pub(crate) fn new() -> Self {
        Self {
            state: Cell::new(RandomState::new().hash_one(0_u8)),
        }
    }

    /// The next draw, uniform over all 64 bits.
    pub(crate) fn next(&self) -> u64 {
        let state = self.state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.state.set(state);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
