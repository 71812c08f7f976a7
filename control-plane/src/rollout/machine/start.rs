//! A start: whether a route can take a plan, the first state (T1), and what becomes of a rollout
//! that runs (T12, T13). Pure: id and salt are arguments.

use std::collections::BTreeMap;

use serin_proto::{Fault, fault::Pointer, v1};

use super::{
    analyst::{Analyst, Statistics},
    moves::wall,
    run::{Run, step_by},
    size, tell,
};
use crate::{
    analysis::evidence::Analysis,
    rollout::{
        event::{Decision, Event, Illegal, Step},
        plan::{Plan, PlanPolicy, compile_millis},
        state::{Candidate, Clocks, Counters, Past, Phase, State},
        traffic,
    },
};

/// `timeouts.total` of a route that has none written.
const TOTAL_MS: u64 = 600_000;
/// Ended rollouts that are remembered.
const PAST_MAX: usize = 16;

/// What is started, and where.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// With its live traffic.
    pub route: &'a v1::Route,
    /// Its `route` is that route's name.
    pub plan: &'a v1::Rollout,
    /// Of the candidate's definition.
    pub candidate_hash: &'a str,
    /// 12 hex digits, never used before.
    pub id: &'a str,
    /// Random.
    pub salt: &'a str,
    /// A retry: a rollout of its own, whatever runs.
    pub anew: bool,
}

/// What a start comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Begin {
    /// The very same runs already.
    Same,
    /// T1.
    Fresh(Box<Step>),
    /// T12: the end of the old one and T1 of the new, in one transaction.
    Supersede(Box<[Step; 2]>),
    /// T13.
    Replan(Box<Step>),
}

/// Why nothing is started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the plan has {} faults", .0.len())]
    Invalid(Vec<Fault>),
    #[error("{0} serves as a stable target already: there is nothing to roll out")]
    CandidateIsStable(String),
    #[error("{0} is a canary with a share: end that first")]
    OtherCanary(String),
}

/// What a start comes to. `existing` is the newest rollout of the route, ended or not.
///
/// # Errors
/// All faults of the plan at once, or why the route cannot take it.
pub fn begin(existing: Option<&State>, start: &Start<'_>, at: u64) -> Result<Begin, Refused> {
    begin_by(&Statistics, existing, start, at)
}

pub(in crate::rollout) fn begin_by(
    analyst: &dyn Analyst,
    existing: Option<&State>,
    start: &Start<'_>,
    at: u64,
) -> Result<Begin, Refused> {
    let plan = compiled(start)?;
    let running = existing.filter(|state| !state.phase.is_terminal());
    let Some(running) = running else {
        let new = first(existing, start, plan, at)?;
        return Ok(Begin::Fresh(Box::new(new)));
    };
    let is_same = running.candidate.target == start.plan.candidate
        && running.candidate.hash == start.candidate_hash
        && !start.anew;
    if is_same && newest_hash(running) == plan.hash {
        return Ok(Begin::Same);
    }
    // What has failed is not cleared by another plan.
    if is_same && plan.policy == PlanPolicy::NextStep && !running.failed {
        fixed_at_start(running, &plan)?;
        fits_beside(running, start.plan, &plan)?;
        let event = Event::Replanned {
            plan: Box::new(start.plan.clone()),
        };
        let step = step_by(analyst, running, &event, at).map_err(never)?;
        return Ok(Begin::Replan(Box::new(step)));
    }
    let by = start.id.to_owned();
    let old = step_by(analyst, running, &Event::Superseded { by }, at).map_err(never)?;
    let new = first(Some(&old.state), start, plan, at)?;
    Ok(Begin::Supersede(Box::new([old, new])))
}

/// No verb is among the events.
fn never(illegal: Illegal) -> Refused {
    let fault = Fault::new(&Pointer::root(), "illegal", illegal.to_string());
    Refused::Invalid(vec![fault])
}

fn compiled(start: &Start<'_>) -> Result<Plan, Refused> {
    let mut faults = Vec::new();
    let plan = Plan::compile(start.plan).map_err(|found| faults.extend(found));
    let root = Pointer::root();
    let candidate = &start.plan.candidate;
    let targets = &start.route.targets;
    if !candidate.is_empty() && !targets.iter().any(|target| target.name == *candidate) {
        let message = format!("{candidate:?} is not a target of this route");
        faults.push(Fault::new(
            &root.key("candidate"),
            "unknown_target",
            message,
        ));
    }
    if !start.plan.route.is_empty() && start.plan.route != start.route.name {
        let message = format!("is another route than {}", start.route.name);
        faults.push(Fault::new(&root.key("route"), "name_mismatch", message));
    }
    match plan {
        Ok(plan) if faults.is_empty() => Ok(plan),
        _ => Err(Refused::Invalid(faults)),
    }
}

fn newest_hash(running: &State) -> String {
    let next = running.next_plan.as_ref();
    let next = next.and_then(|plan| Plan::compile(plan).ok());
    next.map_or_else(|| running.plan_hash.clone(), |plan| plan.hash)
}

/// What was spent of alpha cannot be spent again under another one.
fn fixed_at_start(running: &State, plan: &Plan) -> Result<(), Refused> {
    let old = Plan::of(running).map_err(Refused::Invalid)?;
    if old.analysis.alpha.to_bits() == plan.analysis.alpha.to_bits() {
        return Ok(());
    }
    let at = Pointer::root().key("analysis").key("alpha");
    let advice = "is fixed while the rollout runs: keep it, or write planPolicy: restart";
    Err(Refused::Invalid(vec![Fault::new(&at, "fixed", advice)]))
}

/// While it waits for the next step a changed plan is kept beside the present one, and afterwards
/// alone.
fn fits_beside(running: &State, document: &v1::Rollout, plan: &Plan) -> Result<(), Refused> {
    let present = Plan::of(running).map_err(Refused::Invalid)?;
    let invalid = |fault| Refused::Invalid(vec![fault]);
    let mut state = State {
        analysis: Analysis::default(),
        hooks: BTreeMap::new(),
        next_plan: Some(document.clone()),
        ..running.clone()
    };
    let advice = "shorten it, or write planPolicy: restart";
    size::check(&state, &present, advice).map_err(invalid)?;
    state.next_plan = None;
    state.plan.clone_from(document);
    size::check(&state, plan, advice).map_err(invalid)
}

/// T1. The state before is that of the route's last rollout, which has ended.
fn first(before: Option<&State>, start: &Start<'_>, plan: Plan, at: u64) -> Result<Step, Refused> {
    let base_weights = base_weights(before, start)?;
    let total = start
        .route
        .timeouts
        .as_ref()
        .map(|timeouts| timeouts.total.as_str());
    let total_ms = compile_millis(total.unwrap_or_default(), TOTAL_MS);
    let candidate = Candidate {
        target: plan.candidate.clone(),
        hash: start.candidate_hash.to_owned(),
    };
    let past = past(before, total_ms, at);
    let state = State {
        rollout_id: start.id.to_owned(),
        seq: before.map_or(0, |before| before.seq),
        last_hash: before.map_or_else(String::new, |before| before.last_hash.clone()),
        route: start.route.name.clone(),
        settle_ms: settle_ms(&past, &candidate, total_ms, at),
        past,
        candidate,
        plan: start.plan.clone(),
        plan_hash: plan.hash.clone(),
        next_plan: None,
        exposures: u32::try_from(plan.exposures()).unwrap_or(u32::MAX),
        phase: Phase::Pending,
        paused_in: None,
        pause_reasons: Vec::new(),
        step: None,
        passed: None,
        passed_share: 0.0,
        share: 0.0,
        lowered_from: None,
        salt: start.salt.to_owned(),
        base_weights,
        gates: BTreeMap::new(),
        hooks: BTreeMap::new(),
        asks: 0,
        manual: false,
        clocks: Clocks::default(),
        counters: Counters::default(),
        verdict: None,
        promoted: false,
        undone: false,
        waived: Vec::new(),
        paused_for: String::new(),
        starved: false,
        failed: false,
        guard: None,
        ended_because: String::new(),
        by_hand: None,
        cursor_ms: 0,
        exposure_start_ms: 0,
        warmup_ms: 0,
        warmup_max_ms: total_ms,
        analysis: Analysis::default(),
        stepped_at: at,
        events: Vec::new(),
        started_at: wall(at),
        ended_at: String::new(),
    };
    let advice = "fewer quantiles, metrics or webhooks, or shorter ones";
    size::check(&state, &plan, advice).map_err(|fault| Refused::Invalid(vec![fault]))?;
    Ok(opened(state, plan, at))
}

fn opened(state: State, plan: Plan, at: u64) -> Step {
    let mut run = Run {
        state,
        plan,
        analyst: &Statistics,
        at,
    };
    for gate in super::legal::gates(&run.state.clone()) {
        run.state.gates.entry(gate.to_owned()).or_default();
    }
    let reason = format!("plan {} begins", run.plan.hash);
    let moved = run.transition("t1", Decision::Hold, reason);
    run.state.seq += 1;
    let mut effects = Vec::new();
    let nobody = Event::Superseded { by: String::new() };
    tell::all(&mut run, &moved, &nobody, &mut effects);
    Step {
        state: run.state,
        transition: Some(moved),
        effects,
    }
}

/// The other targets' proportions; of a rollout that is superseded, those it began with.
fn base_weights(
    before: Option<&State>,
    start: &Start<'_>,
) -> Result<BTreeMap<String, f64>, Refused> {
    let candidate = &start.plan.candidate;
    let none = v1::Traffic::default();
    let live = start.route.traffic.as_ref().unwrap_or(&none);
    // It was superseded a moment ago: the route still has its share.
    let owner = before.filter(|old| {
        let id = live.rollout.as_ref().map(|rollout| rollout.id.as_str());
        id == Some(old.rollout_id.as_str())
    });
    let stable = |weights: &BTreeMap<String, f64>| weights.get(candidate).is_some_and(|w| *w > 0.0);
    if let Some(old) = owner {
        if stable(&old.base_weights) {
            return Err(Refused::CandidateIsStable(candidate.clone()));
        }
        let mut base = old.base_weights.clone();
        base.remove(candidate);
        return Ok(base);
    }
    let canary_share = live.weights.get(&live.canary).copied().unwrap_or_default();
    if !live.canary.is_empty() && live.canary != *candidate && canary_share > 0.0 {
        return Err(Refused::OtherCanary(live.canary.clone()));
    }
    if stable(&live.weights) && live.canary != *candidate {
        return Err(Refused::CandidateIsStable(candidate.clone()));
    }
    let base = traffic::base_of(live, candidate);
    if base.values().all(|weight| *weight <= 0.0) {
        return Err(Refused::CandidateIsStable(candidate.clone()));
    }
    Ok(base)
}

/// The rollouts before whose streams may still run, the newest first.
fn past(before: Option<&State>, total_ms: u64, at: u64) -> Vec<Past> {
    let Some(before) = before else {
        return Vec::new();
    };
    let newest = Past {
        candidate: before.candidate.clone(),
        ended_at: match before.ended_at.as_str() {
            "" => wall(at),
            ended => ended.to_owned(),
        },
    };
    let older = before.past.iter();
    let older = older.filter(|past| past.candidate != newest.candidate);
    let mut all: Vec<Past> = std::iter::once(&newest).chain(older).cloned().collect();
    all.retain(|past| left_ms(past, total_ms, at) > 0);
    all.truncate(PAST_MAX);
    all
}

fn left_ms(past: &Past, total_ms: u64, at: u64) -> u64 {
    let ended = super::moves::unix(&past.ended_at).unwrap_or(at);
    total_ms.saturating_sub(at.saturating_sub(ended).saturating_mul(1_000))
}

/// Series carry no definition: streams of the candidate as it was must have ended before.
fn settle_ms(past: &[Past], candidate: &Candidate, total_ms: u64, at: u64) -> u64 {
    let redefined = past.iter().filter(|past| {
        past.candidate.target == candidate.target && past.candidate.hash != candidate.hash
    });
    let left = redefined.map(|past| left_ms(past, total_ms, at));
    left.max().unwrap_or_default()
}
