//! What a script may say, and how it is refused.
//!
//! Every field is written once in `WHOLE`. Each refusal must name its place, since scripts are
//! written by hand.

use super::*;

#[test]
fn an_empty_script_is_a_provider_that_answers_everything() {
    for text in ["", "{}", "  \n", "seed: 0"] {
        assert_eq!(Script::parse(text).unwrap(), Script::default(), "{text:?}");
    }
}

const WHOLE: &str = r#"
seed: 7
strict: true
requireKey: sk-up
fixedIds: true
journal: off
readBytesPerSecond: 1000
default: {answerTokens: 4}
models:
  gpt:
    firstToken: 250ms
    jitter: 0.5
    tokensPerSecond: 50
    toolCalls: [{name: weather}]
    headers: {x-extra: "1"}
    noUsage: true
    noDone: 0.5
    hang: {skip: 3, times: 2}
    reset: false
    trickle: {bytes: 1, every: 1ms}
    errors:
      - {status: 429, share: 0.25, retryAfter: "1"}
      - {status: 500, share: 0.25, times: 3}
    cut: {afterEvents: 2, how: reset, share: 1}
    stall: {afterEvents: 1, for: 2s}
    garbage: {place: event, afterEvents: 1}
    errorInStream: {afterEvents: 3, share: 0.1}
    wrongLength: {by: -4}
    endless: {what: event, every: 1ms}
    raw: {text: "HTTP/1.1 200 OK\r\n", how: hold}
"#;

#[test]
fn yaml_and_json_read_alike_and_print_as_read() {
    let script = Script::parse(WHOLE).unwrap();
    let gpt = &script.models["gpt"];
    assert_eq!(gpt.first_token, Duration::from_millis(250));
    assert_eq!(
        gpt.errors[1].when,
        When {
            share: 0.25,
            skip: 0,
            times: Some(3)
        }
    );
    assert_eq!(gpt.no_done, Some(When::share(0.5)));
    assert_eq!(gpt.no_usage, Some(When::default()));
    assert_eq!(gpt.reset, None);
    assert_eq!(
        gpt.stall.as_ref().unwrap().lasting,
        Some(Duration::from_secs(2))
    );
    assert_eq!(script.journal, Recording::Off);
    let json = serde_json::to_string(&script).unwrap();
    assert_eq!(Script::parse(&json).unwrap(), script);
}

#[rustfmt::skip]
#[test]
fn what_cannot_be_meant_is_refused_with_its_place() {
    let table = [
        (r#"{"sed": 1}"#,                                            "sed"),
        (r#"{"default": {"firstTokens": "1s"}}"#,                    "firstTokens"),
        (r#"{"default": {"cut": {"afterEvents": 1, "hwo": "x"}}}"#,  "hwo"),
        (r#"{"default": {"errors": [{"status": 500, "shar": 1}]}}"#, "shar"),
        (r#"{"default": {"hang": {"tims": 1}}}"#,                    "share, skip, times"),
        (r#"{"default": {"firstToken": 5}}"#,                        "span of time"),
        (r#"{"default": {"cut": {}}}"#,                              "default.cut"),
        (r#"{"default": {"cut": {"afterEvents":1,"afterBytes":1}}}"#,"default.cut"),
        (r#"{"models": {"a": {"errors": [{"status": 42}]}}}"#,       "models.a.errors[0].status"),
        (r#"{"default": {"stall": {"share": 1.5}}}"#,                "default.stall.share"),
        (r#"{"default": {"headers": {"a b": "c"}}}"#,                "default.headers"),
        (r#"{"default": {"headers": {"a": "b\r\nc: d"}}}"#,          "default.headers.a"),
        (r#"{"default": {"tokensPerSecond": -1}}"#,                  "tokensPerSecond"),
        (r#"{"default": {"chunkTokens": 0}}"#,                       "chunkTokens"),
        (r#"{"default": {"padding": 1000000000}}"#,                  "64 MiB"),
        ("{",                                                        "JSON"),
        ("models: [",                                                "YAML"),
        ("nonsense: 1",                                              "nonsense"),
    ];
    for (text, place) in table {
        let said = match Script::parse(text) {
            Ok(_) => panic!("accepted: {text}"),
            Err(fault) => fault.to_string(),
        };
        assert!(said.contains(place), "{text}: {said}");
    }
}
