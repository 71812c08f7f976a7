//! JSON in its one canonical spelling (RFC 8785), and its digests. Pure.
//!
//! Hashes of plans, candidates and records are taken over it, so whoever has the values can make
//! the same hash, in any language.

use std::fmt::Write as _;

use ring::digest::{SHA256, digest};
use serde_json::{Number, Value as Json};

/// Hex digits of a short hash.
const SHORT_DIGITS: usize = 12;

/// Members sorted by UTF-16 code units, no white space, numbers as ECMAScript prints them.
#[must_use]
pub fn json(value: &Json) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

/// SHA-256 in 64 hex digits.
#[must_use]
pub fn sha256(text: &str) -> String {
    let mut hex = String::with_capacity(64);
    for byte in digest(&SHA256, text.as_bytes()).as_ref() {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// The first 12 hex digits of [`sha256`].
#[must_use]
pub fn short(text: &str) -> String {
    let mut hex = sha256(text);
    hex.truncate(SHORT_DIGITS);
    hex
}

fn write(value: &Json, text: &mut String) {
    match value {
        Json::Number(number) => write_number(number, text),
        Json::Array(items) => {
            text.push('[');
            for (i, item) in items.iter().enumerate() {
                separate(i, text);
                write(item, text);
            }
            text.push(']');
        }
        Json::Object(members) => {
            let mut members: Vec<(&String, &Json)> = members.iter().collect();
            members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            text.push('{');
            for (i, (name, member)) in members.into_iter().enumerate() {
                separate(i, text);
                write_plain(&Json::String(name.clone()), text);
                text.push(':');
                write(member, text);
            }
            text.push('}');
        }
        plain => write_plain(plain, text),
    }
}

fn separate(i: usize, text: &mut String) {
    if i > 0 {
        text.push(',');
    }
}

/// Texts, booleans, null: serde writes them as the RFC wants.
fn write_plain(value: &Json, text: &mut String) {
    let _ = write!(text, "{value}");
}

fn write_number(number: &Number, text: &mut String) {
    // Whole numbers have one spelling; those beyond 2^53 are texts in our documents.
    if number.is_u64() || number.is_i64() {
        let _ = write!(text, "{number}");
        return;
    }
    text.push_str(&ecmascript(number.as_f64().unwrap_or_default()));
}

/// `Number::toString` of ECMAScript (ECMA-262 6.1.6.1.20) for a finite number.
fn ecmascript(number: f64) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    // Rust prints the shortest digits that read back as the same number: `-1.25e-7`.
    let scientific = format!("{:e}", number.abs());
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    // Where the decimal point stands, counted from the first digit.
    let point = exponent.parse::<i32>().unwrap_or_default() + 1;
    let sign = if number < 0.0 { "-" } else { "" };
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or_default());
    let split = |at: i32| digits.split_at(usize::try_from(at).unwrap_or_default());
    match point {
        _ if count <= point && point <= 21 => format!("{sign}{digits}{}", zeros(point - count)),
        1..=21 => {
            let (whole, rest) = split(point);
            format!("{sign}{whole}.{rest}")
        }
        -5..=0 => format!("{sign}0.{}{digits}", zeros(-point)),
        _ => {
            let (first, rest) = split(1);
            let dot = if rest.is_empty() { "" } else { "." };
            let plus = if point > 0 { "+" } else { "" };
            format!("{sign}{first}{dot}{rest}e{plus}{}", point - 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[rustfmt::skip]
    #[test]
    fn numbers_are_spelled_as_the_rfc_does() {
        let table = [
            (0.0, "0"), (-0.0, "0"), (1.0, "1"), (-1.5, "-1.5"), (0.1, "0.1"), (1e-6, "0.000001"), (1e-7, "1e-7"),
            (1.25e-7, "1.25e-7"), (1e20, "100000000000000000000"), (1e21, "1e+21"), (1.5e300, "1.5e+300"),
            (333_333_333.333_333_3, "333333333.3333333"), (4.50, "4.5"), (2e-3, "0.002"), (1e-27, "1e-27"),
            (9_007_199_254_740_992.0, "9007199254740992"), (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
        ];
        for (number, expected) in table {
            assert_eq!(ecmascript(number), expected);
        }
    }

    #[test]
    fn members_are_sorted_and_texts_are_escaped() {
        let value = json!({"b": [1, 2.0, null, true], "a": {"z": "\u{20ac}\n\"\u{1f}", "": -3}, "\u{e000}": 1, "\u{10000}": 2});
        let expected = "{\"a\":{\"\":-3,\"z\":\"\u{20ac}\\n\\\"\\u001f\"},\"b\":[1,2,null,true],\"\u{10000}\":2,\"\u{e000}\":1}";
        assert_eq!(json(&value), expected);
        assert_eq!(short(""), "e3b0c44298fc");
    }
}
