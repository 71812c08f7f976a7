//! Rollouts as readers see them: where they stand, what they did, what the verdict rests on.

use std::collections::BTreeMap;

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
    record::{Record, point},
    state::State,
};
use crate::{
    auth::{Actor, Right},
    change::Refusal,
    clock,
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
    let (found, revision) = find(plane, id).await?;
    Ok(Shown {
        name: id.to_owned(),
        revision,
        json: match found {
            Found::Whole(state) => shown(&state)?,
            Found::Rest(rest) => rest,
        },
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
/// As [`rollout`]; [`Refusal::NotFound`] too where the first records of an old rollout are not kept
/// any more, and its plan with them.
pub(crate) async fn analysis(plane: &Plane, actor: &Actor, id: &str) -> Result<Shown, Refusal> {
    plane.require(actor, Right::Read)?;
    let (found, revision) = find(plane, id).await?;
    let Found::Whole(state) = found else {
        return Err(Refusal::NotFound(format!("rollouts/{id}/analysis")));
    };
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
    let webhooks = plan.analysis.webhooks.iter();
    let webhooks = webhooks.map(|hook| json!({ "name": hook.name, "type": hook.kind.word() }));
    let least: u64 = plan.steps.iter().map(|step| step.min_duration_ms).sum();
    json!({
        "steps": steps.collect::<Vec<_>>(),
        "promotion": { "gate": plan.promotion.gate },
        "webhooks": webhooks.collect::<Vec<_>>(),
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

/// What is known of a rollout.
enum Found {
    /// The stored state, or what all its records come to.
    Whole(Box<State>),
    /// What its newest records say: the first ones are not kept any more.
    Rest(Json),
}

async fn find(plane: &Plane, id: &str) -> Result<(Found, Revision), Refusal> {
    let route = plane.rollouts.route(plane, id).await?;
    let (entry, _) = plane.store.get(&state_key(&route)).await?;
    let newest = entry.as_ref().map(read_state).transpose()?;
    if let (Some(entry), Some(state)) = (&entry, &newest)
        && state.rollout_id == id
    {
        let state = Box::new(state.clone());
        return Ok((Found::Whole(state), entry.mod_revision));
    }
    let (mut replay, mut rest) = (Replay::default(), Rest::default());
    let mut revision = Revision::default();
    newest.iter().for_each(|state| rest.names(state));
    walk(plane, &route, 0, |at, value| {
        let Ok(record) = serde_json::from_slice::<Record>(value) else {
            return true;
        };
        if record.rollout_id == id {
            replay.take(&record);
            rest.take(record);
            revision = at;
        } else {
            record.state.iter().for_each(|first| rest.names(first));
        }
        true
    })
    .await?;
    let found = match replay.state {
        Some(state) => Some(Found::Whole(Box::new(state))),
        None => rest.told(&route).map(Found::Rest),
    };
    let unknown = || Refusal::NotFound(format!("rollouts/{id}"));
    Ok((found.ok_or_else(unknown)?, revision))
}

/// The transition of an undo.
const UNDONE: &str = "t20";

/// What is left of a rollout whose first records were trimmed. Later rollouts of the route still
/// know their forerunners' candidates.
#[derive(Default)]
struct Rest {
    newest: Option<Record>,
    /// When it ended, and why.
    ended: Option<(String, String)>,
    /// Names of candidates by their hashes.
    targets: BTreeMap<String, String>,
}

impl Rest {
    fn names(&mut self, state: &State) {
        let past = state.past.iter().map(|past| &past.candidate);
        for candidate in past.chain([&state.candidate]) {
            let (hash, target) = (candidate.hash.clone(), candidate.target.clone());
            self.targets.insert(hash, target);
        }
    }

    fn take(&mut self, record: Record) {
        if record.to.is_terminal() {
            let ended = || (record.at.clone(), record.reason.clone());
            let ended = self.ended.get_or_insert_with(ended);
            if record.transition == UNDONE {
                ended.1.clone_from(&record.reason);
            }
        }
        self.newest = Some(record);
    }

    /// The fields of a state that can be told; the others are left out.
    fn told(self, route: &str) -> Option<Json> {
        let newest = self.newest?;
        let (ended_at, ended_because) = self.ended.unwrap_or_default();
        let mut told = json!({
            "rolloutId": newest.rollout_id,
            "seq": newest.seq.to_string(),
            "lastHash": newest.hash,
            "route": route,
            "candidate": {
                "target": self.targets.get(&newest.candidate_hash),
                "hash": newest.candidate_hash,
            },
            "planHash": newest.plan_hash,
            "step": newest.after.step,
            "share": newest.after.share,
            "verdict": newest.verdict,
            "endedAt": ended_at,
            "endedBecause": ended_because,
            "undone": newest.transition == UNDONE,
        });
        // Nobody knows it any more, and it is a text.
        if told["candidate"]["target"].is_null() {
            told["candidate"]["target"] = Json::from("");
        }
        let phase = serde_json::to_value(newest.to).ok()?;
        told.as_object_mut()?.extend(phase.as_object()?.clone());
        Some(told)
    }
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
            // Another program wrote it, whose machine went elsewhere: the record itself is to be told.
            let is_there = |state: &State| state.phase == record.to && point(state) == record.after;
            self.state = self.state.take().filter(is_there);
        }
        if let Some(state) = &mut self.state {
            state.events.clear();
            state.last_hash.clone_from(&record.hash);
            state.by_hand = record.by_hand().or(state.by_hand.take());
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
    let now_ms = u64::try_from(clock::unix().as_millis()).unwrap_or_default();
    Ok(explained::whole(state, &plan, (fleet, revision), now_ms))
}
