//! What a board sees of a rollout.

mod counted;
mod flaggers;

use serin_proto::v1;

use super::{
    rows::{Evidence, Row, Weighed},
    *,
};
use crate::{
    analysis::sample::Arms,
    metrics::{Facts, tests::facts},
    rollout::state::{Phase, Sub},
};

const ROUTE: &str = "chat";

fn state(id: &str, phase: Phase) -> State {
    let state = serde_json::json!({
        "rolloutId": id, "seq": "17", "lastHash": "", "route": ROUTE, "salt": "9f2c",
        "candidate": {"target": "claude", "hash": "c3d4e5f60718"},
        "plan": {}, "planHash": "", "phase": "Pending",
        "step": 1, "share": 5.25, "baseWeights": {"gpt": 100},
        "clocks": {"unackedMs": "2500"}, "counters": {},
        "verdict": {"kind": "inconclusive", "why": ""},
        "startedAt": "2026-01-01T00:00:00Z",
    });
    let state: State = serde_json::from_value(state).expect("a state");
    State { phase, ..state }
}

const ANALYSING: Phase = Phase::Progressing(Sub::Analysing);

fn plan() -> Plan {
    let step = |weight, min_samples| v1::RolloutStep {
        weight: Some(weight),
        min_samples: Some(min_samples),
        ..v1::RolloutStep::default()
    };
    let document = v1::Rollout {
        route: ROUTE.to_owned(),
        candidate: "claude".to_owned(),
        steps: vec![step(1.0, 100), step(5.25, 300), step(50.0, 1_000)],
        ..v1::Rollout::default()
    };
    Plan::compile(&document).expect("a plan")
}

/// Tells a rollout, and everything that is told of its work.
pub(in crate::metrics) fn tell_all(metrics: &Metrics) {
    tell(metrics, &state("7f3a09c2b1d4", ANALYSING));
    metrics.verdict(ROUTE, Verdict::Pass);
    metrics.query(Duration::from_millis(3), None);
    metrics.webhook("event", WebhookResult::Ok, Duration::from_millis(3));
}

/// Metrics whose rollout stands so, with some evidence.
fn told(state: &State) -> std::sync::Arc<Metrics> {
    let metrics = Metrics::new("0", "0");
    tell(&metrics, state);
    metrics
}

fn tell(metrics: &Metrics, state: &State) {
    metrics.rollout(state, &plan());
    let row = Row {
        metric: "errors".to_owned(),
        samples: arms(Some(164), Some(4)),
        rate: arms(Some(0.0125), Some(0.25)),
        said: None,
        limit: Some(0.255),
        harm: Some(weighed(-0.5, 5.116)),
        certificate: Some(weighed(1.5, 2.996)),
    };
    let without_samples = Row {
        metric: "request-success-rate".to_owned(),
        samples: arms(Some(0), Some(0)),
        ..Row::default()
    };
    metrics.rollouts.with(ROUTE, |route| {
        let shown = route.shown.as_mut().expect("it was just told");
        shown.evidence = Evidence {
            rows: vec![row, without_samples],
            total: Some(weighed(-0.25, 4.605)),
            sample_ratio_alarm: true,
            restarts: 0,
        };
    });
}

fn arms<T>(canary: T, stable: T) -> Arms<T> {
    Arms { canary, stable }
}

fn weighed(log: f64, threshold: f64) -> Weighed {
    Weighed { log, threshold }
}

fn told_to(facts: Facts, metrics: &Metrics) -> String {
    metrics.text(&facts)
}

fn text(metrics: &Metrics) -> String {
    told_to(facts(), metrics)
}

fn says(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(
            text.lines().any(|found| found == *line),
            "{line}\nis not in\n{text}"
        );
    }
}

#[test]
fn a_rollout_is_told_as_it_stands() {
    let metrics = told(&state("7f3a09c2b1d4", ANALYSING));
    metrics.verdict(ROUTE, Verdict::Inconclusive);
    metrics.outbox(3);
    let text = text(&metrics);
    says(
        &text,
        &[
            r#"serin_cp_rollout_info{route="chat",rollout="7f3a09c2b1d4",candidate="claude"} 1"#,
            r#"serin_cp_rollout_phase{route="chat",phase="progressing"} 1"#,
            r#"serin_cp_rollout_phase{route="chat",phase="paused"} 0"#,
            r#"serin_cp_rollout_verdict{route="chat",verdict="inconclusive"} 1"#,
            r#"serin_cp_rollout_verdict{route="chat",verdict="pass"} 0"#,
            r#"serin_cp_rollout_paused{route="chat",reason="metrics_unavailable"} 0"#,
            r#"serin_cp_rollout_step{route="chat"} 1"#,
            r#"serin_cp_rollout_steps{route="chat"} 3"#,
            r#"serin_cp_rollout_share_ratio{route="chat"} 0.0525"#,
            r#"serin_cp_rollout_samples_required{route="chat"} 300"#,
            r#"serin_cp_rollout_ack_lag_seconds{route="chat"} 2.5"#,
            r#"serin_cp_rollout_sample_ratio_alarm{route="chat"} 1"#,
            r#"serin_cp_rollout_samples{route="chat",metric="errors",arm="canary"} 164"#,
            r#"serin_cp_rollout_samples{route="chat",metric="request-success-rate",arm="stable"} 0"#,
            r#"serin_cp_rollout_rate_ratio{route="chat",metric="errors",arm="stable"} 0.25"#,
            r#"serin_cp_rollout_limit_ratio{route="chat",metric="errors"} 0.255"#,
            r#"serin_cp_rollout_log_evidence{route="chat",metric="errors"} -0.5"#,
            r#"serin_cp_rollout_log_evidence{route="chat",metric="total"} -0.25"#,
            r#"serin_cp_rollout_log_evidence_threshold{route="chat",metric="total"} 4.605"#,
            r#"serin_cp_rollout_log_certificate{route="chat",metric="errors"} 1.5"#,
            r#"serin_cp_rollout_log_certificate_threshold{route="chat",metric="errors"} 2.996"#,
            "serin_cp_outbox_pending 3",
        ],
    );
    let of_nothing = r#"rate_ratio{route="chat",metric="request-success-rate""#;
    assert!(!text.contains(of_nothing), "no samples, no rate\n{text}");
    let at = r#"serin_cp_rollout_last_evaluation_timestamp_seconds{route="chat"} 1"#;
    assert!(text.contains(at), "{text}");
}

#[test]
fn before_the_first_step_the_step_is_minus_one() {
    let mut pending = state("7f3a09c2b1d4", Phase::Pending);
    (pending.step, pending.share, pending.verdict) = (None, 0.0, None);
    let text = text(&told(&pending));
    says(
        &text,
        &[
            r#"serin_cp_rollout_step{route="chat"} -1"#,
            r#"serin_cp_rollout_share_ratio{route="chat"} 0"#,
            r#"serin_cp_rollout_verdict{route="chat",verdict="pass"} 0"#,
        ],
    );
}

#[test]
fn every_phase_reason_and_decision_has_a_word_of_its_label_set() {
    use serin_proto::metric::control_plane::rollout::PHASES;
    let sub = Sub::Warming;
    let phases = [
        Phase::Pending,
        Phase::WaitingRollout,
        Phase::Preflight,
        Phase::Progressing(sub),
        Phase::Paused,
        Phase::WaitingPromotion,
        Phase::Promoting(sub),
        Phase::Baking(sub),
        Phase::Succeeded,
        Phase::Failed,
        Phase::Aborted,
        Phase::Superseded,
    ];
    assert_eq!(phases.map(shown::phase), PHASES);
    let reasons = [
        PauseReason::User,
        PauseReason::Suspended,
        PauseReason::Inconclusive,
        PauseReason::MetricsUnavailable,
        PauseReason::RoutersLagging,
        PauseReason::StoreChanged,
        PauseReason::Blind,
        PauseReason::Frozen,
    ];
    assert_eq!(reasons.map(shown::reason), PAUSE_REASONS);
    let decisions = [
        Decision::Hold,
        Decision::Advance,
        Decision::Pause,
        Decision::Promote,
        Decision::StepBack,
        Decision::RollBack,
    ];
    assert_eq!(decisions.map(shown::decision), DECISION_WORDS);
}
