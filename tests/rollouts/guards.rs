//! Rules that need no significance.

use std::time::Duration;

use serde_json::json;
use serin_tests::rollouts::State;
use serin_tests::rollouts::record::{counts, span};
use serin_tests::scripted_prometheus::{Pace, Traffic};
use tokio::time::Instant;

use crate::plans::{endless, with};
use crate::stage::{ROUTERS, Stage};
use crate::story::Story;

/// For a busy machine.
const SLACK: Duration = Duration::from_secs(5);

/// RO26: the candidate gets no traffic, because its breakers are open.
pub(crate) async fn an_open_breaker_needs_no_traffic() {
    let stage = Stage::shared().await;
    let mut story = Story::begin(&stage, "ro26", Traffic::healthy(100.0)).await;
    story.start(&endless(&[5.0, 25.0])).await;
    story
        .until("it analyses", 60, |seen| seen.analyses(0))
        .await;
    stage
        .prometheus
        .change("ro26", |traffic| traffic.canary_comes = false);
    stage.prometheus.breaker("ro26", "claude", &ROUTERS, true);
    let opened = Instant::now();
    let seen = story.ends("Failed", 30).await;
    // breakerOpen, a tick, a scrape, and the reading delay of half a second.
    let within = Duration::from_millis(2_000 + 1_000 + 200 + 500) + SLACK;
    assert!(opened.elapsed() <= within, "{:?}", opened.elapsed());
    assert_eq!(seen.0["guard"], "breaker_open", "{seen:#?}");
    story.is_taken_back().await;

    // And diversions are the candidate's errors.
    let mut story = Story::begin(&stage, "ro26-diverted", Traffic::healthy(100.0)).await;
    let patient = with(
        endless(&[5.0, 25.0]),
        "/analysis/guards/breakerOpen",
        json!("1h"),
    );
    story.start(&patient).await;
    story
        .until("it analyses", 60, |seen| seen.analyses(0))
        .await;
    stage
        .prometheus
        .breaker("ro26-diverted", "claude", &ROUTERS, true);
    let seen = story.ends("Failed", 40).await;
    let because = seen.ended_because();
    assert!(
        because.contains("errors") || seen.0["guard"] == "fail_fast",
        "{seen:#?}"
    );
    story.counts_are_exact().await;
}

/// RO27
pub(crate) async fn one_open_breaker_of_ten_is_counted_in_proportion() {
    let routers = ["r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9"];
    let stage = Stage::apart(Pace::TENFOLD, &routers, 1).await;
    let mut story = Story::begin(&stage, "ro27", Traffic::healthy(200.0)).await;
    let wide = json!([{"name": "errors", "margin": {"points": 50}}]);
    story
        .start(&with(endless(&[10.0, 25.0]), "/analysis/metrics", wide))
        .await;
    story
        .until("it analyses", 60, |seen| seen.analyses(0))
        .await;
    stage.prometheus.breaker("ro27", "claude", &["r3"], true);
    let from = stage.prometheus.now_ms();
    story
        .stays("guarded", 15, |seen| {
            seen.analyses(0) && seen.0["guard"].is_null()
        })
        .await;
    let (mut n, mut e) = (0, 0);
    for window in story.windows().await {
        if span(&window).0 >= from {
            let (samples, errors) = counts(&window, "c");
            n += samples;
            e += errors;
        }
    }
    // A tenth of 20 a second, and the usual hundredth.
    let part = e as f64 / n as f64;
    assert!(n > 1_000 && (0.07..0.16).contains(&part), "{e} of {n}");
    story.counts_are_exact().await;
}

/// The breaker of a rollout that failed may still be open when the next one starts.
pub(crate) async fn a_candidate_that_is_down_is_named_and_not_waited_for_without_end() {
    let stage = Stage::shared().await;
    let mut story = Story::begin(&stage, "down", Traffic::healthy(100.0)).await;
    stage.prometheus.breaker("down", "claude", &ROUTERS, true);
    let impatient = with(endless(&[5.0, 25.0]), "/progressDeadline", json!("30s"));
    story.start(&impatient).await;
    let named = |seen: &State| seen.is("Preflight") && seen.why().contains("claude is down");
    let seen = story.until("it says why it waits", 60, named).await;
    assert_eq!(seen.verdict(), "inconclusive", "{seen:#?}");
    let shown = story.analysis().await;
    let next = shown["next"]["text"].as_str().unwrap_or_default();
    let expected = "5 % when it is ready: claude is down";
    assert!(
        next.starts_with(expected) && next.contains("it fails in"),
        "{shown:#}"
    );
    let guards = shown["guards"]["text"].as_str().unwrap_or_default();
    assert!(!guards.contains("0/0"), "{shown:#}");
    let ended = story.ends("Failed", 60).await;
    let because = ended.ended_because();
    assert!(
        because.starts_with("not ready in time: claude is down"),
        "{ended:#?}"
    );
    stage.prometheus.breaker("down", "claude", &ROUTERS, false);
    story.start(&impatient).await;
    story
        .until("it begins", 60, |seen| seen.share() == 5.0)
        .await;
}
