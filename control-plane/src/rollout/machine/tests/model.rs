//! Random rollouts over a store that compares: ticks of every mood, verbs, answers, two leaders who
//! may read old states, crash before and after a commit, or never hear that it was one.
//!
//! After each commit the invariants of rollout.md 4.5 are asked, and at the end of each run its
//! history is made again event by event. `SERIN_MODEL_RUNS` and `SERIN_MODEL_SEED` choose the runs;
//! a hundred thousand: `SERIN_MODEL_RUNS=100000 cargo test --profile bench -p serin-control-plane
//! random_rollouts`.

use std::collections::BTreeMap;

use super::{
    draws::{Draws, MOODS, Told, number, plans},
    drive::{route, whose},
    invariants,
    source::{Mood, Script, read},
};
use crate::rollout::{
    event::{Decision, Event, FleetSeen, HookAnswer, Kept, Reading, Step, Tick, Undo, Verb},
    machine::{Begin, Refused, Start, begin_by, step_by, wanted},
    record::{Actor, Record, Said, write},
    state::{Phase, State},
    traffic,
    verify::verify_by,
};
use serin_proto::v1;

/// Runs unless the environment says otherwise.
const RUNS: u64 = 200;
/// What happens in a run.
const EVENTS: u64 = 120;

/// What is stored, under one revision, and who may write as the leader.
struct World {
    state: Option<State>,
    route: v1::Route,
    history: Vec<Record>,
    revision: u64,
    fence: usize,
    fleet: FleetSeen,
    mood: Mood,
    at: u64,
    starts: u64,
    /// What each leader read last: the state, and its revision.
    seen: [Option<(State, u64)>; 2],
    /// Commits that were refused, and side effects that were lost with a leader.
    refused: u64,
}

impl World {
    fn new() -> Self {
        Self {
            state: None,
            route: route(),
            history: Vec::new(),
            revision: 1,
            fence: 0,
            fleet: FleetSeen {
                live: 3,
                acked: 3,
                store_changed: false,
            },
            mood: Mood::Healthy,
            at: 1_000,
            starts: 0,
            seen: [None, None],
            refused: 0,
        }
    }

    /// One transaction: all of it, if nothing was written since `revision` and the fence holds.
    fn commit(&mut self, steps: Vec<Step>, revision: u64, leader: Option<usize>) -> bool {
        if revision != self.revision || leader.is_some_and(|leader| leader != self.fence) {
            self.refused += 1;
            return false;
        }
        for step in steps {
            let before = self.state.take();
            let live = self.route.traffic.clone().unwrap();
            let stored = match write(before.as_ref(), step.clone(), self.said(&step)) {
                Some(written) => {
                    self.history.push(written.record);
                    self.route.traffic = Some(traffic::wanted(&written.state, &live));
                    written.state
                }
                None => step.state,
            };
            let traffic = self.route.traffic.as_ref().unwrap();
            invariants::hold(before.as_ref(), &stored, self.history.last(), traffic);
            self.state = Some(stored);
        }
        self.revision += 1;
        true
    }

    fn said(&self, step: &Step) -> Said {
        Said {
            actor: Actor {
                kind: whose(step),
                id: self.fence.to_string(),
                via: "controller".to_owned(),
            },
            verb: String::new(),
            reason: None,
            nonce: self.revision.to_string(),
            at: self.at,
        }
    }

    /// A leader's tick, on what it reads now or on what it read before.
    fn tick(&mut self, draws: &mut Draws) {
        let leader = if draws.one_in(6) {
            1 - self.fence
        } else {
            self.fence
        };
        let is_stale = draws.one_in(8);
        if !is_stale || self.seen[leader].is_none() {
            self.seen[leader] = self.state.clone().map(|state| (state, self.revision));
        }
        let Some((state, revision)) = self.seen[leader].clone() else {
            return;
        };
        let all_acked = self.fleet.acked >= self.fleet.live;
        let wanted = wanted(&state, all_acked);
        let seen_at = (self.at * 1_000, self.fleet);
        let reading = read(&state, &wanted, self.mood, seen_at);
        let elapsed_ms = draws.of(&[10_000, 10_000, 10_000, 30_000, 0]);
        let event = Event::Tick(Box::new(Tick {
            elapsed_ms,
            fleet: self.fleet,
            reading,
        }));
        let step = step_by(&Script, &state, &event, self.at).unwrap();
        if draws.one_in(16) {
            let again = step_by(&Script, &state, &event, self.at).unwrap();
            assert_eq!(step, again, "I16");
        }
        match draws.below(20) {
            // Killed before the commit: it never was.
            0 => self.seen[leader] = None,
            // Committed, and the answer was lost: it goes on with what it knew.
            1 => {
                self.commit(vec![step], revision, Some(leader));
            }
            _ => {
                if self.commit(vec![step], revision, Some(leader)) {
                    self.seen[leader] = self.state.clone().map(|state| (state, self.revision));
                } else {
                    self.seen[leader] = None;
                }
            }
        }
    }

    /// A person's verb, on the newest state or on one that is old by now.
    fn verb(&mut self, draws: &mut Draws) {
        let Some(state) = self.state.clone() else {
            return;
        };
        let revision = self.revision - u64::from(draws.one_in(10));
        let undo = Undo {
            since_end_ms: draws.below(100_000_000),
            traffic_unchanged: !draws.one_in(4),
        };
        let verb = match draws.below(24) {
            _ if state.phase == Phase::Succeeded && draws.one_in(2) => Verb::Undo(undo),
            0..4 => Verb::Pause {
                suspend: draws.one_in(3),
            },
            4..10 => Verb::Resume,
            10..13 => Verb::Promote { full: false },
            13 => Verb::Promote { full: true },
            14 => Verb::Abort,
            15 => Verb::Undo(undo),
            16..18 => Verb::SkipStep,
            18..20 => Verb::Gate {
                gate: "go".to_owned(),
                open: !draws.one_in(3),
            },
            20..23 => Verb::Gate {
                gate: "confirm-promotion".to_owned(),
                open: true,
            },
            _ => Verb::Retry,
        };
        if let Ok(step) = step_by(&Script, &state, &Event::Verb(verb), self.at) {
            self.commit(vec![step], revision, None);
        }
    }

    fn answer(&mut self, draws: &mut Draws) {
        let Some(state) = self.state.clone() else {
            return;
        };
        let asked: Vec<(String, u32)> = state
            .hooks
            .iter()
            .map(|(name, hook)| (name.clone(), hook.n))
            .collect();
        let Some((name, n)) = asked.get(usize::try_from(draws.below(8)).unwrap()).cloned() else {
            return;
        };
        let n = n.saturating_sub(u32::from(draws.one_in(10)));
        let yes = if name == "rollback" {
            HookAnswer::No
        } else {
            HookAnswer::Yes
        };
        let answer = match draws.below(30) {
            0 => HookAnswer::Rollback,
            1..3 => HookAnswer::Unanswered,
            3..6 => HookAnswer::Wait,
            _ => yes,
        };
        let event = Event::Hook { name, n, answer };
        let step = step_by(&Script, &state, &event, self.at).unwrap();
        self.commit(vec![step], self.revision, Some(self.fence));
    }

    /// What reaches a rollout through its route.
    fn disturb(&mut self, draws: &mut Draws) {
        let Some(state) = self.state.clone() else {
            return;
        };
        let event = match draws.below(8) {
            0 => Event::Redefined {
                target: "gpt".to_owned(),
            },
            1..5 => Event::Lowered {
                share: draws.of(&[0.5, 5.0, 20.0, 60.0]),
            },
            _ => {
                let weights = [("gpt", 50.0), ("llama", 50.0), ("gemini", 0.0)];
                let others = weights
                    .into_iter()
                    .filter(|(name, _)| *name != state.candidate.target);
                let base_weights: BTreeMap<String, f64> =
                    others.map(|(name, w)| (name.to_owned(), w)).collect();
                Event::Rebased { base_weights }
            }
        };
        let step = step_by(&Script, &state, &event, self.at).unwrap();
        self.commit(vec![step], self.revision, None);
    }

    fn start(&mut self, draws: &mut Draws) {
        let plan = plans(draws);
        self.starts += 1;
        let id = format!("r{}", self.starts);
        let route = self.route.clone();
        let start = Start {
            route: &route,
            plan: &plan,
            candidate_hash: draws.of(&["a", "a", "a", "b"]),
            id: &id,
            salt: &id,
            anew: draws.one_in(4),
        };
        let steps = match begin_by(&Script, self.state.as_ref(), &start, self.at) {
            Ok(Begin::Same) => return,
            Ok(Begin::Fresh(step) | Begin::Replan(step)) => vec![*step],
            Ok(Begin::Supersede(both)) => Vec::from(*both),
            Err(Refused::CandidateIsStable(_)) => return,
            Err(refused) => panic!("{refused:?}"),
        };
        self.commit(steps, self.revision, None);
    }

    /// I8: whatever holds it, an abort is one step and gives the traffic back.
    fn can_be_aborted(&self) {
        let Some(state) = self
            .state
            .as_ref()
            .filter(|state| !state.phase.is_terminal())
        else {
            return;
        };
        let step = step_by(&Script, state, &Event::Verb(Verb::Abort), self.at).unwrap();
        assert_eq!(step.state.phase, Phase::Aborted, "I8");
        let live = self.route.traffic.as_ref().unwrap();
        let back = traffic::wanted(&step.state, live);
        for (name, weight) in &state.base_weights {
            let given = back.weights.get(name).copied().unwrap_or_default();
            assert_eq!(given, *weight, "I8");
        }
    }

    fn happen(&mut self, draws: &mut Draws) {
        self.at += 10;
        match draws.below(100) {
            0..62 => self.tick(draws),
            62..78 => self.answer(draws),
            78..84 => self.verb(draws),
            84..86 => self.fence = 1 - self.fence,
            86..88 => self.fleet.acked = draws.of(&[3, 3, 3, 2]),
            88 => self.fleet.store_changed = !self.fleet.store_changed && draws.one_in(2),
            89..95 => self.mood = draws.of(&MOODS),
            95 => self.disturb(draws),
            96 if draws.one_in(2) => self.start(draws),
            97 => self.at += draws.below(300),
            _ => self.fleet.acked = self.fleet.live,
        }
        if draws.one_in(4) {
            self.can_be_aborted();
        }
    }
}

/// I5, I11: over the whole history.
fn whole(history: &[Record]) {
    let mut promotions: BTreeMap<&str, u32> = BTreeMap::new();
    let mut consumed: BTreeMap<&str, u64> = BTreeMap::new();
    for record in history {
        let id = record.rollout_id.as_str();
        if record.decision == Decision::Promote {
            *promotions.entry(id).or_default() += 1;
        }
        for Kept { event, .. } in &record.events {
            let Event::Tick(tick) = event else { continue };
            let Reading::Window(window) = &tick.reading else {
                continue;
            };
            let end = consumed.entry(id).or_default();
            assert!(window.from >= *end, "I11: {} before {end}", window.from);
            *end = window.to;
        }
    }
    assert!(promotions.values().all(|count| *count <= 1), "I5");
}

#[test]
fn random_rollouts_keep_the_invariants_and_their_histories_are_true() {
    let first = number("SERIN_MODEL_SEED").unwrap_or(1);
    let runs = number("SERIN_MODEL_RUNS").unwrap_or(RUNS);
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    let mut refused = 0;
    for seed in first..first + runs {
        let mut told = Told(seed, true);
        let mut draws = Draws(seed);
        let mut world = World::new();
        world.start(&mut draws);
        for _ in 0..EVENTS {
            world.happen(&mut draws);
        }
        whole(&world.history);
        if let Err(broken) = verify_by(&Script, &world.history) {
            panic!("{broken}");
        }
        for record in &world.history {
            *seen.entry(record.transition.clone()).or_default() += 1;
        }
        refused += world.refused;
        told.1 = false;
    }
    println!("{runs} runs: {seen:?}, {refused} commits refused");
    if runs >= RUNS {
        let all = [
            "t1",
            "t2",
            "t3",
            "t4",
            "t5",
            "t6",
            "t7",
            "t8",
            "t9",
            "t10",
            "t11",
            "t12",
            "t13",
            "t14",
            "t15",
            "t16",
            "t17",
            "t17a",
            "t18",
            "t19",
            "t20",
            "t21",
            "t22",
            "checkpoint",
            "gate",
            "rebase",
        ];
        let missing: Vec<_> = all
            .into_iter()
            .filter(|name| !seen.contains_key(*name))
            .collect();
        assert!(missing.is_empty(), "never seen: {missing:?}");
    }
}
