//! What the answer to a start means, in words. Pure.
//!
//! A start begins a rollout, takes the place of a running one, changes the plan of a running one, or
//! changes nothing: whoever started it is told which.

use awc::http::StatusCode;

use super::{
    planned,
    words::{number, percent, place, text, what},
};
use crate::tree::Tree;

/// What has begun, and how to go on.
pub(super) fn begun(state: &Tree, status: StatusCode) -> String {
    let [id, route] = ["rolloutId", "route"].map(|field| text(state, field));
    let (what, place) = (what(state), place(state));
    if is(state, "planChanged") {
        return format!(
            "{what}: rollout {id} goes on with a changed plan, which holds from its next step on: \
             {place}"
        );
    }
    if status != StatusCode::CREATED {
        return format!(
            "{what}: rollout {id} runs with this very plan, nothing was changed: {place}"
        );
    }
    let replaced = superseded(state);
    let replaced = replaced.map_or(String::new(), |other| {
        format!("; it takes the place of {other}, whose share goes to 0")
    });
    format!(
        "{what}: rollout {id} is started{replaced}; routers take it over, then its steps begin\n  \
         watch it:     serin rollout watch {route}\n  or wait:      serin rollout status {route} \
         --watch\n  take it back: serin rollout abort {route}"
    )
}

/// What a dry run has found, line by line.
pub(super) fn foretold(answer: &Tree) -> Vec<String> {
    let id = text(answer, "rollout/rolloutId");
    let problems = answer.get("planned").map(planned::problems);
    let problems = problems.unwrap_or_default();
    let mut lines: Vec<String> = problems
        .iter()
        .map(|problem| format!("warning: {problem}"))
        .collect();
    let verdict = if problems.is_empty() {
        "the plan is good"
    } else {
        "the plan can be read, but its metrics cannot be asked now"
    };
    lines.push(if is(answer, "unchanged") {
        format!("rollout {id} runs with this very plan: a start would change nothing")
    } else if is(answer, "planChanged") {
        format!(
            "{verdict}; rollout {id} would go on with it from its next step on; nothing was changed"
        )
    } else if let Some(other) = superseded(answer) {
        format!(
            "{verdict}; it would take the place of {other}, whose share goes to 0; nothing was \
             started"
        )
    } else {
        format!("{verdict}; nothing was started")
    });
    lines
}

/// `rollout 973e… (mini, 5 %)`
fn superseded(answer: &Tree) -> Option<String> {
    let other = answer
        .get("supersedes")
        .filter(|other| **other != Tree::Null)?;
    let [id, candidate] = ["id", "candidate"].map(|field| text(other, field));
    let share = percent(number(other, "share"));
    Some(format!("rollout {id} ({candidate}, {share} %)"))
}

fn is(answer: &Tree, field: &str) -> bool {
    answer.get(field) == Some(&Tree::Bool(true))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn tree(json: Value) -> Tree {
        serde_json::from_value(json).unwrap()
    }

    fn answered(more: (&str, Value)) -> Tree {
        let mut state = json!({
            "rolloutId": "44ad", "route": "chat", "candidate": {"target": "claude"},
            "phase": "Pending", "share": 0, "rollout": {"rolloutId": "44ad"},
        });
        state[more.0] = more.1;
        tree(state)
    }

    fn other() -> Value {
        json!({"id": "973e", "candidate": "mini", "share": 5.0})
    }

    #[test]
    fn who_starts_is_told_what_it_does_to_the_one_that_runs() {
        let table = [
            (
                ("x", json!(1)),
                201,
                "rollout 44ad is started; routers take it over",
            ),
            (
                ("supersedes", other()),
                201,
                "rollout 44ad is started; it takes the place of rollout 973e (mini, 5 %), whose share goes to 0;",
            ),
            (
                ("planChanged", json!(true)),
                200,
                "rollout 44ad goes on with a changed plan",
            ),
            (
                ("unchanged", json!(true)),
                200,
                "rollout 44ad runs with this very plan, nothing was changed",
            ),
        ];
        for (more, status, words) in table {
            let status = StatusCode::from_u16(status).unwrap();
            let told = begun(&answered(more), status);
            assert!(told.contains(words), "{told}");
        }
    }

    #[test]
    fn a_dry_run_tells_the_same_before_it_happens() {
        let away = json!({"sourceProblem": "Prometheus at http://p cannot be reached"});
        let table = [
            (("x", json!(1)), "the plan is good; nothing was started"),
            (
                ("supersedes", other()),
                "the plan is good; it would take the place of rollout 973e (mini, 5 %), whose share goes to 0; nothing was started",
            ),
            (
                ("planChanged", json!(true)),
                "the plan is good; rollout 44ad would go on with it from its next step on; nothing was changed",
            ),
            (
                ("unchanged", json!(true)),
                "rollout 44ad runs with this very plan: a start would change nothing",
            ),
            (
                ("planned", away),
                "the plan can be read, but its metrics cannot be asked now; nothing was started",
            ),
        ];
        for (more, words) in table {
            let told = foretold(&answered(more));
            assert_eq!(told.last().map(String::as_str), Some(words));
        }
    }
}
