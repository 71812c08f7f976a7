//! Long stretches, on a stage where a minute lasts two seconds.

use serde_json::json;
use serin_tests::rollouts::State;
use serin_tests::scripted_prometheus::{Pace, Traffic};

use crate::plans::{endless, plan, with};
use crate::stage::{ROUTERS, Stage};
use crate::story::Story;

/// A scrape each ten seconds. Much faster, and a late tick would look like one that nobody committed.
const MINUTES: Pace = Pace {
    speed: 30,
    scrape_ms: 10_000,
    kept: 450,
};
const HOUR_MS: u64 = 3_600_000;
const MINUTE_MS: u64 = 60_000;

/// RO4: both arms fail alike for ten minutes.
pub(crate) async fn a_shared_incident_blames_nobody_and_an_absolute_limit_speaks() {
    let stage = Stage::apart(MINUTES, &ROUTERS, 1).await;
    let relative = endless(&[5.0, 25.0]);
    let limited = json!([{"name": "errors", "margin": {"points": 0.5}, "max": 10}]);
    let absolute = with(relative.clone(), "/analysis/metrics", limited);
    let mut blameless = Story::begin(&stage, "ro4", Traffic::healthy(50.0)).await;
    let mut limited = Story::begin(&stage, "ro4-limit", Traffic::healthy(50.0)).await;
    blameless.passes(HOUR_MS).await;
    blameless.start(&relative).await;
    limited.start(&absolute).await;
    for story in [&blameless, &limited] {
        let passes = |seen: &State| seen.analyses(0) && seen.verdict() == "pass";
        story.until("it passes", 60, passes).await;
    }
    let begun = stage.prometheus.now_ms();
    for route in ["ro4", "ro4-limit"] {
        stage.prometheus.change(route, |traffic| {
            (traffic.stable.errors, traffic.canary.errors) = (0.3, 0.3);
        });
    }
    let cause = |seen: &State| seen.why().contains("common cause");
    let seen = blameless.until("the cause is told", 20, cause).await;
    assert_eq!(seen.verdict(), "inconclusive", "{seen:#?}");
    let passed = |seen: &State| seen.number("/cursorMs") >= begun + 10 * MINUTE_MS;
    blameless
        .stays("blamed", 19, |seen| {
            seen.analyses(0) && seen.share() == 5.0 && seen.verdict() != "fail"
        })
        .await;
    let seen = blameless.until("ten minutes", 20, passed).await;
    assert!(seen.analyses(0) && cause(&seen), "{seen:#?}");
    stage.prometheus.change("ro4", |traffic| {
        (traffic.stable.errors, traffic.canary.errors) = (0.01, 0.01);
    });
    let over = |seen: &State| seen.verdict() == "pass";
    blameless.until("it is over", 30, over).await;

    let seen = limited.ends("Failed", 30).await;
    let because = seen.ended_because();
    assert!(because.contains("absolute"), "{seen:#?}");
    assert_eq!(seen.0["guard"], "absolute", "{seen:#?}");
    limited.is_taken_back().await;
}

/// RO6: evidence for a candidate does not protect it later.
pub(crate) async fn harm_after_twenty_good_minutes_is_taken_back_in_five() {
    let stage = Stage::apart(MINUTES, &ROUTERS, 1).await;
    let mut story = Story::begin(&stage, "ro6", Traffic::healthy(50.0)).await;
    let mut long = plan(&[1.0, 5.0, 25.0]);
    for (step, lasting) in [(0, "300s"), (1, "420s"), (2, "24h")] {
        long["steps"][step]["minDuration"] = json!(lasting);
    }
    story.start(&long).await;
    let good =
        |seen: &State| seen.analyses(2) && seen.number("/clocks/exposureMs") >= 8 * MINUTE_MS;
    story.until("twenty good minutes", 90, good).await;
    stage
        .prometheus
        .change("ro6", |traffic| traffic.canary.errors = 0.05);
    let onset = stage.prometheus.now_ms();
    let seen = story.ends("Failed", 60).await;
    let took = seen.number("/cursorMs").saturating_sub(onset);
    assert!(
        took <= 5 * MINUTE_MS,
        "{} s after the onset: {seen:#?}",
        took / 1_000
    );
    story.is_taken_back().await;
}
