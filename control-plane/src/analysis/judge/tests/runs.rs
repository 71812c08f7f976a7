//! Seeded runs: how often the judge is wrong, and how soon it is right.

use super::*;
use crate::analysis::chance::Chance;

/// Runs of ten-second windows; of each the tick of a `fail`.
fn fails(
    runs: u64,
    ticks: u64,
    new: impl Fn(u64) -> Scene,
    draw: impl Fn(&mut Scene, u64) -> Judged,
) -> Vec<u64> {
    let mut failed = Vec::new();
    for seed in 0..runs {
        let mut scene = new(seed);
        let tick = (1..=ticks).find(|&tick| draw(&mut scene, tick).verdict == Verdict::Fail);
        failed.extend(tick);
    }
    failed
}

fn median(mut ticks: Vec<u64>) -> u64 {
    ticks.sort_unstable();
    ticks[ticks.len() / 2]
}

fn usual(seed: u64) -> Scene {
    Scene::new(plan(vec![errors()]), seed)
}

fn beyond(null: Null) -> AnalysisPlan {
    let of = Distribution::Ttft;
    let test = Test::Beyond {
        of,
        bounds: Bounds::Quantiles(vec![0.95]),
        null,
        tolerance: None,
    };
    plan(vec![metric("ttft", Mode::Enforce, 1.0, test)])
}

#[test]
fn a_candidate_like_the_stable_one_is_not_rolled_back() {
    let failed = fails(40, 180, usual, |scene, _| scene.tick(0.01, 0.01));
    assert!(failed.len() <= 2, "{failed:?}");
}

#[test]
fn five_percent_of_errors_are_found_within_the_time_promised() {
    let failed = fails(60, 60, usual, |scene, _| scene.tick(0.05, 0.01));
    assert!(failed.len() >= 58, "{failed:?}");
    assert!(median(failed) <= 14);
}

#[test]
fn both_arms_ninety_percent_slow_are_no_harm_at_ratio_two() {
    let new = |seed| {
        let mut scene = Scene::new(beyond(null(2.0, 0.05)), seed);
        scene.analysis = Analysis::default();
        scene.open(0.9);
        scene
    };
    let failed = fails(20, 200, new, |scene, _| scene.tick(0.9, 0.9));
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn harm_that_comes_late_is_found_as_soon_because_each_exposure_starts_a_component() {
    let late = |scene: &mut Scene, tick: u64| {
        if tick == 240 {
            scene.open(0.01);
        }
        scene.tick(if tick < 240 { 0.01 } else { 0.05 }, 0.01)
    };
    let failed = fails(20, 360, usual, late);
    assert!(failed.len() >= 19, "{failed:?}");
    let median = median(failed) - 239;
    assert!((5..=30).contains(&median), "{median} ticks after onset");
}

#[test]
fn a_canary_under_the_bar_is_not_rolled_back_by_accumulation() {
    let bar = || {
        let test = Test::Events {
            of: Events::Errors,
            null: null(0.0, 0.01),
            max: None,
            tolerance: None,
        };
        plan(vec![metric(
            "request-success-rate",
            Mode::Enforce,
            1.0,
            test,
        )])
    };
    let new = |seed| {
        let mut scene = Scene::new(bar(), seed);
        (scene.tick_ms, scene.rps) = (60_000, 20.0);
        scene
    };
    // A day of 0.9 %, then it breaks.
    let day =
        |scene: &mut Scene, tick: u64| scene.tick(if tick <= 1440 { 0.009 } else { 0.05 }, 0.01);
    let failed = fails(6, 1500, new, day);
    assert_eq!(failed.len(), 6);
    assert!(failed.iter().all(|&tick| tick > 1440), "{failed:?}");
}

/// Ten seconds of canary requests, each key at most once per arm.
fn capped(scene: &mut Scene, failing_keys: u64) -> Judged {
    let mut counts = scene.draw(0.01, 0.01);
    counts.canary.n += failing_keys;
    counts.canary.e += failing_keys;
    let measured = scene.measured(counts);
    scene.judge(&measured)
}

#[test]
fn one_failing_key_is_one_cause_and_fifty_are_harm() {
    let keys = |keys: u64| {
        move |scene: &mut Scene, tick: u64| {
            capped(scene, if (31..=33).contains(&tick) { keys } else { 0 })
        }
    };
    let one = fails(40, 90, usual, keys(1));
    assert!(one.len() <= 1, "{one:?}");
    let fifty = fails(10, 90, usual, keys(50));
    assert!(
        fifty.len() == 10 && fifty.iter().all(|&tick| (31..=33).contains(&tick)),
        "{fifty:?}"
    );
}

/// Windows in which failures come ten at a time.
fn clustered(chance: &mut Chance, n: u64, rate: f64) -> [u64; 2] {
    let clusters = chance.arrivals(n as f64 * rate / 10.0);
    [n, (clusters * 10).min(n)]
}

#[test]
fn failures_that_come_ten_at_a_time_are_tempered() {
    let new = |seed| {
        let mut scene = Scene::new(plan(vec![errors()]), seed);
        scene.stand.warming = true;
        for _ in 0..8 {
            let stable = clustered(&mut scene.chance, 475, 0.01);
            scene.see([25, 0], stable);
        }
        scene.stand.warming = false;
        scene
    };
    let draw = |scene: &mut Scene, _| {
        let (canary, stable) = (
            clustered(&mut scene.chance, 25, 0.01),
            clustered(&mut scene.chance, 475, 0.01),
        );
        scene.see(canary, stable)
    };
    let failed = fails(30, 180, new, draw);
    assert!(failed.len() <= 1, "{failed:?}");
    let mut scene = new(1);
    for tick in 0..100 {
        draw(&mut scene, tick);
    }
    let phi = scene.analysis.metrics[ERRORS].bounds[0].dispersion.phi();
    assert!((5.0..=14.0).contains(&phi), "{phi}");
}

#[test]
fn independent_failures_are_hardly_tempered() {
    for seed in 0..10 {
        let mut scene = usual(seed);
        for _ in 0..60 {
            scene.tick(0.01, 0.01);
        }
        let phi = scene.analysis.metrics[ERRORS].bounds[0].dispersion.phi();
        assert!(phi < 1.4, "{phi}");
    }
}
