//! etcd goes away, comes back, comes back empty, forgets its history, is cut off: no caller notices,
//! and every router ends where the store is.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use serin_tests::applied::{Batch, Kind, batches, violations};
use serin_tests::client::Request;
use serin_tests::command::serin as command;
use serin_tests::control_plane::token;
use serin_tests::etcd::Etcd;
use serin_tests::namespace::Namespace;
use serin_tests::{Api, ControlPlane, Gateway, Load, Router, Simulator, World, eventually};

use crate::documents::{chat_with, stored};

const SOON: Duration = Duration::from_secs(10);
/// Longest wait for a change after etcd is back.
const CONVERGED_WITHIN: Duration = Duration::from_secs(6);
/// A cut wire is noticed by pings and by silence.
const NOTICED_WITHIN: Duration = Duration::from_secs(20);

/// How long etcd is away: `STORY_OUTAGE_SECONDS`, else twenty.
#[expect(
    clippy::disallowed_methods,
    reason = "a person may ask for a longer outage than every run can afford"
)]
fn outage() -> Duration {
    let seconds = std::env::var("STORY_OUTAGE_SECONDS").ok();
    Duration::from_secs(seconds.and_then(|text| text.parse().ok()).unwrap_or(20))
}

struct Stage {
    simulator: Simulator,
    etcd: Etcd,
    plane: ControlPlane,
    router: Router,
}

impl Stage {
    async fn begin(world: &World) -> Self {
        let simulator = Simulator::start(world).await;
        let etcd = Etcd::start(world).await;
        let plane = ControlPlane::start(world, "plane", &etcd.store()).await;
        let api = plane.admin();
        stored::begin(&api, simulator.address).await;
        api.set("/routes/chat", &stored::route("chat", "a")).await;
        let router = Router::start(world, "r1", &etcd.store()).await;
        serves(&router, "chat").await;
        Self {
            simulator,
            etcd,
            plane,
            router,
        }
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

async fn gauge(router: &Router, name: &str) -> f64 {
    router.metrics().await.sum(name, &[])
}

/// Waits until the newest word from the store is that old.
async fn stale(router: &Router, age: Duration) {
    let promise = "the staleness gauge rises";
    let look = async || {
        let last = gauge(router, "serin_config_last_progress_timestamp_seconds").await;
        unix_seconds() - last
    };
    eventually(promise, age * 2 + SOON, look, |seen| {
        *seen >= age.as_secs_f64()
    })
    .await;
}

#[expect(clippy::disallowed_methods, reason = "the gauge is a time of day")]
fn unix_seconds() -> f64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.expect("a clock after 1970").as_secs_f64()
}

/// Writes a route through the control plane until it is accepted; etcd may just be back.
async fn accepted(api: &Api, route: &str) {
    let document = stored::route(route, "b");
    let look = async || {
        let answer = api.put(&format!("/routes/{route}"), &document, None).await;
        (answer.status(), answer.text())
    };
    // 428: an earlier try was written after all.
    let done = |seen: &(u16, String)| matches!(seen.0, 201 | 428);
    eventually("a write is accepted", SOON * 2, look, done).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_felt_by_nobody_and_caught_up_at_once() {
    let world = World::new();
    let mut stage = Stage::begin(&world).await;
    let load = Load::start(&[stage.router.traffic], "chat");

    stage.etcd.kill().await;
    stale(&stage.router, outage()).await;
    assert_eq!(gauge(&stage.router, "serin_config_watch_up").await, 0.0);
    let refused = stage
        .plane
        .admin()
        .put("/routes/late", &stored::route("late", "a"), None)
        .await;
    assert_eq!(refused.status(), 503, "{}", refused.text());
    assert_eq!(refused.json()["code"], json!("store_unavailable"));

    stage.etcd.again().await;
    accepted(&stage.plane.admin(), "late").await;
    let body = chat_with("late").to_string();
    let look = async || {
        stage
            .router
            .ask(Request::post("/v1/chat/completions", body.as_str()))
            .await
            .status()
    };
    eventually("the change is there", CONVERGED_WITHIN, look, |status| {
        *status == 200
    })
    .await;
    load.end().await.nobody_noticed(1_000);
    no_spin(&stage.router);
}

/// Attempts to reconnect are told on change of state and then at most once a minute: a router that
/// spins would say so hundreds of times.
fn no_spin(router: &Router) {
    let log = router.process.printed();
    let warnings = log
        .lines()
        .filter(|line| line.contains("\"WARN\"") || line.contains("\"ERROR\""));
    let count = warnings.count();
    assert!(count < 60, "{count} warnings of one outage:\n{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_store_is_held_until_somebody_adopts_it() {
    let world = World::new();
    let mut stage = Stage::begin(&world).await;
    let load = Load::start(&[stage.router.traffic], "chat");

    stage.etcd.kill().await;
    stage.etcd.wipe();
    stage.etcd.again().await;
    let hold = async || stage.router.snapshot().await["hold"].clone();
    eventually("the router holds", SOON, hold, Value::is_string).await;
    assert_eq!(gauge(&stage.router, "serin_config_watch_up").await, 0.0);

    // Somebody begins to fill the new store; it is still not the one the router followed.
    let api = stage.plane.admin();
    stored::begin(&api, stage.simulator.address).await;
    api.set("/routes/chat", &stored::route("chat", "a")).await;
    api.set("/routes/fresh", &stored::route("fresh", "a")).await;
    let reported = async || api.get("/routers").await.json()["items"][0]["hold"].clone();
    eventually(
        "the fleet view says who holds",
        SOON * 4,
        reported,
        Value::is_string,
    )
    .await;
    let answer = stage
        .router
        .ask(Request::post(
            "/v1/chat/completions",
            chat_with("fresh").to_string(),
        ))
        .await;
    assert_eq!(
        answer.status(),
        404,
        "a held store was applied: {}",
        answer.text()
    );

    let adopt = ["store", "adopt", "--reason", "the old one is gone"];
    let done = command(stage.plane.api, token("admin"), &adopt).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    serves(&stage.router, "fresh").await;
    assert_eq!(hold().await, Value::Null);
    load.end().await.nobody_noticed(300);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_paused_router_missed_is_there_though_history_is_compacted() {
    const WRITES: usize = 1_000;
    let world = World::new();
    let stage = Stage::begin(&world).await;
    let mut gateway = Gateway::open(stage.etcd.address())
        .await
        .expect("etcd listens");
    let key = |n: usize| format!("config/routes/r{}", n % 100);
    let mut written: BTreeMap<String, (u64, bool)> = BTreeMap::new();
    for n in 0..100 {
        let value = stored::route(&format!("r{n}"), "a").to_string();
        gateway
            .put(&key(n), value.as_bytes())
            .await
            .expect("etcd writes");
    }
    serves(&stage.router, "r99").await;

    stage.router.process.signal("STOP").await;
    let mut last = 0;
    for n in 0..WRITES {
        let value = stored::route(&format!("r{}", n % 100), "b").to_string();
        // Every third key ends deleted.
        let deleted = n % 3 == 0;
        last = if deleted {
            gateway.delete(&key(n)).await
        } else {
            gateway.put(&key(n), value.as_bytes()).await
        }
        .expect("etcd writes");
        written.insert(key(n), (last, deleted));
    }
    gateway.compact(last).await.expect("etcd compacts");
    stage.router.process.signal("CONT").await;

    let load = Load::start(&[stage.router.traffic], "chat");
    let log = async || batches(&stage.router.process.printed());
    let reached = |log: &Vec<Batch>| log.last().is_some_and(|batch| batch.revision >= last);
    let log = eventually("the router caught up", SOON * 4, log, reached).await;
    assert_eq!(violations(&log, &written), Vec::<String>::new());
    let empty = |batch: &&Batch| batch.kind == Kind::Reset && batch.changes.is_empty();
    assert_eq!(log.iter().filter(empty).count(), 0, "never empty");
    for (key, (_, deleted)) in &written {
        let route = key.trim_start_matches("config/routes/");
        let answer = stage
            .router
            .ask(Request::post(
                "/v1/chat/completions",
                chat_with(route).to_string(),
            ))
            .await;
        assert_eq!(answer.status(), if *deleted { 404 } else { 200 }, "{route}");
    }
    load.end().await.nobody_noticed(100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_is_noticed_and_mended_without_loss() {
    let world = World::new();
    let namespace = Namespace::new();
    let simulator = Simulator::start(&world).await;
    let etcd = Etcd::start_in(&world, &namespace).await;
    let plane = ControlPlane::start(&world, "plane", &etcd.store()).await;
    let api = plane.admin();
    stored::begin(&api, simulator.address).await;
    api.set("/routes/chat", &stored::route("chat", "a")).await;
    let router = Router::start(&world, "r1", &etcd.store()).await;
    serves(&router, "chat").await;
    let load = Load::start(&[router.traffic], "chat");

    namespace.cut();
    let up = async || gauge(&router, "serin_config_watch_up").await;
    eventually("the cut is noticed", NOTICED_WITHIN + SOON, up, |up| {
        *up == 0.0
    })
    .await;
    namespace.mend();
    eventually("the watch is back", NOTICED_WITHIN, up, |up| *up == 1.0).await;
    accepted(&api, "late").await;
    serves(&router, "late").await;
    let log = batches(&router.process.printed());
    assert_eq!(violations(&log, &BTreeMap::new()), Vec::<String>::new());
    load.end().await.nobody_noticed(500);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_starts_without_etcd_from_what_it_kept() {
    let world = World::new();
    let mut stage = Stage::begin(&world).await;
    kept(&world, &stage.router).await;
    stage.etcd.kill().await;
    stage.router.process.kill().await;
    let began = tokio::time::Instant::now();
    stage.router.again();
    stage.router.wait_until_ready(SOON).await;
    serves(&stage.router, "chat").await;
    eprintln!("served from the snapshot file after {:?}", began.elapsed());
    assert_eq!(gauge(&stage.router, "serin_config_watch_up").await, 0.0);

    // Without a file it is alive and not ready, and does not burn its processor.
    let mut blank = Router::launch(&world, "r2", &stage.etcd.store());
    let look = async || {
        assert!(
            blank.process.ended().is_none(),
            "{}",
            blank.process.printed()
        );
        serin_tests::serin::answers(blank.admin, "/readyz").await
    };
    eventually("it says that it is not ready", SOON, look, |seen| {
        *seen == Some(503)
    })
    .await;
    let id = blank.process.id().expect("it runs");
    let ticks = async || (cpu_ticks(id), log_lines(&blank.process.printed()));
    let (used, _) = eventually("it has tried for a while", SOON * 2, ticks, |seen| {
        seen.1 >= 1
    })
    .await;
    assert!(
        used < 200,
        "{used} hundredths of a second of processor time: it spins"
    );

    stage.etcd.again().await;
    blank.wait_until_ready(SOON * 2).await;
    serves(&blank, "chat").await;
}

/// Waits until the router has written its snapshot file with the newest revision.
async fn kept(world: &World, router: &Router) {
    let path = world.path(&format!("{}-state", router.id)).join("snapshot");
    let look = async || std::fs::read_to_string(&path).unwrap_or_default();
    let holds = |text: &String| text.contains("config/routes/chat");
    eventually("the snapshot file is there", SOON, look, holds).await;
}

/// Processor time of a process so far, in hundredths of a second.
fn cpu_ticks(id: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).expect("it runs");
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let field = |n: usize| {
        after_name
            .split(' ')
            .nth(n)
            .and_then(|text| text.parse::<u64>().ok())
    };
    field(11).unwrap_or_default() + field(12).unwrap_or_default()
}

fn log_lines(log: &str) -> usize {
    log.lines()
        .filter(|line| line.contains("WARN") || line.contains("ERROR"))
        .count()
}
