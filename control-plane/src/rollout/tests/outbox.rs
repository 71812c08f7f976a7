//! What others are told: at least once, with one key, whoever leads.

use std::fs;

use tempfile::NamedTempFile;

use super::{hooks::Gate, *};
use crate::{
    leader::Leadership,
    rollout::{outbox, state::Phase},
};

/// A plan that tells a webhook and a chat, whose URL is in the file.
fn telling(url: &str) -> (Json, NamedTempFile) {
    let secret = NamedTempFile::new().unwrap();
    fs::write(&secret, url).unwrap();
    let mut plan = plan();
    plan["analysis"]["webhooks"] = json!([
        {"name": "news", "type": "event", "url": url, "metadata": {"team": "ml"}},
    ]);
    plan["analysis"]["alerts"] = json!([
        {"name": "chat", "type": "slack", "urlFile": secret.path()},
    ]);
    (plan, secret)
}

fn letters(rig: &Rig) -> usize {
    rig.stage.plane.rollouts.outbox().len()
}

#[tokio::test]
async fn letters_are_delivered_by_whoever_leads_and_go_when_they_are_taken() {
    let gate = Gate::new(|_| Some((200, ""))).await;
    let mut rig = Rig::new().await;
    let (plan, _secret) = telling(&gate.url);
    rig.start(plan).await;
    rig.until(|state| state.phase == Phase::Succeeded).await;
    let pending = eventually(|| async { letters(&rig) }, |n| *n > 2).await;
    assert_eq!(gate.count(), 0, "nobody leads");

    let plane = Arc::clone(&rig.stage.plane);
    let task = tokio::spawn(outbox::run(Arc::clone(&plane)));
    plane.leadership.send_replace(Leadership {
        leading: Some(rig.fence),
    });
    eventually(|| async { letters(&rig) }, |n| *n == 0).await;
    let heard = gate.heard();
    assert!(heard.len() >= pending, "{} of {pending}", heard.len());
    let event = heard
        .iter()
        .find(|heard| heard.body["metadata"]["team"] == "ml");
    let event = &event.unwrap().body;
    assert!(event["metadata"]["eventMessage"].is_string(), "{event}");
    assert!(event["metadata"]["timestamp"].is_string(), "{event}");
    assert!(
        heard
            .iter()
            .any(|heard| heard.body["attachments"].is_array())
    );
    task.abort();
}

#[tokio::test]
async fn a_letter_that_nobody_took_is_the_next_leaders_with_the_same_key() {
    // The first tries fail, whatever is told.
    let gate = Gate::new(|n| Some((if n < 3 { 500 } else { 200 }, ""))).await;
    let mut rig = Rig::new().await;
    let (plan, _secret) = telling(&gate.url);
    rig.start(plan).await;
    rig.verb(Verb::Abort).await.unwrap();
    let written = eventually(|| async { letters(&rig) }, |n| *n > 0).await;
    let plane = Arc::clone(&rig.stage.plane);
    let task = tokio::spawn(outbox::run(Arc::clone(&plane)));
    plane.leadership.send_replace(Leadership {
        leading: Some(rig.fence),
    });
    eventually(|| async { gate.count() }, |count| *count > 0).await;
    plane.leadership.send_replace(Leadership::default());
    let (fence, _lease) = rig.depose().await;
    plane.leadership.send_replace(Leadership {
        leading: Some(fence),
    });
    eventually(|| async { letters(&rig) }, |n| *n == 0).await;
    let keys: Vec<String> = gate.heard().into_iter().map(|heard| heard.key).collect();
    let first = &keys[0];
    let again = keys.iter().filter(|key| *key == first).count();
    assert!(again >= 2, "{keys:?}");
    assert!(
        keys.len() >= written + 3,
        "what was refused comes again: {keys:?}"
    );
    task.abort();
}
