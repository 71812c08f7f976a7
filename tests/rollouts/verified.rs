//! RO43: a history proves itself, to us and to somebody who has only the design.

use std::process::Stdio;

use serde_json::{Value, json};
use serin_tests::process::repository;
use serin_tests::rollouts::number;
use serin_tests::scripted_prometheus::{Said, Side, Traffic};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::plans::{endless, plan, with};
use crate::stage::{ROUTERS, Stage};
use crate::story::Story;

/// What the script of nobody of ours says to some records.
struct Recomputed {
    agrees: bool,
    /// In its words.
    said: String,
}

impl Recomputed {
    /// Whether everything could be made again: nothing was left to belief.
    fn is_whole(&self) -> bool {
        self.said.contains("not recomputed: 0\n")
    }
}

async fn recomputed(records: &[Value], arguments: &[&str]) -> Recomputed {
    let script = repository().join("tests/rollouts/recompute.py");
    let mut child = Command::new("python3")
        .arg("-B")
        .arg(script)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("python3 can be started");
    let mut stdin = child.stdin.take().expect("stdin was piped");
    let text = json!(records).to_string();
    // One that has given up already does not read.
    let _ = stdin.write_all(text.as_bytes()).await;
    drop(stdin);
    let output = child.wait_with_output().await.expect("the script ends");
    let said = [output.stdout, output.stderr].concat();
    Recomputed {
        agrees: output.status.success(),
        said: String::from_utf8_lossy(&said).into_owned(),
    }
}

/// Both agree with the newest rollout's history, and nothing of it had to be believed.
pub(crate) async fn verified(story: &Story<'_>) {
    is_true(story).await;
    let records = story.history().await;
    let found = recomputed(&records, &[]).await;
    assert!(
        found.agrees && found.is_whole(),
        "{}: {}",
        story.route,
        found.said
    );
    println!("{}: {}", story.route, found.said.trim());
}

/// `serin rollout history --verify` says so, and what it has checked.
async fn is_true(story: &Story<'_>) {
    let (route, id) = (&story.route, &story.id);
    let verify = ["rollout", "history", route, "--id", id, "--verify"];
    let said = story.stage.command(&verify).await;
    assert_eq!(said.code, Some(0), "{}: {said:?}", story.route);
    let records = story.history().await;
    let newest = records.last().expect("a record");
    let told = [
        format!("the history of rollout {} is true", story.id),
        format!("records     {}, seq ", records.len()),
        format!("evidence    of {} records", records.len()),
        format!(
            "head        {}",
            newest["hash"].as_str().unwrap_or_default()
        ),
    ];
    for line in told {
        assert!(said.stderr.contains(&line), "no {line:?}: {said:?}");
    }
    assert!(!said.stderr.contains("unchecked"), "{said:?}");
}

/// RO43: one number of one window is another, and both say so.
pub(crate) async fn a_history_that_was_touched_is_found_out() {
    let stage = Stage::shared().await;
    let mut traffic = Traffic::healthy(100.0);
    traffic.canary.errors = 0.4;
    let mut story = Story::begin(&stage, "ro43", traffic).await;
    story.start(&plan(&[5.0, 25.0])).await;
    story.ends("Failed", 90).await;
    verified(&story).await;

    let records = story.history().await;
    let is_decision = |record: &&Value| record["decision"] == "roll_back";
    let mut touched = records
        .iter()
        .find(is_decision)
        .cloned()
        .expect("a rollback");
    touched["reason"] = json!("all is well");
    let found = recomputed(std::slice::from_ref(&touched), &[]).await;
    assert!(!found.agrees, "{}", found.said);
    let seq = number(&touched["seq"]);
    let key = format!("rollouts/ro43/history/{seq:020}");
    let mut gateway = stage.gateway().await;
    let written = gateway.put(&key, touched.to_string().as_bytes()).await;
    written.expect("etcd takes it");
    let said = stage
        .command(&["rollout", "history", "ro43", "--verify"])
        .await;
    assert_eq!(said.code, Some(1), "{said:?}");
    let told = [
        format!("the history is not true: record {seq} ("),
        "where       /hash".to_owned(),
        format!(
            "stored      {}",
            touched["hash"].as_str().unwrap_or_default()
        ),
        "recomputed  ".to_owned(),
    ];
    for line in told {
        assert!(said.stderr.contains(&line), "no {line:?}: {said:?}");
    }
}

/// RO43: a mean pauses, the breaker ends it; and nothing of it is left to belief.
pub(crate) async fn means_queries_and_guards_are_recomputed_by_somebody_else() {
    let stage = Stage::shared().await;
    let traffic = Traffic {
        histograms: true,
        ..Traffic::healthy(200.0)
    };
    let query = "avg(judge_score{route=\"{{ route }}\",target=\"{{ candidate }}\"})";
    let metrics = json!([
        {"name": "errors", "share": 0.6, "max": 30},
        {"name": "duration", "share": 0.1},
        {"name": "cost", "maxRatio": 1.25, "mode": "pauseOnly"},
        {"name": "output-tokens", "maxRatio": 1.5, "share": 0.1},
        {"name": "judge-score", "interval": "1s", "thresholdRange": {"min": 0.8}, "query": query},
    ]);
    let score = "avg(judge_score{route=\"ro43-mean\",target=\"claude\"})";
    stage.prometheus.say(score, Said::Value(0.9));
    let mut judged = with(endless(&[5.0, 25.0]), "/analysis/metrics", metrics.clone());
    judged["steps"][0] = json!(
        {"weight": 5, "minDuration": "60s", "minSamples": 100, "certificate": true}
    );
    let mut story = Story::begin(&stage, "ro43-mean", traffic.clone()).await;
    story.start(&judged).await;
    story
        .until("the second step is judged", 120, |seen| seen.analyses(1))
        .await;
    stage.prometheus.change("ro43-mean", |traffic| {
        traffic.canary.usd = 3.0 * Side::healthy().usd;
    });
    story
        .until("its cost pauses it", 60, |seen| {
            seen.is_paused_for("Inconclusive")
        })
        .await;
    // Diverted requests would be errors, which speak sooner.
    stage
        .prometheus
        .change("ro43-mean", |traffic| traffic.canary_comes = false);
    stage
        .prometheus
        .breaker("ro43-mean", "claude", &ROUTERS, true);
    let seen = story.ends("Failed", 60).await;
    assert_eq!(seen.0["guard"], "breaker_open", "{seen:#?}");
    verified(&story).await;
    lies_are_found(&story.history().await).await;

    an_absolute_limit_is_recomputed(&stage).await;
    who_is_superseded_keeps_its_own_evidence(&stage).await;
    what_is_not_recomputed_is_counted(&stage).await;
}

/// Each lie on its own; the chain, which tells of all of them, is left alone.
async fn lies_are_found(records: &[Value]) {
    let newest = |name: &str| {
        let found = records.iter().rposition(|one| one["transition"] == name);
        found.unwrap_or_else(|| panic!("no {name}"))
    };
    let paused = newest("t8");
    let lies = [
        (paused, "/evidence/cost/logE", json!(99.0)),
        (paused, "/evidence/cost/mean/canary", json!(0.004)),
        (paused, "/evidence/cost/n/stable", json!(1)),
        (paused, "/evidence/cost/limit", json!(1.0)),
        (paused, "/evidence/judge-score/value/canary", json!(0.81)),
        (paused, "/evidence/judge-score/failed", json!(1)),
        (paused, "/evidence/errors/e/canary", json!(0)),
        (paused, "/evidence/output-tokens/logE", json!(0.5)),
        (
            paused,
            "/reason",
            json!("output-tokens has passed its limit"),
        ),
        (newest("t11"), "/guard", json!("fail_fast")),
        (newest("t11"), "/guard", json!("absolute")),
    ];
    for (at, pointer, lie) in lies {
        let mut touched = records.to_vec();
        let place = touched[at].pointer_mut(pointer);
        *place.unwrap_or_else(|| panic!("no {pointer}: {}", records[at]["evidence"])) = lie;
        let found = recomputed(&touched, &["--but-the-chain"]).await;
        let seq = number(&records[at]["seq"]);
        let names = found.said.contains(&format!("record {seq}:"));
        assert!(!found.agrees && names, "{pointer}: {}", found.said);
    }
    let found = recomputed(records, &["--but-the-chain"]).await;
    assert!(found.agrees && found.is_whole(), "{}", found.said);
}

/// A limit of its own, far inside a margin that would let it pass.
async fn an_absolute_limit_is_recomputed(stage: &Stage) {
    let mut traffic = Traffic::healthy(200.0);
    traffic.canary.errors = 0.3;
    let mut story = Story::begin(stage, "ro43-absolute", traffic).await;
    let metrics = json!([{"name": "errors", "margin": {"points": 50}, "max": 10}]);
    let plan = with(endless(&[10.0, 25.0]), "/analysis/metrics", metrics);
    story.start(&plan).await;
    let seen = story.ends("Failed", 60).await;
    assert_eq!(seen.0["guard"], "absolute", "{seen:#?}");
    verified(&story).await;
}

/// Its last record shows what it had seen, not what the next one has not seen yet.
async fn who_is_superseded_keeps_its_own_evidence(stage: &Stage) {
    let mut story = Story::begin(stage, "ro43-superseded", Traffic::healthy(100.0)).await;
    story.start(&endless(&[5.0, 25.0])).await;
    story
        .until("it has samples", 60, |seen| {
            seen.number("/analysis/judged/c/0") > 0
        })
        .await;
    let old = story.id.clone();
    story
        .start(&with(endless(&[5.0, 25.0]), "/candidate", json!("mistral")))
        .await;
    story.does("abort", &json!({})).await;
    story.id = old;
    verified(&story).await;
    let records = story.history().await;
    let ended = records.last().expect("a record");
    assert_eq!(ended["transition"], "t12", "{ended:#}");
    let n = ended["evidence"]["errors"]["n"]["canary"].as_u64();
    assert!(n > Some(0), "{}", ended["evidence"]);
}

/// A plan that changed: from there on the script says that it does not know, and of how much.
async fn what_is_not_recomputed_is_counted(stage: &Stage) {
    let mut story = Story::begin(stage, "ro43-changed", Traffic::healthy(100.0)).await;
    story.start(&endless(&[5.0, 25.0])).await;
    story
        .until("it analyses", 60, |seen| seen.analyses(0))
        .await;
    let answer = story.ask(&endless(&[5.0, 30.0])).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    story.does("abort", &json!({})).await;
    is_true(&story).await;
    let records = story.history().await;
    let found = recomputed(&records, &[]).await;
    // One metric, in the record of the change and in that of the end.
    let told = found.said.contains("not recomputed: 2\n");
    let why = found.said.contains("2 not recomputed: record ");
    assert!(found.agrees && told && why, "{}", found.said);
}
