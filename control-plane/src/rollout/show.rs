//! Rollouts as readers see them: where they stand, what they did, what the verdict rests on.

use serde_json::{Value as Json, json};
use serin_proto::{
    key::StoreKey,
    unit::{Revision, Share},
};
use serin_store::{Key, Page, Scope};

use super::{
    commit::{Current, read_state, state_key},
    explained, machine,
    plan::Plan,
    record::Record,
    state::State,
};
use crate::{
    auth::{Actor, Right},
    change::Refusal,
    plane::Plane,
    read::{Listed, Part, Shown},
};

/// Records read at once.
const RECORDS_PAGE: usize = 100;
/// Most records that one answer has; older ones are left out.
const RECORDS_MAX: usize = 2_000;

/// Which rollouts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// As states spell it.
    pub(crate) phase: Option<String>,
    pub(crate) route: Option<String>,
}

/// The newest rollout of each route, routes rising.
///
/// # Errors
/// [`Refusal::Forbidden`], the store's.
pub(crate) async fn rollouts(
    plane: &Plane,
    actor: &Actor,
    filter: &Filter,
    part: &Part,
) -> Result<Listed, Refusal> {
    plane.require(actor, Right::Read)?;
    let (_, now) = plane.store.get(&Key::from(&StoreKey::Election)).await?;
    plane.rollouts.caught_up(now).await?;
    let mut listed = Listed {
        revision: now,
        ..Listed::default()
    };
    let mut last = None;
    for held in plane.rollouts.all() {
        let route = held.state.route.as_str();
        let is_before = part
            .page_token
            .as_deref()
            .is_some_and(|token| route <= token);
        let is_of_route = filter.route.as_ref().is_none_or(|wanted| wanted == route);
        let json = shown(&held.state)?;
        let is_in_phase = filter
            .phase
            .as_ref()
            .is_none_or(|wanted| json["phase"] == **wanted);
        if is_before || !is_of_route || !is_in_phase {
            continue;
        }
        if listed.items.len() == part.limit {
            listed.next_page_token = last;
            break;
        }
        last = Some(route.to_owned());
        listed.items.push(Shown {
            name: held.state.rollout_id.clone(),
            revision: held.revision,
            json,
        });
    }
    Ok(listed)
}

/// One rollout, running or ended.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::Forbidden`], the store's.
pub(crate) async fn rollout(plane: &Plane, actor: &Actor, id: &str) -> Result<Shown, Refusal> {
    plane.require(actor, Right::Read)?;
    let (state, revision) = find(plane, id).await?;
    Ok(Shown {
        name: id.to_owned(),
        revision,
        json: shown(&state)?,
    })
}

/// The records of a rollout, the oldest first.
///
/// # Errors
/// As [`rollout`].
pub(crate) async fn history(plane: &Plane, actor: &Actor, id: &str) -> Result<Vec<Json>, Refusal> {
    plane.require(actor, Right::Read)?;
    let route = plane.rollouts.route(plane, id).await?;
    let records = records(plane, &route).await?;
    let of = records.into_iter();
    let of = of.filter(|(_, record)| record["rolloutId"] == id);
    Ok(of.map(|(_, record)| record).collect())
}

/// What the verdict rests on, metric by metric.
///
/// # Errors
/// As [`rollout`].
pub(crate) async fn analysis(plane: &Plane, actor: &Actor, id: &str) -> Result<Shown, Refusal> {
    plane.require(actor, Right::Read)?;
    let (state, revision) = find(plane, id).await?;
    Ok(Shown {
        name: id.to_owned(),
        revision,
        json: explained(plane, &state).await?,
    })
}

/// A plan as a dry run tells it.
pub(crate) fn planned(plan: &Plan) -> Json {
    let steps = plan.steps.iter().map(|step| {
        json!({
            "weight": percent(step.share),
            "minDurationMs": step.min_duration_ms,
            "minSamples": step.min_samples,
            "gate": step.gate,
            "certificate": step.certificate,
        })
    });
    let least: u64 = plan.steps.iter().map(|step| step.min_duration_ms).sum();
    json!({
        "steps": steps.collect::<Vec<_>>(),
        "bakeMs": plan.promotion.bake_ms,
        "holdback": percent(plan.promotion.holdback),
        "leastDurationMs": least + plan.promotion.bake_ms,
        "metrics": plan.analysis.metrics.iter().map(|metric| &metric.name).collect::<Vec<_>>(),
    })
}

fn percent(share: Share) -> f64 {
    f64::from(share.hundredths()) / 100.0
}

fn shown(state: &State) -> Result<Json, Refusal> {
    crate::change::rollout::shown(state)
}

/// A rollout's newest state: the stored one, or what its records come to.
async fn find(plane: &Plane, id: &str) -> Result<(State, Revision), Refusal> {
    let route = plane.rollouts.route(plane, id).await?;
    let (entry, _) = plane.store.get(&state_key(&route)).await?;
    if let Some(entry) = &entry {
        let state = read_state(entry)?;
        if state.rollout_id == id {
            return Ok((state, entry.mod_revision));
        }
    }
    let records = records(plane, &route).await?;
    let of = records.into_iter().filter_map(|(revision, record)| {
        let record: Record = serde_json::from_value(record).ok()?;
        (record.rollout_id == id).then_some((revision, record))
    });
    let (revisions, records): (Vec<Revision>, Vec<Record>) = of.unzip();
    let unknown = || Refusal::NotFound(format!("rollouts/{id}"));
    let state = replayed(&records).ok_or_else(unknown)?;
    Ok((state, revisions.last().copied().unwrap_or_default()))
}

/// The state that the records of one rollout come to; `None`: its first ones are not kept any more.
fn replayed(records: &[Record]) -> Option<State> {
    let (first, rest) = records.split_first()?;
    let mut state = State::clone(first.state.as_deref()?);
    state.last_hash.clone_from(&first.hash);
    for record in rest {
        for kept in &record.events {
            state = machine::step(&state, &kept.event, kept.at).ok()?.state;
        }
        state.events.clear();
        state.last_hash.clone_from(&record.hash);
    }
    Some(state)
}

/// All records of a route, the oldest first.
async fn records(plane: &Plane, route: &str) -> Result<Vec<(Revision, Json)>, Refusal> {
    let first = StoreKey::RolloutRecord {
        route: route.to_owned(),
        seq: 0,
    };
    let (mut after, mut records) = (Key::from(&first), Vec::new());
    while records.len() < RECORDS_MAX {
        let page = Page {
            after: Some(after),
            limit: Some(RECORDS_PAGE),
            newest_first: false,
        };
        let listing = plane.store.list(Scope::Rollouts, page).await?;
        let Some(last) = listing.entries.last().map(|entry| entry.key.clone()) else {
            break;
        };
        let is_full = listing.entries.len() == RECORDS_PAGE;
        let mut is_behind = false;
        for entry in listing.entries {
            match entry.key.as_str().parse() {
                Ok(StoreKey::RolloutRecord { route: of, .. }) if of == route => {
                    let record = serde_json::from_slice(&entry.value);
                    records.extend(record.ok().map(|record| (entry.mod_revision, record)));
                }
                _ => is_behind = true,
            }
        }
        if is_behind || !is_full {
            break;
        }
        after = last;
    }
    Ok(records)
}

async fn explained(plane: &Plane, state: &State) -> Result<Json, Refusal> {
    let plan = Plan::compile(&state.plan).map_err(Refusal::Invalid)?;
    let current = Current::read(&*plane.store, &state.route).await?;
    let revision = current.route_revision;
    let fleet = plane.fleet.seen(&state.route, revision);
    Ok(explained::whole(state, &plan, fleet, revision))
}
