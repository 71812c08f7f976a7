//! Plans change while they run, and what they rest on does not.

use serde_json::{Value, json};
use serin_tests::rollouts::number;
use serin_tests::scripted_prometheus::Traffic;

use crate::stage::Stage;
use crate::story::Story;

/// A plan with steps of so many percent, each of a hundred seconds at the Prometheus, judged by
/// errors alone.
pub(crate) fn plan(weights: &[f64]) -> Value {
    let step = |weight: &f64| json!({"weight": weight, "minDuration": "60s", "minSamples": 20});
    json!({
        "steps": weights.iter().map(step).collect::<Vec<_>>(),
        "promotion": {"bake": "60s"},
        "analysis": {
            "interval": "1s",
            "warmup": "10s",
            "metrics": [{"name": "errors", "share": 0.6, "margin": {"points": 0.5}}],
            "guards": {"breakerOpen": "2s"},
        },
    })
}

/// The same with one value changed.
pub(crate) fn with(mut plan: Value, pointer: &str, value: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    let parent = plan.pointer_mut(parent).expect("a place in the plan");
    match parent {
        Value::Array(items) => {
            let at: usize = name.parse().expect("a place in the list");
            items[at] = value;
        }
        other => other[name] = value,
    }
    plan
}

/// A step that lasts until something happens.
pub(crate) fn endless(weights: &[f64]) -> Value {
    let mut plan = plan(weights);
    let steps = plan["steps"].as_array_mut().expect("steps");
    steps
        .iter_mut()
        .for_each(|step| step["minDuration"] = json!("24h"));
    plan
}

async fn revisions(stage: &Stage, keys: &[String]) -> Vec<u64> {
    let mut found = Vec::new();
    for key in keys {
        let key = format!("/serin/v1/{key}");
        let text = stage.etcd.ctl(&["get", &key, "-w", "json"]).await;
        let answer: Value = serde_json::from_str(&text).expect("etcdctl prints JSON");
        found.push(answer["kvs"][0]["mod_revision"].as_u64().unwrap_or(0));
    }
    found
}

/// RO23: the running step ends as it was planned; the next one is the new plan's, and only the
/// metric that means something else begins anew.
pub(crate) async fn a_changed_plan_holds_from_the_next_step_on() {
    let stage = Stage::shared().await;
    let mut story = Story::begin(&stage, "ro23", Traffic::healthy(200.0)).await;
    let rejections = json!({"name": "rejections", "share": 0.1, "margin": {"points": 1}});
    let mut old = plan(&[5.0, 25.0, 50.0]);
    let metrics = old["analysis"]["metrics"].as_array_mut();
    metrics.expect("metrics").push(rejections);
    story.start(&old).await;
    let id = story.id.clone();
    story
        .until("it analyses", 60, |seen| {
            seen.analyses(0) && seen.number("/clocks/exposureMs") > 0
        })
        .await;

    let mut new = with(old.clone(), "/steps/1/weight", json!(30));
    new["analysis"]["metrics"][1]["margin"]["points"] = json!(3);
    let answer = story.ask(&new).await;
    assert!(matches!(answer.status(), 200 | 201), "{}", answer.text());
    assert_eq!(answer.json()["rolloutId"], id.as_str(), "{}", answer.text());
    assert_eq!(answer.json()["share"], 5.0, "the share moved");
    let seen = story
        .until("the next step", 60, |seen| seen.0["step"] == 1)
        .await;
    assert_eq!(seen.share(), 30.0, "{seen:#?}");
    let seen = story
        .until("it analyses", 60, |seen| {
            seen.analyses(1) && seen.number("/clocks/exposureMs") > 0
        })
        .await;
    let transitions = story.transitions().await;
    assert!(transitions.contains(&"t13".to_owned()), "{transitions:?}");
    // Of two components, the kept metric has the first one's evidence; the other has begun anew.
    let restarts = seen.number("/evidenceRestarts") + seen.number("/analysis/restarts");
    assert!(restarts >= 1, "{:#}", seen.0["analysis"]);
    let judged = |name: &str| seen.number(&format!("/analysis/metrics/{name}/bounds/0/seen"));
    assert!(
        judged("errors") > judged("rejections"),
        "{:#}",
        seen.0["analysis"]
    );

    // The same plan once more changes nothing.
    let again = story.ask(&new).await;
    assert_eq!(again.status(), 200, "{}", again.text());
    assert_eq!(again.json()["rolloutId"], id.as_str());
    story.does("abort", &json!({"reason": "seen enough"})).await;
    story.is_taken_back().await;
}

/// RO23: a plan that asks for it begins anew, under a new id.
pub(crate) async fn a_changed_plan_may_restart() {
    let stage = Stage::shared().await;
    let mut story = Story::begin(&stage, "ro23-restart", Traffic::healthy(200.0)).await;
    let old = with(endless(&[5.0, 25.0]), "/planPolicy", json!("restart"));
    story.start(&old).await;
    story
        .until("it analyses", 60, |seen| seen.analyses(0))
        .await;
    let first = story.id.clone();
    story
        .start(&with(old, "/steps/0/minSamples", json!(30)))
        .await;
    assert_ne!(story.id, first);
    let fresh = story.state().await;
    assert_eq!(fresh.share(), 0.0, "{fresh:#?}");
    let old = stage.api().get(&format!("/rollouts/{first}")).await;
    assert_eq!(old.json()["phase"], "Superseded", "{}", old.text());
    story
        .until("it analyses", 60, |seen| seen.analyses(0))
        .await;
    story.does("abort", &json!({})).await;
}

/// RO24: one transaction ends the old one and begins the new one, with nothing of the old one's.
pub(crate) async fn another_candidate_takes_its_place_in_one_transaction() {
    let stage = Stage::shared().await;
    let mut story = Story::begin(&stage, "ro24", Traffic::healthy(200.0)).await;
    story.start(&endless(&[5.0, 25.0])).await;
    let old = story
        .until("it analyses", 60, |seen| {
            seen.analyses(0) && seen.number("/clocks/exposureMs") > 0
        })
        .await;
    let first = story.id.clone();
    let mut other = endless(&[5.0, 25.0]);
    other["candidate"] = json!("mistral");
    // A tick may come between the answer and the look at etcd: the records do not move.
    story.start(&other).await;
    let fresh = story.state().await;
    assert_eq!(fresh.0["candidate"]["target"], "mistral", "{fresh:#?}");
    assert_ne!(fresh.0["salt"], old.0["salt"]);
    assert_ne!(fresh.0["rolloutId"], old.0["rolloutId"]);
    let ended = stage.api().get(&format!("/rollouts/{first}")).await.json();
    assert_eq!(ended["phase"], "Superseded", "{ended}");
    let records = story.history().await;
    let seq = number(&records[0]["seq"]);
    let keys = [seq - 1, seq].map(|seq| format!("rollouts/ro24/history/{seq:020}"));
    let revisions = revisions(&stage, &keys).await;
    assert_eq!(revisions[0], revisions[1], "two transactions: {keys:?}");
    let traffic = &story.traffic().await;
    assert_eq!(traffic["canary"], "mistral", "{traffic}");
    assert_eq!(
        traffic["weights"]["claude"].as_f64().unwrap_or(0.0),
        0.0,
        "{traffic}"
    );

    let seen = story
        .until("it analyses", 60, |seen| seen.analyses(0))
        .await;
    let since = seen.number("/exposureStartMs");
    assert!(since > old.number("/cursorMs"), "{seen:#?}");
    for window in story.windows().await {
        let from = number(&window["from"]);
        assert!(from >= since, "counts from before: {window}");
    }
    let shares = stage.routers.shares("ro24");
    assert_eq!(shares, [0.0, 5.0, 0.0, 5.0], "shares that routers served");
    story.does("abort", &json!({})).await;
}

/// RO25: what serves as stable is no candidate; a candidate is not redefined under way, and one
/// that was, around the API, is taken back.
pub(crate) async fn the_definition_of_a_candidate_stands_while_it_is_judged() {
    let stage = Stage::shared().await;
    let mut story = Story::begin(&stage, "ro25", Traffic::healthy(200.0)).await;
    let mut stable = plan(&[5.0]);
    stable["candidate"] = json!("gpt");
    let answer = story.ask(&stable).await;
    assert_eq!(answer.status(), 409, "{}", answer.text());
    assert_eq!(answer.json()["code"], "candidate_is_stable");

    story.start(&endless(&[5.0])).await;
    story
        .until("it analyses", 60, |seen| seen.analyses(0))
        .await;
    let document = stage.api().get("/routes/ro25").await.json();
    for target in [0, 1] {
        let pointer = format!("/targets/{target}/model");
        let other = with(document.clone(), &pointer, json!("another"));
        let answer = stage.api().put("/routes/ro25", &other, Some("*")).await;
        assert_eq!(answer.status(), 409, "{pointer}: {}", answer.text());
        assert_eq!(answer.json()["code"], "rollout_active", "{}", answer.text());
        let legal = answer.json()["legal"].as_array().map_or(0, Vec::len);
        assert!(legal > 0, "{}", answer.text());
    }
    let provider = json!({"name": "a", "dialect": "openai", "baseUrl": "http://127.0.0.1:10/v1"});
    let answer = stage.api().put("/providers/a", &provider, Some("*")).await;
    assert_eq!(answer.status(), 409, "{}", answer.text());
    let affinity = with(document, "/affinity", json!(["header:x-session"]));
    let answer = stage.api().put("/routes/ro25", &affinity, Some("*")).await;
    assert_eq!(answer.status(), 409, "affinity: {}", answer.text());
    assert!(story.state().await.analyses(0));

    let stored = stage.stored("config/routes/ro25").await.expect("the route");
    let around = with(stored, "/targets/1/model", json!("another"));
    let mut gateway = stage.gateway().await;
    let written = gateway
        .put("config/routes/ro25", around.to_string().as_bytes())
        .await;
    written.expect("etcd takes it");
    let seen = story.ends("Failed", 20).await;
    let because = seen.ended_because();
    assert!(because.contains("definition"), "{seen:#?}");
    assert_eq!(seen.0["guard"], "definition_changed", "{seen:#?}");
    story.is_taken_back().await;
}

/// RO42: a route stays while its rollout runs; afterwards it goes with what the rollout kept,
/// except its history.
pub(crate) async fn a_route_with_a_rollout_is_not_deleted() {
    let stage = Stage::shared().await;
    let mut story = Story::begin(&stage, "ro42", Traffic::healthy(200.0)).await;
    story.start(&endless(&[5.0])).await;
    story
        .until("it analyses", 60, |seen| seen.analyses(0))
        .await;
    let answer = stage.api().delete("/routes/ro42", Some("*")).await;
    assert_eq!(answer.status(), 409, "{}", answer.text());
    assert_eq!(answer.json()["code"], "rollout_active", "{}", answer.text());
    story.does("abort", &json!({"reason": "it goes"})).await;
    let answer = stage.api().delete("/routes/ro42", Some("*")).await;
    assert!(
        matches!(answer.status(), 200 | 204),
        "{} {}",
        answer.status(),
        answer.text()
    );
    assert_eq!(stage.stored("config/routes/ro42").await, None);
    let prefix = "/serin/v1/rollouts/ro42/";
    let left = stage
        .etcd
        .ctl(&["get", "--prefix", "--keys-only", prefix])
        .await;
    let left: Vec<&str> = left.lines().filter(|line| !line.is_empty()).collect();
    assert!(
        !left.is_empty() && left.iter().all(|key| key.contains("/history/")),
        "{left:?}"
    );
}
