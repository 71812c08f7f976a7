//! What a dry run tells of a plan: its steps, and how they would go at the traffic of now. Pure.

use super::words::{number, percent, span, text};
use crate::{output, tree::Tree};

/// The steps as a table, and what comes after them.
pub(super) fn table(planned: &Tree) -> String {
    let steps = list(planned, "plan/steps");
    let forecasts = list(planned, "forecast/steps");
    let row = |(index, step): (usize, &Tree)| {
        let forecast = forecasts.get(index).unwrap_or(&Tree::Null);
        let mut samples = text(step, "minSamples");
        if step.get("certificate") == Some(&Tree::Bool(true)) {
            samples += ", certificate";
        }
        [
            (index + 1).to_string(),
            format!("{} %", percent(number(step, "weight"))),
            time(step, "minDurationMs"),
            samples,
            time(forecast, "leastMs"),
            found(forecast),
            text(step, "gate"),
        ]
    };
    let rows: Vec<[String; 7]> = steps.iter().enumerate().map(row).collect();
    let head = [
        "STEP",
        "SHARE",
        "AT LEAST",
        "SAMPLES",
        "AT THIS TRAFFIC",
        "FINDS ERRORS OF … WITHIN",
        "GATE",
    ];
    let mut told = output::table(head, &rows);
    match number(planned, "present/perSecond") {
        Some(rate) if rate > 0.0 => {
            told += &format!(
                "this traffic is the mean of the last 10 min: {}/s\n",
                rate_of(rate)
            );
        }
        Some(_) => told += "no traffic yet: how long the steps take at it cannot be told\n",
        None => {}
    }
    for (name, told_of) in [
        ("promotion gate", text(planned, "plan/promotion/gate")),
        ("webhooks", webhooks(planned)),
    ] {
        if !told_of.is_empty() {
            told += &format!("{name}: {told_of}\n");
        }
    }
    let bake = time(planned, "plan/bakeMs");
    let held = percent(number(planned, "plan/holdback"));
    told += &format!("then {held} % held back for {bake} (bake)");
    let least = [
        time(planned, "forecast/leastMs"),
        time(planned, "plan/leastDurationMs"),
    ];
    if let Some(least) = least.into_iter().find(|least| !least.is_empty()) {
        told += &format!("; in all at least {least}");
    }
    told + "\n"
}

/// What of the plan could not be asked.
pub(super) fn problems(planned: &Tree) -> Vec<String> {
    let faults = list(planned, "queryFaults").iter().map(Tree::to_string);
    let source = text(planned, "sourceProblem");
    let source = (!source.is_empty()).then_some(source);
    faults.chain(source).collect()
}

/// `approve (confirm-promotion), load (rollout)`
fn webhooks(planned: &Tree) -> String {
    let each = list(planned, "plan/webhooks").iter().map(|hook| {
        let [name, kind] = ["name", "type"].map(|field| text(hook, field));
        format!("{name} ({kind})")
    });
    each.collect::<Vec<_>>().join(", ")
}

/// `1.1`, `0.02`, `120`
fn rate_of(per_s: f64) -> String {
    match per_s {
        rate if rate >= 10.0 => format!("{rate:.0}"),
        rate if rate >= 0.1 => format!("{rate:.1}"),
        rate => format!("{rate:.3}"),
    }
}

/// `5 % 1m55s, 100 % 10s`
fn found(forecast: &Tree) -> String {
    let each = list(forecast, "detections").iter().map(|one| {
        let errors = number(one, "errors").map(|ratio| ratio * 100.0);
        format!("{} % {}", percent(errors), time(one, "ms"))
    });
    each.collect::<Vec<_>>().join(", ")
}

fn time(tree: &Tree, path: &str) -> String {
    number(tree, path).map(span).unwrap_or_default()
}

fn list<'a>(tree: &'a Tree, path: &str) -> &'a [Tree] {
    tree.at(path).map(Tree::items).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plan_is_told_step_by_step_with_what_it_would_take() {
        let planned: Tree = serde_json::from_value(json!({
            "plan": {"steps": [
                {"weight": 5.0, "minDurationMs": 300_000, "minSamples": 300, "gate": "go-on"},
                {"weight": 50.0, "minDurationMs": 600_000, "minSamples": 1000, "certificate": true},
            ], "bakeMs": 900_000, "holdback": 1.0, "leastDurationMs": 1_800_000},
            "forecast": {"steps": [
                {"leastMs": 400_000, "detections": [{"errors": 0.05, "ms": 115_000}, {"errors": 1.0, "ms": 10_000}]},
            ]},
            "queryFaults": ["a"], "sourceProblem": "connect: b",
        }))
        .unwrap();
        let told = table(&planned);
        let rows: Vec<String> = told
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(rows[1], "1 5 % 5m 300 6m40s 5 % 1m55s, 100 % 10s go-on");
        assert_eq!(rows[2], "2 50 % 10m 1000, certificate");
        assert_eq!(
            rows[3],
            "then 1 % held back for 15m (bake); in all at least 30m"
        );
        assert_eq!(problems(&planned), ["a", "connect: b"]);
    }

    #[test]
    fn a_plan_tells_what_its_times_rest_on_and_what_else_holds_it() {
        let told = |rate: f64| {
            let planned = json!({
                "plan": {"steps": [{"weight": 5}], "bakeMs": 0, "holdback": 0,
                    "promotion": {"gate": "go-live"},
                    "webhooks": [{"name": "approve", "type": "confirm-promotion"}]},
                "present": {"perSecond": rate},
            });
            table(&serde_json::from_value(planned).unwrap())
        };
        for part in [
            "this traffic is the mean of the last 10 min: 1.1/s\n",
            "promotion gate: go-live\n",
            "webhooks: approve (confirm-promotion)\n",
        ] {
            assert!(told(1.13).contains(part), "no {part:?} in\n{}", told(1.13));
        }
        assert!(told(0.0).contains("no traffic yet"), "{}", told(0.0));
    }
}
