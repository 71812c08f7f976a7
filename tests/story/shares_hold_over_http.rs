//! Shares as callers see them: by the `x-serin-target` of 100 000 session ids over HTTP.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use serin_tests::client::{Connection, Request};
use serin_tests::serin::CALLER_SECRET;
use serin_tests::{Serin, Simulator, World, eventually};
use tokio::task::JoinSet;

use crate::documents::documents;

const CALLERS: usize = 8;
const IDS: usize = 100_000;
/// In percent of all ids.
const TOLERANCE: f64 = 0.6;

/// Three targets; the third is the canary. The alias tells which version is in force.
fn version(provider: SocketAddr, weights: [u32; 3], alias: &str) -> String {
    let [one, two, three] = weights;
    documents(
        &[provider],
        &format!(
            "  - name: chat\n    \
               aliases: [{alias}]\n    \
               targets:\n      \
                 - {{name: one, provider: a, model: model}}\n      \
                 - {{name: two, provider: a, model: model}}\n      \
                 - {{name: three, provider: a, model: model}}\n    \
               traffic:\n      \
                 canary: three\n      \
                 weights: {{one: {one}, two: {two}, three: {three}}}\n    \
               affinity: [\"header:x-session-id\"]\n"
        ),
    )
}

/// The target of each id, in order of the ids.
async fn targets(serin: &Serin, ids: usize) -> Vec<String> {
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let mine = ids * caller / CALLERS..ids * (caller + 1) / CALLERS;
        let traffic = serin.traffic;
        callers.spawn(async move {
            let mut connection = Connection::open(traffic).await.expect("somebody listens");
            let mut found = Vec::new();
            for id in mine {
                found.push((id, target(&mut connection, id).await));
            }
            found
        });
    }
    let mut found: Vec<_> = callers.join_all().await.into_iter().flatten().collect();
    found.sort();
    found.into_iter().map(|(_, target)| target).collect()
}

async fn target(connection: &mut Connection, id: usize) -> String {
    let body = r#"{"model":"chat","messages":[]}"#;
    let request = Request::post("/v1/chat/completions", body).key(CALLER_SECRET);
    let request = request.header("x-session-id", &format!("session-{id}"));
    let answer = connection.exchange(&request).await.expect("an answer");
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let target = answer
        .header("x-serin-target")
        .expect("answers name their target")
        .to_owned();
    let arm = if target == "three" {
        "canary"
    } else {
        "stable"
    };
    assert_eq!(
        answer.header("x-serin-arm"),
        Some(arm),
        "id {id} at {target}"
    );
    target
}

async fn stage(world: &World, weights: [u32; 3]) -> (Simulator, Serin) {
    let simulator = Simulator::start(world).await;
    simulator
        .script(&json!({"journal": "off", "default": {"answerTokens": 1}}))
        .await;
    let serin = Serin::following(world, &version(simulator.address, weights, "v0")).await;
    (simulator, serin)
}

#[tokio::test(flavor = "multi_thread")]
async fn seventy_twentyfive_five() {
    let world = World::new();
    let (_simulator, serin) = stage(&world, [70, 25, 5]).await;
    let found = targets(&serin, IDS).await;
    for (name, percent) in [("one", 70.0), ("two", 25.0), ("three", 5.0)] {
        let count = found.iter().filter(|target| *target == name).count();
        let share = 100.0 * f64::from(u32::try_from(count).expect("it is small")) / 100_000.0;
        assert!(
            (share - percent).abs() <= TOLERANCE,
            "{name}: {share} % instead of {percent} %"
        );
    }
    let again = targets(&serin, IDS / 20).await;
    assert_eq!(again[..100], found[..100], "an id changed its target");
    let firsts: Vec<_> = (0..IDS / 20).map(|id| &found[id]).collect();
    assert!(again.iter().eq(firsts), "an id changed its target");
}

#[tokio::test(flavor = "multi_thread")]
async fn raising_the_canary_takes_nobody_out_of_it() {
    let ids = IDS / 10;
    let world = World::new();
    let (simulator, serin) = stage(&world, [99, 0, 1]).await;
    let mut before: BTreeSet<usize> = BTreeSet::new();
    for (step, canary) in [1, 5, 25].into_iter().enumerate() {
        let alias = format!("v{step}");
        serin.rewrite(&version(
            simulator.address,
            [100 - canary, 0, canary],
            &alias,
        ));
        in_force(&serin, &alias).await;
        let found = targets(&serin, ids).await;
        let in_it = |id: &usize| found[*id] == "three";
        let now: BTreeSet<usize> = (0..ids).filter(in_it).collect();
        let lost: Vec<_> = before.difference(&now).collect();
        assert!(
            lost.is_empty(),
            "at {canary} % these left the canary: {lost:?}"
        );
        assert!(now.len() > before.len(), "{} at {canary} %", now.len());
        before = now;
    }
}

async fn in_force(serin: &Serin, alias: &str) {
    let body = json!({"model": alias, "messages": []}).to_string();
    let look = async || {
        serin
            .ask(Request::post("/v1/chat/completions", body.as_str()))
            .await
            .status()
    };
    let soon = Duration::from_secs(10);
    eventually("the new file is in force", soon, look, |status| {
        *status == 200
    })
    .await;
}
