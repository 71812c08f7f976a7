//! Measured windows and a plan → a verdict with its evidence. Pure.
//!
//! ```text
//!   window ─▶ gauges ─▶ counts since the exposure began ─▶ evidence ─▶ verdict
//!             always    unless they may be wrong           if judged
//! ```
//! A window of a warm-up is consumed and not judged. A window that lacks a router (`partial`) was
//! really counted: it goes to the guards and to the evidence of harm, whose increments do not depend
//! on what the missing router would have said, but not to sample sizes nor to the certificate, which
//! absent failures would flatter; the verdict is `error`. Of any other untold window only the gauges
//! are looked at.

use serde::{Deserialize, Serialize};
use serin_proto::unit::Share;

use super::{
    cause::any_reason,
    check::{self, Check},
    evidence::{Analysis, BoundEvidence, Tested, add, tolerance, total},
    guard,
    sample::{ERRORS, Measured, Millis, Opening, REJECTIONS, Trouble, Window},
    verdict::Verdict,
    why,
};
use crate::rollout::plan::{AnalysisPlan, Events, MetricPlan, Mode, Null, Test};

/// Where the rollout stands, as far as a verdict depends on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stand {
    /// The candidate's share during the window.
    pub share: Share,
    /// Windows of a warm-up are consumed and not judged; guards look at them all the same.
    pub warming: bool,
    /// Canary and stable samples of this exposure that a pass needs; 0 while baking.
    pub min_samples: u64,
    /// A pass needs the certificate.
    pub certificate: bool,
}

/// What a window came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Judged {
    pub verdict: Verdict,
    /// For people: `errors has 164 of 300 canary samples`.
    pub why: String,
    /// A hard guard that fired, whatever `onFail` says.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub guard: Option<Guard>,
    /// The metric of mode `pauseOnly` that has passed its limit. The verdict is what it is without it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pause: Option<String>,
    /// No canary samples where there should be some (`onNoData`).
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub no_data: bool,
    /// Checks (custom queries, `judge: threshold`) that failed in this window, by metric, observed
    /// ones left out: to be counted per step, against `failureLimit` and `threshold`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub failed_checks: Vec<String>,
}

/// A rule that needs no significance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    BreakerOpen,
    FailFast,
    Absolute,
    Webhook,
    DefinitionChanged,
}

/// How far a window's counts are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    Whole,
    /// Really counted, but not everywhere.
    Seen,
    No,
}

impl Trust {
    fn of(measured: &Measured) -> Self {
        match measured.untold.as_ref().map(|untold| untold.trouble) {
            None => Self::Whole,
            Some(Trouble::Partial) => Self::Seen,
            Some(_) => Self::No,
        }
    }
}

/// Begins an exposure: fresh components, bounds, counts, tempering. The first of a rollout also
/// seeds the smoothed rates.
pub fn open(plan: &AnalysisPlan, exposures: usize, analysis: &mut Analysis, opening: &Opening) {
    analysis.open(plan, exposures, opening);
}

/// Takes one window in. `elapsed_ms` is the leader's time since the last one: for how long a
/// breaker has been open.
pub fn judge(
    plan: &AnalysisPlan,
    stand: Stand,
    analysis: &mut Analysis,
    measured: &Measured,
    elapsed_ms: u64,
) -> Judged {
    let trust = Trust::of(measured);
    analysis.guards.see(measured.gauges, elapsed_ms);
    if trust != Trust::No && stand.share > Share::NONE {
        let any = any_reason(first(measured, ERRORS), first(measured, REJECTIONS));
        analysis.guards.count(any);
        analysis.arrivals.observe(measured.ended, stand.share);
    }
    let is_judged = !stand.warming && stand.share > Share::NONE;
    let mut failed_checks = Vec::new();
    if is_judged {
        take_counts(plan, stand, analysis, measured);
        failed_checks = take_checks(plan, analysis, measured);
    }
    if trust != Trust::No {
        disperse(plan, analysis, measured);
    }
    let mut judged = verdict(plan, stand, analysis, measured);
    judged.failed_checks = failed_checks;
    judged
}

/// A metric is defined otherwise from now on: all evidence of it is dropped, and begins anew with the
/// next window, which is counted then.
pub fn forget(analysis: &mut Analysis, metric: &str) {
    analysis.forget(metric);
}

/// Whether the canary's answers have caught up with its share since the exposure began: the second
/// condition of the end of a warm-up (the first is its duration).
#[must_use]
pub fn settled(analysis: &Analysis) -> bool {
    analysis.arrivals.settled
}

/// Custom queries to be asked with the window that ends at `at`, by their place in the plan.
#[must_use]
pub fn due(plan: &AnalysisPlan, analysis: &Analysis, at: Millis) -> Vec<usize> {
    let metrics = plan.metrics.iter().enumerate();
    let due = metrics.filter(|(_, metric)| match metric.test {
        Test::Query { interval_ms, .. } => {
            let asked = analysis.checks.get(&metric.name);
            asked.is_none_or(|check| {
                // What could not be asked is asked again at once.
                matches!(check.said, check::Said::Error(_))
                    || at.saturating_sub(check.at) >= interval_ms
            })
        }
        _ => false,
    });
    due.map(|(place, _)| place).collect()
}

fn first(measured: &Measured, metric: &str) -> Window {
    let windows = measured.counts.get(metric);
    windows
        .and_then(|windows| windows.first())
        .copied()
        .unwrap_or_default()
}

fn take_counts(
    plan: &AnalysisPlan,
    stand: Stand,
    analysis: &mut Analysis,
    measured: &Measured,
) -> Option<()> {
    let trust = Trust::of(measured);
    if trust == Trust::No {
        return None;
    }
    analysis.adopt_now(plan);
    let ms = measured.to.saturating_sub(measured.from);
    let is_alone = stand.share == Share::ALL;
    for metric in &plan.metrics {
        let Some(tested) = analysis.metrics.get_mut(&metric.name) else {
            continue;
        };
        if let (Some(mean), Some(window)) = (&mut tested.mean, measured.means.get(&metric.name))
            && !is_alone
        {
            mean.observe(window);
        }
        let taken = Taken {
            windows: measured.counts.get(&metric.name).map_or(&[], |w| &w[..]),
            ms,
            is_whole: trust == Trust::Whole,
            is_alone,
        };
        taken.enter(metric, tested);
    }
    let errors = first(measured, ERRORS);
    analysis.cause.observe(errors.stable, ms);
    if trust == Trust::Whole {
        analysis.judged_ms = analysis.judged_ms.saturating_add(ms);
        add(&mut analysis.judged, errors);
        analysis.sample_ratio.observe(measured.ended, stand.share);
    }
    Some(())
}

/// One metric's part of a window.
struct Taken<'a> {
    windows: &'a [Window],
    ms: u64,
    is_whole: bool,
    /// No control is left.
    is_alone: bool,
}

impl Taken<'_> {
    fn enter(&self, metric: &MetricPlan, tested: &mut Tested) {
        let (Test::Events { null, .. } | Test::Beyond { null, .. }) = metric.test else {
            return;
        };
        let tolerance = tolerance(&metric.test);
        let Tested { bounds, limit, .. } = tested;
        if let (Some(limit), Some(bound), Some(window), Test::Events { max: Some(max), .. }) =
            (limit, bounds.first(), self.windows.first(), &metric.test)
        {
            let null = Null {
                ratio: 0.0,
                margin: *max,
            };
            limit.observe(*window, null, 0.5, bound.dispersion.eta());
        }
        for (bound, &window) in bounds.iter_mut().zip(self.windows) {
            self.enter_bound(bound, window, null, tolerance);
        }
    }

    /// What is known of the stable arm moves after the evidence, never before.
    fn enter_bound(
        &self,
        bound: &mut BoundEvidence,
        window: Window,
        null: Null,
        tolerance: Option<f64>,
    ) {
        let eta = bound.dispersion.eta();
        let theta = match bound.theta_b.rate() {
            Some(theta) if null.ratio <= 0.0 || !self.is_alone => Some(theta),
            // An absolute limit needs no control.
            _ => (null.ratio <= 0.0).then_some(0.5),
        };
        if let Some(theta) = theta {
            bound.harm.observe(window, null, theta, eta);
            if let Some(margin) = tolerance.filter(|_| self.is_whole) {
                let line = Null { margin, ..null };
                bound.certificate.observe(window, line, theta, eta);
            }
        }
        add(&mut bound.counts, window);
        bound.seen = bound.seen.saturating_add(window.canary.n);
        bound.theta_b.observe(window.stable, self.ms);
    }
}

/// How the stable arm's failures come together, after the evidence: for the windows to come. Windows of
/// a warm-up tell it as well.
fn disperse(plan: &AnalysisPlan, analysis: &mut Analysis, measured: &Measured) {
    for metric in &plan.metrics {
        let windows = measured.counts.get(&metric.name);
        let (Some(windows), Some(tested)) = (windows, analysis.metrics.get_mut(&metric.name))
        else {
            continue;
        };
        let of_errors = Events::Errors;
        let is_errors = matches!(metric.test, Test::Events { of, .. } if of == of_errors);
        let routers = &measured.stable_by_router;
        for (bound, window) in tested.bounds.iter_mut().zip(windows) {
            if !is_errors || routers.is_empty() {
                bound.dispersion.observe("", window.stable);
                continue;
            }
            for (router, counts) in routers {
                bound.dispersion.observe(router, *counts);
            }
        }
    }
}

fn take_checks(plan: &AnalysisPlan, analysis: &mut Analysis, measured: &Measured) -> Vec<String> {
    let mut failed = Vec::new();
    for metric in &plan.metrics {
        let said = match metric.test {
            Test::Query { min, max, .. } => {
                let answer = measured.queries.get(&metric.name);
                answer.map(|answer| check::of_query(answer, min, max))
            }
            Test::Literal { of, min, max } if Trust::of(measured) == Trust::Whole => {
                let window = measured.counts.get(&metric.name).and_then(|w| w.first());
                window.map(|window| check::of_counts(of, window.canary, min, max))
            }
            _ => None,
        };
        let Some(said) = said else {
            continue;
        };
        if matches!(said, check::Said::Failed(_)) && metric.mode != Mode::Observe {
            failed.push(metric.name.clone());
        }
        let at = measured.to;
        let checks = &mut analysis.checks;
        checks.insert(metric.name.clone(), Check { at, said });
    }
    failed
}

/// From the worst to the best: what holds decides.
fn verdict(plan: &AnalysisPlan, stand: Stand, analysis: &Analysis, measured: &Measured) -> Judged {
    let guard = guard::fired(plan, stand, analysis);
    let limit = -analysis.alpha_or(plan).ln();
    let pause = why::pause(plan, analysis);
    let absent = analysis.arrivals.absent();
    let (verdict, why) = if let Some((_, why)) = &guard {
        (Verdict::Fail, why.clone())
    } else if total(analysis, plan) >= limit {
        (Verdict::Fail, why::worse(plan, analysis))
    } else if let Some(why) = why::error(plan, analysis, measured) {
        (Verdict::Error, why)
    } else if stand.share == Share::NONE {
        let why = "the candidate has no share".to_owned();
        (Verdict::Inconclusive, why)
    } else if stand.warming {
        let why = "warming up: counts are not judged yet".to_owned();
        (Verdict::Inconclusive, why)
    } else if let Some(due) = absent {
        let why = format!("no canary traffic: none of {due:.0} requests that were due has come");
        (Verdict::Inconclusive, why)
    } else if let Some(why) = why::inconclusive(plan, stand, analysis) {
        (Verdict::Inconclusive, why)
    } else if let Some((_, why)) = &pause {
        (Verdict::Pass, why.clone())
    } else {
        (Verdict::Pass, why::not_worse(plan, analysis))
    };
    Judged {
        verdict,
        why,
        guard: guard.map(|(guard, _)| guard),
        pause: pause.map(|(metric, _)| metric),
        no_data: absent.is_some(),
        failed_checks: Vec::new(),
    }
}

#[cfg(test)]
pub(super) mod tests;
