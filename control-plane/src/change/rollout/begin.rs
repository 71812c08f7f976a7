//! Whether a rollout may begin on a route as things stand, and the steps that do it.

use serin_proto::{
    Fault,
    document::Document,
    fault::Pointer,
    key::{DocumentKey, Kind, StoreKey},
    unit::Revision,
    v1,
};
use serin_store::{Compare, Key, Page, Scope};

use super::queries;
use crate::{
    change::Refusal,
    clock,
    plane::Plane,
    rollout::{
        commit::{Current, Prepared, prepare},
        definition,
        event::Step,
        machine::{self, Begin, Refused, Start as Asks},
        plan::{Plan, Test},
        record::{Record, Said},
        state::{Phase, State},
    },
};

/// What a new rollout is called, and what its buckets are drawn by.
#[derive(Clone, Debug)]
pub(super) struct Ids {
    id: String,
    salt: String,
}

impl Ids {
    pub(super) fn new() -> Self {
        Self {
            id: clock::random_hex(6),
            salt: clock::random_hex(16),
        }
    }
}

/// What becomes of the rollout that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Running {
    /// None does, or it has ended.
    None,
    /// It is the very same.
    Same,
    /// It gets another plan.
    Replanned,
    /// Another one takes its place.
    Superseded,
}

/// Steps that begin a rollout, and what they rest on beside route and state.
pub(super) struct Begun {
    pub(super) running: Running,
    /// None: an identical rollout runs.
    steps: Vec<Step>,
    pub(super) guards: Vec<Compare>,
    /// What the first step follows in the history.
    before: Option<State>,
}

impl Begun {
    /// The state that is stored in the end.
    pub(super) fn first(&self) -> &State {
        // `begin` gives no empty list to whoever asks for it.
        let newest = self.steps.last().map(|step| &step.state);
        newest
            .or(self.before.as_ref())
            .expect("something begins or runs")
    }

    pub(super) fn prepare(&self, current: &Current, said: &Said) -> Result<Prepared, Refusal> {
        let before = self.before.as_ref();
        prepare(current, before, None, self.steps.clone(), said)
    }
}

/// What beginning a rollout comes to as things stand. `anew`: though an identical one is there.
pub(super) async fn begin(
    plane: &Plane,
    current: &Current,
    plan: &v1::Rollout,
    ids: Ids,
    anew: bool,
) -> Result<Begun, Refusal> {
    let route = readable_route(current, &plan.route)?;
    let (candidate_hash, guards) = definition(plane, route, &plan.candidate).await?;
    let asks = Asks {
        route,
        plan,
        candidate_hash: &candidate_hash,
        id: &ids.id,
        salt: &ids.salt,
        anew,
    };
    let mut own = faults(plane, plan);
    if let (Some(source), false) = (&plane.source, anew)
        && source.takes_queries()
    {
        own.extend(queries::faults(source, route, plan).await);
    }
    let at = clock::unix().as_secs();
    let ghost = match &current.state {
        Some(_) => None,
        None => ghost(plane, &asks, at).await?,
    };
    let before = current.state.clone().or(ghost);
    let begun = match machine::begin(before.as_ref(), &asks, at) {
        Ok(begun) if own.is_empty() => begun,
        Ok(_) => return Err(Refusal::Invalid(own)),
        Err(refused) => return Err(refusal(refused, own)),
    };
    let (running, steps) = match begun {
        Begin::Same => (Running::Same, Vec::new()),
        Begin::Fresh(step) => (Running::None, vec![*step]),
        Begin::Replan(step) => (Running::Replanned, vec![*step]),
        Begin::Supersede(steps) => (Running::Superseded, Vec::from(*steps)),
    };
    Ok(Begun {
        running,
        steps,
        guards,
        before,
    })
}

fn refusal(refused: Refused, own: Vec<Fault>) -> Refusal {
    match refused {
        Refused::Invalid(mut faults) => {
            faults.extend(own);
            Refusal::Invalid(faults)
        }
        Refused::CandidateIsStable(name) => {
            let at = Pointer::root().key("candidate");
            let message = format!(
                "{name} serves as a stable target of the route already: a rollout has nothing to move"
            );
            let fault = Fault::new(&at, "candidate_is_stable", message);
            Refusal::CandidateIsStable(Box::new(fault))
        }
        Refused::OtherCanary(name) => {
            let at = Pointer::root().key("candidate");
            let message = format!("{name} is the route's canary and has a share: move it first");
            Refusal::InUse(vec![Fault::new(&at, "other_canary", message)])
        }
    }
}

/// What a rollout of a route follows that was deleted and made anew: a rollout that ended with the
/// newest record of its history, whose numbers go on.
async fn ghost(plane: &Plane, asks: &Asks<'_>, at: u64) -> Result<Option<State>, Refusal> {
    let Some(record) = newest_record(plane, &asks.plan.route).await? else {
        return Ok(None);
    };
    let Ok(Begin::Fresh(first)) = machine::begin(None, asks, at) else {
        return Ok(None);
    };
    Ok(Some(State {
        rollout_id: record.rollout_id,
        seq: record.seq,
        last_hash: record.hash,
        phase: Phase::Aborted,
        ..first.state
    }))
}

async fn newest_record(plane: &Plane, route: &str) -> Result<Option<Record>, Refusal> {
    let route = route.to_owned();
    let above = StoreKey::RolloutRecord {
        route: route.clone(),
        seq: u64::MAX,
    };
    let page = Page {
        after: Some(Key::from(&above)),
        limit: Some(1),
        newest_first: true,
    };
    let listing = plane.store.list(Scope::Rollouts, page).await?;
    let entry = listing.entries.first().filter(|entry| {
        let key = entry.key.as_str().parse();
        matches!(key, Ok(StoreKey::RolloutRecord { route: of, .. }) if of == route)
    });
    Ok(entry.and_then(|entry| serde_json::from_slice(&entry.value).ok()))
}

fn readable_route<'a>(current: &'a Current, name: &str) -> Result<&'a v1::Route, Refusal> {
    match &current.route {
        Some(route) => Ok(route),
        None if current.route_revision == Revision::default() => {
            let at = Pointer::root().key("route");
            let message = format!("there is no route {name:?}");
            let what = format!("config/routes/{name}");
            let faults = vec![Fault::new(&at, "not_found", message)];
            Err(Refusal::Missing { what, faults })
        }
        None => Err(Refusal::Unreadable {
            revision: current.route_revision,
            why: "a rollout needs to read its targets".to_owned(),
        }),
    }
}

/// The candidate's hash, and that its provider is as it was read. Nothing, of a candidate that is
/// no target: that is a fault to be told with the others.
async fn definition(
    plane: &Plane,
    route: &v1::Route,
    candidate: &str,
) -> Result<(String, Vec<Compare>), Refusal> {
    let mut targets = route.targets.iter();
    let Some(target) = targets.find(|target| target.name == candidate) else {
        return Ok((String::new(), Vec::new()));
    };
    let key = Key::from(&DocumentKey {
        kind: Kind::Provider,
        name: target.provider.clone(),
    });
    let (entry, _) = plane.store.get(&key).await?;
    let value = entry
        .as_ref()
        .map(|entry| &entry.value[..])
        .unwrap_or_default();
    let read = Document::read_tolerant(Kind::Provider, value).map(|read| read.document);
    let Ok(Document::Provider(provider)) = read else {
        return Err(Refusal::NotFound(key.to_string()));
    };
    let revision = entry.map(|entry| entry.mod_revision).unwrap_or_default();
    let guard = Compare::ModRevision(key, revision);
    Ok((definition::hash(target, &provider), vec![guard]))
}

/// What this control plane cannot do of a plan.
fn faults(plane: &Plane, plan: &v1::Rollout) -> Vec<Fault> {
    let at = Pointer::root().key("analysis");
    let Some(source) = &plane.source else {
        let message = "there are no samples to judge by: start the control plane with --prometheus \
                       URL, or everything in one process with `serin up`";
        return vec![Fault::new(&at, "no_metrics_source", message)];
    };
    if source.takes_queries() {
        return Vec::new();
    }
    let Ok(plan) = Plan::compile(plan) else {
        return Vec::new();
    };
    let metrics = plan.analysis.metrics.iter().enumerate();
    let queries = metrics.filter(|(_, metric)| matches!(metric.test, Test::Query { .. }));
    let message = "queries need a Prometheus server: start the control plane with --prometheus URL";
    let fault = |i| {
        let at = at.key("metrics").at(i).key("query");
        Fault::new(&at, "no_queries_here", message)
    };
    queries.map(|(i, _)| fault(i)).collect()
}
