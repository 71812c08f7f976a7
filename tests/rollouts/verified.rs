//! RO43: a history proves itself, to us and to somebody who has only the design.

use std::process::Stdio;

use serde_json::{Value, json};
use serin_tests::process::repository;
use serin_tests::scripted_prometheus::Traffic;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::plans::plan;
use crate::stage::Stage;
use crate::story::Story;

/// What the script of nobody of ours says to some records: whether it agrees, and its words.
async fn recomputed(records: &[Value]) -> (bool, String) {
    let script = repository().join("tests/rollouts/recompute.py");
    let mut child = Command::new("python3")
        .arg(script)
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
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

/// Both agree with the newest rollout's history.
pub(crate) async fn verified(story: &Story<'_>) {
    let verified = ["rollout", "history", &story.route, "--verify"];
    let said = story.stage.command(&verified).await;
    assert_eq!(said.code, Some(0), "{}: {said:?}", story.route);
    let records = story.history().await;
    let (agrees, said) = recomputed(&records).await;
    assert!(agrees, "{}: {said}", story.route);
    println!("{}: {}", story.route, said.trim());
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
    let (agrees, said) = recomputed(std::slice::from_ref(&touched)).await;
    assert!(!agrees, "{said}");
    let seq = crate::story::number(touched.get("seq"));
    let key = format!("rollouts/ro43/history/{seq:020}");
    let mut gateway = stage.gateway().await;
    let written = gateway.put(&key, touched.to_string().as_bytes()).await;
    written.expect("etcd takes it");
    let said = stage
        .command(&["rollout", "history", "ro43", "--verify"])
        .await;
    assert_eq!(said.code, Some(1), "{said:?}");
}
