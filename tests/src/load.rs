//! Callers that go on while something else happens, and what became of their requests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::client::{Connection, Request};
use crate::serin::CALLER_SECRET;

/// Callers of one router.
const CALLERS: usize = 4;
/// Time between two requests of one caller: a pace rather than a flood.
const PACE: Duration = Duration::from_millis(10);
/// Failures that are kept with their text; the rest is counted.
const FAILURES_TOLD: usize = 20;

/// Callers on kept connections, every other request a stream, until they are told to end.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    failed: Arc<AtomicUsize>,
    callers: JoinSet<Vec<String>>,
}

/// What became of the requests.
#[derive(Debug)]
pub struct Outcome {
    /// All that were sent.
    pub answered: usize,
    pub failed: usize,
    /// What was wrong with the first failures.
    pub failures: Vec<String>,
}

#[derive(Clone)]
struct Counts {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    failed: Arc<AtomicUsize>,
}

impl Load {
    /// Asks for `route` at each of the routers.
    pub fn start(routers: &[SocketAddr], route: &str) -> Self {
        let counts = Counts {
            stop: Arc::default(),
            answered: Arc::default(),
            failed: Arc::default(),
        };
        let mut callers = JoinSet::new();
        for router in routers {
            for _ in 0..CALLERS {
                callers.spawn(caller(*router, route.to_owned(), counts.clone()));
            }
        }
        let Counts {
            stop,
            answered,
            failed,
        } = counts;
        Self {
            stop,
            answered,
            failed,
            callers,
        }
    }

    /// How many requests were answered so far, well or badly.
    pub fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    /// How many of them failed so far.
    pub fn failed(&self) -> usize {
        self.failed.load(Ordering::Relaxed)
    }

    /// Lets the callers finish their requests.
    pub async fn end(self) -> Outcome {
        self.stop.store(true, Ordering::Relaxed);
        let told = self.callers.join_all().await;
        Outcome {
            answered: self.answered.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            failures: told.into_iter().flatten().collect(),
        }
    }
}

impl Outcome {
    /// # Panics
    /// When a request failed, or when there were fewer than `least`.
    pub fn nobody_noticed(&self, least: usize) {
        assert_eq!(self.failed, 0, "{self:#?}");
        assert!(self.answered >= least, "that was no load: {self:#?}");
    }
}

async fn caller(to: SocketAddr, route: String, counts: Counts) -> Vec<String> {
    let mut failures = Vec::new();
    let mut connection = Connection::open(to).await.expect("somebody listens");
    let mut pace = interval(PACE);
    let messages = json!([{"role": "user", "content": "hello"}]);
    let bodies = [
        json!({"model": &route, "messages": &messages}).to_string(),
        json!({"model": &route, "messages": &messages, "stream": true}).to_string(),
    ];
    for body in bodies.iter().cycle() {
        if counts.stop.load(Ordering::Relaxed) {
            break;
        }
        pace.tick().await;
        let request = Request::post("/v1/chat/completions", body.as_str()).key(CALLER_SECRET);
        let failure = match connection.exchange(&request).await {
            Ok(answer) if answer.status() == 200 && answer.whole => None,
            Ok(answer) => Some(format!("{} {}", answer.status(), answer.text())),
            Err(error) => {
                connection = Connection::open(to).await.expect("somebody listens");
                Some(error.to_string())
            }
        };
        counts.answered.fetch_add(1, Ordering::Relaxed);
        if let Some(failure) = failure {
            counts.failed.fetch_add(1, Ordering::Relaxed);
            if failures.len() < FAILURES_TOLD {
                failures.push(failure);
            }
        }
    }
    failures
}
