//! What `/snapshot` shows: what is served now, and how each target stands. No secrets: keys are
//! not here at all, providers by name only.

use serde::Serialize;
use serin_proto::{
    fleet::{Hold, RejectedDocument, Source},
    metric::BreakerState,
};

use super::{Snapshot, Standing};
use crate::route::{Route, Target};

/// The document behind `/snapshot`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct View<'a> {
    revision: u64,
    /// Where the documents were read.
    source: Source,
    /// Why nothing is applied, if nothing is.
    hold: Option<Hold>,
    rejected_count: u64,
    /// The first of them.
    rejected: &'a [RejectedDocument],
    routes: Vec<RouteView<'a>>,
}

#[derive(Debug, Serialize)]
struct RouteView<'a> {
    name: &'a str,
    targets: Vec<TargetView<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TargetView<'a> {
    name: &'a str,
    provider: &'a str,
    model: &'a str,
    breaker: &'static str,
    /// Percent of the route's traffic it gets now; 0 while its breaker is not closed.
    effective_weight: f64,
    in_flight: u32,
}

impl<'a> View<'a> {
    pub(crate) fn of(snapshot: &'a Snapshot, standing: &'a Standing) -> Self {
        let routes = snapshot.routes.routes().iter();
        Self {
            revision: snapshot.edition.revision.0,
            source: standing.source,
            hold: standing.hold,
            rejected_count: standing.rejected.count,
            rejected: &standing.rejected.listed,
            routes: routes.map(|route| RouteView::of(route)).collect(),
        }
    }
}

impl<'a> RouteView<'a> {
    fn of(route: &'a Route) -> Self {
        Self {
            name: &route.name,
            targets: route.targets.iter().map(TargetView::of).collect(),
        }
    }
}

impl<'a> TargetView<'a> {
    fn of(target: &'a Target) -> Self {
        let handle = &target.handle;
        let breaker: BreakerState = handle.gate.state();
        let weight = handle
            .metrics
            .weight
            .load(std::sync::atomic::Ordering::Relaxed);
        Self {
            name: &target.name,
            provider: &target.provider.name,
            model: &handle.identity.model,
            breaker: breaker.as_str(),
            effective_weight: f64::from(weight) / 100.0,
            in_flight: handle.in_flight(),
        }
    }
}
