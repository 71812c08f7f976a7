//! A control plane on port 0 over a store in memory, three tokens, and a few documents.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    thread::{self, JoinHandle},
};

use serde_json::{Value, json};
use serin_control_plane::{Digest, Listeners, Settings, SettingsToken, settings::MetricsSource};
use serin_proto::{address::Networks, token::Role};
use serin_store::{Key, MemoryStore, Op, Outcome, Store as _, Txn};
use tokio::sync::oneshot;

use crate::{
    client::{self, Answer, Opened, Request},
    wait::eventually,
};

/// The secret of the settings' token of that role.
pub(crate) fn secret(role: Role) -> &'static str {
    match role {
        Role::Viewer => "viewer-secret",
        Role::Operator => "operator-secret",
        Role::Admin => "admin-secret",
    }
}

pub(crate) struct Stage {
    pub(crate) address: SocketAddr,
    pub(crate) store: Arc<MemoryStore>,
    stop: Option<oneshot::Sender<()>>,
    running: Option<JoinHandle<io::Result<()>>>,
}

impl Stage {
    /// One over an empty store.
    pub(crate) fn new() -> Self {
        Self::over(MemoryStore::new())
    }

    /// One more replica over a store.
    pub(crate) fn over(store: Arc<MemoryStore>) -> Self {
        let settings = settings();
        let listeners = Listeners::bind(&settings).expect("port 0 is never taken");
        let address = listeners.rest.local_addr().expect("a bound listener");
        let (stop, stopped) = oneshot::channel();
        let theirs = Arc::clone(&store);
        let run = move || {
            let shutdown = async { drop(stopped.await) };
            let run = serin_control_plane::run(settings, listeners, theirs, shutdown);
            actix_rt::System::new().block_on(run)
        };
        let stage = Self {
            address,
            store,
            stop: Some(stop),
            running: Some(thread::spawn(run)),
        };
        let ready = || stage.ask(&Request::get("/readyz")).status;
        eventually("the control plane is ready", ready, |status| *status == 200);
        stage
    }

    /// One with the provider `sim` and the route `chat`: 95 % to `gpt`, 5 % to `claude`.
    pub(crate) fn with_chat() -> Self {
        let stage = Self::new();
        stage.write("/api/v1/providers/sim", &provider());
        stage.write("/api/v1/routes/chat", &chat());
        stage
    }

    /// The answer to a request as it is.
    pub(crate) fn ask(&self, request: &Request) -> Answer {
        client::ask(self.address, request)
    }

    /// The answer to the admin of the settings.
    pub(crate) fn admin(&self, request: Request) -> Answer {
        self.as_role(Role::Admin, request)
    }

    pub(crate) fn as_role(&self, role: Role, request: Request) -> Answer {
        self.ask(&request.token(secret(role)))
    }

    /// An answer whose body goes on.
    pub(crate) fn open(&self, request: Request) -> Opened {
        client::open(self.address, &request.token(secret(Role::Viewer)))
    }

    /// Creates something.
    ///
    /// # Panics
    /// When it is refused.
    pub(crate) fn write(&self, path: &str, body: &Value) -> Answer {
        let answer = self.admin(Request::put(path, body));
        assert_eq!(answer.status, 201, "{path}: {}", answer.text());
        answer
    }

    /// What is there now.
    pub(crate) fn read(&self, path: &str) -> Answer {
        let answer = self.admin(Request::get(path));
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer
    }

    /// Puts bytes into the store as somebody with etcdctl would.
    pub(crate) fn put_raw(&self, key: &str, value: &[u8]) -> u64 {
        let key = Key::new(key).expect("a key");
        let txn = Txn {
            ops: vec![Op::Put(key, value.to_vec().into(), None)],
            ..Txn::default()
        };
        match block_on(self.store.txn(txn)) {
            Ok(Outcome::Committed(revision)) => revision.0,
            other => panic!("{other:?}"),
        }
    }

    /// Asks it to stop and waits until it has.
    pub(crate) fn end(mut self) {
        self.stop.take();
        let running = self.running.take().expect("ended once");
        eventually("it has ended", || running.is_finished(), |ended| *ended);
        running.join().expect("no panic").expect("no error");
    }
}

/// Runs a future of the store, which needs no runtime.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(future)
}

fn settings() -> Settings {
    let token = |role: Role| SettingsToken {
        name: role.as_str().to_owned(),
        role,
        sha256: Digest::of(secret(role).as_bytes()),
    };
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Settings {
        listen: any_port,
        grpc_listen: any_port,
        tokens: Role::ALL.map(token).to_vec(),
        allowed_networks: Networks::parse(&["127.0.0.0/8"]).expect("a network"),
        // Nobody answers there: a rollout can begin, and goes no further.
        metrics_source: MetricsSource::Prometheus {
            url: "http://127.0.0.1:9".to_owned(),
        },
        id: "test".to_owned(),
        flagger_aliases: false,
        version: "0.0.0",
        commit: "none",
    }
}

pub(crate) fn provider() -> Value {
    json!({ "name": "sim", "dialect": "simulated", "baseUrl": "http://127.0.0.1:8070/v1" })
}

pub(crate) fn chat() -> Value {
    route("chat", &json!({ "gpt": 95, "claude": 5 }))
}

/// A route with the targets `gpt` and `claude`.
pub(crate) fn route(name: &str, weights: &Value) -> Value {
    json!({
        "name": name,
        "targets": [
            { "name": "gpt", "provider": "sim", "model": "gpt-4.1" },
            { "name": "claude", "provider": "sim", "model": "claude-sonnet-4.5" },
        ],
        "traffic": { "weights": weights },
    })
}
