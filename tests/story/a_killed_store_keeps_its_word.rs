//! `serin up` is killed without warning, fifty times, at random moments while a hundred changes a
//! second are written: each time the store opens again and every acknowledged change is in it.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use serin_tests::client::{Connection, Request};
use serin_tests::control_plane::token;
use serin_tests::{Serin, Simulator, World, eventually};
use tokio::time::interval;

use crate::documents::documents;

const KILLS: usize = 50;
const WRITERS: usize = 4;
/// A hundred a second over all writers.
const BETWEEN_WRITES: Duration = Duration::from_millis(10 * WRITERS as u64);
/// A kill comes after 5 to so many acknowledged changes of its round.
const CHANGES_MAX: u64 = 60;

/// The share that each route was last acknowledged to have, and the one that was asked for after
/// that and never answered.
#[derive(Clone, Debug, Default)]
struct Told {
    acknowledged: BTreeMap<String, u64>,
    asked: BTreeMap<String, u64>,
}

/// Moves traffic of one route until the other side is gone.
async fn writer(
    at: std::net::SocketAddr,
    route: String,
    first: u64,
    count: Arc<AtomicUsize>,
) -> Told {
    let mut told = Told::default();
    let mut pace = interval(BETWEEN_WRITES);
    let Ok(mut connection) = Connection::open(at).await else {
        return told;
    };
    for n in first.. {
        pace.tick().await;
        let share = n % 10_000;
        let body = json!({"weights": {"one": share as f64 / 100.0, "two": (10_000 - share) as f64 / 100.0}});
        let request = Request::new("PUT", &format!("/api/v1/routes/{route}/traffic"))
            .header("content-type", "application/json")
            .header("if-match", "*")
            .key(token("admin"))
            .body(body.to_string());
        told.asked.insert(route.clone(), share);
        match connection.exchange(&request).await {
            Ok(answer) if answer.status() == 200 && answer.whole => {
                told.acknowledged.insert(route.clone(), share);
                told.asked.remove(&route);
                count.fetch_add(1, Ordering::Relaxed);
            }
            Ok(answer) => panic!("{} {}", answer.status(), answer.text()),
            Err(_) => return told,
        }
    }
    told
}

fn hundredths(route: &Value) -> Option<u64> {
    let percent = route["traffic"]["weights"]["one"].as_f64()?;
    Some((percent * 100.0).round() as u64)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_change_is_there_each_time() {
    let world = World::new();
    let simulator = Simulator::start(&world).await;
    let route = |n: usize| {
        format!(
            "  - name: r{n}\n    targets:\n      - {{name: one, provider: a, model: one}}\n      \
             - {{name: two, provider: a, model: two}}\n    traffic: {{weights: {{one: 100, two: 0}}}}\n"
        )
    };
    let routes: String = (0..WRITERS).map(route).collect();
    let mut serin = Serin::up(&world, &documents(&[simulator.address], &routes)).await;
    let mut all = 0;
    for round in 0..KILLS {
        let count = Arc::new(AtomicUsize::new(0));
        let writers: Vec<_> = (0..WRITERS)
            .map(|n| {
                let first = (round as u64 * 1_000 + 1) % 10_000;
                tokio::spawn(writer(
                    serin.api,
                    format!("r{n}"),
                    first,
                    Arc::clone(&count),
                ))
            })
            .collect();
        // Chance from the standard library's own seed: no two runs are killed alike.
        let wanted = 5 + RandomState::new().hash_one(round) % CHANGES_MAX;
        let look = async || count.load(Ordering::Relaxed) as u64;
        eventually(
            "changes are written",
            Duration::from_secs(30),
            look,
            |seen| *seen >= wanted,
        )
        .await;
        serin.process.kill().await;
        let mut told = Told::default();
        for writer in writers {
            let one = writer.await.expect("a writer ends");
            told.acknowledged.extend(one.acknowledged);
            told.asked.extend(one.asked);
        }
        all += count.load(Ordering::Relaxed);
        serin.again(&world).await;
        for (name, share) in &told.acknowledged {
            let stored = serin.api().get(&format!("/routes/{name}")).await.json();
            let stored = hundredths(&stored);
            // A change that was asked for and never answered may be there or not.
            let fits = stored == Some(*share)
                || stored.is_some() && stored == told.asked.get(name).copied();
            assert!(
                fits,
                "round {round}: {name} has {stored:?}, acknowledged {share}, asked {:?}",
                told.asked
            );
        }
    }
    eprintln!("{KILLS} kills, {all} acknowledged changes, all there");
}
