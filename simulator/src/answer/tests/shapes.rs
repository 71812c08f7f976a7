//! What is answered when nothing goes wrong.
//!
//! The plain answer and the frames of a stream stand here byte for byte, because tests of the
//! router compare bytes; the rest is compared field by field.

use super::*;
use crate::script::When;

#[test]
fn a_plain_chat_answer_is_this() {
    let plan = act(short()).plan(&chat(""), 0);
    let said = r#"{"id":"chatcmpl-ID","object":"chat.completion","created":1735689600,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"The quick","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":8,"completion_tokens":2,"total_tokens":10,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}},"system_fingerprint":"fp_simulator"}"#;
    let said = said.replace("ID", ID);
    let head = format!(
        "HTTP/1.1 200 OK\r\nserver: serin-simulator\r\ncontent-type: application/json\r\n\
         x-request-id: req_{ID}\r\ncontent-length: {}\r\n\r\n",
        said.len()
    );
    assert_eq!(String::from_utf8(plan.bytes).unwrap(), head + &said);
    assert_eq!(plan.steps, [Step::Write(plan.marks[0])], "one write");
}

#[test]
fn a_stream_is_role_content_finish_done() {
    let plan = act(short()).plan(&chat(r#","stream":true"#), 0);
    let frame = |delta: &str, finish: &str| {
        format!(
            r#"{{"id":"chatcmpl-{ID}","object":"chat.completion.chunk","created":1735689600,"model":"m","system_fingerprint":"fp_simulator","choices":[{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish}}}]}}"#
        )
    };
    let expected = [
        frame(
            r#"{"role":"assistant","content":"","refusal":null}"#,
            "null",
        ),
        frame(r#"{"content":"The"}"#, "null"),
        frame(r#"{"content":" quick"}"#, "null"),
        frame("{}", r#""stop""#),
        "[DONE]".to_owned(),
    ];
    assert_eq!(events(&plan), expected);
    assert_eq!(plan.marks.len(), expected.len());
    assert!(plan.bytes.ends_with(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"));
}

#[test]
fn usage_comes_in_a_stream_only_when_asked_for() {
    let asked = chat(r#","stream":true,"stream_options":{"include_usage":true}"#);
    let told = events(&act(short()).plan(&asked, 0));
    let frames: Vec<Value> = told
        .iter()
        .take(5)
        .map(|text| serde_json::from_str(text).unwrap())
        .collect();
    assert!(
        frames[..4]
            .iter()
            .all(|frame| frame["usage"].is_null() && frame.get("usage").is_some())
    );
    assert_eq!(frames[4]["choices"], serde_json::json!([]));
    assert_eq!(frames[4]["usage"]["total_tokens"], 10);

    let silent = Model {
        no_usage: Some(When::default()),
        ..short()
    };
    let told = events(&act(silent).plan(&asked, 0));
    assert_eq!(told.len(), 5, "no usage frame");

    let unended = Model {
        no_done: Some(When::default()),
        ..short()
    };
    let told = events(&act(unended).plan(&asked, 0));
    assert_ne!(told.last().unwrap(), "[DONE]");
}

#[test]
fn a_stream_says_what_the_plain_answer_says() {
    let model = Model {
        answer_tokens: 40,
        chunk_tokens: 3,
        reasoning: 2,
        ..Model::default()
    };
    let act = act(model);
    let plain = json_of(&act.plan(&chat(""), 0));
    let (mut content, mut thoughts) = (String::new(), String::new());
    for event in events(&act.plan(&chat(r#","stream":true"#), 0)) {
        let Ok(frame) = serde_json::from_str::<Value>(&event) else {
            continue;
        };
        let delta = &frame["choices"][0]["delta"];
        content += delta["content"].as_str().unwrap_or_default();
        thoughts += delta["reasoning_content"].as_str().unwrap_or_default();
    }
    let message = &plain["choices"][0]["message"];
    assert_eq!(message["content"], content);
    assert_eq!(message["reasoning_content"], thoughts);
    assert_eq!(plain["usage"]["completion_tokens"], 42);
}

#[test]
fn tools_are_called_plainly_and_in_pieces() {
    let tools = r#","tools":[{"type":"function","function":{"name":"weather"}}]"#;
    let act = act(Model::default());
    let plain = json_of(&act.plan(&chat(tools), 0));
    let call = &plain["choices"][0]["message"]["tool_calls"][0];
    assert_eq!(plain["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(call["function"]["name"], "weather");

    let mut arguments = String::new();
    let told = events(&act.plan(&chat(&format!(r#"{tools},"stream":true"#)), 0));
    let frames: Vec<Value> = told
        .iter()
        .filter_map(|e| serde_json::from_str(e).ok())
        .collect();
    for frame in &frames {
        let piece = &frame["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"];
        arguments += piece.as_str().unwrap_or_default();
    }
    assert_eq!(call["function"]["arguments"], arguments);
    assert_eq!(
        frames[1]["choices"][0]["delta"]["tool_calls"][0]["id"],
        call["id"]
    );
    assert!(
        told.iter()
            .any(|event| event.contains(r#""finish_reason":"tool_calls""#))
    );
}

#[test]
fn completions_embeddings_and_others_have_their_own_shapes() {
    let act = act(short());
    let plain = json_of(&act.plan(&ask(Operation::Completions, r#"{"model":"m"}"#), 0));
    assert_eq!(
        (&plain["object"], &plain["choices"][0]["text"]),
        (&"text_completion".into(), &"The quick".into())
    );

    let input = r#"{"model":"m","input":["a","b"],"dimensions":3}"#;
    let list = json_of(&act.plan(&ask(Operation::Embeddings, input), 0));
    assert_eq!(list["data"][1]["embedding"].as_array().unwrap().len(), 3);
    assert_ne!(list["data"][0]["embedding"], list["data"][1]["embedding"]);
    let coded = input.replace('{', r#"{"encoding_format":"base64","#);
    let coded = json_of(&act.plan(&ask(Operation::Embeddings, &coded), 0));
    assert_eq!(
        coded["data"][0]["embedding"].as_str().unwrap().len(),
        16,
        "12 bytes"
    );

    let stream = ask(Operation::Other, r#"{"model":"m","stream":true}"#);
    let told = events(&act.plan(&stream, 0));
    assert!(told.last().unwrap().contains("response.completed"));
}

#[test]
fn ids_differ_from_request_to_request_and_not_from_run_to_run() {
    let act = Act::new("m", &short(), &Script::default());
    let id = |number| json_of(&act.plan(&chat(""), number))["id"].clone();
    assert_ne!(id(0), id(1));
    assert_eq!(id(1), id(1));
    let other = Act::new(
        "m",
        &short(),
        &Script {
            seed: 1,
            ..Script::default()
        },
    );
    assert_ne!(id(0), json_of(&other.plan(&chat(""), 0))["id"]);
}
