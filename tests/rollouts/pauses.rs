//! People stop a rollout, and what still happens then.

use serde_json::json;
use serin_tests::scripted_prometheus::Traffic;

use crate::plans::{endless, plan, with};
use crate::stage::Stage;
use crate::story::Story;

/// RO35: an hour of ours is six minutes there.
pub(crate) async fn a_pause_is_no_time_and_guards_stay_awake() {
    let stage = Stage::shared().await;
    let mut story = Story::begin(&stage, "ro35", Traffic::healthy(100.0)).await;
    let lasting = with(plan(&[5.0, 25.0]), "/steps/0/minDuration", json!("100s"));
    story.start(&lasting).await;
    story
        .until("it analyses", 60, |seen| {
            seen.analyses(0) && seen.number("/clocks/exposureMs") >= 20_000
        })
        .await;
    let paused = story.does("pause", &json!({"reason": "lunch"})).await;
    assert!(
        paused.is_paused_for("User") && paused.share() == 5.0,
        "{paused:#?}"
    );
    let before = paused.number("/clocks/exposureMs");
    story
        .stays("paused", 12, |seen| {
            seen.is_paused_for("User") && seen.share() == 5.0
        })
        .await;
    let resumed = story.does("resume", &json!({"reason": "back"})).await;
    assert!(resumed.is("Progressing"), "{resumed:#?}");
    let after = resumed.number("/clocks/exposureMs");
    assert!(after <= before + 2 * story.tick_ms(), "{before} {after}");
    let seen = story
        .until("the next step", 60, |seen| seen.0["step"] == 1)
        .await;
    assert_eq!(seen.share(), 25.0);
    let history = story.history().await;
    let at = |name: &str| {
        history
            .iter()
            .position(|record| record["transition"] == name)
    };
    let (resumed, passed) = (at("t14").or(at("t22")), at("t7"));
    assert!(
        resumed.is_some() && resumed < passed,
        "{:?}",
        story.transitions().await
    );

    story
        .until("it analyses", 60, |seen| seen.analyses(1))
        .await;
    story.does("pause", &json!({"reason": "dinner"})).await;
    stage
        .prometheus
        .change("ro35", |traffic| traffic.canary.errors = 1.0);
    story.ends("Failed", 30).await;
    story.is_taken_back().await;
}

/// RO36
pub(crate) async fn a_suspended_rollout_is_moved_by_guards_alone() {
    let stage = Stage::shared().await;
    let mut story = Story::begin(&stage, "ro36", Traffic::healthy(100.0)).await;
    story.start(&endless(&[5.0, 25.0])).await;
    story
        .until("it analyses", 60, |seen| seen.analyses(0))
        .await;
    let paused = story
        .does("pause", &json!({"suspend": true, "reason": "an audit"}))
        .await;
    assert!(paused.is_paused_for("Suspended"), "{paused:#?}");
    stage
        .prometheus
        .change("ro36", |traffic| traffic.canary.errors = 0.3);
    story
        .stays("moved", 15, |seen| {
            seen.is_paused_for("Suspended") && seen.share() == 5.0
        })
        .await;
    stage
        .prometheus
        .change("ro36", |traffic| traffic.canary.errors = 1.0);
    stage
        .prometheus
        .breaker("ro36", "claude", &crate::stage::ROUTERS, true);
    let seen = story.ends("Failed", 30).await;
    assert!(!seen.0["guard"].is_null(), "{seen:#?}");
    story.is_taken_back().await;
}
