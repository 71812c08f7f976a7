//! What was counted → what is judged: the table of rollout.md 6. Pure.

use std::collections::BTreeMap;

use serin_proto::metric::Ending;

use super::{
    query::metric,
    raw::{Ended, Histogram, Raw},
    sample::{Arms, Counts, ERRORS, Measured, Millis, Moments, Opening, REJECTIONS, Window},
    tempering::ROUTERS_MAX,
    want::Family,
};
use crate::rollout::plan::{AnalysisPlan, Bounds, Distribution, Events, Literal, Test};

/// What a whole attempt's slowest are, for the warm-up.
const SLOWEST: f64 = 0.99;
/// Where quantiles of the lower half begin to ask for what lies below.
const LOWER_HALF: f64 = 0.5;
const MS_PER_S: f64 = 1_000.0;

/// Bucket bounds by metric: those of an [`Opening`].
pub type BoundsBy = BTreeMap<String, Vec<f64>>;

/// The histogram of a distribution.
#[must_use]
pub fn family(of: Distribution) -> Family {
    match of {
        Distribution::Ttft => Family::Ttft,
        Distribution::Duration => Family::Duration,
        Distribution::OutputTokens => Family::OutputTokens,
        Distribution::Cost => Family::Cost,
    }
}

/// The families that a plan's metrics are measured by, [`Family::Samples`] always.
#[must_use]
pub fn families(plan: &AnalysisPlan) -> Vec<Family> {
    let mut families = vec![Family::Samples];
    families.extend(plan.metrics.iter().filter_map(|metric| match metric.test {
        Test::Beyond { of, .. } | Test::Mean { of, .. } => Some(family(of)),
        Test::Literal {
            of: Literal::P99, ..
        } => Some(Family::Duration),
        Test::Events { .. } | Test::Literal { .. } | Test::Query { .. } => None,
    }));
    families.sort_unstable();
    families.dedup();
    families
}

/// One window, as far as the plan's metrics want it.
#[must_use]
pub fn measure(plan: &AnalysisPlan, raw: &Raw, bounds: &BoundsBy) -> Measured {
    let (mut counts, mut means) = (BTreeMap::new(), BTreeMap::new());
    counts.insert(ERRORS.to_owned(), vec![of_events(raw, Events::Errors)]);
    let rejections = of_events(raw, Events::Rejections);
    counts.insert(REJECTIONS.to_owned(), vec![rejections]);
    for metric in &plan.metrics {
        let name = metric.name.clone();
        match &metric.test {
            Test::Events { of, .. } => {
                counts.insert(name, vec![of_events(raw, *of)]);
            }
            Test::Literal {
                of: Literal::SuccessRate,
                ..
            } => {
                counts.insert(name, vec![of_events(raw, Events::Errors)]);
            }
            Test::Beyond { of, bounds: by, .. } => {
                let bounds = bounds.get(&name).map_or(&[][..], Vec::as_slice);
                counts.insert(name, beyond(raw, family(*of), by, bounds));
            }
            Test::Literal {
                of: Literal::P99, ..
            } => {
                let bounds = bounds.get(&name).map_or(&[][..], Vec::as_slice);
                let by = Bounds::Quantiles(Vec::new());
                counts.insert(name, beyond(raw, Family::Duration, &by, bounds));
            }
            Test::Mean { of, .. } => {
                means.insert(name, moments_of(raw, family(*of)));
            }
            Test::Query { .. } => {}
        }
    }
    Measured {
        from: raw.from,
        to: raw.to,
        counts,
        means,
        queries: BTreeMap::new(),
        ended: ended(raw),
        stable_by_router: stable_by_router(raw),
        gauges: raw.gauges,
        untold: raw.untold.clone(),
    }
}

/// What an exposure begins with: `recent` is the ten minutes before it, `hour` the time before those.
#[must_use]
pub fn opening(plan: &AnalysisPlan, now: Millis, recent: &Raw, hour: &Raw) -> Opening {
    let both = hour.clone().then(recent);
    let mut bounds = BoundsBy::new();
    for metric in &plan.metrics {
        let (of, by) = match &metric.test {
            Test::Beyond { of, bounds, .. } => (family(*of), bounds.clone()),
            Test::Literal {
                of: Literal::P99,
                max: Some(ms),
                ..
            } => (Family::Duration, Bounds::Fixed(ms / MS_PER_S)),
            _ => continue,
        };
        let seen = stable(recent, of).or_else(|| stable(&both, of));
        bounds.insert(metric.name.clone(), chosen(of, &by, seen));
    }
    let baseline = measure(plan, &both, &bounds).counts.into_iter();
    let of_stable = |windows: Vec<Window>| windows.into_iter().map(|w| w.stable).collect();
    Opening {
        now,
        bounds,
        stable_p99_ms: stable(recent, Family::Duration)
            .and_then(|durations| quantile(durations, SLOWEST))
            .map(milliseconds),
        baseline: baseline
            .map(|(name, windows)| (name, of_stable(windows)))
            .collect(),
    }
}

/// The stable arm's histogram, if it holds anything.
fn stable(raw: &Raw, family: Family) -> Option<&Histogram> {
    let arms = raw.histograms.get(&family)?;
    (arms.stable.count > 0).then_some(&arms.stable)
}

/// The bounds that a test looks at; none if the stable arm has nothing to go by.
fn chosen(family: Family, by: &Bounds, stable: Option<&Histogram>) -> Vec<f64> {
    match by {
        Bounds::Fixed(limit) => {
            let buckets = metric(family).buckets;
            let up = buckets.iter().find(|bound| *bound >= limit);
            up.or(buckets.last()).copied().into_iter().collect()
        }
        Bounds::Quantiles(quantiles) => {
            let Some(stable) = stable else {
                return Vec::new();
            };
            let bounds = quantiles.iter().map(|q| quantile(stable, *q));
            bounds.collect::<Option<_>>().unwrap_or_default()
        }
    }
}

/// The smallest bound at or above a quantile; of the lower half, the largest at or under it. The
/// last or the first where there is none.
fn quantile(histogram: &Histogram, q: f64) -> Option<f64> {
    let rank = q * number(histogram.count);
    let bounds = &histogram.below;
    let found = if q < LOWER_HALF {
        let under = bounds.iter().rfind(|(_, below)| number(*below) <= rank);
        under.or(bounds.first())
    } else {
        let above = bounds.iter().find(|(_, below)| number(*below) >= rank);
        above.or(bounds.last())
    };
    found.map(|(bound, _)| *bound)
}

/// Whether the events of the bound number `i` are those at or under it, not those above.
#[must_use]
pub fn is_below(by: &Bounds, i: usize) -> bool {
    match by {
        Bounds::Quantiles(quantiles) => quantiles.get(i).is_some_and(|q| *q < LOWER_HALF),
        Bounds::Fixed(_) => false,
    }
}

fn beyond(raw: &Raw, family: Family, by: &Bounds, bounds: &[f64]) -> Vec<Window> {
    let none = Arms::default();
    let arms = raw.histograms.get(&family).unwrap_or(&none);
    let count = |histogram: &Histogram, bound: f64, below: bool| {
        let Some(at_most) = histogram.at_most(bound) else {
            // A router whose histogram has other bounds: nothing is known about this one.
            return Counts::default();
        };
        let n = histogram.count;
        Counts {
            n,
            e: if below { at_most } else { n - at_most },
        }
    };
    let windows = bounds.iter().enumerate().map(|(i, bound)| Arms {
        canary: count(&arms.canary, *bound, is_below(by, i)),
        stable: count(&arms.stable, *bound, is_below(by, i)),
    });
    windows.collect()
}

/// Whether attempts that ended so are among the samples, and whether they are events.
fn counted(of: Events, ended: &Ended) -> (bool, bool) {
    let success = ended.outcome == Ending::Success.outcome();
    let left = ended.outcome == Ending::ClientGone.outcome();
    let error = ended.outcome == Ending::Http5xx.outcome();
    let rejected = error && ended.reason == Ending::Http4xx.reason();
    match of {
        Events::Errors => (success || (error && !rejected), error && !rejected),
        Events::Rejections => (success || error, rejected),
        Events::Abandoned => (success || error || left, left),
    }
}

fn add(counts: &mut Counts, of: Events, ended: &Ended) {
    let (sample, event) = counted(of, ended);
    counts.n += if sample { ended.by } else { 0 };
    counts.e += if event { ended.by } else { 0 };
}

fn of_events(raw: &Raw, of: Events) -> Window {
    let mut window = Window::default();
    for ended in &raw.samples {
        let arm = if ended.canary {
            &mut window.canary
        } else {
            &mut window.stable
        };
        add(arm, of, ended);
    }
    window
}

fn ended(raw: &Raw) -> Arms<u64> {
    let of = |canary| {
        let ended = raw.samples.iter().filter(|ended| ended.canary == canary);
        ended.map(|ended| ended.by).sum()
    };
    Arms {
        canary: of(true),
        stable: of(false),
    }
}

fn stable_by_router(raw: &Raw) -> Vec<(String, Counts)> {
    let mut by_router: BTreeMap<&str, Counts> = BTreeMap::new();
    for ended in raw.samples.iter().filter(|ended| !ended.canary) {
        add(
            by_router.entry(&ended.router).or_default(),
            Events::Errors,
            ended,
        );
    }
    let counted = by_router.into_iter().filter(|(_, counts)| counts.n > 0);
    // More than are looked at would only fill the state.
    counted
        .take(ROUTERS_MAX)
        .map(|(router, counts)| (router.to_owned(), counts))
        .collect()
}

fn moments_of(raw: &Raw, family: Family) -> Arms<Moments> {
    let none = Arms::default();
    let arms = raw.histograms.get(&family).unwrap_or(&none);
    Arms {
        canary: moments(&arms.canary),
        stable: moments(&arms.stable),
    }
}

/// Each count is taken at the edge of its bucket that is farther from the mean, so that
/// `squares / n - mean²` is never below the variance, also of windows that are added up.
fn moments(histogram: &Histogram) -> Moments {
    let n = histogram.count;
    if n == 0 {
        return Moments::default();
    }
    let mean = histogram.sum / number(n);
    let (mut lower, mut before, mut scatter, mut least) = (0.0, 0, 0.0, 0.0);
    for (bound, below) in &histogram.below {
        let inside = number(below.saturating_sub(before));
        scatter += inside * farther(mean, lower, *bound);
        least += inside * lower;
        (lower, before) = (*bound, before.max(*below));
    }
    let above = number(n.saturating_sub(before));
    if above > 0.0 {
        // Beyond the last bound at most what is left of the sum: worst if one has all of it.
        let most = histogram.sum - least - (above - 1.0) * lower;
        scatter += (above - 1.0) * (lower - mean).powi(2) + farther(mean, lower, most);
    }
    Moments {
        n,
        sum: histogram.sum,
        squares: scatter + mean * mean * number(n),
    }
}

/// The larger squared distance of two edges.
fn farther(mean: f64, lower: f64, upper: f64) -> f64 {
    (mean - lower).powi(2).max((upper - mean).powi(2))
}

fn milliseconds(seconds: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a bound of a histogram of durations"
    )]
    let ms = (seconds * MS_PER_S).round() as u64;
    ms
}

fn number(count: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
    let number = count as f64;
    number
}

#[cfg(test)]
mod tests;
