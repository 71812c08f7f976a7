//! Reading `/metrics` as Prometheus would, as far as a story needs it.
//!
//! One scrape is a list of samples; a question is the sum of those that carry the given labels.

use std::collections::BTreeMap;

/// What one scrape said.
#[derive(Clone, Debug)]
pub struct Scrape(Vec<Sample>);

/// One line: `name{label="value"} 1`.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

impl Scrape {
    pub fn read(text: &str) -> Self {
        Self(text.lines().filter_map(sample).collect())
    }

    /// The samples of that name that carry all of these labels.
    pub fn matching<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = &'a Sample> {
        let carries = |sample: &Sample| {
            labels
                .iter()
                .all(|(key, value)| sample.labels.get(*key).is_some_and(|v| v == value))
        };
        self.0
            .iter()
            .filter(move |sample| sample.name == name && carries(sample))
    }

    /// Their sum; 0 if there is none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.matching(name, labels).map(|sample| sample.value).sum()
    }
}

fn sample(line: &str) -> Option<Sample> {
    if line.starts_with('#') {
        return None;
    }
    let (series, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let Some((name, labels)) = series.split_once('{') else {
        return Some(Sample {
            name: series.to_owned(),
            labels: BTreeMap::new(),
            value,
        });
    };
    // Label values are names from configuration or closed sets: they hold no comma and no quote.
    let labels = labels.trim_end_matches('}').split(',').filter_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        Some((key.to_owned(), value.trim_matches('"').to_owned()))
    });
    Some(Sample {
        name: name.to_owned(),
        labels: labels.collect(),
        value,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_is_over_the_samples_that_carry_the_labels() {
        let scrape = Scrape::read(
            "# TYPE a_total counter\n\
             a_total{target=\"x\",role=\"first\"} 3\n\
             a_total{target=\"y\",role=\"first\"} 4\n\
             a_total{target=\"x\",role=\"retry\"} 5\n\
             b 2.5\n",
        );
        assert_eq!(scrape.sum("a_total", &[("role", "first")]), 7.0);
        assert_eq!(
            scrape.sum("a_total", &[("target", "x"), ("role", "first")]),
            3.0
        );
        assert_eq!(scrape.sum("a_total", &[]), 12.0);
        assert_eq!(scrape.sum("b", &[]), 2.5);
        assert_eq!(scrape.sum("c", &[]), 0.0);
    }
}
