//! Bodies as callers write them, and as attackers do.
//!
//! Each reason to refuse a body has its row; each spelling of `stream_options` has the edit that
//! asks for usage; and nesting is counted right where it is deep, flat, or inside strings.

use super::*;

fn fault(body: &str) -> Option<Unreadable> {
    shallow(body.as_bytes()).err()
}

#[test]
fn each_unreadable_body_has_its_own_reason() {
    let long_model = format!(r#"{{"model":"{}"}}"#, "m".repeat(257));
    let table = [
        ("", Unreadable::NotJson),
        ("  ", Unreadable::NotJson),
        ("{", Unreadable::NotJson),
        ("nonsense", Unreadable::NotJson),
        (r#"{"model":"a",}"#, Unreadable::NotJson),
        (r#"{"model":"a""stream":true}"#, Unreadable::NotJson),
        (r#"{"model":"a","x":"unfinished}"#, Unreadable::NotJson),
        (r#"{"model":"a","x":NaN}"#, Unreadable::NotJson),
        ("{\"model\":\"a\",\"x\":\"\u{1}\"}", Unreadable::NotJson),
        ("\u{feff}{\"model\":\"a\"}", Unreadable::NotJson),
        (r#"["model"]"#, Unreadable::NotObject),
        (r#""model""#, Unreadable::NotObject),
        ("null", Unreadable::NotObject),
        (r#"{"model":"a"}x"#, Unreadable::Trailing),
        (r#"{"model":"a"}{"model":"b"}"#, Unreadable::Trailing),
        ("{}", Unreadable::NoModel),
        (r#"{"messages":[{"model":"a"}]}"#, Unreadable::NoModel),
        (r#"{"model":null}"#, Unreadable::BadModel),
        (r#"{"model":7}"#, Unreadable::BadModel),
        (r#"{"model":["a"]}"#, Unreadable::BadModel),
        (r#"{"model":""}"#, Unreadable::BadModel),
        (r#"{"model":"\ud800"}"#, Unreadable::BadModel),
        (&long_model, Unreadable::BadModel),
        (r#"{"model":"a","stream":"true"}"#, Unreadable::BadStream),
        (r#"{"model":"a","stream":1}"#, Unreadable::BadStream),
        (r#"{"model":"a","model":"b"}"#, Unreadable::Duplicate),
        (r#"{"model":"a","mod\u0065l":"b"}"#, Unreadable::Duplicate),
        (
            r#"{"model":"a","stream":true,"stream":false}"#,
            Unreadable::Duplicate,
        ),
        (
            r#"{"model":"a","stream":null,"stream":null}"#,
            Unreadable::Duplicate,
        ),
        (r#"{"model":"a","Model":"b"}"#, Unreadable::CaseTwin),
        (r#"{"model":"a","M\u004fdel":"b"}"#, Unreadable::CaseTwin),
        (r#"{"STREAM":true,"model":"a"}"#, Unreadable::CaseTwin),
        (r#"{"Model":"b"}"#, Unreadable::CaseTwin),
    ];
    for (body, reason) in table {
        assert_eq!(fault(body), Some(reason), "{body}");
        assert!(!reason.public_message().is_empty());
    }
    assert_eq!(
        shallow(b"{\"model\":\"\xff\"}").err(),
        Some(Unreadable::NotUtf8)
    );
}

#[test]
fn what_decides_is_found_and_nothing_else_is_looked_at() {
    let body = r#" {"messages":[{"model":"no"}],"model" : "gpt\u002d4","stream":true,"user":"u",
        "max_tokens":7,"max_completion_tokens":90,"max_output_tokens":"x","x":1e999} "#;
    let shallow = shallow(body.as_bytes()).expect("readable");
    assert_eq!(shallow.model, "gpt-4");
    assert_eq!(&body[shallow.model_span], r#""gpt\u002d4""#);
    assert!(shallow.stream);
    assert_eq!(shallow.max_tokens, Some(90));
    assert_eq!(&body[shallow.user_span.expect("user")], r#""u""#);
}

#[test]
fn a_model_may_have_256_bytes_however_it_is_spelled() {
    let model = "\\u006d".repeat(256);
    let body = format!(r#"{{"model":"{model}"}}"#);
    assert_eq!(shallow(body.as_bytes()).expect("readable").model.len(), 256);
}

#[test]
fn other_duplicates_pass_and_the_largest_estimate_counts() {
    let body = r#"{"model":"a","x":1,"x":2,"max_tokens":9,"max_tokens":3,"temperature":0}"#;
    assert_eq!(
        shallow(body.as_bytes()).expect("readable").max_tokens,
        Some(9)
    );
    let body = r#"{"model":"a","max_tokens":-1,"max_output_tokens":1.5}"#;
    assert_eq!(shallow(body.as_bytes()).expect("readable").max_tokens, None);
}

#[test]
fn nesting_counts_from_the_body_itself_and_not_inside_strings() {
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth - 1), "]".repeat(depth - 1));
        format!(r#"{{"model":"a","x":{open}{close}}}"#)
    };
    assert_eq!(fault(&nested(DEPTH_MAX)), None);
    assert_eq!(fault(&nested(DEPTH_MAX + 1)), Some(Unreadable::TooDeep));
    assert_eq!(fault(&nested(100_000)), Some(Unreadable::TooDeep));
    assert_eq!(fault(&"[".repeat(100_000)), Some(Unreadable::TooDeep));

    let text = r#"\"[{\\"#.repeat(1_000);
    assert_eq!(
        fault(&format!(r#"{{"model":"a","x":"{text}","y":[{{}}]}}"#)),
        None
    );
    let flat = "[{}],".repeat(1_000);
    assert_eq!(fault(&format!(r#"{{"model":"a","x":[{flat}0]}}"#)), None);
}

/// The body with the edit made that asks for usage; `None` if there is none to make.
fn with_usage(body: &str) -> Option<String> {
    match shallow(body.as_bytes()).expect("readable").usage {
        UsageAsked::No { at, text } => Some([&body[..at.start], text, &body[at.end..]].concat()),
        UsageAsked::Yes | UsageAsked::Unaskable => None,
    }
}

#[test]
fn usage_is_asked_for_by_one_edit() {
    let asked = r#""include_usage":true"#;
    let table = [
        (
            r#" { "model":"a"}"#,
            format!(r#" {{"stream_options":{{{asked}}}, "model":"a"}}"#),
        ),
        (
            r#"{"stream_options": null ,"model":"a"}"#,
            format!(r#"{{"stream_options": {{{asked}}} ,"model":"a"}}"#),
        ),
        (
            r#"{"model":"a","stream_options":{}}"#,
            format!(r#"{{"model":"a","stream_options":{{{asked}}}}}"#),
        ),
        (
            r#"{"model":"a","stream_options":{ "x":1}}"#,
            format!(r#"{{"model":"a","stream_options":{{{asked}, "x":1}}}}"#),
        ),
        (
            r#"{"model":"a","stream_options":{"include_usage" : false,"x":1}}"#,
            r#"{"model":"a","stream_options":{"include_usage" : true,"x":1}}"#.to_owned(),
        ),
        (
            r#"{"model":"a","stream_options":{"include_usage":null}}"#,
            format!(r#"{{"model":"a","stream_options":{{{asked}}}}}"#),
        ),
        (
            r#"{"stream_options":7,"model":"a","stream_options":{"y":{"include_usage":0}}}"#,
            r#"{"stream_options":7,"model":"a","stream_options":{ASKED,"y":{"include_usage":0}}}"#
                .replace("ASKED", asked),
        ),
    ];
    for (body, edited) in table {
        assert_eq!(with_usage(body), Some(edited), "{body}");
    }
}

#[test]
fn usage_is_left_alone_where_it_is_asked_for_or_cannot_be() {
    let usage = |options: &str| {
        let body = format!(r#"{{"model":"a","stream_options":{options}}}"#);
        shallow(body.as_bytes()).expect("readable").usage
    };
    assert_eq!(usage(r#"{"include_usage":true}"#), UsageAsked::Yes);
    assert_eq!(
        usage(r#"{"include_usage":false,"include\u005fusage": true}"#),
        UsageAsked::Yes
    );
    for options in ["7", "true", r#""x""#, "[]"] {
        assert_eq!(usage(options), UsageAsked::Unaskable, "{options}");
    }
}
