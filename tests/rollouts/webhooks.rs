//! Others are asked and told: what they answer counts, how long they take does not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use serin_tests::eventually;
use serin_tests::rollouts::State;
use serin_tests::scripted_http::{Reply, ScriptedHttp};
use serin_tests::scripted_prometheus::{Pace, Traffic};

use crate::plans::{endless, plan, with};
use crate::stage::{ROUTERS, Stage};
use crate::story::Story;

/// Somebody who is asked and told: answers by path, and remembers.
pub(crate) struct Receiver {
    http: ScriptedHttp,
    inside: Arc<Mutex<Inside>>,
}

#[derive(Default)]
struct Inside {
    /// By path; `200` for others.
    replies: BTreeMap<String, Reply>,
    /// Path, `Idempotency-Key`, body.
    asked: Vec<(String, String, Value)>,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let inside = Arc::new(Mutex::new(Inside::default()));
        let script = Arc::clone(&inside);
        let http = ScriptedHttp::start(move |asked| {
            let mut inside = locked(&script);
            let body = serde_json::from_slice(&asked.body).unwrap_or(Value::Null);
            let key = asked.header("idempotency-key").unwrap_or_default();
            inside
                .asked
                .push((asked.path.clone(), key.to_owned(), body));
            let reply = inside.replies.get(&asked.path).cloned();
            reply.unwrap_or(Reply::Says(200, "{}".to_owned()))
        });
        Self { http, inside }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.http.address)
    }

    /// From now on.
    pub(crate) fn reply(&self, path: &str, reply: Reply) {
        locked(&self.inside).replies.insert(path.to_owned(), reply);
    }

    pub(crate) fn bodies(&self, path: &str) -> Vec<Value> {
        let inside = locked(&self.inside);
        let of = inside.asked.iter().filter(|(asked, ..)| asked == path);
        of.map(|(.., body)| body.clone()).collect()
    }

    pub(crate) fn keys(&self, path: &str) -> Vec<String> {
        let inside = locked(&self.inside);
        let of = inside.asked.iter().filter(|(asked, ..)| asked == path);
        of.map(|(_, key, _)| key.clone()).collect()
    }

    /// Waits until so many have come.
    pub(crate) async fn hears(&self, path: &str, count: usize) {
        let look = async || self.bodies(path).len();
        let promise = format!("{path} is asked");
        eventually(&promise, Duration::from_secs(60), look, |n| *n >= count).await;
    }
}

fn locked(inside: &Mutex<Inside>) -> MutexGuard<'_, Inside> {
    inside.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A rollout on a route of its own that asks at a path of its name.
async fn asking<'a>(stage: &'a Stage, receiver: &Receiver, route: &str) -> Story<'a> {
    let path = format!("/{route}");
    let mut story = Story::begin(stage, route, Traffic::healthy(100.0)).await;
    let mut asking = endless(&[5.0, 25.0]);
    asking["analysis"]["threshold"] = json!(1000);
    asking["analysis"]["webhooks"] = json!([
        {"name": "check", "type": "rollout", "url": receiver.url(&path), "timeout": "2s"}
    ]);
    story.start(&asking).await;
    story
}

/// The body and the key are those of Flagger, and say whose they are.
fn names_itself(receiver: &Receiver, route: &str, id: &str) {
    let path = format!("/{route}");
    let body = &receiver.bodies(&path)[0];
    assert_eq!(body["name"], route, "{body}");
    assert_eq!(body["namespace"], "serin", "{body}");
    assert_eq!(body["phase"], "Progressing", "{body}");
    assert_eq!(body["serin"]["rolloutId"], id, "{body}");
    let keys = receiver.keys(&path);
    let own = format!("{id}/");
    assert!(keys.iter().all(|key| key.starts_with(&own)), "{keys:?}");
}

/// RO34: five webhooks of type `rollout` on five routes.
pub(crate) async fn a_webhook_delays_nobody_and_each_answer_means_what_it_says() {
    let stage = Stage::shared().await;
    let receiver = Receiver::start();
    let says = |status: u16, body: &str| Reply::Says(status, body.to_owned());
    let table = [
        ("ro34-hangs", Reply::Never),
        ("ro34-fails", says(500, "{}")),
        ("ro34-empty", says(204, "")),
        ("ro34-waits", says(200, r#"{"verdict":"wait"}"#)),
        ("ro34-back", says(200, r#"{"verdict":"rollback"}"#)),
    ];
    let mut stories = BTreeMap::new();
    for (route, reply) in table {
        stories.insert(route, (asking(&stage, &receiver, route).await, reply));
    }
    for (route, (story, reply)) in &stories {
        story
            .until("it analyses", 60, |seen| seen.analyses(0))
            .await;
        receiver.hears(&format!("/{route}"), 1).await;
        receiver.reply(&format!("/{route}"), reply.clone());
    }
    let of = |route: &str| &stories[route].0;
    let failed = |seen: &State| seen.number("/counters/failedChecks/webhook:check");
    let seen = of("ro34-back").ends("Failed", 20).await;
    assert_eq!(seen.0["guard"], "webhook", "{seen:#?}");
    let counted = |seen: &State| failed(seen) >= 2;
    of("ro34-fails")
        .until("failed checks count", 30, counted)
        .await;
    of("ro34-hangs").until("so do time-outs", 30, counted).await;
    let asked = receiver.bodies("/ro34-empty").len();
    receiver.hears("/ro34-empty", asked + 3).await;
    receiver.hears("/ro34-waits", 4).await;
    for route in ["ro34-empty", "ro34-waits"] {
        let seen = of(route).state().await;
        let holds = failed(&seen) == 0 && seen.is("Progressing");
        assert!(holds, "{route}: {seen:#?}");
    }
    assert_eq!(of("ro34-empty").state().await.verdict(), "pass");
    names_itself(&receiver, "ro34-fails", &of("ro34-fails").id);
    // None of them is late, the one that hangs included.
    for route in ["ro34-hangs", "ro34-fails", "ro34-empty", "ro34-waits"] {
        let on_time = |seen: &State| {
            let now = stage.prometheus.now_ms();
            now.saturating_sub(seen.number("/cursorMs")) <= 4 * of(route).tick_ms()
        };
        of(route).until("its ticks go on", 20, on_time).await;
        of(route).does("abort", &json!({})).await;
    }
}

/// RO33: before a closed gate, as many requests as five a second make in a day, with errors just
/// below an absolute limit.
pub(crate) async fn a_closed_gate_of_a_day_rolls_nothing_back_and_harm_still_does() {
    let pace = Pace {
        speed: 30,
        scrape_ms: 10_000,
        kept: 100,
    };
    let stage = Stage::apart(pace, &ROUTERS, 1).await;
    let receiver = Receiver::start();
    receiver.reply("/promote", Reply::Says(403, "{}".to_owned()));
    let mut traffic = Traffic::healthy(160.0);
    (traffic.stable.errors, traffic.canary.errors) = (0.009, 0.009);
    let mut story = Story::begin(&stage, "ro33", traffic).await;
    let bar = json!([{"name": "request-success-rate", "thresholdRange": {"min": 99}}]);
    let mut gated = with(plan(&[50.0]), "/analysis/metrics", bar);
    gated["analysis"]["threshold"] = json!(5);
    gated["analysis"]["webhooks"] = json!([
        {"name": "confirm", "type": "confirm-promotion", "url": receiver.url("/promote")}
    ]);
    story.start(&gated).await;
    story
        .until("it waits for the gate", 60, |seen| {
            seen.is("WaitingPromotion")
        })
        .await;
    story
        .stays("waiting", 90, |seen| {
            (seen.is("WaitingPromotion") || seen.is("Paused")) && seen.share() == 50.0
        })
        .await;
    let seen = story.state().await;
    assert!(seen.is("WaitingPromotion"), "{seen:#?}");
    assert!(
        receiver.bodies("/promote").len() > 10,
        "the gate was not asked again"
    );
    stage
        .prometheus
        .change("ro33", |traffic| traffic.canary.errors = 0.08);
    story.ends("Failed", 60).await;
    story.is_taken_back().await;
}
