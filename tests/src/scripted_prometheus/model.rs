//! Routers that serve made-up traffic, and the server that scrapes them, as a function of its own
//! time.
//!
//! Nothing runs by itself: whoever asks or changes something first brings all of it up to now. So
//! what was counted does not depend on who asked when.

use std::collections::{BTreeMap, BTreeSet};

use serin_proto::metric::{BreakerState, Ending, family};

use super::promql::Selector;
use super::series::{Series, Slot, Tally};
use super::traffic::{Burst, CLAIM_MS, Draws, Gone, Live, Traffic};

const PROCESS_START: &str = "process_start_time_seconds";

#[derive(Clone, Debug)]
struct Router {
    id: String,
    instance: String,
    /// False: it serves nobody and no scrape succeeds.
    up: bool,
    began_ms: u64,
    next_scrape: u64,
    revision: u64,
    /// Its revision, its start.
    series: [Series; 2],
}

#[derive(Debug)]
struct Route {
    name: String,
    traffic: Traffic,
    live: Live,
    draws: Draws,
    /// Up to here requests have arrived.
    at: u64,
    due: f64,
    /// By the millisecond in which they end: router, target, whether canary.
    running: BTreeMap<u64, Vec<(usize, String, bool, Gone)>>,
    bursts: Vec<Burst>,
    slots: Vec<Slot>,
    /// Breaker open, up: router, target.
    gauges: Vec<(usize, String, [Series; 2])>,
    open: BTreeSet<(usize, String)>,
    /// Scrape, whether canary, what was new.
    ledger: Vec<(u64, bool, Tally)>,
}

/// All of it. Times are the model's own, shifts left out.
#[derive(Debug)]
pub(super) struct Model {
    scrape_ms: u64,
    kept: usize,
    routers: Vec<Router>,
    routes: BTreeMap<String, Route>,
    /// Added to what a server stamps and says.
    pub(super) shift_ms: i64,
    pub(super) now: u64,
}

impl Model {
    pub(super) fn new(now: u64, scrape_ms: u64, kept: usize) -> Self {
        Self {
            scrape_ms,
            kept,
            routers: Vec::new(),
            routes: BTreeMap::new(),
            shift_ms: 0,
            now,
        }
    }

    /// As the server's clock says it.
    pub(super) fn shown(&self, at: u64) -> u64 {
        at.saturating_add_signed(self.shift_ms)
    }

    pub(super) fn add_router(&mut self, id: &str) {
        let n = self.routers.len() as u64;
        let instance = format!("10.0.0.{}:8081", n + 1);
        let series = [family::CONFIG_REVISION.name, PROCESS_START];
        self.routers.push(Router {
            id: id.to_owned(),
            series: series.map(|name| Series::new(name, &instance, &[])),
            instance,
            up: true,
            began_ms: self.now,
            next_scrape: self.now + n * 137 % self.scrape_ms + 1,
            revision: 1,
        });
    }

    fn router(&self, id: &str) -> usize {
        let found = self.routers.iter().position(|router| router.id == id);
        found.unwrap_or_else(|| panic!("there is no router {id}"))
    }

    pub(super) fn set_traffic(&mut self, route: &str, traffic: Traffic) {
        let known = self.routes.get_mut(route);
        if let Some(known) = known {
            known.traffic = traffic;
            return;
        }
        let seed = route.bytes().fold(traffic.seed, |seed, byte| {
            seed.wrapping_mul(0x100_0000_01B3) ^ u64::from(byte)
        });
        let begun = Route {
            name: route.to_owned(),
            traffic,
            live: Live::default(),
            draws: Draws::new(seed),
            at: self.now,
            due: 0.0,
            running: BTreeMap::new(),
            bursts: Vec::new(),
            slots: Vec::new(),
            gauges: Vec::new(),
            open: BTreeSet::new(),
            ledger: Vec::new(),
        };
        self.routes.insert(route.to_owned(), begun);
    }

    pub(super) fn traffic(&mut self, route: &str) -> &mut Traffic {
        &mut self.route(route).traffic
    }

    fn route(&mut self, name: &str) -> &mut Route {
        let found = self.routes.get_mut(name);
        found.unwrap_or_else(|| panic!("route {name} has no traffic"))
    }

    /// The live traffic of a route from now on; its series are exposed.
    pub(super) fn set_live(&mut self, route: &str, live: Live) {
        let instances: Vec<String> = self.routers.iter().map(|r| r.instance.clone()).collect();
        let Some(route) = self.routes.get_mut(route) else {
            return;
        };
        for (target, weight) in &live.weights {
            let is_canary = live.canary.as_ref() == Some(target);
            // What a router exposes of a target that gets nothing, nobody here asks for.
            if !is_canary && *weight <= 0.0 {
                continue;
            }
            for (n, instance) in instances.iter().enumerate() {
                route.expose((n, instance), target, is_canary);
            }
        }
        route.live = live;
    }

    pub(super) fn set_revision(&mut self, id: &str, revision: u64) {
        let router = self.router(id);
        self.routers[router].revision = revision;
    }

    /// A router ends without being scraped again, or begins anew with everything at 0.
    pub(super) fn set_up(&mut self, id: &str, up: bool) {
        let (n, now) = (self.router(id), self.now);
        let began = up && !self.routers[n].up;
        self.routers[n].up = up;
        if began {
            self.routers[n].began_ms = now;
            for route in self.routes.values_mut() {
                route
                    .slots
                    .iter_mut()
                    .filter(|slot| slot.router == n)
                    .for_each(Slot::reset);
            }
        }
        if !up {
            for route in self.routes.values_mut() {
                let all = route.running.values_mut();
                all.for_each(|ended| ended.retain(|(router, ..)| *router != n));
            }
        }
    }

    /// A breaker at one router, from now on.
    pub(super) fn set_open(&mut self, route: &str, target: &str, (id, open): (&str, bool)) {
        let key = (self.router(id), target.to_owned());
        let known = &mut self.route(route).open;
        match open {
            true => known.insert(key),
            false => known.remove(&key),
        };
    }

    pub(super) fn burst(&mut self, route: &str, keys: u64, lasting_ms: u64) {
        let now = self.now;
        self.route(route).bursts.push(Burst {
            keys,
            next_ms: now,
            until_ms: now + lasting_ms,
        });
    }

    /// What was scraped of an arm in `(after, until]`, by the server's clock.
    pub(super) fn truth(
        &mut self,
        route: &str,
        is_canary: bool,
        (after, until): (u64, u64),
    ) -> Tally {
        let mut all = Tally::default();
        for (at, canary, new) in &self.route(route).ledger {
            if *at > after && *at <= until && *canary == is_canary {
                all.add(*new);
            }
        }
        all
    }

    /// Lets time pass.
    pub(super) fn advance(&mut self, now: u64) {
        loop {
            let next = self.routers.iter().enumerate();
            let next = next.min_by_key(|(_, router)| router.next_scrape);
            let next = next.map(|(n, router)| (n, router.next_scrape));
            let Some((n, at)) = next.filter(|(_, at)| *at <= now) else {
                break;
            };
            self.arrive(at);
            self.scrape(n, at);
            self.routers[n].next_scrape += self.scrape_ms;
        }
        self.arrive(now);
        self.now = self.now.max(now);
    }

    fn arrive(&mut self, until: u64) {
        let up: Vec<usize> = (0..self.routers.len())
            .filter(|n| self.routers[*n].up)
            .collect();
        for route in self.routes.values_mut() {
            route.arrive(until, &up);
        }
    }

    fn scrape(&mut self, n: usize, at: u64) {
        let stamp = self.shown(at);
        let kept = self.kept;
        let router = &mut self.routers[n];
        if !router.up {
            return;
        }
        let values = [
            router.revision as f64,
            router.began_ms.saturating_add_signed(self.shift_ms) as f64 / 1e3,
        ];
        for (series, value) in router.series.iter_mut().zip(values) {
            series.push(stamp, value, kept);
        }
        for route in self.routes.values_mut() {
            route.scrape(n, stamp, kept);
        }
    }

    /// The series that a selector means.
    pub(super) fn select<'a>(&'a self, selector: &'a Selector) -> Vec<&'a Series> {
        let of_route = selector.only("route");
        let routes = self.routes.values();
        let routes = routes.filter(|route| of_route.is_none_or(|name| name == route.name));
        let of_routes = routes.flat_map(Route::series);
        let of_routers = self.routers.iter().flat_map(|router| &router.series);
        of_routers
            .chain(of_routes)
            .filter(|series| series.is_meant(selector))
            .collect()
    }
}

impl Route {
    fn series(&self) -> impl Iterator<Item = &Series> {
        let slots = self.slots.iter().flat_map(|slot| &slot.series);
        slots.chain(self.gauges.iter().flat_map(|(.., series)| series))
    }

    fn expose(&mut self, place: (usize, &str), target: &str, is_canary: bool) {
        let (router, instance) = place;
        let known = |slot: &Slot| {
            slot.router == router && slot.target == target && slot.is_canary == is_canary
        };
        if !self.slots.iter().any(known) {
            let slot = Slot::new(place, (&self.name, target), is_canary);
            self.slots.push(match self.traffic.histograms {
                true => slot.with_histograms(),
                false => slot,
            });
        }
        let known = |gauge: &(usize, String, [Series; 2])| gauge.0 == router && gauge.1 == target;
        if !self.gauges.iter().any(known) {
            let labels = [("route", self.name.as_str()), ("target", target)];
            let open = ("state", BreakerState::Open.as_str());
            let series = [
                Series::new(
                    family::BREAKER_STATE.name,
                    instance,
                    &[labels[0], labels[1], open],
                ),
                Series::new(family::TARGET_UP.name, instance, &labels),
            ];
            self.gauges.push((router, target.to_owned(), series));
        }
    }

    fn arrive(&mut self, until: u64, up: &[usize]) {
        if until <= self.at {
            return;
        }
        let lasting = until - self.at;
        self.due += self.traffic.per_second * lasting as f64 / 1e3;
        let count = self.due.floor();
        self.due -= count;
        for n in 0..count as u64 {
            let at = self.at as f64 + (n as f64 + 0.5) / count * lasting as f64;
            self.one(at, up);
        }
        self.burst(until, up);
        self.at = until;
        let later = self.running.split_off(&(until + 1));
        let ended = std::mem::replace(&mut self.running, later);
        for (router, target, is_canary, gone) in ended.into_values().flatten() {
            self.count(router, (&target, is_canary), &gone);
        }
    }

    fn one(&mut self, at: f64, up: &[usize]) {
        let router = (self.draws.next() * up.len() as f64) as usize;
        let assigned = self.live.assign(&mut self.draws);
        let (Some(&router), Some((target, is_canary))) = (up.get(router), assigned) else {
            return;
        };
        let target = target.to_owned();
        let side = if is_canary {
            self.traffic.canary
        } else {
            self.traffic.stable
        };
        let mut gone = side.serve(&mut self.draws);
        if is_canary && !self.traffic.canary_comes {
            return;
        }
        if self.open.contains(&(router, target.clone())) {
            (gone.ending, gone.took_ms) = (Ending::DivertedOpen, 0.0);
        }
        let ends = (at + gone.took_ms) as u64;
        let same = self.running.entry(ends).or_default();
        same.push((router, target, is_canary, gone));
    }

    /// However often these keys fail, each counts once in ten seconds.
    fn burst(&mut self, until: u64, up: &[usize]) {
        let Some(canary) = self.live.canary.clone() else {
            return;
        };
        let mut bursts = std::mem::take(&mut self.bursts);
        for burst in &mut bursts {
            while burst.next_ms <= until && burst.next_ms < burst.until_ms {
                for key in 0..burst.keys as usize {
                    let mut gone = self.traffic.canary.serve(&mut self.draws);
                    gone.ending = Ending::Http5xx;
                    if let Some(&router) = up.get(key % up.len().max(1)) {
                        self.count(router, (&canary, true), &gone);
                    }
                }
                burst.next_ms += CLAIM_MS;
            }
        }
        bursts.retain(|burst| burst.next_ms < burst.until_ms);
        self.bursts = bursts;
    }

    fn count(&mut self, router: usize, (target, is_canary): (&str, bool), gone: &Gone) {
        let is_its = |slot: &&mut Slot| {
            slot.router == router && slot.target == target && slot.is_canary == is_canary
        };
        if let Some(slot) = self.slots.iter_mut().find(is_its) {
            slot.count(gone);
        }
    }

    fn scrape(&mut self, router: usize, at: u64, kept: usize) {
        for slot in self.slots.iter_mut().filter(|slot| slot.router == router) {
            let new = slot.scrape(at, kept);
            if new != Tally::default() {
                self.ledger.push((at, slot.is_canary, new));
            }
        }
        for (of, target, [open, up]) in &mut self.gauges {
            if *of == router {
                let is_open = self.open.contains(&(router, target.clone()));
                open.push(at, f64::from(u8::from(is_open)), kept);
                up.push(at, 1.0, kept);
            }
        }
    }
}
