//! A thousand writes a second straight to etcd, over a hundred routes: when is the last one live?

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use serin_tests::client::{Connection, Request};
use serin_tests::serin::CALLER_SECRET;
use serin_tests::{Gateway, Load};
use tokio::time::{Instant, interval};

use crate::stage::{Stage, key_of, route};
use crate::{Outcome, args::Args};

const WRITERS: usize = 20;
const BETWEEN_WRITES: Duration = Duration::from_millis(20);
const ROUTES: usize = 100;
const LIVE_WITHIN: Duration = Duration::from_secs(30);

pub(crate) async fn run(stage: &Stage, args: &Args) -> Outcome<()> {
    if args.storm_seconds == 0 {
        return Ok(());
    }
    let traffic = [stage.routers[0].traffic, stage.routers[1].traffic];
    let load = Load::start(&traffic, "r0");
    let began = Instant::now();
    let writes = args.storm_seconds * 1_000 / WRITERS as u64;
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| tokio::spawn(write(stage.etcd.address(), writer, writes)))
        .collect();
    let mut last = 0;
    for writer in writers {
        last = last.max(writer.await??);
    }
    let ended = Instant::now();
    let mut slowest = Duration::ZERO;
    for router in traffic {
        slowest = slowest.max(live(router, last, ended).await?);
    }
    let outcome = load.end().await;
    let rate = (writes * WRITERS as u64) as f64 / (ended - began).as_secs_f64();
    println!(
        "storm: {rate:.0} writes a second for {} s over {ROUTES} routes: the last value is live after {:.1} ms; \
         {} requests meanwhile, {} failed",
        args.storm_seconds,
        slowest.as_secs_f64() * 1e3,
        outcome.answered,
        outcome.failed,
    );
    if outcome.failed > 0 {
        return Err(format!("requests failed: {:?}", outcome.failures).into());
    }
    Ok(())
}

/// One writer's share, at its pace. Returns the last revision.
async fn write(etcd: SocketAddr, writer: usize, writes: u64) -> Outcome<u64> {
    let mut gateway = Gateway::open(etcd).await?;
    let mut pace = interval(BETWEEN_WRITES);
    let mut last = 0;
    for n in 0..writes {
        pace.tick().await;
        let number = (usize::try_from(n)? * WRITERS + writer) % ROUTES;
        let document = route(number, 1 + n % 99).to_string();
        last = gateway.put(&key_of(number), document.as_bytes()).await?;
    }
    Ok(last)
}

/// How long after `ended` a request is routed by that revision.
async fn live(router: SocketAddr, revision: u64, ended: Instant) -> Outcome<Duration> {
    let mut connection = Connection::open(router).await?;
    let body = json!({"model": "r0", "messages": [{"role": "user", "content": "x"}]}).to_string();
    let request = Request::post("/v1/chat/completions", body).key(CALLER_SECRET);
    while ended.elapsed() < LIVE_WITHIN {
        let answer = connection.exchange(&request).await?;
        let seen = answer
            .header("x-serin-revision")
            .and_then(|text| text.parse::<u64>().ok());
        if seen >= Some(revision) {
            return Ok(ended.elapsed());
        }
    }
    Err(format!("revision {revision} is not live after {LIVE_WITHIN:?}").into())
}
