//! Plans as people write them, each with all that is wrong with it.

use serde_json::{Value as Json, json};

use crate::{document::read_rollout_strict, validate};

/// Pointer and code of each finding, faults first, warnings after a `~`.
fn found(plan: &Json) -> Vec<String> {
    let text = plan.to_string();
    let read = read_rollout_strict(text.as_bytes()).unwrap_or_else(|faults| panic!("{faults:#?}"));
    let findings = validate::rollout(&read.value);
    let faults = findings
        .faults
        .iter()
        .map(|f| format!("{} {}", f.pointer, f.code));
    let warnings = findings
        .warnings
        .iter()
        .map(|w| format!("~{} {}", w.pointer, w.code));
    faults.chain(warnings).collect()
}

fn plan(with: Json) -> Json {
    let mut plan = json!({"route": "chat", "candidate": "claude", "steps": [{"weight": 5}]});
    if let (Some(plan), Json::Object(with)) = (plan.as_object_mut(), with) {
        plan.extend(with);
    }
    plan
}

fn metric(metric: Json) -> Json {
    plan(json!({"analysis": {"metrics": [metric]}}))
}

#[test]
fn the_two_plans_of_the_documentation_are_right() {
    let whole = json!({
        "route": "chat", "candidate": "claude",
        "steps": [
            {"weight": 1, "minDuration": "120s", "minSamples": 100},
            {"weight": 5, "minDuration": "300s", "minSamples": 300, "gate": "confirm-traffic-increase"},
            {"weight": 25, "minDuration": "300s", "minSamples": 300, "certificate": true},
            {"weight": 50, "minDuration": "600s", "minSamples": 1000, "certificate": true}],
        "promotion": {"gate": "confirm-promotion", "bake": "900s", "holdback": 1, "undoWindow": "86400s"},
        "analysis": {
            "interval": "10s", "alpha": 0.01, "beta": 0.05,
            "metrics": [
                {"name": "errors", "share": 0.6, "margin": {"points": 0.5, "ratio": 1}, "max": 10},
                {"name": "rejections", "share": 0.1, "margin": {"points": 1}},
                {"name": "ttft", "share": 0.2, "quantiles": [0.95], "margin": {"points": 5, "ratio": 2}},
                {"name": "duration", "share": 0.1, "thresholdRange": {"max": 60000}},
                {"name": "cost", "maxRatio": 1.25, "mode": "pauseOnly"},
                {"name": "output-tokens", "quantiles": [0.1, 0.9], "margin": {"points": 10}, "mode": "observe"},
                {"name": "judge-score", "interval": "60s", "thresholdRange": {"min": 0.8}, "failureLimit": 3,
                 "mode": "pauseOnly",
                 "query": "avg(judge_score{route=\"{{ route }}\",target=\"{{ candidate }}\"})"}],
            "guards": {"breakerOpen": "10s", "failFast": {"samples": 12, "percent": 80}},
            "onNoData": "hold", "onProviderError": "hold", "consecutiveErrorLimit": 4,
            "inconclusiveDeadline": "1800s", "blindMax": "600s", "threshold": 5,
            "webhooks": [{"name": "ok-to-start", "type": "confirm-rollout", "url": "http://gate.example/start",
                          "timeout": "10s", "retries": 3, "metadata": {"team": "ml"}}]},
        "onFail": "rollback", "planPolicy": "nextStep", "progressDeadline": "600s"});
    assert_eq!(found(&whole), [""; 0]);
    let flagger = json!({
        "route": "chat", "candidate": "claude",
        "analysis": {
            "interval": "60s", "threshold": 5, "stepWeight": 10, "maxWeight": 50,
            "metrics": [
                {"name": "request-success-rate", "thresholdRange": {"min": 99}, "interval": "60s"},
                {"name": "request-duration", "thresholdRange": {"max": 1000}, "interval": "60s"}],
            "webhooks": [
                {"name": "confirm", "type": "confirm-rollout", "url": "http://gate.example/confirm"},
                {"name": "load-test", "type": "rollout", "url": "http://flagger-loadtester.test/?a=b",
                 "timeout": "5s", "metadata": {"cmd": "hey -z 1m -q 10 -c 2 http://serin:8080/"}}]}});
    assert_eq!(found(&flagger), [""; 0]);
}

#[rustfmt::skip]
#[test]
fn every_fault_of_a_plan_is_told_with_its_place() {
    let table: [(Json, &[&str]); 15] = [
        (json!({"route": "", "candidate": "", "steps": []}), &["/route missing", "/candidate missing", "/steps missing"]),
        (plan(json!({"steps": [{"weight": 5}, {"weight": 5}, {"weight": 101}, {}]})),
            &["/steps/3/weight missing", "/steps/1/weight steps_do_not_rise", "/steps/2/weight bad_weight"]),
        (plan(json!({"steps": [{"weight": 5}, {"weight": 1, "minDuration": "5", "minSamples": 0}]})),
            &["/steps/1/minDuration bad_duration", "/steps/1/minSamples out_of_range", "/steps/1/weight steps_do_not_rise"]),
        (plan(json!({"steps": [{"weight": 0.001}]})), &["/steps/0/weight bad_weight"]),
        (plan(json!({"steps": [{"weight": 1, "gate": "g"}, {"weight": 2, "gate": "g"}], "promotion": {"gate": "g"}})),
            &["/steps/1/gate duplicate_gate", "/promotion/gate duplicate_gate"]),
        (plan(json!({"steps": [{"weight": 1, "gate": "confirm-traffic-increase"}, {"weight": 2, "gate": "confirm-traffic-increase"}]})), &[]),
        (plan(json!({"onFail": "explode", "planPolicy": "now", "progressDeadline": "0s"})),
            &["/onFail unknown_word", "/planPolicy unknown_word", "/progressDeadline bad_duration"]),
        (plan(json!({"promotion": {"holdback": 11, "stepWeight": 0.001, "bake": "x"}})),
            &["/promotion/bake bad_duration", "/promotion/holdback out_of_range", "/promotion/stepWeight out_of_range", "/promotion/stepWeight bad_weight"]),
        (plan(json!({"analysis": {"interval": "500ms", "alpha": 0, "beta": 1, "onNoData": "skip", "onProviderError": "fail", "threshold": 0}})),
            &["/analysis/interval out_of_range", "/analysis/alpha out_of_range", "/analysis/beta out_of_range",
              "/analysis/onNoData unknown_word", "/analysis/onProviderError unknown_word", "/analysis/threshold out_of_range"]),
        (json!({"route": "r", "candidate": "c", "analysis": {"stepWeight": 1}}), &["/steps too_many"]),
        (json!({"route": "r", "candidate": "c", "analysis": {"stepWeights": [5, 2, 200]}}),
            &["/analysis/stepWeights/1 steps_do_not_rise", "/analysis/stepWeights/2 bad_weight"]),
        (plan(json!({"analysis": {"stepWeight": 10}})), &["~/steps not_used"]),
        (plan(json!({"steps": [{"weight": 50}, {"weight": 100}], "promotion": {"holdback": 0}})), &["~/steps/1/weight nothing_to_compare"]),
        (plan(json!({"steps": [{"weight": 50, "certificate": true}], "analysis": {"metrics": [{"name": "rejections"}]}})), &["/steps/0/certificate no_certificate"]),
        (plan(json!({"analysis": {"guards": {"failFast": {"samples": 0, "percent": 101}}, "scrapeInterval": "soon", "warmup": "0s"}})),
            &["/analysis/warmup bad_duration", "/analysis/scrapeInterval bad_duration",
              "/analysis/guards/failFast/samples out_of_range", "/analysis/guards/failFast/percent out_of_range"]),
    ];
    for (plan, expected) in table {
        assert_eq!(found(&plan), expected, "{plan}");
    }
}

#[rustfmt::skip]
#[test]
fn a_metric_is_known_and_judged_by_one_test() {
    let at = "/analysis/metrics/0";
    let table: [(Json, &[&str]); 22] = [
        (json!({"name": "errors"}), &[]),
        (json!({"name": "error"}), &["/name unknown_metric"]),
        (json!({"name": "mine", "query": "up"}), &["/thresholdRange missing"]),
        (json!({"name": "errors", "query": "up", "thresholdRange": {"min": 1}}), &["/name built_in"]),
        (json!({"name": "mine", "query": "up{a=\"{{ nope }}\"}", "thresholdRange": {"min": 2, "max": 1}}),
            &["/thresholdRange out_of_range", "/query unknown_variable"]),
        (json!({"name": "mine", "query": "up{{ route", "thresholdRange": {"min": 1}}), &["/query bad_template"]),
        (json!({"name": "mine", "query": "up", "thresholdRange": {"min": 1}, "margin": {"points": 1}, "share": 0.5}),
            &["/margin does_not_apply", "~/share not_used"]),
        (json!({"name": "errors", "margin": {"points": 101, "ratio": -1}, "max": 101, "share": 2, "tolerance": 0, "mode": "maybe", "judge": "kayenta"}),
            &["/share out_of_range", "/max out_of_range", "/tolerance out_of_range", "/margin/points out_of_range", "/margin/ratio out_of_range",
              "/mode unknown_word", "/judge unknown_word", "/judge does_not_apply", "~/share not_used"]),
        (json!({"name": "ttft", "quantiles": [0, 0.5, 1]}), &["/quantiles/0 out_of_range", "/quantiles/2 out_of_range"]),
        (json!({"name": "ttft", "quantiles": [0.5], "judge": "threshold"}), &["~/judge not_used"]),
        (json!({"name": "duration", "thresholdRange": {"max": 60000}}), &[]),
        (json!({"name": "duration", "thresholdRange": {"max": 900}}), &["~/thresholdRange/max rounded_up"]),
        (json!({"name": "duration", "thresholdRange": {"max": 600001}}), &["/thresholdRange/max out_of_range"]),
        (json!({"name": "duration", "thresholdRange": {"min": 1}}), &["/thresholdRange/max missing", "/thresholdRange/min does_not_apply"]),
        (json!({"name": "duration", "thresholdRange": {"max": 1000}, "quantiles": [0.5]}), &["/quantiles does_not_apply"]),
        (json!({"name": "request-success-rate"}), &["/thresholdRange/min missing"]),
        (json!({"name": "request-success-rate", "thresholdRange": {"min": 99, "max": 100}, "judge": "threshold"}), &["/thresholdRange/max does_not_apply"]),
        (json!({"name": "request-duration", "thresholdRange": {"min": 1}}), &["/thresholdRange/max missing", "/thresholdRange/min does_not_apply"]),
        (json!({"name": "cost", "maxRatio": 0}), &["/maxRatio out_of_range"]),
        (json!({"name": "cost", "quantiles": [0.5], "margin": {"points": 1}}), &["/margin does_not_apply", "/quantiles does_not_apply"]),
        (json!({"name": "output-tokens", "maxRatio": 2, "quantiles": [0.5]}), &["/quantiles does_not_apply"]),
        (json!({"name": "errors", "share": 0}), &[" shares_sum"]),
    ];
    for (one, expected) in table {
        let expected: Vec<String> = expected.iter().map(|what| match what.strip_prefix('~') {
            Some(warning) => format!("~{at}{warning}"),
            None if *what == " shares_sum" => "/analysis/metrics shares_sum".to_owned(),
            None => format!("{at}{what}"),
        }).collect();
        assert_eq!(found(&metric(one.clone())), expected, "{one}");
    }
}

#[rustfmt::skip]
#[test]
fn shares_of_alpha_are_at_most_all_of_it() {
    let table: [(Json, bool); 5] = [
        (json!([{"name": "errors", "share": 0.7}, {"name": "ttft", "share": 0.3}]), true),
        (json!([{"name": "errors", "share": 0.7}, {"name": "ttft", "share": 0.4}]), false),
        (json!([{"name": "errors", "share": 0.7}, {"name": "ttft", "share": 0.4, "mode": "observe"}]), true),
        (json!([{"name": "errors", "share": 1}, {"name": "ttft"}]), false),
        (json!([{"name": "errors", "share": 1}, {"name": "errors"}]), false),
    ];
    for (metrics, right) in table {
        let found = found(&plan(json!({"analysis": {"metrics": metrics}})));
        assert_eq!(found.iter().all(|what| what.starts_with('~')), right, "{found:?}");
    }
}

#[rustfmt::skip]
#[test]
fn webhooks_and_alerts_are_named_once_and_reach_nobodys_metadata() {
    let hook = |url: &str| json!({"name": "h", "type": "event", "url": url});
    let table: [(Json, &[&str]); 13] = [
        (json!({"webhooks": [hook("http://10.0.0.1:8080/a/?b=c#d"), {"name": "i", "type": "rollout", "url": "https://a.example"}]}), &[]),
        (json!({"webhooks": [hook("http://a.example"), hook("http://a.example")]}), &["/webhooks/1/name duplicate_name"]),
        (json!({"webhooks": [{"name": "h"}]}), &["/webhooks/0/type missing", "/webhooks/0/url missing"]),
        (json!({"webhooks": [{"name": "h", "type": "confirm", "url": "ftp://x", "timeout": "1", "retries": 11}]}),
            &["/webhooks/0/type unknown_word", "/webhooks/0/url bad_url", "/webhooks/0/timeout bad_duration", "/webhooks/0/retries out_of_range"]),
        (json!({"webhooks": [hook("http://169.254.169.254/latest")]}), &["/webhooks/0/url forbidden_address"]),
        (json!({"webhooks": [hook("http://0xa9fea9fe/latest")]}), &["/webhooks/0/url forbidden_address"]),
        (json!({"webhooks": [hook("http://[::ffff:169.254.0.1]?a")]}), &["/webhooks/0/url forbidden_address"]),
        (json!({"webhooks": [hook("http://metadata.google.internal")]}), &["/webhooks/0/url forbidden_address"]),
        (json!({"webhooks": [hook("http://user:secret@a.example")]}), &["/webhooks/0/url bad_url"]),
        (json!({"alerts": [{"name": "a", "type": "slack", "urlEnv": "SLACK_URL"}, {"name": "b", "url": "http://127.0.0.1:1/x", "severity": "warn"}]}), &[]),
        (json!({"alerts": [{"name": "a"}, {"name": "a", "url": "http://x", "urlFile": "/x", "severity": "loud", "type": "mail"}]}),
            &["/alerts/1/name duplicate_name", "/alerts/0 missing", "/alerts/1/type unknown_word", "/alerts/1/severity unknown_word", "/alerts/1 bad_url"]),
        (json!({"alerts": [{"name": "a", "type": "slack", "url": "http://chat.example/secret"}]}), &["/alerts/0/url secret_in_plan"]),
        (json!({"alerts": [{"name": "a", "urlEnv": "https://chat.example/secret"}]}), &["/alerts/0/urlEnv bad_variable"]),
    ];
    for (analysis, expected) in table {
        let expected: Vec<String> = expected.iter().map(|what| format!("/analysis{what}")).collect();
        assert_eq!(found(&plan(json!({"analysis": analysis}))), expected, "{analysis}");
    }
}

#[test]
fn what_flagger_has_and_serin_has_not_is_refused_by_name() {
    let plan = json!({"route": "r", "candidate": "c", "steps": [{"weight": 1}],
                      "analysis": {"iterations": 10, "match": [], "mirror": true, "intervall": "1s"}});
    let faults = read_rollout_strict(plan.to_string().as_bytes()).unwrap_err();
    let told = |field: &str| {
        let at = format!("/analysis/{field}");
        let fault = faults.iter().find(|fault| fault.pointer == at);
        fault.map(|fault| fault.message.clone()).unwrap_or_default()
    };
    assert!(told("iterations").contains("steps"), "{faults:#?}");
    assert!(told("match").contains("affinity"), "{faults:#?}");
    assert!(told("mirror").contains("weight"), "{faults:#?}");
    assert!(
        told("intervall").contains("did you mean interval?"),
        "{faults:#?}"
    );
}
