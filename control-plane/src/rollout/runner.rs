//! One rollout of one route, tick by tick, while this process leads.
//!
//! ```text
//!   read state and route ─▶ what is wanted? ─▶ metrics source ─▶ Event::Tick ─▶ step ─▶ commit
//!          ▲                                                                      │
//!          └──────────────── again, if something moved meanwhile ◀───────────────┘
//! ```
//! It keeps nothing that matters: a runner that is killed anywhere is replaced by one that reads the
//! state. Webhooks are asked beside the ticks, at most one question of each at a time; what they
//! answer is an event of its own.

use std::{
    collections::HashSet,
    future::pending,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    task::JoinSet,
    time::{sleep_until, timeout},
};

use super::{
    asking::{self, Answered},
    commit::{CONTROLLER, Committed, Current, Prepared, commit, prepare},
    compared::Compared,
    event::{Effect, Event, Reading, Step, Tick},
    machine::{self, Wanted},
    plan::Plan,
    record::{Actor, ActorKind, Said},
    state::State,
};
use crate::{
    analysis::{
        reader::reading::{Asking, read},
        sample::{Trouble, Untold},
        verdict::Verdict,
    },
    change::Refusal,
    clock, failpoint,
    leader::{Fence, jitter},
    plane::Plane,
};

/// Times that an event is tried while others move what it rests on.
const TRIES_MAX: usize = 5;
/// The first tick comes within this time, or within the interval if that is shorter.
const FIRST_MAX: Duration = Duration::from_secs(1);
/// Part of an interval by which ticks are spread.
const SPREAD: u32 = 10;
/// Intervals that one tick may count for, however late it comes.
const ELAPSED_INTERVALS_MAX: u32 = 2;
/// An interval where the plan cannot be read.
const INTERVAL_ELSE: Duration = Duration::from_secs(10);
/// Longest wait for the metrics source within a tick: it is told as a time-out then.
const READ_TIME_MAX: Duration = Duration::from_secs(30);

/// Whether there is more to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    On,
    /// The rollout has ended, or is nobody's.
    Ended,
}

/// Drives the rollout of a route to its end.
pub(super) async fn run(plane: Arc<Plane>, fence: Fence, route: String) {
    let mut runner = Runner::new(plane, fence, route);
    let mut next = clock::now() + jitter(FIRST_MAX);
    loop {
        let flow = tokio::select! {
            () = sleep_until(next.into()) => {
                let flow = runner.tick(clock::now()).await;
                let spread = runner.interval / SPREAD;
                next = clock::now() + runner.interval - spread / 2 + jitter(spread);
                flow
            }
            answered = runner.answer() => runner.answered(answered).await,
        };
        if flow == Flow::Ended {
            return;
        }
    }
}

pub(super) struct Runner {
    plane: Arc<Plane>,
    fence: Fence,
    route: String,
    interval: Duration,
    /// Until when this runner's time is in the state; `None`: it has counted none yet, and what
    /// passed before it is nobody's.
    counted: Option<Instant>,
    compared: Compared,
    answers: JoinSet<Answered>,
    /// Names of webhooks that are being asked.
    asking: HashSet<String>,
}

/// A rollout as it was read for an event.
struct Stand {
    current: Current,
    state: State,
    plan: Plan,
}

impl Runner {
    pub(super) fn new(plane: Arc<Plane>, fence: Fence, route: String) -> Self {
        Self {
            plane,
            fence,
            route,
            interval: INTERVAL_ELSE,
            counted: None,
            compared: Compared::default(),
            answers: JoinSet::new(),
            asking: HashSet::new(),
        }
    }

    /// One tick. What passes while it waits is the next one's.
    pub(super) async fn tick(&mut self, now: Instant) -> Flow {
        for _ in 0..TRIES_MAX {
            let stand = match self.stand().await {
                Ok(Some(stand)) => stand,
                Ok(None) => return Flow::Ended,
                Err(refusal) => return self.held(&refusal),
            };
            let event = self.event(&stand, now).await;
            match self.commit(&stand, &event).await {
                Ok(Committed::Done(_)) => {
                    self.counted = Some(now);
                    let took = clock::now().saturating_duration_since(now);
                    self.plane.metrics.tick(took);
                    return Flow::On;
                }
                Ok(Committed::Again) => {}
                // A step may become longer for it, never shorter.
                Ok(Committed::Unsure) => self.counted = Some(now),
                Ok(Committed::Fenced) => {
                    tracing::warn!(
                        route = self.route,
                        "a rollout's step came too late: another leads"
                    );
                    return Flow::On;
                }
                Err(refusal) => return self.held(&refusal),
            }
        }
        tracing::warn!(
            route = self.route,
            "a rollout's state kept moving: its tick was left out"
        );
        Flow::On
    }

    fn held(&self, refusal: &Refusal) -> Flow {
        let code = refusal.code();
        tracing::warn!(route = self.route, code, %refusal, "a rollout could not go on: it holds");
        Flow::On
    }

    /// The rollout as it stands; `None`: it has ended, or is gone.
    async fn stand(&mut self) -> Result<Option<Stand>, Refusal> {
        let current = Current::read(&*self.plane.store, &self.route).await?;
        let Some(state) = current.state.clone() else {
            self.plane.metrics.rollout_gone(&self.route);
            return Ok(None);
        };
        let compiled = Plan::compile(&state.plan);
        let plan = compiled.map_err(Refusal::Invalid)?;
        self.interval = Duration::from_millis(plan.analysis.interval_ms);
        self.plane.metrics.rollout(&state, &plan);
        if state.phase.is_terminal() {
            return Ok(None);
        }
        Ok(Some(Stand {
            current,
            state,
            plan,
        }))
    }

    /// What this tick has to say.
    async fn event(&mut self, stand: &Stand, now: Instant) -> Event {
        let view = &self.plane.view;
        let redefined = self.compared.redefined(view, &stand.current, &stand.state);
        if let Some(target) = redefined {
            return Event::Redefined { target };
        }
        let fleet = self
            .plane
            .fleet
            .seen(&self.route, stand.current.route_revision);
        let all_acked = fleet.live > 0 && fleet.acked >= fleet.live;
        let wanted = machine::wanted(&stand.state, all_acked);
        let reading = self.reading(stand, &wanted, fleet.live).await;
        let elapsed = self.counted.map_or(Duration::ZERO, |counted| {
            now.saturating_duration_since(counted)
        });
        Event::Tick(Box::new(Tick {
            elapsed_ms: millis(elapsed.min(self.interval * ELAPSED_INTERVALS_MAX)),
            fleet,
            reading,
        }))
    }

    async fn reading(&self, stand: &Stand, wanted: &Wanted, live: u32) -> Reading {
        if *wanted == Wanted::Nothing {
            return Reading::None;
        }
        let failed = |trouble, why: &str| {
            Reading::Failed(Untold {
                trouble,
                why: why.to_owned(),
            })
        };
        let Some(source) = &self.plane.source else {
            return failed(Trouble::Connect, "this control plane has no metrics source");
        };
        let queries = machine::queries(&stand.state);
        let asking = Asking {
            route: &self.route,
            candidate: &stand.state.candidate.target,
            plan: &stand.plan.analysis,
            wanted,
            cursor: stand.state.cursor_ms,
            bounds: &stand.state.analysis.bounds(),
            live,
            queries: &queries,
        };
        let read = timeout(READ_TIME_MAX, read(&**source, &asking)).await;
        read.unwrap_or_else(|_| failed(Trouble::Timeout, "the metrics source took too long"))
    }

    async fn commit(&mut self, stand: &Stand, event: &Event) -> Result<Committed, Refusal> {
        let at = clock::wall();
        let unix = clock::unix().as_secs();
        let step = machine::step(&stand.state, event, unix);
        let step = step.map_err(|illegal| Refusal::Internal(illegal.to_string()))?;
        let told = Told::of(&self.route, &step);
        let said = Said {
            actor: Actor {
                kind: ActorKind::Auto,
                id: CONTROLLER.to_owned(),
                via: CONTROLLER.to_owned(),
            },
            verb: String::new(),
            reason: None,
            nonce: self.plane.ulids.next(),
            at: unix,
        };
        let (current, state) = (&stand.current, &stand.state);
        let prepared = prepare(current, Some(state), None, vec![step], &said)?;
        failpoint::reach(told.point, "before");
        let committed = commit(&self.plane, self.fence, &prepared, at).await?;
        if let Committed::Done(_) = committed {
            failpoint::reach(told.point, "after");
            told.count(&self.plane, event, &prepared.state);
            self.plane.metrics.rollout(&prepared.state, &stand.plan);
            self.ask(&prepared, &stand.plan);
        }
        Ok(committed)
    }

    /// Puts the questions of a step, each unless it is being asked already.
    fn ask(&mut self, prepared: &Prepared, plan: &Plan) {
        for effect in &prepared.effects {
            let Effect::Ask { webhook, .. } = effect else {
                continue;
            };
            let Some(hook) = plan.analysis.webhooks.get(*webhook) else {
                continue;
            };
            if self.asking.insert(hook.name.clone()) {
                let question = asking::question(&prepared.state, hook);
                let (plane, hook) = (Arc::clone(&self.plane), hook.clone());
                self.answers.spawn(asking::ask(plane, hook, question));
            }
        }
    }

    /// The next answer of a webhook; for ever, while none is asked.
    pub(super) async fn answer(&mut self) -> Answered {
        loop {
            match self.answers.join_next().await {
                Some(Ok(answered)) => return answered,
                // It panicked: all that is not on its way may be asked again.
                Some(Err(_)) => self.asking.clear(),
                None => pending().await,
            }
        }
    }

    /// Webhooks that are being asked.
    #[cfg(test)]
    pub(super) fn is_asking(&self) -> usize {
        self.answers.len()
    }

    /// Takes an answer in as an event of its own.
    pub(super) async fn answered(&mut self, answered: Answered) -> Flow {
        self.asking.remove(&answered.name);
        for _ in 0..TRIES_MAX {
            let stand = match self.stand().await {
                Ok(Some(stand)) => stand,
                Ok(None) => return Flow::Ended,
                Err(refusal) => return self.held(&refusal),
            };
            if answered.rollout_id != stand.state.rollout_id {
                return Flow::On;
            }
            let event = Event::Hook {
                name: answered.name.clone(),
                n: answered.n,
                answer: answered.heard.answer,
            };
            match self.commit(&stand, &event).await {
                Ok(Committed::Again | Committed::Unsure) => {}
                Ok(Committed::Done(_) | Committed::Fenced) => return Flow::On,
                Err(refusal) => return self.held(&refusal),
            }
        }
        Flow::On
    }
}

/// What is counted of a step once it is committed.
struct Told {
    route: String,
    /// Of failpoints: the transition, or `tick`.
    point: &'static str,
    transition: Option<&'static str>,
}

impl Told {
    fn of(route: &str, step: &Step) -> Self {
        let transition = step.transition.as_ref();
        Self {
            route: route.to_owned(),
            point: transition.map_or("tick", |transition| transition.name),
            transition: transition.map(|transition| transition.name),
        }
    }

    fn count(&self, plane: &Plane, event: &Event, state: &State) {
        let (metrics, route) = (&plane.metrics, self.route.as_str());
        let judged = match event {
            Event::Tick(tick) => match &tick.reading {
                Reading::Failed(_) => Some(Verdict::Error),
                Reading::Window(_) => state.verdict.as_ref().map(|told| told.kind),
                Reading::None | Reading::Checked(_) | Reading::Opening(_) => None,
            },
            _ => None,
        };
        judged
            .into_iter()
            .for_each(|verdict| metrics.verdict(route, verdict));
        match self.transition {
            // Counted when its record is heard of, like those of people (`view.rs`).
            Some(transition) => tracing::info!(
                route,
                transition,
                seq = state.seq,
                phase = ?state.phase,
                share = state.share,
                "a rollout went on"
            ),
            None => metrics.held(route),
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
