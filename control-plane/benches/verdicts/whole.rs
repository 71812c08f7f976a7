//! Whole rollouts: the product's state machine moves the share, from the start to the end of the bake.

use serin_control_plane::rollout::{
    event::{Checked, Event, FleetSeen, Reading, Tick},
    machine::{Begin, Start, Wanted, begin, step, wanted},
    state::{Phase, State},
};
use serin_proto::v1;

use crate::{
    feed::{Feed, READING_S},
    scenario::Scenario,
    traffic::Traffic,
};

/// How a rollout ended.
pub(crate) struct End {
    pub(crate) phase: Phase,
    pub(crate) at_s: u64,
    /// The largest share it had, in percent.
    pub(crate) share: f64,
    /// Canary attempts that failed; the callers were answered by the fallback.
    pub(crate) failed: u64,
}

pub(crate) struct Ends {
    pub(crate) scenario: Scenario,
    pub(crate) ends: Vec<End>,
}

pub(crate) fn all(scenario: Scenario) -> Ends {
    let ends = (0..scenario.runs as u64).map(|seed| one(&scenario, seed));
    Ends {
        ends: ends.collect(),
        scenario,
    }
}

fn one(scenario: &Scenario, seed: u64) -> End {
    let mut state = started(&scenario.document);
    let mut feed = Feed::new(scenario, &scenario.plan);
    let mut traffic = Traffic::new(scenario, seed);
    let interval_s = scenario.plan.analysis.interval_ms / 1000;
    let mut end = End {
        phase: state.phase,
        at_s: 0,
        share: 0.0,
        failed: 0,
    };
    while !state.phase.is_terminal() && end.at_s < scenario.for_s {
        let cell = traffic.next(state.share / 100.0);
        end.at_s = cell.at_s;
        end.failed += cell.canary.e;
        feed.take(&cell);
        if !cell.at_s.is_multiple_of(interval_s) {
            continue;
        }
        let reading = reading(&state, &mut feed, cell.at_s);
        let tick = Event::Tick(Box::new(Tick {
            elapsed_ms: interval_s * 1000,
            fleet: FleetSeen {
                live: 1,
                acked: 1,
                ..FleetSeen::default()
            },
            reading,
        }));
        match step(&state, &tick, cell.at_s) {
            Ok(next) => state = next.state,
            Err(illegal) => panic!("a tick was refused: {illegal}"),
        }
        // They go into the history, which nobody reads here.
        state.events.clear();
        end.share = end.share.max(state.share);
    }
    end.phase = state.phase;
    end.at_s += READING_S;
    end
}

fn reading(state: &State, feed: &mut Feed, at_s: u64) -> Reading {
    match wanted(state, true) {
        Wanted::Nothing => Reading::None,
        Wanted::Check => Reading::Checked(Checked {
            canary_series_on: 1,
            ..Checked::default()
        }),
        Wanted::Opening(_) => Reading::Opening(Box::new(feed.opening(at_s))),
        Wanted::Window { .. } => {
            let from_s = state.cursor_ms / 1000;
            Reading::Window(Box::new(feed.window(from_s, at_s)))
        }
    }
}

fn started(plan: &v1::Rollout) -> State {
    let target = |name: &str| v1::Target {
        name: name.to_owned(),
        ..Default::default()
    };
    let traffic = v1::Traffic {
        weights: [("gpt".to_owned(), 100.0)].into(),
        ..Default::default()
    };
    let route = v1::Route {
        name: plan.route.clone(),
        targets: vec![target("gpt"), target(&plan.candidate)],
        traffic: Some(traffic),
        ..Default::default()
    };
    let start = Start {
        route: &route,
        plan,
        candidate_hash: "c3d4e5f60718",
        id: "7f3a09c2b1d4",
        salt: "salt",
        anew: false,
    };
    match begin(None, &start, 0) {
        Ok(Begin::Fresh(step)) => step.state,
        other => panic!("a rollout of this bench does not start: {other:?}"),
    }
}
