//! What a running rollout refuses to others, and what it takes from them.
//!
//! It owns its candidate's share. Who lowers that is never refused: lowering pauses, nothing at all
//! aborts. Who raises it, names another candidate, or makes another target of one that is being
//! compared, is told which verbs there are. Everything else about the route goes on as ever.
//!
//! Whether a rollout runs stands in the route itself (`traffic.rollout`), so a change that guards
//! the routes it looked at cannot overlook one that begins.

use std::collections::BTreeSet;

use serin_proto::{
    Fault,
    admission::Admission,
    document::Document,
    fault::Pointer,
    key::{DocumentKey, Kind, StoreKey},
    unit::Share,
    v1,
};
use serin_store::{Compare, Key, Op, Page, Scope, Store};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    Asked, Refusal,
    judging::readable,
    live::TARGET_IN_USE,
    rollout::{active, said},
};
use crate::{
    auth::Actor,
    clock,
    plane::Plane,
    rollout::{
        commit::{Current, Prepared, prepare, state_key},
        definition,
        event::{Event, Step, Verb},
        machine,
        plan::Plan,
        state::{Phase, State},
        traffic,
    },
};

/// Letters of a deleted route that go with it; the leader sweeps the rest away.
const LETTERS_MAX: usize = 64;

/// Steps that a route's new traffic means to its rollout.
#[derive(Debug)]
pub(super) struct Moved {
    pub(super) prepared: Prepared,
    /// What the route's traffic will be.
    pub(super) traffic: v1::Traffic,
}

/// What moving traffic means to the rollout that runs on it. `None`: nothing.
///
/// # Errors
/// [`Refusal::RolloutActive`]
pub(super) fn moved(
    current: &Current,
    wanted: &v1::Traffic,
    (actor, asked, id): (&Actor, &Asked, &str),
) -> Result<Option<Moved>, Refusal> {
    let Some(state) = current.running() else {
        return Ok(None);
    };
    if !sums_to_all(wanted) {
        // Judged as it was written, with every fault.
        return Ok(None);
    }
    let events = events(state, wanted)?;
    if events.is_empty() {
        return Ok(None);
    }
    let at = clock::unix().as_secs();
    let (mut steps, mut stands) = (Vec::<Step>::new(), state.clone());
    for event in &events {
        let step = machine::step(&stands, event, at);
        let step = step.map_err(|illegal| active(state, illegal.why))?;
        stands = step.state.clone();
        if step.transition.is_some() {
            // They go into its record.
            stands.events.clear();
        }
        steps.push(step);
    }
    let said = said(actor, asked, "traffic", id);
    let prepared = prepare(current, Some(state), Some(wanted), steps, &said)?;
    let traffic = traffic::wanted(&prepared.state, wanted);
    Ok(Some(Moved { prepared, traffic }))
}

/// Whether the weights are shares of one whole.
fn sums_to_all(traffic: &v1::Traffic) -> bool {
    let shares = traffic
        .weights
        .values()
        .map(|weight| Share::try_from(*weight));
    let sum = shares.map(|share| share.map(|share| u64::from(share.hundredths())));
    sum.sum::<Result<u64, _>>() == Ok(u64::from(Share::ALL.hundredths()))
}

/// What traffic that somebody wants says to the rollout. Pure.
fn events(state: &State, wanted: &v1::Traffic) -> Result<Vec<Event>, Refusal> {
    let candidate = &state.candidate.target;
    let weight = wanted.weights.get(candidate).copied().unwrap_or_default();
    let is_abort = wanted.canary.is_empty() || (weight == 0.0 && state.share > 0.0);
    if !wanted.canary.is_empty() && wanted.canary != *candidate {
        let why = format!("its candidate is {candidate}, not {}", wanted.canary);
        return Err(active(state, why));
    }
    if weight > state.share {
        let why = format!(
            "{candidate} has {} %, and the rollout alone gives it more",
            state.share
        );
        return Err(active(state, why));
    }
    let mut events = Vec::new();
    if are_others_moved(state, wanted, weight) {
        let base_weights = traffic::base_of(wanted, candidate);
        events.push(Event::Rebased { base_weights });
    }
    if is_abort {
        events.push(Event::Verb(Verb::Abort));
    } else if weight < state.share {
        events.push(Event::Lowered { share: weight });
    }
    Ok(events)
}

/// Whether the other targets share what is left in other proportions than before.
fn are_others_moved(state: &State, wanted: &v1::Traffic, weight: f64) -> bool {
    let probe = State {
        share: weight,
        ..state.clone()
    };
    let as_before = traffic::wanted(&probe, wanted);
    let others = |traffic: &v1::Traffic| {
        let mut others = traffic.weights.clone();
        others.retain(|name, percent| *name != state.candidate.target && *percent > 0.0);
        others
    };
    let asked = others(wanted);
    !asked.is_empty() && asked != others(&as_before)
}

/// Whether a route may be written so, beside its traffic, while a rollout runs on it.
///
/// # Errors
/// [`Refusal::RolloutActive`]; [`Refusal::Invalid`] for a target that must stay.
pub(super) fn check_route(
    before: &v1::Route,
    after: &v1::Route,
    current: &Current,
) -> Result<(), Refusal> {
    if let Some(state) = current.running() {
        if before.affinity != after.affinity {
            let why = "its buckets are drawn by the route's affinity, which stays until it ends";
            return Err(active(state, why));
        }
        if let Some(name) = redefined(before, after) {
            return Err(active(state, is_compared(&name)));
        }
    }
    let kept = current.state.iter().flat_map(needed);
    let lost: Vec<Fault> = kept
        .filter(|name| after.targets.iter().all(|target| target.name != *name))
        .map(|name| {
            let at = Pointer::root().key("targets");
            let message = format!("target {name} is needed by the route's rollout, or by its undo");
            Fault::new(&at, TARGET_IN_USE, message)
        })
        .collect();
    if lost.is_empty() {
        Ok(())
    } else {
        Err(Refusal::Invalid(lost))
    }
}

/// The same for a route of a file that loses a target; gives what that rests on.
///
/// # Errors
/// As [`check_route`]; the store's.
pub(super) async fn losing(
    store: &dyn Store,
    before: &v1::Route,
    after: &v1::Route,
) -> Result<Option<Compare>, Refusal> {
    let current = Current::read(store, &after.name).await?;
    check_route(before, after, &current)?;
    let guard = || Compare::ModRevision(state_key(&after.name), current.state_revision);
    Ok(current.state.is_some().then(guard))
}

/// A target that is compared, and would be another one.
fn redefined(before: &v1::Route, after: &v1::Route) -> Option<String> {
    let is_other = |target: &&v1::Target| {
        let mut now = after.targets.iter();
        let now = now.find(|now| now.name == target.name);
        now.is_some_and(|now| now != *target)
    };
    let target = definition::relied_on(before).find(is_other)?;
    Some(target.name.clone())
}

fn is_compared(name: &str) -> String {
    format!("target {name} is being compared and must stay what it is")
}

/// Targets that a rollout needs: while it runs, and for the undo after it.
fn needed(state: &State) -> BTreeSet<String> {
    let candidate = std::iter::once(&state.candidate.target);
    let stable = state.base_weights.iter();
    let stable = stable.filter(|(_, percent)| **percent > 0.0);
    let stable = stable.map(|(name, _)| name);
    match state.phase {
        phase if !phase.is_terminal() => candidate.chain(stable).cloned().collect(),
        Phase::Succeeded if can_be_undone(state, clock::wall()) => stable.cloned().collect(),
        _ => BTreeSet::new(),
    }
}

fn can_be_undone(state: &State, now: OffsetDateTime) -> bool {
    let window_ms = Plan::compile(&state.plan).map_or(0, |plan| plan.promotion.undo_window_ms);
    let ended = OffsetDateTime::parse(&state.ended_at, &Rfc3339);
    ended.is_ok_and(|ended| (now - ended).whole_milliseconds() < i128::from(window_ms))
}

/// Whether a provider may be written so: no target that a running rollout compares becomes another.
///
/// # Errors
/// [`Refusal::RolloutActive`]
pub(super) fn check_provider(
    before: &v1::Provider,
    after: &v1::Provider,
    documents: &Admission,
) -> Result<(), Refusal> {
    if definition::is_given_alike(before, after) {
        return Ok(());
    }
    for route in running_routes(documents) {
        let name = |target: &v1::Target| target.name.clone();
        let mut compared = definition::relied_on(&route);
        let compared = compared
            .find(|target| target.provider == after.name)
            .map(name);
        if let (Some(name), Some(rollout)) = (compared, rollout_of(&route)) {
            return Err(Refusal::RolloutActive {
                rollout_id: rollout.id.clone(),
                why: format!("{} of route {}", is_compared(&name), route.name),
                legal: vec!["abort"],
            });
        }
    }
    Ok(())
}

fn running_routes(documents: &Admission) -> impl Iterator<Item = v1::Route> {
    let routes = documents.keys().filter_map(|key| {
        let key: DocumentKey = key.parse().ok()?;
        let stored = documents.stored(&key.to_string())?;
        match (key.kind, readable(key.kind, stored.value)) {
            (Kind::Route, Some(Document::Route(route))) => Some(route),
            _ => None,
        }
    });
    routes.filter(|route| rollout_of(route).is_some())
}

/// The rollout that a route's traffic belongs to.
pub(super) fn rollout_of(route: &v1::Route) -> Option<&v1::TrafficRollout> {
    route.traffic.as_ref()?.rollout.as_ref()
}

/// Whether a file may write a route so. It moves no traffic of a rollout, by any option: that is
/// for who asks for it by name.
///
/// # Errors
/// [`Refusal::RolloutActive`]
pub(super) fn check_applied(before: &v1::Route, after: &v1::Route) -> Result<(), Refusal> {
    let Some(rollout) = rollout_of(before) else {
        return Ok(());
    };
    let same_traffic = match (&before.traffic, &after.traffic) {
        (Some(before), Some(after)) => super::live::is_same(before, after),
        (before, after) => before == after,
    };
    let why = if before.affinity != after.affinity {
        "its buckets are drawn by the route's affinity, which stays until it ends".to_owned()
    } else if let Some(name) = redefined(before, after) {
        is_compared(&name)
    } else if !same_traffic {
        "a file cannot move its traffic".to_owned()
    } else {
        return Ok(());
    };
    Err(Refusal::RolloutActive {
        rollout_id: rollout.id.clone(),
        why,
        legal: vec!["abort"],
    })
}

/// What goes with a route, and what that rests on: its rollout has ended.
///
/// # Errors
/// [`Refusal::RolloutActive`]
pub(super) async fn deleted(
    plane: &Plane,
    route: &str,
) -> Result<(Vec<Compare>, Vec<Op>), Refusal> {
    let current = Current::read(&*plane.store, route).await?;
    if let Some(state) = current.running() {
        return Err(active(state, "abort it before its route is deleted"));
    }
    let key = state_key(route);
    let guard = Compare::ModRevision(key.clone(), current.state_revision);
    let mut ops = Vec::new();
    if current.state.is_some() {
        ops.push(Op::Delete(key));
        ops.extend(letters(plane, route).await?.into_iter().map(Op::Delete));
    }
    Ok((vec![guard], ops))
}

async fn letters(plane: &Plane, route: &str) -> Result<Vec<Key>, Refusal> {
    let first = StoreKey::RolloutOutbox {
        route: route.to_owned(),
        seq: 0,
        n: 0,
    };
    let page = Page {
        after: Some(Key::from(&first)),
        limit: Some(LETTERS_MAX),
        newest_first: false,
    };
    let listing = plane.store.list(Scope::Rollouts, page).await?;
    let keys = listing.entries.into_iter().map(|entry| entry.key);
    let is_its = |key: &Key| {
        let key = key.as_str().parse();
        matches!(key, Ok(StoreKey::RolloutOutbox { route: of, .. }) if of == route)
    };
    Ok(keys.take_while(is_its).collect())
}
