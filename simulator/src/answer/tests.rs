//! What is answered, byte for byte, and what each fault makes of it.

use serde_json::Value;

use super::*;
use crate::script::*;

fn ask(operation: Operation, body: &str) -> Ask {
    Ask::read(operation, body.as_bytes()).unwrap()
}

fn chat(more: &str) -> Ask {
    ask(Operation::Chat, &format!(r#"{{"model":"m"{more}}}"#))
}

fn act(model: Model) -> Act {
    let script = Script {
        fixed_ids: true,
        ..Script::default()
    };
    Act::new("m", &model, &script)
}

fn short() -> Model {
    Model {
        answer_tokens: 2,
        ..Model::default()
    }
}

fn body(plan: &Plan) -> String {
    let text = String::from_utf8_lossy(&plan.bytes).into_owned();
    text.split_once("\r\n\r\n")
        .map(|(_, body)| body.to_owned())
        .unwrap_or_default()
}

fn json_of(plan: &Plan) -> Value {
    serde_json::from_str(&body(plan)).unwrap()
}

/// The `data:` of each chunk that holds one.
fn events(plan: &Plan) -> Vec<String> {
    let all = body(plan);
    let data = all.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(str::to_owned).collect()
}

const ID: &str = "e220a8397b1dcdaf";

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

#[test]
fn errors_have_openais_shape_and_shares_that_add_up() {
    let failure = |status, share| Failure {
        status,
        when: When::share(share),
        ..Failure::default()
    };
    let errors = vec![
        Failure {
            retry_after: Some("7".into()),
            ..failure(429, 0.25)
        },
        failure(500, 0.25),
    ];
    let act = act(Model {
        errors,
        ..Model::default()
    });
    let mut seen = std::collections::BTreeMap::<u16, u32>::new();
    for number in 0..4_000 {
        let plan = act.plan(&chat(""), number);
        *seen.entry(plan.status).or_default() += 1;
        if plan.status == 429 {
            assert_eq!(json_of(&plan)["error"]["code"], "rate_limit_exceeded");
            assert!(String::from_utf8_lossy(&plan.bytes).contains("\r\nretry-after: 7\r\n"));
        }
    }
    for (status, expected) in [(200, 2_000u32), (429, 1_000), (500, 1_000)] {
        assert!(seen[&status].abs_diff(expected) < 120, "{seen:?}");
    }
}

#[rustfmt::skip]
#[test]
fn a_cut_takes_away_exactly_what_is_behind_it() {
    let whole = act(short()).plan(&chat(r#","stream":true"#), 0);
    let head = whole.bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    let table = [
        (Some(0), None,      head),
        (Some(1), None,      whole.marks[0]),
        (Some(3), None,      whole.marks[2]),
        (Some(5), None,      whole.marks[4]),
        (Some(9), None,      whole.marks[4]),      // never the end of the body
        (None,    Some(0),   0),
        (None,    Some(10),  10),
        (None,    Some(head + 7), head + 7),
        (None,    Some(1 << 20),  whole.bytes.len()),
    ];
    for (after_events, after_bytes, expected) in table {
        let cut = Cut { after_events, after_bytes, how: How::Reset, when: When::default() };
        let plan = act(Model { cut: Some(cut.clone()), ..short() }).plan(&chat(r#","stream":true"#), 0);
        assert_eq!(plan.bytes, whole.bytes, "the bytes are those of a good answer");
        assert_eq!(plan.steps.last(), Some(&Step::Stop(Stop::Reset)));
        assert_eq!(due(&plan), expected, "{cut:?}");
    }
}

/// How many bytes the plan sends.
fn due(plan: &Plan) -> usize {
    let ends = plan.steps.iter().filter_map(|s| {
        if let Step::Write(end) = s {
            Some(*end)
        } else {
            None
        }
    });
    ends.max().unwrap_or(0)
}

#[test]
fn a_stream_is_paced_and_a_stall_moves_what_follows() {
    let ms = Duration::from_millis;
    let stall = Stall {
        after_events: 2,
        lasting: Some(ms(500)),
        when: When::default(),
    };
    let model = Model {
        first_token: ms(100),
        tokens_per_second: 10.0,
        early_head: true,
        stall: Some(stall),
        ..short()
    };
    let plan = act(model).plan(&chat(r#","stream":true"#), 0);
    let times: Vec<Duration> = plan
        .steps
        .iter()
        .filter_map(|s| {
            if let Step::Until(t) = s {
                Some(*t)
            } else {
                None
            }
        })
        .collect();
    // head, role, first token, second token, finish, [DONE]
    assert_eq!(times, [ms(0), ms(0), ms(100), ms(700), ms(700), ms(700)]);
}

#[test]
fn an_error_in_a_stream_ends_it_without_done() {
    let error = ErrorInStream {
        after_events: 2,
        code: Some("boom".into()),
        when: When::default(),
    };
    let model = Model {
        error_in_stream: Some(error),
        ..short()
    };
    let told = events(&act(model.clone()).plan(&chat(r#","stream":true"#), 0));
    assert_eq!(told.len(), 3);
    assert!(told[2].contains(r#""code":"boom""#), "{told:?}");
    assert_eq!(
        act(model).plan(&chat(""), 0).status,
        200,
        "plain answers are spared"
    );
}

#[test]
fn garbage_is_where_the_script_puts_it() {
    let spoiled = |place, more: &str| {
        let garbage = Garbage {
            place,
            after_events: 1,
            when: When::default(),
        };
        act(Model {
            garbage: Some(garbage),
            ..short()
        })
        .plan(&chat(more), 0)
    };
    assert!(!spoiled(Place::Head, "").bytes.starts_with(b"HTTP"));
    let (good, bad) = (act(short()).plan(&chat(""), 0), spoiled(Place::Body, ""));
    assert_eq!(
        good.bytes.len(),
        bad.bytes.len(),
        "the length is as announced"
    );
    assert!(serde_json::from_str::<Value>(&body(&bad)).is_err());
    let told = events(&spoiled(Place::Event, r#","stream":true"#));
    assert_eq!(told.len(), 6);
    assert!(serde_json::from_str::<Value>(&told[0]).is_ok());
    assert!(serde_json::from_str::<Value>(&told[1]).is_err());
    assert_eq!(told[5], "[DONE]");
}

#[test]
fn a_lying_length_lies_by_as_much_as_was_written() {
    for by in [-5i64, 100, -100_000] {
        let wrong = WrongLength {
            by,
            when: When::default(),
        };
        let plan = act(Model {
            wrong_length: Some(wrong),
            ..short()
        })
        .plan(&chat(""), 0);
        let text = String::from_utf8(plan.bytes.clone()).unwrap();
        let line = text
            .lines()
            .find_map(|l| l.strip_prefix("content-length: "))
            .unwrap();
        let sent = i64::try_from(body(&plan).len()).unwrap();
        assert_eq!(line.parse::<i64>().unwrap(), (sent + by).max(0));
        assert!(
            json_of(&plan)["id"].as_str().unwrap().ends_with(ID),
            "the id is in its place"
        );
        assert_eq!(plan.steps.last(), Some(&Step::Stop(Stop::Close)));
    }
}

#[test]
fn what_never_ends_repeats_something_sensible() {
    let endless = |what, more: &str| {
        let endless = Endless {
            what,
            ..Endless::default()
        };
        let plan = act(Model {
            endless: Some(endless),
            ..short()
        })
        .plan(&chat(more), 0);
        match plan.steps.last() {
            Some(Step::Stop(Stop::Repeat { bytes, .. })) => (plan.clone(), bytes.clone()),
            other => panic!("{other:?}"),
        }
    };
    let (plan, repeated) = endless(Endlessness::Events, r#","stream":true"#);
    assert_eq!(plan.marks.len(), 3, "role and content, no finish");
    let text = String::from_utf8(repeated).unwrap();
    assert!(
        text.contains(r#"{"content":" quick"}"#) && text.contains(ID),
        "{text}"
    );
    let (_, repeated) = endless(Endlessness::Event, r#","stream":true"#);
    assert!(!repeated.contains(&b'\n') || repeated.starts_with(b"4000\r\n"));
    let (plan, _) = endless(Endlessness::Body, "");
    assert!(String::from_utf8_lossy(&plan.bytes).contains("transfer-encoding: chunked"));
}
