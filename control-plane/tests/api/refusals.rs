//! Every refusal is a problem document with a code, whoever in the house refuses.

use serde_json::json;

use crate::{
    client::Request,
    stage::{Stage, chat},
    wait::eventually,
};

#[rustfmt::skip]
#[test]
fn what_does_not_exist_or_cannot_be_read_is_told_alike() {
    let stage = Stage::with_chat();
    let put = |path: &str| Request::put(path, &chat()).if_match("*");
    let route = "/api/v1/routes/chat";
    let body = |text: &str| Request::new("PUT", route).body("application/json", text).if_match("*");
    let table = [
        (Request::get("/nothing"),                             404, "unknown_path"),
        (Request::get("/api/v1"),                              404, "unknown_path"),
        (Request::get("/api/v1/nothing"),                      404, "unknown_path"),
        (Request::get("/api/v1/rollouts/none/gates"),          404, "unknown_path"),
        (Request::get("/api/v1/rollouts/none"),                404, "not_found"),
        (Request::get("/api/v1/rollouts/No"),                  404, "not_found"),
        (Request::get("/api/v1/rollouts/none/history"),        404, "not_found"),
        (Request::get("/api/v1/rollouts/none/analysis"),       404, "not_found"),
        (Request::get("/api/v1/rollouts?phase=baking"),        400, "invalid_request"),
        (Request::get("/api/v1/rollouts?route=A"),             400, "invalid_request"),
        (Request::get("/api/v1/rollouts?dryRun=true"),         400, "invalid_request"),
        (Request::get("/api/v1/rollouts/none/history?pageToken=x"), 400, "invalid_request"),
        (Request::post("/api/v1/rollouts/none/abort", &json!({})),  404, "not_found"),
        (Request::post("/api/v1/rollouts/none/abort", &json!({ "full": true })),   400, "invalid_request"),
        (Request::post("/api/v1/rollouts/none/abort", &json!({ "expectedSeq": -1 })), 400, "invalid_request"),
        (Request::post("/api/v1/rollouts/none/abort?x=1", &json!({})),  400, "invalid_request"),
        (Request::put("/api/v1/rollouts/none/gates/go", &json!({})),    400, "invalid_request"),
        (Request::put("/api/v1/rollouts/none/gates/go", &json!({ "open": true })), 404, "not_found"),
        (Request::put("/api/v1/rollouts/none/gates/Go", &json!({ "open": true })), 404, "not_found"),
        (Request::post("/api/v1/routes/none/rollouts", &json!({ "candidate": "gpt", "steps": [{ "weight": 5 }] })), 404, "not_found"),
        (Request::get("/api/v1/usage"),                        404, "unknown_path"),
        (Request::get("/api/v1/routes/none"),                  404, "not_found"),
        (Request::get("/api/v1/routes/none/traffic"),          404, "not_found"),
        (Request::get("/api/v1/tokens/none"),                  404, "not_found"),
        (Request::post("/api/v1/routes", &json!({})),          405, "method_not_allowed"),
        (Request::new("OPTIONS", route),                       405, "method_not_allowed"),
        (Request::new("PATCH", route),                         405, "method_not_allowed"),
        (Request::post("/livez", &json!({})),                  405, "method_not_allowed"),
        (Request::get("/api/v1/routes?limit=0"),               400, "invalid_request"),
        (Request::get("/api/v1/routes?limit=1001"),            400, "invalid_request"),
        (Request::get("/api/v1/routes?limit=-1"),              400, "invalid_request"),
        (Request::get("/api/v1/routes?limit=ten"),             400, "invalid_request"),
        (Request::get("/api/v1/routes?unknown=1"),             400, "invalid_request"),
        (Request::get("/api/v1/routes?pageToken=../keys"),     400, "invalid_request"),
        (Request::get("/api/v1/routes/chat?dryRun=true"),      400, "invalid_request"),
        (Request::get("/api/v1/audit?route=a&key=b"),          400, "invalid_request"),
        (put(&format!("{route}?dryrun=true")),                 400, "invalid_request"),
        (put(route).header("if-none-match", "*"),              400, "invalid_request"),
        (Request::put(route, &chat()).if_match("42"),          400, "invalid_request"),
        (Request::get(route).header("if-none-match", "x"),     400, "invalid_request"),
        (body(""),                                             400, "invalid_request"),
        (body("{"),                                            400, "invalid_request"),
        (body("[]"),                                           400, "invalid_request"),
        (body("\u{0}"),                                        400, "invalid_request"),
        (Request::get("/api/v1/watch").header("last-event-id", "x"), 400, "invalid_request"),
        (Request::post("/api/v1/apply", &json!({ "unknown": [] })),  400, "invalid_request"),
        (Request::post("/api/v1/apply", &json!({})).header("idempotency-key", "a b"), 400, "invalid_request"),
        (Request::new("PUT", route).body("text/plain", "{}"),  415, "unsupported_media_type"),
        (Request::new("PUT", route).body("application/yaml", "{}"),          415, "unsupported_media_type"),
        (Request::new("PUT", route).body("application/x-www-form-urlencoded", "{}"), 415, "unsupported_media_type"),
        (Request::new("PUT", route).body("application/json; charset=latin1", "{}"), 415, "unsupported_media_type"),
        (put(route).header("content-encoding", "gzip"),        415, "unsupported_media_type"),
        (Request::put("/api/v1/routes/none/traffic", &json!({ "weights": { "a": 100 } })).if_match("*"), 404, "not_found"),
    ];
    for (request, status, code) in table {
        let answer = stage.admin(request.clone());
        assert_eq!(answer.problem(), (status, code.to_owned()), "{request:?}\n{}", answer.text());
    }
}

#[test]
fn a_405_tells_what_is_allowed() {
    let stage = Stage::new();
    let allow = |path: &str| {
        let answer = stage.admin(Request::new("PATCH", path));
        answer.header("allow").unwrap_or_default().to_owned()
    };
    assert_eq!(allow("/api/v1/routes/chat"), "GET, HEAD, PUT, DELETE");
    assert_eq!(allow("/api/v1/routes/chat/traffic"), "GET, HEAD, PUT");
    assert_eq!(allow("/api/v1/apply"), "POST");
    assert_eq!(allow("/version"), "GET, HEAD");
}

#[test]
fn a_body_over_the_limit_is_413_whether_or_not_its_length_was_told() {
    let stage = Stage::with_chat();
    let long = format!("\"{}\"", "x".repeat(1024 * 1024));
    let told = Request::new("PUT", "/api/v1/routes/chat").body("application/json", long.clone());
    let chunk = format!("{:x}\r\n{long}\r\n0\r\n\r\n", long.len());
    let untold = Request::new("PUT", "/api/v1/routes/chat")
        .header("transfer-encoding", "chunked")
        .body("application/json", chunk);
    for request in [told, untold] {
        let refused = stage.admin(request);
        assert_eq!(refused.problem(), (413, "request_too_large".to_owned()));
    }
    let mut large = chat();
    large["aliases"] = (0..30_000).map(|i| json!(format!("alias-{i}"))).collect();
    let refused = stage.admin(Request::put("/api/v1/routes/chat", &large).if_match("*"));
    assert_eq!(refused.problem(), (413, "document_too_large".to_owned()));
}

#[test]
fn a_request_keeps_a_sane_id_and_gets_one_otherwise() {
    let stage = Stage::new();
    let id = |given: &str| {
        let request = Request::get("/api/v1/nothing").header("x-request-id", given);
        let answer = stage.admin(request);
        answer.problem();
        answer.header("x-request-id").unwrap_or_default().to_owned()
    };
    assert_eq!(id("deploy-42.a_b"), "deploy-42.a_b");
    for bad in ["a b", "<script>", &"x".repeat(129)] {
        let made = id(bad);
        assert!(made != bad && made.len() == 26, "{bad}: {made}");
    }
}

#[test]
fn what_stands_beside_the_api_needs_no_token_and_says_little() {
    let stage = Stage::new();
    let text = |path: &str| {
        let answer = stage.ask(&Request::get(path));
        assert_eq!(answer.status, 200, "{path}");
        answer.text()
    };
    assert_eq!(text("/livez"), "ok\n");
    assert_eq!(text("/readyz"), "ready\n");
    assert_eq!(text("/version"), r#"{"commit":"none","version":"0.0.0"}"#);
    assert!(text("/").contains("/api/v1"));
    let metrics = text("/metrics");
    assert!(
        metrics.contains("serin_cp_http_requests_total{"),
        "{metrics}"
    );
    assert!(metrics.contains("path=\"/readyz\""), "{metrics}");
}

#[test]
fn who_tries_many_wrong_tokens_is_told_to_wait() {
    let stage = Stage::new();
    let tried = || stage.ask(&Request::get("/api/v1/routes").token("wrong"));
    let first = tried();
    assert_eq!(first.problem(), (401, "unauthenticated".to_owned()));
    assert_eq!(first.header("www-authenticate"), Some("Bearer"));
    let last = eventually("it must wait", tried, |answer| answer.status != 401);
    assert_eq!(last.problem(), (429, "too_many_attempts".to_owned()));
    let seconds = last
        .header("retry-after")
        .and_then(|text| text.parse::<u64>().ok());
    assert!(seconds.is_some_and(|seconds| seconds >= 1), "{seconds:?}");
}

#[test]
fn a_store_that_is_away_is_503_and_the_process_stays_ready() {
    let stage = Stage::with_chat();
    stage.store.partition();
    let refused = stage.admin(Request::get("/api/v1/routes/chat"));
    assert_eq!(refused.problem(), (503, "store_unavailable".to_owned()));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(stage.ask(&Request::get("/readyz")).status, 200);
    stage.store.heal();
    assert_eq!(stage.read("/api/v1/routes/chat").status, 200);
}
