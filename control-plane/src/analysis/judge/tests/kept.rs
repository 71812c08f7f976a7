//! What the state keeps: small, exact, and never a number that is none.

use std::collections::BTreeMap;

use super::*;
use crate::analysis::{
    chance::Chance,
    explain::{explain, metrics},
    sample::{Answered, Arms, Moments},
    why,
};

fn rich() -> AnalysisPlan {
    let beyond = |of, bounds, null| Test::Beyond {
        of,
        bounds,
        null,
        tolerance: Some(0.1),
    };
    let quantiles = |quantiles: &[f64]| Bounds::Quantiles(quantiles.to_vec());
    let events = |of| Test::Events {
        of,
        null: null(1.0, 0.005),
        max: Some(0.1),
        tolerance: Some(0.02),
    };
    let mean = Test::Mean {
        of: Distribution::Cost,
        max_ratio: 1.25,
    };
    let both = quantiles(&[0.5, 0.95]);
    let ttft = beyond(Distribution::Ttft, both.clone(), null(2.0, 0.05));
    let tokens = quantiles(&[0.1, 0.9]);
    let tokens = beyond(Distribution::OutputTokens, tokens, null(1.0, 0.1));
    let limit = beyond(Distribution::Duration, Bounds::Fixed(60.0), null(0.0, 0.01));
    let query = Test::Query {
        promql: "score".to_owned(),
        interval_ms: 10_000,
        min: Some(0.5),
        max: None,
        failure_limit: 3,
    };
    plan(vec![
        metric(ERRORS, Mode::Enforce, 0.5, events(Events::Errors)),
        metric("rejections", Mode::Enforce, 0.1, events(Events::Rejections)),
        metric("abandoned", Mode::Enforce, 0.1, events(Events::Abandoned)),
        metric("ttft", Mode::Enforce, 0.1, ttft),
        metric("duration", Mode::Enforce, 0.1, limit),
        metric("output-tokens", Mode::Observe, 0.0, tokens),
        metric("cost", Mode::PauseOnly, 0.0, mean),
        metric("judge-score", Mode::Enforce, 0.0, query),
    ])
}

/// Ten steps of random windows with eight routers.
fn long_rollout() -> Scene {
    let mut scene = Scene::new(rich(), 3);
    scene.analysis = Analysis::default();
    for exposure in 0..11u32 {
        open(
            &scene.plan,
            11,
            &mut scene.analysis,
            &super::Opening {
                bounds: scene
                    .plan
                    .metrics
                    .iter()
                    .map(|m| (m.name.clone(), vec![1.0 / 3.0, 2.5]))
                    .collect(),
                ..Default::default()
            },
        );
        for _ in 0..30 {
            let counts = scene.draw(0.012, 0.01);
            let mut measured = scene.measured(counts);
            measured.stable_by_router = (0..8)
                .map(|i| {
                    let counts = scene.draw(0.01, 0.01).stable;
                    (format!("serin-router-7f9c4d5b6-{i}.serin.svc:9090"), counts)
                })
                .collect();
            let value = scene.chance.unit() / 3.0 + f64::from(exposure);
            let moments = |n: u64| Moments {
                n,
                sum: n as f64 * value,
                squares: n as f64 * value * value * 2.0,
            };
            let arms = Arms {
                canary: moments(25),
                stable: moments(475),
            };
            measured.means.insert("cost".to_owned(), arms);
            let answer = Answered::Value(value);
            measured.queries.insert("judge-score".to_owned(), answer);
            scene.judge(&measured);
        }
    }
    scene
}

#[test]
fn the_evidence_of_ten_steps_and_eight_metrics_is_small_and_exact() {
    let scene = long_rollout();
    let json = serde_json::to_string(&scene.analysis).unwrap();
    assert!(json.len() < 16 * 1024, "{} bytes", json.len());
    let again: Analysis = serde_json::from_str(&json).unwrap();
    assert_eq!(again, scene.analysis);
    assert_eq!(
        serde_json::from_str::<Analysis>("{}").unwrap(),
        Analysis::default()
    );
}

#[test]
fn nothing_becomes_no_number_from_any_counts() {
    let mut chance = Chance::seeded(11);
    let big = [0, 1, 2, 49, 300, 1 << 20, 1 << 53, u64::MAX];
    for seed in 0..150 {
        let mut scene = Scene::new(rich(), seed);
        for _ in 0..12 {
            let mut any = || big[chance.events(7, 0.4) as usize];
            let mut counts = window([any(), any()], [any(), any()]);
            if seed % 3 == 0 {
                counts.canary.e = counts.canary.n;
            }
            let mut measured = scene.measured(counts);
            let odd = [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e308, 1e-308];
            let moments = Moments {
                n: any(),
                sum: odd[(seed % 6) as usize],
                squares: odd[(seed / 6 % 6) as usize],
            };
            let arms = Arms {
                canary: moments,
                stable: moments,
            };
            measured.means.insert("cost".to_owned(), arms);
            measured.stable_by_router = vec![("a".to_owned(), counts.stable)];
            scene.stand.share = [Share::NONE, Share::ALL, scene.stand.share][(seed % 3) as usize];
            scene.judge(&measured);
            let total = total(&scene.analysis, &scene.plan);
            assert!(total.is_finite(), "{counts:?}");
            let json = serde_json::to_string(&scene.analysis).unwrap();
            assert!(!json.contains("null"), "{counts:?}: {json}");
            let told = explain(&scene.plan, scene.stand, &scene.analysis, &BTreeMap::new());
            let json = serde_json::to_string(&told).unwrap();
            assert!(!json.contains("null"), "{counts:?}: {json}");
            let json = serde_json::to_string(&metrics(&scene.plan, &scene.analysis)).unwrap();
            assert!(!json.contains("null"), "{counts:?}: {json}");
        }
    }
}

#[test]
fn only_a_redefined_metric_begins_anew() {
    let mut scene = long_rollout();
    let before = scene.analysis.clone();
    let mut new = scene.plan.clone();
    new.metrics.retain(|m| m.name != "abandoned");
    new.alpha = 0.5;
    for metric in &mut new.metrics {
        match &mut metric.test {
            Test::Events {
                of: Events::Rejections,
                null,
                ..
            } => null.margin = 0.02,
            Test::Events { .. } => metric.share = 0.9,
            _ => {}
        }
    }
    forget(&mut scene.analysis, "rejections");
    scene.plan = new.clone();
    let nothing = scene.measured(Window::default());
    scene.judge(&nothing);
    let after = &scene.analysis;
    assert_eq!(after.restarts, 1);
    assert_eq!(after.metrics[ERRORS], before.metrics[ERRORS]);
    assert_eq!(after.metrics["ttft"], before.metrics["ttft"]);
    assert!(!after.metrics.contains_key("abandoned"));
    let fresh = &after.metrics["rejections"].bounds[0];
    assert_eq!(fresh.harm.started, 1);
    assert!(fresh.harm.log_value(11).abs() < 1e-12);
    assert!((after.alpha_or(&new) - 0.01).abs() < 1e-12);
}

#[test]
fn what_was_only_observed_is_not_enforced_in_hindsight() {
    let mut old = plan(vec![errors()]);
    (old.metrics[0].mode, old.metrics[0].share) = (Mode::Observe, 0.0);
    let mut scene = Scene::new(old, 1);
    scene.see([400, 80], [7600, 76]);
    let new = plan(vec![errors()]);
    scene.plan = new.clone();
    let nothing = scene.measured(Window::default());
    scene.judge(&nothing);
    assert!(total(&scene.analysis, &new).abs() < 1e-9);
    assert_eq!(scene.analysis.restarts, 1);
}

#[test]
fn what_comes_with_another_plan_is_a_restart_and_alpha_stays_whole() {
    let named = |name: &str, share| {
        let mut errors = errors();
        (errors.name, errors.share) = (name.to_owned(), share);
        errors
    };
    let mut scene = Scene::new(plan(vec![named("errors", 1.0)]), 1);
    scene.see([25, 1], [475, 5]);
    assert_eq!(scene.analysis.restarts, 0);
    // errors keeps the share it has; 1.6 are given in all.
    scene.plan = plan(vec![named("errors", 0.4), named("abandoned", 0.6)]);
    for _ in 0..30 {
        scene.see([25, 1], [475, 5]);
        let log = |metric: usize| scene.analysis.log_evidence(&scene.plan.metrics[metric]);
        let mixed = (log(0).exp() + 0.6 * log(1).exp()) / 1.6;
        let found = total(&scene.analysis, &scene.plan).exp();
        assert!((found / mixed - 1.0).abs() < 1e-9, "{found} {mixed}");
    }
    let threshold = |metric: usize| {
        let metric = &scene.plan.metrics[metric];
        scene.analysis.log_threshold(&scene.plan, metric)
    };
    assert!((threshold(0).exp() - 160.0).abs() < 1e-6);
    assert!((threshold(1).exp() - 160.0 / 0.6).abs() < 1e-6);
    assert_eq!(scene.analysis.restarts, 1);
    // One that left and returns begins anew too, at the next exposure as well.
    scene.plan = plan(vec![named("errors", 0.4)]);
    scene.see([25, 1], [475, 5]);
    scene.plan = plan(vec![named("errors", 0.4), named("abandoned", 0.6)]);
    scene.open(0.01);
    assert_eq!(scene.analysis.restarts, 2);
}

#[test]
fn windows_of_two_bounds_are_not_compared() {
    let slow = Test::Beyond {
        of: Distribution::Duration,
        bounds: Bounds::Quantiles(vec![0.95]),
        null: null(2.0, 0.05),
        tolerance: None,
    };
    let slow = metric("duration", Mode::Enforce, 0.5, slow);
    let mut scene = Scene::new(plan(vec![errors(), slow]), 1);
    scene.see([25, 1], [475, 24]);
    let opening = |at| Opening {
        bounds: [("duration".to_owned(), vec![at])].into(),
        ..Opening::default()
    };
    let sum = |scene: &Scene| scene.analysis.metrics["duration"].bounds[0].dispersion.sum;
    // Another bound, beyond which there are more: nothing has jumped.
    open(&scene.plan, 4, &mut scene.analysis, &opening(0.5));
    scene.see([25, 5], [475, 100]);
    assert!(sum(&scene).abs() < 1e-9, "{}", sum(&scene));
    // The same bound again: what jumps has jumped.
    open(&scene.plan, 4, &mut scene.analysis, &opening(0.5));
    scene.see([25, 5], [475, 24]);
    assert!(sum(&scene) > 10.0, "{}", sum(&scene));
}

#[test]
fn numbers_for_people_are_short() {
    let table = [
        (why::percent(0.0093), "0.93 %"),
        (why::percent(0.1), "10 %"),
        (why::lasting(124_000.0), "2m4s"),
        (why::lasting(17_400.0), "18s"),
        (why::lasting(7_260_000.0), "2h1m"),
        (why::lasting(f64::INFINITY), "over 30 days"),
        (why::evidence(0.4f64.ln()), "0.4"),
        (why::evidence(167f64.ln()), "167"),
        (why::evidence(1e9), "3.8e260"),
    ];
    for (text, expected) in table {
        assert_eq!(text, expected);
    }
}

#[test]
fn what_is_shown_of_a_metric_is_what_it_is_judged_by() {
    let mut scene = Scene::new(plan(vec![errors()]), 1);
    scene.stand.certificate = true;
    scene.see([164, 2], [3102, 29]);
    let told = explain(&scene.plan, scene.stand, &scene.analysis, &BTreeMap::new());
    let json = serde_json::to_value(&told).unwrap();
    let row = &json["metrics"][0];
    assert_eq!(row["text"], "≤ stable + 0.5 points");
    assert_eq!(row["canary"]["n"], 164);
    assert_eq!(row["stable"]["e"], 29);
    let log = row["logEvidence"].as_f64().unwrap();
    assert!((log - scene.analysis.log_evidence(&scene.plan.metrics[0])).abs() < 1e-12);
    let limit = row["limit"].as_f64().unwrap();
    assert!((limit - 1.0 / 0.006).abs() < 1e-6, "{limit}");
    let allowed = row["allowed"].as_f64().unwrap();
    assert!((0.013..0.017).contains(&allowed), "{allowed}");
    assert_eq!(json["total"]["text"], "rolls back at 100");
    assert_eq!(json["guards"]["failFast"]["samples"], 164);
    // 136 samples at 16 a second, or longer for the certificate.
    let eta = told.eta_seconds.unwrap();
    assert!((9..=60).contains(&eta), "{eta}");
    let metrics = metrics(&scene.plan, &scene.analysis);
    assert_eq!(metrics, told.metrics);
}
