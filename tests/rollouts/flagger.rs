//! Flagger's own minimal analysis, word for word, runs as its documentation says it does.

use serde_json::json;
use serin_tests::rollouts::State;
use serin_tests::scripted_http::Reply;
use serin_tests::scripted_prometheus::Traffic;

use crate::stage::Stage;
use crate::story::Story;
use crate::verified::verified;
use crate::webhooks::Receiver;

const UNTOUCHED: &str = r#"rollouts:
  - route: flagger
    candidate: claude
    analysis:
      interval: 60s
      threshold: 5
      stepWeight: 10
      maxWeight: 50
      metrics:
        - {name: request-success-rate, thresholdRange: {min: 99},   interval: 60s}
        - {name: request-duration,     thresholdRange: {max: 1000}, interval: 60s}
      webhooks:
        - {name: confirm,   type: confirm-rollout, url: "http://gate.example/confirm"}
        - {name: load-test, type: rollout, url: "http://flagger-loadtester.test/", timeout: 5s, metadata: {cmd: "hey -z 1m -q 10 -c 2 http://serin:8080/"}}
"#;

/// The plan as they write it is a plan of ours; trying it starts nothing.
async fn is_tried(stage: &Stage) {
    let file = stage.folder.write("flagger.yaml", UNTOUCHED);
    let file = file.to_string_lossy().into_owned();
    let tried = ["rollout", "start", "-f", &file, "--dry-run"];
    let tried = stage.command(&tried).await;
    assert_eq!(tried.code, Some(0), "{tried:?}");
    let none = stage.api().get("/rollouts?route=flagger").await.json();
    assert_eq!(none["items"], json!([]), "a dry run started something");
}

/// The same, a second long where theirs is a minute.
async fn is_started(stage: &Stage, receiver: &Receiver) -> String {
    let shrunk = UNTOUCHED
        .replace("interval: 60s", "interval: 1s")
        .replace("http://gate.example/confirm", &receiver.url("/confirm"))
        .replace("http://flagger-loadtester.test/", &receiver.url("/test"));
    let shrunk = format!("{shrunk}    promotion: {{bake: 30s}}\n");
    let file = stage.folder.write("flagger-shrunk.yaml", &shrunk);
    let file = file.to_string_lossy().into_owned();
    let begun = stage.command(&["rollout", "start", "-f", &file]).await;
    assert_eq!(begun.code, Some(0), "{begun:?}");
    let listed = stage.api().get("/rollouts?route=flagger").await.json();
    let id = listed["items"][0]["rolloutId"].as_str();
    id.unwrap_or_else(|| panic!("{listed}")).to_owned()
}

/// What was asked is what their own receivers expect.
fn speaks_their_language(receiver: &Receiver) {
    let asked = receiver.bodies("/test");
    assert!(asked.len() >= 5, "{asked:?}");
    let body = &asked[0];
    let command = "hey -z 1m -q 10 -c 2 http://serin:8080/";
    assert_eq!(body["metadata"]["cmd"], command, "{body}");
    assert_eq!(body["name"], "flagger", "{body}");
    assert_eq!(body["namespace"], "serin", "{body}");
    let sum = body["checksum"].as_str().unwrap_or_default();
    assert!(!sum.is_empty(), "{body}");
    let waiting = &receiver.bodies("/confirm")[0];
    assert_eq!(waiting["phase"], "Waiting", "{waiting}");
}

/// The gate stays closed until it opens; 10, 20, 30, 40, 50 %, a load test at each; promoted.
pub(crate) async fn their_minimal_rollout_runs_as_they_say() {
    let stage = Stage::shared().await;
    let receiver = Receiver::start();
    receiver.reply("/confirm", Reply::Says(403, "{}".to_owned()));
    let mut traffic = Traffic::healthy(200.0);
    traffic.histograms = true;
    for side in [&mut traffic.stable, &mut traffic.canary] {
        (side.errors, side.slow) = (0.002, 0.0);
    }
    let mut story = Story::begin(&stage, "flagger", traffic).await;
    is_tried(&stage).await;
    story.id = is_started(&stage, &receiver).await;

    let waits = |seen: &State| seen.is("WaitingRollout");
    story.until("it waits for the gate", 30, waits).await;
    receiver.hears("/confirm", 2).await;
    let still = |seen: &State| waits(seen) && seen.share() == 0.0;
    story.stays("waiting", 3, still).await;
    receiver.reply("/confirm", Reply::Says(200, "{}".to_owned()));
    story.ends("Succeeded", 120).await;
    verified(&story).await;
    let watched = [
        "rollout",
        "status",
        "flagger",
        "--watch",
        "--timeout",
        "15s",
    ];
    let watched = stage.command(&watched).await;
    assert_eq!(watched.code, Some(0), "{watched:?}");
    let shares = stage.routers.shares("flagger");
    let promoted = [0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 99.0];
    assert_eq!(shares[..7], promoted, "{shares:?}");
    speaks_their_language(&receiver);
}
