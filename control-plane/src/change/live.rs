//! A route's live traffic, kept where only its spec was meant. Pure.
//!
//! Who writes a route says how it should be; who moves traffic says where it goes now. So a spec
//! does not undo what was moved since it was written: a new target begins with nothing, and one
//! that carries traffic cannot be taken away unseen.

use serin_proto::{Fault, fault::Pointer, v1};

/// The code of a target that cannot be taken away.
pub(super) const TARGET_IN_USE: &str = "target_in_use";

/// The spec with the live traffic; each target that live traffic needs and the spec lacks is a
/// fault, told at the spec's list of targets.
pub(super) fn keep(mut spec: v1::Route, live: &v1::Traffic) -> Result<v1::Route, Vec<Fault>> {
    let has = |name: &str| spec.targets.iter().any(|target| target.name == name);
    let at = Pointer::root().key("targets");
    let faults: Vec<Fault> = uses(live)
        .into_iter()
        .filter(|(name, _)| !has(name))
        .map(|(name, how)| Fault::new(&at, TARGET_IN_USE, in_use(name, &how)))
        .collect();
    if !faults.is_empty() {
        return Err(faults);
    }
    let mut traffic = live.clone();
    // A target that is gone had no weight.
    traffic.weights.retain(|name, _| has(name));
    spec.traffic = Some(traffic);
    Ok(spec)
}

/// Traffic that names a rollout other than the one that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotYours;

impl NotYours {
    /// The fault, where `traffic` is the pointer of the traffic.
    pub(super) fn fault(self, traffic: &Pointer) -> Fault {
        let message = "is written by a running rollout alone: leave it out";
        Fault::new(&traffic.key("rollout"), "not_writable", message)
    }
}

/// Leaves what belongs to a running rollout as it is.
pub(super) fn with_rollout(
    traffic: &mut v1::Traffic,
    live: Option<&v1::Traffic>,
) -> Result<(), NotYours> {
    let running = live.and_then(|live| live.rollout.as_ref());
    if traffic.rollout.is_some() && traffic.rollout.as_ref() != running {
        return Err(NotYours);
    }
    traffic.rollout = running.cloned();
    Ok(())
}

/// Whether both send the same requests to the same targets.
pub(super) fn is_same(a: &v1::Traffic, b: &v1::Traffic) -> bool {
    meant(a) == meant(b)
}

fn meant(traffic: &v1::Traffic) -> v1::Traffic {
    let mut traffic = traffic.clone();
    traffic.weights.retain(|_, percent| *percent != 0.0);
    // A running rollout's own; no file has it.
    traffic.rollout = None;
    traffic
}

/// Each target that cannot go, once, and why.
fn uses(traffic: &v1::Traffic) -> Vec<(&str, String)> {
    let weighted = traffic
        .weights
        .iter()
        .filter(|(_, percent)| **percent != 0.0);
    let mut uses: Vec<(&str, String)> = weighted
        .map(|(name, percent)| {
            (
                name.as_str(),
                format!("has {percent} % of the live traffic"),
            )
        })
        .collect();
    let named = [
        (&traffic.canary, "is the live canary"),
        (&traffic.mirror, "is the live mirror"),
    ];
    let fallback = traffic
        .fallback
        .iter()
        .map(|name| (name, "is a live fallback"));
    for (name, how) in named.into_iter().chain(fallback) {
        if !name.is_empty() && !uses.iter().any(|(known, _)| known == name) {
            uses.push((name, how.to_owned()));
        }
    }
    uses
}

fn in_use(name: &str, how: &str) -> String {
    format!(
        "target {name} {how} and cannot be removed: move the traffic first, or apply the file's \
         traffic too (--traffic)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traffic(weights: &[(&str, f64)], canary: &str, fallback: &[&str]) -> v1::Traffic {
        v1::Traffic {
            weights: weights
                .iter()
                .map(|(name, w)| ((*name).to_owned(), *w))
                .collect(),
            canary: canary.to_owned(),
            fallback: fallback.iter().map(|name| (*name).to_owned()).collect(),
            ..Default::default()
        }
    }

    fn spec(targets: &[&str]) -> v1::Route {
        let target = |name: &&str| v1::Target {
            name: (*name).to_owned(),
            ..Default::default()
        };
        v1::Route {
            targets: targets.iter().map(target).collect(),
            traffic: Some(traffic(&[("a", 100.0)], "", &[])),
            ..Default::default()
        }
    }

    #[test]
    fn live_traffic_stays_and_a_new_target_begins_with_nothing() {
        let live = traffic(&[("a", 90.0), ("b", 10.0), ("gone", 0.0)], "b", &["a"]);
        let kept = keep(spec(&["a", "b", "new"]), &live)
            .unwrap()
            .traffic
            .unwrap();
        assert_eq!(kept, traffic(&[("a", 90.0), ("b", 10.0)], "b", &["a"]));
    }

    #[rustfmt::skip]
    #[test]
    fn a_target_that_live_traffic_needs_cannot_be_removed() {
        let table = [
            (traffic(&[("a", 90.0), ("b", 10.0)], "b", &["b"]), "has 10 % of the live traffic"),
            (traffic(&[("a", 100.0), ("b", 0.0)], "b", &[]),    "is the live canary"),
            (traffic(&[("a", 100.0)], "", &["a", "b"]),         "is a live fallback"),
        ];
        for (live, why) in table {
            let faults = keep(spec(&["a"]), &live).unwrap_err();
            assert_eq!(faults.len(), 1, "{faults:?}");
            assert_eq!((faults[0].pointer.as_str(), faults[0].code), ("/targets", TARGET_IN_USE));
            assert!(faults[0].message.contains(why), "{}", faults[0].message);
            assert!(faults[0].message.contains("--traffic"), "{}", faults[0].message);
        }
    }

    #[test]
    fn no_weight_is_the_same_as_none_written() {
        let written = traffic(&[("a", 100.0)], "", &[]);
        assert!(is_same(
            &written,
            &traffic(&[("a", 100.0), ("b", 0.0)], "", &[])
        ));
        assert!(!is_same(
            &written,
            &traffic(&[("a", 99.0), ("b", 1.0)], "", &[])
        ));
        assert!(!is_same(&written, &traffic(&[("a", 100.0)], "", &["a"])));
    }
}
