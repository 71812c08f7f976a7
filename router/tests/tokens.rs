//! What is counted when a provider does not say what an answer used, or says nonsense.

use serde_json::{Value, json};
use serin_simulator::Ended;

use crate::{
    client::{Request, chat_body},
    scrape::Scrape,
    stage::{Stage, alone},
    wait::eventually,
};

const EMBEDDINGS: &str = "/v1/embeddings";

fn asked(model: &str) -> String {
    format!("{{\"model\":\"{model}\",\"input\":\"a few words\"}}")
}

fn tokens(stage: &Stage, route: &str) -> Vec<String> {
    let kinds = ["type", "source"];
    stage.scrape().told("serin_tokens_total", route, &kinds)
}

fn counted(stage: &Stage, route: &str, expected: &[String]) {
    let promise = format!("tokens of {route} are {expected:?}");
    eventually(&promise, || tokens(stage, route), |seen| seen == expected);
}

#[test]
fn an_answer_without_usage_is_counted_by_its_bytes() {
    let script = "{models: {chat: {noUsage: true}, embed: {noUsage: true}}}";
    let stage = Stage::new(script, &(alone("chat", "") + &alone("embed", "")));
    let answer = stage.ask(&Request::chat("chat"));
    assert_eq!(answer.status, 200);
    let input = format!("input estimated={}", chat_body("chat", "").len() / 4);
    let output = format!("output estimated={}", answer.body.len() / 4);
    counted(&stage, "chat", &[input, output]);
    let answer = stage.ask(&Request::post(EMBEDDINGS, asked("embed")));
    assert_eq!(answer.status, 200);
    // Embeddings have no output tokens, however long they are.
    let input = format!("input estimated={}", asked("embed").len() / 4);
    counted(&stage, "embed", &[input]);
}

#[test]
fn a_caller_who_leaves_before_an_answer_has_used_its_input() {
    let script = "{models: {silent: {hang: true}, half: {cut: {afterBytes: 300, how: hold}}, \
                  embed: {hang: true}}}";
    let routes: String = ["silent", "half", "embed"]
        .map(|name| alone(name, ""))
        .concat();
    let stage = Stage::new(script, &routes);
    let requests = [
        ("silent", Request::chat("silent"), chat_body("silent", "")),
        ("half", Request::chat("half"), chat_body("half", "")),
        (
            "embed",
            Request::post(EMBEDDINGS, asked("embed")),
            asked("embed"),
        ),
    ];
    for (route, request, body) in requests {
        let connection = stage.begin(&request);
        let arrived = || stage.received(route).pop().map(|seen| seen.ended);
        eventually("the provider has it", arrived, |ended| {
            *ended == Some(Ended::Running)
        });
        connection.leave();
        stage.counts(route, &["first a stable client_gone=1"]);
        counted(
            &stage,
            route,
            &[format!("input estimated={}", body.len() / 4)],
        );
    }
}

/// A model that answers 200 with these bytes.
fn says(kind: &str, body: &str) -> Value {
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}");
    json!({"raw": {"text": format!("{head}\r\n\r\n{body}"), "how": "close"}})
}

#[test]
fn usage_that_no_answer_can_have_is_estimated_instead() {
    let most = u64::MAX;
    let usage = |text: &str| format!("\"usage\":{{{text}}}");
    let plain = |text: String| {
        let body = format!(
            "{{\"choices\":[{{\"message\":{{\"content\":\"x\"}}}}],{}}}",
            usage(&text)
        );
        says("application/json", &body)
    };
    let frames = format!(
        "data: {{\"choices\":[{{\"delta\":{{\"content\":\"x\"}}}}]}}\n\n\
         data: {{\"choices\":[],{}}}\n\ndata: [DONE]\n\n",
        usage(&format!("\"prompt_tokens\":{most},\"completion_tokens\":1"))
    );
    let models = json!({
        "input": plain(format!("\"prompt_tokens\":{most},\"completion_tokens\":1")),
        "output": plain(format!("\"prompt_tokens\":1,\"completion_tokens\":{most}")),
        "both": plain(format!("\"prompt_tokens\":{most},\"completion_tokens\":{most}")),
        "beyond": plain(format!("\"prompt_tokens\":{most}0,\"completion_tokens\":1")),
        "stream": says("text/event-stream", &frames),
    });
    let names = ["input", "output", "both", "beyond", "stream"];
    let priced = |name: &str| {
        let model = format!("model: {name}");
        let price = format!("{model}, price: {{input: 2.0, output: 8.0}}");
        alone(name, "").replace(&model, &price)
    };
    let routes: String = names.map(priced).concat();
    let stage = Stage::new(&json!({ "models": models }).to_string(), &routes);
    for route in names {
        let request = match route {
            "stream" => Request::stream(route),
            _ => Request::chat(route),
        };
        // Twice: a sum of two would be the one that overflows.
        for _ in 0..2 {
            let answer = stage.ask(&request);
            assert_eq!((answer.status, answer.whole), (200, true), "{route}");
            let cost = answer.header("x-serin-cost-usd").map(str::parse::<f64>);
            assert!(
                cost.is_none_or(|cost| cost.is_ok_and(|cost| cost < 0.01)),
                "{route}: {answer:?}"
            );
        }
        stage.counts(route, &["first a stable none=2"]);
        let seen = tokens(&stage, route);
        let estimated = seen.iter().all(|line| line.contains("estimated"));
        assert!(estimated && seen.len() == 2, "{route}: {seen:?}");
    }
    let text = stage.admin("/metrics");
    assert_eq!(text.status, 200);
    let scrape = Scrape::read(&text.text());
    for sample in &scrape.samples {
        assert!(
            sample.value.is_finite() && sample.value >= 0.0,
            "{sample:?}"
        );
    }
    let cost = scrape.sum("serin_cost_usd_total", &[]);
    assert!(cost > 0.0 && cost < 0.01, "{cost}");
}
