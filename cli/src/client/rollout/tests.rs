//! What is sent and how a verb ends, against a server that answers from a script.

use std::time::Duration;

use clap::Parser as _;
use serde_json::{Value, json};
use tokio::{sync::mpsc::UnboundedReceiver, time::timeout};

use super::*;
use crate::{
    args::{Args, Command, remote::Verb},
    client::scripted,
};

/// An analysis as rollout.md's example has it.
pub(super) fn analysis() -> Tree {
    let arm = |e: u64, n: u64, rate: f64| json!({"n": n, "e": e, "rate": rate});
    serde_json::from_value(json!({
        "rolloutId": ID, "seq": "17", "route": "chat",
        "candidate": {"target": "claude", "hash": "c3d4e5f60718"},
        "phase": "Progressing", "sub": "Analysing", "pauseReasons": [], "step": 1, "steps": 4,
        "shares": [1.0, 5.0, 25.0, 50.0], "share": 5.0, "exposureMs": 170_000,
        "minDurationMs": 300_000, "minSamples": 300, "samples": {"canary": 164, "stable": 3102},
        "verdict": {"kind": "inconclusive",
            "why": "errors has 164 of 300 canary samples; at 1.1/s enough in 2m4s"},
        "metrics": [
            {"name": "errors", "title": "errors", "mode": "enforce", "canary": arm(2, 164, 0.0122),
             "stable": arm(29, 3102, 0.0093), "logEvidence": -0.916, "logThreshold": 5.116,
             "limitRatio": 0.0, "logCertificate": 1.194, "logCertificateThreshold": 2.996,
             "text": "≤ stable + 0.5 points"},
            {"name": "ttft", "title": "ttft > 3 s", "mode": "enforce", "bound": 3.0,
             "canary": arm(11, 162, 0.0679), "stable": arm(148, 3073, 0.0482), "evidence": 0.6,
             "limit": 500, "limitRatio": 0.0, "text": "≤ 2 × stable + 5 points"},
            {"name": "cost", "mode": "pauseOnly", "canary": {"n": 164, "mean": 0.01212},
             "stable": {"n": 3102, "mean": 0.0098}, "evidence": 1.0, "limit": 100,
             "allowed": 1.25, "text": "≤ 1.25 × stable"},
            {"name": "judge-score", "mode": "pauseOnly", "canary": {"value": 0.9}, "failed": 1,
             "failureLimit": 3, "limitRatio": 0.33, "text": "≥ 0.8"},
        ],
        "total": {"evidence": 0.5, "limit": 100, "limitRatio": 0.0, "text": "rolls back at 100"},
        "guards": {"text": "breaker closed on 3/3"},
        "next": {"text": "25 % when: 300 samples, 2m10s more, gate closed",
            "gate": "go-on", "command": "serin rollout gate chat go-on --open"},
        "legal": ["pause", "promote", "abort", "skip-step"],
    }))
    .unwrap()
}

const ID: &str = "7f3a09c2b1d4";
/// Longest wait for what must come.
const SOON: Duration = Duration::from_secs(10);

fn state(phase: &str, because: &str) -> Value {
    json!({
        "rolloutId": ID, "seq": "17", "route": "chat", "phase": phase, "share": 5.0,
        "candidate": {"target": "claude", "hash": "c3d4e5f60718"}, "endedBecause": because,
    })
}

fn answer(status: &str, body: &Value) -> &'static str {
    let body = body.to_string();
    let length = body.len();
    let text =
        format!("HTTP/1.1 {status}\r\netag: \"7\"\r\ncontent-length: {length}\r\n\r\n{body}");
    Box::leak(text.into_boxed_str())
}

fn found() -> &'static str {
    answer("200 OK", &json!({"items": [state("Progressing", "")]}))
}

/// Runs a command line against those answers: how it ended, and what was asked.
async fn played(line: &str, answers: Vec<&'static str>) -> (Result<(), Failed>, Vec<String>) {
    let (at, mut questions) = scripted::server(answers).await;
    let words = line.split(' ').map(str::to_owned);
    let more = ["--server".to_owned(), format!("http://{at}")];
    let args = Args::parse_from(words.chain(more));
    let Command::Remote(Verb::Rollout(verb)) = args.command else {
        panic!("{line} is no verb of rollouts");
    };
    let done = timeout(SOON, run(&verb)).await.expect("it ends");
    (done, asked(&mut questions))
}

fn asked(questions: &mut UnboundedReceiver<String>) -> Vec<String> {
    std::iter::from_fn(|| questions.try_recv().ok()).collect()
}

/// The request line and the body.
fn told(question: &str) -> (String, Value) {
    let (head, body) = question.split_once("\r\n\r\n").unwrap_or((question, ""));
    let line = head.lines().next().unwrap_or_default();
    let line = line.trim_end_matches(" HTTP/1.1").replace("/api/v1", "");
    (line, serde_json::from_str(body).unwrap_or_default())
}

#[rustfmt::skip]
#[actix_rt::test]
async fn each_verb_asks_the_newest_rollout_of_its_route() {
    let table = [
        ("pause chat --suspend --reason why", "POST /rollouts/7f3a09c2b1d4/pause", json!({"suspend": true, "reason": "why"})),
        ("resume chat", "POST /rollouts/7f3a09c2b1d4/resume", json!({})),
        ("promote chat --expected-seq 17", "POST /rollouts/7f3a09c2b1d4/promote", json!({"full": false, "expectedSeq": 17})),
        ("promote chat --full", "POST /rollouts/7f3a09c2b1d4/promote", json!({"full": true})),
        ("abort chat", "POST /rollouts/7f3a09c2b1d4/abort", json!({})),
        ("undo chat", "POST /rollouts/7f3a09c2b1d4/undo", json!({})),
        ("retry chat", "POST /rollouts/7f3a09c2b1d4/retry", json!({})),
        ("skip-step chat", "POST /rollouts/7f3a09c2b1d4/skip-step", json!({})),
        ("gate chat go-on --open", "PUT /rollouts/7f3a09c2b1d4/gates/go-on", json!({"open": true})),
        ("gate chat go-on --close", "PUT /rollouts/7f3a09c2b1d4/gates/go-on", json!({"open": false})),
    ];
    for (line, request, body) in table {
        let answers = vec![found(), answer("200 OK", &state("Paused", ""))];
        let (done, asked) = played(&format!("serin rollout {line}"), answers).await;
        assert!(done.is_ok(), "{line}: {done:?}");
        assert_eq!(told(&asked[0]).0, "GET /rollouts?route=chat&limit=1", "{line}");
        assert_eq!(told(&asked[1]), (request.to_owned(), body), "{line}");
        let is_post = request.starts_with("POST");
        assert_eq!(asked[1].contains("idempotency-key: "), is_post, "{}", asked[1]);
    }
}

#[actix_rt::test]
async fn another_rollout_is_asked_by_its_id_if_it_is_of_that_route() {
    let answers = || {
        let state = answer("200 OK", &state("Failed", ""));
        vec![state, state]
    };
    let line = format!("serin rollout retry chat --id {ID}");
    let (done, asked) = played(&line, answers()).await;
    assert!(done.is_ok(), "{done:?}");
    assert_eq!(told(&asked[1]).0, format!("POST /rollouts/{ID}/retry"));
    let line = format!("serin rollout abort other --id {ID}");
    let (done, asked) = played(&line, answers()).await;
    let failed = done.unwrap_err();
    assert!(matches!(failed, Failed::NotFound(_)), "{failed:?}");
    assert_eq!(asked.len(), 1, "nothing was aborted");
}

#[actix_rt::test]
async fn a_route_without_a_rollout_is_not_found() {
    let none = answer("200 OK", &json!({"items": []}));
    let route = answer("200 OK", &json!({"name": "chat"}));
    let gone = json!({"title": "Not found", "status": 404, "code": "not_found", "detail": "there is no route chat"});
    let gone = answer("404 Not Found", &gone);
    for (answers, words) in [
        (vec![none, route], "rollout start"),
        (vec![none, gone], "there is no route chat"),
    ] {
        let (done, asked) = played("serin rollout abort chat", answers).await;
        let failed = done.unwrap_err();
        assert!(matches!(failed, Failed::NotFound(_)), "{failed:?}");
        assert!(failed.to_string().contains(words), "{failed}");
        assert_eq!(told(&asked[1]).0, "GET /routes/chat");
    }
}

#[actix_rt::test]
async fn what_is_stale_or_not_possible_now_is_a_conflict_with_the_way_out() {
    let stale = json!({
        "title": "The rollout went on meanwhile", "status": 409, "code": "stale_seq",
        "detail": "its newest record has seq 18 now", "seq": "18", "errors": [],
    });
    let illegal = json!({
        "title": "The rollout's phase does not allow this", "status": 422, "code": "illegal_verb",
        "detail": "resume is not possible now: it is not paused (possible now: pause, abort)",
        "legal": ["pause", "abort"], "errors": [],
    });
    for (status, problem, word) in [
        ("409 Conflict", stale, "seq 18"),
        (
            "422 Unprocessable Entity",
            illegal,
            "possible now: pause, abort",
        ),
    ] {
        let answers = vec![found(), answer(status, &problem)];
        let (done, _) = played("serin rollout resume chat", answers).await;
        let failed = done.unwrap_err();
        assert!(matches!(failed, Failed::Conflict(_)), "{failed:?}");
        assert!(failed.to_string().contains(word), "{failed}");
    }
}

#[actix_rt::test]
async fn who_waits_for_a_rollout_learns_by_the_exit_how_it_ended() {
    let wait = "serin rollout status chat --watch --timeout 60s";
    let away = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
    let running = answer("200 OK", &state("Baking", ""));
    let end = |phase: &str| answer("200 OK", &state(phase, "errors"));
    let (done, _) = played(wait, vec![found(), running, away, end("Succeeded")]).await;
    assert!(done.is_ok(), "{done:?}");
    for phase in ["Failed", "Aborted", "Superseded"] {
        let (done, _) = played(wait, vec![found(), end(phase)]).await;
        let failed = done.unwrap_err();
        assert!(matches!(failed, Failed::Rollout(_)), "{phase}: {failed:?}");
        assert!(failed.to_string().ends_with("errors"), "{failed}");
    }
    let short = "serin rollout status chat --watch --timeout 1ms";
    let (done, _) = played(short, vec![found(), running, running, running]).await;
    let failed = done.unwrap_err();
    assert!(matches!(failed, Failed::TimedOut(_)), "{failed:?}");
    assert!(failed.to_string().contains("Baking"), "{failed}");
}

const PLAN: &str =
    "routes: []\nrollouts:\n  - route: chat\n    candidate: claude\n    steps: [{weight: 5}]\n";

#[actix_rt::test]
async fn a_plan_is_sent_as_it_was_written_and_its_faults_come_back_with_their_lines() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plan.yaml");
    std::fs::write(&file, PLAN).unwrap();
    let line = format!("serin rollout start -f {} --reason why", file.display());
    let created = answer("201 Created", &state("Pending", ""));
    let (done, asked) = played(&line, vec![created]).await;
    assert!(done.is_ok(), "{done:?}");
    let (request, body) = told(&asked[0]);
    assert_eq!(request, "POST /routes/chat/rollouts?dryRun=false");
    let sent = json!({"route": "chat", "candidate": "claude", "steps": [{"weight": 5.0}], "reason": "why"});
    assert_eq!(body, sent);

    let problem = json!({
        "title": "The documents would be invalid", "status": 422, "code": "invalid_document",
        "errors": [{"pointer": "/candidate", "code": "unknown_target", "message": "is no target of chat"}],
    });
    let refused = answer("422 Unprocessable Entity", &problem);
    let (done, _) = played(&line, vec![refused]).await;
    let failed = done.unwrap_err().to_string();
    let place = format!(
        "{}:4:16: /rollouts/0/candidate: is no target",
        file.display()
    );
    assert!(failed.contains(&place), "{failed}");
}

#[actix_rt::test]
async fn a_view_of_an_ended_rollout_ends_as_it_ended() {
    let mut end = serde_json::to_value(analysis()).unwrap();
    end["phase"] = "Failed".into();
    let answers = vec![found(), answer("200 OK", &end)];
    let (done, asked) = played("serin rollout watch chat", answers).await;
    assert!(matches!(done, Err(Failed::Rollout(_))), "{done:?}");
    assert_eq!(told(&asked[1]).0, format!("GET /rollouts/{ID}/analysis"));
}
