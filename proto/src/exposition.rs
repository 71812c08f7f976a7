//! Families of plain numbers → Prometheus' text format 0.0.4.
//!
//! Pure: whoever holds counters makes [`Family`] values of them; another format is another function
//! over the same values. Bounds are written canonically (`le="1.0"`, as Prometheus 3 and OpenMetrics
//! spell them), so that a change of format never changes the identity of a series.

use std::{borrow::Cow, fmt::Write as _};

use crate::metric::Kind;

/// `Content-Type` of what [`text`] writes.
pub const TEXT_CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Series of one name.
#[derive(Clone, Debug)]
pub struct Family<'a> {
    pub name: &'a str,
    pub help: &'a str,
    pub kind: Kind,
    /// None of them: the family is not written at all.
    pub samples: Vec<Sample<'a>>,
}

/// One series, or one histogram.
#[derive(Clone, Debug)]
pub struct Sample<'a> {
    /// In the order they are to be written; names are legal label names.
    pub labels: Vec<(&'a str, Cow<'a, str>)>,
    pub value: Value<'a>,
}

#[derive(Clone, Debug)]
pub enum Value<'a> {
    Count(u64),
    Number(f64),
    /// `counts` has one element per bound and one more for what is above the last; each holds what
    /// fell into that bucket alone.
    Histogram {
        bounds: &'a [f64],
        counts: Cow<'a, [u64]>,
        sum: f64,
    },
}

/// Appends `families` to `out` in text format 0.0.4.
pub fn text(families: &[Family<'_>], out: &mut String) {
    for family in families.iter().filter(|family| !family.samples.is_empty()) {
        head(family, out);
        for sample in &family.samples {
            match &sample.value {
                Value::Count(count) => {
                    line(family.name, "", sample, None, out);
                    count_end(*count, out);
                }
                Value::Number(number) => {
                    line(family.name, "", sample, None, out);
                    number_end(*number, out);
                }
                Value::Histogram {
                    bounds,
                    counts,
                    sum,
                } => {
                    histogram(family.name, sample, (bounds, counts, *sum), out);
                }
            }
        }
    }
}

/// A number as Go prints it with `%g`, and with a point if it has neither point nor exponent:
/// `1.0`, `0.25`, `2.5e-05`, `+Inf`.
pub fn canonical(number: f64) -> String {
    let text = plain(number);
    let is_integer = text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    if is_integer { text + ".0" } else { text }
}

fn histogram(
    name: &str,
    sample: &Sample<'_>,
    (bounds, counts, sum): (&[f64], &[u64], f64),
    out: &mut String,
) {
    let mut total: u64 = 0;
    let bounds = bounds.iter().copied().chain([f64::INFINITY]);
    for (bound, count) in bounds.zip(counts.iter().copied().chain(std::iter::repeat(0))) {
        total = total.saturating_add(count);
        line(name, "_bucket", sample, Some(bound), out);
        count_end(total, out);
    }
    line(name, "_sum", sample, None, out);
    number_end(sum, out);
    line(name, "_count", sample, None, out);
    count_end(total, out);
}

fn head(family: &Family<'_>, out: &mut String) {
    out.push_str("# HELP ");
    out.push_str(family.name);
    out.push(' ');
    escaped(family.help, false, out);
    out.push_str("\n# TYPE ");
    out.push_str(family.name);
    out.push(' ');
    out.push_str(family.kind.as_str());
    out.push('\n');
}

/// Name and labels, up to the space before the value.
fn line(name: &str, suffix: &str, sample: &Sample<'_>, bound: Option<f64>, out: &mut String) {
    out.push_str(name);
    out.push_str(suffix);
    let mut separator = '{';
    for (label, value) in &sample.labels {
        out.push(separator);
        out.push_str(label);
        out.push_str("=\"");
        escaped(value, true, out);
        out.push('"');
        separator = ',';
    }
    if let Some(bound) = bound {
        out.push(separator);
        out.push_str("le=\"");
        out.push_str(&canonical(bound));
        out.push('"');
        separator = ',';
    }
    if separator == ',' {
        out.push('}');
    }
    out.push(' ');
}

fn count_end(count: u64, out: &mut String) {
    writeln!(out, "{count}").expect("writing to a String cannot fail");
}

fn number_end(number: f64, out: &mut String) {
    out.push_str(&plain(number));
    out.push('\n');
}

fn escaped(text: &str, is_label: bool, out: &mut String) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if is_label => out.push_str("\\\""),
            _ => out.push(c),
        }
    }
}

/// Go's `%g` in its shortest form: an exponent below 1e-4 and from 1e21.
fn plain(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{number:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..21).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rustfmt::skip]
    #[test]
    fn numbers_are_spelled_as_prometheus_spells_them() {
        let table = [
            (0.0, "0.0"), (1.0, "1.0"), (-3.0, "-3.0"), (0.25, "0.25"), (2.5e-5, "2.5e-05"), (1e-4, "0.0001"),
            (65_536.0, "65536.0"), (600.0, "600.0"), (1e21, "1e+21"), (1.5e-10, "1.5e-10"),
            (f64::INFINITY, "+Inf"), (f64::NEG_INFINITY, "-Inf"), (f64::NAN, "NaN"),
        ];
        for (number, expected) in table {
            assert_eq!(canonical(number), expected);
        }
    }

    #[test]
    fn families_become_text() {
        let families = [
            Family {
                name: "empty",
                help: "",
                kind: Kind::Counter,
                samples: vec![],
            },
            Family {
                name: "a_total",
                help: "Back\\slash and\nline \"quoted\".",
                kind: Kind::Counter,
                samples: vec![
                    Sample {
                        labels: vec![],
                        value: Value::Count(u64::MAX),
                    },
                    Sample {
                        labels: vec![("x", "q\"b\\n\n".into()), ("y", "".into())],
                        value: Value::Number(0.5),
                    },
                ],
            },
            Family {
                name: "h",
                help: "H.",
                kind: Kind::Histogram,
                samples: vec![Sample {
                    labels: vec![("r", "a".into())],
                    value: Value::Histogram {
                        bounds: &[2.5e-5, 1.0],
                        counts: vec![1, 2, 4].into(),
                        sum: 9.25,
                    },
                }],
            },
        ];
        let mut out = String::from("# kept\n");
        text(&families, &mut out);
        let expected = r#"# kept
# HELP a_total Back\\slash and\nline "quoted".
# TYPE a_total counter
a_total 18446744073709551615
a_total{x="q\"b\\n\n",y=""} 0.5
# HELP h H.
# TYPE h histogram
h_bucket{r="a",le="2.5e-05"} 1
h_bucket{r="a",le="1.0"} 3
h_bucket{r="a",le="+Inf"} 7
h_sum{r="a"} 9.25
h_count{r="a"} 7
"#;
        assert_eq!(out, expected);
    }

    #[test]
    fn a_histogram_without_labels_has_only_its_bounds() {
        let value = Value::Histogram {
            bounds: &[1.0],
            counts: vec![0, 0].into(),
            sum: 0.0,
        };
        let samples = vec![Sample {
            labels: vec![],
            value,
        }];
        let mut out = String::new();
        text(
            &[Family {
                name: "h",
                help: "H.",
                kind: Kind::Histogram,
                samples,
            }],
            &mut out,
        );
        let lines: Vec<&str> = out.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "h_bucket{le=\"1.0\"} 0",
                "h_bucket{le=\"+Inf\"} 0",
                "h_sum 0",
                "h_count 0"
            ]
        );
    }
}
