//! What is counted of rollouts, from a start to an hour after the end, and by whom it is told.

use super::*;

#[test]
fn counters_are_there_at_0_when_a_rollout_starts_and_count_what_happens() {
    let metrics = told(&state("7f3a09c2b1d4", Phase::Pending));
    let before = text(&metrics);
    says(
        &before,
        &[
            r#"serin_cp_verdicts_total{route="chat",verdict="fail"} 0"#,
            r#"serin_cp_decisions_total{route="chat",decision="roll_back"} 0"#,
            r#"serin_cp_rollout_transitions_total{route="chat",transition="t17a"} 0"#,
            r#"serin_cp_rollout_completed_total{route="chat",result="undone"} 0"#,
            r#"serin_cp_rollout_evidence_restarts_total{route="chat"} 0"#,
            r#"serin_cp_rollout_duration_seconds_count{result="failed"} 0"#,
            r#"serin_cp_metrics_query_errors_total{reason="ambiguous"} 0"#,
        ],
    );
    assert!(
        !before.contains("serin_cp_metrics_source_up"),
        "nobody asked it"
    );
    metrics.verdict(ROUTE, Verdict::Fail);
    let (now, plan_now) = (state("7f3a09c2b1d4", ANALYSING), plan());
    metrics.stepped((&now, &plan_now), "t9", Decision::RollBack);
    metrics.stepped((&now, &plan_now), "checkpoint", Decision::Hold);
    let mut redefined = state("7f3a09c2b1d4", Phase::Pending);
    redefined.analysis.restarts = 1;
    metrics.rollout(&redefined, &plan());
    metrics.tick(Duration::from_millis(3));
    metrics.query(Duration::from_millis(3), Some(Trouble::Connect));
    metrics.webhook(
        "confirm-rollout",
        WebhookResult::Wait,
        Duration::from_secs(1),
    );
    let after = text(&metrics);
    says(
        &after,
        &[
            r#"serin_cp_verdicts_total{route="chat",verdict="fail"} 1"#,
            r#"serin_cp_verdicts_total{route="chat",verdict="error"} 0"#,
            r#"serin_cp_decisions_total{route="chat",decision="roll_back"} 1"#,
            r#"serin_cp_decisions_total{route="chat",decision="hold"} 1"#,
            r#"serin_cp_rollout_transitions_total{route="chat",transition="t9"} 1"#,
            r#"serin_cp_rollout_evidence_restarts_total{route="chat"} 1"#,
            r#"serin_cp_tick_duration_seconds_bucket{le="0.005"} 1"#,
            r#"serin_cp_metrics_query_errors_total{reason="connect"} 1"#,
            "serin_cp_metrics_source_up 0",
            r#"serin_cp_webhook_requests_total{type="confirm-rollout",result="wait"} 1"#,
            r#"serin_cp_webhook_requests_total{type="confirm-rollout",result="ok"} 0"#,
            r#"serin_cp_webhook_duration_seconds_count{type="confirm-rollout"} 1"#,
        ],
    );
    assert!(!after.contains("checkpoint"), "no transition");
    metrics.query(Duration::from_millis(3), Some(Trouble::Partial));
    says(&text(&metrics), &["serin_cp_metrics_source_up 1"]);
    metrics.verdict("another", Verdict::Pass);
    assert!(!text(&metrics).contains("another"), "it is not told");
}

#[test]
fn how_a_rollout_ended_is_counted_once_whoever_committed_the_end() {
    let mut ended = state("7f3a09c2b1d4", Phase::Aborted);
    ended.ended_at = "2026-01-01T00:04:00Z".to_owned();
    let metrics = told(&state("7f3a09c2b1d4", ANALYSING));
    for _ in 0..3 {
        metrics.rollout(&ended, &plan());
    }
    says(
        &text(&metrics),
        &[
            r#"serin_cp_rollout_completed_total{route="chat",result="aborted"} 1"#,
            r#"serin_cp_rollout_duration_seconds_sum{result="aborted"} 240"#,
            r#"serin_cp_rollout_duration_seconds_bucket{result="aborted",le="300.0"} 1"#,
            r#"serin_cp_rollout_phase{route="chat",phase="aborted"} 1"#,
        ],
    );
    let mut next = state("0a1b2c3d4e5f", Phase::Pending);
    next.started_at = "2026-01-01T01:00:00Z".to_owned();
    metrics.rollout(&next, &plan());
    let after = text(&metrics);
    let none = r#"serin_cp_rollout_completed_total{route="chat",result="superseded"} 0"#;
    says(&after, &[none]);
    assert!(!after.contains("7f3a09c2b1d4"), "one at a time");
    let mut third = state("111111111111", Phase::Pending);
    third.started_at = "2026-01-01T01:01:00Z".to_owned();
    metrics.rollout(&third, &plan());
    says(
        &text(&metrics),
        &[
            r#"serin_cp_rollout_completed_total{route="chat",result="superseded"} 1"#,
            r#"serin_cp_rollout_duration_seconds_sum{result="superseded"} 60"#,
        ],
    );
}

#[test]
fn a_state_that_is_told_late_opens_no_rollout_again_that_has_ended() {
    let running = state("7f3a09c2b1d4", ANALYSING);
    let ended = State {
        seq: running.seq + 1,
        ..state("7f3a09c2b1d4", Phase::Aborted)
    };
    let metrics = told(&running);
    metrics.stepped((&ended, &plan()), "t10", Decision::RollBack);
    for late in [&running, &ended, &running] {
        metrics.rollout(late, &plan());
        metrics.stepped((late, &plan()), "checkpoint", Decision::Hold);
    }
    says(
        &text(&metrics),
        &[
            r#"serin_cp_rollout_completed_total{route="chat",result="aborted"} 1"#,
            r#"serin_cp_rollout_transitions_total{route="chat",transition="t10"} 1"#,
            r#"serin_cp_rollout_phase{route="chat",phase="aborted"} 1"#,
        ],
    );
}

#[test]
fn a_promotion_that_was_taken_back_is_counted_once_beside_its_success() {
    let metrics = told(&state("7f3a09c2b1d4", ANALYSING));
    let succeeded = state("7f3a09c2b1d4", Phase::Succeeded);
    let undone = State {
        undone: true,
        ..succeeded.clone()
    };
    for state in [&succeeded, &undone, &undone] {
        metrics.rollout(state, &plan());
    }
    says(
        &text(&metrics),
        &[
            r#"serin_cp_rollout_completed_total{route="chat",result="succeeded"} 1"#,
            r#"serin_cp_rollout_completed_total{route="chat",result="undone"} 1"#,
        ],
    );
}

#[test]
fn an_end_that_is_the_first_that_a_leader_hears_of_a_rollout_is_counted() {
    let metrics = Metrics::new("0", "0");
    let undone = State {
        undone: true,
        ..state("7f3a09c2b1d4", Phase::Succeeded)
    };
    for _ in 0..2 {
        metrics.stepped((&undone, &plan()), "t20", Decision::RollBack);
    }
    says(
        &text(&metrics),
        &[
            r#"serin_cp_rollout_completed_total{route="chat",result="undone"} 1"#,
            r#"serin_cp_rollout_completed_total{route="chat",result="succeeded"} 0"#,
        ],
    );
}

#[test]
fn the_leader_alone_tells_rollouts_and_forgets_them_when_it_leads_no_more() {
    let metrics = told(&state("7f3a09c2b1d4", ANALYSING));
    metrics.query(Duration::from_millis(3), None);
    let follower = Facts {
        leads: false,
        flagger_aliases: true,
        ..facts()
    };
    let quiet = told_to(follower, &metrics);
    for hidden in [
        "serin_cp_rollout",
        "serin_cp_verdicts",
        "serin_cp_decisions",
        "flagger_",
    ] {
        assert!(!quiet.contains(hidden), "{hidden}\n{quiet}");
    }
    assert!(!quiet.contains("source_up"), "another one asks it now");
    metrics.rollouts_dropped();
    assert!(
        !text(&metrics).contains("chat"),
        "led again, nothing is left over"
    );
    metrics.rollout(&state("7f3a09c2b1d4", ANALYSING), &plan());
    metrics.rollout_gone(ROUTE);
    assert!(!text(&metrics).contains("chat"), "deleted");
}

#[test]
fn an_hour_after_its_end_a_rollout_is_told_no_more() {
    let metrics = told(&state("7f3a09c2b1d4", Phase::Succeeded));
    let ended = metrics.rollouts.lock()[ROUTE].ended.expect("it has ended");
    let seen_after = |seconds| {
        let now = ended + Duration::from_secs(seconds);
        told_to(Facts { now, ..facts() }, &metrics).contains("chat")
    };
    assert_eq!(
        [seen_after(0), seen_after(3_600), seen_after(3_601)],
        [true, true, false]
    );
}

#[test]
fn a_pause_is_measured_reason_by_reason() {
    let metrics = Metrics::new("0", "0");
    let rollouts = &metrics.rollouts;
    let (mut route, start) = (Route::default(), clock::now());
    let paused = |reasons: &[PauseReason]| {
        let phase = if reasons.is_empty() {
            ANALYSING
        } else {
            Phase::Paused
        };
        let mut state = state("7f3a09c2b1d4", phase);
        state.pause_reasons = reasons.to_vec();
        Shown::of(&state, &plan())
    };
    let story: [(u64, &[PauseReason]); 5] = [
        (0, &[]),
        (10, &[PauseReason::User]),
        (70, &[PauseReason::User, PauseReason::Blind]),
        (110, &[PauseReason::Blind]),
        (400, &[]),
    ];
    for (at, reasons) in story {
        rollouts.show(&mut route, paused(reasons), start + Duration::from_secs(at));
    }
    says(
        &text(&metrics),
        &[
            r#"serin_cp_rollout_paused_seconds_sum{reason="user"} 100"#,
            r#"serin_cp_rollout_paused_seconds_sum{reason="blind"} 330"#,
            r#"serin_cp_rollout_paused_seconds_bucket{reason="blind",le="300.0"} 0"#,
            r#"serin_cp_rollout_paused_seconds_count{reason="blind"} 1"#,
            r#"serin_cp_rollout_paused_seconds_count{reason="frozen"} 0"#,
        ],
    );
}
