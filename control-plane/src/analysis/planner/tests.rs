//! How long a plan takes at a rate: tables.

use serin_proto::unit::Share;

use super::*;
use crate::rollout::plan::{OnFail, PlanPolicy, Promotion};

fn plan(share: f64, certificate: bool) -> Plan {
    let share = Share::try_from(share).unwrap();
    let step = PlanStep {
        share,
        min_duration_ms: 300_000,
        min_samples: 300,
        gate: None,
        certificate,
    };
    Plan {
        route: "chat".to_owned(),
        candidate: "claude".to_owned(),
        steps: vec![step; 3],
        promotion: Promotion {
            gate: None,
            bake_ms: 900_000,
            holdback: Share::NONE,
            undo_window_ms: 0,
            step: None,
        },
        analysis: crate::analysis::judge::tests::scene::plan(vec![
            crate::analysis::judge::tests::scene::errors(),
        ]),
        on_fail: OnFail::Rollback,
        policy: PlanPolicy::NextStep,
        progress_deadline_ms: 600_000,
        hash: String::new(),
    }
}

fn present(per_s: f64) -> Present {
    Present {
        per_s,
        errors: 0.01,
        reading_delay_ms: 10_000,
    }
}

#[test]
fn a_forecast_is_near_what_simulations_find() {
    let forecast = forecast(&plan(5.0, false), present(50.0));
    let step = &forecast.steps[0];
    assert_eq!((step.samples, step.least_ms), (750, Some(300_000)));
    assert_eq!(forecast.least_ms, Some(1_800_000));
    // 1 → 5 %: simulated 115 s in the median, and 15 s until it is read.
    let five = step.detections[0];
    assert!((0.049..0.051).contains(&five.errors));
    assert!((100_000..170_000).contains(&five.ms), "{five:?}");
    let all = step.detections[2];
    assert!(all.samples < 10 && all.ms < 20_000, "{all:?}");
}

#[test]
fn thin_traffic_makes_it_long_and_none_impossible() {
    let thin = forecast(&plan(5.0, false), present(5.0));
    assert_eq!(thin.steps[0].least_ms, Some(1_200_000));
    let certified = forecast(&plan(5.0, true), present(5.0));
    assert!(certified.steps[0].least_ms > Some(1_200_000));
    let none = forecast(&plan(5.0, false), present(0.0));
    assert_eq!((none.least_ms, none.steps[0].detections.len()), (None, 0));
    // The smaller arm decides.
    let most = forecast(&plan(99.0, false), present(50.0));
    assert_eq!(most.steps[0].least_ms, Some(600_000));
}
