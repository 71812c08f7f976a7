//! Usage as providers spell it.
//!
//! Tables of answers, events and ends of answers, whole, cut and wrong; and that the types of
//! tokens are disjoint, so that nothing is counted twice.

use super::*;

fn usage(input: u64, cached: u64, output: u64, reasoning: u64) -> Option<Usage> {
    Some(Usage {
        input,
        cached,
        output,
        reasoning,
    })
}

#[test]
fn every_spelling_of_usage_is_read() {
    let table = [
        (
            r#"{"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}}"#,
            usage(10, 0, 5, 0),
        ),
        (
            r#"{"choices":[],"usage":{"prompt_tokens":10,
                "prompt_tokens_details":{"cached_tokens":4,"audio_tokens":0},
                "completion_tokens":5,"completion_tokens_details":{"reasoning_tokens":3}}}"#,
            usage(10, 4, 5, 3),
        ),
        (
            r#"{"usage":{"input_tokens":10,"input_tokens_details":{"cached_tokens":4},
                "output_tokens":5,"output_tokens_details":{"reasoning_tokens":3}}}"#,
            usage(10, 4, 5, 3),
        ),
        (
            r#"{"type":"response.completed",
                "response":{"usage":{"input_tokens":1,"output_tokens":2}}}"#,
            usage(1, 0, 2, 0),
        ),
        (
            r#"{"usage":{"prompt_tokens":8,"total_tokens":8}}"#,
            usage(8, 0, 0, 0),
        ),
        (
            r#"{"usage":{"prompt_tokens":8,"input_tokens":9}}"#,
            usage(8, 0, 0, 0),
        ),
        (
            r#"{"usage":{"prompt_tokens":8,"prompt_tokens_details":null}}"#,
            usage(8, 0, 0, 0),
        ),
        (r#"{"usage":{}}"#, usage(0, 0, 0, 0)),
        (r#"{"usage":null}"#, None),
        (r#"{"choices":[]}"#, None),
        (r#"{"usage":{"prompt_tokens":-8}}"#, None),
        (r#"{"usage":7}"#, None),
        (r#"{"usage":[1,2,3,4,null,null,null,null]}"#, None),
        (r#"[{"prompt_tokens":8},null]"#, None),
        (r#" {"usage" : {"prompt_tokens":8} } "#, usage(8, 0, 0, 0)),
        (r#"{"response":{}}"#, None),
        (r#"{"response":7}"#, None),
        ("[DONE]", None),
        ("", None),
    ];
    for (json, expected) in table {
        assert_eq!(reported(json.as_bytes()), expected, "{json}");
    }
}

#[test]
fn the_end_of_a_large_answer_is_enough() {
    let table = [
        (
            r#"zzz"],"usage" : {"prompt_tokens":7,"total_tokens":7} }"#,
            usage(7, 0, 0, 0),
        ),
        (
            r#""usage":{"prompt_tokens":1}},"usage":{"prompt_tokens":2}}"#,
            usage(2, 0, 0, 0),
        ),
        (
            r#""usage":{"prompt_tokens":1},"id":"x"}"#,
            usage(1, 0, 0, 0),
        ),
        (r#""usage":null}"#, None),
        (r#""usage":{"prompt_tok"#, None),
        (r#""usage""#, None),
        (r#"sage":{"prompt_tokens":1}}"#, None),
        ("", None),
    ];
    for (tail, expected) in table {
        assert_eq!(in_tail(tail.as_bytes()), expected, "{tail}");
    }
    assert_eq!(
        in_tail(b"\xff\xfe\"usage\":{\"prompt_tokens\":3}}"),
        usage(3, 0, 0, 0)
    );
}

#[test]
fn types_are_disjoint_and_their_sum_is_the_total() {
    let table = [
        (
            usage(10, 4, 5, 3),
            Split {
                input: 6,
                cached_input: 4,
                output: 2,
                reasoning: 3,
            },
        ),
        (
            usage(10, 0, 5, 0),
            Split {
                input: 10,
                cached_input: 0,
                output: 5,
                reasoning: 0,
            },
        ),
        (
            usage(1, 4, 2, 3),
            Split {
                input: 0,
                cached_input: 1,
                output: 0,
                reasoning: 2,
            },
        ),
    ];
    for (nested, split) in table {
        let nested = nested.expect("written above");
        assert_eq!(nested.split(), split);
        let sum = split.input + split.cached_input + split.output + split.reasoning;
        assert_eq!(sum, nested.input + nested.output);
    }
}

#[test]
fn what_nobody_counted_is_guessed_from_bytes() {
    assert_eq!(
        Usage::estimate(4_000, 401),
        Usage {
            input: 1_000,
            output: 100,
            ..Usage::default()
        }
    );
}
