//! Verdicts, window by window: made-up counts in, the word and its reason out.

mod checks;
mod guards;
mod kept;
mod runs;
pub(in crate::analysis) mod scene;

use serin_proto::unit::Share;

use self::scene::{Scene, errors, metric, null, plan, window};
use super::*;
use crate::{
    analysis::sample::{Gauges, Trouble, Untold},
    rollout::plan::{Bounds, Distribution},
};

#[test]
fn a_pass_needs_samples_of_both_arms() {
    let mut scene = Scene::new(plan(vec![errors()]), 1);
    let judged = scene.see([110, 1], [2000, 20]);
    assert_eq!(judged.verdict, Verdict::Inconclusive);
    assert_eq!(
        judged.why,
        "errors has 110 of 300 canary samples; at 11/s enough in 18s"
    );
    let judged = scene.see([200, 2], [4000, 40]);
    assert_eq!(judged.verdict, Verdict::Pass);
    assert!(
        judged
            .why
            .starts_with("errors 3/310 = 0.97 %, stable 60/6000 = 1 %")
    );

    scene.open(0.01);
    let judged = scene.see([400, 4], [20, 0]);
    assert_eq!(judged.verdict, Verdict::Inconclusive);
    assert!(
        judged
            .why
            .starts_with("errors has 20 of 300 stable samples"),
        "{}",
        judged.why
    );
    // A bake has a thin control and asks for none.
    scene.stand.min_samples = 0;
    assert_eq!(scene.see([40, 0], [0, 0]).verdict, Verdict::Pass);
}

#[test]
fn a_bake_without_a_request_is_no_pass() {
    let mut scene = Scene::new(plan(vec![errors()]), 1);
    scene.see([400, 4], [7600, 76]);
    scene.open(0.01);
    scene.stand.min_samples = 0;
    for _ in 0..90 {
        let judged = scene.see([0, 0], [0, 0]);
        assert_eq!(judged.verdict, Verdict::Inconclusive);
        assert_eq!(judged.why, "errors has 0 of 1 canary samples");
    }
    assert_eq!(scene.see([1, 0], [0, 0]).verdict, Verdict::Pass);
}

#[test]
fn harm_fails_and_says_how_much() {
    let mut scene = Scene::new(plan(vec![errors()]), 1);
    let mut judged = scene.see([25, 1], [475, 5]);
    for _ in 0..30 {
        judged = scene.see([25, 3], [475, 5]);
        if judged.verdict == Verdict::Fail {
            break;
        }
    }
    assert_eq!(judged.verdict, Verdict::Fail, "{}", judged.why);
    assert!(judged.guard.is_none());
    assert!(
        judged.why.starts_with("errors ") && judged.why.contains("evidence of harm"),
        "{}",
        judged.why
    );
}

#[test]
fn a_warm_up_is_consumed_and_not_judged() {
    let mut scene = Scene::new(plan(vec![errors()]), 1);
    scene.stand.warming = true;
    for _ in 0..50 {
        let judged = scene.see([25, 5], [475, 5]);
        assert_eq!(judged.verdict, Verdict::Inconclusive);
        assert!(judged.why.starts_with("warming up"), "{}", judged.why);
    }
    let errors = &scene.analysis.metrics[ERRORS].bounds[0];
    assert_eq!(errors.counts, Window::default());
    assert!(errors.harm.log_value(4).abs() < 1e-12);
    assert_eq!(scene.analysis.judged, Window::default());
}

#[test]
fn answers_have_caught_up_when_the_canary_has_its_share() {
    let mut scene = Scene::new(plan(vec![errors()]), 1);
    scene.stand.warming = true;
    for _ in 0..4 {
        scene.see([8, 0], [475, 5]);
        assert!(!settled(&scene.analysis));
    }
    scene.see([25, 0], [475, 5]);
    assert!(settled(&scene.analysis));
}

#[test]
fn silence_of_the_canary_is_no_pass() {
    let mut scene = Scene::new(plan(vec![errors()]), 1);
    assert_eq!(scene.see([400, 4], [7600, 76]).verdict, Verdict::Pass);
    scene.see([0, 0], [475, 5]);
    scene.see([0, 0], [475, 5]);
    let judged = scene.see([0, 0], [475, 5]);
    assert_eq!(judged.verdict, Verdict::Inconclusive);
    assert!(
        judged.why.starts_with("no canary traffic: none of 71"),
        "{}",
        judged.why
    );
    assert!(judged.no_data);
    let judged = scene.see([25, 0], [475, 5]);
    assert!(!judged.no_data && judged.verdict == Verdict::Pass);
}

#[test]
fn a_certificate_that_is_asked_for_is_waited_for() {
    let mut scene = Scene::new(plan(vec![errors()]), 1);
    scene.stand.certificate = true;
    let judged = scene.see([300, 3], [5700, 57]);
    assert_eq!(judged.verdict, Verdict::Inconclusive);
    assert!(
        judged
            .why
            .starts_with("errors is not proven to be no worse yet:")
            && judged.why.ends_with("canary samples more"),
        "{}",
        judged.why
    );
    let judged = scene.see([300, 3], [5700, 57]);
    assert_eq!(judged.verdict, Verdict::Pass, "{}", judged.why);
    // Anew in each exposure.
    scene.open(0.01);
    assert_eq!(
        scene.see([300, 3], [5700, 57]).verdict,
        Verdict::Inconclusive
    );
}

/// Two bounds, of which each must be proven.
fn tokens() -> Scene {
    let both = Test::Beyond {
        of: Distribution::OutputTokens,
        bounds: Bounds::Quantiles(vec![0.1, 0.9]),
        null: null(1.0, 0.1),
        tolerance: Some(0.1),
    };
    let mut scene = Scene::new(
        plan(vec![metric("output-tokens", Mode::Enforce, 1.0, both)]),
        1,
    );
    scene.stand.certificate = true;
    scene
}

#[test]
fn a_certificate_is_of_all_bounds() {
    let mut scene = tokens();
    // Below the p10 all is well, beyond the p90 it is on the line of what is worse.
    for _ in 0..5 {
        let mut measured = scene.measured(window([300, 3], [5700, 57]));
        let counts = measured.counts.get_mut("output-tokens").unwrap();
        counts[1] = window([300, 33], [5700, 57]);
        let judged = scene.judge(&measured);
        assert_eq!(judged.verdict, Verdict::Inconclusive, "{}", judged.why);
        assert!(
            judged.why.starts_with("output-tokens is not proven"),
            "{}",
            judged.why
        );
    }
    let bounds = &scene.analysis.metrics["output-tokens"].bounds;
    assert!(bounds[0].certificate.log_value() > 10.0);
    assert!(tokens().see([600, 6], [11_400, 114]).verdict == Verdict::Pass);
}

#[test]
fn a_bound_that_is_not_known_is_not_proven() {
    let mut scene = tokens();
    open(&scene.plan, 4, &mut scene.analysis, &Opening::default());
    let mut measured = scene.measured(window([600, 6], [11_400, 114]));
    measured.counts.insert("output-tokens".to_owned(), vec![]);
    let judged = scene.judge(&measured);
    assert_eq!(judged.verdict, Verdict::Inconclusive, "{}", judged.why);
    assert_eq!(
        judged.why,
        "output-tokens is not proven to be no worse yet: 1.0 of 20"
    );
}

#[test]
fn of_a_window_without_a_router_harm_is_charged_and_nothing_else() {
    let partial = |trouble| Untold {
        trouble,
        why: "router-2 is missing".to_owned(),
    };
    let mut scene = Scene::new(plan(vec![errors()]), 1);
    let mut measured = scene.measured(window([100, 20], [1900, 19]));
    measured.untold = Some(partial(Trouble::Ambiguous));
    let judged = scene.judge(&measured);
    assert_eq!(judged.verdict, Verdict::Error);
    assert_eq!(judged.why, "ambiguous: router-2 is missing");
    assert!(total(&scene.analysis, &scene.plan).abs() < 1e-9);

    let mut measured = scene.measured(window([400, 4], [1900, 19]));
    measured.untold = Some(partial(Trouble::Partial));
    assert_eq!(scene.judge(&measured).verdict, Verdict::Error);
    assert_eq!(scene.analysis.judged, Window::default());
    let certificate = scene.analysis.metrics[ERRORS].bounds[0].certificate;
    assert!(certificate.log_value().abs() < 1e-9);

    let mut measured = scene.measured(window([100, 30], [1900, 19]));
    measured.untold = Some(partial(Trouble::Partial));
    assert_eq!(scene.judge(&measured).verdict, Verdict::Fail);
}

#[test]
fn without_a_control_only_absolute_limits_speak() {
    let bar = Test::Events {
        of: Events::Errors,
        null: null(0.0, 0.01),
        max: None,
        tolerance: None,
    };
    let bar = metric("request-success-rate", Mode::Enforce, 0.5, bar);
    let mut scene = Scene::new(plan(vec![errors()]), 1);
    scene.stand.share = Share::ALL;
    scene.stand.certificate = true;
    for _ in 0..60 {
        assert_eq!(scene.see([400, 20], [0, 0]).verdict, Verdict::Pass);
    }
    let mut scene = Scene::new(plan(vec![errors(), bar]), 1);
    scene.stand.share = Share::ALL;
    assert_eq!(scene.see([400, 20], [0, 0]).verdict, Verdict::Fail);
}

#[test]
fn a_p99_is_not_judged_before_300_canary_samples() {
    let slow = |bounds, null| {
        let of = Distribution::Duration;
        let test = Test::Beyond {
            of,
            bounds,
            null,
            tolerance: None,
        };
        let mut scene = Scene::new(plan(vec![metric("duration", Mode::Enforce, 0.5, test)]), 1);
        scene.stand.min_samples = 0;
        scene
    };
    let p99 = || slow(Bounds::Quantiles(vec![0.99]), null(1.0, 0.05));
    let limit = || slow(Bounds::Fixed(1.0), null(0.0, 0.01));
    let p95 = || slow(Bounds::Quantiles(vec![0.95]), null(1.0, 0.05));
    assert_eq!(p95().see([290, 200], [5000, 50]).verdict, Verdict::Fail);
    for mut rare in [p99(), limit()] {
        assert_eq!(rare.see([290, 200], [5000, 50]).verdict, Verdict::Pass);
        assert_eq!(rare.see([10, 7], [200, 2]).verdict, Verdict::Fail);
    }
}

#[test]
fn of_several_bounds_the_mean_counts() {
    let of = Distribution::OutputTokens;
    let both = Test::Beyond {
        of,
        bounds: Bounds::Quantiles(vec![0.1, 0.9]),
        null: null(1.0, 0.1),
        tolerance: None,
    };
    let mut scene = Scene::new(
        plan(vec![metric("output-tokens", Mode::Enforce, 1.0, both)]),
        1,
    );
    let mut measured = scene.measured(window([100, 1], [1900, 19]));
    let counts = measured.counts.get_mut("output-tokens").unwrap();
    counts[1] = window([100, 40], [1900, 19]);
    scene.judge(&measured);
    let bounds = &scene.analysis.metrics["output-tokens"].bounds;
    let each: f64 = bounds.iter().map(|b| b.harm.log_value(4).exp()).sum();
    let value = total(&scene.analysis, &scene.plan).exp();
    assert!((value / (each / 2.0) - 1.0).abs() < 1e-9, "{value} {each}");
}

#[test]
fn the_canary_that_gets_another_share_raises_an_alarm_and_nothing_else() {
    let mut scene = Scene::new(plan(vec![errors()]), 1);
    for _ in 0..60 {
        scene.tick(0.01, 0.01);
    }
    assert!(!scene.analysis.sample_ratio.alarm);
    let mut verdict = Verdict::Inconclusive;
    for _ in 0..60 {
        verdict = scene.see([50, 0], [450, 4]).verdict;
    }
    assert!(scene.analysis.sample_ratio.alarm);
    assert_eq!(verdict, Verdict::Pass);
}
