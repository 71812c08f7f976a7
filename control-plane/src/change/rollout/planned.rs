//! What a rollout would come to, asked before it begins: whether its queries can be asked, and how
//! long it takes at the traffic of now.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::{
    analysis::{
        measure::{families, measure},
        planner::{Present, forecast},
        reader::{
            SampleReader, Want,
            reading::{Asking, read},
        },
        sample::{ERRORS, Untold},
    },
    change::Refusal,
    plane::Plane,
    rollout::{
        commit::Current,
        event::Reading,
        machine::{self, Wanted},
        plan::Plan,
        show,
        state::State,
    },
};

/// The traffic of so long is that of now.
const PRESENT_MS: u64 = 600_000;
/// No count is read sooner after it was made.
const READING_DELAY_MS_MIN: u64 = 5_000;

/// The answer of a dry run. `state` is the first one of the rollout.
///
/// # Errors
/// [`Refusal::Invalid`]: the plan is none.
pub(super) async fn tell(plane: &Plane, current: &Current, state: &State) -> Result<Json, Refusal> {
    let state = &newest(state);
    let plan = Plan::compile(&state.plan).map_err(Refusal::Invalid)?;
    let mut told = json!({ "plan": show::planned(&plan), "queryFaults": [] });
    let Some(source) = &plane.source else {
        return Ok(told);
    };
    let fleet = plane.fleet.seen(&state.route, current.route_revision);
    let queries = machine::queries(state);
    let asking = Asking {
        route: &state.route,
        candidate: &state.candidate.target,
        plan: &plan.analysis,
        wanted: &Wanted::Check,
        cursor: 0,
        bounds: &BTreeMap::new(),
        live: fleet.live,
        queries: &queries,
    };
    match read(&**source, &asking).await {
        Reading::Checked(checked) => told["queryFaults"] = json!(checked.faults),
        Reading::Failed(untold) => told["sourceProblem"] = json!(untold.to_string()),
        Reading::None | Reading::Opening(_) | Reading::Window(_) => {}
    }
    match present(&**source, &asking, &plan).await {
        Ok(present) => {
            told["present"] = json!({ "perSecond": present.per_s, "errors": present.errors });
            told["forecast"] = json!(forecast(&plan, present));
        }
        Err(untold) => told["sourceProblem"] = json!(untold.to_string()),
    }
    Ok(told)
}

/// The plan that holds in the end: one that was changed within a step waits for the next.
fn newest(state: &State) -> State {
    let mut state = state.clone();
    if let Some(plan) = state.next_plan.take() {
        state.plan = plan;
    }
    state
}

/// The route's traffic of the last minutes.
async fn present(
    source: &dyn SampleReader,
    asking: &Asking<'_>,
    plan: &Plan,
) -> Result<Present, Untold> {
    let want = Want {
        route: asking.route.to_owned(),
        candidate: asking.candidate.to_owned(),
        families: families(asking.plan),
        live: asking.live,
        scrape_interval_ms: plan.analysis.scrape_interval_ms,
    };
    let horizon = source.horizon(&want).await?;
    let after = horizon.until.saturating_sub(PRESENT_MS);
    let raw = source.counts(&want, after, horizon).await?;
    let seconds = raw.to.saturating_sub(raw.from).max(1) as f64 / 1_000.0;
    let measured = measure(asking.plan, &raw, asking.bounds);
    let errors = measured
        .counts
        .get(ERRORS)
        .and_then(|windows| windows.first());
    let stable = errors.map(|window| window.stable).unwrap_or_default();
    Ok(Present {
        per_s: (measured.ended.canary + measured.ended.stable) as f64 / seconds,
        errors: stable.e as f64 / stable.n.max(1) as f64,
        reading_delay_ms: (2 * horizon.scrape_ms).max(READING_DELAY_MS_MIN),
    })
}
