//! As much of PromQL as analysis asks: `time()`, and a selector with or without a range.
//!
//! `name{label="value",other=~"a|b"}[20000ms]`. A regular expression is a list of literal
//! alternatives, with `\` before what would mean something else; nothing more is understood, and
//! what is not understood is an error, as a server's would be.

/// A selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Selector {
    pub(super) matchers: Vec<Matcher>,
    /// Absent: an instant vector.
    pub(super) range_ms: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Matcher {
    pub(super) label: String,
    /// One of these, or none of them.
    pub(super) values: Vec<String>,
    pub(super) is_not: bool,
}

impl Matcher {
    pub(super) fn takes(&self, value: &str) -> bool {
        self.values.iter().any(|one| one == value) != self.is_not
    }
}

impl Selector {
    /// The only value that a label may have, if there is one.
    pub(super) fn only(&self, label: &str) -> Option<&str> {
        let mut found = self.matchers.iter();
        let found = found.find(|m| m.label == label && !m.is_not && m.values.len() == 1)?;
        found.values.first().map(String::as_str)
    }
}

/// Reads a selector; `None` for anything else.
pub(super) fn selector(text: &str) -> Option<Selector> {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
    let (name, mut rest) = text.split_at(end.unwrap_or(text.len()));
    let mut matchers = Vec::new();
    if !name.is_empty() {
        matchers.push(Matcher {
            label: "__name__".to_owned(),
            values: vec![name.to_owned()],
            is_not: false,
        });
    }
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        while !rest.starts_with('}') {
            let (matcher, after) = matcher(rest)?;
            matchers.push(matcher);
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        rest = rest.strip_prefix('}')?;
    }
    let range_ms = match rest.trim() {
        "" => None,
        range => Some(duration(range.strip_prefix('[')?.strip_suffix(']')?)?),
    };
    (!matchers.is_empty()).then_some(Selector { matchers, range_ms })
}

fn matcher(text: &str) -> Option<(Matcher, &str)> {
    let text = text.trim_start();
    let end = text.find(['=', '!'])?;
    let (label, rest) = text.split_at(end);
    let operators = [("=~", false, true), ("!~", true, true), ("!=", true, false)];
    let found = operators.iter().find(|(sign, ..)| rest.starts_with(sign));
    let (sign, is_not, is_pattern) = found.copied().unwrap_or(("=", false, false));
    let rest = rest.strip_prefix(sign)?.trim_start().strip_prefix('"')?;
    let (value, rest) = quoted(rest)?;
    let values = match is_pattern {
        true => alternatives(&value)?,
        false => vec![value],
    };
    let matcher = Matcher {
        label: label.trim().to_owned(),
        values,
        is_not,
    };
    Some((matcher, rest.trim_start()))
}

/// Up to the closing quote, with what was escaped.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match chars.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            _ => value.push(c),
        }
    }
    None
}

fn alternatives(pattern: &str) -> Option<Vec<String>> {
    let mut all = vec![String::new()];
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '|' => all.push(String::new()),
            '\\' => all.last_mut()?.push(chars.next()?),
            '.' | '*' | '+' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '^' | '$' => return None,
            _ => all.last_mut()?.push(c),
        }
    }
    Some(all)
}

fn duration(text: &str) -> Option<u64> {
    let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
    let (number, unit) = units.iter().find_map(|(word, ms)| {
        let number = text.strip_suffix(word)?;
        Some((number.parse::<u64>().ok()?, ms))
    })?;
    Some(number * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(label: &str, values: &[&str], is_not: bool) -> Matcher {
        Matcher {
            label: label.to_owned(),
            values: values.iter().map(|v| (*v).to_owned()).collect(),
            is_not,
        }
    }

    #[test]
    fn what_analysis_asks_is_understood_and_other_things_are_not() {
        let table = [
            (
                r#"a_total{route="chat",role!="x"}[20000ms]"#,
                vec![
                    one("__name__", &["a_total"], false),
                    one("route", &["chat"], false),
                    one("role", &["x"], true),
                ],
                Some(20_000),
            ),
            (
                r#"{__name__=~"a|b\\.c", x="q\"\\"}[1m]"#,
                vec![
                    one("__name__", &["a", "b.c"], false),
                    one("x", &["q\"\\"], false),
                ],
                Some(60_000),
            ),
            ("up", vec![one("__name__", &["up"], false)], None),
        ];
        for (text, matchers, range_ms) in table {
            let found = selector(text);
            assert_eq!(found, Some(Selector { matchers, range_ms }), "{text}");
        }
        for text in [
            "",
            "rate(a[1m])",
            "a{b=~\"c.*\"}",
            "a{b=\"c}",
            "a[1x]",
            "a b",
        ] {
            assert_eq!(selector(text), None, "{text}");
        }
    }
}
