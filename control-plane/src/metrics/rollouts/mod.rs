//! What is told of rollouts: where each stands, and what was counted of it.
//!
//! Runners publish the newest state of their rollout after each commit; what a gauge says is read off
//! it when somebody scrapes. How a rollout ended and how long it was paused is read off two states that
//! follow each other, and transitions are counted as their records are heard of, so whoever committed
//! them, they count. Only the leader runs rollouts:
//! when it leads no more, all of it is forgotten, for another tells it from there on. A route is told
//! until an hour after its rollout has ended.

mod flagger;
mod rows;
mod shown;
mod text;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use serin_proto::metric::control_plane::rollout::{
    Completed, DECISION_WORDS, LONG_DURATIONS, PAUSE_REASONS, SHORT_DURATIONS, TRANSITIONS,
    WebhookResult,
};

use super::{
    Metrics,
    series::{Counts, Times},
};
use crate::{
    analysis::{sample::Trouble, verdict::Verdict},
    clock,
    rollout::{
        event::Decision,
        plan::Plan,
        state::{PauseReason, State},
    },
};
use shown::Shown;

/// For how long the route of a rollout that has ended is told.
const TOLD_AFTER_THE_END: Duration = Duration::from_secs(3_600);

/// Everything that is told of rollouts.
#[derive(Debug)]
pub(super) struct Rollouts {
    routes: Mutex<BTreeMap<String, Route>>,
    /// By how they ended.
    lasted: Times<&'static str>,
    /// By reason.
    paused: Times<&'static str>,
    ticks: Times<()>,
    queries: Times<()>,
    query_errors: Counts<&'static str>,
    /// 0: never asked, 1: it did not answer, 2: it answered.
    source: AtomicU64,
    webhooks: Counts<(&'static str, WebhookResult)>,
    webhook_times: Times<&'static str>,
    outbox: AtomicU64,
}

/// One route's newest rollout.
#[derive(Debug, Default)]
struct Route {
    shown: Option<Shown>,
    /// When it was seen to have ended.
    ended: Option<Instant>,
    /// Since when it is paused, by reason.
    paused: HashMap<PauseReason, Instant>,
    /// When the newest verdict was told, since 1970.
    evaluated: Option<Duration>,
    counted: Counted,
}

/// Counters of one route, in the order of their label sets.
#[derive(Debug, Default)]
struct Counted {
    verdicts: [u64; Verdict::ALL.len()],
    decisions: [u64; DECISION_WORDS.len()],
    transitions: [u64; TRANSITIONS.len()],
    completed: [u64; Completed::ALL.len()],
    evidence_restarts: u64,
    flagger: flagger::Counted,
}

impl Default for Rollouts {
    fn default() -> Self {
        let (lasted, paused) = (Times::new(&LONG_DURATIONS), Times::new(&LONG_DURATIONS));
        for result in Completed::ALL {
            lasted.know(result.as_str());
        }
        for reason in PAUSE_REASONS {
            paused.know(reason);
        }
        let (ticks, queries) = (Times::new(&SHORT_DURATIONS), Times::new(&SHORT_DURATIONS));
        ticks.know(());
        queries.know(());
        let query_errors = Counts::default();
        for trouble in Trouble::ALL {
            query_errors.know(trouble.as_str());
        }
        Self {
            routes: Mutex::default(),
            lasted,
            paused,
            ticks,
            queries,
            query_errors,
            source: AtomicU64::new(0),
            webhooks: Counts::default(),
            webhook_times: Times::new(&SHORT_DURATIONS),
            outbox: AtomicU64::new(0),
        }
    }
}

impl Metrics {
    /// A rollout stands so now: to be called after each commit, and for a state that another replica
    /// committed.
    pub(crate) fn rollout(&self, state: &State, plan: &Plan) {
        let now = clock::now();
        let mut routes = self.rollouts.lock();
        let route = routes.entry(state.route.clone()).or_default();
        // What was read before somebody's step may come after what was heard of it.
        if route.seq() <= Some(state.seq) {
            self.rollouts.show(route, Shown::of(state, plan), now);
        }
    }

    /// The route has no rollout any more.
    pub(crate) fn rollout_gone(&self, route: &str) {
        self.rollouts.lock().remove(route);
    }

    /// This process leads no more.
    pub(crate) fn rollouts_dropped(&self) {
        self.rollouts.lock().clear();
    }

    /// A tick judged.
    pub(crate) fn verdict(&self, route: &str, verdict: Verdict) {
        self.rollouts.with(route, |route| {
            add(&mut route.counted.verdicts, &Verdict::ALL, verdict);
            route.evaluated = Some(clock::unix());
        });
    }

    /// A tick decided to hold.
    pub(crate) fn held(&self, route: &str) {
        let word = shown::decision(Decision::Hold);
        self.rollouts.with(route, |route| {
            add(&mut route.counted.decisions, &DECISION_WORDS, word);
        });
    }

    /// A record was heard of, whoever wrote it: the state that came with it, unless a newer one is
    /// told already, its transition and its decision. Names that are no transition's (`gate`) count
    /// as decisions alone.
    pub(crate) fn stepped(&self, (state, plan): (&State, &Plan), name: &str, decided: Decision) {
        let now = clock::now();
        let mut routes = self.rollouts.lock();
        let route = routes.entry(state.route.clone()).or_default();
        if route.seq() < Some(state.seq) {
            let shown = Shown::of(state, plan);
            // Who leads since yesterday has not told what is undone today.
            if let (None, Some(result)) = (&route.shown, shown.end()) {
                route.counted.ended(result);
                route.counted.flagger.ended(result, None, &shown);
            }
            self.rollouts.show(route, shown, now);
        }
        let word = shown::decision(decided);
        add(&mut route.counted.transitions, &TRANSITIONS, name);
        add(&mut route.counted.decisions, &DECISION_WORDS, word);
    }

    /// A tick has ended.
    pub(crate) fn tick(&self, took: Duration) {
        self.rollouts.ticks.observe((), took);
    }

    /// A question to the metrics source has ended; `None`: with an answer that can be used.
    pub(crate) fn query(&self, took: Duration, trouble: Option<Trouble>) {
        let rollouts = &self.rollouts;
        rollouts.queries.observe((), took);
        let is_silent = matches!(
            trouble,
            Some(Trouble::Connect | Trouble::Timeout | Trouble::Http | Trouble::Parse)
        );
        rollouts
            .source
            .store(if is_silent { 1 } else { 2 }, Relaxed);
        if let Some(trouble) = trouble {
            rollouts.query_errors.add(trouble.as_str());
        }
    }

    /// A webhook or the receiver of an alert was asked. `kind` is the word of its type.
    pub(crate) fn webhook(&self, kind: &'static str, result: WebhookResult, took: Duration) {
        let rollouts = &self.rollouts;
        for result in WebhookResult::ALL {
            rollouts.webhooks.know((kind, result));
        }
        rollouts.webhooks.add((kind, result));
        rollouts.webhook_times.observe(kind, took);
    }

    /// So many messages are still to be delivered.
    pub(crate) fn outbox(&self, pending: usize) {
        let pending = u64::try_from(pending).unwrap_or(u64::MAX);
        self.rollouts.outbox.store(pending, Relaxed);
    }
}

impl Rollouts {
    /// `shown` takes the place of what was told of the route.
    fn show(&self, route: &mut Route, shown: Shown, now: Instant) {
        if let Some(before) = route.shown.take() {
            if let Some((result, lasted)) = shown.end_of(&before) {
                route.counted.ended(result);
                route.counted.flagger.ended(result, lasted, &shown);
                if let Some(lasted) = lasted {
                    self.lasted.observe(result.as_str(), lasted);
                }
            }
            if before.id == shown.id {
                let (told, now) = (before.evidence.restarts, shown.evidence.restarts);
                route.counted.evidence_restarts += u64::from(now.saturating_sub(told));
            } else {
                route.evaluated = None;
            }
        }
        let reasons = &shown.reasons;
        route.paused.retain(|reason, since| {
            let goes_on = reasons.contains(reason);
            if !goes_on {
                let paused = now.saturating_duration_since(*since);
                self.paused.observe(shown::reason(*reason), paused);
            }
            goes_on
        });
        for reason in reasons {
            route.paused.entry(*reason).or_insert(now);
        }
        let has_ended = shown.phase.is_terminal();
        route.ended = has_ended.then(|| route.ended.unwrap_or(now));
        route.shown = Some(shown);
    }

    /// Forgets routes whose rollout ended long ago.
    fn forget(&self, now: Instant) {
        self.lock().retain(|_, route| {
            route
                .ended
                .is_none_or(|ended| now.saturating_duration_since(ended) <= TOLD_AFTER_THE_END)
        });
    }

    /// Counts for a route that is told; what comes before it or after it counts nowhere.
    fn with(&self, route: &str, count: impl FnOnce(&mut Route)) {
        if let Some(route) = self.lock().get_mut(route) {
            count(route);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Route>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Route {
    /// Of the newest record that is told; `None`: nothing is.
    fn seq(&self) -> Option<u64> {
        self.shown.as_ref().map(|shown| shown.seq)
    }
}

impl Counted {
    fn ended(&mut self, result: Completed) {
        add(&mut self.completed, &Completed::ALL, result);
    }
}

/// Counts `what`, which stands at the place of its counter in `all`; something else counts nowhere.
fn add<T: PartialEq, const N: usize>(counts: &mut [u64; N], all: &[T; N], what: T) {
    let counted = counts.iter_mut().zip(all).find(|(_, one)| **one == what);
    if let Some((count, _)) = counted {
        *count += 1;
    }
}

#[cfg(test)]
pub(super) mod tests;
