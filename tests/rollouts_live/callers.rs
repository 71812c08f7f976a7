//! People who ask at a pace, each request in a name of its own.
//!
//! Routes spread them by name, and a name is one sample: so each request counts. They remember who
//! was served by the stable arm, and can keep to those: then nobody comes to the canary.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;
use serin_tests::client::{Answer, Connection, Request};
use serin_tests::serin::CALLER_SECRET;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// Failures that are kept with their text; the rest is counted.
const FAILURES_TOLD: usize = 20;

/// Callers of one route at all routers, until they are told to end.
pub(crate) struct Callers {
    told: Arc<Mutex<Told>>,
    tasks: JoinSet<()>,
}

/// What became of the requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) sent: u64,
    /// By the arm that they were given to.
    pub(crate) canary: u64,
    pub(crate) stable: u64,
    pub(crate) failed: u64,
    pub(crate) failures: Vec<String>,
}

#[derive(Default)]
struct Told {
    outcome: Outcome,
    is_over: bool,
    /// Only those come who were served by the stable arm.
    is_stable_only: bool,
    /// Their names.
    stable: Vec<u64>,
    names: u64,
}

impl Callers {
    /// Begins to ask for a route, so often a second in all.
    pub(crate) fn start(routers: &[SocketAddr], route: &str, per_second: u32) -> Self {
        let told = Arc::new(Mutex::new(Told::default()));
        let mut tasks = JoinSet::new();
        let count = u32::try_from(routers.len()).expect("a few routers");
        let pace = Duration::from_secs(1) * count / per_second;
        for router in routers {
            tasks.spawn(come(*router, route.to_owned(), pace, Arc::clone(&told)));
        }
        Self { told, tasks }
    }

    /// From now on nobody of the canary's comes, or everybody again.
    pub(crate) fn only_stable(&self, only: bool) {
        locked(&self.told).is_stable_only = only;
    }

    /// Who is served by which arm is learnt anew: the share is another one.
    pub(crate) fn learn(&self) {
        locked(&self.told).stable.clear();
    }

    /// How many people are known to be served by the stable arm.
    pub(crate) fn known_stable(&self) -> usize {
        locked(&self.told).stable.len()
    }

    pub(crate) fn so_far(&self) -> Outcome {
        locked(&self.told).outcome.clone()
    }

    /// Lets them have their answers.
    pub(crate) async fn end(self) -> Outcome {
        locked(&self.told).is_over = true;
        self.tasks.join_all().await;
        locked(&self.told).outcome.clone()
    }
}

impl Outcome {
    /// # Panics
    /// When a caller saw an error, or when there were fewer than `least`.
    pub(crate) fn nobody_noticed(&self, least: u64) {
        assert_eq!(self.failed, 0, "{self:#?}");
        assert!(self.sent >= least, "that was no load: {self:#?}");
    }
}

impl Told {
    /// The next caller's name.
    fn next(&mut self) -> u64 {
        self.names += 1;
        let known = self.stable.len();
        match usize::try_from(self.names) {
            Ok(turn) if self.is_stable_only && known > 0 => self.stable[turn % known],
            _ => self.names,
        }
    }

    fn note(&mut self, name: u64, ended: &std::io::Result<Answer>) {
        self.outcome.sent += 1;
        let failure = match ended {
            Ok(answer) => {
                match answer.header("x-serin-arm") {
                    Some("canary") => self.outcome.canary += 1,
                    Some("stable") => {
                        self.outcome.stable += 1;
                        if !self.is_stable_only {
                            self.stable.push(name);
                        }
                    }
                    _ => {}
                }
                let is_well = answer.status() == 200 && answer.whole;
                (!is_well).then(|| format!("{} {}", answer.status(), answer.text()))
            }
            Err(error) => Some(error.to_string()),
        };
        if let Some(failure) = failure {
            self.outcome.failed += 1;
            if self.outcome.failures.len() < FAILURES_TOLD {
                self.outcome.failures.push(failure);
            }
        }
    }
}

async fn come(to: SocketAddr, route: String, pace: Duration, told: Arc<Mutex<Told>>) {
    let mut connection = Connection::open(to).await.expect("the router listens");
    let mut pace = interval(pace);
    // After a pause of the machine nobody floods.
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !locked(&told).is_over {
        pace.tick().await;
        let name = locked(&told).next();
        let body = json!({
            "model": &route,
            "user": format!("u{name}"),
            "messages": [{"role": "user", "content": "hello"}],
            "stream": name.is_multiple_of(2),
        });
        let request = Request::post("/v1/chat/completions", body.to_string()).key(CALLER_SECRET);
        let ended = connection.exchange(&request).await;
        if ended.is_err() {
            connection = Connection::open(to).await.expect("the router listens");
        }
        locked(&told).note(name, &ended);
    }
}

fn locked(told: &Mutex<Told>) -> MutexGuard<'_, Told> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}
