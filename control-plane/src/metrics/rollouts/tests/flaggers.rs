//! The same rollouts for boards that were made for Flagger.

use std::collections::BTreeSet;

use serin_proto::metric::control_plane::flagger;

use super::*;

#[test]
fn flaggers_words_are_told_if_they_are_asked_for() {
    let metrics = told(&state("7f3a09c2b1d4", ANALYSING));
    assert!(!text(&metrics).contains("flagger_"), "off");
    let asked = || {
        let facts = Facts {
            flagger_aliases: true,
            ..facts()
        };
        told_to(facts, &metrics)
    };
    let running = asked();
    says(
        &running,
        &[
            r#"flagger_canary_status{name="chat",namespace="serin"} 0"#,
            r#"flagger_canary_weight{workload="chat",namespace="serin"} 5.25"#,
            r#"flagger_canary_weight{workload="chat-primary",namespace="serin"} 94.75"#,
            r#"flagger_canary_total{namespace="serin"} 1"#,
            r#"flagger_canary_duration_seconds_count{name="chat",namespace="serin"} 0"#,
        ],
    );
    let told: BTreeSet<&str> = families(&running)
        .into_iter()
        .filter(|name| name.starts_with("flagger_"))
        .collect();
    let all: BTreeSet<&str> = flagger::ALL.iter().map(|metric| metric.name).collect();
    assert_eq!(told, all);
    let mut ended = state("7f3a09c2b1d4", Phase::Succeeded);
    ended.ended_at = "2026-01-01T01:00:00Z".to_owned();
    metrics.rollout(&ended, &plan());
    says(
        &asked(),
        &[
            r#"flagger_canary_status{name="chat",namespace="serin"} 1"#,
            r#"flagger_canary_duration_seconds_sum{name="chat",namespace="serin"} 3600"#,
            r#"flagger_canary_successes_total{name="chat",namespace="serin",deployment_strategy="canary",analysis_status="completed"} 1"#,
            r#"flagger_canary_successes_total{name="chat",namespace="serin",deployment_strategy="canary",analysis_status="skipped"} 0"#,
            r#"flagger_canary_failures_total{name="chat",namespace="serin",deployment_strategy="canary",analysis_status="completed"} 0"#,
        ],
    );
}

fn families(text: &str) -> BTreeSet<&str> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.filter_map(|line| line.split(' ').next()).collect()
}
