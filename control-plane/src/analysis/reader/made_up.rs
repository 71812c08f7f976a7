//! A source for tests: series made by hand, at a time of their own.

use futures_util::{FutureExt as _, future::BoxFuture};

use super::{
    Asked, Horizon, SampleReader, Want,
    counting::{self, Ranges},
};
use crate::analysis::{
    query::Select,
    raw::Raw,
    sample::{Answered, Millis, Untold},
    series::Series,
};

#[derive(Debug, Default)]
pub(crate) struct MadeUp {
    pub(crate) now: Millis,
    pub(crate) behind: u64,
    pub(crate) scrape_ms: u64,
    pub(crate) series: Vec<Series>,
    pub(crate) answers: Vec<(String, Answered)>,
    pub(crate) away: Option<Untold>,
}

impl MadeUp {
    /// Adds a series: `name{a="b"}` and samples.
    pub(crate) fn add(&mut self, text: &str, samples: &[(Millis, f64)]) {
        let (name, labels) = text.trim_end_matches('}').split_once('{').unwrap();
        let pairs = labels.split(',').map(|pair| pair.split_once('=').unwrap());
        self.series.push(Series {
            name: name.to_owned(),
            labels: pairs
                .map(|(k, v)| (k.to_owned(), v.trim_matches('"').to_owned()))
                .collect(),
            samples: samples.to_vec(),
        });
    }

    pub(crate) fn upto(&self) -> Horizon {
        Horizon {
            until: self.now - self.behind,
            scrape_ms: self.scrape_ms,
        }
    }

    fn told<T: Send + 'static>(&self, told: T) -> Asked<'_, T> {
        let told = self.away.clone().map_or(Ok(told), Err);
        async move { told }.boxed()
    }
}

impl Ranges for MadeUp {
    fn range<'a>(
        &'a self,
        select: &'a Select,
        window_ms: u64,
        at: Millis,
    ) -> Asked<'a, Vec<Series>> {
        assert!(at <= self.now, "asked for the future");
        let wanted = self
            .series
            .iter()
            .filter(|one| select.takes(&one.name, &one.labels));
        let within = |one: &Series| {
            let mut one = one.clone();
            one.samples.retain(|(t, _)| *t <= at && *t + window_ms > at);
            one
        };
        let some = wanted.map(within).filter(|one| !one.samples.is_empty());
        self.told(some.collect())
    }
}

impl SampleReader for MadeUp {
    fn now(&self) -> Asked<'_, Millis> {
        self.told(self.now)
    }

    fn horizon<'a>(&'a self, _: &'a Want) -> Asked<'a, Horizon> {
        self.told(self.upto())
    }

    fn counts<'a>(&'a self, want: &'a Want, after: Millis, upto: Horizon) -> Asked<'a, Raw> {
        counting::counts(self, want, after, upto).boxed()
    }

    fn scalar<'a>(&'a self, promql: &'a str, _: Millis) -> BoxFuture<'a, Answered> {
        let known = self.answers.iter().find(|(text, _)| text == promql);
        let answer = known.map_or(Answered::Nothing, |(_, answer)| answer.clone());
        async move { answer }.boxed()
    }

    fn takes_queries(&self) -> bool {
        true
    }
}
