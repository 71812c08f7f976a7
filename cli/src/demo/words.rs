//! The demo's words. Pure.

use serde_json::Value as Json;

use super::{ROUTE, Told, records::text};
use crate::fit;

/// Where the words of a line that tells its time begin.
const INDENT: usize = 9;

/// How to use it. Every line but the one with the key fits 80 columns.
pub(super) fn introduction(told: &Told) -> String {
    let (at, key, token) = (told.at, &told.key.secret, &told.token.secret);
    let traffic = at.traffic;
    format!(
        "Serin answers. Paste this:\n\n\
         \x20 curl http://{traffic}/v1/chat/completions \\\n\
         \x20   -H 'authorization: Bearer {key}' \\\n\
         \x20   -H 'content-type: application/json' \\\n\
         \x20   -d '{{\"model\": \"{ROUTE}\", \"messages\": [{{\"role\": \"user\", \"content\": \
         \"Hello!\"}}]}}'\n\n\
         Put \"stream\": true into the body for a stream; add -i to see who answered.\n\n\
         \x20 API      http://{traffic}/v1  (base_url of an OpenAI SDK)\n\
         \x20 metrics  http://{}/metrics\n\
         \x20 script   http://{}/__script  (what the simulated provider does)\n\n\
         The rollout, as a live view in another shell:\n\n\
         \x20 export SERIN_SERVER=http://{}\n\
         \x20 export SERIN_TOKEN={token}\n\
         \x20 serin rollout watch {ROUTE}\n",
        at.admin, at.simulator, at.api
    )
}

/// What a record tells; `None`: nothing has happened that people want to hear of.
pub(super) fn happened(record: &Json) -> Option<String> {
    let reason = match text(record, "transition").as_str() {
        "checkpoint" => return None,
        // Its reason names the plan, which nobody here has seen.
        "t1" => "waiting for routers and metrics".to_owned(),
        _ => text(record, "reason"),
    };
    let to = record.get("to").map(phase).unwrap_or_default();
    Some(format!("{to:<24} {reason}"))
}

/// Where a rollout is and what it waits for, in a few words.
pub(super) fn standing(state: &Json) -> String {
    let share = state.get("share").and_then(Json::as_f64);
    let told = state.pointer("/verdict/why").and_then(Json::as_str);
    let why = match (text(state, "sub").as_str(), told) {
        ("Applying", _) => "waiting until every router serves it",
        // Those would be counted for this share though another one chose them.
        ("Warming", _) => "waiting until answers that began before it have ended",
        (_, Some(why)) => why,
        _ => "not judged yet",
    };
    format!("{} at {} %: {why}", phase(state), share.unwrap_or_default())
}

/// `Progressing, warming`
fn phase(at: &Json) -> String {
    match text(at, "sub") {
        sub if sub.is_empty() => text(at, "phase"),
        sub => format!("{}, {}", text(at, "phase"), sub.to_lowercase()),
    }
}

/// A line with its time, broken where a terminal has no room for it.
pub(super) fn timed(seconds: f64, words: &str, width: Option<usize>) -> String {
    let line = format!("{seconds:>6.1}s  {words}");
    match width {
        Some(width) => fit::wrapped(&line, width, INDENT).join("\n"),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn while_it_warms_up_it_says_what_it_waits_for() {
        let state = |sub: &str| {
            json!({"phase": "Progressing", "sub": sub, "share": 5.0,
                "verdict": {"kind": "inconclusive", "why": "errors has 9 of 15 canary samples"}})
        };
        assert_eq!(
            standing(&state("Warming")),
            "Progressing, warming at 5 %: waiting until answers that began before it have ended"
        );
        assert_eq!(
            standing(&state("Analysing")),
            "Progressing, analysing at 5 %: errors has 9 of 15 canary samples"
        );
    }

    #[test]
    fn a_record_is_a_line_and_a_checkpoint_is_none() {
        let record = |transition: &str| {
            let to = json!({"phase": "Progressing", "sub": "Warming"});
            json!({"transition": transition, "to": to, "reason": "plan efd0ebf994e3 begins"})
        };
        assert_eq!(happened(&record("checkpoint")), None);
        let begun = happened(&record("t1")).unwrap();
        assert!(!begun.contains("efd0ebf994e3"), "{begun}");
        let later = happened(&record("t6")).unwrap();
        assert!(
            later.starts_with("Progressing, warming     plan"),
            "{later}"
        );
    }

    #[test]
    fn lines_fit_a_terminal_and_are_whole_for_a_file() {
        let words = "Progressing, analysing at 5 %: errors has 11 of 15 canary samples; at 2.2/s \
                     enough in 2s  (973 answered, 0 failed)";
        let lines = timed(19.7, words, Some(80));
        assert!(lines.lines().count() == 2, "{lines}");
        assert!(lines.lines().all(|line| fit::length(line) <= 80), "{lines}");
        assert_eq!(timed(19.7, words, None), format!("  19.7s  {words}"));
    }
}
