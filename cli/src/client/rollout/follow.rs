//! One rollout until it has ended: a line for each change, or a view that is drawn again.
//!
//! It looks every second: what is shown is what a look says, so a lost connection loses nothing.

use std::{
    io::{self, IsTerminal as _},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::{find, frame, print, words};
use crate::{
    args::rollout::{Status, Watch},
    client::{Api, api::Refused},
    clock,
    exit::Failed,
    output,
    tree::Tree,
};

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// To the top left, and nothing below.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

/// `serin rollout status --watch`: the lines go to stderr, the end to stdout.
pub(super) async fn status(api: &Api, id: &str, status: &Status) -> Result<(), Failed> {
    let mut lines = Lines::default();
    let path = format!("/rollouts/{id}");
    let show = |state: &Tree| {
        if let Some(line) = lines.next(state) {
            eprintln!("{line}");
        }
        Ok(())
    };
    let end = follow(api, &path, Some(status.timeout), show).await?;
    print(&end, status.output)?;
    judged(&end)
}

/// `serin rollout watch`
pub(super) async fn watch(watch: &Watch) -> Result<(), Failed> {
    let api = Api::new(&watch.server)?;
    let id = find(&api, &watch.which).await?;
    let path = format!("/rollouts/{id}/analysis");
    let mut lines = Lines::default();
    let is_terminal = io::stdout().is_terminal();
    let paints = is_terminal && output::may_paint();
    let show = |analysis: &Tree| {
        if is_terminal {
            return output::print(&format!("{CLEAR}{}", frame::of(analysis, paints)));
        }
        lines
            .next(analysis)
            .map_or(Ok(()), |line| output::print(&line))
    };
    let end = follow(&api, &path, None, show).await?;
    judged(&end)
}

/// Looks until it has ended. Who does not answer for a while is asked again; time that is over is
/// [`Failed::TimedOut`].
async fn follow(
    api: &Api,
    path: &str,
    patience: Option<Duration>,
    mut show: impl FnMut(&Tree) -> Result<(), Failed>,
) -> Result<Tree, Failed> {
    let deadline = patience.map(|patience| Instant::now() + patience);
    let mut last = None;
    let mut is_away = false;
    loop {
        match api.get(path).await {
            Ok(answer) => {
                let state = answer.tree()?;
                show(&state)?;
                if words::has_ended(&state) {
                    return Ok(state);
                }
                (last, is_away) = (Some(state), false);
            }
            Err(refused) if last.is_some() && is_passing(&refused) => {
                if !is_away {
                    eprintln!("{}; trying again", Failed::from(refused));
                }
                is_away = true;
            }
            Err(refused) => return Err(refused.into()),
        }
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            let stands = last.as_ref().map(words::told).unwrap_or_default();
            let patience = patience.unwrap_or_default().as_secs();
            let text = format!("not ended after {patience} s: {stands}");
            return Err(Failed::TimedOut(text));
        }
        sleep(left.map_or(PAUSE, |left| left.min(PAUSE))).await;
    }
}

fn is_passing(refused: &Refused) -> bool {
    refused
        .status()
        .is_none_or(|status| status.is_server_error())
}

/// How a rollout has ended, as an exit code.
fn judged(end: &Tree) -> Result<(), Failed> {
    if words::text(end, "phase") == "Succeeded" {
        Ok(())
    } else {
        Err(Failed::Rollout(words::told(end)))
    }
}

/// A line for each change that people want to hear of; evidence alone is none.
#[derive(Default)]
struct Lines {
    last: String,
}

impl Lines {
    fn next(&mut self, state: &Tree) -> Option<String> {
        let place = words::place(state);
        let kind = words::text(state, "verdict/kind");
        let now = format!("{place} {kind}");
        if now == self.last {
            return None;
        }
        self.last = now;
        let verdict = words::verdict(state);
        let mut line = format!("{}  {}  {place}", moment(), words::what(state));
        if !verdict.is_empty() {
            line += &format!("  {verdict}");
        }
        let because = words::because(state);
        if !because.is_empty() {
            line += &format!("  {because}");
        }
        Some(line)
    }
}

/// `17:23:49Z`
fn moment() -> String {
    let now = clock::now();
    let (hour, minute, second) = (now.hour(), now.minute(), now.second());
    format!("{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn state(phase: &str, verdict: &str, why: &str) -> Tree {
        let state = json!({
            "route": "chat", "candidate": {"target": "b"}, "phase": phase, "share": 5,
            "verdict": {"kind": verdict, "why": why},
        });
        serde_json::from_value(state).unwrap()
    }

    #[test]
    fn evidence_that_grows_is_no_line_and_a_change_is_one() {
        let mut lines = Lines::default();
        assert!(
            lines
                .next(&state("Progressing", "inconclusive", "1 of 9"))
                .is_some()
        );
        assert!(
            lines
                .next(&state("Progressing", "inconclusive", "2 of 9"))
                .is_none()
        );
        assert!(lines.next(&state("Progressing", "pass", "")).is_some());
        let line = lines.next(&state("Failed", "fail", "errors")).unwrap();
        assert!(
            line.ends_with("chat → b  Failed, share 5 %  fail: errors"),
            "{line}"
        );
    }

    #[test]
    fn only_a_promotion_is_a_success() {
        assert!(judged(&state("Succeeded", "pass", "")).is_ok());
        for phase in ["Failed", "Aborted", "Superseded"] {
            let failed = judged(&state(phase, "fail", "")).unwrap_err();
            assert!(matches!(failed, Failed::Rollout(_)), "{phase}: {failed:?}");
        }
    }
}
