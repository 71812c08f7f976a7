//! One picture of the live view. Pure.
//!
//! ```text
//!   chat → claude (c3d4e5f60718)   rollout 7f3a09c2b1d4, seq 17   Progressing, step 2 of 4, …
//!   verdict   inconclusive: errors has 164 of 300 canary samples
//!   steps     1 % ✓ ─ 5 % ▶ ─ 25 % ─ 50 % ─ promotion ─ bake
//!   share     █▌··································  5 %
//!   errors    2/164 1.22 %  29/3102 0.93 %  ██▌·················  0.4 of 167
//! ```

use super::{
    explain::{arm, harm, head, legal, metrics, next, title},
    words::{by_hand, has_ended, number, percent, span, text, verdict},
};
use crate::{fit, tree::Tree};

/// Characters of a bar, where there is room for it.
const BAR_WIDTH: usize = 30;
/// Characters of the smallest bar that tells anything.
const BAR_LEAST: usize = 5;
/// Columns of a label and the space behind it.
const INDENT: usize = 10;
/// From here on evidence is near its limit.
const NEAR: f64 = 0.7;

const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";

/// The lines of the picture, none longer than `width`; with colours if `paints`.
pub(super) fn of(analysis: &Tree, width: usize, paints: bool) -> Vec<String> {
    let paint = Paint(paints);
    let label = |name: &str, text: &str| {
        let line = format!("{name:<9} {text}");
        fit::wrapped(&line, width, INDENT)
    };
    let mut lines = fit::wrapped(&head(analysis), width, INDENT);
    lines.push(String::new());
    let told = verdict(analysis);
    if !told.is_empty() {
        let colour = colour(&text(analysis, "verdict/kind"));
        let mut told = label("verdict", &told);
        // Each by itself: a colour would go on below.
        for (at, line) in told.iter_mut().enumerate() {
            let from = if at == 0 { INDENT } else { 0 };
            *line = format!("{}{}", &line[..from], paint.of(colour, &line[from..]));
        }
        lines.extend(told);
    }
    let steps = steps(analysis);
    if !steps.is_empty() {
        lines.extend(label("steps", &steps));
    }
    let share = number(analysis, "share").unwrap_or_default();
    let shown = format!("{}  {} %", bar(share / 100.0), percent(Some(share)));
    lines.extend(label("share", &shown));
    for (at, bars) in waited(analysis).iter().enumerate() {
        lines.extend(label(if at == 0 { "step" } else { "" }, bars));
    }
    lines.push(String::new());
    lines.extend(evidence(analysis, width, &paint));
    lines.push(String::new());
    for (name, told) in [
        ("guards", text(analysis, "guards/text")),
        ("by hand", by_hand(analysis)),
        ("next", next(analysis)),
        ("possible", legal(analysis)),
    ] {
        if !told.is_empty() {
            lines.extend(label(name, &told));
        }
    }
    lines
}

/// `1 % ✓ ─ 5 % ▶ ─ 25 % ─ 50 % ─ promotion ─ bake`
fn steps(analysis: &Tree) -> String {
    let shares = analysis.get("shares").map(Tree::items).unwrap_or_default();
    if shares.is_empty() {
        return String::new();
    }
    let phase = text(analysis, "phase");
    let step = number(analysis, "step");
    let place = |index: usize| f64::from(u32::try_from(index).unwrap_or(u32::MAX));
    let behind = ["WaitingPromotion", "Promoting", "Baking", "Succeeded"];
    let is_behind = behind.contains(&phase.as_str());
    let mark = |is_done: bool, is_here: bool| match (is_done, is_here) {
        (true, _) => " ✓",
        (_, true) => " ▶",
        _ => "",
    };
    let each = shares.iter().enumerate().map(|(index, share)| {
        let (here, at) = (place(index), step.unwrap_or(-1.0));
        let is_here = here == at && !has_ended(analysis);
        let mark = mark(is_behind || here < at, is_here);
        format!("{} %{mark}", percent(share.number()))
    });
    let mut all: Vec<String> = each.collect();
    let promotes = ["WaitingPromotion", "Promoting"].contains(&phase.as_str());
    let is_baked = phase == "Succeeded";
    all.push(format!(
        "promotion{}",
        mark(is_baked || phase == "Baking", promotes)
    ));
    all.push(format!("bake{}", mark(is_baked, phase == "Baking")));
    all.join(" ─ ")
}

/// What the step still lacks of its time and its samples.
fn waited(analysis: &Tree) -> Vec<String> {
    let of = |have: f64, want: f64| bar(if want > 0.0 { have / want } else { 1.0 });
    let mut parts = Vec::new();
    if let Some(least) = number(analysis, "minDurationMs") {
        let exposed = number(analysis, "exposureMs").unwrap_or_default();
        let told = format!("{} of {}", span(exposed.min(least)), span(least));
        parts.push(format!("{}  {told}", of(exposed, least)));
    }
    if let Some(least) = number(analysis, "minSamples").filter(|least| *least > 0.0) {
        let count = |arm| number(analysis, &format!("samples/{arm}")).unwrap_or_default();
        let fewer = count("canary").min(count("stable"));
        parts.push(format!("{}  {fewer} of {least} samples", of(fewer, least)));
    }
    parts
}

/// One metric as it is shown.
struct Row {
    name: String,
    canary: String,
    stable: String,
    /// How near it is to acting, and in which colour.
    ratio: f64,
    colour: &'static str,
    harm: String,
    mode: String,
}

impl Row {
    fn of(metric: &Tree, name: String, mode: String) -> Self {
        let side = |of: &str| arm(metric, of).join(" ").trim().to_owned();
        let ratio = number(metric, "limitRatio").unwrap_or_default();
        Self {
            name,
            canary: side("canary"),
            stable: side("stable"),
            ratio,
            colour: nearness(metric, ratio),
            harm: harm(metric),
            mode,
        }
    }
}

fn evidence(analysis: &Tree, width: usize, paint: &Paint) -> Vec<String> {
    let mut rows: Vec<Row> = metrics(analysis)
        .iter()
        .map(|metric| Row::of(metric, title(metric), text(metric, "mode")))
        .collect();
    if let Some(total) = analysis.get("total").filter(|total| **total != Tree::Null) {
        rows.push(Row::of(total, "total".to_owned(), text(total, "text")));
    }
    // By hand: a table would count the letters of colours.
    let widest = |text: &dyn Fn(&Row) -> &String, least: usize| {
        let lengths = rows.iter().map(|row| fit::length(text(row)));
        lengths.max().unwrap_or_default().max(least)
    };
    let names = widest(&|row| &row.name, 9);
    let canary = widest(&|row| &row.canary, 6);
    let stable = widest(&|row| &row.stable, 6);
    let harms = widest(&|row| &row.harm, 4);
    let modes = widest(&|row| &row.mode, 0);
    // What has no room goes in this order: length of the bar, modes, the bar.
    let figures = names + canary + stable + harms + 6;
    let room = width.saturating_sub(figures + 2);
    let (bars, shows_modes) = match room.checked_sub(modes + 2) {
        Some(left) if left >= BAR_LEAST => (left.min(BAR_WIDTH), true),
        _ => (room.min(BAR_WIDTH), false),
    };
    let bars = if bars < BAR_LEAST { 0 } else { bars };
    let line = |row: &Row| {
        let bar = match bars {
            0 => String::new(),
            bars => paint.of(row.colour, &bar_of(row.ratio, bars)) + "  ",
        };
        let mode = if shows_modes { row.mode.as_str() } else { "" };
        let (name, c, s, harm) = (&row.name, &row.canary, &row.stable, &row.harm);
        let shown = format!("{name:<names$}  {c:>canary$}  {s:>stable$}  ");
        let line = format!("{shown}{bar}{harm:<harms$}  {mode}");
        if bars == 0 {
            fit::cut(line.trim_end(), width)
        } else {
            line.trim_end().to_owned()
        }
    };
    let head = format!(
        "{:<names$}  {:>canary$}  {:>stable$}  evidence of harm",
        "", "canary", "stable"
    );
    std::iter::once(fit::cut(&head, width))
        .chain(rows.iter().map(line))
        .collect()
}

/// What only watches is never red.
fn nearness(metric: &Tree, ratio: f64) -> &'static str {
    match text(metric, "mode").as_str() {
        "observe" => YELLOW,
        _ if ratio >= 1.0 => RED,
        _ if ratio >= NEAR => YELLOW,
        _ => GREEN,
    }
}

fn colour(verdict: &str) -> &'static str {
    match verdict {
        "pass" => GREEN,
        "fail" => RED,
        _ => YELLOW,
    }
}

fn bar(ratio: f64) -> String {
    bar_of(ratio, BAR_WIDTH)
}

/// `██▌·······` for a ratio of 0 to 1, so many characters wide.
fn bar_of(ratio: f64, width: usize) -> String {
    let halves = f64::from(u32::try_from(2 * width).unwrap_or(u32::MAX));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is from 0 to twice the width"
    )]
    let filled = (ratio.clamp(0.0, 1.0) * halves).round() as usize;
    let mut bar = "█".repeat(filled / 2);
    bar += if filled % 2 == 1 { "▌" } else { "" };
    bar + &"·".repeat(width - filled.div_ceil(2))
}

struct Paint(bool);

impl Paint {
    fn of(&self, colour: &str, text: &str) -> String {
        if self.0 {
            format!("\u{1b}[{colour}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::client::rollout::tests::analysis;

    #[test]
    fn the_view_shows_step_share_evidence_guards_and_what_is_next() {
        let frame = of(&analysis(), 120, false).join("\n");
        for part in [
            "verdict   inconclusive: errors has",
            "steps     1 % ✓ ─ 5 % ▶ ─ 25 % ─ 50 % ─ promotion ─ bake\n",
            "share     █▌····························  5 %\n",
            "2m50s of 5m\n",
            "164 of 300 samples\n",
            "guards    breaker closed on 3/3\n",
            "next      25 % when",
            "possible  pause, promote, abort, skip-step",
        ] {
            assert!(frame.contains(part), "no {part:?} in\n{frame}");
        }
        let errors = frame.lines().find(|line| line.starts_with("errors"));
        let errors = errors.unwrap_or_default();
        let errors: Vec<&str> = errors.split_whitespace().collect();
        assert_eq!(
            errors[..7],
            ["errors", "2/164", "1.22", "%", "29/3102", "0.93", "%"]
        );
        assert_eq!(errors[8..], ["0.4", "of", "167", "enforce"]);
        assert!(!frame.contains('\u{1b}'), "{frame}");
        assert!(of(&analysis(), 120, true)[2].contains("\u{1b}[33minconclusive"));
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_and_no_colour_goes_on_below() {
        for width in [40, 60, 80, 100, 120, 200] {
            let lines = of(&analysis(), width, false);
            for line in &lines {
                assert!(fit::length(line) <= width, "{width}: {line}");
            }
            for line in of(&analysis(), width, true) {
                let painted = line.matches("\u{1b}[3").count();
                assert_eq!(painted, line.matches("\u{1b}[0m").count(), "{line:?}");
            }
        }
        let at_80 = of(&analysis(), 80, false).join("\n");
        for part in ["█", "0.4 of 167", "29/3102 0.93 %", "go-on --open"] {
            assert!(at_80.contains(part), "no {part:?} in\n{at_80}");
        }
    }

    #[test]
    fn steps_are_marked_as_the_rollout_goes() {
        let at = |phase: &str, step: serde_json::Value| {
            let analysis = json!({"phase": phase, "step": step, "shares": [5, 12.5]});
            steps(&serde_json::from_value(analysis).unwrap())
        };
        assert_eq!(
            at("Pending", json!(null)),
            "5 % ─ 12.5 % ─ promotion ─ bake"
        );
        assert_eq!(
            at("Baking", json!(1)),
            "5 % ✓ ─ 12.5 % ✓ ─ promotion ✓ ─ bake ▶"
        );
        assert_eq!(
            at("Succeeded", json!(1)),
            "5 % ✓ ─ 12.5 % ✓ ─ promotion ✓ ─ bake ✓"
        );
        assert_eq!(at("Failed", json!(1)), "5 % ✓ ─ 12.5 % ─ promotion ─ bake");
    }

    #[rustfmt::skip]
    #[test]
    fn a_bar_is_as_full_as_its_ratio() {
        let table = [(0.0, 0), (-1.0, 0), (0.5, 15), (1.0, 30), (7.0, 30), (f64::NAN, 0)];
        for (ratio, full) in table {
            let bar = bar(ratio);
            assert_eq!(bar.matches('█').count(), full, "{ratio}");
            assert_eq!(bar.chars().count(), BAR_WIDTH, "{ratio}");
        }
    }
}
