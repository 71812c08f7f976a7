//! A state has room for the largest plan, the largest change of it, and all the evidence of both:
//! what would not fit is refused at its start, not in the middle of a rollout.

use std::collections::BTreeMap;

use serde_json::json;
use serin_proto::v1;

use super::drive::route;
use crate::{
    analysis::sample::{Arms, Counts, ERRORS, Gauges, Measured, Moments, Opening, REJECTIONS},
    rollout::{
        event::{Checked, Event, FleetSeen, Reading, Step, Tick},
        machine::{Begin, Refused, Start, Wanted, begin, step, wanted},
        plan::{Bounds, Plan, Test},
        record::{Actor, ActorKind, Said, write},
        state::{BYTES_MAX, State},
    },
};

/// As many as are told apart.
const ROUTERS: u32 = 32;

/// A plan with so many quantiles of each latency, padded with metadata to so many bytes.
fn plan(quantiles: usize, bytes: usize) -> v1::Rollout {
    let quantiles: Vec<f64> = (0..quantiles).map(|i| 0.5 + 0.05 * i as f64).collect();
    let beyond =
        |name: &str| json!({"name": name, "quantiles": quantiles, "margin": {"points": 5}});
    let mut metrics = vec![
        json!({"name": "errors", "max": 50}),
        json!({"name": "rejections", "max": 50}),
        json!({"name": "abandoned", "max": 50}),
        json!({"name": "cost", "maxRatio": 9}),
    ];
    if !quantiles.is_empty() {
        metrics.extend(["ttft", "duration", "output-tokens"].map(beyond));
    }
    let plan = |pad: usize| {
        let hook = json!({"name": "told", "type": "event", "url": "http://a.example/",
            "metadata": {"pad": "x".repeat(pad)}});
        let json = json!({
            "route": "chat", "candidate": "claude",
            "steps": [{"weight": 1, "minDuration": "3600s"}, {"weight": 5}, {"weight": 25}],
            "analysis": {"warmup": "10s", "metrics": metrics, "webhooks": [hook]},
        });
        serde_json::from_value::<v1::Rollout>(json).unwrap()
    };
    let bare = serde_json::to_vec(&plan(0)).unwrap().len();
    plan(bytes.saturating_sub(bare))
}

fn started(existing: Option<&State>, plan: &v1::Rollout) -> Result<State, Refused> {
    let route = route();
    let start = Start {
        route: &route,
        plan,
        candidate_hash: "c0ffee",
        id: "rollout-1",
        salt: "salt-1",
        anew: false,
    };
    Ok(match begin(existing, &start, 1_000)? {
        Begin::Fresh(step) | Begin::Replan(step) => kept(existing, *step),
        other => panic!("{other:?}"),
    })
}

/// As it is stored.
fn kept(before: Option<&State>, step: Step) -> State {
    let said = Said {
        actor: Actor {
            kind: ActorKind::User,
            id: "somebody".to_owned(),
            via: "api".to_owned(),
        },
        verb: String::new(),
        reason: None,
        nonce: "nonce".to_owned(),
        at: 1_000,
    };
    let state = step.state.clone();
    write(before, step, said).map_or(state, |written| written.state)
}

/// Ticks until it is judged and then so often, with counts of many digits; the largest state.
fn largest(mut state: State, windows: u64) -> (usize, State) {
    let (mut largest, mut judged) = (0, 0);
    for i in 0_u64..400 {
        let reading = reading(&state, i);
        judged += u64::from(matches!(reading, Reading::Window(_)));
        let fleet = FleetSeen {
            live: ROUTERS,
            acked: ROUTERS,
            ..FleetSeen::default()
        };
        let tick = Tick {
            elapsed_ms: 10_000,
            fleet,
            reading,
        };
        let event = Event::Tick(Box::new(tick));
        let step = step(&state, &event, 1_000 + 10 * i).unwrap();
        state = kept(Some(&state), step);
        largest = largest.max(serde_json::to_vec(&state).unwrap().len());
        if judged > windows {
            return (largest, state);
        }
    }
    panic!("it was never judged: {state:#?}");
}

fn reading(state: &State, i: u64) -> Reading {
    let plan = Plan::compile(&state.plan).unwrap();
    match wanted(state, true) {
        Wanted::Nothing => Reading::None,
        Wanted::Check => Reading::Checked(Checked {
            canary_series_on: ROUTERS,
            ..Checked::default()
        }),
        Wanted::Opening(_) => Reading::Opening(Box::new(Opening {
            now: 1_800_000_000_000 + 10_000 * i,
            bounds: per_bound(&plan, |n| 0.123_456_789_012_345 + n as f64).collect(),
            ..Opening::default()
        })),
        Wanted::Window { .. } => Reading::Window(Box::new(window(state, &plan, i))),
    }
}

fn per_bound<T>(
    plan: &Plan,
    value: impl Fn(usize) -> T + Copy,
) -> impl Iterator<Item = (String, Vec<T>)> {
    plan.analysis.metrics.iter().filter_map(move |metric| {
        let bounds = match &metric.test {
            Test::Events { .. } => 1,
            Test::Beyond { bounds, .. } => match bounds {
                Bounds::Quantiles(all) => all.len(),
                Bounds::Fixed(_) => 1,
            },
            _ => return None,
        };
        Some((metric.name.clone(), (0..bounds).map(value).collect()))
    })
}

fn window(state: &State, plan: &Plan, i: u64) -> Measured {
    let counts = Arms {
        canary: Counts {
            n: 1_234_567 + i,
            e: 12_345 + 7 * i,
        },
        stable: Counts {
            n: 1_234_567_890 + i,
            e: 12_345_678 + 977 * i,
        },
    };
    let moments = Moments {
        n: 1_234_567_890,
        sum: 1_234_567.890_123_4,
        squares: 12_345.678_901_234_5,
    };
    let mut by_metric: BTreeMap<_, _> = per_bound(plan, |_| counts).collect();
    for always in [ERRORS, REJECTIONS] {
        by_metric.entry(always.to_owned()).or_insert(vec![counts]);
    }
    let router = |r| (format!("{}-{r:02}", "router".repeat(10)), counts.stable);
    Measured {
        from: state.cursor_ms,
        to: 1_800_000_000_000 + 10_000 * i,
        counts: by_metric,
        means: [(
            "cost".to_owned(),
            Arms {
                canary: moments,
                stable: moments,
            },
        )]
        .into(),
        ended: Arms {
            canary: 1_234_567,
            stable: 1_234_567_890,
        },
        stable_by_router: (0..ROUTERS).map(router).collect(),
        gauges: Gauges {
            fresh: ROUTERS,
            live: ROUTERS,
            ..Gauges::default()
        },
        ..Measured::default()
    }
}

#[test]
fn what_is_accepted_stays_within_the_size_of_a_state_and_what_might_not_is_refused() {
    // Quantiles of each latency, bytes of the plan, bytes of its change; whether both are taken.
    let table = [
        (0, 1_000, 1_000, (true, true)),
        (1, 2_000, 2_000, (true, true)),
        (1, 8_100, 1_000, (true, true)),
        (1, 4_000, 4_000, (true, true)),
        (1, 8_100, 8_100, (true, false)),
        (4, 1_500, 1_500, (true, true)),
        (4, 8_100, 8_100, (false, false)),
        (8, 8_100, 8_100, (false, false)),
    ];
    for (quantiles, bytes, changed_bytes, taken) in table {
        let case = format!("{quantiles} quantiles, {bytes} bytes, then {changed_bytes}");
        let state = match started(None, &plan(quantiles, bytes)) {
            Ok(state) => state,
            Err(refused) => {
                is_too_large(&refused, "fewer quantiles");
                assert!(!taken.0, "{case}: {refused:?}");
                continue;
            }
        };
        assert!(taken.0, "{case}");
        let (first, state) = largest(state, 30);
        assert!(first <= BYTES_MAX, "{case}: {first}");
        let mut changed = plan(quantiles, changed_bytes);
        changed.progress_deadline = "601s".to_owned();
        let state = match started(Some(&state), &changed) {
            Ok(state) => state,
            Err(refused) => {
                is_too_large(&refused, "planPolicy: restart");
                assert!(!taken.1, "{case}: {refused:?}");
                continue;
            }
        };
        assert!(taken.1 && state.next_plan.is_some(), "{case}");
        let (second, _) = largest(state, 30);
        assert!(second <= BYTES_MAX, "{case}: {second}");
    }
}

fn is_too_large(refused: &Refused, advice: &str) {
    let Refused::Invalid(faults) = refused else {
        panic!("{refused:?}");
    };
    let [fault] = &faults[..] else {
        panic!("{faults:?}");
    };
    assert_eq!(fault.code, "too_large");
    assert!(fault.message.contains(advice), "{fault:?}");
}
