//! Series as a source tells them, and whose they are. Pure.
//!
//! A router's series are told apart by `job` and `instance`. What else a source has added (a cluster,
//! a pod, a replica) does not matter, unless the same series comes twice at a time: then it was
//! scraped twice, by a pair of servers say, and everything would count double.

use std::collections::BTreeMap;

use serin_proto::exposition::canonical;

use super::sample::{Millis, Trouble, Untold};

/// Labels by name.
pub type Labels = BTreeMap<String, String>;

/// One series and its samples, the oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    pub name: String,
    pub labels: Labels,
    pub samples: Vec<(Millis, f64)>,
}

/// Who was scraped: the labels `job` and `instance`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instance {
    pub job: String,
    pub name: String,
}

/// A series, whatever was added outside of us.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    pub instance: Instance,
    pub name: String,
    /// Ours alone; `le` in one spelling.
    pub labels: Labels,
}

impl Series {
    /// Who it is of.
    #[must_use]
    pub fn instance(&self) -> Instance {
        let label = |name| self.labels.get(name).cloned().unwrap_or_default();
        Instance {
            job: label("job"),
            name: label("instance"),
        }
    }

    fn identity(&self, ours: &[&str]) -> Identity {
        let mut labels = Labels::new();
        for (name, value) in &self.labels {
            if name == "le" {
                labels.insert(name.clone(), bound(value).map_or(value.clone(), canonical));
            } else if ours.contains(&name.as_str()) {
                labels.insert(name.clone(), value.clone());
            }
        }
        Identity {
            instance: self.instance(),
            name: self.name.clone(),
            labels,
        }
    }
}

/// The number that `le` names: `3` as `3.0`.
#[must_use]
pub fn bound(le: &str) -> Option<f64> {
    le.parse().ok().filter(|bound: &f64| !bound.is_nan())
}

/// Series by what they are; `ours` are the labels we have given them. Series of one identity that
/// come one after the other in time are one (a pod that was replaced at the same address).
///
/// # Errors
/// [`Trouble::Ambiguous`]: two of one identity at the same time. [`Trouble::Nan`]: a value that is
/// no number.
pub fn told_apart(
    series: Vec<Series>,
    ours: &[&str],
) -> Result<BTreeMap<Identity, Vec<(Millis, f64)>>, Untold> {
    let mut apart: BTreeMap<Identity, Vec<Vec<(Millis, f64)>>> = BTreeMap::new();
    for one in series {
        if let Some((_, value)) = one.samples.iter().find(|(_, value)| !value.is_finite()) {
            let why = format!("{} is {value} at {}", one.name, one.instance().name);
            return Err(Untold {
                trouble: Trouble::Nan,
                why,
            });
        }
        if !one.samples.is_empty() {
            apart
                .entry(one.identity(ours))
                .or_default()
                .push(one.samples);
        }
    }
    let joined = apart.into_iter().map(|(identity, parts)| {
        let samples = joined(parts).ok_or_else(|| ambiguous(&identity))?;
        Ok((identity, samples))
    });
    joined.collect()
}

/// Parts that follow one another; `None`: two overlap.
fn joined(mut parts: Vec<Vec<(Millis, f64)>>) -> Option<Vec<(Millis, f64)>> {
    let first = |part: &Vec<(Millis, f64)>| part.first().map_or(0, |(at, _)| *at);
    parts.sort_by_key(first);
    let mut whole: Vec<(Millis, f64)> = Vec::new();
    for part in parts {
        if whole.last().is_some_and(|(at, _)| *at >= first(&part)) {
            return None;
        }
        whole.extend(part);
    }
    Some(whole)
}

fn ambiguous(identity: &Identity) -> Untold {
    let Identity { instance, name, .. } = identity;
    Untold {
        trouble: Trouble::Ambiguous,
        why: format!(
            "{name} of {} is there twice at a time: is it scraped by two servers?",
            instance.name
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(labels: &[(&str, &str)], samples: &[(Millis, f64)]) -> Series {
        let owned = labels
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Series {
            name: "x_bucket".to_owned(),
            labels: owned.collect(),
            samples: samples.to_vec(),
        }
    }

    #[test]
    fn outer_labels_do_not_matter_and_bounds_are_numbers() {
        let apart = told_apart(
            vec![
                series(
                    &[
                        ("job", "j"),
                        ("instance", "a:1"),
                        ("pod", "p"),
                        ("route", "r"),
                        ("le", "3"),
                    ],
                    &[(1, 1.0), (2, 2.0)],
                ),
                // The same router after an update: another pod, another spelling.
                series(
                    &[
                        ("job", "j"),
                        ("instance", "a:1"),
                        ("pod", "q"),
                        ("route", "r"),
                        ("le", "3.0"),
                    ],
                    &[(3, 0.0)],
                ),
                series(
                    &[
                        ("job", "j"),
                        ("instance", "b:1"),
                        ("route", "r"),
                        ("le", "+Inf"),
                    ],
                    &[(2, 5.0)],
                ),
            ],
            &["route", "le"],
        );
        let apart: Vec<_> = apart.unwrap().into_iter().collect();
        assert_eq!(apart.len(), 2);
        assert_eq!(apart[0].1, [(1, 1.0), (2, 2.0), (3, 0.0)]);
        assert_eq!(
            (apart[0].0.labels["le"].as_str(), apart[0].0.labels.len()),
            ("3.0", 2)
        );
        assert_eq!(apart[1].0.labels["le"], "+Inf");
    }

    #[test]
    fn the_same_series_twice_at_a_time_is_ambiguous() {
        let replica = |name: &str, samples: &[(Millis, f64)]| {
            series(
                &[("instance", "a:1"), ("replica", name), ("route", "r")],
                samples,
            )
        };
        let pair = vec![
            replica("a", &[(1, 1.0), (11, 2.0)]),
            replica("b", &[(6, 1.0), (16, 2.0)]),
        ];
        let told = told_apart(pair, &["route"]).unwrap_err();
        assert_eq!(told.trouble, Trouble::Ambiguous);
        assert!(told.why.contains("x_bucket of a:1"), "{}", told.why);
        let same = vec![replica("a", &[(1, 1.0)]), replica("b", &[(1, 1.0)])];
        assert!(told_apart(same, &["route"]).is_err());
        let one = vec![replica("a", &[(1, 1.0)]), replica("b", &[])];
        assert!(told_apart(one, &["route"]).is_ok());
    }

    #[test]
    fn a_counter_that_is_no_number_is_an_error() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let told = told_apart(vec![series(&[], &[(1, value)])], &[]).unwrap_err();
            assert_eq!(told.trouble, Trouble::Nan);
        }
    }
}
