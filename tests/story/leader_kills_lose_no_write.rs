//! The leader of a three-member etcd is killed twenty times under fifty writes a second: no caller
//! notices, and every write that was acknowledged is in every router at the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use serin_tests::applied::{batches, violations};
use serin_tests::etcd::Cluster;
use serin_tests::{Api, ControlPlane, Load, Router, Simulator, World, eventually};
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::documents::stored;

const KILLS: usize = 20;
const BETWEEN_WRITES: Duration = Duration::from_millis(20);
const ROUTES: usize = 20;
/// Longest wait until the last acknowledged write is in all routers.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(10);

/// The newest acknowledged revision of each key, and how many acknowledgements there were.
#[derive(Debug, Default)]
struct Acknowledged {
    count: usize,
    newest: BTreeMap<String, (u64, bool)>,
}

/// Moves traffic of one route after another, fifty times a second however long an answer takes,
/// until told to stop. A write whose outcome is unknown or refused is not acknowledged.
async fn write(api: Api, stop: Arc<AtomicBool>) -> Acknowledged {
    let mut pace = interval(BETWEEN_WRITES);
    let mut writes = JoinSet::new();
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        pace.tick().await;
        let (api, share) = (api.clone(), 1 + n % 99);
        writes.spawn(async move {
            let route = format!("r{}", n % ROUTES);
            let body = json!({"weights": {"one": share, "two": 100 - share}});
            let path = format!("/routes/{route}/traffic");
            let answer = api.put(&path, &body, Some("*")).await;
            let etag = answer.header("etag").unwrap_or_default().trim_matches('"');
            let revision = etag.parse::<u64>().ok();
            let revision = revision.filter(|_| answer.status() == 200);
            revision.map(|revision| (format!("config/routes/{route}"), revision))
        });
    }
    let mut acknowledged = Acknowledged::default();
    for (key, revision) in writes.join_all().await.into_iter().flatten() {
        acknowledged.count += 1;
        let newest = acknowledged.newest.entry(key).or_default();
        newest.0 = newest.0.max(revision);
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread")]
async fn and_no_caller_notices() {
    let world = World::new();
    let simulator = Simulator::start(&world).await;
    let mut cluster = Cluster::start(&world).await;
    let plane = ControlPlane::start(&world, "plane", &cluster.store()).await;
    let api = plane.admin();
    stored::begin(&api, simulator.address).await;
    for n in 0..ROUTES {
        let name = format!("r{n}");
        api.set(&format!("/routes/{name}"), &stored::route(&name, "a"))
            .await;
    }
    let routers = [
        Router::start(&world, "r1", &cluster.store()).await,
        Router::start(&world, "r2", &cluster.store()).await,
    ];
    let load = Load::start(&[routers[0].traffic, routers[1].traffic], "r0");
    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn(write(api.clone(), Arc::clone(&stop)));

    for _ in 0..KILLS {
        let killed = cluster.kill_leader().await;
        accepted(&api).await;
        cluster.again(killed).await;
    }
    stop.store(true, Ordering::Relaxed);
    let written = writer.await.expect("the writer ends");
    eprintln!(
        "{KILLS} leaders killed, {} writes acknowledged",
        written.count
    );
    assert!(
        written.count > KILLS * 20,
        "too few writes to tell anything: {written:?}"
    );

    for router in &routers {
        let look = async || violations(&batches(&router.process.printed()), &written.newest);
        eventually(
            "every acknowledged write is there",
            CAUGHT_UP_WITHIN,
            look,
            Vec::is_empty,
        )
        .await;
    }
    load.end().await.nobody_noticed(1_000);
}

/// Waits until the cluster takes writes again.
async fn accepted(api: &Api) {
    let look = async || {
        let body = json!({"weights": {"one": 100, "two": 0}});
        let answer = api.put("/routes/r0/traffic", &body, Some("*")).await;
        (answer.status(), answer.text())
    };
    eventually("writes are back", Duration::from_secs(30), look, |seen| {
        seen.0 == 200
    })
    .await;
}
