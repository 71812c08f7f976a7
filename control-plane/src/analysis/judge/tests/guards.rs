//! The guards: what ends a rollout without significance, and what must not.

use super::*;

fn with_max(max: f64) -> AnalysisPlan {
    let mut errors = errors();
    errors.test = Test::Events {
        of: Events::Errors,
        null: null(1.0, 0.005),
        max: Some(max),
        tolerance: None,
    };
    plan(vec![errors])
}

fn breaker(scene: &mut Scene, open: u32, fresh: u32, untold: Option<Trouble>) -> Judged {
    let mut measured = scene.measured(window([1, 0], [19, 0]));
    measured.gauges = Gauges {
        fresh,
        breaker_open: open,
        ..Gauges::default()
    };
    measured.untold = untold.map(|trouble| Untold {
        trouble,
        why: String::new(),
    });
    scene.judge(&measured)
}

#[test]
fn a_breaker_open_on_half_of_the_routers_rolls_back() {
    // open, fresh, whether it fires
    let table = [
        (1, 10, false),
        (4, 10, false),
        (5, 10, true),
        (1, 1, true),
        (0, 0, false),
    ];
    for (open, fresh, fires) in table {
        for untold in [None, Some(Trouble::Partial), Some(Trouble::Stale)] {
            for warming in [false, true] {
                let mut scene = Scene::new(plan(vec![errors()]), 1);
                scene.stand.warming = warming;
                // When it opened is not known: it counts from when it was seen.
                assert_eq!(breaker(&mut scene, open, fresh, untold).guard, None);
                let judged = breaker(&mut scene, open, fresh, untold);
                let expected = fires.then_some(Guard::BreakerOpen);
                assert_eq!(judged.guard, expected, "{open} of {fresh}, {untold:?}");
                assert_eq!(judged.verdict == Verdict::Fail, fires);
            }
        }
    }
}

#[test]
fn half_of_the_routers_is_half_of_those_that_live() {
    // open, fresh, live, whether it fires
    let table = [(1, 1, 3, false), (2, 2, 3, true), (2, 3, 1, true)];
    for (breaker_open, fresh, live, fires) in table {
        let mut scene = Scene::new(plan(vec![errors()]), 1);
        let mut guard = None;
        for _ in 0..2 {
            let mut measured = scene.measured(window([1, 0], [19, 0]));
            measured.gauges = Gauges {
                fresh,
                breaker_open,
                live,
                ..Gauges::default()
            };
            guard = scene.judge(&measured).guard;
        }
        let expected = fires.then_some(Guard::BreakerOpen);
        assert_eq!(guard, expected, "{breaker_open} of {fresh}, {live} live");
    }
}

#[test]
fn a_breaker_that_closes_starts_anew() {
    let mut scene = Scene::new(plan(vec![errors()]), 1);
    for open in [2, 0, 2, 0, 2] {
        assert_eq!(breaker(&mut scene, open, 2, None).guard, None);
    }
    assert_eq!(
        breaker(&mut scene, 2, 2, None).guard,
        Some(Guard::BreakerOpen)
    );
}

#[test]
fn a_candidate_that_fails_always_goes_at_once_even_while_warming() {
    for warming in [false, true] {
        let mut scene = Scene::new(plan(vec![errors()]), 1);
        scene.stand.warming = warming;
        let judged = scene.see([11, 11], [209, 2]);
        assert_eq!(judged.guard, None, "{}", judged.why);
        let judged = scene.see([1, 1], [19, 0]);
        assert_eq!(judged.guard, Some(Guard::FailFast), "{}", judged.why);
        assert_eq!(judged.verdict, Verdict::Fail);
    }
}

#[test]
fn errors_that_come_before_the_answers_do_not_fail_fast() {
    // 20-second answers: in the first ten seconds only the errors have ended.
    let mut scene = Scene::new(plan(vec![errors()]), 1);
    scene.stand.warming = true;
    let judged = scene.see([15, 15], [4700, 47]);
    assert_eq!(judged.guard, None, "{}", judged.why);
}

#[test]
fn chance_arrivals_do_not_save_a_candidate_that_fails_always() {
    // 25 were due; 19 are no rarity.
    let mut scene = Scene::new(plan(vec![errors()]), 1);
    scene.stand.warming = true;
    assert_eq!(scene.see([19, 19], [475, 5]).guard, Some(Guard::FailFast));
}

#[test]
fn a_shared_incident_does_not_fail_fast() {
    for seed in 0..60 {
        let mut scene = Scene::new(plan(vec![errors()]), seed);
        for _ in 0..12 {
            let judged = scene.tick(0.7, 0.7);
            assert_eq!(judged.guard, None, "{seed}: {}", judged.why);
        }
    }
}

#[test]
fn above_half_of_the_traffic_the_stable_arm_cannot_tell_arrivals() {
    let mut scene = Scene::new(plan(vec![errors()]), 1);
    scene.stand.share = Share::try_from(50.01).unwrap();
    scene.stand.warming = true;
    assert_eq!(scene.see([200, 200], [199, 2]).guard, None);
}

#[test]
fn refusals_count_among_failures_that_are_fast() {
    // Whether or not they are a metric of the plan.
    let mut scene = Scene::new(plan(vec![errors()]), 1);
    scene.stand.warming = true;
    let mut measured = scene.measured(window([0, 0], [190, 2]));
    measured
        .counts
        .insert(REJECTIONS.to_owned(), vec![window([15, 15], [195, 5])]);
    assert_eq!(scene.judge(&measured).guard, Some(Guard::FailFast));
}

#[test]
fn an_incident_of_both_arms_blames_nobody_unless_an_absolute_limit_is_set() {
    for seed in 0..20 {
        let mut scene = Scene::new(plan(vec![errors()]), seed);
        let mut fired = Scene::new(with_max(0.1), seed);
        let mut guard = None;
        for tick in 0..60 {
            let judged = scene.tick(0.3, 0.3);
            assert_eq!(
                judged.verdict,
                Verdict::Inconclusive,
                "{seed}: {}",
                judged.why
            );
            if tick > 1 {
                assert!(judged.why.starts_with("common cause"), "{}", judged.why);
            }
            if guard.is_none() {
                let judged = fired.tick(0.3, 0.3);
                guard = judged.guard.map(|guard| (guard, judged.why));
            }
        }
        let (guard, why) = guard.unwrap();
        assert_eq!(guard, Guard::Absolute);
        assert_eq!(
            why,
            "errors of the canary is above its absolute limit of 10 %"
        );
    }
}

#[test]
fn an_absolute_limit_waits_for_fifty_samples_and_not_for_a_warm_up() {
    let mut scene = Scene::new(with_max(0.1), 1);
    assert_eq!(scene.see([49, 30], [931, 400]).guard, None);
    scene.stand.warming = true;
    assert_eq!(scene.see([1, 1], [19, 8]).guard, None);
    scene.stand.warming = false;
    let judged = scene.see([1, 0], [19, 8]);
    assert_eq!(judged.guard, Some(Guard::Absolute), "{}", judged.why);
}

#[test]
fn a_candidate_below_its_absolute_limit_is_left_alone() {
    for seed in 0..20 {
        let mut scene = Scene::new(with_max(0.1), seed);
        for _ in 0..100 {
            let judged = scene.tick(0.09, 0.09);
            assert_eq!(judged.guard, None, "{}", judged.why);
        }
    }
}
