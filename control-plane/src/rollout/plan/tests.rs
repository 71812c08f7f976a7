//! What a document comes to mean: defaults, Flagger's words, shares of alpha, hashes.

use serde_json::{Value as Json, json};
use serin_proto::{unit::Share, v1};

use super::{
    Bounds, Distribution, Events, HookKind, Literal, Mode, Null, OnFail, OnNoData, Plan, Test,
};

fn document(with: Json) -> v1::Rollout {
    let mut json = json!({"route": "chat", "candidate": "claude", "steps": [{"weight": 5}]});
    if let (Some(json), Json::Object(with)) = (json.as_object_mut(), with) {
        json.extend(with);
    }
    serde_json::from_value(json).unwrap()
}

fn compiled(with: Json) -> Plan {
    Plan::compile(&document(with)).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

fn percent(shares: &[f64]) -> Vec<Share> {
    let share = |percent: &f64| Share::try_from(*percent).unwrap();
    shares.iter().map(share).collect()
}

#[test]
fn what_is_not_written_has_the_defaults_of_the_documentation() {
    let plan = compiled(json!({}));
    let step = &plan.steps[0];
    assert_eq!((step.min_duration_ms, step.min_samples), (10_000, 100));
    assert_eq!((step.certificate, step.gate.as_deref()), (false, None));
    assert_eq!(
        (plan.promotion.bake_ms, plan.promotion.undo_window_ms),
        (900_000, 86_400_000)
    );
    assert_eq!(plan.promotion.holdback, percent(&[1.0])[0]);
    assert_eq!(
        (plan.on_fail, plan.progress_deadline_ms),
        (OnFail::Rollback, 600_000)
    );
    let analysis = &plan.analysis;
    assert_eq!(
        (analysis.alpha, analysis.beta, analysis.threshold),
        (0.01, 0.05, 5)
    );
    assert_eq!(
        (analysis.interval_ms, analysis.blind_max_ms),
        (10_000, 600_000)
    );
    assert_eq!(
        (
            analysis.inconclusive_deadline_ms,
            analysis.consecutive_error_limit
        ),
        (1_800_000, 4)
    );
    assert_eq!(analysis.on_no_data, OnNoData::Hold);
    assert_eq!(
        (
            analysis.guards.breaker_open_ms,
            analysis.guards.fail_fast_samples
        ),
        (10_000, 12)
    );
    assert_eq!(analysis.guards.fail_fast_ratio, 0.8);
    assert_eq!(
        (analysis.warmup_ms, analysis.scrape_interval_ms),
        (None, None)
    );
    let shares: Vec<(&str, f64, Mode)> = analysis
        .metrics
        .iter()
        .map(|metric| (metric.name.as_str(), metric.share, metric.mode))
        .collect();
    let expected = [
        ("errors", 0.6, Mode::Enforce),
        ("rejections", 0.1, Mode::Enforce),
        ("abandoned", 0.1, Mode::Enforce),
        ("ttft", 0.1, Mode::Enforce),
        ("duration", 0.1, Mode::Enforce),
        ("cost", 0.0, Mode::Observe),
        ("output-tokens", 0.0, Mode::Observe),
    ];
    assert_eq!(shares, expected);
    assert_eq!(plan.exposures(), 2);
}

#[rustfmt::skip]
#[test]
fn flaggers_weights_become_steps_and_never_overshoot() {
    let table: [(Json, &[f64]); 7] = [
        (json!({"stepWeight": 10, "maxWeight": 50}), &[10.0, 20.0, 30.0, 40.0, 50.0]),
        (json!({"stepWeight": 20, "maxWeight": 50}), &[20.0, 40.0, 50.0]),
        (json!({"stepWeight": 50, "maxWeight": 30}), &[30.0]),
        (json!({"stepWeight": 33.34}), &[33.34, 66.68, 100.0]),
        (json!({"stepWeights": [1, 2, 10, 80]}), &[1.0, 2.0, 10.0, 80.0]),
        (json!({"stepWeights": [1, 2, 10, 80], "maxWeight": 5}), &[1.0, 2.0, 5.0]),
        (json!({"stepWeights": [1, 2], "stepWeight": 50}), &[1.0, 2.0]),
    ];
    for (analysis, expected) in table {
        let plan = compiled(json!({"steps": [], "analysis": analysis}));
        let shares: Vec<Share> = plan.steps.iter().map(|step| step.share).collect();
        assert_eq!(shares, percent(expected), "{analysis}");
    }
    let plan = compiled(json!({"analysis": {"stepWeight": 10}}));
    assert_eq!(plan.steps.len(), 1, "steps that are written win");
}

#[rustfmt::skip]
#[test]
fn each_metric_is_judged_by_the_test_it_stands_for() {
    let null = |ratio, margin| Null { ratio, margin };
    let beyond = |of, bounds, null, tolerance| Test::Beyond { of, bounds, null, tolerance };
    let events = |of, null, max, tolerance| Test::Events { of, null, max, tolerance };
    let table = [
        (json!({"name": "errors"}), events(Events::Errors, null(1.0, 0.005), None, Some(0.02))),
        (json!({"name": "errors", "margin": {"points": 2, "ratio": 1.5}, "max": 10, "tolerance": 5}),
            events(Events::Errors, null(1.5, 0.02), Some(0.1), Some(0.05))),
        (json!({"name": "rejections"}), events(Events::Rejections, null(1.0, 0.01), None, None)),
        (json!({"name": "abandoned"}), events(Events::Abandoned, null(1.0, 0.02), None, None)),
        (json!({"name": "request-success-rate", "thresholdRange": {"min": 99}}), events(Events::Errors, null(0.0, 0.01), None, None)),
        (json!({"name": "request-duration", "thresholdRange": {"max": 1000}}),
            beyond(Distribution::Duration, Bounds::Fixed(1.0), null(0.0, 0.01), None)),
        (json!({"name": "request-duration", "thresholdRange": {"max": 1100}}),
            beyond(Distribution::Duration, Bounds::Fixed(1.5), null(0.0, 0.01), None)),
        (json!({"name": "ttft", "thresholdRange": {"max": 3000}}), beyond(Distribution::Ttft, Bounds::Fixed(3.0), null(0.0, 0.01), None)),
        (json!({"name": "ttft"}), beyond(Distribution::Ttft, Bounds::Quantiles(vec![0.95]), null(2.0, 0.05), None)),
        (json!({"name": "output-tokens"}), beyond(Distribution::OutputTokens, Bounds::Quantiles(vec![0.1, 0.9]), null(1.0, 0.1), None)),
        (json!({"name": "output-tokens", "maxRatio": 2}), Test::Mean { of: Distribution::OutputTokens, max_ratio: 2.0 }),
        (json!({"name": "cost"}), Test::Mean { of: Distribution::Cost, max_ratio: 1.25 }),
        (json!({"name": "request-success-rate", "thresholdRange": {"min": 99}, "judge": "threshold"}),
            Test::Literal { of: Literal::SuccessRate, min: Some(99.0), max: None }),
        (json!({"name": "request-duration", "thresholdRange": {"max": 500}, "judge": "threshold"}),
            Test::Literal { of: Literal::P99, min: None, max: Some(500.0) }),
        (json!({"name": "mine", "query": "up", "thresholdRange": {"min": 1}, "interval": "60s", "failureLimit": 3}),
            Test::Query { promql: "up".to_owned(), interval_ms: 60_000, min: Some(1.0), max: None, failure_limit: 3 }),
        (json!({"name": "mine", "query": "up", "thresholdRange": {"max": 1}}),
            Test::Query { promql: "up".to_owned(), interval_ms: 10_000, min: None, max: Some(1.0), failure_limit: 4 }),
    ];
    for (metric, expected) in table {
        let plan = compiled(json!({"analysis": {"metrics": [metric]}}));
        assert_eq!(plan.analysis.metrics[0].test, expected, "{metric}");
    }
}

#[test]
fn metrics_without_a_share_divide_what_the_others_leave() {
    let plan = compiled(json!({"analysis": {"metrics": [
        {"name": "errors", "share": 0.5}, {"name": "ttft"}, {"name": "duration"}, {"name": "cost", "mode": "pauseOnly"},
        {"name": "mine", "query": "up", "thresholdRange": {"min": 1}}]}}));
    let shares: Vec<f64> = plan
        .analysis
        .metrics
        .iter()
        .map(|metric| metric.share)
        .collect();
    assert_eq!(shares, [0.5, 0.25, 0.25, 0.0, 0.0]);
}

#[test]
fn every_word_of_a_webhook_type_reads_back() {
    for kind in HookKind::ALL {
        assert_eq!(HookKind::from_word(kind.word()), Some(kind));
        let hook = json!({"name": "h", "type": kind.word(), "url": "http://a.example"});
        let plan = compiled(json!({"analysis": {"webhooks": [hook]}}));
        assert_eq!(plan.analysis.webhooks[0].kind, kind);
        assert_eq!(plan.analysis.webhooks[0].timeout_ms, 10_000);
    }
}

#[test]
fn a_hash_is_of_what_is_meant() {
    let hash = |with| compiled(with).hash;
    let plain = hash(json!({}));
    assert_eq!(plain.len(), 12);
    assert_eq!(
        plain,
        hash(json!({"analysis": {"interval": "10000ms", "alpha": 0.01}, "onFail": "rollback"}))
    );
    let others = [
        json!({"steps": [{"weight": 6}]}),
        json!({"onFail": "freeze"}),
        json!({"promotion": {"holdback": 0}}),
        json!({"analysis": {"variables": {"a": "b"}}}),
        json!({"analysis": {"metrics": [{"name": "errors"}]}}),
    ];
    for other in others {
        assert_ne!(plain, hash(other.clone()), "{other}");
    }
}

#[test]
fn a_wrong_document_is_refused_with_all_that_is_wrong() {
    let wrong = document(
        json!({"candidate": "", "steps": [{"weight": 5}, {"weight": 1}], "onFail": "explode",
                                "analysis": {"metrics": [{"name": "nope"}], "interval": "1ms"}}),
    );
    let faults = Plan::compile(&wrong).unwrap_err();
    let pointers: Vec<&str> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
    let expected = [
        "/candidate",
        "/steps/1/weight",
        "/analysis/interval",
        "/analysis/metrics/0/name",
        "/onFail",
    ];
    assert_eq!(pointers, expected);
}
