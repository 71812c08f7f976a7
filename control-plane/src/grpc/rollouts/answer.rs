//! States, records and evidence as messages. Pure.
//!
//! They are read from the JSON that REST answers with, so both tell the same; what is not known here
//! is in the message's `json`.

use prost::Message;
use serde_json::Value as Json;
use serin_proto::{unit::Revision, v1::Rollout};

use crate::{
    change::rollout::Started,
    grpc::{
        answer::{notice, unreadable},
        v1,
    },
    read::Listed,
    rollout::event::Verb,
};

pub(super) fn started(started: Started) -> v1::StartRolloutResponse {
    v1::StartRolloutResponse {
        rollout: Some(state(&started.state)),
        created: started.created,
        revision: started.revision.0,
        warnings: started.warnings.into_iter().map(notice).collect(),
        planned: started.planned.map(|planned| planned.to_string()),
        audit_id: started.audit.unwrap_or_default(),
        supersedes: started.supersedes.map(|old| v1::SupersededRollout {
            id: old.id,
            candidate: old.candidate,
            share: old.share,
        }),
        plan_changed: started.plan_changed,
        unchanged: started.unchanged,
    }
}

pub(super) fn entry(json: &Json, revision: Revision) -> v1::RolloutEntry {
    v1::RolloutEntry {
        rollout: Some(state(json)),
        revision: revision.0,
    }
}

pub(super) fn listed(listed: Listed) -> v1::ListRolloutsResponse {
    let items = listed.items.iter();
    v1::ListRolloutsResponse {
        items: items
            .map(|shown| entry(&shown.json, shown.revision))
            .collect(),
        unreadable: unreadable(&listed),
        next_page_token: listed.next_page_token.unwrap_or_default(),
    }
}

fn state(json: &Json) -> v1::RolloutState {
    let gates = fields(json, "gates").map(|(name, gate)| {
        let open = gate.get("open").and_then(Json::as_bool);
        (name.clone(), open.unwrap_or_default())
    });
    let weights = fields(json, "baseWeights");
    let weights = weights.filter_map(|(name, percent)| Some((name.clone(), percent.as_f64()?)));
    let step = json.get("step").and_then(Json::as_u64);
    v1::RolloutState {
        rollout_id: text(json, "/rolloutId"),
        seq: seq(json),
        route: text(json, "/route"),
        candidate: text(json, "/candidate/target"),
        candidate_hash: text(json, "/candidate/hash"),
        phase: text(json, "/phase"),
        sub: text(json, "/sub"),
        pause_reasons: texts(json, "pauseReasons"),
        step: step.and_then(|step| step.try_into().ok()),
        share: json.get("share").and_then(Json::as_f64).unwrap_or_default(),
        manual: json.get("manual") == Some(&Json::Bool(true)),
        gates: gates.collect(),
        verdict: verdict(json),
        base_weights: weights.collect(),
        plan: plan(json),
        started_at: text(json, "/startedAt"),
        ended_at: text(json, "/endedAt"),
        ended_because: text(json, "/endedBecause"),
        json: json.to_string(),
        undone: json.get("undone") == Some(&Json::Bool(true)),
        by_hand: by_hand(json),
    }
}

fn by_hand(json: &Json) -> Option<v1::RolloutByHand> {
    let told = json.get("byHand").filter(|told| told.is_object())?;
    Some(v1::RolloutByHand {
        verb: text(told, "/verb"),
        by: text(told, "/by"),
        reason: text(told, "/reason"),
        at: text(told, "/at"),
    })
}

fn plan(json: &Json) -> Option<Rollout> {
    serde_json::from_value(json.get("plan")?.clone()).ok()
}

fn verdict(json: &Json) -> Option<v1::RolloutVerdict> {
    json.get("verdict").filter(|verdict| verdict.is_object())?;
    Some(v1::RolloutVerdict {
        kind: text(json, "/verdict/kind"),
        why: text(json, "/verdict/why"),
    })
}

pub(super) fn record(json: &Json) -> v1::RolloutRecord {
    v1::RolloutRecord {
        seq: seq(json),
        transition: text(json, "/transition"),
        reason: text(json, "/reason"),
        at: text(json, "/at"),
        hash: text(json, "/hash"),
        json: json.to_string(),
    }
}

pub(super) fn analysis(json: &Json) -> v1::RolloutAnalysis {
    let metrics = json.get("metrics").and_then(Json::as_array);
    v1::RolloutAnalysis {
        rollout_id: text(json, "/rolloutId"),
        seq: seq(json),
        verdict: verdict(json),
        metrics: metrics.into_iter().flatten().map(metric).collect(),
        eta_seconds: number(json, "etaSeconds"),
        next: text(json, "/next/text"),
        legal: texts(json, "legal"),
        json: json.to_string(),
    }
}

fn metric(json: &Json) -> v1::RolloutMetric {
    v1::RolloutMetric {
        name: text(json, "/name"),
        title: text(json, "/title"),
        mode: text(json, "/mode"),
        canary: json.get("canary").map(arm),
        stable: json.get("stable").filter(|arm| arm.is_object()).map(arm),
        log_evidence: number(json, "logEvidence"),
        log_threshold: number(json, "logThreshold"),
        log_certificate: number(json, "logCertificate"),
        log_certificate_threshold: number(json, "logCertificateThreshold"),
        text: text(json, "/text"),
    }
}

fn arm(json: &Json) -> v1::RolloutArm {
    let count = |field| json.get(field).and_then(Json::as_u64).unwrap_or_default();
    let value = ["rate", "mean", "value"];
    v1::RolloutArm {
        samples: count("n"),
        events: count("e"),
        value: value.into_iter().find_map(|field| number(json, field)),
    }
}

/// What an idempotency key stands for: the verb and all it was asked with.
pub(super) fn digested(id: &str, verb: &Verb, options: &v1::VerbOptions) -> impl Message + use<> {
    let asked = serde_json::to_string(verb).unwrap_or_default();
    v1::RolloutVerbRequest {
        id: format!("{id} {asked}"),
        options: Some(options.clone()),
    }
}

fn seq(json: &Json) -> u64 {
    let text = json.get("seq").and_then(Json::as_str);
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn number(json: &Json, field: &str) -> Option<f64> {
    json.get(field).and_then(Json::as_f64)
}

fn text(json: &Json, pointer: &str) -> String {
    let text = json.pointer(pointer).and_then(Json::as_str);
    text.unwrap_or_default().to_owned()
}

fn texts(json: &Json, field: &str) -> Vec<String> {
    let items = json.get(field).and_then(Json::as_array).into_iter();
    let texts = items.flatten().filter_map(Json::as_str);
    texts.map(str::to_owned).collect()
}

fn fields<'a>(json: &'a Json, field: &str) -> impl Iterator<Item = (&'a String, &'a Json)> {
    let fields = json.get(field).and_then(Json::as_object);
    fields.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_state_is_told_as_a_message_and_whole_as_json() {
        let json = json!({
            "rolloutId": "7f3a09c2b1d4", "seq": "17", "route": "chat", "phase": "Progressing",
            "sub": "Analysing", "candidate": {"target": "claude", "hash": "c3d4e5f60718"},
            "step": 1, "share": 5.0, "gates": {"go-on": {"open": true}}, "pauseReasons": ["User"],
            "baseWeights": {"gpt": 100.0}, "plan": {"route": "chat", "candidate": "claude"},
            "verdict": {"kind": "pass", "why": "w"}, "clocks": {"stepMs": "183000"},
            "undone": true, "byHand": {"verb": "pause", "by": "ada", "reason": "r", "at": "t"},
        });
        let told = state(&json);
        assert_eq!((told.seq, told.step, told.share), (17, Some(1), 5.0));
        assert_eq!((&*told.phase, &*told.sub), ("Progressing", "Analysing"));
        assert_eq!(told.candidate_hash, "c3d4e5f60718");
        assert_eq!(told.gates.get("go-on"), Some(&true));
        assert_eq!(told.base_weights.get("gpt"), Some(&100.0));
        assert_eq!(
            told.plan.map(|plan| plan.candidate),
            Some("claude".to_owned())
        );
        assert_eq!(
            told.verdict.map(|verdict| verdict.kind),
            Some("pass".to_owned())
        );
        assert!(told.json.contains("183000"));
        assert_eq!(
            (told.undone, told.by_hand.map(|told| told.by)),
            (true, Some("ada".to_owned()))
        );
        let bare = state(&json!({"rolloutId": "a"}));
        assert_eq!((bare.seq, bare.step, bare.verdict), (0, None, None));
    }

    #[test]
    fn evidence_is_told_by_metric() {
        let json = json!({
            "rolloutId": "a", "seq": "3", "etaSeconds": 124, "legal": ["pause"],
            "next": {"text": "25 % when: 300 samples"},
            "metrics": [
                {"name": "errors", "mode": "enforce", "canary": {"n": 164, "e": 2, "rate": 0.0122},
                 "stable": {"n": 3102, "e": 29, "rate": 0.0093}, "logEvidence": -0.9},
                {"name": "cost", "mode": "pauseOnly", "canary": {"n": 164, "mean": 0.0121}},
            ],
        });
        let told = analysis(&json);
        assert_eq!(
            (told.eta_seconds, &*told.next),
            (Some(124.0), "25 % when: 300 samples")
        );
        let errors = told.metrics[0].canary.as_ref().unwrap();
        assert_eq!(
            (errors.samples, errors.events, errors.value),
            (164, 2, Some(0.0122))
        );
        assert_eq!(told.metrics[0].log_evidence, Some(-0.9));
        assert!(told.metrics[1].stable.is_none());
    }

    #[test]
    fn the_same_key_does_not_stand_for_another_verb() {
        let options = v1::VerbOptions::default();
        let bytes = |verb| digested("a", &verb, &options).encode_to_vec();
        assert_ne!(bytes(Verb::Abort), bytes(Verb::Resume));
        assert_ne!(
            bytes(Verb::Pause { suspend: true }),
            bytes(Verb::Pause { suspend: false })
        );
    }
}
