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
/// Most records that one answer has.
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

/// Records of a rollout behind the number `after`, the oldest first, at most `limit`.
///
/// # Errors
/// As [`rollout`].
pub(crate) async fn history(
    plane: &Plane,
    actor: &Actor,
    id: &str,
    (after, limit): (u64, usize),
) -> Result<Vec<Json>, Refusal> {
    plane.require(actor, Right::Read)?;
    let route = plane.rollouts.route(plane, id).await?;
    let mut records = Vec::new();
    let limit = limit.min(RECORDS_MAX);
    walk(plane, &route, after, |_, value| {
        let record = serde_json::from_slice::<Json>(value);
        records.extend(record.ok().filter(|record| record["rolloutId"] == id));
        records.len() < limit
    })
    .await?;
    Ok(records)
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
    let (mut replay, mut revision) = (Replay::default(), Revision::default());
    walk(plane, &route, 0, |at, value| {
        let record = serde_json::from_slice::<Record>(value).ok();
        if let Some(record) = record.filter(|record| record.rollout_id == id) {
            replay.take(&record);
            revision = at;
        }
        true
    })
    .await?;
    let unknown = || Refusal::NotFound(format!("rollouts/{id}"));
    Ok((replay.state.ok_or_else(unknown)?, revision))
}

/// The state that the records of one rollout come to. None: its first ones are not kept any more.
#[derive(Default)]
struct Replay {
    state: Option<State>,
}

impl Replay {
    fn take(&mut self, record: &Record) {
        if let Some(first) = &record.state {
            self.state = Some(State::clone(first));
        } else {
            let before = self.state.take();
            self.state = before.and_then(|before| after(before, record));
        }
        if let Some(state) = &mut self.state {
            state.events.clear();
            state.last_hash.clone_from(&record.hash);
        }
    }
}

fn after(mut state: State, record: &Record) -> Option<State> {
    for kept in &record.events {
        state = machine::step(&state, &kept.event, kept.at).ok()?.state;
    }
    Some(state)
}

/// Shows the records of a route behind a number, the oldest first, until `take` has enough.
async fn walk(
    plane: &Plane,
    route: &str,
    after: u64,
    mut take: impl FnMut(Revision, &[u8]) -> bool,
) -> Result<(), Refusal> {
    let first = StoreKey::RolloutRecord {
        route: route.to_owned(),
        seq: after,
    };
    let mut after = Key::from(&first);
    // Ends with the records, which are behind one another.
    loop {
        let page = Page {
            after: Some(after),
            limit: Some(RECORDS_PAGE),
            newest_first: false,
        };
        let listing = plane.store.list(Scope::Rollouts, page).await?;
        for entry in &listing.entries {
            let is_record = matches!(entry.key.as_str().parse(),
                Ok(StoreKey::RolloutRecord { route: of, .. }) if of == route);
            if !is_record || !take(entry.mod_revision, &entry.value) {
                return Ok(());
            }
        }
        let Some(last) = listing.entries.last() else {
            return Ok(());
        };
        after = last.key.clone();
    }
}

async fn explained(plane: &Plane, state: &State) -> Result<Json, Refusal> {
    let plan = Plan::compile(&state.plan).map_err(Refusal::Invalid)?;
    let current = Current::read(&*plane.store, &state.route).await?;
    let revision = current.route_revision;
    let fleet = plane.fleet.seen(&state.route, revision);
    Ok(explained::whole(state, &plan, fleet, revision))
}
