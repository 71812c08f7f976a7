//! What is JSON is read as serde_json reads it, and what is not is told with its place.

use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;

fn told(fault: &Fault) -> String {
    let (line, column) = (fault.line.unwrap_or(0), fault.column.unwrap_or(0));
    format!("{line}:{column} {}", fault.message)
}

/// The tree as serde_json would have read it; repeated keys: the last one.
fn plain(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::from(*value),
        Value::Integer(number) => serde_json::from_str(&number.to_string()).unwrap(),
        Value::Float(number) => Json::from(*number),
        Value::Text(text) => Json::from(text.as_str()),
        Value::List(items) => items.iter().map(plain).collect(),
        Value::Map(entries) => {
            let members = entries.iter().map(|e| (e.key.clone(), plain(&e.node)));
            Json::Object(members.collect())
        }
    }
}

#[rustfmt::skip]
#[test]
fn what_is_no_json_is_told_with_its_place_and_without_its_words() {
    let table: [(&[u8], &str); 16] = [
        (b"",                      "1:1 not valid JSON: EOF while parsing a value"),
        (b"  \n ",                 "2:1 not valid JSON: EOF while parsing a value"),
        (b"{name: hush}",          "1:2 not valid JSON: key must be a string"),
        (b"{'name': 1}",           "1:2 not valid JSON: key must be a string"),
        (b"name: hush",            "1:2 not valid JSON: expected ident"),
        (b"{\"a\": NaN}",          "1:7 not valid JSON: expected value"),
        (b"{\"a\": 1,}",           "1:9 not valid JSON: key must be a string"),
        (b"{\"a\": 1} hush",       "1:10 not valid JSON: trailing characters"),
        (b"{\"a\":\n  01}",        "2:4 not valid JSON: invalid number"),
        ("{\"é\": hush}".as_bytes(), "1:7 not valid JSON: expected value"),
        (b"\"\xff\"",              "0:0 not valid JSON: it is no UTF-8"),
        (b"\xef\xbb\xbf{}",        "1:1 not valid JSON: expected value"),
        (b"[\"a\",\n \"\\ud800\"]", "2:2 not valid JSON: a text has an escape that is no character"),
        (b"{\"\\ud800\": 1}",      "1:1 not valid JSON: a text has an escape that is no character"),
        (b"\"a\nb\"",              "1:2 not valid JSON: control character (\\u0000-\\u001F) found while parsing a string"),
        (b"// hush\n{}",           "1:1 not valid JSON: expected value"),
    ];
    for (text, expected) in table {
        let found = parse(text).map(|node| plain(&node));
        let found = found.map_err(|fault| told(&fault));
        assert_eq!(found, Err(expected.to_owned()), "{:?}", String::from_utf8_lossy(text));
    }
}

#[test]
fn nesting_has_a_limit_where_it_is_read_and_where_it_is_skipped() {
    let nested = |open: &str, close: &str, depth: usize| {
        format!("{}1{}", open.repeat(depth), close.repeat(depth))
    };
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        assert!(parse(nested(open, close, DEPTH_MAX).as_bytes()).is_ok());
        for depth in [DEPTH_MAX + 1, 100_000] {
            let fault = parse(nested(open, close, depth).as_bytes()).unwrap_err();
            assert_eq!(fault.message, "lists and maps are nested deeper than 16");
        }
    }
    let unclosed = parse("[".repeat(100_000).as_bytes()).unwrap_err();
    assert_eq!(unclosed.code, "syntax");
}

#[test]
fn each_value_has_its_line_and_column_in_characters() {
    let text = "{\"é\": [1,\n  \"ü\", {\"b\": null}],\n \"c\": true}";
    let tree = parse(text.as_bytes()).unwrap();
    let place = |pointer: &str| {
        let place = tree.place_of(pointer);
        (place.line, place.column)
    };
    let table = [
        ("", (1, 1)),
        ("/é", (1, 7)),
        ("/é/0", (1, 8)),
        ("/é/1", (2, 3)),
        ("/é/2", (2, 8)),
        ("/é/2/b", (2, 14)),
        ("/c", (3, 7)),
    ];
    for (pointer, expected) in table {
        assert_eq!(place(pointer), expected, "{pointer}");
    }
}

#[test]
fn repeated_keys_stay_in_the_tree() {
    let tree = parse(br#"{"a": 1, "b": 2, "a": 3}"#).unwrap();
    let Value::Map(entries) = tree.value else {
        panic!("a map")
    };
    let keys: Vec<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!(keys, ["a", "b", "a"]);
}

#[test]
fn a_number_is_the_nearest_double_or_a_whole_number() {
    let table = [
        ("5", Value::Integer(5)),
        ("-0", Value::Integer(0)),
        ("4294967296", Value::Integer(4_294_967_296)),
        ("5.0", Value::Float(5.0)),
        ("1e2", Value::Float(100.0)),
        ("0.30000000000000004", Value::Float(0.1 + 0.2)),
        ("1e999", Value::Float(f64::INFINITY)),
    ];
    for (text, expected) in table {
        let found = parse(text.as_bytes()).unwrap().value;
        assert_eq!(format!("{found:?}"), format!("{expected:?}"), "{text}");
    }
    let long = format!("1{}", "0".repeat(60));
    let found = parse(long.as_bytes()).unwrap().value;
    assert!(
        matches!(found, Value::Float(number) if number == 1e60),
        "{found:?}"
    );
}

fn json() -> impl Strategy<Value = Json> {
    let text = "[ -~é\u{7f}\\n\"\\\\]{0,6}";
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>()
            .prop_filter("finite", |n| n.is_finite())
            .prop_map(Json::from),
        text.prop_map(Json::from),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            prop::collection::btree_map(text, inner, 0..6)
                .prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn json_is_read_as_serde_json_reads_it(json in json(), pretty: bool) {
        let text = if pretty { serde_json::to_string_pretty(&json) } else { serde_json::to_string(&json) };
        let text = text.unwrap();
        let tree = parse(text.as_bytes()).unwrap_or_else(|fault| panic!("{fault}\n{text}"));
        // Whole numbers that were written with a point are doubles in both.
        prop_assert_eq!(plain(&tree).to_string(), json.to_string());
    }

    #[test]
    fn bytes_are_json_for_both_readers_or_for_neither(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
        let ours = parse(&bytes).is_ok();
        prop_assert_eq!(ours, serde_json::from_slice::<Json>(&bytes).is_ok());
    }

    #[test]
    fn no_edit_makes_the_reader_panic(at in 0usize..200, text in "[a-z0-9{}\\[\\]:,\\\\\" .-]{0,4}") {
        let valid = include_str!("../../../tests/golden/key-full.json");
        let at = at.min(valid.len());
        let edited = format!("{}{text}{}", &valid[..at], &valid[at..]);
        let ours = parse(edited.as_bytes()).is_ok();
        prop_assert_eq!(ours, serde_json::from_str::<Json>(&edited).is_ok());
    }
}
