//! All judges watch the same traffic, run after run; each is left when it has taken the candidate back.

use crate::{
    ours::Serin,
    rivals::{Arbr, Flagger, Together, ZTest},
    rule::Rule,
    scenario::Scenario,
    traffic::{CELL_S, Traffic},
};

pub(crate) const RULES: [&str; 5] = ["Serin", "Flagger", "arbr", "Together", "z-test"];

/// What came of a scenario: for each rule, when it took the candidate back in each run that it did.
pub(crate) struct Outcome {
    pub(crate) scenario: Scenario,
    pub(crate) taken_s: [Vec<u64>; RULES.len()],
}

impl Outcome {
    /// Rollbacks before the onset of harm are false ones.
    pub(crate) fn early(&self, rule: usize) -> usize {
        let onset_s = self.scenario.onset_s.unwrap_or(u64::MAX);
        self.taken_s[rule]
            .iter()
            .filter(|&&at| at <= onset_s)
            .count()
    }

    /// Seconds after onset, rising.
    pub(crate) fn delays(&self, rule: usize) -> Vec<u64> {
        let onset_s = self.scenario.onset_s.unwrap_or(u64::MAX);
        let late = self.taken_s[rule].iter().filter(|&&at| at > onset_s);
        let mut delays: Vec<u64> = late.map(|at| at - onset_s).collect();
        delays.sort_unstable();
        delays
    }
}

/// The value below which that part of the runs lies; `None`: not so many have one.
pub(crate) fn quantile(rising: &[u64], runs: usize, part: f64) -> Option<u64> {
    let place = (runs as f64 * part).ceil() as usize;
    rising.get(place.max(1) - 1).copied()
}

pub(crate) fn all_rules(scenario: Scenario) -> Outcome {
    let mut taken_s: [Vec<u64>; RULES.len()] = Default::default();
    for seed in 0..scenario.runs as u64 {
        for (rule, taken) in one(&scenario, seed).into_iter().enumerate() {
            taken_s[rule].extend(taken);
        }
    }
    Outcome { scenario, taken_s }
}

fn one(scenario: &Scenario, seed: u64) -> [Option<u64>; RULES.len()] {
    let mut traffic = Traffic::new(scenario, seed);
    let mut rules: [Box<dyn Rule>; RULES.len()] = [
        Box::new(Serin::new(scenario)),
        Box::new(Flagger::new()),
        Box::new(Arbr::new()),
        Box::new(Together::new()),
        Box::new(ZTest::new()),
    ];
    let mut taken = [None; RULES.len()];
    let mut share = 0.0;
    for from_s in (0..scenario.for_s).step_by(CELL_S as usize) {
        if let Some((_, next)) = scenario.steps.iter().find(|(at_s, _)| *at_s == from_s) {
            share = *next;
            for (rule, taken) in rules.iter_mut().zip(&mut taken) {
                if from_s > 0 && taken.is_none() {
                    *taken = rule.end(from_s);
                }
                rule.step(from_s, share);
            }
        }
        let cell = traffic.next(share);
        for (rule, taken) in rules.iter_mut().zip(&mut taken) {
            if taken.is_none() {
                *taken = rule.see(&cell);
            }
        }
        if taken.iter().all(Option::is_some) {
            break;
        }
    }
    for (rule, taken) in rules.iter_mut().zip(&mut taken) {
        if taken.is_none() {
            *taken = rule.end(scenario.for_s);
        }
    }
    taken
}
