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

/// `Progressing, step 2 of 4, share 5 %, Analysing`
pub(super) fn place(state: &Tree) -> String {
    let mut parts = vec![text(state, "phase")];
    let reasons = state.get("pauseReasons").map(Tree::items);
    let reasons: Vec<String> = reasons
        .unwrap_or_default()
        .iter()
        .map(Tree::to_string)
        .collect();
    if !reasons.is_empty() {
        parts[0] += &format!(" ({})", reasons.join(", "));
    }
    if !has_ended(state) {
        parts.extend(step(state).map(|step| format!("step {step}")));
    }
    parts.push(format!("share {} %", percent(number(state, "share"))));
    let sub = text(state, "sub");
    if !sub.is_empty() {
        parts.push(sub);
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
    match (kind.is_empty(), why.is_empty()) {
        (true, _) => String::new(),
        (_, true) => kind,
        _ => format!("{kind}: {why}"),
    }
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
    let manual = state.get("manual") == Some(&Tree::Bool(true));
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
        (
            "by hand",
            if manual {
                "yes".to_owned()
            } else {
                String::new()
            },
        ),
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
mod tests {
    use serde_json::json;

    use super::*;

    fn state(more: serde_json::Value) -> Tree {
        let mut state = json!({
            "rolloutId": "7f3a09c2b1d4", "seq": "17", "route": "chat", "phase": "Progressing",
            "sub": "Analysing", "candidate": {"target": "claude", "hash": "c3d4e5f60718"},
            "plan": {"steps": [{}, {}, {}, {}]}, "step": 1, "share": 5.0,
            "verdict": {"kind": "inconclusive", "why": "too few"}, "startedAt": "T",
        });
        for (field, value) in more.as_object().unwrap() {
            state[field] = value.clone();
        }
        serde_json::from_value(state).unwrap()
    }

    #[test]
    fn where_a_rollout_stands_is_one_line() {
        assert_eq!(
            place(&state(json!({}))),
            "Progressing, step 2 of 4, share 5 %, Analysing"
        );
        let paused = json!({"phase": "Paused", "sub": null, "pauseReasons": ["User", "Blind"], "share": 0.25});
        assert_eq!(
            place(&state(paused)),
            "Paused (User, Blind), step 2 of 4, share 0.25 %"
        );
        let failed = json!({"phase": "Failed", "sub": null, "share": 0, "endedBecause": "errors"});
        assert_eq!(
            told(&state(failed)),
            "chat → claude (rollout 7f3a09c2b1d4, seq 17): Failed, share 0 %; errors"
        );
        assert_eq!(verdict(&state(json!({}))), "inconclusive: too few");
        assert_eq!(verdict(&state(json!({"verdict": null}))), "");
    }

    #[test]
    fn rollouts_are_a_table_and_one_is_a_page() {
        let table = table(&[state(json!({}))]);
        let rows: Vec<Vec<&str>> = table
            .lines()
            .map(|l| l.split_whitespace().collect())
            .collect();
        assert_eq!(rows[0].len(), 9);
        assert_eq!(
            rows[1].join(" "),
            "chat claude 7f3a09c2b1d4 17 Progressing/Analysing 2 of 4 5 % inconclusive T"
        );
        let more =
            json!({"gates": {"go-on": {"open": true}, "x": {}}, "baseWeights": {"gpt": 100.0}});
        let page = page(&state(more));
        for line in [
            "candidate  claude (c3d4e5f60718)\n",
            "gates      go-on open, x closed\n",
            "stable     gpt 100\n",
        ] {
            assert!(page.contains(line), "no {line:?} in\n{page}");
        }
        assert!(!page.contains("ended"), "{page}");
    }

    #[rustfmt::skip]
    #[test]
    fn times_are_as_people_say_them() {
        let table = [
            (0.0, "0s"), (170_000.0, "2m50s"), (120_000.0, "2m"), (11_400.0, "11s"),
            (3_900_000.0, "1h5m"), (7_200_000.0, "2h"), (-5.0, "0s"),
        ];
        for (milliseconds, shown) in table {
            assert_eq!(span(milliseconds), shown);
        }
    }
}
