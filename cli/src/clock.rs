//! The one place of this program that reads the time of day.

use std::time::{Duration, SystemTime};

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Now, in UTC.
#[expect(
    clippy::disallowed_methods,
    reason = "when a secret ends is counted from now"
)]
pub(crate) fn now() -> OffsetDateTime {
    OffsetDateTime::from(SystemTime::now())
}

/// A moment so long from `now`, whole seconds, RFC 3339. `None`: beyond the calendar.
pub(crate) fn after(now: OffsetDateTime, span: Duration) -> Option<String> {
    let span = time::Duration::try_from(span).ok()?;
    let at = now.checked_add(span)?.replace_nanosecond(0).ok()?;
    at.format(&Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_from_now_is_a_moment() {
        let now = OffsetDateTime::UNIX_EPOCH + Duration::from_millis(1_500);
        let day = Duration::from_secs(24 * 3600);
        assert_eq!(after(now, day).as_deref(), Some("1970-01-02T00:00:01Z"));
        assert_eq!(after(now, Duration::MAX), None);
    }
}
