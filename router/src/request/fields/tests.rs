//! What an affinity can find in a body.
//!
//! Tables of bodies as callers write them. What is not as expected must count as absent and never
//! as an error.

use super::*;

#[test]
fn strings_and_numbers_of_the_top_level_are_found() {
    let body = r#"{"user":"J\u00fcrgen","n":-1.50,"b":true,"o":{"user":"no"},"e":"","l":[1],
        "twice":"1","twice":"2","us\u0065r2":"x"}"#;
    let table = [
        ("user", Some("Jürgen")),
        ("n", Some("-1.50")),
        ("twice", Some("2")),
        ("user2", Some("x")),
        ("b", None),
        ("o", None),
        ("l", None),
        ("e", None),
        ("absent", None),
    ];
    for (name, value) in table {
        assert_eq!(field(body.as_bytes(), name).as_deref(), value, "{name}");
    }
    assert_eq!(field(b"[]", "user"), None);
    assert_eq!(field(b"\xff", "user"), None);
}

#[test]
fn a_known_place_is_read_and_a_wrong_one_is_nothing() {
    let body = br#"{"user":"a","n":42}"#;
    assert_eq!(at(body, 8..11).as_deref(), Some("a"));
    assert_eq!(at(body, 16..18).as_deref(), Some("42"));
    assert_eq!(at(body, 0..1), None);
    assert_eq!(at(body, 500..501), None);
}

fn opens(body: &str) -> Option<String> {
    opening(body.as_bytes()).map(|bytes| String::from_utf8(bytes).expect("ASCII"))
}

#[test]
fn a_conversation_is_known_by_its_system_prompt_and_first_user_message() {
    let table = [
        (
            r#"{"messages":[{"role":"system","content":"s"},{"role":"user","content":"u"},
                {"role":"assistant","content":"a"},{"role":"user","content":"u2"}]}"#,
            Some(r#""s""u""#),
        ),
        (
            r#"{"messages":[{"role":"developer","content":"s"},{"role":"user","content":"u"}]}"#,
            Some(r#""s""u""#),
        ),
        (
            r#"{"messages":[{"content":"u","role":"user"}]}"#,
            Some(r#""u""#),
        ),
        (
            r#"{"messages":[{"role":"user","content":[{"type":"text"}]}]}"#,
            Some(r#"[{"type":"text"}]"#),
        ),
        (r#"{"messages":[{"role":"system","content":"s"}]}"#, None),
        (r#"{"messages":[]}"#, None),
        (r#"{"messages":7}"#, None),
        (r#"{"messages":[7]}"#, None),
        (r#"{"input":"i","prompt":"p"}"#, Some(r#""i""#)),
        (r#"{"prompt":["p"]}"#, Some(r#"["p"]"#)),
        (r#"{"model":"a"}"#, None),
        ("[]", None),
        ("", None),
    ];
    for (body, opening) in table {
        assert_eq!(opens(body).as_deref(), opening, "{body}");
    }
}

#[test]
fn a_long_system_prompt_does_not_crowd_out_the_user() {
    let body = |user: &str| {
        let system = "s".repeat(100_000);
        format!(
            r#"{{"messages":[{{"role":"system","content":"{system}"}},
                {{"role":"user","content":"{user}"}}]}}"#
        )
    };
    let (one, other) = (opens(&body("one")), opens(&body("other")));
    assert_ne!(one, other);
    let longest = opens(&body(&"u".repeat(100_000))).expect("an opening");
    assert_eq!(longest.len(), OPENING_BYTES_MAX);
}
