//! Queries of a plan's own: a number is compared, anything else is no word for the candidate.

use std::sync::Arc;

use serde_json::json;
use serin_tests::scripted_prometheus::{Said, Traffic};

use crate::plans::{plan, with};
use crate::stage::Stage;
use crate::story::Story;
use crate::verified::verified;

fn judged_by_query(mode: &str) -> serde_json::Value {
    let query = "avg(judge_score{route=\"{{ route }}\",target=\"{{ candidate }}\"})";
    let metrics = json!([
        {"name": "errors", "share": 0.6},
        {"name": "judge-score", "interval": "1s", "thresholdRange": {"min": 0.8},
         "failureLimit": 3, "mode": mode, "query": query},
    ]);
    let mut plan = with(plan(&[5.0, 25.0]), "/analysis/metrics", metrics);
    plan["analysis"]["consecutiveErrorLimit"] = json!(1000);
    plan["analysis"]["blindMax"] = json!("1h");
    plan
}

fn query_of(route: &str) -> String {
    format!("avg(judge_score{{route=\"{route}\",target=\"claude\"}})")
}

/// RO11, one answer: while it comes, nothing advances and nothing is taken back; a good one does
/// advance.
async fn never_passes(stage: &Stage, route: &str, said: Said, kind: &str) {
    stage.prometheus.say(&query_of(route), Said::Value(0.9));
    let mut story = Story::begin(stage, route, Traffic::healthy(100.0)).await;
    story.start(&judged_by_query("enforce")).await;
    story
        .until("it warms up", 60, |seen| seen.0["sub"] == "Warming")
        .await;
    stage.prometheus.say(&query_of(route), said);
    let seen = story
        .until("the answer is judged", 30, |seen| {
            seen.analyses(0) && seen.why().contains("judge-score")
        })
        .await;
    assert_eq!(seen.verdict(), kind, "{said:?}: {seen:#?}");
    story
        .stays("held by it", 10, |seen| {
            seen.is("Progressing") && seen.0["step"] == 0 && seen.verdict() != "pass"
        })
        .await;
    stage.prometheus.say(&query_of(route), Said::Value(0.9));
    story
        .until("a good one advances it", 40, |seen| seen.0["step"] == 1)
        .await;
    story.does("abort", &json!({})).await;
}

/// RO11
pub(crate) async fn an_answer_that_is_no_number_never_passes() {
    let stage = Stage::shared().await;
    let table = [
        ("ro11-nan", Said::Value(f64::NAN), "inconclusive"),
        ("ro11-infinite", Said::Value(f64::INFINITY), "error"),
        ("ro11-empty", Said::Nothing, "inconclusive"),
        ("ro11-two", Said::Two(0.9, 0.9), "error"),
        ("ro11-error", Said::Error, "error"),
        ("ro11-warned", Said::Warned(0.9), "error"),
        ("ro11-status", Said::Status(503), "error"),
    ];
    let local = tokio::task::LocalSet::new();
    let running: Vec<_> = table
        .into_iter()
        .map(|(route, said, kind)| {
            let stage = Arc::clone(&stage);
            local.spawn_local(async move { never_passes(&stage, route, said, kind).await })
        })
        .collect();
    local
        .run_until(async {
            for one in running {
                one.await
                    .unwrap_or_else(|thrown| std::panic::resume_unwind(thrown.into_panic()));
            }
        })
        .await;
}

/// RO11: out of range is a failed check; `failureLimit` of them act as the mode says.
pub(crate) async fn a_value_out_of_range_is_counted_and_then_acts() {
    let stage = Stage::shared().await;
    let table = [
        ("ro11-harm", "enforce", "Failed"),
        ("ro11-pause", "pauseOnly", "Paused"),
    ];
    for (route, mode, phase) in table {
        stage.prometheus.say(&query_of(route), Said::Value(0.9));
        let mut story = Story::begin(&stage, route, Traffic::healthy(100.0)).await;
        story.start(&judged_by_query(mode)).await;
        story
            .until("it analyses", 60, |seen| seen.analyses(0))
            .await;
        stage.prometheus.say(&query_of(route), Said::Value(0.5));
        let seen = story
            .until("it acts", 40, |seen| !seen.is("Progressing"))
            .await;
        assert!(seen.is(phase), "{mode}: {seen:#?}");
        if phase == "Paused" {
            story.does("abort", &json!({})).await;
        }
        story.is_taken_back().await;
        verified(&story).await;
    }
}
