//! How a span of time is written in a script: `250ms`, `1.5s`, `2m`.
//!
//! Whole milliseconds are kept; that is as fine as the runtime's timer. A bare number is refused,
//! because nobody remembers its unit; only `0` needs none.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

/// Longest span a script may ask for: a day.
const SPAN_MS_MAX: f64 = 86_400_000.0;

pub(super) fn serialize<S: Serializer>(span: &Duration, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(&print(*span))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = Written::deserialize(from)?;
    parse(&text.0).ok_or_else(|| {
        D::Error::custom(format!(
            "`{}` is not a span of time such as 250ms, 1.5s or 2m",
            text.0
        ))
    })
}

/// The same for a span that may be absent.
pub(super) mod maybe {
    use super::{Deserializer, Duration, Serializer};

    pub(in crate::script) fn serialize<S: Serializer>(
        span: &Option<Duration>,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        match span {
            Some(span) => super::serialize(span, out),
            None => out.serialize_none(),
        }
    }

    pub(in crate::script) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        super::deserialize(from).map(Some)
    }
}

/// The text of a span; `0` may also be written as a number.
struct Written(String);

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;
        impl serde::de::Visitor<'_> for Reader {
            type Value = Written;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a span of time such as 250ms")
            }
            fn visit_str<E>(self, text: &str) -> Result<Written, E> {
                Ok(Written(text.to_owned()))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Written, E> {
                Ok(Written(number.to_string()))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Written, E> {
                Ok(Written(number.to_string()))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Written, E> {
                Ok(Written(number.to_string()))
            }
        }
        from.deserialize_any(Reader)
    }
}

fn parse(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit_at);
    let unit_ms = match unit {
        "ms" => 1.0,
        "s" => 1_000.0,
        "m" => 60_000.0,
        "h" => 3_600_000.0,
        _ => return None,
    };
    let ms = number.parse::<f64>().ok()? * unit_ms;
    (0.0..=SPAN_MS_MAX)
        .contains(&ms)
        .then(|| Duration::from_millis(ms.round() as u64))
}

fn print(span: Duration) -> String {
    format!("{}ms", span.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rustfmt::skip]
    #[test]
    fn spans_are_read_with_their_unit() {
        let table = [
            ("250ms",  Some(250)),
            ("1.5s",   Some(1_500)),
            ("2m",     Some(120_000)),
            ("0",      Some(0)),
            ("0s",     Some(0)),
            ("250",    None),
            ("-1s",    None),
            ("1e9h",   None),
            ("NaNs",   None),
            ("fast",   None),
            ("",       None),
            ("1d",     None),
        ];
        for (text, ms) in table {
            assert_eq!(parse(text), ms.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn printed_spans_are_read_as_what_they_were() {
        for ms in [0, 1, 999, 86_400_000] {
            let span = Duration::from_millis(ms);
            assert_eq!(parse(&print(span)), Some(span));
        }
    }
}
