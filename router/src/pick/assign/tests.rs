//! The laws of assignment, over many values.
//!
//! Shares are counted over a million sessions; who moves when a share or a weight changes is
//! counted caller by caller. Draws come from a fixed sequence, so every run is the same run. One
//! list of targets is pinned: if it changes, callers move at an upgrade.

use std::borrow::Cow;
use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const NAMES: [&str; 3] = ["gpt", "claude", "llama"];

/// Weights in percent of the three targets; the canary, if any, is the third.
fn split(weights: [u16; 3], has_canary: bool) -> Split {
    let share = |percent: u16| Share::from_hundredths(percent * 100).expect("at most 100");
    let targets: Vec<_> = NAMES.into_iter().zip(weights.map(share)).collect();
    Split::new("chat", &targets, has_canary.then_some((2, None)))
}

fn sticky(value: &str) -> Affinity<'_> {
    Affinity::Sticky {
        kind: "header:x-session-id",
        value: Cow::Borrowed(value.as_bytes()),
    }
}

fn sessions(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("session-{number}"))
}

/// Splitmix64: numbers that look drawn and are the same in every run.
fn draws(count: u64) -> impl Iterator<Item = u64> {
    (1..=count).map(|number| {
        let mut draw = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        draw = (draw ^ (draw >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        draw = (draw ^ (draw >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        draw ^ (draw >> 31)
    })
}

/// Percent of the assignments that went to each target.
fn percentages(assigned: impl Iterator<Item = Assigned>) -> [f64; 3] {
    let mut counts = [0_u32; 3];
    let mut total = 0;
    for Assigned { target, .. } in assigned {
        counts[target] += 1;
        total += 1;
    }
    counts.map(|count| f64::from(count) * 100.0 / f64::from(total))
}

fn assert_close(measured: [f64; 3], weights: [f64; 3], what: &str) {
    for (measured, weight) in measured.iter().zip(weights) {
        assert!(
            (measured - weight).abs() <= 0.2,
            "{what}: {measured} is not {weight} percent"
        );
    }
}

#[test]
fn shares_are_the_weights_within_a_fifth_of_a_point_over_a_million_sessions() {
    for has_canary in [true, false] {
        let split = split([70, 25, 5], has_canary);
        let by_session = sessions(1_000_000).map(|id| split.assign(&sticky(&id), 0, true));
        assert_close(percentages(by_session), [70.0, 25.0, 5.0], "sessions");
        let drawn = draws(1_000_000).map(|draw| split.assign(&Affinity::Drawn, draw, true));
        assert_close(percentages(drawn), [70.0, 25.0, 5.0], "draws");
    }
}

#[test]
fn the_canary_draws_evenly_from_the_others() {
    let (without, with) = (split([70, 30, 0], true), split([49, 21, 30], true));
    let ids: Vec<_> = sessions(300_000).collect();
    let to_canary = ids
        .iter()
        .filter(|id| with.assign(&sticky(id), 0, true).arm == Arm::Canary);
    let came_from = to_canary.map(|id| without.assign(&sticky(id), 0, true));
    let [first, second, _] = percentages(came_from);
    assert!(
        (first - 70.0).abs() < 0.7 && (second - 30.0).abs() < 0.7,
        "{first} and {second}"
    );
}

#[test]
fn raising_the_canary_moves_nobody_out_of_it_nor_between_the_others() {
    let steps = [[95, 5, 0], [94, 5, 1], [90, 5, 5], [70, 5, 25], [0, 0, 100]];
    let splits = steps.map(|weights| split(weights, true));
    for id in sessions(100_000) {
        let on_the_way: Vec<_> = splits
            .iter()
            .map(|split| split.assign(&sticky(&id), 0, true).arm)
            .collect();
        let joined = on_the_way.iter().position(|arm| *arm == Arm::Canary);
        let stays = on_the_way.iter().skip(joined.unwrap_or(0));
        assert!(
            stays.into_iter().all(|arm| *arm == Arm::Canary),
            "{id}: {on_the_way:?}"
        );
        assert_eq!(on_the_way[0], Arm::Stable, "{id} at 0 %");
    }
}

#[test]
fn a_share_is_exact_to_its_hundredth_at_both_ends() {
    for id in sessions(50_000) {
        let arm = |canary| {
            split([100 - canary, 0, canary], true)
                .assign(&sticky(&id), 0, true)
                .arm
        };
        assert_eq!(arm(0), Arm::Stable);
        assert_eq!(arm(100), Arm::Canary);
    }
}

#[test]
fn changing_one_weight_moves_only_callers_to_or_from_that_target() {
    let (before, after) = (split([60, 30, 10], false), split([60, 10, 10], false));
    let mut moved = HashMap::new();
    for id in sessions(100_000) {
        let from = before.assign(&sticky(&id), 0, true).target;
        let to = after.assign(&sticky(&id), 0, true).target;
        if from != to {
            *moved.entry((from, to)).or_insert(0) += 1;
        }
    }
    assert!(moved.keys().all(|(from, _)| *from == 1), "{moved:?}");
    assert_eq!(moved.len(), 2, "its callers go to both others: {moved:?}");
}

#[test]
fn out_of_contact_the_canary_gets_nobody_and_the_others_keep_theirs() {
    let split_with_canary = split([70, 25, 5], true);
    for id in sessions(20_000) {
        let (with, without) = (
            split_with_canary.assign(&sticky(&id), 0, true),
            split_with_canary.assign(&sticky(&id), 0, false),
        );
        assert_eq!(without.arm, Arm::Stable);
        assert!(
            with == without || with.arm == Arm::Canary,
            "{id} moved without need"
        );
    }
    let all_canary = split([0, 0, 100], true);
    let drawn = draws(100_000).map(|draw| all_canary.assign(&Affinity::Drawn, draw, false));
    let [first, second, third] = percentages(drawn);
    assert!((first - 50.0).abs() < 1.0 && (second - 50.0).abs() < 1.0 && third == 0.0);
}

#[test]
fn a_route_of_one_target_has_nothing_to_choose() {
    let all = [("gpt", Share::ALL)];
    let plain = Split::new("chat", &all, None);
    assert_eq!(
        plain.assign(&sticky("a"), 0, true),
        Assigned {
            target: 0,
            arm: Arm::Stable
        }
    );
    let canary = Split::new("chat", &all, Some((0, None)));
    for in_contact in [true, false] {
        let assigned = canary.assign(&sticky("a"), 0, in_contact);
        assert_eq!(
            assigned,
            Assigned {
                target: 0,
                arm: Arm::Canary
            }
        );
    }
}

#[test]
fn who_is_in_the_canary_depends_on_the_salt_and_the_kind_alone() {
    let share = |percent: u16| Share::from_hundredths(percent * 100).expect("at most 100");
    let salted = |route: &str, salt| {
        Split::new(
            route,
            &[("gpt", share(50)), ("claude", share(50))],
            Some((1, salt)),
        )
    };
    let agree = |one: &Split, other: &Split| {
        let ids = sessions(10_000);
        let same = ids.filter(|id| {
            one.assign(&sticky(id), 0, true).arm == other.assign(&sticky(id), 0, true).arm
        });
        same.count()
    };
    let (first, second) = (salted("chat", Some("r1")), salted("chat", Some("r2")));
    assert_eq!(
        agree(&first, &salted("other", Some("r1"))),
        10_000,
        "the salt alone"
    );
    assert!(
        (4_800..5_200).contains(&agree(&first, &second)),
        "another salt, other callers"
    );
    let (chat, other) = (salted("chat", None), salted("other", None));
    assert!(
        (4_800..5_200).contains(&agree(&chat, &other)),
        "without a salt, by route"
    );

    let of_kind = |kind, id: &str| {
        let affinity = Affinity::Sticky {
            kind,
            value: Cow::Owned(id.as_bytes().to_vec()),
        };
        first.assign(&affinity, 0, true).arm
    };
    let same = sessions(10_000).filter(|id| of_kind("key", id) == of_kind("body:user", id));
    assert!(
        (4_800..5_200).contains(&same.count()),
        "equal values of other kinds"
    );
}

#[test]
fn assignment_is_the_same_in_every_version_and_process() {
    // Computed once. If this changes, callers move at an upgrade.
    const PINNED: &str = "0010000001001000000000200000000001001001";
    let split = split([70, 25, 5], true);
    let of = |id: &str| split.assign(&sticky(id), 0, true).target;
    let first: String = sessions(40).map(|id| of(&id).to_string()).collect();
    assert_eq!(first, PINNED);
    // The bucket is what the design says, by hand.
    for id in sessions(1_000) {
        let hashed = format!("chat\x1fllama\x1fheader:x-session-id\x1f{id}");
        assert_eq!(
            xxh3_64(hashed.as_bytes()) % 10_000 < 500,
            of(&id) == 2,
            "{id}"
        );
    }
}

proptest! {
    #[test]
    fn the_same_value_gets_the_same_target_whatever_the_draw(
        value in ".{1,400}",
        draw in any::<u64>(),
        other_draw in any::<u64>(),
    ) {
        let split = split([50, 30, 20], true);
        let first = split.assign(&sticky(&value), draw, true);
        prop_assert_eq!(first, split.assign(&sticky(&value), other_draw, true));
        prop_assert_eq!(first, split.clone().assign(&sticky(&value), 0, true));
    }

    #[test]
    fn a_target_without_weight_gets_nobody(value in ".{1,40}", draw in any::<u64>()) {
        let split = split([0, 100, 0], false);
        prop_assert_eq!(split.assign(&sticky(&value), draw, true).target, 1);
        prop_assert_eq!(split.assign(&Affinity::Drawn, draw, true).target, 1);
    }

    #[test]
    fn monotone_for_every_pair_of_shares(
        id in ".{1,40}",
        one in 0_u16..=10_000,
        other in 0_u16..=10_000,
    ) {
        let share = |hundredths| Share::from_hundredths(hundredths).expect("at most 10 000");
        let arm = |canary: u16| {
            let targets = [("gpt", share(10_000 - canary)), ("claude", share(canary))];
            Split::new("chat", &targets, Some((1, None))).assign(&sticky(&id), 0, true).arm
        };
        let (low, high) = (one.min(other), one.max(other));
        prop_assert!(arm(low) == Arm::Stable || arm(high) == Arm::Canary);
    }
}

/// Ten thousand keys, and those of them that are in the canary at a share.
fn in_canary(salt: &str, percent: u16) -> Vec<String> {
    let share = |percent: u16| Share::from_hundredths(percent * 100).expect("at most 100");
    let targets = [("gpt", share(100 - percent)), ("claude", share(percent))];
    let split = Split::new("chat", &targets, Some((1, Some(salt))));
    let is_in = |id: &String| split.assign(&sticky(id), 0, true).arm == Arm::Canary;
    sessions(10_000).filter(is_in).collect()
}

#[test]
fn of_ten_thousand_keys_a_share_has_its_part_and_once_in_is_in_to_the_end() {
    for salt in ["9f2c", "a1b2c3d4", "0"] {
        let mut before: Vec<String> = Vec::new();
        for percent in 1..=25 {
            let now = in_canary(salt, percent);
            let p = f64::from(percent) / 100.0;
            // 99.99 % of all salts are within this.
            let spread = 3.9 * (10_000.0 * p * (1.0 - p)).sqrt();
            let off = now.len() as f64 - 10_000.0 * p;
            assert!(off.abs() <= spread, "{} keys at {percent} %", now.len());
            assert!(before.iter().all(|key| now.contains(key)), "{percent} %");
            before = now;
        }
    }
}

#[test]
fn the_next_rollout_takes_other_keys() {
    let (first, next) = (in_canary("9f2c", 25), in_canary("b7e0", 25));
    let again = first.iter().filter(|key| next.contains(key)).count() as f64;
    let expected = first.len() as f64 * 0.25;
    assert!(
        (again - expected).abs() < 3.9 * (expected * 0.75).sqrt(),
        "{again} of {} are in both, by chance it would be {expected}",
        first.len()
    );
}
