//! RO18: the leader, and the member of etcd it speaks with, on the small side of a split.
//!
//! Both run in a network of their own, joined to ours by one wire, which is cut. The leader reaches
//! the Prometheus by that wire, too.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::json;
use serin_tests::ControlPlane;
use serin_tests::control_plane::Launch;
use serin_tests::etcd::Cluster;
use serin_tests::namespace::Namespace;
use serin_tests::rollouts::State;
use serin_tests::rollouts::record::transitions;
use serin_tests::scripted_prometheus::{ScriptedPrometheus, Traffic};
use serin_tests::scripted_routers::ScriptedRouters;
use serin_tests::wire::Wire;
use serin_tests::{World, eventually, free_address};
use tokio::time::Instant;

use crate::history;
use crate::stage::{PACE, SOON, documents, plan, start};
use crate::store::Store;
use crate::succession::TAKEN_OVER_WITHIN;

const ROUTERS: [&str; 2] = ["r1", "r2"];

struct Split {
    // Ended in this order: the network last.
    _routers: ScriptedRouters,
    /// On the small side; it leads.
    old: ControlPlane,
    /// On the large side.
    new: ControlPlane,
    _source: Wire,
    _prometheus: Arc<ScriptedPrometheus>,
    /// A member of the large side, and the one of the small side.
    store: Store,
    apart: Store,
    _cluster: Cluster,
    namespace: Namespace,
    _world: World,
}

impl Split {
    async fn start() -> Self {
        let (world, namespace) = (World::new(), Namespace::new());
        let mut cluster = Cluster::start_split(&world, &namespace).await;
        let prometheus = Arc::new(ScriptedPrometheus::start(PACE, &ROUTERS));
        prometheus.traffic("chat", Traffic::healthy(200.0));
        let members = [0, 1, 2].map(|n| cluster.member(n).address);
        let (apart, store) = (Store(members[0]), Store(members[1]));
        let routers = ScriptedRouters::start(members[1], &ROUTERS, Arc::clone(&prometheus));
        let url = prometheus.url();
        let inside: SocketAddr = url["http://".len()..].parse().expect("an address");
        let outside = SocketAddr::from((namespace.outside, free_address().port()));
        let source = Wire::between(outside, inside).await;

        let launch = Launch::on(&format!("etcd://{}", members[0]));
        let launch = launch.prometheus(&format!("http://{outside}"));
        let old = ControlPlane::launch(&world, "old", &launch.inside(&namespace)).await;
        store.is_led_by(&old, SOON).await;
        let launch = Launch::on(&format!("etcd://{},{}", members[1], members[2])).prometheus(&url);
        let new = ControlPlane::launch(&world, "new", &launch).await;
        documents(&new.admin(), "http://127.0.0.1:9/v1", "chat").await;
        Self {
            _routers: routers,
            old,
            new,
            _source: source,
            _prometheus: prometheus,
            store,
            apart,
            _cluster: cluster,
            namespace,
            _world: world,
        }
    }

    /// What both sides have in the end is one history.
    async fn has_one_history(&self) {
        let back = async || {
            let listed = self.apart.try_list("rollouts/chat/history/").await;
            listed.map(|all| all.len())
        };
        eventually("the small side is back", SOON, back, Option::is_some).await;
        let records = self.store.history("chat").await;
        let seen = async || self.apart.history("chat").await;
        let is_same = |seen: &Vec<_>| seen.len() >= records.len();
        let seen = eventually("one history", SOON, seen, is_same).await;
        assert_eq!(&seen[..records.len()], &records[..]);
        assert_eq!(history::faults(&seen), Vec::<String>::new());
        assert_eq!(
            transitions(&seen),
            ["t1", "t2", "t5", "t6", "gate", "t7", "t6"]
        );
    }
}

/// RO18
pub(crate) async fn a_leader_in_an_etcd_minority_stops_and_the_majority_has_another() {
    let split = Split::start().await;
    let (store, new) = (split.store, &split.new);
    let mut plan = plan(&[5, 25], &json!({}));
    plan["steps"][0]["gate"] = json!("go");
    plan["steps"][1]["minDuration"] = json!("3600s");
    let chat = start(&new.admin(), "chat", &plan).await;
    let gated = |state: &State| state.sub() == "Gated";
    let promise = ("chat", "it waits at its gate");
    store.until(promise, SOON * 2, gated).await;

    split.namespace.cut();
    let cut = Instant::now();
    let look = async || split.old.tail();
    let lost = |log: &String| log.contains("leadership was lost");
    eventually("the old one stops", SOON, look, lost).await;
    eprintln!("the minority's leader stopped after {:?}", cut.elapsed());
    // A new leader of etcd gives each lease its whole time anew.
    store.is_led_by(new, TAKEN_OVER_WITHIN * 2).await;
    let path = chat.path("gates/go");
    let opened = async || {
        let answer = new.put(&path, &json!({"open": true})).await;
        answer.map(|answer| answer.status())
    };
    let is_done = |status: &Option<u16>| *status == Some(200);
    eventually("the gate can be opened", SOON, opened, is_done).await;
    let second = |state: &State| state.step() == Some(1) && state.sub() == "Analysing";
    let promise = ("chat", "the majority goes on");
    store.until(promise, SOON, second).await;

    split.namespace.mend();
    split.has_one_history().await;
    assert_eq!(store.leader().await, new.api.to_string());
}
