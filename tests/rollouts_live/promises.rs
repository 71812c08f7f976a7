//! What becomes of a candidate, by what its callers and its provider did.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;
use serin_tests::client::Request;
use serin_tests::eventually;
use serin_tests::rollouts::State;
use serin_tests::rollouts::record::{counts, decisions, exposures, is_gapless};
use serin_tests::scripted_http::{Reply, ScriptedHttp};

use crate::callers::Callers;
use crate::stage::Stage;
use crate::story::{Story, endless, plan, step};

/// The guard against a candidate that fails wholly needs so many requests.
const FAIL_FAST_SAMPLES: u64 = 12;

/// RO1: through every step, each for its time and its samples, once promoted, to the end.
pub(crate) async fn an_equal_candidate_is_promoted_step_by_step() {
    let stage = Stage::shared().await;
    let _prometheus = stage.prometheus.read().await;
    let mut story = Story::begin(&stage, "ro1").await;
    let callers = Callers::start(&stage.doors(), "ro1", 20);
    let steps = [(1, 1), (5, 5), (25, 10), (50, 10)];
    story
        .start(&plan(&steps.map(|(weight, samples)| step(weight, samples))))
        .await;
    let seen = story.ends("Succeeded", 130).await;
    assert_eq!(seen.share(), 100.0, "{seen:#?}");
    story.routers_name_no_canary().await;
    story.all_is("claude").await;

    let history = story.history().await;
    assert!(is_gapless(&history), "{history:#?}");
    assert_eq!(decisions(&history, "promote"), 1, "{history:#?}");
    let exposures = exposures(&history);
    let shares: Vec<f64> = exposures.iter().map(|left| left.share).collect();
    assert_eq!(shares, [0.0, 1.0, 5.0, 25.0, 50.0, 99.0], "{exposures:?}");
    for (left, (_, least)) in exposures[1..5].iter().zip(steps) {
        let is_enough = left.samples >= u64::from(least) && left.lasting_ms >= 2_000;
        assert!(is_enough, "{exposures:?}");
    }

    for router in &stage.routers {
        let body = json!({"model": "ro1", "messages": [{"role": "user", "content": "hello"}]});
        let answer = router
            .ask(Request::post("/v1/chat/completions", body.to_string()))
            .await;
        assert_eq!(
            answer.header("x-serin-target"),
            Some("claude"),
            "{}",
            answer.text()
        );
    }
    callers.end().await.nobody_noticed(500);
    story.verifies().await;
}

/// RO2: three in ten against one in a hundred, at 5 %. (Five in a hundred take minutes, see
/// `tests/rollouts`.) Callers never see them: they fall back.
pub(crate) async fn a_worse_candidate_is_rolled_back_and_no_caller_sees_it() {
    let stage = Stage::shared().await;
    let _prometheus = stage.prometheus.read().await;
    let mut story = Story::begin(&stage, "ro2").await;
    let callers = Callers::start(&stage.doors(), "ro2", 25);
    story.start(&plan(&[endless(5, 1), step(25, 10)])).await;
    let seen = story.ends("Failed", 130).await;
    story.routers_name_no_canary().await;
    story.all_is("gpt").await;
    let because = seen.ended_because();
    assert!(because.contains("errors"), "{seen:#?}");
    assert_eq!(story.transitions().await.join(" "), "t1 t2 t5 t6 t9");
    let outcome = callers.end().await;
    outcome.nobody_noticed(200);
    assert!(outcome.canary > 0, "{outcome:#?}");
    story.verifies().await;
}

/// RO3: nothing but errors from the first request on.
pub(crate) async fn a_candidate_that_fails_wholly_is_gone_within_two_ticks() {
    let stage = Stage::shared().await;
    let _prometheus = stage.prometheus.read().await;
    let mut story = Story::begin(&stage, "ro3").await;
    let callers = Callers::start(&stage.doors(), "ro3", 8);
    story.start(&plan(&[step(20, 10), step(50, 10)])).await;
    story.ends("Failed", 90).await;
    story.routers_name_no_canary().await;
    story.all_is("gpt").await;

    // Of the windows, at most two reach to where so many requests had come, or were due. None: the
    // evidence was enough before.
    let (mut came, mut others, mut late) = (0, 0, 0);
    let windows = story.windows().await;
    for window in &windows {
        came += counts(window, "c").0;
        others += counts(window, "s").0;
        let due = others * 20 / 80;
        late += usize::from(came.max(due) >= FAIL_FAST_SAMPLES);
    }
    assert!(late <= 2, "{late} windows too many: {windows:#?}");

    // Those who were given to it are counted as its own, whoever served them in the end.
    let outcome = callers.end().await;
    outcome.nobody_noticed(80);
    let first = [("route", "ro3"), ("arm", "canary"), ("role", "first")];
    let counted = stage.counted("serin_upstream_requests_total", &first).await;
    assert_eq!(counted, outcome.canary, "{outcome:#?}");
    let well = [first.as_slice(), &[("outcome", "success")]].concat();
    assert_eq!(
        stage.counted("serin_upstream_requests_total", &well).await,
        0
    );
    story.verifies().await;
}

/// Somebody who is told of events, and all the words so far.
fn receiver() -> (ScriptedHttp, Arc<Mutex<String>>) {
    let told = Arc::new(Mutex::new(String::new()));
    let heard = Arc::clone(&told);
    let receiver = ScriptedHttp::start(move |asked| {
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.push_str(&String::from_utf8_lossy(&asked.body));
        Reply::Says(200, "{}".to_owned())
    });
    (receiver, told)
}

/// RO7: those who would come to the canary stay away.
pub(crate) async fn silence_pauses_with_its_share_and_traffic_resumes() {
    let stage = Stage::shared().await;
    let _prometheus = stage.prometheus.read().await;
    let (receiver, told) = receiver();
    let mut story = Story::begin(&stage, "ro7").await;
    let callers = Callers::start(&stage.doors(), "ro7", 10);
    let mut silent = plan(&[endless(50, 5), step(75, 10)]);
    silent["analysis"]["inconclusiveDeadline"] = json!("4s");
    silent["analysis"]["webhooks"] = json!([{
        "name": "tell", "type": "event", "url": format!("http://{}/event", receiver.address),
    }]);
    // Enough samples soon, never enough time: a pass resets the deadline.
    story.start(&silent).await;
    let is_well = |seen: &State| seen.analyses(0) && seen.verdict() == "pass";
    story.until("it passes", 60, is_well).await;
    callers.learn();
    let known = async || callers.known_stable();
    let within = Duration::from_secs(40);
    eventually("enough people are known", within, known, |known| {
        *known >= 80
    })
    .await;

    callers.only_stable(true);
    let left = callers.so_far();
    let seen = story
        .until("it pauses", 60, |seen| !seen.is("Progressing"))
        .await;
    assert!(seen.is_paused_for("Inconclusive"), "{seen:#?}");
    assert_eq!(
        (seen.share(), seen.verdict()),
        (50.0, "inconclusive"),
        "{seen:#?}"
    );
    let paused = [("route", "ro7"), ("reason", "inconclusive")];
    stage
        .measures("serin_cp_rollout_paused", &paused, 1.0)
        .await;
    let look = async || told.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let within = Duration::from_secs(20);
    let says = |told: &String| told.contains("Inconclusive") || told.contains("canary traffic");
    eventually("the pause is told", within, look, says).await;
    // It neither fails nor goes on, for some more windows.
    let cursor = seen.number("/cursorMs");
    let later = |seen: &State| !seen.is("Paused") || seen.number("/cursorMs") >= cursor + 5_000;
    let seen = story.until("some more windows", 30, later).await;
    assert!(
        seen.is_paused_for("Inconclusive") && seen.share() == 50.0,
        "{seen:#?}"
    );
    let meanwhile = callers.so_far();
    // Requests that were under way when the others left.
    assert!(
        meanwhile.canary <= left.canary + 2,
        "{meanwhile:#?} after {left:#?}"
    );

    callers.only_stable(false);
    story
        .until("it resumes by itself", 40, |seen| seen.is("Progressing"))
        .await;
    story.does("abort", &json!({})).await;
    story.routers_name_no_canary().await;
    assert_eq!(
        story.transitions().await.join(" "),
        "t1 t2 t5 t6 t8 t15 t10"
    );
    callers.end().await.nobody_noticed(200);
    story.verifies().await;
}
