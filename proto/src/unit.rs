//! Numbers that carry their unit: a share of traffic, a duration as written, money, a revision.
//!
//! A document holds what somebody wrote; these types are what it means. Each is built only from a
//! value that makes sense, so that whoever holds one need not check again. All are integers inside:
//! equality is exact, sums are exact, there is no NaN.

use std::{fmt, iter::Sum, time::Duration};

/// Share of traffic in hundredths of a percent, 0..=10 000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share(u16);

/// Why a number is no share.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum BadShare {
    #[error("{0} is outside 0 to 100 percent")]
    OutOfRange(f64),
    #[error("{0} percent has more than two decimals")]
    TooFine(f64),
}

impl Share {
    pub const NONE: Self = Self(0);
    pub const ALL: Self = Self(10_000);

    /// The share of that many hundredths of a percent; `None` above 10 000.
    pub const fn from_hundredths(hundredths: u16) -> Option<Self> {
        if hundredths <= Self::ALL.0 {
            Some(Self(hundredths))
        } else {
            None
        }
    }

    /// Hundredths of a percent, 0..=10 000.
    pub const fn hundredths(self) -> u16 {
        self.0
    }

    /// From 0.0 to 1.0, as metrics tell it.
    pub fn as_ratio(self) -> f64 {
        f64::from(self.0) / 10_000.0
    }
}

/// From percent, as documents write it.
impl TryFrom<f64> for Share {
    type Error = BadShare;

    fn try_from(percent: f64) -> Result<Self, BadShare> {
        if !(0.0..=100.0).contains(&percent) {
            return Err(BadShare::OutOfRange(percent));
        }
        // Between 0 and 10 000 by the check above, so the cast is exact.
        let hundredths = (percent * 100.0).round() as u16;
        // The nearest double of a decimal with two digits is this quotient and no other.
        if f64::from(hundredths) / 100.0 != percent {
            return Err(BadShare::TooFine(percent));
        }
        Ok(Self(hundredths))
    }
}

/// Percent without trailing zeros: `5`, `0.5`, `12.25`.
impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", f64::from(self.0) / 100.0)
    }
}

/// The longest duration a document may name: ten years. Adding it to a clock cannot overflow.
pub const DURATION_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Why a text is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDuration {
    #[error("it is empty")]
    Empty,
    #[error("a number is missing")]
    NoNumber,
    #[error("a number has more than one point, no digit after its point, or over nine decimals")]
    BadNumber,
    #[error("a number has no unit")]
    NoUnit,
    #[error("units are h, m, s and ms, the largest first, none twice")]
    BadUnit,
    #[error("it is longer than ten years")]
    TooLong,
}

/// Units from the largest down, in nanoseconds.
const UNITS: [(&str, u128); 4] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
];

/// Parses `250ms`, `1.5s`, `5m`, `24h`, `1m30s`: numbers with units, the largest first. Zero is
/// allowed. Exact to the nanosecond (finer digits are cut).
///
/// # Errors
/// Anything else, a bare number included, and durations above [`DURATION_MAX`].
pub fn parse_duration(text: &str) -> Result<Duration, BadDuration> {
    if text.is_empty() {
        return Err(BadDuration::Empty);
    }
    let mut rest = text;
    let mut units_left = &UNITS[..];
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let number_len = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(number_len);
        let unit_len = after
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_len);
        if number.is_empty() {
            return Err(BadDuration::NoNumber);
        }
        if unit.is_empty() {
            return Err(BadDuration::NoUnit);
        }
        let place = units_left
            .iter()
            .position(|(name, _)| *name == unit)
            .ok_or(BadDuration::BadUnit)?;
        let scale = units_left.get(place).map_or(0, |(_, scale)| *scale);
        units_left = units_left.get(place + 1..).unwrap_or_default();
        nanos += scaled(number, scale)?;
        rest = after;
    }
    let nanos = u64::try_from(nanos).map_err(|_| BadDuration::TooLong)?;
    let duration = Duration::from_nanos(nanos);
    if duration > DURATION_MAX {
        Err(BadDuration::TooLong)
    } else {
        Ok(duration)
    }
}

/// Version of the store a snapshot stands for. Rises only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Money in billionths of a US dollar. Sums saturate: a counter must not wrap to nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NanoUsd(pub u64);

impl NanoUsd {
    /// What `tokens` cost at a price in US dollars per million tokens, rounded to the nearest
    /// billionth. A price that is negative or no number costs nothing.
    pub fn of_tokens(tokens: u64, usd_per_million: f64) -> Self {
        // One dollar per million tokens is 1 000 billionths per token. A float cast saturates.
        Self((tokens as f64 * usd_per_million * 1_000.0).round() as u64)
    }

    /// The sum, at most the largest amount there is.
    #[must_use]
    pub fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// US dollars, for metrics.
    pub fn usd(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

impl Sum for NanoUsd {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), Self::saturating_add)
    }
}

/// US dollars as an exact decimal without trailing zeros: `0.00042`, `12`.
impl fmt::Display for NanoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, nanos) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        if nanos == 0 {
            return write!(f, "{whole}");
        }
        let digits = format!("{nanos:09}");
        write!(f, "{whole}.{}", digits.trim_end_matches('0'))
    }
}

/// A decimal such as `1.5` times `scale` nanoseconds.
fn scaled(number: &str, scale: u128) -> Result<u128, BadDuration> {
    let (whole, decimals) = match number.split_once('.') {
        Some((whole, decimals)) if (1..=9).contains(&decimals.len()) => (whole, decimals),
        Some(_) => return Err(BadDuration::BadNumber),
        None => (number, ""),
    };
    if whole.is_empty() || decimals.contains('.') {
        return Err(BadDuration::BadNumber);
    }
    let whole: u64 = whole.parse().map_err(|_| BadDuration::TooLong)?;
    let billionths: u64 = format!("{decimals:0<9}")
        .parse()
        .map_err(|_| BadDuration::BadNumber)?;
    // Below 2^64 × 2^42, far inside 128 bits.
    Ok(u128::from(whole) * scale + u128::from(billionths) * scale / 1_000_000_000)
}

#[cfg(test)]
mod tests;
