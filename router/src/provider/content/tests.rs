//! What events of real providers mean.
//!
//! Tables of deltas, frames and errors as OpenAI, vLLM, DeepSeek and others send them, and of what
//! a broken provider might. No network: an event is bytes.

use Seen::{Content, Done, Error, Garbage, Preamble};
use serin_proto::metric::Operation::{Audio, Chat, Completions, Other, Responses};

use super::*;

fn delta(delta: &str) -> String {
    format!(r#"{{"id":"x","choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]}}"#)
}

#[test]
fn a_chat_delta_is_content_only_if_it_says_something() {
    let table = [
        (r#"{"role":"assistant"}"#, Preamble),
        (r#"{"role":"assistant","content":""}"#, Preamble),
        (
            r#"{"role":"assistant","content":null,"refusal":null}"#,
            Preamble,
        ),
        (
            r#"{"tool_calls":[],"function_call":{},"audio":null}"#,
            Preamble,
        ),
        (r#"{"unknown":"text"}"#, Preamble),
        (r#"{}"#, Preamble),
        (r#"null"#, Preamble),
        (r#"{"content":"H"}"#, Content),
        (r#"{"content":"\n"}"#, Content),
        (r#"{"content":[{"type":"text","text":"H"}]}"#, Content),
        (r#"{"c\u006fntent":"H"}"#, Content),
        (r#"{"reasoning_content":"h"}"#, Content),
        (r#"{"reasoning":"h"}"#, Content),
        (r#"{"refusal":"no"}"#, Content),
        (
            r#"{"content":null,"tool_calls":[{"index":0,"function":{"name":"f"}}]}"#,
            Content,
        ),
        (r#"{"function_call":{"name":"f"}}"#, Content),
        (r#"{"audio":{"id":"a"}}"#, Content),
    ];
    for (written, seen) in table {
        assert_eq!(
            is_content(Chat, delta(written).as_bytes()),
            seen,
            "{written}"
        );
    }
}

#[rustfmt::skip]
#[test]
fn events_mean_what_the_table_of_the_commit_rule_says() {
    let table = [
        // operation   data                                                      seen
        (Chat,        r#"{"choices":[]}"#,                                       Preamble),
        (Chat,        r#"{"choices":null,"usage":{"prompt_tokens":1}}"#,         Preamble),
        (Chat,        r#"{"choices":7}"#,                                        Preamble),
        (Chat,        r#"{}"#,                                                   Preamble),
        (Chat,        r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#,    Content),
        (Chat,        r#"{"choices":[{"delta":{}},{"delta":{"content":"x"}}]}"#, Content),
        (Chat,        r#"{"choices":[{"text":"x"}]}"#,                           Preamble),
        (Completions, r#"{"choices":[{"text":"x"}]}"#,                           Content),
        (Completions, r#"{"choices":[{"text":"","finish_reason":null}]}"#,       Preamble),
        (Completions, r#"{"choices":[{"text":"","finish_reason":"length"}]}"#,   Content),
        (Completions, r#"{"choices":[{"delta":{"content":"x"}}]}"#,              Preamble),
        (Chat,        r#"{"error":{"message":"no"}}"#,                           Error),
        (Chat,        r#"{"choices":[{"delta":{"content":"x"}}],"error":{"code":5}}"#, Error),
        (Chat,        r#"{"error":"overloaded"}"#,                               Error),
        (Chat,        r#"{"error":null,"choices":[]}"#,                          Preamble),
        (Chat,        "[DONE]",                                                  Done),
        (Chat,        " [DONE] ",                                                Done),
        (Completions, "[DONE]",                                                  Done),
        (Chat,        "<html>",                                                  Garbage),
        (Chat,        r#"{"choices":["#,                                         Garbage),
        (Chat,        "[]",                                                      Garbage),
        (Chat,        "[1,2,3]",                                                 Garbage),
        (Other,       "[1,2,3]",                                                 Content),
        (Chat,        r#"{"choices":[["x","x","x"],{"delta":["x"]}]}"#,          Preamble),
        (Chat,        "7",                                                       Garbage),
        (Chat,        "",                                                        Garbage),
        (Other,       "anything",                                                Content),
        (Other,       r#"{"error":{"message":"no"}}"#,                           Error),
        (Audio,       "[DONE]",                                                  Content),
        (Responses,   r#"{"type":"response.created","response":{"error":null}}"#, Content),
        (Responses,   r#"{"type":"response.completed","response":{}}"#,          Done),
        (Responses,   r#"{"type":"response.failed","response":{}}"#,             Done),
        (Responses,   r#"{"type":"response.incomplete"}"#,                       Done),
        (Responses,   r#"{"type":"response.completed.not"}"#,                    Content),
    ];
    for (operation, data, seen) in table {
        assert_eq!(is_content(operation, data.as_bytes()), seen, "{operation:?} {data}");
    }
}

#[test]
fn an_event_named_error_is_one_and_an_event_without_data_says_nothing() {
    let table = [
        ("event: error\ndata: {\"type\":\"error\"}\n\n", Error),
        ("event: error\n\n", Error),
        (": ping\n\n", Preamble),
        ("event: ping\n\n", Preamble),
        ("event: message\ndata: [DONE]\n\n", Done),
        (
            "data: {\"choices\":[{\"delta\":\ndata: {\"content\":\"x\"}}]}\n\n",
            Content,
        ),
    ];
    for (event, seen) in table {
        assert_eq!(see(Chat, &Event::new(event.as_bytes())), seen, "{event:?}");
    }
}

#[test]
fn only_bytes_that_are_no_text_or_no_json_are_garbage_and_nesting_is_no_trap() {
    assert_eq!(is_content(Chat, b"{\"choices\":\"\xff\"}"), Garbage);
    let deep = format!(
        "{{\"choices\":{}1{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert_eq!(is_content(Chat, deep.as_bytes()), Preamble);
    let deep = delta(&format!(
        "{{\"content\":{}1{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    ));
    assert_eq!(is_content(Chat, deep.as_bytes()), Content);
}

#[test]
fn the_usage_frame_is_known_by_empty_choices_and_a_usage_object() {
    let table = [
        (r#"{"choices":[],"usage":{"prompt_tokens":1}}"#, true),
        (
            r#"{"usage": {"prompt_tokens":1}, "choices": [ ], "extra": 1}"#,
            true,
        ),
        (r#"{"choices":[],"usage":null}"#, false),
        (r#"{"choices":[]}"#, false),
        (r#"{"usage":{}}"#, false),
        (r#"{"choices":null,"usage":{}}"#, false),
        (
            r#"{"choices":[{"delta":{}}],"usage":{"prompt_tokens":1}}"#,
            false,
        ),
        ("[DONE]", false),
    ];
    for (data, is_usage_only) in table {
        assert_eq!(usage_only(data.as_bytes()), is_usage_only, "{data}");
    }
}

#[test]
fn after_the_commit_only_events_that_mention_usage_or_errors_are_parsed() {
    let table = [
        (
            r#"data: {"choices":[{"delta":{"content":"x"}}]}"#,
            (false, false),
        ),
        (
            r#"data: {"choices":[],"usage":{"prompt_tokens":1}}"#,
            (true, false),
        ),
        (r#"data: {"usage" : { }}"#, (true, false)),
        (r#"data: {"choices":[],"usage":null}"#, (false, false)),
        (r#"data: {"usage" : null}"#, (false, false)),
        (r#"data: {"usage":null} data: {"usage":{}}"#, (true, false)),
        (r#"data: {"error":{}}"#, (false, true)),
        ("event: error\ndata: {}", (false, true)),
        ("data: {\"usage\"", (true, false)),
    ];
    for (bytes, (usage, error)) in table {
        assert_eq!(
            mentions(bytes.as_bytes()),
            Mentions { usage, error },
            "{bytes}"
        );
    }
}
