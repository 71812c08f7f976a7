//! What ours has promised; a broken promise fails the bench.

use serin_control_plane::rollout::state::Phase;

use crate::{
    feed::READING_S,
    run::{Outcome, quantile},
    scenario as s,
    whole::Ends,
};

/// Ours is the first rule.
const OURS: usize = 0;
const ALPHA: f64 = 0.01;

pub(crate) fn broken(outcomes: &[Outcome]) -> Vec<String> {
    let mut broken = Vec::new();
    for outcome in outcomes {
        let (name, runs) = (outcome.scenario.name, outcome.scenario.runs);
        let (wrong, allowed) = (outcome.early(OURS), most_false(runs));
        if wrong as f64 > allowed {
            broken.push(format!(
                "{name}: {wrong} of {runs} false rollbacks, at most {allowed:.1}"
            ));
        }
        let delays = outcome.delays(OURS);
        for (part, most_s) in promised(name) {
            let found = quantile(&delays, runs, part);
            if found.is_none_or(|found| found > most_s) {
                let part = part * 100.0;
                broken.push(format!(
                    "{name}: {part} % within {found:?} s, promised {most_s} s"
                ));
            }
        }
    }
    broken
}

/// Healthy ones are promoted, all others are taken back.
pub(crate) fn broken_rollouts(all: &[Ends]) -> Vec<String> {
    let mut broken = Vec::new();
    for ends in all {
        let (name, runs) = (ends.scenario.name, ends.scenario.runs);
        let is_healthy = [s::WHOLE_HEALTHY, s::WHOLE_INCIDENT].contains(&name);
        let right = if is_healthy {
            Phase::Succeeded
        } else {
            Phase::Failed
        };
        let wrong = ends.ends.iter().filter(|end| end.phase != right).count();
        let allowed = if is_healthy { most_false(runs) } else { 0.0 };
        if wrong as f64 > allowed {
            broken.push(format!(
                "{name}: {wrong} of {runs} rollouts ended wrongly, at most {allowed:.1}"
            ));
        }
    }
    broken
}

/// α + 3σ of the runs.
fn most_false(runs: usize) -> f64 {
    let runs = runs as f64;
    runs * ALPHA + 3.0 * (runs * ALPHA * (1.0 - ALPHA)).sqrt()
}

/// Part of the runs, and within how many seconds they must have been taken back.
fn promised(name: &str) -> Vec<(f64, u64)> {
    // Two ticks of ten seconds, and until they are read.
    let two_ticks_s = 20 + READING_S;
    match name {
        s::FIVE => vec![(0.5, 150)],
        s::ALL => vec![(0.5, 10 + READING_S), (0.95, two_ticks_s)],
        s::LATE_STEP => vec![(0.9, 300)],
        s::LATE => vec![(0.9, 600)],
        s::FIFTY_KEYS => vec![(1.0, 30 + two_ticks_s)],
        // Ticks of a minute, the first of which is the warm-up.
        s::OVER_BAR => vec![(0.5, 150)],
        _ => Vec::new(),
    }
}
