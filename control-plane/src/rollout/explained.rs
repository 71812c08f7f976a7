//! A rollout in numbers, as `GET /rollouts/{id}/analysis` tells it: whoever shows it computes
//! nothing. Pure.

use serde_json::{Map, Value as Json, json};
use serin_proto::unit::{Revision, Share};

use super::{
    event::{FleetSeen, share_of},
    machine,
    next::{Needs, next},
    plan::{Plan, PlanStep},
    state::{Phase, State, Sub},
};
use crate::analysis::{explain, judge::Stand, sample::Millis};

/// Everything that `explain` and `watch` show. `now_ms`: since 1970, by the clock of who asks.
pub(crate) fn whole(
    state: &State,
    plan: &Plan,
    (fleet, revision): (FleetSeen, Revision),
    now_ms: Millis,
) -> Json {
    let step = state.step.and_then(|step| plan.steps.get(step as usize));
    let needs = Needs {
        samples: min_samples(state, step),
        duration_ms: min_duration_ms(state, plan, step),
    };
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
        "pausedMs": (state.phase == Phase::Paused).then_some(state.clocks.paused_ms),
        "minDurationMs": needs.duration_ms,
        "minSamples": needs.samples,
        "samples": {
            "canary": state.analysis.judged.canary.n,
            "stable": state.analysis.judged.stable.n,
        },
        "verdict": state.verdict,
        "undone": state.undone,
        "byHand": state.by_hand,
        "next": next(state, plan, step, needs),
        "legal": machine::legal(state),
    });
    let stand = stand(state, plan, step);
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
    add_guards(&mut all, (fleet, revision), samples_age_ms(state, now_ms));
    without_nulls(all)
}

pub(super) fn percent(share: Share) -> f64 {
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

fn stand(state: &State, plan: &Plan, step: Option<&PlanStep>) -> Stand {
    // Of one that has failed, the share it was judged at.
    let share = match (state.phase, step) {
        (Phase::Failed, _) if state.promoted => {
            Share::ALL.hundredths() - plan.promotion.holdback.hundredths()
        }
        (Phase::Failed, Some(step)) => step.share.hundredths(),
        _ => share_of(state.share).hundredths(),
    };
    Stand {
        share: Share::from_hundredths(share).unwrap_or_default(),
        warming: matches!(state.phase, Phase::Progressing(Sub::Warming)),
        min_samples: min_samples(state, step).unwrap_or_default(),
        certificate: step.is_some_and(|step| step.certificate) && !is_baking(state),
    }
}

/// How long ago the newest window that was counted ended; its end is the source's time, so this is
/// as true as the two clocks agree. `None`: nothing is read now.
fn samples_age_ms(state: &State, now_ms: Millis) -> Option<u64> {
    let is_read = state.phase.is_active() && state.share > 0.0 && state.cursor_ms > 0;
    is_read.then(|| now_ms.saturating_sub(state.cursor_ms))
}

/// The guards' figures, and one line of them for people.
fn add_guards(all: &mut Json, (fleet, revision): (FleetSeen, Revision), age_ms: Option<u64>) {
    let Some(guards) = all.get_mut("guards") else {
        return;
    };
    let figure = |pointer: &str| guards.pointer(pointer).cloned().unwrap_or_default();
    let (open, routers) = (figure("/breakerOpen/open"), figure("/breakerOpen/routers"));
    let percent = |pointer: &str| figure(pointer).as_f64().unwrap_or_default() * 100.0;
    let breaker = if routers == json!(0) {
        "no router was asked for its breaker yet".to_owned()
    } else if open == json!(0) {
        format!("breaker closed on {routers}/{routers}")
    } else {
        format!("breaker open on {open}/{routers}")
    };
    let (failed, samples) = (figure("/failFast/failed"), figure("/failFast/samples"));
    let failed = match failed.as_u64() {
        None | Some(0) => String::new(),
        Some(failed) => format!(" ({failed}/{samples})"),
    };
    let age = age_ms.map(|ms| format!(" · samples {} old", human(ms)));
    let text = format!(
        "{breaker} · failFast {:.0} %{failed} of {:.0} % · routers {}/{} acked revision {revision}{}",
        percent("/failFast/ratio"),
        percent("/failFast/limit"),
        fleet.acked,
        fleet.live,
        age.unwrap_or_default(),
    );
    let routers = json!({"live": fleet.live, "acked": fleet.acked, "revision": revision.0});
    if let Some(guards) = guards.as_object_mut() {
        guards.insert("routers".to_owned(), routers);
        guards.insert("samplesAgeMs".to_owned(), json!(age_ms));
        guards.insert("text".to_owned(), json!(text));
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
