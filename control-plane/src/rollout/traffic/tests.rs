//! Weights that sum to exactly 100, whatever the share; a base that comes back as it was.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*};
use serde_json::json;

use super::{base_of, scaled};
use crate::rollout::machine::tests::{drive::Drive, source::Mood};
use serin_proto::{unit::Share, v1};

fn weights(hundredths: &[u16]) -> BTreeMap<String, f64> {
    let named = hundredths.iter().enumerate();
    named
        .map(|(i, h)| (format!("t{i}"), f64::from(*h) / 100.0))
        .collect()
}

fn sum(weights: &BTreeMap<String, f64>) -> u32 {
    let hundredths = |w: &f64| u32::from(Share::try_from(*w).unwrap().hundredths());
    weights.values().map(hundredths).sum()
}

#[rustfmt::skip]
#[test]
fn the_largest_remainder_gets_what_is_left() {
    let table: [(&[u16], u16, &[f64]); 6] = [
        (&[10_000], 9_500, &[95.0]),
        (&[3_333, 3_333, 3_334], 9_999, &[33.33, 33.33, 33.33]),
        (&[3_333, 3_333, 3_334], 10_000, &[33.33, 33.33, 33.34]),
        (&[5_000, 5_000], 1, &[0.01, 0.0]),
        (&[1, 1, 1], 10_000, &[33.34, 33.33, 33.33]),
        (&[0, 0], 10_000, &[0.0, 0.0]),
    ];
    for (base, to, expected) in table {
        let scaled = scaled(&weights(base), Share::from_hundredths(to).unwrap());
        assert_eq!(scaled.into_values().collect::<Vec<_>>(), expected, "{base:?} to {to}");
    }
}

#[test]
fn the_base_is_the_others_proportions() {
    let traffic = v1::Traffic {
        weights: BTreeMap::from([
            ("a".to_owned(), 60.0),
            ("b".to_owned(), 30.0),
            ("c".to_owned(), 10.0),
        ]),
        ..v1::Traffic::default()
    };
    let base = base_of(&traffic, "c");
    assert_eq!(
        base,
        BTreeMap::from([("a".to_owned(), 66.67), ("b".to_owned(), 33.33)])
    );
}

#[test]
fn fallback_and_mirror_are_never_touched() {
    let mut drive = Drive::new(json!({}));
    if let Some(traffic) = &mut drive.route.traffic {
        traffic.mirror = "gemini".to_owned();
    }
    for _ in 0..40 {
        drive.tick(Mood::Healthy);
        assert_eq!(drive.traffic().fallback, ["gpt"]);
        assert_eq!(drive.traffic().mirror, "gemini");
    }
}

proptest! {
    #[test]
    fn parts_sum_exactly_and_stay_in_proportion(base in vec(0u16..=10_000, 1..6), to in 0u16..=10_000) {
        let total: u64 = base.iter().map(|h| u64::from(*h)).sum();
        prop_assume!(total > 0);
        let scaled = scaled(&weights(&base), Share::from_hundredths(to).unwrap());
        prop_assert_eq!(sum(&scaled), u32::from(to));
        for (part, given) in base.iter().zip(scaled.values()) {
            let exact = f64::from(*part) * f64::from(to) / total as f64;
            prop_assert!((given * 100.0 - exact).abs() < 1.0 + 1e-6, "{} for {}", given, exact);
        }
    }

    /// A higher share of the candidate never gives another target more, but for a rounding.
    #[test]
    fn others_fall_as_the_candidate_rises(base in vec(1u16..=10_000, 1..6), low in 0u16..=10_000, by in 1u16..=10_000) {
        let high = low.saturating_add(by).min(10_000);
        let rest = |share: u16| Share::from_hundredths(10_000 - share).unwrap();
        let (before, after) = (scaled(&weights(&base), rest(low)), scaled(&weights(&base), rest(high)));
        for (before, after) in before.values().zip(after.values()) {
            prop_assert!(*after <= before + 0.01 + 1e-9);
        }
    }

    #[test]
    fn a_base_that_sums_to_100_comes_back_as_it_was(cuts in vec(0u16..=10_000, 0..5)) {
        let mut cuts = cuts;
        cuts.extend([0, 10_000]);
        cuts.sort_unstable();
        let parts: Vec<u16> = cuts.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let base = weights(&parts);
        prop_assert_eq!(scaled(&base, Share::ALL), base);
    }
}
