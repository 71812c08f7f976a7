//! Queries, literal counting and means: what fails a check, what pauses, what only is told.

use super::*;
use crate::{
    analysis::sample::{Answered, Arms, Moments},
    rollout::plan::Literal,
};

fn query(mode: Mode) -> MetricPlan {
    let test = Test::Query {
        promql: "score".to_owned(),
        interval_ms: 60_000,
        min: Some(0.8),
        max: None,
        failure_limit: 3,
    };
    metric("judge-score", mode, 0.0, test)
}

fn answered(mode: Mode, answer: Answered) -> Judged {
    let mut scene = Scene::new(plan(vec![errors(), query(mode)]), 1);
    let mut measured = scene.measured(window([400, 4], [7600, 76]));
    measured.queries.insert("judge-score".to_owned(), answer);
    scene.judge(&measured)
}

#[test]
fn an_answer_out_of_range_is_a_failed_check_and_no_answer_is_none() {
    let failed = || vec!["judge-score".to_owned()];
    let table = [
        (Answered::Value(0.8), Verdict::Pass, vec![]),
        (Answered::Value(0.79), Verdict::Inconclusive, failed()),
        (Answered::Value(f64::NAN), Verdict::Inconclusive, vec![]),
        (Answered::Value(f64::INFINITY), Verdict::Error, vec![]),
        (Answered::Nothing, Verdict::Inconclusive, vec![]),
        (
            Answered::Error("two series".to_owned()),
            Verdict::Error,
            vec![],
        ),
    ];
    for (answer, verdict, failed) in table {
        for mode in [Mode::Enforce, Mode::PauseOnly] {
            let judged = answered(mode, answer.clone());
            assert_eq!(judged.verdict, verdict, "{answer:?}: {}", judged.why);
            assert_eq!(judged.failed_checks, failed, "{answer:?}");
        }
        let judged = answered(Mode::Observe, answer);
        assert_eq!(judged.verdict, Verdict::Pass);
        assert!(judged.failed_checks.is_empty());
    }
}

#[test]
fn a_query_holds_until_it_was_asked_and_what_it_said_last_counts() {
    let mut scene = Scene::new(plan(vec![errors(), query(Mode::Enforce)]), 1);
    assert_eq!(due(&scene.plan, &scene.analysis, 5), [1]);
    let judged = scene.see([400, 4], [7600, 76]);
    assert_eq!(judged.why, "judge-score was not asked yet");
    let mut measured = scene.measured(window([25, 0], [475, 5]));
    let low = Answered::Value(0.5);
    measured.queries.insert("judge-score".to_owned(), low);
    assert_eq!(scene.judge(&measured).failed_checks.len(), 1);
    assert!(due(&scene.plan, &scene.analysis, measured.to + 59_999).is_empty());
    assert_eq!(due(&scene.plan, &scene.analysis, measured.to + 60_000), [1]);
    let judged = scene.see([25, 0], [475, 5]);
    assert_eq!(judged.verdict, Verdict::Inconclusive);
    assert_eq!(judged.why, "judge-score is 0.5000, out of its range");
    assert!(
        judged.failed_checks.is_empty(),
        "one answer is counted once"
    );
}

#[test]
fn what_could_not_be_asked_is_asked_again_at_once_and_is_an_error_once() {
    let mut scene = Scene::new(plan(vec![errors(), query(Mode::Enforce)]), 1);
    let asked = |scene: &mut Scene, answer| {
        let mut measured = scene.measured(window([400, 4], [7600, 76]));
        measured.queries.insert("judge-score".to_owned(), answer);
        scene.judge(&measured)
    };
    let late = || Answered::Error("it took longer than 5 s".to_owned());
    assert_eq!(asked(&mut scene, late()).verdict, Verdict::Error);
    assert_eq!(due(&scene.plan, &scene.analysis, scene.at + 1), [1]);
    let judged = scene.see([25, 0], [475, 5]);
    assert_eq!(judged.verdict, Verdict::Inconclusive);
    assert_eq!(
        judged.why,
        "judge-score could not be asked: it took longer than 5 s"
    );
    assert_eq!(asked(&mut scene, late()).verdict, Verdict::Error);
    let judged = asked(&mut scene, Answered::Value(0.9));
    assert_eq!(judged.verdict, Verdict::Pass, "{}", judged.why);
    assert!(due(&scene.plan, &scene.analysis, scene.at + 59_999).is_empty());
}

#[test]
fn literal_counting_is_the_point_estimate_of_each_interval() {
    let literal = |of, min, max| {
        let test = Test::Literal { of, min, max };
        plan(vec![metric("literal", Mode::Enforce, 0.0, test)])
    };
    let rate = || literal(Literal::SuccessRate, Some(99.0), None);
    let p99 = || literal(Literal::P99, None, Some(1000.0));
    for (counts, fails) in [
        ([100, 1], false),
        ([100, 2], true),
        ([1, 1], true),
        ([0, 0], false),
    ] {
        for plan in [rate(), p99()] {
            let mut scene = Scene::new(plan, 1);
            let judged = scene.see(counts, [475, 100]);
            assert_eq!(!judged.failed_checks.is_empty(), fails, "{counts:?}");
        }
    }
}

#[test]
fn pause_only_pauses_and_observe_does_nothing() {
    let bad = |mode| {
        let mut errors = errors();
        errors.mode = mode;
        let mut scene = Scene::new(plan(vec![errors]), 1);
        scene.see([400, 80], [7600, 76])
    };
    assert_eq!(bad(Mode::Enforce).verdict, Verdict::Fail);
    let judged = bad(Mode::PauseOnly);
    // Whether it pauses again after somebody has resumed is not for the analysis to say.
    assert_eq!(judged.verdict, Verdict::Pass);
    assert_eq!(judged.pause.as_deref(), Some(ERRORS));
    assert!(
        judged.why.starts_with("errors 80/400 = 20 %"),
        "{}",
        judged.why
    );
    let judged = bad(Mode::Observe);
    assert_eq!((judged.verdict, judged.pause), (Verdict::Pass, None));
}

#[test]
fn a_dearer_candidate_is_told_by_its_mean_from_300_samples_on() {
    // Costs spread evenly over (0, 2·mean).
    let moments = |n: u64, mean: f64| Moments {
        n,
        sum: n as f64 * mean,
        squares: n as f64 * mean * mean * 4.0 / 3.0,
    };
    let of = Distribution::Cost;
    let test = Test::Mean {
        of,
        max_ratio: 1.25,
    };
    // canary n, candidate's mean over the stable one's, whether it pauses
    let table = [
        (290, 4.0, false),
        (400, 4.0, true),
        (4000, 1.25, false),
        (4000, 1.6, true),
    ];
    for (n, ratio, pauses) in table {
        let cost = metric("cost", Mode::PauseOnly, 0.0, test.clone());
        let mut scene = Scene::new(plan(vec![errors(), cost]), 1);
        let mut measured = scene.measured(window([400, 4], [7600, 76]));
        let arms = Arms {
            canary: moments(n, 0.01 * ratio),
            stable: moments(7600, 0.01),
        };
        measured.means.insert("cost".to_owned(), arms);
        let judged = scene.judge(&measured);
        assert_eq!(
            judged.pause.is_some(),
            pauses,
            "{n} {ratio}: {}",
            judged.why
        );
        assert_ne!(judged.verdict, Verdict::Fail);
    }
}
