//! What was measured, as a table to paste into a note.
//!
//! Each row keeps all rounds: the two systems' least, median and most, and the ratio of every pair,
//! since two figures of one round share that round's machine and a ratio of medians does not.

use std::fmt::Write;

/// One quantity over all rounds.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) nginx: Vec<f64>,
    pub(crate) serin: Vec<f64>,
}

impl Row {
    /// A row without figures yet.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            nginx: Vec::new(),
            serin: Vec::new(),
        }
    }
}

/// The rows as a Markdown table.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| measured | nginx: least · median · most | Serin: least · median · most | Serin ÷ nginx, pair by pair | median |\n\
         |---|---|---|---|---|\n",
    );
    for row in rows {
        let ratios: Vec<f64> = row
            .nginx
            .iter()
            .zip(&row.serin)
            .map(|(nginx, serin)| serin / nginx)
            .collect();
        let pairs: Vec<_> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | **{:.2}** |",
            row.what,
            spread(&row.nginx),
            spread(&row.serin),
            pairs.join(" "),
            median(&ratios)
        );
    }
    text
}

/// The middle value, the mean of the two middle ones if there are two; NaN of nothing.
pub(crate) fn median(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    let upper = sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN);
    if sorted.len() % 2 == 1 {
        return upper;
    }
    let lower = sorted
        .get((sorted.len() / 2).wrapping_sub(1))
        .copied()
        .unwrap_or(f64::NAN);
    f64::midpoint(lower, upper)
}

/// The value that `share` (0..1) of `sorted` does not exceed, in microseconds from nanoseconds.
pub(crate) fn quantile_us(sorted: &[u64], share: f64) -> f64 {
    let rank = ((sorted.len() as f64 * share).ceil() as usize).max(1) - 1;
    sorted.get(rank).map_or(f64::NAN, |ns| *ns as f64 / 1000.0)
}

fn spread(values: &[f64]) -> String {
    let sorted = sorted(values);
    let show = |value: Option<&f64>| value.map_or("–".into(), |value| figure(*value));
    format!(
        "{} · {} · {}",
        show(sorted.first()),
        figure(median(values)),
        show(sorted.last())
    )
}

/// Three digits are as many as mean something here.
fn figure(value: f64) -> String {
    if value >= 1000.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.1}")
    }
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}
