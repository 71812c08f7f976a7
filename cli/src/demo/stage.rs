//! What the demo plays with: two simulated models, the documents, the rollout's plan.

use std::{net::SocketAddr, time::Duration};

use serde_json::{Value as Json, json};
use serin_simulator::{Failure, Model, Script};

use super::ROUTE;

/// The share at which a candidate of `--break` begins to fail, in percent.
pub(super) const BREAKS_AT: f64 = 5.0;

/// A provider that answers like one: a first token after a moment, then word by word.
pub(super) fn healthy() -> Script {
    Script::default()
        .with("stable-1", model(120, 120.0))
        .with("candidate-1", model(80, 160.0))
}

/// The same, and each request to the candidate's model is answered with 500.
pub(super) fn broken() -> Script {
    let errors = vec![Failure {
        status: 500,
        message: Some("the new model has a bad day".to_owned()),
        ..Failure::default()
    }];
    let candidate = Model {
        errors,
        ..model(80, 160.0)
    };
    healthy().with("candidate-1", candidate)
}

fn model(first_token_ms: u64, tokens_per_second: f64) -> Model {
    Model {
        first_token: Duration::from_millis(first_token_ms),
        jitter: 0.3,
        tokens_per_second,
        answer_tokens: 24,
        ..Model::default()
    }
}

/// Everything on stable; a caller whose target fails is answered by stable.
pub(super) fn documents(simulator: SocketAddr, key: &str, token: &str) -> String {
    format!(
        "server:\n  allowedNetworks: [127.0.0.0/8]\n  auth: required\n  drain: {{grace: 0s}}\n\
         \x20 controlPlane:\n    tokens: [{{name: demo, role: admin, sha256: {token}}}]\n\
         providers:\n  - name: simulated\n    dialect: simulated\n    baseUrl: http://{simulator}/v1\n\
         routes:\n  - name: {ROUTE}\n    targets:\n\
         \x20     - {{name: stable, provider: simulated, model: stable-1, price: {{input: 2.0, output: 8.0}}}}\n\
         \x20     - {{name: candidate, provider: simulated, model: candidate-1, price: {{input: 0.5, output: 2.0}}}}\n\
         \x20   traffic:\n      weights: {{stable: 100}}\n      fallback: [stable]\n\
         keys:\n  - name: demo\n    secrets: [{{sha256: {key}}}]\n    routes: [\"*\"]\n"
    )
}

/// Steps of ten seconds, judged each second. Real ones take minutes: the fewer requests a step has
/// seen, the less it can tell.
pub(super) fn plan() -> Json {
    let step = |weight: f64, samples: u32| json!({"weight": weight, "minDuration": "10s", "minSamples": samples});
    json!({
        "candidate": "candidate",
        "steps": [step(BREAKS_AT, 15), step(25.0, 60), step(50.0, 100)],
        "promotion": {"bake": "10s", "holdback": 1},
        "analysis": {
            "interval": "1s",
            "metrics": [
                {"name": "errors", "share": 0.7, "margin": {"points": 0.5, "ratio": 1}},
                {"name": "ttft", "share": 0.3, "quantiles": [0.95], "margin": {"points": 5, "ratio": 2}},
                {"name": "cost", "maxRatio": 1.25, "mode": "observe"}
            ]
        }
    })
}
