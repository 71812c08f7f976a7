//! The router of this very process, read by ourselves: rollouts without a Prometheus.
//!
//! Its `/metrics` is read every few seconds and kept for a quarter of an hour, as far as the analysis
//! needs it; from there on everything is as with Prometheus. When the process ends, counters and
//! memory begin anew together. There is no PromQL, so there are no queries of one's own.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

use actix_web::http::Method;
use bytes::Bytes;
use futures_util::{FutureExt as _, future::BoxFuture};
use serin_proto::metric::family;
use tokio::{
    runtime::Handle,
    time::{MissedTickBehavior, interval},
};

use super::{
    Asked, Family, Horizon, SampleReader, Want,
    counting::{self, Ranges},
    exposition, unanswered,
};
use crate::{
    analysis::{
        query::{PROCESS_START, Select, metric},
        raw::Raw,
        sample::{Answered, Millis, Trouble, Untold},
        series::{Labels, Series},
    },
    clock,
    http::{Http, Request, shown},
};

/// How long samples are kept.
const KEPT_MS: u64 = 900_000;
/// Time for a reading.
const READING_TIME_MAX: Duration = Duration::from_secs(5);
/// Largest text: more than the router has for 1 000 routes.
const READING_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Readings that may fail before the last one is too old.
const FAILED_MAX: u64 = 3;

pub(super) struct Embedded {
    url: String,
    every: Duration,
    http: Http,
    /// The wall clock once, and the monotonic one from then on: nothing here ever goes back.
    began: (Instant, Millis),
    kept: Mutex<Kept>,
}

/// What was read. A counter that stands still is kept once.
#[derive(Default)]
struct Kept {
    series: BTreeMap<(String, Labels), One>,
    last: Option<Millis>,
    failed: Option<Untold>,
}

struct One {
    samples: VecDeque<(Millis, f64)>,
    seen: Millis,
}

impl Embedded {
    /// Reads until it is dropped.
    pub(super) fn start(url: &str, every: Duration, http: Http, on: &Handle) -> Arc<Self> {
        let reader = Arc::new(Self::new(url, every, http));
        on.spawn(follow(Arc::downgrade(&reader), every));
        reader
    }

    fn new(url: &str, every: Duration, http: Http) -> Self {
        Self {
            url: url.to_owned(),
            every,
            http,
            began: (clock::now(), millis(clock::unix())),
            kept: Mutex::default(),
        }
    }

    fn time(&self) -> Millis {
        let (began, wall) = self.began;
        wall + millis(clock::now().saturating_duration_since(began))
    }

    async fn look(&self) {
        let at = self.time();
        let request = Request {
            method: Method::GET,
            url: self.url.clone(),
            headers: vec![("accept", "text/plain".to_owned())],
            body: Bytes::new(),
            timeout: READING_TIME_MAX,
            bytes_max: READING_BYTES_MAX,
        };
        let read = match self.http.send(request).await {
            Ok(answer) if answer.status == 200 => {
                let text = std::str::from_utf8(&answer.body).ok();
                let broken = || untold(Trouble::Parse, "the router's metrics are no metrics");
                text.and_then(|text| exposition::read(text, is_kept))
                    .ok_or_else(broken)
            }
            Ok(answer) => Err(untold(Trouble::Http, &format!("HTTP {}", answer.status))),
            Err(failed) => Err(unanswered(&failed)),
        };
        self.kept().take(at, read);
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last(&self) -> Result<Horizon, Untold> {
        let scrape_ms = millis(self.every).max(1);
        let kept = self.kept();
        let oldest = self.time().saturating_sub(FAILED_MAX * scrape_ms + 1_000);
        match (kept.last, &kept.failed) {
            (Some(until), _) if until >= oldest => Ok(Horizon { until, scrape_ms }),
            (_, Some(failed)) => Err(failed.clone()),
            (None, None) => Err(untold(Trouble::Empty, "the router was not read yet")),
            (Some(_), None) => Err(untold(Trouble::Stale, "the router was not read lately")),
        }
    }
}

impl Kept {
    fn take(&mut self, at: Millis, read: Result<Vec<exposition::Sample>, Untold>) {
        let samples = match read {
            Ok(samples) => samples,
            Err(failed) => {
                self.failed = Some(failed);
                return;
            }
        };
        (self.last, self.failed) = (Some(at), None);
        for (name, labels, value) in samples {
            let always = name == family::CONFIG_REVISION.name || name == PROCESS_START;
            let one = self.series.entry((name, labels)).or_insert(One {
                samples: VecDeque::new(),
                seen: at,
            });
            one.seen = at;
            if always || one.samples.back().is_none_or(|(_, last)| *last != value) {
                one.samples.push_back((at, value));
            }
        }
        let oldest = at.saturating_sub(KEPT_MS);
        self.series.retain(|_, one| one.seen >= oldest);
        for one in self.series.values_mut() {
            // The newest that is too old is the base of what follows.
            while one.samples.get(1).is_some_and(|(at, _)| *at <= oldest) {
                one.samples.pop_front();
            }
        }
    }

    fn range(&self, select: &Select, from: Millis, until: Millis) -> Vec<Series> {
        let wanted = self.series.iter();
        let wanted = wanted.filter(|((name, labels), _)| select.takes(name, labels));
        let within = |((name, labels), one): (&(String, Labels), &One)| {
            let before = one.samples.iter().rposition(|(at, _)| *at <= from);
            let samples = one.samples.iter().skip(before.unwrap_or(0));
            Series {
                name: name.clone(),
                labels: labels.clone(),
                samples: samples.filter(|(at, _)| *at <= until).copied().collect(),
            }
        };
        wanted.map(within).collect()
    }
}

/// Reads at once, and then once in every `every`.
async fn follow(reader: Weak<Embedded>, every: Duration) {
    let mut turns = interval(every);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        let Some(reader) = reader.upgrade() else {
            return;
        };
        reader.look().await;
    }
}

fn is_kept(name: &str) -> bool {
    let families = [Family::Samples, Family::Ttft, Family::Duration];
    let families = families
        .into_iter()
        .chain([Family::OutputTokens, Family::Cost]);
    let mut counted = families.map(|family| metric(family).name);
    let base = name.strip_suffix("_bucket").or(name.strip_suffix("_sum"));
    let others = [
        family::BREAKER_STATE.name,
        family::TARGET_UP.name,
        family::CONFIG_REVISION.name,
        PROCESS_START,
    ];
    others.contains(&name) || counted.any(|metric| metric == base.unwrap_or(name))
}

impl Ranges for Embedded {
    fn range<'a>(
        &'a self,
        select: &'a Select,
        window_ms: u64,
        at: Millis,
    ) -> Asked<'a, Vec<Series>> {
        let series = self.kept().range(select, at.saturating_sub(window_ms), at);
        async move { Ok(series) }.boxed()
    }
}

impl SampleReader for Embedded {
    fn now(&self) -> Asked<'_, Millis> {
        let now = self.time();
        async move { Ok(now) }.boxed()
    }

    fn horizon<'a>(&'a self, _: &'a Want) -> Asked<'a, Horizon> {
        let last = self.last();
        async move { last }.boxed()
    }

    fn counts<'a>(&'a self, want: &'a Want, after: Millis, upto: Horizon) -> Asked<'a, Raw> {
        counting::counts(self, want, after, upto).boxed()
    }

    fn scalar<'a>(&'a self, _: &'a str, _: Millis) -> BoxFuture<'a, Answered> {
        let error = "queries need a Prometheus: server.controlPlane.prometheus".to_owned();
        async move { Answered::Error(error) }.boxed()
    }

    fn takes_queries(&self) -> bool {
        false
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = shown(&self.url);
        f.debug_struct("Embedded")
            .field("url", &url)
            .field("every", &self.every)
            .finish_non_exhaustive()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn untold(trouble: Trouble, why: &str) -> Untold {
    Untold {
        trouble,
        why: why.to_owned(),
    }
}

#[cfg(test)]
mod tests;
