//! Prometheus ends in the middle of a step, while callers go on.

use std::time::Duration;

use serde_json::{Value, json};
use serin_tests::eventually;
use serin_tests::rollouts::State;
use serin_tests::rollouts::record::{counts, span};

use crate::callers::Callers;
use crate::stage::Stage;
use crate::story::{Story, endless, plan, step};

/// Callers have their answers; the last of them are read soon after.
const READ_WITHIN: Duration = Duration::from_secs(30);

/// Samples and errors of the canary and of the others, by both routers themselves.
async fn by_the_routers(stage: &Stage, route: &str) -> [[u64; 2]; 2] {
    let mut counted = [[0; 2]; 2];
    for (at, arm) in ["canary", "stable"].into_iter().enumerate() {
        let labels = [("route", route), ("arm", arm), ("role", "first")];
        for outcome in ["success", "error"] {
            let labels = [labels.as_slice(), &[("outcome", outcome)]].concat();
            let count = stage.counted("serin_analysis_samples_total", &labels).await;
            counted[at][0] += count;
            counted[at][1] += if outcome == "error" { count } else { 0 };
        }
    }
    counted
}

/// The same by the windows of the rollout, canary and stable.
async fn by_the_windows(story: &Story<'_>) -> [[u64; 2]; 2] {
    let mut counted = [[0; 2]; 2];
    for window in story.windows().await {
        for (at, arm) in ["c", "s"].into_iter().enumerate() {
            let (samples, errors) = counts(&window, arm);
            counted[at][0] += samples;
            counted[at][1] += errors;
        }
    }
    counted
}

/// RO9: away for half of what is borne. It comes last: the others need that Prometheus.
pub(crate) async fn an_outage_of_prometheus_holds_and_loses_no_increment() {
    let stage = Stage::shared().await;
    let mut story = Story::begin(&stage, "ro9").await;
    let mut held = plan(&[endless(20, 5), step(50, 10)]);
    held["analysis"]["metrics"] = json!([{"name": "errors", "margin": {"points": 30}}]);
    held["analysis"]["blindMax"] = json!("40s");
    held["analysis"]["consecutiveErrorLimit"] = json!(2);
    story.start(&held).await;
    // Nobody comes before counting begins: so all that routers count is to be found in windows.
    let begun = |seen: &State| seen.0["sub"] == "Warming" || seen.0["sub"] == "Analysing";
    story.until("it counts", 60, begun).await;
    let callers = Callers::start(&stage.doors(), "ro9", 10);
    let is_well = |seen: &State| seen.analyses(0) && seen.verdict() == "pass";
    story.until("it passes", 60, is_well).await;

    let mut prometheus = stage.prometheus.write().await;
    let before = story.until("it passes still", 30, is_well).await;
    prometheus.kill().await;
    let seen = story
        .until("it pauses", 20, |seen| !seen.is("Progressing"))
        .await;
    assert!(seen.is_paused_for("MetricsUnavailable"), "{seen:#?}");
    assert_eq!((seen.share(), seen.verdict()), (20.0, "error"), "{seen:#?}");
    stage.measures("serin_cp_metrics_source_up", &[], 0.0).await;
    let half = |seen: &State| {
        !seen.is_paused_for("MetricsUnavailable") || seen.number("/clocks/blindMs") >= 20_000
    };
    let seen = story.until("half of what is borne", 40, half).await;
    assert!(
        seen.is_paused_for("MetricsUnavailable") && seen.share() == 20.0,
        "{seen:#?}"
    );
    prometheus.again().await;
    let seen = story
        .until("it resumes", 30, |seen| !seen.is("Paused"))
        .await;
    assert!(seen.is("Progressing") && seen.share() == 20.0, "{seen:#?}");
    let goes_on =
        |seen: &State| is_well(seen) && seen.number("/cursorMs") > before.number("/cursorMs");
    story.until("it goes on", 30, goes_on).await;

    let outcome = callers.end().await;
    let truth = by_the_routers(&stage, "ro9").await;
    let look = async || by_the_windows(&story).await;
    let promise = format!("windows come to {truth:?}");
    eventually(&promise, READ_WITHIN, look, |counted| *counted == truth).await;
    assert!(
        truth[0][0] > 0 && truth[1][0] > 0,
        "{truth:?}: {outcome:#?}"
    );
    // And it stays so: nothing is counted once more.
    let cursor = story.state().await.number("/cursorMs");
    let later = |seen: &State| seen.number("/cursorMs") >= cursor + 3_000;
    story.until("some more windows", 30, later).await;
    assert_eq!(by_the_windows(&story).await, truth);
    let windows = story.windows().await;
    let follow = |pair: &[Value]| span(&pair[0]).1 == span(&pair[1]).0;
    assert!(windows.windows(2).all(follow), "a gap: {windows:#?}");

    story.does("abort", &json!({})).await;
    story.routers_name_no_canary().await;
    assert_eq!(
        story.transitions().await.join(" "),
        "t1 t2 t5 t6 t8 t15 t10"
    );
    outcome.nobody_noticed(100);
    story.verifies().await;
}
