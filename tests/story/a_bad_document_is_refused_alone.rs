//! Whoever writes past the control plane harms nobody: each bad value in etcd is refused alone, with
//! its reason where one looks for it, and the last good form serves on, also after a restart.

use std::time::Duration;

use serde_json::{Value, json};
use serin_tests::client::Request;
use serin_tests::etcd::Etcd;
use serin_tests::{ControlPlane, Gateway, Router, Simulator, World, eventually};

use crate::documents::{chat_with, stored};

const SOON: Duration = Duration::from_secs(10);
/// Over etcd's own limit of 1.5 MiB; the story's server takes it.
const HUGE_BYTES: usize = 2 * 1024 * 1024;

/// What is written, and the code of its refusal.
struct Bad {
    route: &'static str,
    value: Vec<u8>,
    code: &'static str,
}

/// One route of its own for each, so that each must be refused alone.
fn bad_values() -> Vec<Bad> {
    let route = |name: &str, change: &dyn Fn(&mut Value)| {
        let mut document = stored::route(name, "a");
        change(&mut document);
        document.to_string().into_bytes()
    };
    let bad = |route, value: Vec<u8>, code| Bad { route, value, code };
    let fallback: Vec<String> = (0..10_000).map(|n| format!("t{n}")).collect();
    vec![
        bad("garbage", b"\xff\x00{{not json".to_vec(), "unreadable"),
        bad(
            "zero",
            route("zero", &|d| d["traffic"]["weights"]["one"] = json!(0)),
            "weights_sum",
        ),
        bad(
            "negative",
            route("negative", &|d| d["traffic"]["weights"]["one"] = json!(-1)),
            "bad_weight",
        ),
        bad(
            "nan",
            route("nan", &|d| d["traffic"]["weights"]["one"] = json!("NaN")),
            "wrong_type",
        ),
        bad(
            "word",
            route("word", &|d| d["whenAllOpen"] = json!("pray")),
            "unknown_word",
        ),
        bad(
            "targetless",
            route("targetless", &|d| d["targets"] = json!([])),
            "missing",
        ),
        bad(
            "orphan",
            route("orphan", &|d| d["targets"][0]["provider"] = json!("nobody")),
            "unknown_provider",
        ),
        bad(
            "many",
            route("many", &|d| d["traffic"]["fallback"] = json!(fallback)),
            "unknown_target",
        ),
        bad(
            "taken",
            route("taken", &|d| d["aliases"] = json!(["garbage"])),
            "alias_taken",
        ),
        bad("huge", vec![b'x'; HUGE_BYTES], "document_too_large"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_with_its_reason_while_the_last_good_one_serves() {
    let world = World::new();
    let simulator = Simulator::start(&world).await;
    let etcd = Etcd::start_with(&world, &["--max-request-bytes", "4194304"]).await;
    let plane = ControlPlane::start(&world, "plane", &etcd.store()).await;
    let api = plane.admin();
    stored::begin(&api, simulator.address).await;
    for bad in bad_values() {
        api.set(
            &format!("/routes/{}", bad.route),
            &stored::route(bad.route, "a"),
        )
        .await;
    }
    let mut router = Router::start(&world, "r1", &etcd.store()).await;
    for bad in bad_values() {
        serves(&router, bad.route).await;
    }

    let mut gateway = Gateway::open(etcd.address()).await.expect("etcd listens");
    for bad in bad_values() {
        let key = format!("config/routes/{}", bad.route);
        gateway.put(&key, &bad.value).await.expect("etcd takes it");
    }
    let metadata = stored::provider("a", "http://169.254.169.254/v1");
    gateway
        .put("config/providers/a", metadata.to_string().as_bytes())
        .await
        .expect("etcd takes it");

    refused(&router, &api).await;
    // Neighbours go on changing while all of these are refused.
    api.set("/routes/after", &stored::route("after", "b")).await;
    serves(&router, "after").await;
    for bad in bad_values() {
        serves(&router, bad.route).await;
    }

    router.process.kill().await;
    router.again();
    router.wait_until_ready(SOON).await;
    refused(&router, &api).await;
    for bad in bad_values() {
        serves(&router, bad.route).await;
    }
}

/// The route answers, sooner or later.
async fn serves(router: &Router, route: &str) {
    let body = chat_with(route).to_string();
    let look = async || {
        let answer = router
            .ask(Request::post("/v1/chat/completions", body.as_str()))
            .await;
        (answer.status(), answer.text())
    };
    eventually(route, SOON, look, |seen| seen.0 == 200).await;
}

/// Each one is told with its code in the fleet view, and counted.
async fn refused(router: &Router, api: &serin_tests::Api) {
    let mut wanted: Vec<(String, String)> = bad_values()
        .iter()
        .map(|bad| (format!("config/routes/{}", bad.route), bad.code.to_owned()))
        .collect();
    wanted.push((
        "config/providers/a".to_owned(),
        "forbidden_address".to_owned(),
    ));
    wanted.sort();
    let look = async || {
        let routers = api.get("/routers").await.json();
        let rejected = routers["items"][0]["rejected"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut told: Vec<(String, String)> = rejected
            .iter()
            .map(|one| (text(&one["key"]), text(&one["code"])))
            .collect();
        told.sort();
        told
    };
    eventually("each refusal is told", SOON, look, |told| *told == wanted).await;
    let gauge = async || {
        let metrics = router.metrics().await;
        metrics.sum("serin_config_rejected_documents", &[])
    };
    eventually("the gauge counts them", SOON, gauge, |count| *count == 11.0).await;
}
