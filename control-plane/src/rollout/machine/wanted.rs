//! What the next tick needs to be told. Pure.

use std::collections::BTreeSet;

use super::exposure;
use crate::{
    analysis::{
        judge,
        query::{Variables, render},
        want::Family,
    },
    rollout::{
        plan::{Distribution, Literal, Plan, Test},
        state::{PauseReason, Phase, State, Sub},
    },
};

/// What is to be read before the next tick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    Nothing,
    /// Series and queries, once each (Pending); gauges (Preflight).
    Check,
    /// Time, bounds, baseline: once all live routers have acknowledged.
    Opening(Vec<Family>),
    /// Counts after the cursor, and the queries that are due.
    Window {
        families: Vec<Family>,
        /// Metric name and the query with its variables filled in.
        queries: Vec<(String, String)>,
    },
}

/// What the next tick needs.
#[must_use]
pub fn wanted(state: &State, all_acked: bool) -> Wanted {
    let Ok(plan) = Plan::of(state) else {
        return Wanted::Nothing;
    };
    match state.phase {
        Phase::Pending | Phase::Preflight => return Wanted::Check,
        Phase::WaitingRollout => return Wanted::Nothing,
        phase if phase.is_terminal() => return Wanted::Nothing,
        _ => {}
    }
    if state.share <= 0.0 {
        let unread = [PauseReason::Blind, PauseReason::MetricsUnavailable];
        let waits = unread
            .iter()
            .any(|reason| state.pause_reasons.contains(reason));
        return if waits {
            Wanted::Check
        } else {
            Wanted::Nothing
        };
    }
    let is_applying = exposure::sub(exposure::here(state)) == Some(Sub::Applying);
    if is_applying && all_acked {
        return Wanted::Opening(families(&plan));
    }
    // Until the first exposure begins there is nothing to count from.
    if state.cursor_ms == 0 {
        return Wanted::Nothing;
    }
    // A tick early rather than a tick late: the window that comes ends after the cursor.
    let next_ms = state.cursor_ms.saturating_add(plan.analysis.interval_ms);
    let due = judge::due(&plan.analysis, &state.analysis, next_ms);
    Wanted::Window {
        families: families(&plan),
        queries: of_places(state, &plan, due),
    }
}

/// All queries of the plan with their variables filled in, for Pending and for dry runs.
#[must_use]
pub fn queries(state: &State) -> Vec<(String, String)> {
    Plan::of(state).map_or_else(
        |_| Vec::new(),
        |plan| of_places(state, &plan, 0..plan.analysis.metrics.len()),
    )
}

fn families(plan: &Plan) -> Vec<Family> {
    let of = |distribution| match distribution {
        Distribution::Ttft => Family::Ttft,
        Distribution::Duration => Family::Duration,
        Distribution::OutputTokens => Family::OutputTokens,
        Distribution::Cost => Family::Cost,
    };
    let mut families = BTreeSet::from([Family::Samples]);
    families.extend(
        plan.analysis
            .metrics
            .iter()
            .filter_map(|metric| match metric.test {
                Test::Beyond { of: what, .. } | Test::Mean { of: what, .. } => Some(of(what)),
                Test::Literal {
                    of: Literal::P99, ..
                } => Some(Family::Duration),
                Test::Events { .. } | Test::Literal { .. } | Test::Query { .. } => None,
            }),
    );
    families.into_iter().collect()
}

fn of_places(
    state: &State,
    plan: &Plan,
    places: impl IntoIterator<Item = usize>,
) -> Vec<(String, String)> {
    let metrics = places
        .into_iter()
        .filter_map(|place| plan.analysis.metrics.get(place));
    metrics
        .filter_map(|metric| match &metric.test {
            Test::Query {
                promql,
                interval_ms,
                ..
            } => Some((
                metric.name.clone(),
                filled(promql, *interval_ms, state, plan),
            )),
            _ => None,
        })
        .collect()
}

/// Validation has seen to it that each name is known; what it has not, the source refuses.
fn filled(template: &str, interval_ms: u64, state: &State, plan: &Plan) -> String {
    let weights = state.base_weights.iter();
    let weighted = weights.filter(|(_, weight)| **weight > 0.0);
    let stable: Vec<&str> = weighted.map(|(name, _)| name.as_str()).collect();
    let variables = Variables {
        route: &state.route,
        candidate: &state.candidate.target,
        stable: &stable,
        interval_ms,
        rollout: &state.rollout_id,
        own: &plan.analysis.variables,
    };
    render(template, &variables).unwrap_or_else(|_| template.to_owned())
}
