//! Whatever happens to the samples, each increment counts once, and a gap is no pass.

use std::time::Duration;

use serde_json::json;
use serin_tests::rollouts::State;
use serin_tests::scripted_prometheus::{Fault, Pace, Traffic};
use serin_tests::{control_plane, eventually};

use crate::plans::{endless, plan, with};
use crate::stage::{ROUTERS, Stage};
use crate::story::Story;

/// RO9: away for half of what is borne, in the middle of a step.
pub(crate) async fn an_outage_of_prometheus_holds_and_loses_no_increment() {
    let stage = Stage::apart(Pace::TENFOLD, &ROUTERS, 2).await;
    let mut story = Story::begin(&stage, "ro9", Traffic::healthy(200.0)).await;
    let mut held = with(plan(&[5.0, 25.0]), "/steps/0/minDuration", json!("200s"));
    held["analysis"]["blindMax"] = json!("9s");
    held["analysis"]["consecutiveErrorLimit"] = json!(2);
    story.start(&held).await;
    story
        .until("it analyses", 60, |seen| {
            seen.analyses(0) && seen.number("/clocks/exposureMs") > 20_000
        })
        .await;
    stage.prometheus.fault(Some(Fault::Refuses));
    let seen = story
        .until("it pauses", 30, |seen| !seen.is("Progressing"))
        .await;
    assert!(seen.is_paused_for("MetricsUnavailable"), "{seen:#?}");
    assert_eq!((seen.share(), seen.verdict()), (5.0, "error"), "{seen:#?}");
    let look = async || {
        let leader = control_plane::leader(&stage.planes).await;
        leader.map(|scrape| scrape.sum("serin_cp_metrics_source_up", &[]))
    };
    let within = Duration::from_secs(20);
    eventually("it is visible", within, look, |up| *up == Some(0.0)).await;
    story
        .stays("held", 1, |seen| seen.is("Paused") && seen.share() == 5.0)
        .await;
    stage.prometheus.fault(None);
    story
        .until("it resumes", 20, |seen| seen.is("Progressing"))
        .await;
    // Said when it changes, not with every question.
    let printed: String = stage.planes.iter().map(|p| p.process.printed()).collect();
    let said = |words: &str| printed.matches(words).count();
    let (away, back) = (
        said("the metrics source went away"),
        said("the metrics source is back"),
    );
    assert!((1..=3).contains(&away) && back == away, "{away} {back}");
    assert!(seen.why().contains("Prometheus at http://"), "{seen:#?}");
    story
        .until("and goes on", 60, |seen| seen.0["step"] == 1)
        .await;
    story.counts_are_exact().await;
    let transitions = story.transitions().await.join(" ");
    assert!(
        transitions.starts_with("t1 t2 t5 t6 t8 t15 t7"),
        "{transitions}"
    );
    let windows = story.windows().await;
    let gap = windows
        .windows(2)
        .filter(|pair| pair[0]["to"] != pair[1]["from"]);
    // Only a new exposure begins elsewhere than where the last window ended.
    assert!(gap.count() <= 1, "{windows:#?}");
}

/// RO12: a process that begins anew while it is counted, and a pair of servers.
pub(crate) async fn a_router_that_begins_anew_is_counted_exactly() {
    let stage = Stage::apart(Pace::TENFOLD, &ROUTERS, 1).await;
    let mut traffic = Traffic::healthy(200.0);
    traffic.canary.errors = 0.02;
    let mut story = Story::begin(&stage, "ro12", traffic).await;
    let wide = json!([{"name": "errors", "margin": {"points": 20}}]);
    story
        .start(&with(endless(&[10.0]), "/analysis/metrics", wide))
        .await;
    story
        .until("it analyses", 60, |seen| seen.analyses(0))
        .await;
    for _ in 0..3 {
        stage.prometheus.up("r2", false);
        stage.prometheus.up("r2", true);
        story.passes(25_000).await;
    }
    let judged = |seen: &State| seen.verdict() == "pass";
    story.until("it is judged again", 20, judged).await;
    story.counts_are_exact().await;

    stage.prometheus.pair(true);
    let seen = story
        .until("twice is not trusted", 30, |seen| seen.verdict() == "error")
        .await;
    assert!(seen.why().contains("ambiguous"), "{seen:#?}");
    stage.prometheus.pair(false);
    story.until("once is", 30, judged).await;
    story.counts_are_exact().await;
}

/// RO13: the router that serves the candidate is gone, and its evidence with it.
pub(crate) async fn a_router_that_vanishes_holds_and_its_guard_still_works() {
    let stage = Stage::apart(Pace::TENFOLD, &ROUTERS, 1).await;
    let mut story = Story::begin(&stage, "ro13", Traffic::healthy(200.0)).await;
    let held = with(
        plan(&[5.0, 25.0]),
        "/analysis/consecutiveErrorLimit",
        json!(1000),
    );
    story.start(&held).await;
    story
        .until("it warms up", 60, |seen| seen.0["sub"] == "Warming")
        .await;
    stage.prometheus.up("r2", false);
    let seen = story
        .until("it is missed", 20, |seen| seen.verdict() == "error")
        .await;
    assert!(seen.why().contains("partial"), "{seen:#?}");
    story
        .stays("without it", 10, |seen| {
            seen.is("Progressing") && seen.0["step"] == 0 && seen.verdict() != "pass"
        })
        .await;
    stage
        .prometheus
        .change("ro13", |traffic| traffic.canary_comes = false);
    stage.prometheus.breaker("ro13", "claude", &["r1"], true);
    let look = async || story.state().await;
    let failed = eventually(
        "the guard fires",
        Duration::from_secs(20),
        look,
        State::has_ended,
    )
    .await;
    assert_eq!(failed.0["guard"], "breaker_open", "{failed:#?}");
    story.is_taken_back().await;
}
