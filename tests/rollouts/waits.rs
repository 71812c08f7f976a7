//! Without evidence nothing moves: it waits, says for what, and pauses in time.

use std::time::Duration;

use serde_json::json;
use serin_tests::eventually;
use serin_tests::rollouts::State;
use serin_tests::scripted_prometheus::{Fault, Traffic};

use crate::plans::{endless, plan, with};
use crate::stage::Stage;
use crate::story::Story;
use crate::webhooks::Receiver;

/// RO7: nobody comes to the canary.
pub(crate) async fn silence_pauses_and_traffic_resumes() {
    let stage = Stage::shared().await;
    let receiver = Receiver::start();
    let mut story = Story::begin(&stage, "ro7", Traffic::healthy(200.0)).await;
    let mut silent = endless(&[5.0, 25.0]);
    silent["analysis"]["inconclusiveDeadline"] = json!("5s");
    silent["analysis"]["webhooks"] =
        json!([{"name": "tell", "type": "event", "url": receiver.url("/event")}]);
    story.start(&silent).await;
    // A pass resets the deadline: enough samples, not yet enough time.
    story
        .until("it passes", 60, |seen| {
            seen.analyses(0) && seen.verdict() == "pass"
        })
        .await;
    stage
        .prometheus
        .change("ro7", |traffic| traffic.canary_comes = false);
    let seen = story
        .until("it pauses", 40, |seen| !seen.is("Progressing"))
        .await;
    assert!(seen.is_paused_for("Inconclusive"), "{seen:#?}");
    assert_eq!(seen.share(), 5.0);
    let look = async || receiver.bodies("/event");
    let told = |bodies: &Vec<serde_json::Value>| {
        bodies.iter().any(|body| {
            body.to_string().contains("Inconclusive") || body.to_string().contains("canary")
        })
    };
    eventually("the pause is told", Duration::from_secs(20), look, told).await;
    story
        .stays("paused with its share", 5, |seen| {
            seen.is_paused_for("Inconclusive") && seen.share() == 5.0
        })
        .await;
    stage
        .prometheus
        .change("ro7", |traffic| traffic.canary_comes = true);
    story
        .until("it resumes by itself", 30, |seen| seen.is("Progressing"))
        .await;
    story.does("abort", &json!({})).await;
    let transitions = story.transitions().await.join(" ");
    assert!(transitions.ends_with("t8 t15 t10"), "{transitions}");
}

/// RO8: a quarter of a request a second.
pub(crate) async fn few_samples_are_waited_for_and_the_wait_is_told() {
    let stage = Stage::shared().await;
    let mut story = Story::begin(&stage, "ro8", Traffic::healthy(5.0)).await;
    let few = with(plan(&[5.0, 25.0]), "/steps/0/minSamples", json!(300));
    story.start(&few).await;
    let counted = |seen: &State| seen.analyses(0) && seen.number("/clocks/exposureMs") >= 120_000;
    let seen = story.until("two minutes", 60, counted).await;
    assert_eq!(seen.verdict(), "inconclusive", "{seen:#?}");
    assert!(seen.why().contains("of 300"), "{seen:#?}");
    let shown = story.analysis().await;
    let eta = shown["etaSeconds"].as_f64().unwrap_or(0.0);
    // 300 at a quarter a second are 1200 s, two minutes of them over, by thirty samples' noise.
    assert!((500.0..3_000.0).contains(&eta), "{shown:#}");
    let said = stage.command(&["rollout", "explain", "ro8"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.stdout.contains("of 300") && said.stdout.contains("enough in"),
        "{said:?}"
    );
    story
        .stays("waiting", 4, |seen| seen.analyses(0) && seen.share() == 5.0)
        .await;
    story.does("abort", &json!({})).await;
}

/// RO10: the Prometheus is away for too long while a quarter of the traffic is at stake.
pub(crate) async fn blindness_steps_back_to_what_was_passed() {
    let stage = Stage::shared().await;
    let mut story = Story::begin(&stage, "ro10", Traffic::healthy(200.0)).await;
    let mut blind = with(plan(&[5.0, 25.0, 50.0]), "/analysis/blindMax", json!("8s"));
    blind["steps"][1]["minDuration"] = json!("300s");
    story.start(&blind).await;
    story.until("25 %", 60, |seen| seen.analyses(1)).await;
    stage.prometheus.fault_of("ro10", Some(Fault::Status(500)));
    let seen = story
        .until("it holds", 20, |seen| !seen.is("Progressing"))
        .await;
    assert!(seen.is_paused_for("MetricsUnavailable"), "{seen:#?}");
    assert_eq!((seen.share(), seen.verdict()), (25.0, "error"), "{seen:#?}");
    let seen = story
        .until("it steps back", 20, |seen| seen.is_paused_for("Blind"))
        .await;
    assert_eq!(seen.share(), 5.0, "{seen:#?}");
    stage.prometheus.fault_of("ro10", None);
    let seen = story
        .until("the step anew", 40, |seen| seen.is("Progressing"))
        .await;
    assert_eq!(
        (seen.share(), &seen.0["step"]),
        (25.0, &json!(1)),
        "{seen:#?}"
    );
    story.until("and on", 90, |seen| seen.0["step"] == 2).await;
    let served = [0.0, 5.0, 25.0, 5.0, 25.0, 50.0];
    let look = async || stage.routers.shares("ro10");
    let within = Duration::from_secs(20);
    eventually("routers serve each share", within, look, |seen| {
        *seen == served
    })
    .await;
    story.does("abort", &json!({})).await;
}
