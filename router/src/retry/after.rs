//! How long does the provider ask us to wait?
//!
//! It may say so in milliseconds (`retry-after-ms`), seconds or a date (`retry-after`), or by the
//! reset time of a limit that has nothing remaining. The first that can be read counts.
//!
//! Always: junk, negative numbers and dates that have passed are ignored; a wait above five
//! minutes counts as five minutes, or one bad header could take a target out for a day.

use std::time::Duration;

use serin_proto::unit::parse_duration;
use time::PrimitiveDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// The longest wait that is believed.
pub(crate) const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

/// The form of dates in HTTP (RFC 9110, 5.6.7; the two obsolete forms count as junk).
const HTTP_DATE: &[BorrowedFormatItem<'_>] = format_description!(
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);

/// A limit's headers: what remains, and when it is full again.
const LIMITS: [(&str, &str); 2] = [
    (
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
    ),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
];

/// Reads an answer's headers through `header`, which looks one up by its lower-case name.
pub(crate) fn retry_after<'h>(
    header: impl Fn(&str) -> Option<&'h str>,
    now_unix_ms: u64,
) -> Option<Duration> {
    let ms = || number(header("retry-after-ms")?).map(|ms| ms / 1000.0);
    let seconds = || number(header("retry-after")?);
    let written = ms()
        .or_else(seconds)
        .map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or(RETRY_AFTER_MAX));
    let date = || until(header("retry-after")?, now_unix_ms);
    let reset = || {
        let is_spent = |remaining: &str| number(header(remaining)?).filter(|left| *left == 0.0);
        let waits = LIMITS.iter().filter_map(|(remaining, reset)| {
            is_spent(remaining)?;
            parse_duration(header(reset)?.trim()).ok()
        });
        // Where both limits are spent, the longer wait lets the request through.
        waits.max()
    };
    written
        .or_else(date)
        .or_else(reset)
        .map(|wait| wait.min(RETRY_AFTER_MAX))
}

/// A number of at least 0, written in digits, with decimals or not.
fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    // `parse` would take `inf`, `NaN`, `1e9` and `+5` too.
    let is_plain = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    if is_plain { text.parse().ok() } else { None }
}

fn until(date: &str, now_unix_ms: u64) -> Option<Duration> {
    let at = PrimitiveDateTime::parse(date.trim(), HTTP_DATE)
        .ok()?
        .assume_utc();
    let at_ms = u64::try_from(at.unix_timestamp()).ok()?.checked_mul(1000)?;
    at_ms.checked_sub(now_unix_ms).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tue, 15 Nov 1994 08:12:31 GMT.
    const NOW_MS: u64 = 784_887_151_000;

    #[rustfmt::skip]
    #[test]
    fn every_way_to_ask_for_a_wait_is_read_and_junk_is_not() {
        type Headers = &'static [(&'static str, &'static str)];
        let ms = |ms| Some(Duration::from_millis(ms));
        let table: [(Headers, Option<Duration>); 26] = [
            (&[],                                                      None),
            (&[("retry-after", "0")],                                  ms(0)),
            (&[("retry-after", " 7 ")],                                ms(7_000)),
            (&[("retry-after", "1.5")],                                ms(1_500)),
            (&[("retry-after", "301")],                                ms(300_000)),
            (&[("retry-after", "1000000000")],                         ms(300_000)),
            (&[("retry-after", "99999999999999999999999999")],         ms(300_000)),
            (&[("retry-after", "-1")],                                 None),
            (&[("retry-after", "+1")],                                 None),
            (&[("retry-after", "1e3")],                                None),
            (&[("retry-after", "inf")],                                None),
            (&[("retry-after", "NaN")],                                None),
            (&[("retry-after", "soon")],                               None),
            (&[("retry-after", "")],                                   None),
            (&[("retry-after", ".")],                                  None),
            (&[("retry-after", "Tue, 15 Nov 1994 08:12:41 GMT")],      ms(10_000)),
            (&[("retry-after", "Tue, 15 Nov 1994 08:12:31 GMT")],      ms(0)),
            (&[("retry-after", "Tue, 15 Nov 1994 08:12:30 GMT")],      None),           // has passed
            (&[("retry-after", "Fri, 15 Nov 2999 08:12:31 GMT")],      ms(300_000)),
            (&[("retry-after", "Tue, 32 Nov 1994 08:12:31 GMT")],      None),
            (&[("retry-after-ms", "250"), ("retry-after", "9")],       ms(250)),
            (&[("retry-after-ms", "-3"), ("retry-after", "9")],        ms(9_000)),
            (&[("x-ratelimit-remaining-requests", "0"),
               ("x-ratelimit-reset-requests", "1m2s")], ms(62_000)),
            (&[("x-ratelimit-remaining-requests", "3"),
               ("x-ratelimit-reset-requests", "1m2s")], None),
            (&[("x-ratelimit-remaining-requests", "0"),
               ("x-ratelimit-reset-requests", "120ms"),
               ("x-ratelimit-remaining-tokens", "0"),
               ("x-ratelimit-reset-tokens", "6s")],                    ms(6_000)),
            (&[("x-ratelimit-remaining-tokens", "0"),
               ("x-ratelimit-reset-tokens", "later")],                 None),
        ];
        for (headers, wait) in table {
            let look = |name: &str| headers.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
            assert_eq!(retry_after(look, NOW_MS), wait, "{headers:?}");
        }
    }
}
