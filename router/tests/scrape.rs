//! One reading of `/metrics`, as Prometheus would read it.

use std::collections::{BTreeMap, BTreeSet};

/// All samples of one scrape.
#[derive(Clone, Debug)]
pub(crate) struct Scrape {
    pub(crate) samples: Vec<Sample>,
}

/// One line: `name{label="value"} 1`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

impl Scrape {
    /// # Panics
    /// On a line that is neither a comment nor a sample.
    pub(crate) fn read(text: &str) -> Self {
        let lines = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let samples = lines.map(|line| sample(line).unwrap_or_else(|| panic!("no sample: {line}")));
        Self {
            samples: samples.collect(),
        }
    }

    /// The samples of that name that carry all of these labels.
    pub(crate) fn of<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = &'a Sample> {
        let named = self
            .samples
            .iter()
            .filter(move |sample| sample.name == name);
        named.filter(move |sample| labels.iter().all(|(label, value)| sample.is(label, value)))
    }

    /// Their sum.
    ///
    /// # Panics
    /// When there is none: a misspelt question must not be answered by 0.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        assert!(
            self.of(name, labels).next().is_some(),
            "no series {name} {labels:?}"
        );
        self.sum_or_none(name, labels)
    }

    /// Their sum; 0 if there is none.
    pub(crate) fn sum_or_none(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.of(name, labels).map(|sample| sample.value).sum()
    }

    /// What was counted of attempts on a route, as `role target arm reason=count`, zeros left out.
    pub(crate) fn attempts(&self, route: &str) -> Vec<String> {
        self.told(
            "serin_upstream_requests_total",
            route,
            &["role", "target", "arm", "reason"],
        )
    }

    /// Any counter of a route with some of its labels, zeros left out, sorted.
    pub(crate) fn told(&self, name: &str, route: &str, labels: &[&str]) -> Vec<String> {
        let of = [("route", route)];
        let mut lines: Vec<String> = self
            .of(name, &of)
            .filter(|sample| sample.value != 0.0)
            .map(|sample| {
                let words: Vec<&str> = labels.iter().map(|label| sample.label(label)).collect();
                format!("{}={}", words.join(" "), sample.value)
            })
            .collect();
        lines.sort();
        lines
    }

    /// Each series without its value.
    pub(crate) fn series(&self) -> BTreeSet<String> {
        let text = |sample: &Sample| format!("{}{:?}", sample.name, sample.labels);
        self.samples.iter().map(text).collect()
    }
}

impl Sample {
    pub(crate) fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    fn is(&self, name: &str, value: &str) -> bool {
        self.label(name) == value
    }
}

/// Label values are names of documents or closed sets: none holds a comma, a quote or a brace.
fn sample(line: &str) -> Option<Sample> {
    let (series, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let pairs = labels
        .trim_end_matches('}')
        .split(',')
        .filter(|pair| !pair.is_empty());
    let labels = pairs
        .map(|pair| {
            let (label, value) = pair.split_once('=')?;
            Some((
                label.to_owned(),
                value.strip_prefix('"')?.strip_suffix('"')?.to_owned(),
            ))
        })
        .collect::<Option<_>>()?;
    Some(Sample {
        name: name.to_owned(),
        labels,
        value,
    })
}
