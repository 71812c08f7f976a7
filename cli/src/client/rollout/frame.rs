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
    words::{has_ended, number, percent, span, text, verdict},
};
use crate::tree::Tree;

/// Characters of a bar.
const BAR_WIDTH: usize = 30;
/// From here on evidence is near its limit.
const NEAR: f64 = 0.7;

const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";

/// The whole picture; with colours if `paints`.
pub(super) fn of(analysis: &Tree, paints: bool) -> String {
    let paint = Paint(paints);
    let mut lines = vec![head(analysis), String::new()];
    let kind = text(analysis, "verdict/kind");
    let told = verdict(analysis);
    if !told.is_empty() {
        lines.push(label("verdict", &paint.of(colour(&kind), &told)));
    }
    let steps = steps(analysis);
    if !steps.is_empty() {
        lines.push(label("steps", &steps));
    }
    let share = number(analysis, "share").unwrap_or_default();
    let shown = format!("{}  {} %", bar(share / 100.0), percent(Some(share)));
    lines.push(label("share", &shown));
    lines.extend(waited(analysis).map(|bars| label("step", &bars)));
    lines.push(String::new());
    lines.extend(evidence(analysis, &paint));
    lines.push(String::new());
    for (name, told) in [
        ("guards", text(analysis, "guards/text")),
        ("next", next(analysis)),
        ("possible", legal(analysis)),
    ] {
        if !told.is_empty() {
            lines.push(label(name, &told));
        }
    }
    lines.join("\n") + "\n"
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
fn waited(analysis: &Tree) -> Option<String> {
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
    (!parts.is_empty()).then(|| parts.join(&format!("\n{:<10}", "")))
}

fn evidence(analysis: &Tree, paint: &Paint) -> Vec<String> {
    let row = |metric: &Tree, name: String, mode: String| {
        let side = |of: &str| arm(metric, of).join(" ").trim().to_owned();
        let ratio = number(metric, "limitRatio").unwrap_or_default();
        let bar = paint.of(nearness(metric, ratio), &bar(ratio));
        let (canary, stable) = (side("canary"), side("stable"));
        (name, canary, stable, bar, harm(metric), mode)
    };
    let mut rows: Vec<_> = metrics(analysis)
        .iter()
        .map(|metric| row(metric, title(metric), text(metric, "mode")))
        .collect();
    if let Some(total) = analysis.get("total").filter(|total| **total != Tree::Null) {
        rows.push(row(total, "total".to_owned(), text(total, "text")));
    }
    // By hand: a table would count the letters of colours.
    let widest = |text: &dyn Fn(usize) -> usize, least: usize| {
        (0..rows.len())
            .map(text)
            .max()
            .unwrap_or_default()
            .max(least)
    };
    let names = widest(&|i| rows[i].0.chars().count(), 9);
    let canary = widest(&|i| rows[i].1.chars().count(), 6);
    let stable = widest(&|i| rows[i].2.chars().count(), 6);
    let harms = widest(&|i| rows[i].4.chars().count(), 4);
    let head = format!(
        "{:<names$}  {:>canary$}  {:>stable$}  {:<BAR_WIDTH$}  {:<harms$}",
        "", "canary", "stable", "evidence of harm", ""
    );
    let line =
        |(name, c, s, bar, harm, mode): &(String, String, String, String, String, String)| {
            format!("{name:<names$}  {c:>canary$}  {s:>stable$}  {bar}  {harm:<harms$}  {mode}")
        };
    let lines = rows.iter().map(line);
    std::iter::once(head)
        .chain(lines)
        .map(|line| line.trim_end().to_owned())
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

/// `██▌·······` for a ratio of 0 to 1.
fn bar(ratio: f64) -> String {
    let halves = f64::from(u32::try_from(2 * BAR_WIDTH).unwrap_or(u32::MAX));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is from 0 to twice the width"
    )]
    let filled = (ratio.clamp(0.0, 1.0) * halves).round() as usize;
    let mut bar = "█".repeat(filled / 2);
    bar += if filled % 2 == 1 { "▌" } else { "" };
    bar + &"·".repeat(BAR_WIDTH - filled.div_ceil(2))
}

fn label(name: &str, text: &str) -> String {
    format!("{name:<9} {text}")
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
        let frame = of(&analysis(), false);
        for part in [
            "verdict   inconclusive: errors has",
            "steps     1 % ✓ ─ 5 % ▶ ─ 25 % ─ 50 % ─ promotion ─ bake\n",
            "share     █▌····························  5 %\n",
            "2m50s of 5m\n",
            "164 of 300 samples\n",
            "guards    breaker closed on 3/3\n",
            "next      25 % when",
            "possible  pause, promote, abort, skip-step\n",
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
        assert!(of(&analysis(), true).contains("\u{1b}[33minconclusive"));
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
