//! What a candidate does decides what becomes of it.

use serde_json::json;
use serin_proto::metric::Ending;
use serin_tests::rollouts::record::{decisions, exposures, is_gapless, span};
use serin_tests::rollouts::{is_all_the_candidates, number};
use serin_tests::scripted_prometheus::Traffic;

use crate::plans::{endless, plan, with};
use crate::stage::Stage;
use crate::story::Story;
use crate::verified::verified;

/// RO1: through every step, each for its time and its samples, once promoted, to the end.
pub(crate) async fn an_equal_candidate_is_promoted_step_by_step() {
    let stage = Stage::shared().await;
    let mut traffic = Traffic::healthy(400.0);
    traffic.histograms = true;
    let mut story = Story::begin(&stage, "ro1", traffic).await;
    let mut steps = plan(&[1.0, 5.0, 25.0, 50.0]);
    let analysis = steps["analysis"].as_object_mut().expect("an analysis");
    // All metrics of a plan that names none, and a warm-up that is found out.
    analysis.remove("metrics");
    analysis.remove("warmup");
    for step in [2, 3] {
        steps["steps"][step]["certificate"] = json!(true);
    }
    story.start(&steps).await;
    let seen = story.ends("Succeeded", 150).await;
    assert_eq!(seen.share(), 100.0, "{seen:#?}");

    let history = story.history().await;
    assert!(is_gapless(&history), "{history:#?}");
    assert_eq!(decisions(&history, "promote"), 1, "{history:#?}");
    let transitions = story.transitions().await;
    let expected = "t1 t2 t5 t6 t7 t6 t7 t6 t7 t6 t17 t6 t18";
    assert_eq!(transitions.join(" "), expected);
    let exposures = exposures(&history);
    let shares: Vec<f64> = exposures.iter().map(|left| left.share).collect();
    assert_eq!(shares, [0.0, 1.0, 5.0, 25.0, 50.0, 99.0], "{exposures:?}");
    for left in &exposures[1..5] {
        let is_enough = left.samples >= 20 && left.lasting_ms >= 60_000;
        assert!(is_enough, "{} %: {exposures:?}", left.share);
    }
    assert!(exposures[5].lasting_ms >= 60_000, "the bake: {exposures:?}");

    let live = story.traffic().await;
    assert!(is_all_the_candidates(&live), "{live}");
    assert_eq!(
        stage.routers.shares("ro1"),
        [0.0, 1.0, 5.0, 25.0, 50.0, 99.0, 0.0]
    );
    verified(&story).await;
}

/// RO2: 5 % against 1 %, from the 5 % step on, at 50 requests a second. How long that takes over
/// many runs is measured on the functions themselves (`benches`).
pub(crate) async fn five_percent_of_errors_are_rolled_back() {
    let stage = Stage::shared().await;
    let mut story = Story::begin(&stage, "ro2", Traffic::healthy(50.0)).await;
    let plan = with(
        plan(&[1.0, 5.0, 25.0]),
        "/steps/1/minDuration",
        json!("24h"),
    );
    story.start(&plan).await;
    story
        .until("the step of 5 %", 60, |seen| seen.analyses(1))
        .await;
    stage
        .prometheus
        .change("ro2", |traffic| traffic.canary.errors = 0.05);
    let seen = story.ends("Failed", 120).await;
    let because = seen.ended_because();
    assert!(because.contains("errors"), "{seen:#?}");
    story.is_taken_back().await;
    let transitions = story.transitions().await;
    assert_eq!(
        transitions.last().map(String::as_str),
        Some("t9"),
        "{transitions:?}"
    );
    assert_eq!(stage.routers.shares("ro2"), [0.0, 1.0, 5.0, 0.0]);
    story.counts_are_exact().await;
    verified(&story).await;
}

/// RO3: everything fails from the first request on.
async fn fails_wholly(stage: &Stage, route: &str, ending: Ending) {
    let mut traffic = Traffic::healthy(50.0);
    (traffic.canary.errors, traffic.canary.ending) = (1.0, ending);
    let mut story = Story::begin(stage, route, traffic).await;
    story.start(&plan(&[5.0, 25.0])).await;
    let seen = story.ends("Failed", 60).await;
    assert_eq!(seen.0["guard"], "fail_fast", "{seen:#?}");
    story.is_taken_back().await;
    story.counts_are_exact().await;

    // Of the windows, at most two reach to where 12 requests had been scraped, or were due.
    let windows = story.windows().await;
    let begun = span(&windows[0]).0;
    let is_enough = |until: u64| {
        let canary = stage
            .prometheus
            .truth(route, true, (begun, until))
            .errors()
            .0;
        canary >= 12
    };
    let late = windows
        .iter()
        .filter(|window| is_enough(span(window).1))
        .count();
    assert!(
        (1..=2).contains(&late),
        "{late} windows too many: {windows:#?}"
    );
    verified(&story).await;
}

/// RO3 with answers of 500.
pub(crate) async fn a_candidate_that_fails_wholly_is_gone_within_two_ticks() {
    let stage = Stage::shared().await;
    fails_wholly(&stage, "ro3", Ending::Http5xx).await;
}

/// RO3 with a credential that the provider refuses.
pub(crate) async fn a_refused_credential_is_gone_within_two_ticks() {
    let stage = Stage::shared().await;
    fails_wholly(&stage, "ro3-credential", Ending::HttpAuth).await;
}

/// RO38: answers that never come are errors, and slow.
pub(crate) async fn hung_answers_are_failures() {
    let stage = Stage::shared().await;
    let mut traffic = Traffic::healthy(50.0);
    traffic.histograms = true;
    let mut story = Story::begin(&stage, "ro38", traffic).await;
    let mut hung = endless(&[5.0, 25.0]);
    let metrics = hung["analysis"]["metrics"].as_array_mut().expect("metrics");
    metrics.push(
        json!({"name": "duration", "quantiles": [0.95], "margin": {"points": 5, "ratio": 2}}),
    );
    story.start(&hung).await;
    story
        .until("it analyses", 60, |seen| seen.analyses(0))
        .await;
    stage.prometheus.change("ro38", |traffic| {
        let canary = &mut traffic.canary;
        (canary.errors, canary.ending, canary.answer_ms) = (1.0, Ending::TimeoutTotal, 20_000.0);
        canary.slow = 0.0;
    });
    story.ends("Failed", 60).await;
    let windows = story.windows().await;
    let sum = |metric: &str, at: usize| -> u64 {
        let counts = windows
            .iter()
            .map(|w| number(&w["counts"][metric][0]["c"][at]));
        counts.sum()
    };
    assert!(sum("errors", 1) > 0, "time-outs are errors");
    assert!(sum("duration", 1) > 0, "time-outs are slow");
    story.counts_are_exact().await;
    story.is_taken_back().await;
}

/// RO38: callers who do not wait leave no error behind, and are seen all the same.
pub(crate) async fn callers_who_leave_are_a_failure_not_silence() {
    let stage = Stage::shared().await;
    let mut story = Story::begin(&stage, "ro38-left", Traffic::healthy(50.0)).await;
    let mut left = endless(&[5.0, 25.0]);
    let metrics = left["analysis"]["metrics"].as_array_mut().expect("metrics");
    metrics.push(json!({"name": "abandoned", "share": 0.1, "margin": {"points": 2}}));
    story.start(&left).await;
    story
        .until("it analyses", 60, |seen| seen.analyses(0))
        .await;
    stage
        .prometheus
        .change("ro38-left", |traffic| traffic.canary.leaves = 1.0);
    let seen = story.ends("Failed", 60).await;
    let because = seen.ended_because();
    assert!(because.contains("abandoned"), "{seen:#?}");
    story.is_taken_back().await;
}

/// RO39: one caller with a broken prompt, five hundred times; then fifty callers.
pub(crate) async fn one_key_is_no_harm_and_fifty_are() {
    let stage = Stage::shared().await;
    let mut story = Story::begin(&stage, "ro39", Traffic::healthy(100.0)).await;
    story.start(&endless(&[5.0, 25.0])).await;
    story
        .until("a minute of samples", 60, |seen| {
            seen.analyses(0) && seen.number("/clocks/exposureMs") >= 60_000
        })
        .await;
    stage.prometheus.burst("ro39", 1, 30_000);
    story
        .stays("rolled back for one key", 8, |seen| seen.analyses(0))
        .await;
    stage.prometheus.burst("ro39", 50, 30_000);
    let seen = story.ends("Failed", 30).await;
    let because = seen.ended_because();
    assert!(because.contains("errors"), "{seen:#?}");
    story.is_taken_back().await;
}

/// RO40: a metric that is only observed fails, is told, and changes nothing.
pub(crate) async fn what_is_only_observed_never_acts() {
    let stage = Stage::shared().await;
    let mut traffic = Traffic::healthy(200.0);
    traffic.canary.errors = 0.3;
    let mut story = Story::begin(&stage, "ro40", traffic).await;
    let observed = json!([
        {"name": "errors", "mode": "observe", "margin": {"points": 0.5}},
        {"name": "rejections", "share": 0.5, "margin": {"points": 1}},
    ]);
    story
        .start(&with(plan(&[5.0, 25.0]), "/analysis/metrics", observed))
        .await;
    story
        .until("the second step", 60, |seen| seen.analyses(1))
        .await;
    let shown = story.analysis().await;
    let metrics = shown["metrics"].as_array().cloned().unwrap_or_default();
    let errors = metrics.iter().find(|metric| metric["name"] == "errors");
    let errors = errors.unwrap_or_else(|| panic!("{shown:#}"));
    assert_eq!(errors["mode"], "observe", "{errors}");
    let log = |name: &str| errors[name].as_f64().unwrap_or(f64::NAN);
    assert!(
        log("logEvidence") > log("logThreshold"),
        "not told: {errors}"
    );
    story.ends("Succeeded", 90).await;
}
