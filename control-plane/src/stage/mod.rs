//! A control plane on a store in memory, for the tests of this crate.
//!
//! Its store can keep news from the view ([`News`]) and hand each transaction to a meddler first, so
//! that a test says exactly who is how far behind whom.

mod store;

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde_json::{Value as Json, json};
use serin_proto::{
    key::{DocumentKey, Kind},
    token::Role,
    unit::Revision,
};
use serin_store::{Compare, Entry, Key, MemoryStore, Op, Outcome, Page, Scope, Store, Txn};
use tokio::{runtime::Handle, task::JoinHandle};

pub(crate) use store::{News, Staged};

use crate::{
    analysis::reader::SampleReader,
    auth::{self, Actor, Via},
    change::{self, Asked, Body, Changed, Precondition, Refusal},
    clock,
    plane::Plane,
    rollout,
    secret::Digest,
    settings::{Settings, SettingsToken},
    view,
};

/// Longest wait for something that must come.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// One control plane, without listeners.
pub(crate) struct Stage {
    pub(crate) plane: Arc<Plane>,
    /// What lies below, for breaking it and for looking past the control plane.
    pub(crate) memory: Arc<MemoryStore>,
    pub(crate) staged: Arc<Staged>,
    tasks: Vec<JoinHandle<()>>,
}

impl Stage {
    /// On a store of its own, which it has seen.
    pub(crate) async fn new() -> Self {
        Self::beside(&MemoryStore::new()).await
    }

    /// A replica: on a store that others use too, which it has seen.
    pub(crate) async fn beside(memory: &Arc<MemoryStore>) -> Self {
        Self::unheard(memory).hearing().await
    }

    /// As [`Self::beside`], with a source of samples for rollouts.
    pub(crate) async fn judging(memory: &Arc<MemoryStore>, source: Arc<dyn SampleReader>) -> Self {
        let mut stage = Self::unheard(memory);
        let plane = Arc::get_mut(&mut stage.plane).unwrap();
        plane.source = Some(source);
        stage.hearing().await
    }

    async fn hearing(mut self) -> Self {
        let plane = &self.plane;
        let fleet = Arc::clone(&plane.fleet);
        let store = Arc::clone(&plane.store);
        self.tasks = vec![
            tokio::spawn(view::follow(Arc::clone(plane))),
            tokio::spawn(auth::follow(Arc::clone(plane))),
            tokio::spawn(rollout::view::follow(Arc::clone(plane))),
            tokio::spawn(fleet.run(store, plane.stopped())),
        ];
        plane.view.caught_up(Revision(0)).await.unwrap();
        plane.tokens.caught_up(Revision(0)).await;
        assert!(plane.is_ready(), "it was heard of the store in time");
        self
    }

    /// One that has heard nothing of its store, and never will.
    pub(crate) fn unheard(memory: &Arc<MemoryStore>) -> Self {
        let staged = Staged::new(Arc::clone(memory));
        let store = Arc::clone(&staged) as Arc<dyn Store>;
        Self {
            plane: Plane::new(settings(), store, Handle::current()),
            memory: Arc::clone(memory),
            staged,
            tasks: Vec::new(),
        }
    }

    /// Writes a document as an admin over whatever there is.
    pub(crate) async fn put(&self, kind: Kind, name: &str, document: &Json) -> Changed {
        let put = self.try_put(kind, name, document, self.any(kind, name).await);
        put.await.unwrap()
    }

    pub(crate) async fn try_put(
        &self,
        kind: Kind,
        name: &str,
        document: &Json,
        precondition: Precondition,
    ) -> Result<Changed, Refusal> {
        let asked = asked(precondition);
        change::put(
            &self.plane,
            &admin(),
            key(kind, name),
            body(document),
            asked,
        )
        .await
    }

    pub(crate) async fn try_delete(&self, kind: Kind, name: &str) -> Result<Changed, Refusal> {
        let asked = asked(Precondition::Exists);
        change::delete(&self.plane, &admin(), key(kind, name), asked).await
    }

    /// Writes past the control plane, as another replica or an operator's hand would.
    pub(crate) async fn write_raw(&self, key: &str, value: Option<&[u8]>) -> Revision {
        let key = Key::new(key).unwrap();
        let op = match value {
            Some(value) => Op::Put(key, Bytes::copy_from_slice(value), None),
            None => Op::Delete(key),
        };
        let txn = Txn {
            ops: vec![op],
            ..Txn::default()
        };
        match self.memory.txn(txn).await.unwrap() {
            Outcome::Committed(revision) => revision,
            Outcome::Conflict { .. } => unreachable!("it compares nothing"),
        }
    }

    /// What is stored under a key.
    pub(crate) async fn stored(&self, key: &str) -> Option<Entry> {
        let (entry, _) = self.memory.get(&Key::new(key).unwrap()).await.unwrap();
        entry
    }

    /// Everything of a scope.
    pub(crate) async fn all(&self, scope: Scope) -> Vec<Entry> {
        self.memory
            .list(scope, Page::whole())
            .await
            .unwrap()
            .entries
    }

    /// Every audit record, oldest first, with the revision of its change.
    pub(crate) async fn audit(&self) -> Vec<(Revision, Json)> {
        let entries = self.all(Scope::Audit).await;
        let record = |entry: &Entry| (entry.mod_revision, parsed(&entry.value));
        entries.iter().map(record).collect()
    }

    /// A provider `p`, and a route `chat` with targets `a` and `b` of it, all traffic at `a`.
    pub(crate) async fn with_chat(self) -> Self {
        self.put(Kind::Provider, "p", &provider()).await;
        self.put(
            Kind::Route,
            "chat",
            &route(&["a", "b"], json!({"weights": {"a": 100}})),
        )
        .await;
        self
    }

    async fn any(&self, kind: Kind, name: &str) -> Precondition {
        match self.stored(&key(kind, name).to_string()).await {
            Some(_) => Precondition::Exists,
            None => Precondition::None,
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.plane.stop();
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Asks until the answer is yes, and shows the last one if it never is.
pub(crate) async fn eventually<T: std::fmt::Debug, F: Future<Output = T>>(
    ask: impl Fn() -> F,
    is_it: impl Fn(&T) -> bool,
) -> T {
    let began: Instant = clock::now();
    loop {
        let seen = ask().await;
        if is_it(&seen) {
            return seen;
        }
        let waited = clock::now().saturating_duration_since(began);
        assert!(waited < WAIT_MAX, "after {waited:?} still {seen:?}");
        tokio::task::yield_now().await;
    }
}

/// The secret of the admin's token in the settings.
pub(crate) const ADMIN_SECRET: &str = "secret-of-the-settings";

fn settings() -> Settings {
    let any = ([127, 0, 0, 1], 0).into();
    Settings {
        listen: any,
        grpc_listen: any,
        tokens: vec![SettingsToken {
            name: "root".to_owned(),
            role: Role::Admin,
            sha256: Digest::of(ADMIN_SECRET.as_bytes()),
        }],
        allowed_networks: serin_proto::address::Networks::default(),
        metrics_source: crate::settings::MetricsSource::None,
        id: "test".to_owned(),
        flagger_aliases: false,
        version: "0",
        commit: "none",
    }
}

pub(crate) fn actor(role: Role) -> Actor {
    Actor {
        name: format!("the-{role}"),
        role,
        via: Via::Rest,
    }
}

pub(crate) fn admin() -> Actor {
    actor(Role::Admin)
}

pub(crate) fn asked(precondition: Precondition) -> Asked {
    Asked {
        precondition,
        reason: "because".to_owned(),
        request_id: "req-1".to_owned(),
        source_ip: Some([192, 0, 2, 1].into()),
        ..Asked::default()
    }
}

pub(crate) fn key(kind: Kind, name: &str) -> DocumentKey {
    DocumentKey {
        kind,
        name: name.to_owned(),
    }
}

pub(crate) fn body<T>(json: &Json) -> Body<T> {
    Body::Json(Bytes::from(json.to_string()))
}

pub(crate) fn parsed(bytes: &[u8]) -> Json {
    serde_json::from_slice(bytes).unwrap()
}

pub(crate) fn provider() -> Json {
    json!({"dialect": "openai", "baseUrl": "https://api.openai.com/v1"})
}

/// A route with those targets, all of provider `p`.
pub(crate) fn route(targets: &[&str], traffic: Json) -> Json {
    route_of("p", targets, traffic)
}

/// A route with those targets, all of one provider.
pub(crate) fn route_of(provider: &str, targets: &[&str], traffic: Json) -> Json {
    let target = |name: &&str| json!({"name": name, "provider": provider, "model": "m"});
    let targets: Vec<Json> = targets.iter().map(target).collect();
    let mut route = json!({"targets": targets});
    if !traffic.is_null() {
        route["traffic"] = traffic;
    }
    route
}

/// Codes and pointers of a refusal's faults.
pub(crate) fn told(refusal: &Refusal) -> Vec<(&str, &str)> {
    refusal
        .faults()
        .iter()
        .map(|fault| (fault.code, fault.pointer.as_str()))
        .collect()
}

/// Whether a compare speaks of newer keys in a range.
pub(crate) fn is_nothing_newer(compare: &Compare) -> bool {
    matches!(compare, Compare::NothingNewer(..))
}
