//! `serin demo`: a first answer without any provider key.
//!
//! Simulator and router in one process, the same code that serves real traffic: two simulated
//! models behind one route, one of them a canary with a twentieth of the traffic.

use std::{net::SocketAddr, time::Duration};

use serin_proto::v1;
use serin_router::{Listeners, settings::AccessLog};
use serin_simulator::{Model, Script, Simulator};
use serin_store::{
    Follower, file,
    watch::{self, Event},
};

use crate::{
    args::{Demo, RouterFlags, ServerFlags},
    exit::Failed,
    logging,
    secret::{self, KEY_PREFIX, Made},
    settings,
    signals::Stop,
};

/// The route callers ask for.
const ROUTE: &str = "chat";

/// Runs until it is told to stop.
pub(crate) fn demo(demo: &Demo) -> Result<(), Failed> {
    logging::quiet();
    let Made { secret, sha256 } = secret::make(KEY_PREFIX, "demo")?;
    let system = actix_rt::System::new();
    system.block_on(async {
        let simulator = Simulator::start(demo.simulator_listen, script())
            .await
            .map_err(|error| taken(demo.simulator_listen, &error, "--simulator-listen"))?;
        let text = documents(simulator.addr(), &sha256);
        let version = file::read_text("demo", &text, None)
            .map_err(|unusable| Failed::because(unusable.to_string()))?;
        let server = version.file.server.clone().unwrap_or_default();
        let flags = RouterFlags {
            listen: Some(demo.listen),
            admin_listen: Some(demo.admin_listen),
            ..RouterFlags::default()
        };
        let mut settings = settings::router(&server, &flags, &ServerFlags::default())?;
        settings.access_log = AccessLog::Off;
        let listeners =
            Listeners::bind(&settings).map_err(|taken| Failed::because(taken.to_string()))?;
        let follower = fixed(&version.file).await;
        let stop = Stop::listen().map_err(|error| Failed::because(error.to_string()))?;
        let (demo, secret) = (Addresses::of(demo, simulator.addr()), secret.clone());
        actix_rt::spawn(async move { introduce(&demo, &secret).await });
        let run = serin_router::run(settings, listeners, follower, stop.wait()).await;
        simulator.stop().await;
        run.map_err(|error| Failed::because(error.to_string()))
    })
}

#[derive(Clone, Copy)]
struct Addresses {
    traffic: SocketAddr,
    admin: SocketAddr,
    simulator: SocketAddr,
}

impl Addresses {
    fn of(demo: &Demo, simulator: SocketAddr) -> Self {
        Self {
            traffic: demo.listen,
            admin: demo.admin_listen,
            simulator,
        }
    }
}

/// Says how to use it, once it can be used.
async fn introduce(at: &Addresses, secret: &str) {
    let url = format!("http://{}/readyz", at.admin);
    let client = awc::Client::default();
    let ready = async || {
        client
            .get(&url)
            .send()
            .await
            .is_ok_and(|answer| answer.status().is_success())
    };
    while !ready().await {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let traffic = at.traffic;
    println!("Serin answers. Paste this:\n");
    println!(
        "  curl http://{traffic}/v1/chat/completions -H 'authorization: Bearer {secret}' \
         -H 'content-type: application/json' \
         -d '{{\"model\": \"{ROUTE}\", \"messages\": [{{\"role\": \"user\", \"content\": \"Hello!\"}}]}}'\n"
    );
    println!("Put \"stream\": true into the body for a stream; add -i to see who answered.");
    println!("One answer in twenty comes from the candidate (x-serin-target: candidate).\n");
    println!("  API      http://{traffic}/v1      (base_url of an OpenAI SDK)");
    println!("  metrics  http://{}/metrics", at.admin);
    println!("  serving  http://{}/snapshot", at.admin);
    println!(
        "  script   http://{}/__script     (what the simulated provider does)\n",
        at.simulator
    );
    println!("Stop with Ctrl-C. With a provider of your own: serin up --config serin.yaml");
}

/// A provider that answers like one: a first token after a moment, then word by word.
fn script() -> Script {
    let model = |first_token_ms, tokens_per_second| Model {
        first_token: Duration::from_millis(first_token_ms),
        tokens_per_second,
        answer_tokens: 24,
        ..Model::default()
    };
    Script::default()
        .with("stable-1", model(120, 60.0))
        .with("candidate-1", model(80, 90.0))
}

fn documents(simulator: SocketAddr, sha256: &str) -> String {
    format!(
        "server:\n  allowedNetworks: [127.0.0.0/8]\n  auth: required\n  drain: {{grace: 0s}}\n\
         providers:\n  - name: simulated\n    dialect: simulated\n    baseUrl: http://{simulator}/v1\n\
         routes:\n  - name: {ROUTE}\n    targets:\n\
         \x20     - {{name: stable, provider: simulated, model: stable-1, price: {{input: 2.0, output: 8.0}}}}\n\
         \x20     - {{name: candidate, provider: simulated, model: candidate-1, price: {{input: 0.5, output: 2.0}}}}\n\
         \x20   traffic:\n      weights: {{stable: 95, candidate: 5}}\n      canary: candidate\n      fallback: [stable]\n\
         keys:\n  - name: demo\n    secrets: [{{sha256: {sha256}}}]\n    routes: [\"*\"]\n"
    )
}

/// Documents that never change.
async fn fixed(file: &v1::File) -> Follower {
    let (feed, watch) = watch::channel();
    let listing = file::listing(file, serin_proto::unit::Revision(1), None);
    feed.send(Event::Reset(listing)).await;
    // Kept open: a source that ends would be reported as lost.
    actix_rt::spawn(async move { feed.closed().await });
    Follower::of_stream(watch)
}

fn taken(address: SocketAddr, error: &std::io::Error, flag: &str) -> Failed {
    Failed::because(format!(
        "cannot listen on {address}: {error} (choose another with {flag})"
    ))
}
