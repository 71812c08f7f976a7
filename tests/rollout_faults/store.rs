//! What is stored of rollouts, read past everything of ours.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use serin_tests::gateway::{Gateway, Kept};
use serin_tests::{World, eventually};

use crate::plane::Plane;

/// A rollout's state; shown in short.
#[derive(Clone, Default)]
pub(crate) struct State(pub(crate) Value);

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = [
            "rolloutId",
            "seq",
            "phase",
            "sub",
            "pausedIn",
            "pauseReasons",
            "step",
            "share",
            "verdict",
            "endedBecause",
            "clocks",
            "counters",
            "cursorMs",
            "exposureStartMs",
            "hooks",
            "gates",
        ];
        let shown = fields
            .iter()
            .filter_map(|name| Some((*name, self.0.get(*name)?)));
        f.debug_map()
            .entries(shown.map(|(k, v)| (k, v.to_string())))
            .finish()
    }
}

impl State {
    pub(crate) fn phase(&self) -> &str {
        self.0["phase"].as_str().unwrap_or_default()
    }

    pub(crate) fn sub(&self) -> &str {
        self.0["sub"].as_str().unwrap_or_default()
    }

    pub(crate) fn has_ended(&self) -> bool {
        ["Succeeded", "Failed", "Aborted", "Superseded"].contains(&self.phase())
    }

    pub(crate) fn step(&self) -> Option<u64> {
        self.0["step"].as_u64()
    }

    pub(crate) fn share(&self) -> f64 {
        self.0["share"].as_f64().unwrap_or(-1.0)
    }

    pub(crate) fn seq(&self) -> u64 {
        number(&self.0["seq"])
    }

    pub(crate) fn id(&self) -> &str {
        self.0["rolloutId"].as_str().unwrap_or_default()
    }

    pub(crate) fn is_paused_for(&self, reason: &str) -> bool {
        let reasons = self.0["pauseReasons"].as_array();
        let mut reasons = reasons.into_iter().flatten();
        self.phase() == "Paused" && reasons.any(|known| known == reason)
    }
}

/// A number, also if it is written as a text.
pub(crate) fn number(value: &Value) -> u64 {
    let text = value.as_str().and_then(|text| text.parse().ok());
    value.as_u64().or(text).unwrap_or_default()
}

/// An etcd that runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Store(pub(crate) SocketAddr);

impl Store {
    /// All keys that begin so; `None`: it does not answer.
    pub(crate) async fn try_list(self, prefix: &str) -> Option<Vec<Kept>> {
        let mut gateway = Gateway::open(self.0).await.ok()?;
        gateway.list(prefix).await.ok()
    }

    pub(crate) async fn list(self, prefix: &str) -> Vec<Kept> {
        let kept = self.try_list(prefix).await;
        kept.unwrap_or_else(|| panic!("etcd at {} does not answer", self.0))
    }

    pub(crate) async fn kept(self, key: &str) -> Option<Kept> {
        let all = self.list(key).await;
        all.into_iter().find(|kept| kept.key == key)
    }

    pub(crate) async fn gateway(self) -> Gateway {
        Gateway::open(self.0).await.expect("etcd listens")
    }

    /// The newest rollout of a route; null if there was none.
    pub(crate) async fn state(self, route: &str) -> State {
        let kept = self.kept(&format!("rollouts/{route}/state")).await;
        State(kept.map(|kept| kept.json()).unwrap_or_default())
    }

    /// The records of a route's rollouts, oldest first.
    pub(crate) async fn history(self, route: &str) -> Vec<Value> {
        let kept = self.list(&format!("rollouts/{route}/history/")).await;
        kept.iter().map(Kept::json).collect()
    }

    /// The route's live traffic.
    pub(crate) async fn traffic(self, route: &str) -> Value {
        let kept = self.kept(&format!("config/routes/{route}")).await;
        kept.map(|kept| kept.json()["traffic"].take())
            .unwrap_or_default()
    }

    /// The leader's key.
    pub(crate) async fn seat(self) -> Option<Kept> {
        self.kept("election/control-plane").await
    }

    /// Where the leader's API is; empty: nobody leads.
    pub(crate) async fn leader(self) -> String {
        let seat = self.seat().await.map(|seat| seat.json());
        let address = seat.as_ref().and_then(|seat| seat["address"].as_str());
        address.unwrap_or_default().to_owned()
    }

    /// Waits until that one leads.
    pub(crate) async fn is_led_by(self, plane: &Plane, within: Duration) {
        let promise = format!("{} at {} leads", plane.name, plane.api);
        let look = async || (self.leader().await, plane.tail());
        let leads = |seen: &(String, String)| seen.0 == plane.api.to_string();
        eventually(&promise, within, look, leads).await;
    }

    /// Ends the leader's lease, as its own end would, only sooner.
    pub(crate) async fn vacate(self) {
        if let Some(seat) = self.seat().await {
            let mut gateway = self.gateway().await;
            gateway.revoke(&seat.lease).await.expect("etcd revokes");
        }
    }

    /// Looks until it holds.
    pub(crate) async fn until(
        self,
        (route, promise): (&str, &str),
        within: Duration,
        holds: impl Fn(&State) -> bool,
    ) -> State {
        let promise = format!("{route}: {promise}");
        let look = async || self.state(route).await;
        eventually(&promise, within, look, holds).await
    }

    /// The newest record's transition.
    pub(crate) async fn newest(self, route: &str) -> String {
        let history = self.history(route).await;
        let newest = history
            .last()
            .and_then(|record| record["transition"].as_str());
        newest.unwrap_or_default().to_owned()
    }
}

/// A folder and an etcd in it have one store.
pub(crate) async fn fresh() -> (World, serin_tests::etcd::Etcd, Store) {
    let world = World::new();
    let etcd = serin_tests::etcd::Etcd::start(&world).await;
    let store = Store(etcd.address());
    (world, etcd, store)
}
