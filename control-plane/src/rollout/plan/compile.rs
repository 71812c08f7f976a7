//! A document → what it means. Pure.
//!
//! What is wrong with a document is said by `serin_proto::validate`; here nothing is refused, only
//! filled in: rollout.md 3 has the defaults, Flagger's words become steps and limits.

use serin_proto::{Fault, fault::Pointer, unit::Share, unit::parse_duration, v1, validate};

use super::{
    Alert, AlertFormat, AlertUrl, AnalysisPlan, Guards, HookKind, OnFail, OnNoData,
    OnProviderError, Plan, PlanPolicy, PlanStep, Promotion, Severity, Webhook, metric,
};
use crate::rollout::canonical;

/// Of a plan as JSON: the state holds it, a changed one, and all the evidence.
const PLAN_BYTES_MAX: usize = 8 * 1_024;
const INTERVAL_MS: u64 = 10_000;
const MIN_SAMPLES: u64 = 100;
const ALPHA: f64 = 0.01;
const BETA: f64 = 0.05;
const THRESHOLD: u32 = 5;
const CONSECUTIVE_ERROR_LIMIT: u32 = 4;
const INCONCLUSIVE_DEADLINE_MS: u64 = 1_800_000;
const BLIND_MAX_MS: u64 = 600_000;
const PROGRESS_DEADLINE_MS: u64 = 600_000;
const BAKE_MS: u64 = 900_000;
const UNDO_WINDOW_MS: u64 = 86_400_000;
const HOLDBACK: f64 = 1.0;
const BREAKER_OPEN_MS: u64 = 10_000;
const FAIL_FAST_SAMPLES: u64 = 12;
const FAIL_FAST_PERCENT: f64 = 80.0;
const HOOK_TIMEOUT_MS: u64 = 10_000;

/// Compiles a document whose hash is known; `None`: it is taken.
///
/// # Errors
/// Everything that is wrong with it, with pointers that begin at the plan.
pub(super) fn compile(document: &v1::Rollout, known: Option<&str>) -> Result<Plan, Vec<Fault>> {
    let findings = validate::rollout(document);
    if !findings.faults.is_empty() {
        return Err(findings.faults);
    }
    let bytes = serde_json::to_vec(document).map_or(0, |json| json.len());
    if bytes > PLAN_BYTES_MAX {
        let why = format!("is {bytes} bytes long, at most {PLAN_BYTES_MAX}");
        return Err(vec![Fault::new(&Pointer::root(), "too_large", why)]);
    }
    let none = v1::Analysis::default();
    let analysis = document.analysis.as_ref().unwrap_or(&none);
    let interval_ms = millis(&analysis.interval, INTERVAL_MS);
    let mut plan = Plan {
        route: document.route.clone(),
        candidate: document.candidate.clone(),
        steps: steps(document, analysis, interval_ms),
        promotion: promotion(document.promotion.as_ref()),
        analysis: analysis_plan(analysis, interval_ms),
        on_fail: match document.on_fail.as_str() {
            "stepBack" => OnFail::StepBack,
            "freeze" => OnFail::Freeze,
            _ => OnFail::Rollback,
        },
        policy: match document.plan_policy.as_str() {
            "restart" => PlanPolicy::Restart,
            _ => PlanPolicy::NextStep,
        },
        progress_deadline_ms: millis(&document.progress_deadline, PROGRESS_DEADLINE_MS),
        hash: known.unwrap_or_default().to_owned(),
    };
    if known.is_none() {
        plan.hash = hash(&plan);
    }
    Ok(plan)
}

/// Of what is meant, so that a default written out changes nothing.
fn hash(plan: &Plan) -> String {
    let meant = serde_json::to_value(plan).unwrap_or_default();
    canonical::short(&canonical::json(&meant))
}

/// In milliseconds, rounded up: nothing that was written becomes no time at all.
pub(in crate::rollout) fn millis(text: &str, default: u64) -> u64 {
    parse_duration(text).map_or(default, |time| {
        u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
    })
}

fn share(percent: f64) -> Share {
    Share::try_from(percent).unwrap_or_default()
}

fn steps(document: &v1::Rollout, analysis: &v1::Analysis, interval_ms: u64) -> Vec<PlanStep> {
    let expanded = |share| PlanStep {
        share,
        min_duration_ms: interval_ms,
        min_samples: MIN_SAMPLES,
        gate: None,
        certificate: false,
    };
    if document.steps.is_empty() {
        return flagger_shares(analysis).map(expanded).collect();
    }
    let written = |step: &v1::RolloutStep| PlanStep {
        share: share(step.weight.unwrap_or_default()),
        min_duration_ms: millis(&step.min_duration, interval_ms),
        min_samples: step.min_samples.map_or(MIN_SAMPLES, u64::from),
        gate: named(&step.gate),
        certificate: step.certificate,
    };
    document.steps.iter().map(written).collect()
}

/// `stepWeights`, or multiples of `stepWeight`, up to `maxWeight` and never beyond (Flagger's own
/// overshoots: 20, 40, 60 for a maximum of 50).
fn flagger_shares(analysis: &v1::Analysis) -> impl Iterator<Item = Share> {
    let most = share(analysis.max_weight.unwrap_or(100.0)).hundredths();
    let by = share(analysis.step_weight.unwrap_or(100.0)).hundredths();
    let mut shares: Vec<u16> = if analysis.step_weights.is_empty() {
        let count = most.div_ceil(by.max(1));
        (1..=count).map(|i| by.saturating_mul(i)).collect()
    } else {
        let written = analysis.step_weights.iter();
        written
            .map(|percent| share(*percent).hundredths())
            .collect()
    };
    shares
        .iter_mut()
        .for_each(|share| *share = (*share).min(most));
    shares.dedup();
    shares.into_iter().filter_map(Share::from_hundredths)
}

fn promotion(written: Option<&v1::Promotion>) -> Promotion {
    let none = v1::Promotion::default();
    let written = written.unwrap_or(&none);
    Promotion {
        gate: named(&written.gate),
        bake_ms: millis(&written.bake, BAKE_MS),
        holdback: share(written.holdback.unwrap_or(HOLDBACK)),
        undo_window_ms: millis(&written.undo_window, UNDO_WINDOW_MS),
        step: written.step_weight.map(share),
    }
}

fn named(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn analysis_plan(analysis: &v1::Analysis, interval_ms: u64) -> AnalysisPlan {
    let threshold = analysis.threshold.unwrap_or(THRESHOLD);
    AnalysisPlan {
        interval_ms,
        alpha: analysis.alpha.unwrap_or(ALPHA),
        beta: analysis.beta.unwrap_or(BETA),
        metrics: metric::all(&analysis.metrics, interval_ms, threshold),
        guards: guards(analysis.guards.as_ref()),
        on_no_data: match analysis.on_no_data.as_str() {
            "pause" => OnNoData::Pause,
            "fail" => OnNoData::Fail,
            _ => OnNoData::Hold,
        },
        on_provider_error: match analysis.on_provider_error.as_str() {
            "pause" => OnProviderError::Pause,
            _ => OnProviderError::Hold,
        },
        consecutive_error_limit: analysis
            .consecutive_error_limit
            .unwrap_or(CONSECUTIVE_ERROR_LIMIT),
        inconclusive_deadline_ms: millis(&analysis.inconclusive_deadline, INCONCLUSIVE_DEADLINE_MS),
        blind_max_ms: millis(&analysis.blind_max, BLIND_MAX_MS),
        threshold,
        webhooks: analysis.webhooks.iter().filter_map(webhook).collect(),
        alerts: analysis.alerts.iter().map(alert).collect(),
        warmup_ms: parse_duration(&analysis.warmup)
            .ok()
            .map(|_| millis(&analysis.warmup, 0)),
        scrape_interval_ms: parse_duration(&analysis.scrape_interval)
            .ok()
            .map(|_| millis(&analysis.scrape_interval, 0)),
        variables: analysis.variables.clone(),
    }
}

fn guards(written: Option<&v1::Guards>) -> Guards {
    let none = v1::Guards::default();
    let written = written.unwrap_or(&none);
    let fast = written.fail_fast.unwrap_or_default();
    Guards {
        breaker_open_ms: millis(&written.breaker_open, BREAKER_OPEN_MS),
        fail_fast_samples: fast.samples.map_or(FAIL_FAST_SAMPLES, u64::from),
        fail_fast_ratio: fast.percent.unwrap_or(FAIL_FAST_PERCENT) / 100.0,
    }
}

fn webhook(written: &v1::Webhook) -> Option<Webhook> {
    Some(Webhook {
        name: written.name.clone(),
        kind: HookKind::from_word(&written.r#type)?,
        url: written.url.clone(),
        timeout_ms: millis(&written.timeout, HOOK_TIMEOUT_MS),
        retries: written.retries.unwrap_or_default(),
        metadata: written.metadata.clone(),
        mute_alert: written.mute_alert,
    })
}

fn alert(written: &v1::Alert) -> Alert {
    let url = if !written.url_env.is_empty() {
        AlertUrl::Env(written.url_env.clone())
    } else if !written.url_file.is_empty() {
        AlertUrl::File(written.url_file.clone())
    } else {
        AlertUrl::Written(written.url.clone())
    };
    Alert {
        name: written.name.clone(),
        format: match written.r#type.as_str() {
            "slack" => AlertFormat::Slack,
            _ => AlertFormat::Generic,
        },
        url,
        severity: match written.severity.as_str() {
            "warn" => Severity::Warn,
            "error" => Severity::Error,
            _ => Severity::Info,
        },
    }
}
