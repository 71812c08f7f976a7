//! Hard guards: what is so plain that it needs no significance. They look on in every active phase,
//! while warming and paused too, and at windows that cannot be trusted as far as those go. Pure.

use serde::{Deserialize, Serialize};
use serin_proto::unit::Share;

use super::{
    evidence::{Analysis, add},
    judge::{Guard, Stand},
    sample::{Gauges, Window},
    why::percent,
};
use crate::rollout::plan::{AnalysisPlan, Guards, Mode, Test};

/// A control that fails as often itself proves nothing against the candidate.
const STABLE_MAX: f64 = 0.4;
/// Above, the stable arm cannot tell how many requests the canary should have had.
const FAIL_FAST_SHARE_MAX: u16 = 5_000;
/// What the absolute limit adds to α.
const ABSOLUTE_ALPHA: f64 = 0.001;
const ABSOLUTE_SAMPLES_MIN: u64 = 50;

/// What guards have seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Watched {
    /// For how long the breaker has been open on half of the routers; `None`: it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breaker_open_ms: Option<u64>,
    /// Open on so many of so many at the newest window.
    pub gauges: Gauges,
    /// Errors of any reason since the exposure began, warm-up included.
    pub since: Window,
}

impl Watched {
    pub(super) fn open(&mut self) {
        self.since = Window::default();
    }

    pub(super) fn see(&mut self, gauges: Gauges, elapsed_ms: u64) {
        let is_open = gauges.breaker_open > 0
            && u64::from(gauges.breaker_open) * 2 >= u64::from(gauges.routers());
        self.gauges = gauges;
        // When it opened is not known: it counts from when it was seen.
        self.breaker_open_ms = is_open.then(|| {
            let before = self.breaker_open_ms.map(|ms| ms.saturating_add(elapsed_ms));
            before.unwrap_or(0)
        });
    }

    pub(super) fn count(&mut self, any_reason: Window) {
        add(&mut self.since, any_reason);
    }

    fn breaker(&self, guards: &Guards) -> Option<String> {
        let open_ms = self.breaker_open_ms?;
        let (open, routers) = (self.gauges.breaker_open, self.gauges.routers());
        (open_ms >= guards.breaker_open_ms)
            .then(|| format!("the candidate's breaker is open on {open} of {routers} routers"))
    }

    /// Canary requests since the exposure began, as many as the stable arm says have arrived: the
    /// failures of a canary that answers slowly come first. Arrivals are chance, so it is less by one
    /// standard deviation: else a canary that lost everything would stay whenever few had come.
    fn arrived(&self, share: Share) -> f64 {
        let s = share.as_ratio();
        let by_stable = self.since.stable.n as f64 * s / (1.0 - s);
        (by_stable - by_stable.sqrt()).max(self.since.canary.n as f64)
    }

    /// Failed part of the canary's requests since the exposure began, as fail-fast counts it;
    /// `None` before enough have arrived, or above a share of 50 %.
    #[must_use]
    pub fn failing(&self, guards: &Guards, share: Share) -> Option<f64> {
        if share == Share::NONE || share.hundredths() > FAIL_FAST_SHARE_MAX {
            return None;
        }
        let arrived = self.arrived(share);
        let is_enough = arrived > 0.0 && arrived >= guards.fail_fast_samples as f64;
        is_enough.then(|| self.since.canary.e as f64 / arrived)
    }

    fn fail_fast(&self, guards: &Guards, share: Share) -> Option<String> {
        let failing = self.failing(guards, share)?;
        let stable = self.since.stable;
        let is_shared = stable.e as f64 > STABLE_MAX * stable.n as f64;
        (failing >= guards.fail_fast_ratio && !is_shared).then(|| {
            let (e, part) = (self.since.canary.e, percent(failing));
            format!("{e} canary requests failed at once: {part} of those that arrived")
        })
    }
}

/// The guard that fires, and why.
#[must_use]
pub fn fired(plan: &AnalysisPlan, stand: Stand, analysis: &Analysis) -> Option<(Guard, String)> {
    let watched = &analysis.guards;
    if let Some(why) = watched.breaker(&plan.guards) {
        return Some((Guard::BreakerOpen, why));
    }
    if let Some(why) = watched.fail_fast(&plan.guards, stand.share) {
        return Some((Guard::FailFast, why));
    }
    if stand.warming {
        return None;
    }
    let enforced = plan.metrics.iter().filter(|m| m.mode == Mode::Enforce);
    let passed = enforced.filter_map(|metric| {
        let Test::Events { max: Some(max), .. } = metric.test else {
            return None;
        };
        let tested = analysis.metrics.get(&metric.name)?;
        let (limit, bound) = (tested.limit.as_ref()?, tested.bounds.first()?);
        let is_passed = bound.seen >= ABSOLUTE_SAMPLES_MIN
            && limit.log_value(analysis.components) >= -ABSOLUTE_ALPHA.ln();
        is_passed.then(|| {
            let (name, max) = (&metric.name, percent(max));
            format!("{name} of the canary is above its absolute limit of {max}")
        })
    });
    let mut passed = passed;
    passed.next().map(|why| (Guard::Absolute, why))
}
