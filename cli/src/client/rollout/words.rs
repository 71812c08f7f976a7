//! Where a rollout stands, in words. Pure.

use crate::{output, tree::Tree};

/// Phases after which nothing happens by itself.
const ENDS: [&str; 4] = ["Succeeded", "Failed", "Aborted", "Superseded"];

/// The text a path leads to; empty where there is none.
pub(super) fn text(tree: &Tree, path: &str) -> String {
    match tree.at(path) {
        None | Some(Tree::Null) => String::new(),
        Some(value) => value.to_string(),
    }
}

/// The number a path leads to.
pub(super) fn number(tree: &Tree, path: &str) -> Option<f64> {
    tree.at(path).and_then(Tree::number)
}

/// Whether it has ended.
pub(super) fn has_ended(state: &Tree) -> bool {
    ENDS.contains(&text(state, "phase").as_str())
}

/// `chat → claude`
pub(super) fn what(state: &Tree) -> String {
    let [route, target] = ["route", "candidate/target"].map(|path| text(state, path));
    format!("{route} → {target}")
}

/// Whether its promotion was taken back.
pub(super) fn is_undone(state: &Tree) -> bool {
    state.get("undone") == Some(&Tree::Bool(true))
}

/// `Progressing, step 2 of 4, share 5 %, Analysing`
pub(super) fn place(state: &Tree) -> String {
    parts(state, false)
}

/// The same with how long it has been so: `… share 5 % for 2m50s, Gated`. It is another with each
/// second.
pub(super) fn place_timed(state: &Tree) -> String {
    parts(state, true)
}

fn parts(state: &Tree, is_timed: bool) -> String {
    let timed = |field: &str| number(state, field).filter(|_| is_timed);
    let mut parts = vec![text(state, "phase")];
    if is_undone(state) {
        parts[0] += " and undone";
    }
    let reasons = state.get("pauseReasons").map(Tree::items);
    let reasons: Vec<String> = reasons
        .unwrap_or_default()
        .iter()
        .map(Tree::to_string)
        .collect();
    if !reasons.is_empty() {
        parts[0] += &format!(" ({})", reasons.join(", "));
    }
    if let Some(paused) = timed("pausedMs") {
        parts[0] += &format!(" for {}", span(paused));
    }
    if !has_ended(state) {
        parts.extend(step(state).map(|step| format!("step {step}")));
    }
    let share = number(state, "share");
    let share_at = parts.len();
    parts.push(format!("share {} %", percent(share)));
    let sub = text(state, "sub");
    let is_judged = sub == "Analysing";
    if !sub.is_empty() {
        parts.push(sub);
    }
    // It is the time of the share: of the phase only while that is what it is judged by.
    let exposed = timed("exposureMs").filter(|exposed| *exposed > 0.0);
    let is_served = share.is_some_and(|share| share > 0.0) && !has_ended(state);
    if let Some(exposed) = exposed.filter(|_| is_served) {
        let place = if is_judged { parts.len() - 1 } else { share_at };
        parts[place] += &format!(" for {}", span(exposed));
    }
    parts.join(", ")
}

/// `2 of 4`
fn step(state: &Tree) -> Option<String> {
    let step = number(state, "step")? + 1.0;
    let steps = number(state, "steps").or_else(|| {
        let written = state.at("plan/steps")?.items().len();
        (written > 0).then(|| f64::from(u32::try_from(written).unwrap_or(u32::MAX)))
    });
    Some(match steps {
        Some(steps) => format!("{step} of {steps}"),
        None => step.to_string(),
    })
}

/// `inconclusive: errors has 164 of 300 canary samples`
pub(super) fn verdict(state: &Tree) -> String {
    let [kind, why] = ["verdict/kind", "verdict/why"].map(|path| text(state, path));
    let verdict = match (kind.is_empty(), why.is_empty()) {
        (true, _) => String::new(),
        (_, true) => kind,
        _ => format!("{kind}: {why}"),
    };
    if is_undone(state) && !verdict.is_empty() {
        format!("{verdict} (before it was undone)")
    } else {
        verdict
    }
}

/// The newest thing that a person did to it: `pause by ada, 2026-11-21T17:23:49Z: too slow`.
pub(super) fn by_hand(state: &Tree) -> String {
    let [verb, by, at, reason] =
        ["verb", "by", "at", "reason"].map(|field| text(state, &format!("byHand/{field}")));
    // Every rollout was started by somebody; and who ended one stands in why it has ended.
    let is_told = has_ended(state) && !because(state).is_empty();
    if is_told || ["", "start", "retry"].contains(&verb.as_str()) {
        return String::new();
    }
    let mut told = format!("{verb} by {by}");
    if !at.is_empty() {
        told += &format!(", {at}");
    }
    if !reason.is_empty() {
        told += &format!(": {reason}");
    }
    told
}

/// Why it has ended; empty while it has not.
pub(super) fn because(state: &Tree) -> String {
    if !has_ended(state) {
        return String::new();
    }
    let because = text(state, "endedBecause");
    // An analysis tells it as what is next.
    if because.is_empty() {
        text(state, "next/text")
    } else {
        because
    }
}

/// One line about a state that was just made.
pub(super) fn told(state: &Tree) -> String {
    let [id, seq] = ["rolloutId", "seq"].map(|path| text(state, path));
    let mut line = format!(
        "{} (rollout {id}, seq {seq}): {}",
        what(state),
        place(state)
    );
    let because = because(state);
    if !because.is_empty() {
        line += &format!("; {because}");
    }
    line
}

/// One row for each.
pub(super) fn table(states: &[Tree]) -> String {
    let row = |state: &Tree| {
        let share = format!("{} %", percent(number(state, "share")));
        let mut phase = text(state, "phase");
        let sub = text(state, "sub");
        if !sub.is_empty() {
            phase = format!("{phase}/{sub}");
        }
        if is_undone(state) {
            phase += "/undone";
        }
        [
            text(state, "route"),
            text(state, "candidate/target"),
            text(state, "rolloutId"),
            text(state, "seq"),
            phase,
            step(state).unwrap_or_default(),
            share,
            text(state, "verdict/kind"),
            text(state, "startedAt"),
        ]
    };
    let rows: Vec<[String; 9]> = states.iter().map(row).collect();
    let head = [
        "ROUTE",
        "CANDIDATE",
        "ROLLOUT",
        "SEQ",
        "PHASE",
        "STEP",
        "SHARE",
        "VERDICT",
        "STARTED",
    ];
    output::table(head, &rows)
}

/// What one wants to know of one rollout, line by line.
pub(super) fn page(state: &Tree) -> String {
    let hash = text(state, "candidate/hash");
    let pairs = |field: &str, show: &dyn Fn(&Tree) -> String| -> String {
        let fields = state.get(field).map(Tree::fields).unwrap_or_default();
        let shown = fields
            .iter()
            .map(|(name, value)| format!("{name} {}", show(value)));
        shown.collect::<Vec<_>>().join(", ")
    };
    let open = |gate: &Tree| match gate.get("open") {
        Some(Tree::Bool(true)) => "open".to_owned(),
        _ => "closed".to_owned(),
    };
    let mut hand = by_hand(state);
    if hand.is_empty() && state.get("manual") == Some(&Tree::Bool(true)) {
        hand = "yes".to_owned();
    }
    let lines = [
        ("rollout", text(state, "rolloutId")),
        ("seq", text(state, "seq")),
        ("route", text(state, "route")),
        (
            "candidate",
            format!("{} ({hash})", text(state, "candidate/target")),
        ),
        ("phase", place(state)),
        ("verdict", verdict(state)),
        ("gates", pairs("gates", &open)),
        (
            "stable",
            pairs("baseWeights", &|percent| percent.to_string()),
        ),
        ("by hand", hand),
        ("started", text(state, "startedAt")),
        ("ended", text(state, "endedAt")),
        ("because", text(state, "endedBecause")),
    ];
    let shown = lines.iter().filter(|(_, value)| !value.is_empty());
    shown
        .map(|(name, value)| format!("{name:<10} {value}\n"))
        .collect()
}

/// At most two decimals.
pub(super) fn percent(share: Option<f64>) -> String {
    let text = format!("{:.2}", share.unwrap_or_default());
    let text = text.trim_end_matches('0').trim_end_matches('.');
    text.to_owned()
}

/// `2m50s`
pub(super) fn span(milliseconds: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is not below 0, and saturates"
    )]
    let seconds = (milliseconds.max(0.0) / 1000.0).round() as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes, seconds) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, 0) => format!("{minutes}m"),
        (0, minutes, seconds) => format!("{minutes}m{seconds}s"),
        (hours, 0, _) => format!("{hours}h"),
        (hours, minutes, _) => format!("{hours}h{minutes}m"),
    }
}

#[cfg(test)]
mod tests;
