//! One change a second through the API: acknowledged → the first request routed by it.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use serin_tests::client::{Connection, Request};
use serin_tests::serin::CALLER_SECRET;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval};

use crate::{Outcome, args::Args, stage::Stage};

const BETWEEN_CHANGES: Duration = Duration::from_secs(1);
/// A change that is not live by then fails the bench.
const LIVE_WITHIN: Duration = Duration::from_secs(10);
/// Pause between two requests of a prober, which bounds how exactly it sees the moment.
const BETWEEN_LOOKS: Duration = Duration::from_millis(1);

/// The newest snapshot that a router routed a request by, and when that request was answered.
type Routed = watch::Receiver<(u64, Instant)>;

pub(crate) async fn run(stage: &Stage, args: &Args) -> Outcome<()> {
    let api = stage.api();
    let (probers, routed): (Vec<_>, Vec<_>) = stage
        .routers
        .iter()
        .map(|router| prober(router.traffic))
        .unzip();
    let mut pace = interval(BETWEEN_CHANGES);
    let mut took = Vec::new();
    for n in 0..args.seconds {
        pace.tick().await;
        let route = usize::try_from(n)? % args.routes;
        let share = 1 + n % 99;
        let body = json!({"weights": {"one": share, "two": 100 - share}});
        let answer = api
            .put(&format!("/routes/r{route}/traffic"), &body, Some("*"))
            .await;
        let committed = Instant::now();
        if answer.status() != 200 {
            return Err(format!("{}: {}", answer.status(), answer.text()).into());
        }
        let etag = answer.header("etag").unwrap_or_default().trim_matches('"');
        let revision: u64 = etag.parse()?;
        for routed in &routed {
            took.push(live(routed.clone(), revision, committed).await?);
        }
    }
    for prober in &probers {
        prober.abort();
    }
    took.sort();
    if let Some(max) = took.last() {
        println!(
            "one change a second, {} routes, {} routers, {} samples: acknowledged -> first request routed by it: \
             p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms",
            args.routes,
            routed.len(),
            took.len(),
            ms(at(&took, 50)),
            ms(at(&took, 99)),
            ms(*max),
        );
    }
    Ok(())
}

/// How long after `committed` the router answered a request by that revision; zero if before.
async fn live(mut routed: Routed, revision: u64, committed: Instant) -> Outcome<Duration> {
    let reached = tokio::time::timeout(LIVE_WITHIN, routed.wait_for(|seen| seen.0 >= revision));
    let seen = *reached
        .await
        .map_err(|_| format!("revision {revision} is not live"))??;
    Ok(seen.1.saturating_duration_since(committed))
}

/// Asks one router again and again. Only the first request of each new snapshot is told.
fn prober(router: SocketAddr) -> (JoinHandle<Outcome<()>>, Routed) {
    let (tell, routed) = watch::channel((0, Instant::now()));
    let probe = async move {
        let mut connection = Connection::open(router).await?;
        let body =
            json!({"model": "r0", "messages": [{"role": "user", "content": "x"}]}).to_string();
        let request = Request::post("/v1/chat/completions", body).key(CALLER_SECRET);
        let mut pace = interval(BETWEEN_LOOKS);
        loop {
            pace.tick().await;
            let answer = connection.exchange(&request).await?;
            let revision = answer
                .header("x-serin-revision")
                .and_then(|text| text.parse().ok());
            let revision: u64 = revision.ok_or("an answer without x-serin-revision")?;
            tell.send_if_modified(|seen| {
                let newer = revision > seen.0;
                if newer {
                    *seen = (revision, Instant::now());
                }
                newer
            });
        }
    };
    (tokio::spawn(probe), routed)
}

fn at(sorted: &[Duration], percent: usize) -> Duration {
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(index).copied().unwrap_or_default()
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
