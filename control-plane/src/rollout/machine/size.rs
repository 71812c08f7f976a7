//! Whether a state has room for all that a plan may bring it. Pure.
//!
//! The state is written whole with every tick. One that grew too large would hold in the middle of
//! its rollout, with its share, and not even be rolled back; so what might is refused before.

use serin_proto::{Fault, fault::Pointer};

use crate::rollout::{
    plan::{Bounds, Plan, Test},
    state::{BYTES_MAX, State},
};

/// Evidence of one counted ratio, and its counts in the newest window.
const BOUND_BYTES: usize = 800 + 110;
/// Evidence of an absolute limit, or of a mean with its moments in the newest window.
const LIMIT_BYTES: usize = 320;
const MEAN_BYTES: usize = 800;
/// The newest answer of a check, in the state and in the newest window.
const CHECK_BYTES: usize = 400;
/// The routers that are told apart, in the evidence and in the newest window.
const ROUTERS_BYTES: usize = 2 * 32 * 100;
/// A webhook's answer beside its name.
const HOOK_BYTES: usize = 200;
/// Everything else that is not there at the start: cursor, clocks, verdict, the rest of a window, who
/// did what last.
const REST_BYTES: usize = 4 * 1_024;

/// `state` as it is when nothing has been measured yet.
///
/// # Errors
/// It may come to be too large under that plan; `advice`: what helps.
pub(super) fn check(state: &State, plan: &Plan, advice: &str) -> Result<(), Fault> {
    let bare = serde_json::to_vec(&State {
        events: Vec::new(),
        ..state.clone()
    });
    let bytes = bare.map_or(0, |json| json.len()) + growth(plan);
    if bytes <= BYTES_MAX {
        return Ok(());
    }
    let why = format!(
        "its state may come to {bytes} bytes with all evidence, at most {BYTES_MAX}: {advice}"
    );
    Err(Fault::new(&Pointer::root(), "too_large", why))
}

/// What is kept beside a plan in the end, at most.
fn growth(plan: &Plan) -> usize {
    let metrics = plan.analysis.metrics.iter().map(|metric| {
        2 * metric.name.len()
            + match &metric.test {
                Test::Events { max, .. } => {
                    BOUND_BYTES + if max.is_some() { LIMIT_BYTES } else { 0 }
                }
                Test::Beyond { bounds, .. } => match bounds {
                    Bounds::Quantiles(quantiles) => quantiles.len() * BOUND_BYTES,
                    Bounds::Fixed(_) => BOUND_BYTES,
                },
                Test::Mean { .. } => MEAN_BYTES,
                Test::Literal { .. } | Test::Query { .. } => CHECK_BYTES,
            }
    });
    let hooks = plan.analysis.webhooks.iter();
    let hooks = hooks.map(|hook| hook.name.len() + HOOK_BYTES);
    metrics.sum::<usize>() + hooks.sum::<usize>() + ROUTERS_BYTES + REST_BYTES
}
