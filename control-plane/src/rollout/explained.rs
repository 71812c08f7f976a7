//! A rollout in numbers, as `GET /rollouts/{id}/analysis` tells it: whoever shows it computes
//! nothing. Pure.

use serde_json::{Map, Value as Json, json};
use serin_proto::unit::{Revision, Share};

use super::{
    event::{FleetSeen, share_of},
    machine,
    plan::{Plan, PlanStep},
    state::{PauseReason, Phase, State, Sub},
};
use crate::analysis::{explain, judge::Stand, sample::ERRORS};

/// What a record keeps of the evidence it rests on.
pub(crate) fn of(state: &State) -> Json {
    Plan::compile(&state.plan).map_or(Json::Null, |plan| evidence(&plan, state))
}

/// As [`of`], with the state's plan compiled already.
pub(crate) fn evidence(plan: &Plan, state: &State) -> Json {
    let rows = explain::metrics(&plan.analysis, &state.analysis);
    let rows = rows.into_iter().map(|row| {
        let (canary, stable) = (row.canary, row.stable);
        let told = json!({
            "n": {"canary": canary.n, "stable": stable.n},
            "e": {"canary": canary.e, "stable": stable.e},
            "logE": row.harm.log_evidence,
            "limit": row.harm.log_threshold,
        });
        (row.name, told)
    });
    Json::Object(rows.collect())
}

/// Everything that `explain` and `watch` show.
pub(crate) fn whole(state: &State, plan: &Plan, fleet: FleetSeen, revision: Revision) -> Json {
    let step = state.step.and_then(|step| plan.steps.get(step as usize));
    let mut all = json!({
        "rolloutId": state.rollout_id,
        "seq": state.seq.to_string(),
        "route": state.route,
        "candidate": state.candidate,
        "pauseReasons": state.pause_reasons,
        "pausedIn": state.paused_in,
        "step": state.step,
        "steps": plan.steps.len(),
        "shares": plan.steps.iter().map(|step| percent(step.share)).collect::<Vec<_>>(),
        "share": state.share,
        "manual": state.manual,
        "exposureMs": state.clocks.exposure_ms,
        "stepMs": state.clocks.step_ms,
        "minDurationMs": min_duration_ms(state, plan, step),
        "minSamples": min_samples(state, step),
        "samples": {
            "canary": state.analysis.judged.canary.n,
            "stable": state.analysis.judged.stable.n,
        },
        "verdict": state.verdict,
        "next": next(state, plan, step),
        "legal": machine::legal(state),
    });
    let stand = stand(state, step);
    let failed = &state.counters.failed_checks;
    let explained = explain::explain(&plan.analysis, stand, &state.analysis, failed);
    let more = [
        serde_json::to_value(state.phase),
        serde_json::to_value(explained),
    ];
    let more = more.into_iter().filter_map(Result::ok);
    for more in more.filter_map(|more| more.as_object().cloned()) {
        all.as_object_mut()
            .into_iter()
            .for_each(|all| all.extend(more.clone()));
    }
    add_guards(&mut all, fleet, revision);
    without_nulls(all)
}

fn percent(share: Share) -> f64 {
    f64::from(share.hundredths()) / 100.0
}

/// What is not known is left out.
fn without_nulls(json: Json) -> Json {
    match json {
        Json::Object(fields) => {
            let known = fields.into_iter().filter(|(_, value)| !value.is_null());
            let known = known.map(|(name, value)| (name, without_nulls(value)));
            Json::Object(known.collect::<Map<_, _>>())
        }
        Json::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

fn is_baking(state: &State) -> bool {
    matches!(state.phase, Phase::Baking(_))
        || matches!(
            (state.phase, state.paused_in),
            (Phase::Paused, Some(Phase::Baking(_)))
        )
}

fn min_duration_ms(state: &State, plan: &Plan, step: Option<&PlanStep>) -> Option<u64> {
    if is_baking(state) {
        return Some(plan.promotion.bake_ms);
    }
    let exposed = state.phase.is_active().then_some(step).flatten();
    exposed.map(|step| step.min_duration_ms)
}

fn min_samples(state: &State, step: Option<&PlanStep>) -> Option<u64> {
    if is_baking(state) {
        return Some(0);
    }
    let exposed = state.phase.is_active().then_some(step).flatten();
    exposed.map(|step| step.min_samples)
}

fn stand(state: &State, step: Option<&PlanStep>) -> Stand {
    Stand {
        share: share_of(state.share),
        warming: matches!(state.phase, Phase::Progressing(Sub::Warming)),
        min_samples: min_samples(state, step).unwrap_or_default(),
        certificate: step.is_some_and(|step| step.certificate) && !is_baking(state),
    }
}

/// The guards' figures, and one line of them for people.
fn add_guards(all: &mut Json, fleet: FleetSeen, revision: Revision) {
    let Some(guards) = all.get_mut("guards") else {
        return;
    };
    let figure = |pointer: &str| guards.pointer(pointer).cloned().unwrap_or_default();
    let (open, routers) = (figure("/breakerOpen/open"), figure("/breakerOpen/routers"));
    let percent = |pointer: &str| figure(pointer).as_f64().unwrap_or_default() * 100.0;
    let breaker = if open == json!(0) {
        format!("breaker closed on {routers}/{routers}")
    } else {
        format!("breaker open on {open}/{routers}")
    };
    let text = format!(
        "{breaker} · failFast {:.0} % of {:.0} % · routers {}/{} acked revision {revision}",
        percent("/failFast/ratio"),
        percent("/failFast/limit"),
        fleet.acked,
        fleet.live,
    );
    let routers = json!({"live": fleet.live, "acked": fleet.acked, "revision": revision.0});
    if let Some(guards) = guards.as_object_mut() {
        guards.insert("routers".to_owned(), routers);
        guards.insert("text".to_owned(), json!(text));
    }
}

/// What is waited for, and what a person can do about it.
fn next(state: &State, plan: &Plan, step: Option<&PlanStep>) -> Json {
    if state.phase.is_terminal() {
        return json!({"text": state.ended_because});
    }
    let route = &state.route;
    if state.phase == Phase::Paused {
        let reasons: Vec<String> = state
            .pause_reasons
            .iter()
            .map(|why| format!("{why:?}"))
            .collect();
        let text = format!("it is paused: {}", reasons.join(", "));
        let command = if state.pause_reasons.contains(&PauseReason::Frozen) {
            format!("serin rollout retry {route}, or abort")
        } else if state.pause_reasons == [PauseReason::StoreChanged] {
            "serin store adopt".to_owned()
        } else {
            format!("serin rollout resume {route}")
        };
        return json!({"text": text, "command": command});
    }
    let mut waits = Vec::new();
    let judged = &state.analysis.judged;
    if let Some(missing) = min_samples(state, step)
        && judged.canary.n < missing
    {
        waits.push(format!("{missing} samples of {ERRORS}"));
    }
    let least = min_duration_ms(state, plan, step).unwrap_or_default();
    let rest = least.saturating_sub(state.clocks.exposure_ms);
    if rest > 0 {
        waits.push(format!("{} more", human(rest)));
    }
    let gate = match state.phase {
        Phase::WaitingPromotion => plan.promotion.gate.as_ref(),
        Phase::Progressing(_) => step.and_then(|step| step.gate.as_ref()),
        _ => None,
    };
    let closed = gate.filter(|gate| !state.gates.get(*gate).is_some_and(|gate| gate.open));
    if closed.is_some() {
        waits.push("gate closed".to_owned());
    }
    let share = next_share(state, plan);
    let to = share.map_or_else(|| "the end".to_owned(), |share| format!("{share} %"));
    let text = match waits.len() {
        0 => format!("{to} when the verdict is pass"),
        _ => format!("{to} when: {}", waits.join(", ")),
    };
    let command = closed.map(|gate| format!("serin rollout gate {route} {gate} --open"));
    json!({"text": text, "gate": closed, "command": command, "share": share})
}

fn next_share(state: &State, plan: &Plan) -> Option<f64> {
    let promoted = 100.0 - percent(plan.promotion.holdback);
    match state.phase {
        Phase::Progressing(_) => {
            let next = state.step.map_or(0, |step| step as usize + 1);
            Some(
                plan.steps
                    .get(next)
                    .map_or(promoted, |step| percent(step.share)),
            )
        }
        Phase::Baking(_) => Some(100.0),
        Phase::WaitingPromotion | Phase::Promoting(_) => Some(promoted),
        _ => plan.steps.first().map(|step| percent(step.share)),
    }
}

fn human(ms: u64) -> String {
    let seconds = ms.div_ceil(1_000);
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds}s"),
        (minutes, 0) => format!("{minutes}m"),
        (minutes, seconds) => format!("{minutes}m{seconds}s"),
    }
}
