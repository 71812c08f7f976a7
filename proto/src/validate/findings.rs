//! The list that validation fills, and the checks that every kind of document needs.
//!
//! Each check takes a pointer and a value, says what is wrong and what to write instead. An empty
//! text is an absent one (proto3), so only `required` and `name` object to it.

use std::{ops::RangeInclusive, time::Duration};

use crate::{
    fault::{FAULTS_MAX, Fault, Pointer},
    name::is_name,
    suggest::nearest,
    unit::parse_duration,
};

/// What validation found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Each of them refuses the whole set.
    pub faults: Vec<Fault>,
    /// None of them refuses anything.
    pub warnings: Vec<Fault>,
}

impl Findings {
    pub(super) fn fault(&mut self, at: &Pointer, code: &'static str, message: impl Into<String>) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(Fault::new(at, code, message));
        }
    }

    pub(super) fn warn(&mut self, at: &Pointer, code: &'static str, message: impl Into<String>) {
        if self.warnings.len() < FAULTS_MAX {
            self.warnings.push(Fault::new(at, code, message));
        }
    }

    /// Whether further faults would be dropped.
    pub(super) fn is_full(&self) -> bool {
        self.faults.len() >= FAULTS_MAX
    }

    /// A name is there and may be one.
    pub(super) fn name(&mut self, at: &Pointer, text: &str) {
        if self.required(at, text) && !is_name(text) {
            let rule = "1 to 63 of a-z, 0-9, . and -, beginning and ending with a letter or digit";
            self.fault(at, "bad_name", format!("{text:?} is no name: {rule}"));
        }
    }

    /// Whether the text is there.
    pub(super) fn required(&mut self, at: &Pointer, text: &str) -> bool {
        if text.is_empty() {
            self.fault(at, "missing", "is missing");
        }
        !text.is_empty()
    }

    /// One of a closed set of words, or absent.
    pub(super) fn word(&mut self, at: &Pointer, text: &str, words: &[&str]) {
        if text.is_empty() || words.contains(&text) {
            return;
        }
        let guess = nearest(text, words.iter().copied())
            .map(|near| format!("; did you mean {near}?"))
            .unwrap_or_default();
        let message = format!("{text:?} is not one of {}{guess}", words.join(", "));
        self.fault(at, "unknown_word", message);
    }

    /// A duration above zero; `None` if it is absent or wrong.
    pub(super) fn duration(&mut self, at: &Pointer, text: &str) -> Option<Duration> {
        let duration = self.duration_or_zero(at, text)?;
        if duration.is_zero() {
            self.fault(at, "bad_duration", "must be longer than zero");
            return None;
        }
        Some(duration)
    }

    /// A duration where none at all makes sense too.
    pub(super) fn duration_or_zero(&mut self, at: &Pointer, text: &str) -> Option<Duration> {
        if text.is_empty() {
            return None;
        }
        match parse_duration(text) {
            Ok(duration) => Some(duration),
            Err(bad) => {
                let message =
                    format!("{text:?} is no duration: {bad}; write e.g. 250ms, 1.5s, 1m30s");
                self.fault(at, "bad_duration", message);
                None
            }
        }
    }

    /// A number inside a range, or absent.
    pub(super) fn range(&mut self, at: &Pointer, value: Option<f64>, range: RangeInclusive<f64>) {
        if let Some(value) = value.filter(|value| !range.contains(value)) {
            let (least, most) = (range.start(), range.end());
            let text = if most.is_finite() {
                format!("{value} is outside {least} to {most}")
            } else {
                format!("{value} is below {least}")
            };
            self.fault(at, "out_of_range", text);
        }
    }

    /// A whole number from 1, or absent.
    pub(super) fn count(&mut self, at: &Pointer, value: Option<u32>) {
        if value == Some(0) {
            self.fault(at, "out_of_range", "must be at least 1");
        }
    }

    /// No text is there twice; empty ones do not count.
    pub(super) fn unique<'a>(
        &mut self,
        texts: impl Iterator<Item = (Pointer, &'a str)>,
        code: &'static str,
    ) {
        let mut seen = std::collections::HashMap::new();
        for (at, text) in texts.filter(|(_, text)| !text.is_empty()) {
            if let Some(first) = seen.get(text) {
                let message = format!("{text:?} is already at {}", Pointer::as_str(first));
                self.fault(&at, code, message);
            } else {
                seen.insert(text, at);
            }
        }
    }
}
