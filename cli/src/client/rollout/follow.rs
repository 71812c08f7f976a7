//! One rollout until it has ended: a line for each change, or a view that is drawn again.
//!
//! It looks every second: what is shown is what a look says, so a lost connection loses nothing.

use std::time::Duration;

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
/// Nothing behind the cursor on its line; and nothing below it either.
const CLEAR_LINE: &str = "\u{1b}[K";
const CLEAR_BELOW: &str = "\u{1b}[J";

/// `serin rollout status --watch`: the lines go to stderr, the end to stdout.
pub(super) async fn status(api: &Api, id: &str, status: &Status) -> Result<(), Failed> {
    let mut lines = Lines::default();
    let path = format!("/rollouts/{id}");
    let show = |state: &Tree| {
        if let Some(line) = lines.next(state) {
            output::note(line);
        }
        Ok(())
    };
    let end = follow(api, &path, Some(status.timeout), show).await?;
    print(&end, status.answer.output)?;
    judged(&end)
}

/// `serin rollout watch`
pub(super) async fn watch(watch: &Watch) -> Result<(), Failed> {
    let api = Api::new(&watch.server)?;
    let id = find(&api, &watch.which).await?;
    let path = format!("/rollouts/{id}/analysis");
    let mut lines = Lines::default();
    let mut view = View::default();
    let show = |analysis: &Tree| {
        // Asked each time: a window may become another size.
        if let Some((columns, rows)) = output::terminal() {
            let frame = frame::of(analysis, columns, output::may_paint());
            return output::print(&view.next(&frame, rows));
        }
        lines
            .next(analysis)
            .map_or(Ok(()), |line| output::print(&line))
    };
    tokio::select! {
        end = follow(&api, &path, None, show) => judged(&end?),
        () = output::unread() => Err(Failed::Unread),
    }
}

/// The picture on the terminal, drawn over itself: what was there before stays above it.
#[derive(Default)]
struct View {
    /// Lines drawn last.
    drawn: usize,
}

impl View {
    /// What draws `frame` where the last one was; more than a screen has no room for is left out.
    fn next(&mut self, frame: &[String], rows: usize) -> String {
        let mut text = String::new();
        if self.drawn > 0 {
            text += &format!("\u{1b}[{}A\r", self.drawn);
        }
        let room = rows.saturating_sub(1).max(1);
        self.drawn = frame.len().min(room);
        for (at, line) in frame.iter().take(room).enumerate() {
            let is_last = at + 1 == self.drawn;
            let clear = if is_last { CLEAR_BELOW } else { CLEAR_LINE };
            text += &format!("{line}{clear}\n");
        }
        text
    }
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
                    output::note(format_args!("{}; trying again", Failed::from(refused)));
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

/// How a rollout has ended, as an exit code. A promotion that was taken back is none.
fn judged(end: &Tree) -> Result<(), Failed> {
    if words::text(end, "phase") == "Succeeded" && !words::is_undone(end) {
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
        let hand = words::by_hand(state);
        let mut line = format!("{}  {}  {place}", moment(), words::what(state));
        if !verdict.is_empty() {
            line += &format!("  {verdict}");
        }
        let because = words::because(state);
        if words::text(state, "phase") == "Paused" && !hand.is_empty() {
            line += &format!("  {hand}");
        }
        // A verdict that ended it says it already.
        if !because.is_empty() && !verdict.contains(&because) {
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
        let later = |exposed: u64| {
            let mut later = serde_json::to_value(state("Progressing", "pass", "")).unwrap();
            later["exposureMs"] = exposed.into();
            serde_json::from_value::<Tree>(later).unwrap()
        };
        assert!(lines.next(&later(1_000)).is_none(), "time alone is no line");
        assert!(lines.next(&later(2_000)).is_none(), "time alone is no line");
        let mut ended = serde_json::to_value(state("Failed", "fail", "errors")).unwrap();
        ended["endedBecause"] = "errors".into();
        let line = lines.next(&serde_json::from_value(ended).unwrap()).unwrap();
        assert!(
            line.ends_with("chat → b  Failed, share 5 %  fail: errors"),
            "{line}"
        );
    }

    #[test]
    fn a_view_is_drawn_over_the_last_one_and_leaves_what_was_above() {
        let mut view = View::default();
        let lines = |n: usize| (1..=n).map(|n| n.to_string()).collect::<Vec<_>>();
        let first = view.next(&lines(2), 24);
        assert_eq!(first, "1\u{1b}[K\n2\u{1b}[J\n");
        assert!(view.next(&lines(30), 24).starts_with("\u{1b}[2A\r1"));
        let third = view.next(&lines(3), 24);
        assert!(third.starts_with("\u{1b}[23A\r1"), "{third:?}");
        assert!(!third.contains("[2J") && !third.contains("[H"), "{third:?}");
    }

    #[test]
    fn only_a_promotion_is_a_success() {
        assert!(judged(&state("Succeeded", "pass", "")).is_ok());
        let undone = json!({"phase": "Succeeded", "undone": true});
        let undone = judged(&serde_json::from_value(undone).unwrap());
        assert!(matches!(undone, Err(Failed::Rollout(_))), "{undone:?}");
        for phase in ["Failed", "Aborted", "Superseded"] {
            let failed = judged(&state(phase, "fail", "")).unwrap_err();
            assert!(matches!(failed, Failed::Rollout(_)), "{phase}: {failed:?}");
        }
    }
}
