//! One access line for each request, whole and truthful, and with no secret in it.

use serde_json::{Value, json};

use crate::{
    client::{Answer, CHAT, Request, SECRET, chat_body},
    stage::{Stage, alone, pair},
    wait::eventually,
};

/// The line of this request id.
fn line(stage: &Stage, id: &str) -> Value {
    let find = || {
        stage
            .lines()
            .into_iter()
            .filter(|line| line["request_id"] == id)
            .collect()
    };
    let lines: Vec<Value> = eventually("its line", find, |lines: &Vec<Value>| !lines.is_empty());
    assert_eq!(lines.len(), 1, "exactly one line: {lines:?}");
    lines.into_iter().next().expect("one line")
}

fn has(line: &Value, fields: &Value) {
    let fields = fields.as_object().expect("an object");
    for (name, value) in fields {
        assert_eq!(
            line.get(name).unwrap_or(&Value::Null),
            value,
            "{name} of {line}"
        );
    }
}

/// Asks and finds the line.
fn told(stage: &Stage, id: &str, request: Request) -> (Answer, Value) {
    let request = request
        .header("x-request-id", id)
        .header("user-agent", "tester/1");
    (stage.ask(&request), line(stage, id))
}

fn stage() -> Stage {
    let script = "{models: {bad: {errors: [{status: 500}]}, cut: {cut: {afterEvents: 5}}}}";
    let priced = "model: good, price: {input: 2.0, output: 8.0}";
    let priced = alone("good", "").replace("model: good", priced);
    Stage::new(
        script,
        &[priced, pair("bad", ""), alone("cut", "")].concat(),
    )
}

#[test]
fn each_request_has_one_line_that_says_how_it_went() {
    let stage = stage();
    let (answer, plain) = told(&stage, "plain", Request::chat("good"));
    has(
        &plain,
        &json!({
            "kind": "access", "key": "app", "route": "good", "operation": "chat", "stream": false,
            "arm": "stable", "assigned": "a", "target": "a", "attempts": 1, "revision": 1,
            "status": 200, "outcome": "ok", "tokens_in": 8, "tokens_out": 16, "usage": "reported",
            "cost_usd": 0.000144, "user_agent": "tester/1", "bytes_out": answer.body.len(),
            "bytes_in": chat_body("good", "").len(),
            "code": null, "reason": null, "phase": null, "ttft_ms": null, "tried": null,
        }),
    );
    assert!(
        plain["duration_ms"].as_f64() > Some(0.0) && plain["overhead_us"].is_u64(),
        "{plain}"
    );
    assert!(
        plain["peer"]
            .as_str()
            .is_some_and(|peer| peer.starts_with("127.0.0.1:"))
    );
    let ts = plain["ts"].as_str().unwrap_or_default();
    assert!(
        ts.len() == 27 && ts.ends_with('Z') && ts.as_bytes()[10] == b'T',
        "{ts}"
    );
    let (answer, stream) = told(&stage, "stream", Request::stream("good"));
    let bytes_out = answer.body.len();
    has(
        &stream,
        &json!({"stream": true, "status": 200, "outcome": "ok", "bytes_out": bytes_out}),
    );
    assert!(
        stream["ttft_ms"].as_f64() <= stream["duration_ms"].as_f64(),
        "{stream}"
    );
}

#[test]
fn the_line_of_a_failure_says_what_was_tried_and_why() {
    let stage = stage();
    let (_, rescued) = told(&stage, "rescued", Request::chat("bad"));
    has(
        &rescued,
        &json!({"assigned": "a", "target": "b", "attempts": 2, "outcome": "ok"}),
    );
    let tried = rescued["tried"].as_array().expect("both tries");
    assert_eq!(tried.len(), 2, "{rescued}");
    has(
        &tried[0],
        &json!({"target": "a", "role": "first", "reason": "http_5xx"}),
    );
    has(
        &tried[1],
        &json!({"target": "b", "role": "fallback", "reason": "none"}),
    );
    let (_, cut) = told(&stage, "cut", Request::stream("cut"));
    let expected =
        json!({"status": 502, "outcome": "cut", "code": "upstream_error", "reason": "truncated"});
    has(&cut, &expected);
    let (_, denied) = told(
        &stage,
        "denied",
        Request::chat("good").key(Some("sk-wrong")),
    );
    let nobody = json!({"status": 401, "outcome": "error", "code": "invalid_api_key", "key": null,
        "route": null, "attempts": 0});
    has(&denied, &nobody);
    let (_, unknown) = told(&stage, "unknown", Request::chat("nobody"));
    has(
        &unknown,
        &json!({"status": 404, "code": "model_not_found", "key": "app", "route": null}),
    );
    let (_, models) = told(&stage, "models", Request::get("/v1/models"));
    has(
        &models,
        &json!({"status": 200, "operation": "models", "outcome": "ok"}),
    );
    stage.ask(&Request::get("/health"));
    assert_eq!(stage.lines().len(), 5, "probes have none");
}

#[test]
fn no_line_and_no_metric_holds_a_secret_a_prompt_or_an_answer() {
    let provider = "errors: [{status: 400, message: canary-refusal}]";
    let script = format!("{{models: {{chat: {{text: canary-answer}}, bad: {{{provider}}}}}}}");
    let stage = Stage::new(&script, &(alone("chat", "") + &alone("bad", "")));
    let body = "{\"model\":\"chat\",\"user\":\"canary-user\",\"messages\":[{\"role\":\"user\",\"content\":\"canary-prompt\"}]";
    let requests = [
        Request::post(CHAT, format!("{body}}}")),
        Request::post(CHAT, format!("{body},\"stream\":true}}")),
        Request::post(CHAT, format!("{body}}}").replace("\"chat\"", "\"bad\"")),
        Request::post(CHAT, format!("{body}}}")).key(Some("canary-key")),
        Request::post(CHAT, format!("{body}}}")).header("cookie", "canary-cookie"),
        Request::post(CHAT, body),
        Request::post(CHAT, "{\"model\":\"canary-model\"}"),
        Request::get("/canary-path?canary-query"),
    ];
    for request in &requests {
        stage.ask(request);
    }
    eventually(
        "all lines",
        || stage.lines().len(),
        |lines| *lines == requests.len(),
    );
    let told = [
        stage.log_text(),
        stage.admin("/metrics").text(),
        stage.admin("/snapshot").text(),
    ];
    for text in told {
        assert!(!text.contains(SECRET), "{text}");
        let canary = text
            .find("canary-")
            .map(|at| &text[at..text.len().min(at + 20)]);
        assert_eq!(canary, None);
    }
}

#[test]
fn a_line_is_one_line_whatever_the_caller_writes() {
    let stage = Stage::new("{}", &alone("chat", ""));
    let agent = "x\"\\\t{}";
    let answers = [
        stage.ask(&Request::chat("chat").header("user-agent", agent)),
        stage.ask(&Request::chat("chat").header("user-agent", &"ä".repeat(500))),
        stage.ask(&Request::chat("chat").header("user-agent", &"x".repeat(500))),
        stage.ask(&Request::chat("a\\nb\\u001b")),
    ];
    eventually(
        "all lines",
        || stage.lines().len(),
        |lines| *lines == answers.len(),
    );
    assert_eq!(stage.log_text().lines().count(), answers.len());
    let control = |byte: u8| byte < 0x20 && byte != b'\n';
    assert!(
        !stage.log_text().bytes().any(control),
        "{:?}",
        stage.log_text()
    );
    assert_eq!(
        stage.lines()[2]["user_agent"].as_str().map(str::len),
        Some(128)
    );
}
