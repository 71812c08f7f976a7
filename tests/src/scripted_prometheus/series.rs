//! Series as a server keeps them: what one router exposes of one target, scrape after scrape.

use std::collections::VecDeque;

use serin_proto::exposition::canonical;
use serin_proto::metric::{Arm, Ending, Metric, Role, family};

use super::promql::Selector;
use super::traffic::{Gone, is_timeout};

/// Endings that are exposed. A router exposes all there are; these are those that scripts use.
const ENDINGS: [Ending; 9] = [
    Ending::Success,
    Ending::ClientGone,
    Ending::Connect,
    Ending::TimeoutFirstToken,
    Ending::TimeoutTotal,
    Ending::Http4xx,
    Ending::HttpAuth,
    Ending::Http5xx,
    Ending::DivertedOpen,
];
/// Durations, first contents, tokens, cost.
const HISTOGRAMS: [&Metric; 4] = [
    &family::UPSTREAM_DURATION,
    &family::UPSTREAM_TTFT,
    &family::OUTPUT_TOKENS,
    &family::REQUEST_COST,
];
const MS_PER_S: f64 = 1_000.0;

/// One series; its name is the label `__name__`.
#[derive(Clone, Debug, Default)]
pub(super) struct Series {
    pub(super) labels: Vec<(&'static str, String)>,
    /// Milliseconds and value, rising.
    pub(super) points: VecDeque<(u64, f64)>,
}

impl Series {
    pub(super) fn new(name: &str, instance: &str, labels: &[(&'static str, &str)]) -> Self {
        let all = [("__name__", name), ("instance", instance), ("job", "serin")];
        let all = all.iter().chain(labels);
        Self {
            labels: all.map(|(k, v)| (*k, (*v).to_owned())).collect(),
            points: VecDeque::new(),
        }
    }

    /// A sample; one that is not newer is refused, as a server does.
    pub(super) fn push(&mut self, at: u64, value: f64, kept: usize) {
        if self.points.back().is_some_and(|(last, _)| *last >= at) {
            return;
        }
        self.points.push_back((at, value));
        while self.points.len() > kept {
            self.points.pop_front();
        }
    }

    pub(super) fn is_meant(&self, selector: &Selector) -> bool {
        selector.matchers.iter().all(|matcher| {
            let mut labels = self.labels.iter();
            let found = labels.find(|(name, _)| *name == matcher.label);
            matcher.takes(found.map_or("", |(_, value)| value.as_str()))
        })
    }

    /// Samples in `(after, until]`.
    pub(super) fn between(&self, after: u64, until: u64) -> impl Iterator<Item = (u64, f64)> {
        let points = self.points.iter().copied();
        points.filter(move |(at, _)| *at > after && *at <= until)
    }
}

#[derive(Clone, Debug, Default)]
struct Histogram {
    counts: Vec<u64>,
    sum: f64,
}

impl Histogram {
    fn observe(&mut self, bounds: &[f64], value: f64) {
        self.counts.resize(bounds.len() + 1, 0);
        let at = bounds.iter().position(|bound| value <= *bound);
        self.counts[at.unwrap_or(bounds.len())] += 1;
        self.sum += value;
    }
}

/// What of a slot was counted since its last scrape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub success: u64,
    /// All but the callers' own faults.
    pub error: u64,
    pub rejected: u64,
    pub left: u64,
}

impl Tally {
    pub fn add(&mut self, more: Self) {
        self.success += more.success;
        self.error += more.error;
        self.rejected += more.rejected;
        self.left += more.left;
    }

    /// Samples and failures of the metric `errors`.
    pub fn errors(&self) -> (u64, u64) {
        (self.success + self.error, self.error)
    }
}

/// One router's counters of one target in one arm.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) router: usize,
    pub(super) target: String,
    pub(super) is_canary: bool,
    endings: [u64; ENDINGS.len()],
    histograms: [Histogram; HISTOGRAMS.len()],
    pub(super) series: Vec<Series>,
    pub(super) unscraped: Tally,
}

impl Slot {
    pub(super) fn new(place: (usize, &str), of: (&str, &str), is_canary: bool) -> Self {
        let ((router, instance), (route, target)) = (place, of);
        let arm = if is_canary { Arm::Canary } else { Arm::Stable };
        let of_endings = ENDINGS.iter().map(|ending| {
            let labels = [
                ("route", route),
                ("target", target),
                ("arm", arm.as_str()),
                ("role", Role::First.as_str()),
                ("outcome", ending.outcome()),
                ("reason", ending.reason()),
            ];
            Series::new(family::ANALYSIS_SAMPLES.name, instance, &labels)
        });
        Self {
            router,
            target: target.to_owned(),
            is_canary,
            endings: [0; ENDINGS.len()],
            histograms: Default::default(),
            series: of_endings.collect(),
            unscraped: Tally::default(),
        }
    }

    /// Exposes the histograms as well.
    pub(super) fn with_histograms(mut self) -> Self {
        let own = self.series[0].labels.clone();
        let of = |metric: &Metric| {
            let kept = own.iter().filter(|(name, _)| {
                metric.labels.contains(name) || *name == "instance" || *name == "job"
            });
            kept.cloned().collect::<Vec<_>>()
        };
        let series = |name: String, mut labels: Vec<(&'static str, String)>| {
            labels.push(("__name__", name));
            let points = VecDeque::new();
            Series { labels, points }
        };
        for metric in HISTOGRAMS {
            let bounds = metric.buckets.iter().map(|bound| canonical(*bound));
            for bound in bounds.chain(["+Inf".to_owned()]) {
                let mut labels = of(metric);
                labels.push(("le", bound));
                self.series
                    .push(series(format!("{}_bucket", metric.name), labels));
            }
            for end in ["_sum", "_count"] {
                let name = format!("{}{end}", metric.name);
                self.series.push(series(name, of(metric)));
            }
        }
        self
    }

    /// Counts an attempt that ended.
    ///
    /// # Panics
    /// For an ending that is not exposed: it would be lost unseen.
    pub(super) fn count(&mut self, gone: &Gone) {
        let at = ENDINGS.iter().position(|ending| *ending == gone.ending);
        self.endings[at.expect("a script uses exposed endings")] += 1;
        match gone.ending {
            Ending::Success => self.unscraped.success += 1,
            Ending::ClientGone => self.unscraped.left += 1,
            Ending::Http4xx => self.unscraped.rejected += 1,
            _ => self.unscraped.error += 1,
        }
        let is_success = gone.ending == Ending::Success;
        if is_success || is_timeout(gone.ending) {
            self.observe(0, gone.took_ms / MS_PER_S);
        }
        if is_success || gone.ending == Ending::TimeoutFirstToken {
            self.observe(1, gone.first_ms / MS_PER_S);
        }
        if is_success {
            self.observe(2, gone.tokens);
            self.observe(3, gone.usd);
        }
    }

    fn observe(&mut self, of: usize, value: f64) {
        self.histograms[of].observe(HISTOGRAMS[of].buckets, value);
    }

    /// The process began anew: everything is 0, what was not scraped is lost.
    pub(super) fn reset(&mut self) {
        self.endings = [0; ENDINGS.len()];
        self.histograms = Default::default();
        self.unscraped = Tally::default();
    }

    /// Writes the counters down and says what was new in them.
    pub(super) fn scrape(&mut self, at: u64, kept: usize) -> Tally {
        let mut values: Vec<f64> = self.endings.iter().map(|n| *n as f64).collect();
        let exposed = if self.series.len() > ENDINGS.len() {
            HISTOGRAMS.len()
        } else {
            0
        };
        for (histogram, metric) in self.histograms.iter().zip(HISTOGRAMS).take(exposed) {
            let mut below = 0;
            for n in 0..=metric.buckets.len() {
                below += histogram.counts.get(n).copied().unwrap_or(0);
                values.push(below as f64);
            }
            values.extend([histogram.sum, below as f64]);
        }
        for (series, value) in self.series.iter_mut().zip(values) {
            series.push(at, value, kept);
        }
        std::mem::take(&mut self.unscraped)
    }
}
