//! The programs: etcd, a control plane, two routers, a provider that answers at once.

use serde_json::{Value, json};
use serin_tests::etcd::Etcd;
use serin_tests::serin::CALLER_SHA256;
use serin_tests::{Api, ControlPlane, Gateway, Router, Simulator, World};

use crate::{Outcome, args::Args};

pub(crate) struct Stage {
    // Programs end and the folder goes with the value.
    _world: World,
    _simulator: Simulator,
    plane: ControlPlane,
    pub(crate) etcd: Etcd,
    pub(crate) routers: [Router; 2],
}

impl Stage {
    pub(crate) async fn open(args: &Args) -> Outcome<Self> {
        let world = World::new();
        let simulator = Simulator::start(&world).await;
        simulator
            .script(&json!({"journal": "off", "default": {"answerTokens": 3}}))
            .await;
        let etcd = Etcd::start(&world).await;
        let plane = ControlPlane::start(&world, "plane", &etcd.store()).await;
        let api = plane.admin();
        let provider = json!({
            "name": "a", "dialect": "openai", "baseUrl": format!("http://{}/v1", simulator.address),
        });
        api.set("/providers/a", &provider).await;
        let key = json!({"name": "story", "secrets": [{"sha256": CALLER_SHA256}], "routes": ["*"]});
        api.set("/keys/story", &key).await;
        let mut gateway = Gateway::open(etcd.address()).await?;
        for n in 0..args.routes {
            gateway
                .put(&key_of(n), route(n, 100).to_string().as_bytes())
                .await?;
        }
        let routers = [
            Router::start(&world, "r1", &etcd.store()).await,
            Router::start(&world, "r2", &etcd.store()).await,
        ];
        Ok(Self {
            _world: world,
            _simulator: simulator,
            plane,
            etcd,
            routers,
        })
    }

    pub(crate) fn api(&self) -> Api {
        self.plane.admin()
    }
}

pub(crate) fn key_of(n: usize) -> String {
    format!("config/routes/r{n}")
}

/// Route `n` with that share (percent) at target `one`.
pub(crate) fn route(n: usize, share: u64) -> Value {
    json!({
        "name": format!("r{n}"),
        "targets": [
            {"name": "one", "provider": "a", "model": "one"},
            {"name": "two", "provider": "a", "model": "two"},
        ],
        "traffic": {"weights": {"one": share, "two": 100 - share}, "fallback": ["one", "two"]},
    })
}
