//! Routers that are not there: their reports in the store, and a say in what a scripted Prometheus
//! scrapes.
//!
//! They read all documents of an etcd again and again, through its JSON gateway. A router that
//! follows reports the newest revision as applied at once; from then on the made-up requests go
//! where the route's traffic says. One can be held back, or vanish.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use serin_proto::fleet::RouterReport;
use serin_proto::key::PREFIX;
use tokio::task::JoinHandle;
use tokio::time::interval;

use crate::client::{Connection, Request};
use crate::gateway::Gateway;
use crate::scripted_prometheus::{Live, ScriptedPrometheus};

const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The fleet; it ends with the value.
#[derive(Debug)]
pub struct ScriptedRouters {
    told: Arc<Mutex<Told>>,
    task: JoinHandle<()>,
}

/// What the fleet is told, and what it saw.
#[derive(Debug, Default)]
struct Told {
    ids: Vec<String>,
    /// They serve what they had.
    held: BTreeSet<String>,
    /// They have no report.
    gone: BTreeSet<String>,
    live: BTreeMap<String, Live>,
    /// Every share of a canary that the fleet has served, by route.
    shares: BTreeMap<String, Vec<f64>>,
    error: Option<String>,
}

/// Documents as they were read.
#[derive(Debug, Default)]
struct Read {
    newest: u64,
    live: BTreeMap<String, Live>,
}

impl ScriptedRouters {
    /// Begins to follow the etcd at this address.
    pub fn start(etcd: SocketAddr, ids: &[&str], prometheus: Arc<ScriptedPrometheus>) -> Self {
        let told = Told {
            ids: ids.iter().map(|id| (*id).to_owned()).collect(),
            ..Told::default()
        };
        let told = Arc::new(Mutex::new(told));
        let task = tokio::spawn(follow(etcd, Arc::clone(&told), prometheus));
        Self { told, task }
    }

    /// Routers serve what they have and acknowledge nothing, or follow again.
    pub fn hold(&self, ids: &[&str], held: bool) {
        let mut told = lock(&self.told);
        for id in ids {
            match held {
                true => told.held.insert((*id).to_owned()),
                false => told.held.remove(*id),
            };
        }
    }

    /// A router's report goes, or comes back.
    pub fn vanish(&self, id: &str, gone: bool) {
        let mut told = lock(&self.told);
        match gone {
            true => told.gone.insert(id.to_owned()),
            false => told.gone.remove(id),
        };
    }

    /// What they serve of a route now.
    pub fn live(&self, route: &str) -> Live {
        lock(&self.told)
            .live
            .get(route)
            .cloned()
            .unwrap_or_default()
    }

    /// Every share of the canary they have served, in percent, in order, none twice in a row.
    pub fn shares(&self, route: &str) -> Vec<f64> {
        lock(&self.told)
            .shares
            .get(route)
            .cloned()
            .unwrap_or_default()
    }

    /// Why the store could not be read last, if it could not.
    pub fn error(&self) -> Option<String> {
        lock(&self.told).error.clone()
    }
}

impl Drop for ScriptedRouters {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(told: &Mutex<Told>) -> MutexGuard<'_, Told> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn follow(etcd: SocketAddr, told: Arc<Mutex<Told>>, prometheus: Arc<ScriptedPrometheus>) {
    let mut pace = interval(LOOK_EVERY);
    let mut reported = BTreeMap::new();
    loop {
        pace.tick().await;
        let done = follow_once(etcd, &told, &prometheus, &mut reported, &mut pace).await;
        lock(&told).error = done.err().map(|error| error.to_string());
    }
}

/// Follows over one connection until it breaks.
async fn follow_once(
    etcd: SocketAddr,
    told: &Mutex<Told>,
    prometheus: &ScriptedPrometheus,
    reported: &mut BTreeMap<String, u64>,
    pace: &mut tokio::time::Interval,
) -> io::Result<()> {
    let mut reading = Connection::open(etcd).await?;
    let mut writing = Gateway::open(etcd).await?;
    loop {
        let read = read(&mut reading).await?;
        let (follow, gone) = {
            let told = lock(told);
            let is_there = |id: &&String| !told.gone.contains(*id);
            let there: Vec<String> = told.ids.iter().filter(is_there).cloned().collect();
            let follow: Vec<String> = there
                .into_iter()
                .filter(|id| !told.held.contains(id))
                .collect();
            (follow, told.gone.clone())
        };
        if !follow.is_empty() {
            take(told, prometheus, &read);
        }
        for id in follow {
            if reported.get(&id) == Some(&read.newest) {
                continue;
            }
            prometheus.revision(&id, read.newest);
            let key = format!("routers/{id}");
            writing.put(&key, &report(&id, read.newest)).await?;
            reported.insert(id, read.newest);
        }
        for id in gone {
            if reported.remove(&id).is_some() {
                writing.delete(&format!("routers/{id}")).await?;
            }
        }
        lock(told).error = None;
        pace.tick().await;
    }
}

fn take(told: &Mutex<Told>, prometheus: &ScriptedPrometheus, read: &Read) {
    let mut told = lock(told);
    for (route, live) in &read.live {
        if told.live.get(route) == Some(live) {
            continue;
        }
        prometheus.live(route, live.clone());
        told.live.insert(route.clone(), live.clone());
        let shares = told.shares.entry(route.clone()).or_default();
        let share = live.share() * 100.0;
        if shares.last() != Some(&share) {
            shares.push(share);
        }
    }
}

fn report(id: &str, revision: u64) -> Vec<u8> {
    let report = RouterReport {
        version: "scripted".to_owned(),
        boot_id: format!("boot-of-{id}"),
        started_at: "2026-01-01T00:00:00Z".to_owned(),
        admin_address: "127.0.0.1:1".to_owned(),
        applied_revision: revision,
        ..RouterReport::default()
    };
    serde_json::to_vec(&report).expect("a report is JSON")
}

async fn read(connection: &mut Connection) -> io::Result<Read> {
    let from = format!("{PREFIX}config/");
    let until = format!("{PREFIX}config0");
    let body = json!({"key": STANDARD.encode(from), "range_end": STANDARD.encode(until)});
    let request = Request::post("/v3/kv/range", body.to_string());
    let answer = connection.exchange(&request).await?;
    if answer.status() != 200 {
        return Err(io::Error::other(answer.text()));
    }
    let answer = answer.json();
    let mut read = Read::default();
    for entry in answer["kvs"].as_array().into_iter().flatten() {
        let revision = entry["mod_revision"]
            .as_str()
            .and_then(|text| text.parse().ok());
        read.newest = read.newest.max(revision.unwrap_or(0));
        if let Some((route, live)) = route(entry) {
            read.live.insert(route, live);
        }
    }
    Ok(read)
}

fn route(entry: &Value) -> Option<(String, Live)> {
    let decoded = |field: &str| STANDARD.decode(entry[field].as_str()?).ok();
    let key = String::from_utf8(decoded("key")?).ok()?;
    let name = key.strip_prefix(PREFIX)?.strip_prefix("config/routes/")?;
    let document: Value = serde_json::from_slice(&decoded("value")?).ok()?;
    let traffic = &document["traffic"];
    let weights = traffic["weights"].as_object();
    let weights = weights.into_iter().flatten();
    let mut weights: BTreeMap<String, f64> = weights
        .map(|(target, weight)| (target.clone(), weight.as_f64().unwrap_or(0.0)))
        .collect();
    for target in document["targets"].as_array().into_iter().flatten() {
        let name = target["name"].as_str().unwrap_or_default();
        weights.entry(name.to_owned()).or_insert(0.0);
    }
    let canary = traffic["canary"].as_str().filter(|name| !name.is_empty());
    let canary = canary.map(str::to_owned);
    Some((name.to_owned(), Live { weights, canary }))
}
