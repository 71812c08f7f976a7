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
    canary: Option<CanaryView<'a>>,
    targets: Vec<TargetView<'a>>,
}

#[derive(Debug, Serialize)]
struct CanaryView<'a> {
    target: &'a str,
    /// Percent, as written.
    share: f64,
    /// Whether new requests get it: false for a share of 0, and for one on lease while there is no
    /// word from the store.
    exposed: bool,
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
    /// `contact_ms`: the newest word from the store, by the clock of `now_ms`.
    pub(crate) fn of(
        snapshot: &'a Snapshot,
        standing: &'a Standing,
        contact_ms: Option<u64>,
        now_ms: u64,
    ) -> Self {
        let routes = snapshot.routes.routes().iter();
        Self {
            revision: snapshot.edition.revision.0,
            source: standing.source,
            hold: standing.hold,
            rejected_count: standing.rejected.count,
            rejected: &standing.rejected.listed,
            routes: routes
                .map(|route| RouteView::of(route, contact_ms, now_ms))
                .collect(),
        }
    }
}

impl<'a> RouteView<'a> {
    fn of(route: &'a Route, contact_ms: Option<u64>, now_ms: u64) -> Self {
        let holds = route
            .lease
            .is_none_or(|lease| lease.holds(contact_ms, now_ms));
        Self {
            name: &route.name,
            canary: CanaryView::of(route, holds),
            targets: route
                .targets
                .iter()
                .map(|target| TargetView::of(target, now_ms))
                .collect(),
        }
    }
}

impl<'a> CanaryView<'a> {
    fn of(route: &'a Route, lease_holds: bool) -> Option<Self> {
        let (target, share) = route.split.canary()?;
        Some(Self {
            target: &route.targets.get(target)?.name,
            share: f64::from(share.hundredths()) / 100.0,
            exposed: lease_holds && share.hundredths() > 0,
        })
    }
}

impl<'a> TargetView<'a> {
    fn of(target: &'a Target, now_ms: u64) -> Self {
        let handle = &target.handle;
        let breaker: BreakerState = handle.gate.state(now_ms);
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
