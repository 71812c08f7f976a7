//! Reads Prometheus' text format 0.0.4, as our own routers write it.

use crate::analysis::series::Labels;

/// One line: name, labels, value.
pub(super) type Sample = (String, Labels, f64);

/// The samples whose name `keep` wants. `None`: the text is broken, or was cut off.
pub(super) fn read(text: &str, keep: impl Fn(&str) -> bool) -> Option<Vec<Sample>> {
    if !text.is_empty() && !text.ends_with('\n') {
        return None;
    }
    let mut samples = Vec::new();
    for line in text.lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let name = line.split(['{', ' ']).next()?;
        if keep(name) {
            samples.push(sample(name, line.get(name.len()..)?)?);
        }
    }
    Some(samples)
}

fn sample(name: &str, rest: &str) -> Option<Sample> {
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inside) => labels(inside)?,
        None => (Labels::new(), rest),
    };
    // A time may follow; ours write none.
    let value = rest.split_ascii_whitespace().next()?.parse().ok()?;
    Some((name.to_owned(), labels, value))
}

/// `a="x",b="y"} 1` → the labels, and what comes after them.
fn labels(mut rest: &str) -> Option<(Labels, &str)> {
    let mut labels = Labels::new();
    loop {
        rest = rest.strip_prefix(',').unwrap_or(rest);
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, after) = rest.split_once("=\"")?;
        let (value, after) = value(after)?;
        labels.insert(name.to_owned(), value);
        rest = after;
    }
}

/// Up to the closing quote, with what was escaped.
fn value(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => value.push(match chars.next()?.1 {
                'n' => '\n',
                c => c,
            }),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use serin_proto::{
        exposition::{self, Family, Value},
        metric::Kind,
    };

    use super::*;

    #[test]
    fn what_our_encoder_writes_is_read_again() {
        let awkward = "q\"b\\n\n,}={ x";
        let sample = |labels: Vec<(&'static str, Cow<'static, str>)>, value| exposition::Sample {
            labels,
            value,
        };
        let family = |name, kind, samples| Family {
            name,
            help: "Help \\ and\nmore.",
            kind,
            samples,
        };
        let families = [
            family(
                "a_total",
                Kind::Counter,
                vec![
                    sample(vec![], Value::Count(7)),
                    sample(
                        vec![("x", awkward.into()), ("y", "".into())],
                        Value::Number(0.5),
                    ),
                ],
            ),
            family(
                "h",
                Kind::Histogram,
                vec![sample(
                    vec![("r", "a".into())],
                    Value::Histogram {
                        bounds: &[1.0],
                        counts: vec![1, 2].into(),
                        sum: 9.25,
                    },
                )],
            ),
            family(
                "left_out",
                Kind::Gauge,
                vec![sample(vec![], Value::Number(1.0))],
            ),
        ];
        let mut text = String::new();
        exposition::text(&families, &mut text);
        let read = read(&text, |name| name != "left_out").unwrap();
        let shown: Vec<(&str, usize, f64)> = read
            .iter()
            .map(|(name, labels, value)| (name.as_str(), labels.len(), *value))
            .collect();
        let expected = [
            ("a_total", 0, 7.0),
            ("a_total", 2, 0.5),
            ("h_bucket", 2, 1.0),
            ("h_bucket", 2, 3.0),
            ("h_sum", 1, 9.25),
            ("h_count", 1, 3.0),
        ];
        assert_eq!(shown, expected);
        assert_eq!(
            (read[1].1["x"].as_str(), read[3].1["le"].as_str()),
            (awkward, "+Inf")
        );
    }

    #[test]
    fn a_broken_text_is_no_text() {
        let all = |text| read(text, |_| true);
        for text in [
            "a 1",
            "a{x=\"1} 1\n",
            "a{x=1} 1\n",
            "a\n",
            "a x\n",
            "a{x=\"1\" 1\n",
            "{\n",
        ] {
            assert_eq!(all(text), None, "{text}");
        }
        assert_eq!(all("").map(|samples| samples.len()), Some(0));
        assert_eq!(
            all("# x\n\na 1 1700000000000\n").map(|samples| samples.len()),
            Some(1)
        );
    }
}
