//! What the metrics had to show is made again from the windows, in the records of every transition:
//! also of the one that ends a rollout because another takes its place.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use super::rehashed;
use crate::{
    analysis::sample::{Answered, Arms, Counts, ERRORS, Measured, Moments},
    rollout::{
        event::{FleetSeen, Reading, Step, Tick},
        machine::{
            Begin, Start, begin, step,
            tests::{
                drive::{TICK_S, plan, route, whose},
                source::{Mood, read},
            },
            wanted,
        },
        record::{Actor, Record, Said, VERSION, evidence, write},
        state::State,
        traffic,
        verify::{Broken, verify},
    },
};

const FLEET: FleetSeen = FleetSeen {
    live: 3,
    acked: 3,
    store_changed: false,
};

/// A rollout that real statistics judge, and what it left.
struct Told {
    state: Option<State>,
    route: serin_proto::v1::Route,
    history: Vec<Record>,
    at: u64,
}

impl Told {
    fn commit(&mut self, step: Step) {
        let said = Said {
            actor: Actor {
                kind: whose(&step),
                id: "leader".to_owned(),
                via: "controller".to_owned(),
            },
            verb: String::new(),
            reason: None,
            nonce: self.history.len().to_string(),
            at: self.at,
        };
        let state = match write(self.state.as_ref(), step.clone(), said) {
            Some(written) => {
                self.history.push(written.record);
                written.state
            }
            None => step.state,
        };
        let live = self.route.traffic.clone().unwrap();
        self.route.traffic = Some(traffic::wanted(&state, &live));
        self.state = Some(state);
    }

    fn start(&mut self, id: &str) {
        let plan = plan(&json!({"analysis": {"metrics": [
            {"name": "errors", "share": 0.6, "tolerance": 2, "max": 50},
            {"name": "cost", "maxRatio": 1.25, "mode": "pauseOnly"},
            {"name": "score", "interval": "10s", "thresholdRange": {"min": 0.5},
             "query": "avg(score)"},
        ]}}));
        let start = Start {
            route: &self.route.clone(),
            plan: &plan,
            candidate_hash: "c0ffee",
            id,
            salt: "salt",
            anew: true,
        };
        match begin(self.state.as_ref(), &start, self.at).unwrap() {
            Begin::Fresh(step) => self.commit(*step),
            Begin::Supersede(both) => both.into_iter().for_each(|step| self.commit(step)),
            other => panic!("{other:?}"),
        }
    }

    fn tick(&mut self) {
        self.at += TICK_S;
        let state = self.state.clone().unwrap();
        let reading = read(
            &state,
            &wanted(&state, true),
            Mood::Healthy,
            (self.at * 1_000, FLEET),
        );
        let tick = Tick {
            elapsed_ms: TICK_S * 1_000,
            fleet: FLEET,
            reading: match reading {
                Reading::Window(window) => Reading::Window(Box::new(counted(*window, self.at))),
                other => other,
            },
        };
        let event = crate::rollout::event::Event::Tick(Box::new(tick));
        self.commit(step(&state, &event, self.at).unwrap());
    }

    /// Ticks until the newest record is one of that transition.
    fn until(&mut self, name: &str, times: usize) {
        for _ in 0..200 {
            let seen = self.history.iter().filter(|r| r.transition == name);
            if seen.count() == times {
                return;
            }
            self.tick();
        }
        panic!("no {name}: {:?}", self.state.as_ref().unwrap().verdict);
    }
}

/// Both arms fail alike, and the candidate costs a tenth more.
fn counted(window: Measured, at: u64) -> Measured {
    let arm = |n: u64, e: u64| Counts { n, e };
    let spent = |n: u64, each: f64| Moments {
        n,
        sum: n as f64 * each,
        squares: n as f64 * each * each * 1.5,
    };
    let errors = Arms {
        canary: arm(150, 1 + at % 3),
        stable: arm(3_000, 30 + at % 7),
    };
    let cost = Arms {
        canary: spent(150, 0.011),
        stable: spent(3_000, 0.01),
    };
    Measured {
        counts: BTreeMap::from([(ERRORS.to_owned(), vec![errors])]),
        means: BTreeMap::from([("cost".to_owned(), cost)]),
        queries: BTreeMap::from([("score".to_owned(), Answered::Value(0.9))]),
        ended: Arms {
            canary: 150,
            stable: 3_000,
        },
        ..window
    }
}

/// Two steps are passed; then a rollout takes its place, and its first step begins.
fn history() -> Vec<Record> {
    let mut told = Told {
        state: None,
        route: route(),
        history: Vec::new(),
        at: 1_000,
    };
    told.start("first");
    told.until("t7", 2);
    told.start("second");
    told.until("t6", 3);
    told.history
}

fn position(history: &[Record], name: &str) -> usize {
    let at = history.iter().position(|r| r.transition == name);
    at.unwrap_or_else(|| panic!("no {name}"))
}

/// The pointers of everything that is no object.
fn leaves(json: &Json, at: &str, all: &mut Vec<String>) {
    match json {
        Json::Object(members) => {
            let members = members.iter();
            members.for_each(|(name, value)| leaves(value, &format!("{at}/{name}"), all));
        }
        _ => all.push(at.to_owned()),
    }
}

fn broken(history: Vec<Record>) -> Broken {
    verify(&rehashed(history)).unwrap_err()
}

#[test]
fn a_record_says_what_each_metric_had_to_show_and_a_true_one_is_found_true() {
    let history = history();
    let passed = &history[position(&history, "t7")].evidence;
    let n = passed["errors"]["n"]["canary"].as_u64().unwrap();
    assert!(
        n >= 150 && passed["errors"]["n"]["stable"] == 20 * n,
        "{passed}"
    );
    assert!(
        passed["errors"]["e"]["canary"].as_u64() > Some(0),
        "{passed}"
    );
    assert!(passed["errors"]["logE"].as_f64() < Some(0.0), "{passed}");
    let limit = passed["errors"]["limit"].as_f64().unwrap();
    assert!(
        (limit - (1.0 / (0.01 * 0.6_f64)).ln()).abs() < 1e-9,
        "{limit}"
    );
    assert_eq!(passed["cost"]["n"]["canary"], n);
    let mean = passed["cost"]["mean"]["canary"].as_f64().unwrap();
    assert!((mean - 0.011).abs() < 1e-9, "{passed}");
    assert_eq!(passed["cost"].get("e"), None);
    let score = json!({"value": {"canary": 0.9}, "failed": 0});
    assert_eq!(passed["score"], score);
    let verified = verify(&history).unwrap();
    assert_eq!(verified.evidence, history.len() as u64);
}

#[test]
fn a_start_that_takes_a_rollouts_place_ends_it_with_its_own_evidence() {
    let history = history();
    let at = position(&history, "t12");
    let (ended, begun) = (&history[at], &history[at + 1]);
    assert_eq!(
        (&*ended.rollout_id, &*begun.rollout_id),
        ("first", "second")
    );
    assert!(ended.evidence["errors"]["n"]["canary"].as_u64() > Some(0));
    assert_eq!(begun.evidence["errors"].get("n"), None, "nothing was seen");
    assert_eq!(begun.evidence, evidence(begun.state.as_ref().unwrap()));
}

#[test]
fn a_lie_in_any_field_of_any_evidence_is_found_and_named() {
    let history = history();
    verify(&rehashed(history.clone())).unwrap();
    let (mut named, mut seen) = (0, BTreeSet::<&str>::new());
    for (i, record) in history.iter().enumerate() {
        if !seen.insert(&*record.transition) {
            continue;
        }
        // What comes later is not looked at any more.
        let history = &history[..=i];
        let mut all = Vec::new();
        leaves(&record.evidence, "", &mut all);
        for at in &all {
            let mut changed = history.to_vec();
            let member = changed[i].evidence.pointer_mut(at).unwrap();
            *member = match member.as_u64() {
                Some(count) if !at.contains("log") => json!(count + 1),
                _ => json!(member.as_f64().unwrap() * 1.00001 + 1e-8),
            };
            let lie = member.to_string();
            let found = broken(changed);
            let expected = format!("/evidence{at}");
            assert_eq!((found.seq, found.difference.at), (record.seq, expected));
            assert_eq!(found.difference.stored, lie);
            named += 1;
        }
        for (lie, at) in [
            (json!({}), "/evidence/cost"),
            (Json::Null, "/evidence"),
            (json!("none"), "/evidence"),
        ] {
            let mut changed = history.to_vec();
            changed[i].evidence = lie;
            let found = broken(changed);
            assert_eq!((found.seq, &*found.difference.at), (record.seq, at));
        }
        let mut changed = history.to_vec();
        changed[i].evidence["errors"]["more"] = json!(0);
        changed[i].evidence["another"] = json!({});
        let found = broken(changed);
        assert_eq!(
            (found.seq, &*found.difference.at),
            (record.seq, "/evidence/another")
        );
    }
    // Each field of three metrics, by the record of each transition.
    assert!(seen.contains("t12") && named > 40, "{named}");
}

#[test]
fn what_an_older_program_began_is_checked_as_a_chain_and_a_newer_ones_is_refused() {
    let mut history = history();
    let all = history.len() as u64;
    let second = history.iter().rposition(|r| r.transition == "t1").unwrap();
    assert_eq!(history[0].version, VERSION);
    // As it was written before there were versions, by a machine with other words.
    for record in &mut history[..second] {
        record.version = 0;
        record.evidence = json!({});
        assert!(!String::from_utf8_lossy(&record.bytes()).contains("version"));
    }
    let verified = verify(&rehashed(history.clone())).unwrap();
    let old = second as u64;
    assert_eq!((verified.outdated, verified.evidence), (old, all - old));
    assert_eq!(verified.rollouts, 1);
    let mut lied = rehashed(history.clone());
    lied[1].reason.push('!');
    assert_eq!(verify(&lied).unwrap_err().difference.at, "/hash");

    history[second + 1].version = 0;
    let found = broken(history.clone());
    assert_eq!(
        found.difference.at, "/version",
        "the mark is no way around: {found}"
    );
    history[second + 1].version = VERSION + 1;
    let found = broken(history);
    assert_eq!(found.difference.at, "/version");
}
