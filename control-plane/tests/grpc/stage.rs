//! A control plane on port 0 over a store in memory, three tokens, and clients that carry one.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    thread::{self, JoinHandle},
};

use serin_control_plane::{
    Digest, Listeners, Settings, SettingsToken,
    grpc::v1::{
        ChangeOptions, ChangeResponse, PutProviderRequest, PutRouteRequest,
        providers_client::ProvidersClient, routes_client::RoutesClient,
    },
    settings::MetricsSource,
};
use serin_proto::{address::Networks, token::Role, v1};
use serin_store::MemoryStore;
use tokio::sync::oneshot;
use tonic::{
    Request, Status,
    metadata::MetadataValue,
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::wait::eventually;

/// A connection that carries a token.
pub(crate) type Line = InterceptedService<Channel, Bearer>;

#[derive(Clone, Debug)]
pub(crate) struct Bearer(pub(crate) Option<String>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(secret) = &self.0 {
            let value = format!("Bearer {secret}").parse::<MetadataValue<_>>();
            request
                .metadata_mut()
                .insert("authorization", value.expect("visible ASCII"));
        }
        Ok(request)
    }
}

pub(crate) struct Stage {
    pub(crate) rest: SocketAddr,
    pub(crate) grpc: SocketAddr,
    pub(crate) store: Arc<MemoryStore>,
    stop: Option<oneshot::Sender<()>>,
    running: Option<JoinHandle<io::Result<()>>>,
}

impl Stage {
    /// One over an empty store, once it serves.
    pub(crate) async fn new() -> Self {
        let stage = Self::over(MemoryStore::new());
        stage.serves().await;
        stage
    }

    /// One that has just begun over that store.
    pub(crate) fn over(store: Arc<MemoryStore>) -> Self {
        let settings = settings();
        let listeners = Listeners::bind(&settings).expect("port 0 is never taken");
        let rest = listeners.rest.local_addr().expect("a bound listener");
        let grpc = listeners.grpc.local_addr().expect("a bound listener");
        let (stop, stopped) = oneshot::channel();
        let theirs = Arc::clone(&store);
        let run = move || {
            let shutdown = async { drop(stopped.await) };
            let run = serin_control_plane::run(settings, listeners, theirs, shutdown);
            actix_rt::System::new().block_on(run)
        };
        Self {
            rest,
            grpc,
            store,
            stop: Some(stop),
            running: Some(thread::spawn(run)),
        }
    }

    /// What it says of its health.
    pub(crate) async fn health(&self) -> Result<ServingStatus, Status> {
        let mut client = HealthClient::new(self.channel());
        let answer = client.check(HealthCheckRequest::default()).await?;
        Ok(answer.into_inner().status())
    }

    /// Waits until it says that it serves.
    pub(crate) async fn serves(&self) {
        let serves = |status: &Result<_, Status>| matches!(status, Ok(ServingStatus::Serving));
        let served = eventually("it serves", async || self.health().await, serves).await;
        served.expect("it serves");
    }

    /// One with the provider `sim` and the route `chat`: 95 % to `gpt`, 5 % to `claude`.
    pub(crate) async fn with_chat() -> (Self, u64) {
        let stage = Self::new().await;
        let mut providers = ProvidersClient::new(stage.line(Role::Admin));
        let provider = PutProviderRequest {
            provider: Some(provider("sim")),
            options: None,
        };
        providers.put(provider).await.expect("a provider");
        let mut routes = RoutesClient::new(stage.line(Role::Admin));
        let route = PutRouteRequest {
            route: Some(chat()),
            options: None,
        };
        let created = routes.put(route).await.expect("a route").into_inner();
        assert!(created.created);
        (stage, created.revision)
    }

    pub(crate) fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.grpc));
        endpoint.expect("an address").connect_lazy()
    }

    /// A connection that carries the settings' token of that role.
    pub(crate) fn line(&self, role: Role) -> Line {
        self.line_of(Some(secret(role)))
    }

    pub(crate) fn line_of(&self, secret: Option<&str>) -> Line {
        InterceptedService::new(self.channel(), Bearer(secret.map(str::to_owned)))
    }

    /// Asks it to stop and waits until it has.
    pub(crate) async fn end(mut self) {
        self.stop.take();
        let running = self.running.take().expect("ended once");
        let ended = eventually(
            "it has ended",
            async || running.is_finished(),
            |ended| *ended,
        );
        ended.await;
        running.join().expect("no panic").expect("no error");
    }
}

/// The secret of the settings' token of that role.
pub(crate) fn secret(role: Role) -> &'static str {
    match role {
        Role::Viewer => "viewer-secret",
        Role::Operator => "operator-secret",
        Role::Admin => "admin-secret",
    }
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

pub(crate) fn provider(name: &str) -> v1::Provider {
    v1::Provider {
        name: name.to_owned(),
        dialect: "simulated".to_owned(),
        base_url: "http://127.0.0.1:8070/v1".to_owned(),
        ..v1::Provider::default()
    }
}

pub(crate) fn chat() -> v1::Route {
    let target = |name: &str| v1::Target {
        name: name.to_owned(),
        provider: "sim".to_owned(),
        model: format!("{name}-1"),
        ..v1::Target::default()
    };
    v1::Route {
        name: "chat".to_owned(),
        targets: vec![target("gpt"), target("claude")],
        traffic: Some(traffic(95.0, 5.0)),
        ..v1::Route::default()
    }
}

pub(crate) fn traffic(gpt: f64, claude: f64) -> v1::Traffic {
    v1::Traffic {
        weights: [("gpt".to_owned(), gpt), ("claude".to_owned(), claude)].into(),
        ..v1::Traffic::default()
    }
}

pub(crate) fn if_match(revision: u64) -> Option<ChangeOptions> {
    Some(ChangeOptions {
        if_match: Some(revision),
        ..ChangeOptions::default()
    })
}

/// The JSON after a change.
pub(crate) fn after(changed: &ChangeResponse) -> serde_json::Value {
    let difference = changed.difference.as_ref().expect("a difference");
    let after = difference.after.as_ref().expect("something is there");
    serde_json::from_str(after).expect("JSON")
}
