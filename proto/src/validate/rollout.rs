//! A rollout's plan: words, durations, and steps that rise.
//!
//! What a plan means together (shares of alpha, defaults, Flagger's words expanded) is judged where
//! plans are compiled; here only what is wrong in itself.

use super::Findings;
use crate::{fault::Pointer, unit::Share, v1};

const WEBHOOK_TYPES: [&str; 8] = [
    "confirm-rollout",
    "pre-rollout",
    "rollout",
    "confirm-traffic-increase",
    "confirm-promotion",
    "rollback",
    "post-rollout",
    "event",
];

pub(super) fn check(rollout: &v1::Rollout, at: &Pointer, findings: &mut Findings) {
    findings.name(&at.key("route"), &rollout.route);
    findings.name(&at.key("candidate"), &rollout.candidate);
    let has_flagger_steps = rollout
        .analysis
        .as_ref()
        .is_some_and(|a| a.step_weight.is_some() || !a.step_weights.is_empty());
    if rollout.steps.is_empty() && !has_flagger_steps {
        findings.fault(
            &at.key("steps"),
            "missing",
            "a rollout has at least one step",
        );
    }
    for (i, step) in rollout.steps.iter().enumerate() {
        let at = at.key("steps").at(i);
        if step.weight.is_none() {
            findings.fault(&at.key("weight"), "missing", "is missing");
        }
        findings.duration(&at.key("minDuration"), &step.min_duration);
        findings.count(&at.key("minSamples"), step.min_samples);
    }
    let weights = rollout.steps.iter().enumerate().filter_map(|(i, step)| {
        step.weight
            .map(|weight| (at.key("steps").at(i).key("weight"), weight))
    });
    rising(weights, findings);
    if let Some(promotion) = &rollout.promotion {
        let at = at.key("promotion");
        findings.duration(&at.key("bake"), &promotion.bake);
        findings.duration(&at.key("undoWindow"), &promotion.undo_window);
        findings.range(&at.key("holdback"), promotion.holdback, 0.0..=10.0);
        findings.range(&at.key("stepWeight"), promotion.step_weight, 0.01..=100.0);
    }
    if let Some(analysis) = &rollout.analysis {
        check_analysis(analysis, &at.key("analysis"), findings);
    }
    findings.word(
        &at.key("onFail"),
        &rollout.on_fail,
        &["rollback", "stepBack", "freeze"],
    );
    findings.word(
        &at.key("planPolicy"),
        &rollout.plan_policy,
        &["nextStep", "restart"],
    );
    findings.duration(&at.key("progressDeadline"), &rollout.progress_deadline);
}

/// Weights of steps: shares above zero, each above the one before.
fn rising(weights: impl Iterator<Item = (Pointer, f64)>, findings: &mut Findings) {
    let mut before = Share::NONE;
    for (at, percent) in weights {
        match Share::try_from(percent) {
            Ok(share) if share > before => before = share,
            Ok(share) => {
                let message = format!("{share} does not rise above {before}");
                findings.fault(&at, "steps_do_not_rise", message);
            }
            Err(bad) => findings.fault(&at, "bad_weight", bad.to_string()),
        }
    }
}

fn check_analysis(analysis: &v1::Analysis, at: &Pointer, findings: &mut Findings) {
    let durations = [
        ("interval", &analysis.interval),
        ("inconclusiveDeadline", &analysis.inconclusive_deadline),
        ("blindMax", &analysis.blind_max),
        ("warmup", &analysis.warmup),
    ];
    for (field, text) in durations {
        findings.duration(&at.key(field), text);
    }
    findings.range(&at.key("alpha"), analysis.alpha, 0.0..=1.0);
    findings.range(&at.key("beta"), analysis.beta, 0.0..=1.0);
    findings.word(
        &at.key("onNoData"),
        &analysis.on_no_data,
        &["hold", "pause", "fail"],
    );
    findings.word(
        &at.key("onProviderError"),
        &analysis.on_provider_error,
        &["hold", "pause"],
    );
    findings.count(
        &at.key("consecutiveErrorLimit"),
        analysis.consecutive_error_limit,
    );
    findings.count(&at.key("threshold"), analysis.threshold);
    findings.range(&at.key("stepWeight"), analysis.step_weight, 0.01..=100.0);
    findings.range(&at.key("maxWeight"), analysis.max_weight, 0.01..=100.0);
    let weights = analysis.step_weights.iter().enumerate();
    rising(
        weights.map(|(i, weight)| (at.key("stepWeights").at(i), *weight)),
        findings,
    );
    for (i, metric) in analysis.metrics.iter().enumerate() {
        check_metric(metric, &at.key("metrics").at(i), findings);
    }
    if let Some(guards) = &analysis.guards {
        let at = at.key("guards");
        findings.duration(&at.key("breakerOpen"), &guards.breaker_open);
        if let Some(fast) = &guards.fail_fast {
            findings.count(&at.key("failFast").key("samples"), fast.samples);
            findings.range(
                &at.key("failFast").key("percent"),
                fast.percent,
                0.0..=100.0,
            );
        }
    }
    for (i, webhook) in analysis.webhooks.iter().enumerate() {
        check_webhook(webhook, &at.key("webhooks").at(i), findings);
    }
}

fn check_metric(metric: &v1::AnalysisMetric, at: &Pointer, findings: &mut Findings) {
    findings.name(&at.key("name"), &metric.name);
    findings.range(&at.key("share"), metric.share, 0.0..=1.0);
    findings.range(&at.key("max"), metric.max, 0.0..=100.0);
    findings.range(&at.key("maxRatio"), metric.max_ratio, 0.0..=f64::INFINITY);
    for (i, quantile) in metric.quantiles.iter().enumerate() {
        findings.range(&at.key("quantiles").at(i), Some(*quantile), 0.0..=1.0);
    }
    if let Some(margin) = &metric.margin {
        let at = at.key("margin");
        findings.range(&at.key("points"), margin.points, 0.0..=100.0);
        findings.range(&at.key("ratio"), margin.ratio, 0.0..=f64::INFINITY);
    }
    findings.word(
        &at.key("mode"),
        &metric.mode,
        &["enforce", "pauseOnly", "observe"],
    );
    findings.word(&at.key("judge"), &metric.judge, &["threshold"]);
    findings.duration(&at.key("interval"), &metric.interval);
    findings.count(&at.key("failureLimit"), metric.failure_limit);
}

fn check_webhook(webhook: &v1::Webhook, at: &Pointer, findings: &mut Findings) {
    findings.name(&at.key("name"), &webhook.name);
    findings.required(&at.key("type"), &webhook.r#type);
    findings.word(&at.key("type"), &webhook.r#type, &WEBHOOK_TYPES);
    if findings.required(&at.key("url"), &webhook.url) && !super::server::is_http_url(&webhook.url)
    {
        findings.fault(
            &at.key("url"),
            "bad_url",
            "begins with neither http:// nor https://",
        );
    }
    findings.duration(&at.key("timeout"), &webhook.timeout);
}
