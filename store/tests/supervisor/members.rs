//! Three members: the one we speak with dies, loses its leader, or is cut off from the others while
//! it still answers us.

use std::sync::Arc;
use std::time::Duration;

use serin_store::watch::{Event, Reason};
use serin_store::{Error, EtcdStore, Scope, Store, Watch};
use serin_tests::client::{Connection, Request};
use serin_tests::etcd::{Cluster, MEMBERS};
use serin_tests::metrics::Scrape;
use serin_tests::namespace::Namespace;
use serin_tests::{World, eventually};
use tokio::time::Instant;

use crate::outages::{Told, write};
use crate::proxy::Proxy;
use crate::stage::{SOON, down, key, next, quick, reset, store_at};

/// What is promised: another member serves within this.
const OTHER_WITHIN: Duration = Duration::from_secs(5);

/// A store and a watch whose stream is open to this member.
async fn watching(cluster: &mut Cluster, member: usize) -> (Arc<EtcdStore>, Watch) {
    let endpoints = cluster.endpoints();
    watching_at(cluster, endpoints, member).await
}

async fn watching_at(
    cluster: &mut Cluster,
    endpoints: Vec<String>,
    member: usize,
) -> (Arc<EtcdStore>, Watch) {
    let mut timing = quick();
    // Silence is not what these stories are about.
    timing.silent = SOON;
    timing.call = Duration::from_secs(5);
    // The order of endpoints is drawn for each store.
    for _ in 0..100 {
        let store = store_at(endpoints.clone(), timing.clone());
        let mut watch = store.watch(Scope::Documents, None);
        reset(&mut watch).await;
        while !matches!(next(&mut watch).await, Event::Progress(_)) {}
        if streams(cluster, member).await == 1.0 {
            return (store, watch);
        }
        drop(watch);
        let all = async || {
            let mut open = 0.0;
            for member in 0..MEMBERS {
                open += streams(cluster, member).await;
            }
            open
        };
        eventually("the stream is closed", SOON, all, |open| *open == 0.0).await;
    }
    panic!("no store of a hundred began with member {member}");
}

async fn streams(cluster: &mut Cluster, member: usize) -> f64 {
    let metrics = cluster.member(member).metrics;
    let mut connection = Connection::open(metrics).await.expect("it runs");
    let answer = connection.exchange(&Request::get("/metrics")).await;
    let text = answer.expect("it answers").text();
    Scrape::read(&text).sum("etcd_debugging_mvcc_watch_stream_total", &[])
}

#[tokio::test(flavor = "multi_thread")]
async fn another_member_serves_when_ours_dies() {
    let world = World::new();
    let mut cluster = Cluster::start(&world).await;
    let leader = cluster.leader().await;
    for member in [leader, (leader + 1) % MEMBERS] {
        let (store, mut watch) = watching(&mut cluster, member).await;
        // A write that a follower has passed to a leader that died is never answered: asked again
        // soon, for the watch is what is measured.
        let writer = store_at(cluster.endpoints(), quick());
        let began = Instant::now();
        cluster.member(member).kill().await;
        let last = write(&writer, &format!("after-{member}")).await;
        Told::default().until(&mut watch, last).await;
        let took = began.elapsed();
        eprintln!("member {member} (leader {leader}) died: {took:?}");
        assert!(took < OTHER_WITHIN, "{took:?}");
        crate::stage::streams(&store, 1).await;
        cluster.again(member).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_without_a_leader_is_left_and_nobody_spins() {
    let world = World::new();
    let mut cluster = Cluster::start(&world).await;
    let (store, mut watch) = watching(&mut cluster, 0).await;
    let began = Instant::now();
    cluster.member(1).kill().await;
    cluster.member(2).kill().await;
    let reason = down(&mut watch).await;
    let took = began.elapsed();
    eprintln!("no leader was noticed after {took:?}");
    assert_eq!(reason, Reason::NoLeader);
    assert!(took < OTHER_WITHIN, "{took:?}");
    let none = store.get(&key("config/routes/a")).await;
    assert!(matches!(none, Err(Error::Unavailable(_))), "{none:?}");
    cluster.member(1).start();
    let last = write(&store, "after").await;
    Told::default().until(&mut watch, last).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_is_cut_off_but_answers_is_left() {
    let world = World::new();
    let namespace = Namespace::new();
    let mut cluster = Cluster::start_split(&world, &namespace).await;
    let socket = cluster.member(0).socket();
    let proxy = Proxy::to_socket(socket).await;
    let mut endpoints = cluster.endpoints();
    endpoints[0] = proxy.endpoint();
    let (store, mut watch) = watching_at(&mut cluster, endpoints, 0).await;
    let others = store_at(cluster.endpoints()[1..].to_vec(), quick());
    let began = Instant::now();
    namespace.cut();
    let last = write(&others, "after").await;
    Told::default().until(&mut watch, last).await;
    let took = began.elapsed();
    eprintln!("a member that was cut off was left after {took:?}");
    assert!(took < OTHER_WITHIN, "{took:?}");
    crate::stage::streams(&store, 1).await;
}
