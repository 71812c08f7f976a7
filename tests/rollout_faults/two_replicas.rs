//! RO17, RO29–RO32: two control planes and nothing wrong, and people who ask both at once.

use std::future::pending;
use std::time::Duration;

use serde_json::{Value, json};
use serin_tests::Api;
use serin_tests::rollouts::record::{count, events, span, transitions, window};
use serin_tests::rollouts::{State, is_all_the_candidates, is_taken_back, number};
use serin_tests::scripted_prometheus::Traffic;
use serin_tests::{ControlPlane, Rollout};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::history;
use crate::stage::{PACE, SOON, STEP_MS, Stage, plan, start};
use crate::store::Store;

/// Rollouts at once: the design's number.
const AT_ONCE: usize = 20;
/// An abort that waited for a leader would take as long as a lease lives, which is 10 s.
const SOONER_THAN_A_LEASE: Duration = Duration::from_secs(5);
/// A rollout of these takes less; many at once share two processors.
const WITHIN: Duration = Duration::from_secs(150);

/// A number from the environment, for those who have more time.
#[expect(
    clippy::disallowed_methods,
    reason = "a test's size is chosen by who runs it"
)]
fn size(variable: &str, default: usize) -> usize {
    let written = std::env::var(variable).ok();
    written
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// RO17: `STORY_ROLLOUTS` of them (1 000 in the design), at most 20 at a time.
pub(crate) async fn a_second_replica_makes_no_step_shorter_and_no_tick_twice() {
    let stage = Stage::start().await;
    let planes = stage.two_planes().await;
    let all = size("STORY_ROLLOUTS", AT_ONCE);
    let mut times = Times::default();
    for first in (0..all).step_by(AT_ONCE) {
        let names: Vec<String> = (first..all.min(first + AT_ONCE))
            .map(|n| format!("r{n}"))
            .collect();
        stage.routes(&planes[0].admin(), &names).await;
        for (n, name) in names.iter().enumerate() {
            start(&planes[n % 2].admin(), name, &plan(&[5, 50], &json!({}))).await;
        }
        for name in &names {
            stage.store.until_ended(name, WITHIN).await;
            is_plain(stage.store, name, &mut times).await;
        }
    }
    let (window, step) = (times.mean(&times.windows), times.mean(&times.steps));
    eprintln!("{all} rollouts: a window of {window} ms and a step of {step} ms by the source");
    assert!(
        times.steps.iter().all(|step| *step >= STEP_MS),
        "{:?}",
        times.steps
    );
    // As with one: the step that was asked for, and two ticks, however long a tick takes here.
    assert!(
        step <= STEP_MS + 2 * window.max(PACE.speed * 1_000),
        "{step} ms of {STEP_MS}"
    );
    let [leads, stands_by] = &planes;
    for plane in &planes {
        let (fenced, conflicts) = (plane.txns("fenced").await, plane.txns("conflict").await);
        eprintln!("{}: {fenced} fenced, {conflicts} conflicts", plane.name);
        assert_eq!(fenced, 0.0);
    }
    let ticks = async |plane: &ControlPlane| {
        plane
            .metrics()
            .await
            .sum("serin_cp_tick_duration_seconds_count", &[])
    };
    assert_eq!(ticks(stands_by).await, 0.0, "two tick");
    assert!(ticks(leads).await >= (times.windows.len()) as f64);
}

/// By the source's clock, in milliseconds.
#[derive(Debug, Default)]
struct Times {
    windows: Vec<u64>,
    steps: Vec<u64>,
}

impl Times {
    fn mean(&self, of: &[u64]) -> u64 {
        of.iter().sum::<u64>() / (of.len() as u64).max(1)
    }
}

/// The history of a rollout that met nothing.
async fn is_plain(store: Store, route: &str, times: &mut Times) {
    let records = store.sound_history(route).await;
    let whole = ["t1", "t2", "t5", "t6", "t7", "t6", "t17", "t6", "t18"];
    assert_eq!(transitions(&records), whole, "{route}");
    let traffic = store.traffic(route).await;
    assert!(is_all_the_candidates(&traffic), "{route}: {traffic}");
    for event in events(&records) {
        let elapsed = number(&event["event"]["tick"]["elapsedMs"]);
        assert!(elapsed <= 2_000, "{route}: a tick of {elapsed} ms");
    }
    let windows = events(&records).filter_map(window).map(span);
    let lasting = windows.map(|(from, to)| to - from);
    times.windows.extend(lasting.filter(|ms| *ms > 0));
    times.steps.extend(history::judged_ms(&records));
}

/// RO29: the promotion and an abort at the same time, a hundred times (`STORY_RACES`).
pub(crate) async fn an_abort_and_a_promotion_at_once_have_one_winner_and_no_half() {
    let stage = Stage::start().await;
    let planes = stage.two_planes().await;
    let all = size("STORY_RACES", 100);
    let mut promoted_first = 0;
    for first in (0..all).step_by(AT_ONCE) {
        let names: Vec<String> = (first..all.min(first + AT_ONCE))
            .map(|n| format!("r{n}"))
            .collect();
        let mut rollouts = Vec::new();
        stage.routes(&planes[0].admin(), &names).await;
        for name in &names {
            let waits = json!({"promotion": {"gate": "go", "bake": "3600s"}});
            rollouts.push(start(&planes[0].admin(), name, &plan(&[50], &waits)).await);
        }
        for name in &names {
            let waits = |state: &State| state.phase() == "WaitingPromotion";
            stage.store.until((name, "it waits"), WITHIN, waits).await;
        }
        let mut races = JoinSet::new();
        for (n, rollout) in rollouts.into_iter().enumerate() {
            let apis = [planes[n % 2].admin(), planes[(n + 1) % 2].admin()];
            // All of a tick's moments, and a bit more.
            let after = Duration::from_millis((first + n) as u64 * 97 % 1_300);
            races.spawn(race(stage.store, rollout, apis, after));
        }
        promoted_first += races
            .join_all()
            .await
            .into_iter()
            .filter(|promoted| *promoted)
            .count();
    }
    eprintln!("{all} races, the promotion was first in {promoted_first}");
    assert!(
        promoted_first > 0 && promoted_first < all,
        "no race: {promoted_first} of {all}"
    );
}

/// Whether the promotion was first.
async fn race(store: Store, rollout: Rollout, [opens, aborts]: [Api; 2], after: Duration) -> bool {
    let opened = rollout.at(opens).gate("go", true).await;
    assert_eq!(opened.status(), 200, "{}", opened.text());
    // The moment is what is tried here, nothing is waited for.
    let _ = timeout(after, pending::<()>()).await;
    rollout.at(aborts).does("abort", &json!({})).await;

    let route = rollout.route;
    let records = store.sound_history(&route).await;
    let made = transitions(&records);
    let promoted = count(&records, "t17") == 1;
    let end: &[&str] = if promoted { &["t17", "t19"] } else { &["t10"] };
    let mut tail: Vec<&String> = made
        .iter()
        .skip_while(|name| *name != "gate")
        .filter(|name| *name != "gate" && *name != "t6")
        .collect();
    tail.retain(|name| *name != "rebase");
    assert_eq!(tail, end, "{route}: {made:?}");
    store.is_one_transaction(&route).await;
    let traffic = store.traffic(&route).await;
    assert!(is_taken_back(&traffic), "{route}: {traffic}");
    assert_eq!(store.state(&route).await.phase(), "Aborted");
    promoted
}

/// RO30: nobody leads, and the leader's key is held by somebody who does nothing.
pub(crate) async fn an_abort_needs_no_leader_no_prometheus_and_no_router() {
    let stage = Stage::start().await;
    let [mut leader, other] = stage.two_planes().await;
    stage.route(&leader.admin(), "chat").await;
    let chat = start(&leader.admin(), "chat", &long_plan()).await;
    stage.store.until_judged("chat", SOON * 2).await;

    leader.process.signal("STOP").await;
    stage.store.vacate().await;
    let mut gateway = stage.store.gateway().await;
    gateway
        .put("election/control-plane", b"{\"id\":\"nobody\"}")
        .await
        .expect("etcd writes");
    leader.process.signal("CONT").await;
    leader.process.kill().await;
    stage
        .prometheus
        .fault(Some(serin_tests::scripted_prometheus::Fault::Refuses));
    stage.routers.hold(&["r1", "r2"], true);
    assert_ne!(stage.store.leader().await, other.api.to_string());

    let began = Instant::now();
    chat.at(other.admin()).does("abort", &json!({})).await;
    assert!(
        began.elapsed() < SOONER_THAN_A_LEASE,
        "{:?}",
        began.elapsed()
    );
    let records = stage.store.sound_history("chat").await;
    assert_eq!(
        transitions(&records).last().map(String::as_str),
        Some("t10")
    );
    let traffic = stage.store.traffic("chat").await;
    assert!(is_taken_back(&traffic), "{traffic}");
}

fn long_plan() -> Value {
    let mut plan = plan(&[5, 25], &json!({}));
    plan["steps"][0]["minDuration"] = json!("3600s");
    plan
}

/// Rollouts that wait at the gate of their first step.
async fn gated(stage: &Stage, planes: &[ControlPlane; 2], routes: &[&str]) -> Vec<State> {
    let names: Vec<String> = routes.iter().map(|route| (*route).to_owned()).collect();
    stage.routes(&planes[0].admin(), &names).await;
    for route in routes {
        let mut plan = plan(&[5, 25], &json!({}));
        plan["steps"][0]["gate"] = json!("go");
        plan["steps"][1]["minDuration"] = json!("3600s");
        start(&planes[0].admin(), route, &plan).await;
    }
    let mut states = Vec::new();
    for route in routes {
        let gated = |state: &State| state.sub() == "Gated";
        let promise = (*route, "it waits at its gate");
        states.push(stage.store.until(promise, SOON * 3, gated).await);
    }
    states
}

/// RO31
pub(crate) async fn of_two_promotes_with_one_expected_seq_one_is_done() {
    let stage = Stage::start().await;
    let planes = stage.two_planes().await;
    let routes = ["r0", "r1", "r2", "r3", "r4"];
    let states = gated(&stage, &planes, &routes).await;
    for (route, state) in routes.iter().zip(states) {
        let path = format!("/rollouts/{}/promote", state.id());
        let body = json!({"expectedSeq": state.seq()});
        let (first, second) = (planes[0].admin(), planes[1].admin());
        let (one, two) = tokio::join!(first.post(&path, &body), second.post(&path, &body));
        let mut statuses = [one.status(), two.status()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409], "{}\n{}", one.text(), two.text());
        let refused = if one.status() == 409 { one } else { two };
        assert_eq!(refused.json()["code"], "stale_seq", "{}", refused.text());
        let records = stage.store.sound_history(route).await;
        assert_eq!(count(&records, "t7"), 1, "{:?}", transitions(&records));
        assert_eq!(stage.store.state(route).await.step(), Some(1));
    }
}

/// RO32
pub(crate) async fn the_same_idempotency_key_has_one_effect_and_the_same_answer() {
    let stage = Stage::start().await;
    let planes = stage.two_planes().await;
    let states = gated(&stage, &planes, &["chat"]).await;
    let path = format!("/rollouts/{}/promote", states[0].id());
    let body = json!({});
    let (one, two) = tokio::join!(
        planes[0].post(&path, &body, "the-same"),
        planes[1].post(&path, &body, "the-same")
    );
    let later = planes[1].post(&path, &body, "the-same").await;
    let answers = [one, two, later].map(|answer| answer.expect("an answer"));
    for answer in &answers {
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert_eq!(answer.text(), answers[0].text());
    }
    let other = planes[0]
        .post(&path, &json!({"full": true}), "the-same")
        .await;
    assert_eq!(
        other.map(|answer| answer.status()),
        Some(422),
        "another body"
    );
    let records = stage.store.history("chat").await;
    assert_eq!(count(&records, "t7"), 1, "{:?}", transitions(&records));

    // A start, too.
    stage.prometheus.traffic("other", Traffic::healthy(50.0));
    stage.route(&planes[0].admin(), "other").await;
    let path = "/routes/other/rollouts";
    let plan = long_plan();
    let (one, two) = tokio::join!(
        planes[0].post(path, &plan, "one-start"),
        planes[1].post(path, &plan, "one-start")
    );
    let (one, two) = (one.expect("an answer"), two.expect("an answer"));
    assert_eq!(
        (one.status(), two.status()),
        (201, 201),
        "{} {}",
        one.text(),
        two.text()
    );
    assert_eq!(one.text(), two.text());
    let records = stage.store.history("other").await;
    assert_eq!(count(&records, "t1"), 1, "{:?}", transitions(&records));
}
