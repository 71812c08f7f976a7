//! The same rollouts in Flagger's words.

use std::{borrow::Cow, time::Duration};

use serin_proto::{
    exposition::{Family, Value},
    metric::control_plane::{
        flagger::{
            ANALYSIS, CANARIES, DURATION, FAILURES, METRIC_ANALYSIS, NAMESPACE, STATUS, STRATEGY,
            SUCCESSES, WEIGHT,
        },
        rollout::{Completed, LONG_DURATIONS},
    },
};

use super::{
    super::{
        series::Times,
        text::{Series, family},
    },
    Rollouts, Route, add,
    rows::Row,
    shown::Shown,
};
use crate::rollout::state::Phase;

/// What is counted of one route.
#[derive(Debug)]
pub(super) struct Counted {
    /// By [`ANALYSIS`].
    successes: [u64; ANALYSIS.len()],
    failures: [u64; ANALYSIS.len()],
    lasted: Times<()>,
}

impl Default for Counted {
    fn default() -> Self {
        let lasted = Times::new(&LONG_DURATIONS);
        lasted.know(());
        Self {
            successes: [0; 2],
            failures: [0; 2],
            lasted,
        }
    }
}

impl Counted {
    /// `shown` is how it ended, or what took its place.
    pub(super) fn ended(&mut self, result: Completed, lasted: Option<Duration>, shown: &Shown) {
        let status = ANALYSIS[usize::from(shown.manual && result == Completed::Succeeded)];
        let counts = match result {
            Completed::Succeeded => &mut self.successes,
            // Flagger knows no way back from a success.
            Completed::Undone => return,
            Completed::Failed | Completed::Aborted | Completed::Superseded => &mut self.failures,
        };
        add(counts, &ANALYSIS, status);
        if let Some(lasted) = lasted {
            self.lasted.observe((), lasted);
        }
    }
}

impl Rollouts {
    /// All of Flagger's families.
    pub(super) fn as_flagger(&self) -> Vec<Family<'static>> {
        let (mut status, mut weight, mut analysis) = (Vec::new(), Vec::new(), Vec::new());
        let (mut duration, mut successes, mut failures) = (Vec::new(), Vec::new(), Vec::new());
        let routes = self.lock();
        for (name, route) in routes.iter() {
            let Some(shown) = &route.shown else { continue };
            status.push((named(name), Value::Number(result(shown.phase))));
            weight.extend(weights(name, shown));
            analysis.extend(shown.evidence.rows.iter().filter_map(|row| last(name, row)));
            duration.extend(lasted(name, route));
            successes.extend(by_analysis(name, route.counted.flagger.successes));
            failures.extend(by_analysis(name, route.counted.flagger.failures));
        }
        let canaries = vec![(vec![NAMESPACE.into()], Value::Number(routes.len() as f64))];
        vec![
            family(&STATUS, status),
            family(&WEIGHT, weight),
            family(&METRIC_ANALYSIS, analysis),
            family(&DURATION, duration),
            family(&CANARIES, canaries),
            family(&SUCCESSES, successes),
            family(&FAILURES, failures),
        ]
    }
}

/// 0 in all phases that are no end, and for a rollout that ended well, 1, badly, 2.
fn result(phase: Phase) -> f64 {
    match phase {
        Phase::Succeeded => 1.0,
        Phase::Failed | Phase::Aborted | Phase::Superseded => 2.0,
        _ => 0.0,
    }
}

/// A canary is called as its route, what it is compared with `<route>-primary`.
fn weights(name: &str, shown: &Shown) -> [Series<'static>; 2] {
    let percent = f64::from(shown.share.hundredths()) / 100.0;
    let primary: Vec<Cow<'static, str>> = vec![format!("{name}-primary").into(), NAMESPACE.into()];
    [
        (named(name), Value::Number(percent)),
        (primary, Value::Number(100.0 - percent)),
    ]
}

/// The success rate in percent where it is asked for in Flagger's words; else the candidate's rate, or
/// what a query said.
fn last(name: &str, row: &Row) -> Option<Series<'static>> {
    let value = match (row.rate.canary, row.metric.as_str()) {
        (Some(rate), "request-success-rate") => 100.0 * (1.0 - rate),
        (Some(rate), _) => rate,
        (None, _) => row.said?,
    };
    let mut labels = named(name);
    labels.push(row.metric.clone().into());
    Some((labels, Value::Number(value)))
}

fn lasted(name: &str, route: &Route) -> Option<Series<'static>> {
    let values = route.counted.flagger.lasted.values();
    let ((), value) = values.into_iter().next()?;
    Some((named(name), value))
}

fn by_analysis(name: &str, counts: [u64; 2]) -> Vec<Series<'static>> {
    let by = ANALYSIS.iter().zip(counts).map(|(status, count)| {
        let mut labels = named(name);
        labels.extend([STRATEGY.into(), (*status).into()]);
        (labels, Value::Count(count))
    });
    by.collect()
}

fn named(name: &str) -> Vec<Cow<'static, str>> {
    vec![name.to_owned().into(), NAMESPACE.into()]
}
