//! What is stored of rollouts, read past everything of ours.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use serin_tests::gateway::{Gateway, Kept};
use serin_tests::rollouts::State;
use serin_tests::rollouts::record::{name, transitions};
use serin_tests::{ControlPlane, World, eventually};
use tokio::time::interval;

use crate::history;

/// Between two looks at a state.
const LOOK_EVERY: Duration = Duration::from_millis(50);

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

    /// The same, in which nothing is wrong.
    pub(crate) async fn sound_history(self, route: &str) -> Vec<Value> {
        let records = self.history(route).await;
        let (faults, made) = (history::faults(&records), transitions(&records));
        assert_eq!(faults, Vec::<String>::new(), "{route}: {made:?}");
        records
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
    pub(crate) async fn is_led_by(self, plane: &ControlPlane, within: Duration) {
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

    /// Asserts that state, route and newest record were written in one transaction.
    pub(crate) async fn is_one_transaction(self, route: &str) {
        let state = self.kept(&format!("rollouts/{route}/state")).await;
        let document = self.kept(&format!("config/routes/{route}")).await;
        let records = self.list(&format!("rollouts/{route}/history/")).await;
        let kept = [state.as_ref(), document.as_ref(), records.last()];
        let revisions = kept.map(|kept| kept.map(|kept| kept.mod_revision));
        let is_one = revisions[0].is_some() && revisions.iter().all(|one| *one == revisions[0]);
        assert!(is_one, "{route}: not one transaction: {revisions:?}");
    }

    /// Looks until it holds.
    pub(crate) async fn until(
        self,
        (route, promise): (&str, &str),
        within: Duration,
        holds: impl Fn(&State) -> bool,
    ) -> State {
        let promise = format!("{route}: {promise}");
        let mut pace = interval(LOOK_EVERY);
        let look = async || {
            pace.tick().await;
            self.state(route).await
        };
        eventually(&promise, within, look, holds).await
    }

    /// Looks until the newest rollout's counts are judged.
    pub(crate) async fn until_judged(self, route: &str, within: Duration) -> State {
        let judged = |state: &State| state.sub() == "Analysing";
        self.until((route, "it is judged"), within, judged).await
    }

    /// Looks until the newest rollout has ended.
    pub(crate) async fn until_ended(self, route: &str, within: Duration) -> State {
        self.until((route, "it ends"), within, State::has_ended)
            .await
    }

    /// The newest record's transition.
    pub(crate) async fn newest(self, route: &str) -> String {
        let history = self.history(route).await;
        history.last().map(name).unwrap_or_default().to_owned()
    }
}

/// A folder and an etcd in it have one store.
pub(crate) async fn fresh() -> (World, serin_tests::etcd::Etcd, Store) {
    let world = World::new();
    let etcd = serin_tests::etcd::Etcd::start(&world).await;
    let store = Store(etcd.address());
    (world, etcd, store)
}
