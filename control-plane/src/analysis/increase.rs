//! By how much a counter rose between two moments, from its samples as they were scraped. Pure.
//!
//! The base is the last sample at or before the cursor. After it, differences are added; a counter
//! that fell, or whose process began anew, counts from 0. A series without a base counts from 0 if
//! its first value is 0, or if its process began after the earliest moment that was looked at: then
//! nothing of it was ever counted. Else its first sample is only a base, and what came before is
//! unknown. No sample is taken twice: windows that tile the time add up to
//! what was really counted.

use super::sample::Millis;

/// A process that began is another one if its start moved by more, in seconds.
const SAME_START: f64 = 1.0;

/// A sample, and when the process that counted it began (Unix seconds), if that is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub at: Millis,
    pub value: f64,
    pub began: Option<f64>,
}

/// A counter from a cursor on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Counter {
    cursor: Millis,
    /// No sample of it is missing since then: the cursor, or earlier.
    known: Millis,
    last: Option<Point>,
    rise: f64,
    unknown: bool,
}

impl Counter {
    #[must_use]
    pub fn after(cursor: Millis) -> Self {
        Self {
            cursor,
            known: cursor,
            last: None,
            rise: 0.0,
            unknown: false,
        }
    }

    /// The same where samples were looked for since `known`.
    #[must_use]
    pub fn known_since(self, known: Millis) -> Self {
        Self {
            known: known.min(self.cursor),
            ..self
        }
    }

    /// Takes the next sample; one that is not newer than the last is nothing new.
    pub fn take(&mut self, point: Point) {
        if self.last.is_some_and(|last| point.at <= last.at) {
            return;
        }
        let last = self.last.replace(point);
        if point.at <= self.cursor {
            return;
        }
        match last {
            Some(last) if is_reset(last, point) => self.rise += point.value,
            Some(last) => self.rise += point.value - last.value,
            None if counts_from_zero(point, self.known) => self.rise += point.value,
            None => self.unknown = true,
        }
    }

    /// The sum of what was added since the cursor.
    #[must_use]
    pub fn rise(&self) -> f64 {
        self.rise
    }

    /// The same of a counter of things.
    #[must_use]
    pub fn count(&self) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "never below 0, and far below 2^53"
        )]
        let count = self.rise.round() as u64;
        count
    }

    /// Something was counted before its first sample that nobody saw.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.unknown
    }

    /// Whether this first sample would need a base that is not there yet. Whatever its process says
    /// of its beginning: that is another clock's time, which may be minutes away.
    #[must_use]
    pub fn lacks_base(&self, first: Point) -> bool {
        self.last.is_none() && first.at > self.cursor && first.value != 0.0
    }
}

fn is_reset(last: Point, next: Point) -> bool {
    let restarted = last.began.zip(next.began);
    next.value < last.value || restarted.is_some_and(|(a, b)| b - a > SAME_START)
}

fn counts_from_zero(first: Point, known: Millis) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of this age fit")]
    let known = known as f64;
    first.value == 0.0 || first.began.is_some_and(|began| began * 1_000.0 > known)
}

#[cfg(test)]
mod tests;
