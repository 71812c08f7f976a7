//! A Prometheus that answers out of a script: traffic made up request by request, scraped on its
//! own clock, and every way to fail.
//!
//! It speaks as much of the query API as analysis asks (`promql`): raw range vectors, instant
//! vectors, `time()`, and other queries by their exact text. Its clock is its own: it may run
//! faster than ours and be wrong. What it counted is exact and can be asked for ([`truth`]).
//!
//! [`truth`]: ScriptedPrometheus::truth

mod answer;
mod model;
mod promql;
mod series;
mod traffic;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::scripted_http::ScriptedHttp;
use model::Model;

pub use answer::{Fault, Said};
pub use series::Tally;
pub use traffic::{Live, Side, Traffic};

/// When its clock begins, Unix milliseconds. No clock of ours shows that.
const BEGIN_MS: u64 = 1_790_000_000_000;

/// How its time passes.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Its seconds within one of ours.
    pub speed: u64,
    /// Between two scrapes of a router, by its clock.
    pub scrape_ms: u64,
    /// Scrapes that it keeps.
    pub kept: usize,
}

impl Pace {
    /// Ten seconds within one, a scrape each two: a tick of one second is the default interval.
    pub const TENFOLD: Self = Self {
        speed: 10,
        scrape_ms: 2_000,
        kept: 450,
    };
}

/// A server at a port of its own.
#[derive(Debug)]
pub struct ScriptedPrometheus {
    http: ScriptedHttp,
    inside: Arc<Inside>,
}

#[derive(Debug)]
struct Inside {
    begun: Instant,
    pace: Pace,
    model: Mutex<Model>,
    script: Mutex<Script>,
}

/// What it is told to do wrong, and what it answers to others' queries.
#[derive(Debug, Default)]
struct Script {
    fault: Option<Fault>,
    /// Of queries that name a route.
    of_routes: BTreeMap<String, Fault>,
    said: BTreeMap<String, Said>,
    /// Every series twice, told apart by an outer label.
    is_pair: bool,
    /// Queries answered, by whether they were understood.
    answered: u64,
    not_understood: Vec<String>,
}

impl ScriptedPrometheus {
    /// Starts one that scrapes routers of these names.
    pub fn start(pace: Pace, routers: &[&str]) -> Self {
        let mut model = Model::new(BEGIN_MS, pace.scrape_ms, pace.kept);
        routers.iter().for_each(|id| model.add_router(id));
        let inside = Arc::new(Inside {
            begun: Instant::now(),
            pace,
            model: Mutex::new(model),
            script: Mutex::default(),
        });
        let asked = Arc::clone(&inside);
        let http = ScriptedHttp::start(move |request| asked.answer(request));
        Self { http, inside }
    }

    /// As `--prometheus` wants it.
    pub fn url(&self) -> String {
        format!("http://{}", self.http.address)
    }

    /// Its own time.
    pub fn now_ms(&self) -> u64 {
        let model = self.inside.model();
        model.shown(model.now)
    }

    /// Its seconds within one of ours.
    pub fn speed(&self) -> u64 {
        self.inside.pace.speed
    }

    /// The traffic of a route from now on.
    pub fn traffic(&self, route: &str, traffic: Traffic) {
        self.inside.model().set_traffic(route, traffic);
    }

    /// Changes the traffic of a route from now on.
    pub fn change(&self, route: &str, change: impl FnOnce(&mut Traffic)) {
        change(self.inside.model().traffic(route));
    }

    /// Where a route's requests go from now on.
    pub fn live(&self, route: &str, live: Live) {
        self.inside.model().set_live(route, live);
    }

    /// What a router says it serves from now on.
    pub fn revision(&self, router: &str, revision: u64) {
        self.inside.model().set_revision(router, revision);
    }

    /// A router vanishes with what was not scraped, or begins anew with all counters at 0.
    pub fn up(&self, router: &str, up: bool) {
        self.inside.model().set_up(router, up);
    }

    /// A breaker opens or closes at some routers from now on.
    pub fn breaker(&self, route: &str, target: &str, routers: &[&str], open: bool) {
        let mut model = self.inside.model();
        for id in routers {
            model.set_open(route, target, (id, open));
        }
    }

    /// So many callers of the canary fail again and again for a while.
    pub fn burst(&self, route: &str, keys: u64, lasting_ms: u64) {
        self.inside.model().burst(route, keys, lasting_ms);
    }

    /// Sets its clock forward or back.
    pub fn shift(&self, by_ms: i64) {
        self.inside.model().shift_ms += by_ms;
    }

    /// What all queries meet from now on; `None`: nothing.
    pub fn fault(&self, fault: Option<Fault>) {
        self.http.listen(fault != Some(Fault::Refuses));
        self.inside.script().fault = fault;
    }

    /// The same for queries that name a route.
    pub fn fault_of(&self, route: &str, fault: Option<Fault>) {
        let of_routes = &mut self.inside.script().of_routes;
        match fault {
            Some(fault) => of_routes.insert(route.to_owned(), fault),
            None => of_routes.remove(route),
        };
    }

    /// The answer to a query of exactly that text.
    pub fn say(&self, query: &str, said: Said) {
        self.inside.script().said.insert(query.to_owned(), said);
    }

    /// Whether everything is there twice.
    pub fn pair(&self, is_pair: bool) {
        self.inside.script().is_pair = is_pair;
    }

    /// What was counted of an arm in `(after, until]` of its clock.
    pub fn truth(&self, route: &str, is_canary: bool, (after, until): (u64, u64)) -> Tally {
        self.inside.model().truth(route, is_canary, (after, until))
    }

    /// Queries it did not understand: none, if it is what its clients need.
    pub fn not_understood(&self) -> Vec<String> {
        self.inside.script().not_understood.clone()
    }

    /// Queries that came so far.
    pub fn answered(&self) -> u64 {
        self.inside.script().answered
    }
}

impl Inside {
    /// All of it, up to now.
    fn model(&self) -> MutexGuard<'_, Model> {
        let mut model = self.model.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = self.begun.elapsed().as_millis() as u64 * self.pace.speed;
        model.advance(BEGIN_MS + passed);
        model
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
