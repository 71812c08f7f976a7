//! A rollout driven by hand: a route, a store of one, routers that obey, a source of metrics that
//! says what the test wants.

use serde_json::{Value as Json, json};
use serin_proto::v1;

use super::{
    invariants,
    source::{Mood, Script, read},
};
use crate::rollout::{
    event::{Effect, Event, FleetSeen, HookAnswer, Illegal, Reading, Step, Tick, Verb},
    machine::{Begin, Refused, Start, begin_by, step_by, wanted},
    record::{Actor, ActorKind, Record, Said, write},
    state::State,
    traffic,
    verify::verify_by,
};

/// Seconds between two ticks, the plan's interval.
pub(in crate::rollout) const TICK_S: u64 = 10;

/// The route, the store and the fleet around one rollout.
#[derive(Clone, Debug)]
pub(in crate::rollout) struct Drive {
    pub(in crate::rollout) state: State,
    pub(in crate::rollout) route: v1::Route,
    pub(in crate::rollout) history: Vec<Record>,
    /// Effects of the newest step.
    pub(in crate::rollout) effects: Vec<Effect>,
    pub(in crate::rollout) fleet: FleetSeen,
    pub(in crate::rollout) at: u64,
    started: u32,
}

pub(in crate::rollout) fn route() -> v1::Route {
    let target = |name: &str| v1::Target {
        name: name.to_owned(),
        ..v1::Target::default()
    };
    let weights = [
        ("gpt", 66.67),
        ("llama", 33.33),
        ("claude", 0.0),
        ("gemini", 0.0),
    ];
    v1::Route {
        name: "chat".to_owned(),
        targets: weights.iter().map(|(name, _)| target(name)).collect(),
        traffic: Some(v1::Traffic {
            weights: weights
                .iter()
                .map(|(name, w)| ((*name).to_owned(), *w))
                .collect(),
            fallback: vec!["gpt".to_owned()],
            ..v1::Traffic::default()
        }),
        timeouts: Some(v1::RouteTimeouts {
            total: "60s".to_owned(),
            ..v1::RouteTimeouts::default()
        }),
        ..v1::Route::default()
    }
}

/// Three steps with nothing to wait for but the verdict; `with` replaces members.
pub(in crate::rollout) fn plan(with: &Json) -> v1::Rollout {
    let mut plan = json!({
        "route": "chat", "candidate": "claude",
        "steps": [{"weight": 1}, {"weight": 5}, {"weight": 25}],
        "promotion": {"bake": "20s", "holdback": 1},
        "analysis": {"warmup": "10s"},
    });
    merge(&mut plan, with);
    serde_json::from_value(plan).unwrap()
}

fn merge(into: &mut Json, with: &Json) {
    match (into, with) {
        (Json::Object(into), Json::Object(with)) => {
            for (name, value) in with {
                merge(into.entry(name.clone()).or_insert(Json::Null), value);
            }
        }
        (into, with) => *into = with.clone(),
    }
}

/// Ticks and answers are the controller's, all else is a person's.
pub(in crate::rollout) fn whose(step: &Step) -> ActorKind {
    let last = step.state.events.last().map(|kept| &kept.event);
    match last {
        Some(Event::Tick(_) | Event::Hook { .. } | Event::Redefined { .. }) => ActorKind::Auto,
        _ => ActorKind::User,
    }
}

impl Drive {
    /// T1 of that plan.
    pub(in crate::rollout) fn new(with: Json) -> Self {
        let route = route();
        let plan = plan(&with);
        let start = Start {
            route: &route,
            plan: &plan,
            candidate_hash: "c0ffee",
            id: "rollout-1",
            salt: "salt-1",
            anew: false,
        };
        let Begin::Fresh(step) = begin_by(&Script, None, &start, 1_000).unwrap() else {
            panic!("nothing runs yet");
        };
        let mut drive = Self {
            state: step.state.clone(),
            route: route.clone(),
            history: Vec::new(),
            effects: Vec::new(),
            fleet: FleetSeen {
                live: 3,
                acked: 3,
                store_changed: false,
            },
            at: 1_000,
            started: 1,
        };
        drive.commit(None, *step, "start");
        drive
    }

    /// Another start on the same route.
    pub(in crate::rollout) fn start(
        &mut self,
        plan: &v1::Rollout,
        hash: &str,
        anew: bool,
    ) -> Result<&'static str, Refused> {
        let number = self.started + 1;
        let (id, salt) = (format!("rollout-{number}"), format!("salt-{number}"));
        let route = self.route.clone();
        let start = Start {
            route: &route,
            plan,
            candidate_hash: hash,
            id: &id,
            salt: &salt,
            anew,
        };
        let begun = begin_by(&Script, Some(&self.state), &start, self.at)?;
        self.started = number;
        let before = self.state.clone();
        Ok(match begun {
            Begin::Same => "same",
            Begin::Fresh(step) => self.commit(Some(&before), *step, "start").unwrap(),
            Begin::Replan(step) => self.commit(Some(&before), *step, "start").unwrap(),
            Begin::Supersede(both) => {
                let [old, new] = *both;
                self.commit(Some(&before), old, "start").unwrap();
                let ended = self.state.clone();
                self.commit(Some(&ended), new, "start");
                "superseded"
            }
        })
    }

    /// One tick with that to read, if anything is wanted.
    pub(in crate::rollout) fn tick(&mut self, mood: Mood) -> Option<&'static str> {
        self.at += TICK_S;
        let reading = self.reading(mood);
        self.tick_with(reading)
    }

    pub(in crate::rollout) fn tick_with(&mut self, reading: Reading) -> Option<&'static str> {
        let tick = Tick {
            elapsed_ms: TICK_S * 1_000,
            fleet: self.fleet,
            reading,
        };
        self.event(&Event::Tick(Box::new(tick))).unwrap()
    }

    /// Ticks until that transition; panics if it does not come in time.
    pub(in crate::rollout) fn until(&mut self, mood: Mood, name: &str) -> &mut Self {
        let mut seen = Vec::new();
        for _ in 0..200 {
            let moved = self.tick(mood);
            if moved == Some(name) {
                return self;
            }
            seen.extend(moved);
        }
        panic!(
            "no {name}, but {seen:?}; now {:?} {:?}",
            self.state.phase, self.state.verdict
        );
    }

    /// Up to Analysing of that step (from 0), with answers that open everything.
    pub(in crate::rollout) fn in_step(with: Json, step: u32) -> Self {
        let mut drive = Self::new(with);
        for _ in 0..100 {
            let analyses = super::super::exposure::sub(drive.state.phase)
                == Some(crate::rollout::state::Sub::Analysing);
            if drive.state.step == Some(step) && analyses {
                return drive;
            }
            drive.answer_all(HookAnswer::Yes);
            drive.tick(Mood::Healthy);
        }
        panic!("it stands in {:?}", drive.state.phase);
    }

    pub(in crate::rollout) fn verb(&mut self, verb: Verb) -> Result<Option<&'static str>, Illegal> {
        self.event(&Event::Verb(verb))
    }

    pub(in crate::rollout) fn event(
        &mut self,
        event: &Event,
    ) -> Result<Option<&'static str>, Illegal> {
        let step = step_by(&Script, &self.state, event, self.at)?;
        let before = self.state.clone();
        Ok(self.commit(Some(&before), step, ""))
    }

    /// The webhook of that name answers the question it was asked last.
    pub(in crate::rollout) fn answer(
        &mut self,
        name: &str,
        answer: HookAnswer,
    ) -> Option<&'static str> {
        let n = self.state.hooks.get(name).map_or(0, |hook| hook.n);
        let name = name.to_owned();
        self.event(&Event::Hook { name, n, answer }).unwrap()
    }

    /// Everybody who was asked answers; of type `rollback`, no.
    pub(in crate::rollout) fn answer_all(&mut self, answer: HookAnswer) {
        let hooks = self
            .state
            .plan
            .analysis
            .clone()
            .unwrap_or_default()
            .webhooks;
        for hook in hooks {
            let answer = if hook.r#type == "rollback" {
                HookAnswer::No
            } else {
                answer
            };
            self.answer(&hook.name, answer);
        }
    }

    /// The history so far is true.
    pub(in crate::rollout) fn verified(&self) {
        if let Err(broken) = verify_by(&Script, &self.history) {
            panic!("{broken}\n{:#?}", self.history);
        }
    }

    pub(in crate::rollout) fn traffic(&self) -> &v1::Traffic {
        self.route.traffic.as_ref().unwrap()
    }

    pub(in crate::rollout) fn is_all_acked(&self) -> bool {
        self.fleet.live > 0 && self.fleet.acked >= self.fleet.live
    }

    fn commit(&mut self, before: Option<&State>, step: Step, verb: &str) -> Option<&'static str> {
        let name = step.transition.as_ref().map(|moved| moved.name);
        let said = Said {
            actor: Actor {
                kind: whose(&step),
                id: "leader".to_owned(),
                via: "controller".to_owned(),
            },
            verb: verb.to_owned(),
            reason: None,
            nonce: format!("nonce-{}", self.history.len()),
            at: self.at,
        };
        self.effects.clone_from(&step.effects);
        let live = self.traffic().clone();
        match write(before, step.clone(), said) {
            Some(written) => {
                self.state = written.state;
                self.route.traffic = Some(traffic::wanted(&self.state, &live));
                self.history.push(written.record);
            }
            None => self.state = step.state,
        }
        invariants::hold(before, &self.state, self.history.last(), self.traffic());
        name
    }

    pub(in crate::rollout) fn reading(&self, mood: Mood) -> Reading {
        let wanted = wanted(&self.state, self.is_all_acked());
        read(&self.state, &wanted, mood, (self.at * 1_000, self.fleet))
    }
}
