//! Which routers there are, what each of them serves, and how far each is behind.
//!
//! A router is a key under a live lease: what is not there says nothing, which is not the same as not
//! serving. Reports are written by others, of other versions too; one that cannot be read is shown as
//! such and harms no other.
//!
//! How far behind is told in two ways. `lag` counts revisions. `state` asks for how long: a router
//! is lagging when a change it does not serve was seen five seconds ago or more, so one that follows
//! a stream of changes closely is not.

mod trail;

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde::Serialize;
use serin_proto::{
    fleet::{Hold, RejectedDocument, RouterReport, Source},
    key::{DocumentKey, Kind, StoreKey},
    unit::Revision,
};
use serin_store::{
    Entry, Key, Scope, Store,
    watch::{Change, Event},
};

use crate::{clock, metrics::Metrics, rollout::event::FleetSeen};
use trail::Trail;

/// A change that was not acknowledged for so long makes its router a lagging one.
const LAGGING_AFTER: Duration = Duration::from_secs(5);
/// Routers that are told of; a store with more of them has a fault of another kind.
const ROUTERS_MAX: usize = 10_000;

/// The routers that report now.
#[derive(Debug)]
pub(crate) struct Fleet {
    known: Mutex<Known>,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct Known {
    /// By id; `None`: its report cannot be read.
    routers: BTreeMap<String, Option<RouterReport>>,
    trail: Trail,
    /// The store was seen at a lower revision than before, and nobody has adopted it since.
    is_regressed: bool,
}

/// How a router keeps up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// It serves what is newest, or is on its way.
    Live,
    /// It has not served a change for five seconds.
    Lagging,
    /// It is there, and its report cannot be read.
    Unreadable,
}

impl State {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Lagging => "lagging",
            Self::Unreadable => "unreadable",
        }
    }
}

/// One router, as `GET /routers` tells of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Router {
    pub(crate) id: String,
    pub(crate) version: String,
    pub(crate) boot_id: String,
    /// RFC 3339.
    pub(crate) started_at: String,
    /// `host:port` of its `/metrics`.
    pub(crate) admin_address: String,
    /// The revision of the newest change it serves.
    pub(crate) applied_revision: u64,
    /// The newest change of a document, less that.
    pub(crate) lag: u64,
    pub(crate) state: State,
    pub(crate) source: Source,
    /// Why it applies nothing, if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hold: Option<Hold>,
    pub(crate) rejected_count: u64,
    /// At most `serin_proto::fleet::REJECTED_LISTED_MAX`.
    pub(crate) rejected: Vec<RejectedDocument>,
}

impl Fleet {
    /// Nobody is known until [`Self::run`] has heard of somebody.
    pub(crate) fn new(metrics: Arc<Metrics>) -> Arc<Self> {
        let known = Mutex::default();
        Arc::new(Self { known, metrics })
    }

    /// Follows the reports until `shutdown`.
    pub(crate) async fn run(
        self: Arc<Self>,
        store: Arc<dyn Store>,
        shutdown: impl Future<Output = ()>,
    ) {
        let mut watch = store.watch(Scope::Fleet, None);
        tokio::pin!(shutdown);
        loop {
            let event = tokio::select! {
                () = &mut shutdown => return,
                event = watch.next() => event,
            };
            match event {
                Some(event) => self.take(event, clock::now()),
                None => return,
            }
        }
    }

    /// A document was changed at that revision, as the stream of documents tells.
    pub(crate) fn changed(&self, newest: Revision, now: Instant) {
        let mut known = self.lock();
        let is_first = known.trail.newest() == Revision(0);
        known.trail.note(newest, now);
        // Who has it already was faster than our own stream.
        let ahead = known
            .reports()
            .filter(|(_, report)| report.applied_revision >= newest.0);
        if !is_first {
            ahead.for_each(|_| self.metrics.router_acknowledged(Duration::ZERO));
        }
    }

    /// All documents were listed anew; the newest of them is of that revision.
    pub(crate) fn listed(&self, newest: Revision, now: Instant) {
        let mut known = self.lock();
        if newest < known.trail.newest() {
            known.trail.restart(newest, now);
        } else {
            known.trail.note(newest, now);
        }
    }

    /// All of them, by id.
    pub(crate) fn routers(&self, now: Instant) -> Vec<Router> {
        let known = self.lock();
        known
            .routers
            .iter()
            .map(|(id, report)| router(id, report.as_ref(), &known.trail, now))
            .collect()
    }

    /// How far the routers are with a route that was last changed at that revision.
    pub(crate) fn seen(&self, route: &str, revision: Revision) -> FleetSeen {
        let key = DocumentKey {
            kind: Kind::Route,
            name: route.to_owned(),
        };
        let key = key.to_string();
        let known = self.lock();
        let serves = |report: &RouterReport| {
            let is_refused = report.rejected.iter().any(|one| one.key == key);
            // A list that was cut may lack this route.
            let is_listed = usize::try_from(report.rejected_count)
                .is_ok_and(|count| count <= report.rejected.len());
            report.hold.is_none()
                && report.applied_revision >= revision.0
                && !is_refused
                && is_listed
        };
        let acked = known.reports().filter(|(_, report)| serves(report)).count();
        FleetSeen {
            live: u32::try_from(known.routers.len()).unwrap_or(u32::MAX),
            acked: u32::try_from(acked).unwrap_or(u32::MAX),
            store_changed: known.is_regressed
                || known.reports().any(|(_, report)| report.hold.is_some()),
        }
    }

    /// The store has fallen back: it is another one, or an older one. Until it is adopted.
    pub(crate) fn store_regressed(&self, is_regressed: bool) {
        self.lock().is_regressed = is_regressed;
    }

    fn take(&self, event: Event, now: Instant) {
        let mut known = self.lock();
        match event {
            Event::Reset(listing) => {
                let mut before = std::mem::take(&mut known.routers);
                for entry in &listing.entries {
                    if let Some((id, report)) =
                        id(&entry.key).and_then(|id| before.remove_entry(&id))
                    {
                        known.routers.insert(id, report);
                    }
                }
                for entry in &listing.entries {
                    self.put(&mut known, entry, now);
                }
            }
            Event::Changes { batch, .. } => {
                for change in &batch {
                    match change {
                        Change::Put(entry) => self.put(&mut known, entry, now),
                        Change::Delete { key, .. } => {
                            id(key).map(|id| known.routers.remove(&id));
                        }
                    }
                }
            }
            // What was told stays true.
            Event::Progress(_) | Event::Refused(_) | Event::Down(..) => {}
        }
    }

    fn put(&self, known: &mut Known, entry: &Entry, now: Instant) {
        let Some(id) = id(&entry.key) else {
            return;
        };
        let report = match serde_json::from_slice::<RouterReport>(&entry.value) {
            Ok(report) => Some(report),
            Err(error) => {
                tracing::warn!(router = id, %error, "a router's report could not be read");
                None
            }
        };
        if let (Some(Some(old)), Some(new)) = (known.routers.get(&id), &report) {
            let (from, to) = (
                Revision(old.applied_revision),
                Revision(new.applied_revision),
            );
            if old.boot_id == new.boot_id {
                for since in known.trail.between(from, to) {
                    let took = now.saturating_duration_since(since);
                    self.metrics.router_acknowledged(took);
                }
            }
        }
        if known.routers.len() < ROUTERS_MAX || known.routers.contains_key(&id) {
            known.routers.insert(id, report);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn reports(&self) -> impl Iterator<Item = (&str, &RouterReport)> {
        let all = self.routers.iter();
        all.filter_map(|(id, report)| Some((id.as_str(), report.as_ref()?)))
    }
}

fn id(key: &Key) -> Option<String> {
    match key.as_str().parse() {
        Ok(StoreKey::Router(id)) => Some(id),
        _ => None,
    }
}

fn router(id: &str, report: Option<&RouterReport>, trail: &Trail, now: Instant) -> Router {
    let is_readable = report.is_some();
    let report = report.cloned().unwrap_or_default();
    let applied = Revision(report.applied_revision);
    let behind = trail
        .behind_since(applied)
        .map(|since| now.saturating_duration_since(since));
    let state = match behind {
        _ if !is_readable => State::Unreadable,
        Some(behind) if behind >= LAGGING_AFTER => State::Lagging,
        _ => State::Live,
    };
    Router {
        id: id.to_owned(),
        version: report.version,
        boot_id: report.boot_id,
        started_at: report.started_at,
        admin_address: report.admin_address,
        applied_revision: applied.0,
        lag: trail.newest().0.saturating_sub(applied.0),
        state,
        source: report.source,
        hold: report.hold,
        rejected_count: report.rejected_count,
        rejected: report.rejected,
    }
}

#[cfg(test)]
mod tests;
