//! A rollout's share → the traffic of its route. Pure.
//!
//! Weights sum to exactly 100 in hundredths of a percent: each target gets its part rounded down,
//! and what is left goes to the largest remainders. They are made of the base weights each time,
//! never of the last rounding, so that many steps distort nothing.

use std::collections::BTreeMap;

use serin_proto::{unit::Share, v1};

use super::{
    event::share_of,
    state::{Phase, State},
};

/// Without proof of contact for so long, routers send the candidate nothing new.
const EXPOSURE_TTL: &str = "60s";

/// The traffic that the route is to have in this state. Fallback and mirror stay.
#[must_use]
pub fn wanted(state: &State, live: &v1::Traffic) -> v1::Traffic {
    let candidate = &state.candidate.target;
    let has_ended = state.phase.is_terminal();
    let mut weights = if state.phase == Phase::Succeeded && !state.undone {
        BTreeMap::new()
    } else {
        scaled(&state.base_weights, rest(share_of(state.share)))
    };
    // A target that was left out of the route meanwhile had no weight; naming it would spoil the route.
    weights.retain(|_, percent: &mut f64| *percent > 0.0);
    weights.insert(candidate.clone(), state.share);
    let rollout = v1::TrafficRollout {
        id: state.rollout_id.clone(),
        salt: state.salt.clone(),
        exposure_ttl: if state.promoted { "" } else { EXPOSURE_TTL }.to_owned(),
    };
    v1::Traffic {
        weights,
        canary: if has_ended { "" } else { candidate }.to_owned(),
        fallback: live.fallback.clone(),
        rollout: (!has_ended).then_some(rollout),
        mirror: live.mirror.clone(),
    }
}

/// The proportions of all targets but the candidate, scaled to 100. All 0 if none has any.
#[must_use]
pub fn base_of(traffic: &v1::Traffic, candidate: &str) -> BTreeMap<String, f64> {
    let mut others = traffic.weights.clone();
    others.remove(candidate);
    others.retain(|_, percent| *percent > 0.0);
    scaled(&others, Share::ALL)
}

/// The same proportions, summing to `sum`; the first name wins among equal remainders.
#[must_use]
pub fn scaled(weights: &BTreeMap<String, f64>, sum: Share) -> BTreeMap<String, f64> {
    let parts: Vec<(&String, u64)> = weights
        .iter()
        .map(|(name, weight)| (name, u64::from(share_of(*weight).hundredths())))
        .collect();
    let total: u64 = parts.iter().map(|(_, part)| part).sum();
    let sum = u64::from(sum.hundredths());
    // With no proportions, nobody gets anything.
    let divided = |part: u64| (part * sum).checked_div(total).unwrap_or_default();
    let remainder = |part: u64| (part * sum).checked_rem(total).unwrap_or_default();
    let given: u64 = parts.iter().map(|(_, part)| divided(*part)).sum();
    let mut left = if total == 0 { 0 } else { sum - given };

    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|i| std::cmp::Reverse(parts.get(*i).map(|(_, part)| remainder(*part))));
    let mut hundredths: Vec<u64> = parts.iter().map(|(_, part)| divided(*part)).collect();
    for i in order {
        if let Some(part) = hundredths.get_mut(i).filter(|_| left > 0) {
            *part += 1;
            left -= 1;
        }
    }
    let names = parts.into_iter().map(|(name, _)| name.clone());
    let percent = hundredths.into_iter().map(|part| part as f64 / 100.0);
    names.zip(percent).collect()
}

fn rest(share: Share) -> Share {
    let left = Share::ALL.hundredths() - share.hundredths();
    Share::from_hundredths(left).unwrap_or_default()
}

#[cfg(test)]
mod tests;
