//! What is in the records of a history. Pure.

use serde_json::Value;

use super::number;

/// A record's transition.
pub fn name(record: &Value) -> &str {
    record["transition"].as_str().unwrap_or_default()
}

/// Names of the transitions, checkpoints left out.
pub fn transitions(records: &[Value]) -> Vec<String> {
    let names = records.iter().map(name);
    names
        .filter(|name| *name != "checkpoint")
        .map(str::to_owned)
        .collect()
}

/// How often a transition was made.
pub fn count(records: &[Value], transition: &str) -> usize {
    let made = records.iter().filter(|record| name(record) == transition);
    made.count()
}

/// Whether each record follows the one before, and none is missing.
pub fn is_gapless(records: &[Value]) -> bool {
    let seq = |record: &Value| number(&record["seq"]);
    let mut pairs = records.windows(2);
    pairs.all(|pair| seq(&pair[1]) == seq(&pair[0]) + 1)
}

/// How often somebody decided so.
pub fn decisions(records: &[Value], decision: &str) -> usize {
    let made = records
        .iter()
        .filter(|record| record["decision"] == decision);
    made.count()
}

/// The events that records keep; those since the newest one are the state's.
pub fn events<'a>(records: impl IntoIterator<Item = &'a Value>) -> impl Iterator<Item = &'a Value> {
    let kept = |record: &'a Value| record["events"].as_array().into_iter().flatten();
    records.into_iter().flat_map(kept)
}

/// The window that an event read, if it read one.
pub fn window(event: &Value) -> Option<&Value> {
    event.pointer("/event/tick/reading/window")
}

/// From and to of a window, in the source's milliseconds.
pub fn span(window: &Value) -> (u64, u64) {
    (number(&window["from"]), number(&window["to"]))
}

/// Samples and errors that a window counted for an arm (`c` or `s`).
pub fn counts(window: &Value, arm: &str) -> (u64, u64) {
    let counts = &window["counts"]["errors"][0][arm];
    (number(&counts[0]), number(&counts[1]))
}

/// What was done at one share.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Exposure {
    /// In percent.
    pub share: f64,
    /// Samples of the canary.
    pub samples: u64,
    /// By its windows, in the source's milliseconds.
    pub lasting_ms: u64,
}

/// The exposures of a history that were left, oldest first.
pub fn exposures(records: &[Value]) -> Vec<Exposure> {
    let mut left = Vec::new();
    let mut now = Exposure::default();
    for record in records {
        for window in events([record]).filter_map(window) {
            let (from, to) = span(window);
            now.samples += counts(window, "c").0;
            now.lasting_ms += to - from;
        }
        let share = record["after"]["share"].as_f64().unwrap_or(0.0);
        if share != now.share {
            left.push(now);
            now = Exposure {
                share,
                ..Exposure::default()
            };
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(seq: u64, share: f64, windows: &[(u64, u64, u64)]) -> Value {
        let event = |(from, to, samples): &(u64, u64, u64)| {
            let counts = json!({"errors": [{"c": [samples, 0], "s": [9, 0]}]});
            let window = json!({"from": from.to_string(), "to": to, "counts": counts});
            json!({"event": {"tick": {"reading": {"window": window}}}})
        };
        let events: Vec<Value> = windows.iter().map(event).collect();
        json!({"seq": seq, "after": {"share": share}, "events": events})
    }

    #[test]
    fn an_exposure_has_the_windows_until_its_share_is_left() {
        let records = [
            record(1, 0.0, &[]),
            record(2, 5.0, &[]),
            record(3, 5.0, &[(10, 20, 3)]),
            record(4, 25.0, &[(20, 25, 4)]),
        ];
        let left = exposures(&records);
        let of = |share, samples, lasting_ms| Exposure {
            share,
            samples,
            lasting_ms,
        };
        assert_eq!(left, [of(0.0, 0, 0), of(5.0, 7, 15)]);
        assert!(is_gapless(&records));
        assert!(!is_gapless(&[records[0].clone(), records[2].clone()]));
    }
}
