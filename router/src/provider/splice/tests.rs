//! What was authorised is what is sent.
//!
//! For any body that can be made: parsed, what leaves equals what came but for two values, and
//! every other byte arrives, in order, without having been copied.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::request::parse::shallow;

fn spliced(body: &str, model: &str, want_usage: bool) -> Spliced {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let shallow = shallow(&body).expect("readable");
    splice(
        &body,
        &shallow,
        &Bytes::from(json!(model).to_string()),
        want_usage,
    )
}

fn text(spliced: Spliced) -> String {
    let len = spliced.len;
    let bytes: Vec<u8> = spliced.flatten().collect();
    assert_eq!(bytes.len() as u64, len, "the announced length");
    String::from_utf8(bytes).expect("text")
}

#[test]
fn only_the_model_and_the_wish_for_usage_change() {
    let asked = r#""stream_options":{"include_usage":true}"#;
    let table = [
        (r#"{"model":"m"}"#, r#"{"model":"gpt"}"#),
        (
            r#"{"model" : "m" , "x":1.0e0}"#,
            r#"{"model" : "gpt" , "x":1.0e0}"#,
        ),
        (r#"{"model":"gpt","x":[ ]}"#, r#"{"model":"gpt","x":[ ]}"#),
        (
            r#"{"model":"m","stream":false,"stream_options":null}"#,
            r#"{"model":"gpt","stream":false,"stream_options":null}"#,
        ),
        (
            r#"{"model":"gpt","stream":true}"#,
            r#"{ASKED,"model":"gpt","stream":true}"#,
        ),
        (
            r#"{"stream":true,"model":"m"}"#,
            r#"{ASKED,"stream":true,"model":"gpt"}"#,
        ),
        (
            r#"{"stream":true,"model":"m","stream_options":{"a":1}}"#,
            r#"{"stream":true,"model":"gpt","stream_options":{"include_usage":true,"a":1}}"#,
        ),
        (
            r#"{"stream":true,"stream_options":{"include_usage":false},"model":"m"}"#,
            r#"{"stream":true,ASKED,"model":"gpt"}"#,
        ),
        (
            r#"{"stream":true,ASKED,"model":"m"}"#,
            r#"{"stream":true,ASKED,"model":"gpt"}"#,
        ),
        (
            r#"{"stream":true,"stream_options":7,"model":"m"}"#,
            r#"{"stream":true,"stream_options":7,"model":"gpt"}"#,
        ),
    ];
    for (came, leaves) in table {
        let (came, leaves) = (came.replace("ASKED", asked), leaves.replace("ASKED", asked));
        assert_eq!(text(spliced(&came, "gpt", true)), leaves, "{came}");
    }
    let came = r#"{"stream":true,"model":"m"}"#;
    assert_eq!(
        text(spliced(came, "gpt", false)),
        r#"{"stream":true,"model":"gpt"}"#
    );
}

#[test]
fn usage_is_remembered_only_where_we_asked() {
    let asked = |body| spliced(body, "gpt", true).asked_usage;
    assert!(asked(r#"{"model":"m","stream":true}"#));
    assert!(!asked(r#"{"model":"m"}"#));
    assert!(!asked(
        r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#
    ));
    assert!(!asked(r#"{"model":"m","stream":true,"stream_options":7}"#));
    assert!(!spliced(r#"{"model":"m","stream":true}"#, "gpt", false).asked_usage);
}

#[test]
fn the_callers_bytes_are_not_copied() {
    let body = Bytes::from(r#"{"a":1,"model":"m","stream":true,"z":2}"#.to_owned());
    let range = body.as_ptr_range();
    let shallow = shallow(&body).expect("readable");
    let own: usize = splice(&body, &shallow, &Bytes::from("\"gpt\""), true)
        .filter(|piece| range.contains(&piece.as_ptr()))
        .map(|piece| piece.len())
        .sum();
    assert_eq!(own, body.len() - "\"m\"".len());

    let same = splice(&body, &shallow, &Bytes::from("\"m\""), false);
    assert_eq!(
        same.collect::<Vec<_>>(),
        [body],
        "one piece, the body itself"
    );
}

/// Any JSON, its objects with keys that matter elsewhere too.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any_key(), inner, 0..4)
                .prop_map(|members| Value::from(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn any_key() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec!["model", "stream", "include_usage", "stream_options"])
            .prop_map(str::to_owned),
        ".{0,6}",
    ]
}

/// The value of `stream_options`, or none of it.
fn any_options() -> impl Strategy<Value = Option<Value>> {
    let object = (prop::option::of(any_json()), prop::option::of(any_json())).prop_map(
        |(include_usage, other)| {
            let members = [("include_usage", include_usage), ("other", other)];
            let written = members
                .into_iter()
                .filter_map(|(key, value)| Some((key.into(), value?)));
            Value::Object(written.collect())
        },
    );
    prop::option::of(prop_oneof![
        3 => object,
        1 => any_json(),
        1 => Just(json!({"include_usage": true})),
    ])
}

/// A body as text, its members in any order with any spaces between, and what it means.
fn any_body() -> impl Strategy<Value = (String, Value)> {
    let others = prop::collection::btree_map("x.{0,4}", any_json(), 0..5);
    let stream = prop::option::of(any::<Option<bool>>());
    (others, ".{1,8}", stream, any_options(), "[ \n\t\r]{0,3}")
        .prop_flat_map(|(others, model, stream, options, space)| {
            let mut members: Vec<(String, Value)> = others.into_iter().collect();
            members.push(("model".into(), model.into()));
            members.extend(stream.map(|stream| ("stream".into(), json!(stream))));
            members.extend(options.map(|options| ("stream_options".into(), options)));
            (Just(members).prop_shuffle(), Just(space))
        })
        .prop_map(|(members, space)| {
            let written: Vec<String> = members
                .iter()
                .map(|(key, value)| format!("{space}{}{space}:{space}{value}{space}", json!(key)))
                .collect();
            let text = format!("{space}{{{}}}{space}", written.join(","));
            (text, Value::Object(members.into_iter().collect()))
        })
}

/// What a provider should read: the same but for the two places.
fn expected(mut body: Value, model: &str, asked_usage: bool) -> Value {
    body["model"] = json!(model);
    if asked_usage {
        if !body["stream_options"].is_object() {
            body["stream_options"] = json!({});
        }
        body["stream_options"]["include_usage"] = json!(true);
    }
    body
}

proptest! {
    #[test]
    fn what_leaves_means_what_came_but_for_two_values(
        (came, meaning) in any_body(),
        model in ".{0,12}",
        want_usage in any::<bool>(),
    ) {
        let spliced = spliced(&came, &model, want_usage);
        let asked = spliced.asked_usage;
        let leaves = text(spliced);
        let parsed: Value = serde_json::from_str(&leaves).expect("JSON");
        prop_assert_eq!(&parsed, &expected(meaning.clone(), &model, asked));
        // It is asked for exactly where it can be and was not.
        let options = &meaning["stream_options"];
        let can_ask = options.is_null() || options.is_object();
        let was_asked = options.get("include_usage") == Some(&json!(true));
        let wants = want_usage && meaning["stream"] == json!(true) && can_ask && !was_asked;
        prop_assert_eq!(asked, wants);
    }

    #[test]
    fn all_other_bytes_arrive_in_order((came, _) in any_body(), want_usage in any::<bool>()) {
        let body = Bytes::from(came.clone());
        let shallow = shallow(&body).expect("readable");
        let range = body.as_ptr_range();
        let kept: Vec<u8> = splice(&body, &shallow, &Bytes::from("\"other model\""), want_usage)
            .filter(|piece| range.contains(&piece.as_ptr()))
            .flatten()
            .collect();
        let mut cut: Vec<Range<usize>> = vec![shallow.model_span.clone()];
        if let UsageAsked::No { at, .. } = &shallow.usage && want_usage && shallow.stream {
            cut.push(at.clone());
        }
        let stays = |at: &usize| !cut.iter().any(|range| range.contains(at));
        let others: Vec<u8> = (0..came.len()).filter(stays).map(|at| came.as_bytes()[at]).collect();
        prop_assert_eq!(kept, others);
    }
}
