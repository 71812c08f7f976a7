//! Series of many routers, window by window, into one [`Raw`]. Pure.
//!
//! A source answers in pieces; each piece is taken once, and counters go on from one to the next.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    increase::{Counter, Point},
    query::{is_canary, metric},
    raw::{Ended, Histogram, Raw},
    sample::{Gauges, Millis, Trouble, Untold},
    series::{Identity, Instance, Series, bound, told_apart},
    want::{Family, Want},
};

/// Scrapes after which a router's newest sample is too old.
pub const FRESH_SCRAPES: u64 = 3;

/// Series of one answer, told apart.
pub type Apart = BTreeMap<Identity, Vec<(Millis, f64)>>;

/// Series of a family, told apart.
///
/// # Errors
/// As [`told_apart`].
pub fn apart(family: Family, series: Vec<Series>) -> Result<Apart, Untold> {
    told_apart(series, metric(family).labels)
}

/// Counters from a cursor on.
#[derive(Clone, Debug)]
pub struct Tally {
    cursor: Millis,
    began: BTreeMap<Instance, BTreeMap<Millis, f64>>,
    /// Since when no sample of a family is missing, where that is before the cursor.
    known: BTreeMap<Family, Millis>,
    counters: BTreeMap<Family, BTreeMap<Identity, Counter>>,
}

impl Tally {
    #[must_use]
    pub fn after(cursor: Millis) -> Self {
        Self {
            cursor,
            began: BTreeMap::new(),
            known: BTreeMap::new(),
            counters: BTreeMap::new(),
        }
    }

    /// When the processes began: to be told before what they counted.
    ///
    /// # Errors
    /// [`Trouble::Ambiguous`]: one process is scraped by two jobs.
    pub fn began(&mut self, series: Vec<Series>) -> Result<(), Untold> {
        for (identity, samples) in told_apart(series, &[])? {
            let known = self.began.entry(identity.instance).or_default();
            known.extend(samples);
        }
        let mut by_name: BTreeMap<&str, (&Instance, f64)> = BTreeMap::new();
        for (instance, known) in &self.began {
            let Some(began) = known.values().next_back() else {
                continue;
            };
            let other = by_name.insert(&instance.name, (instance, *began));
            if let Some((other, _)) = other.filter(|(_, other)| other == began) {
                let why = format!(
                    "{} is scraped by the jobs {} and {}: it would count twice",
                    instance.name, other.job, instance.job
                );
                let trouble = Trouble::Ambiguous;
                return Err(Untold { trouble, why });
            }
        }
        Ok(())
    }

    /// Whether a series begins here that would need a sample from before the cursor.
    #[must_use]
    pub fn lacks_base(&self, family: Family, apart: &Apart) -> bool {
        let known = self.counters.get(&family);
        apart.iter().any(|(identity, samples)| {
            let counter = known.and_then(|known| known.get(identity)).copied();
            let counter = counter.unwrap_or(Counter::after(self.cursor));
            let first = samples.first();
            first.is_some_and(|first| counter.lacks_base(self.point(&identity.instance, *first)))
        })
    }

    /// Takes what came before the cursor, since `known`: bases, and no increments.
    pub fn look_back(&mut self, family: Family, before: &Apart, known: Millis) {
        self.take(family, before);
        self.known.insert(family, known);
    }

    /// Counts what is new in them.
    pub fn take(&mut self, family: Family, apart: &Apart) {
        let known = self.known.get(&family).copied().unwrap_or(self.cursor);
        let new = Counter::after(self.cursor).known_since(known);
        for (identity, samples) in apart {
            let points: Vec<Point> = samples
                .iter()
                .map(|sample| self.point(&identity.instance, *sample))
                .collect();
            let counters = self.counters.entry(family).or_default();
            let counter = counters.entry(identity.clone()).or_insert(new);
            points.into_iter().for_each(|point| counter.take(point));
        }
    }

    fn point(&self, instance: &Instance, (at, value): (Millis, f64)) -> Point {
        let known = self.began.get(instance);
        // A scrape has one time for all its samples.
        let began = known.and_then(|known| known.get(&at)).copied();
        Point { at, value, began }
    }

    /// All of it, up to `to`, with what was seen of the routers.
    #[must_use]
    pub fn raw(&self, want: &Want, to: Millis, routers: &Routers) -> Raw {
        let mut raw = Raw {
            from: self.cursor,
            to,
            canary_down_on: routers.down,
            gauges: Gauges {
                live: want.live,
                ..routers.gauges
            },
            ..Raw::default()
        };
        let mut with_canary = BTreeSet::new();
        for (family, counters) in &self.counters {
            for (identity, counter) in counters {
                let Some(canary) = is_canary(&identity.labels, &want.candidate) else {
                    continue;
                };
                if canary && *family == Family::Samples {
                    with_canary.insert(&identity.instance);
                }
                add(&mut raw, *family, identity, (canary, counter));
            }
        }
        let fresh = |instance: &&Instance| routers.fresh.contains(*instance);
        raw.canary_series_on = count(with_canary.into_iter().filter(fresh).count());
        raw.untold = self.untold(want, routers);
        raw
    }

    fn untold(&self, want: &Want, routers: &Routers) -> Option<Untold> {
        let fresh = routers.gauges.fresh;
        let trouble = Trouble::Partial;
        if fresh < want.live {
            let why = format!("{fresh} of {} live routers have fresh samples", want.live);
            return Some(Untold { trouble, why });
        }
        let all = self.counters.values().flatten();
        let mut unknown = all.filter(|(_, counter)| counter.is_partial());
        let (first, _) = unknown.next()?;
        let why = format!(
            "{} of {}, and {} series more, have no sample from before the window",
            first.name,
            first.instance.name,
            unknown.count()
        );
        Some(Untold { trouble, why })
    }
}

fn add(raw: &mut Raw, family: Family, identity: &Identity, (canary, counter): (bool, &Counter)) {
    let label = |name| identity.labels.get(name).cloned().unwrap_or_default();
    if family == Family::Samples {
        raw.samples.push(Ended {
            router: identity.instance.name.clone(),
            canary,
            outcome: label("outcome"),
            reason: label("reason"),
            by: counter.count(),
        });
        return;
    }
    let arms = raw.histograms.entry(family).or_default();
    let arm: &mut Histogram = if canary {
        &mut arms.canary
    } else {
        &mut arms.stable
    };
    match bound(&label("le")) {
        Some(f64::INFINITY) => arm.count += counter.count(),
        Some(bound) => arm.add_below(bound, counter.count()),
        None => arm.sum += counter.rise(),
    }
}

/// The routers at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Routers {
    fresh: BTreeSet<Instance>,
    /// Fresh ones where the candidate is down or its breaker open.
    down: u32,
    gauges: Gauges,
}

/// What is read of routers: their series of the revision, the candidate's breakers, its state.
#[derive(Clone, Debug, Default)]
pub struct Watched {
    pub revisions: Vec<Series>,
    pub breakers: Vec<Series>,
    pub ups: Vec<Series>,
}

impl Routers {
    /// Those whose newest sample at `at` is younger than [`FRESH_SCRAPES`].
    ///
    /// # Errors
    /// [`Trouble::Empty`]: no router was ever scraped; [`Trouble::Stale`]: none lately;
    /// [`Trouble::Ambiguous`]: one twice.
    pub fn seen(watched: Watched, at: Millis, scrape_ms: u64) -> Result<Self, Untold> {
        let oldest = at.saturating_sub(FRESH_SCRAPES * scrape_ms);
        let revisions = told_apart(watched.revisions, &[])?;
        let newest = |samples: &[(Millis, f64)]| {
            let until = samples.iter().rfind(|(sample, _)| *sample <= at);
            until.copied()
        };
        let (mut fresh, mut last) = (BTreeSet::new(), None);
        for (identity, samples) in &revisions {
            let sample = newest(samples).map(|(at, _)| at);
            last = last.max(sample);
            if sample.is_some_and(|sample| sample > oldest) {
                fresh.insert(identity.instance.clone());
            }
        }
        if fresh.is_empty() {
            return Err(none_fresh(last, at));
        }
        let which = |series, is: fn(f64) -> bool| -> Result<BTreeSet<Instance>, Untold> {
            let apart = told_apart(series, &["route", "target", "state"])?;
            let said = apart.into_iter().filter_map(|(identity, samples)| {
                let (_, value) = newest(&samples)?;
                (is(value) && fresh.contains(&identity.instance)).then_some(identity.instance)
            });
            Ok(said.collect())
        };
        let open = which(watched.breakers, |value| value == 1.0)?;
        let down = which(watched.ups, |value| value == 0.0)?;
        Ok(Self {
            down: count(open.union(&down).count()),
            gauges: Gauges {
                fresh: count(fresh.len()),
                breaker_open: count(open.len()),
                target_down: count(down.len()),
                ..Gauges::default()
            },
            fresh,
        })
    }
}

fn none_fresh(last: Option<Millis>, at: Millis) -> Untold {
    match last {
        None => Untold {
            trouble: Trouble::Empty,
            why: "no router is scraped".to_owned(),
        },
        Some(last) => Untold {
            trouble: Trouble::Stale,
            why: format!(
                "the newest sample of any router is {} s old",
                at.saturating_sub(last) / 1_000
            ),
        },
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
