//! Closed sets are complete, in order, and say each word once.
//!
//! The router keeps arrays indexed by these enums: a value at the wrong place would count for
//! another one, and nothing else would show it.

use super::*;

fn check<T: Copy>(all: &[T], index: impl Fn(T) -> usize, word: impl Fn(T) -> String) {
    let words: Vec<String> = all.iter().map(|value| word(*value)).collect();
    for (i, value) in all.iter().enumerate() {
        assert_eq!(index(*value), i, "{} is at its own place", word(*value));
        assert!(
            !words[..i].contains(&words[i]),
            "{} is there once",
            words[i]
        );
    }
}

#[test]
fn every_value_stands_at_its_index_and_has_its_own_word() {
    check(&Operation::ALL, |v| v as usize, |v| v.as_str().to_owned());
    check(&Arm::ALL, |v| v as usize, |v| v.as_str().to_owned());
    check(&Role::ALL, |v| v as usize, |v| v.as_str().to_owned());
    check(&Phase::ALL, |v| v as usize, |v| v.as_str().to_owned());
    check(&TokenType::ALL, |v| v as usize, |v| v.as_str().to_owned());
    check(&TokenSource::ALL, |v| v as usize, |v| v.as_str().to_owned());
    check(
        &BreakerState::ALL,
        |v| v as usize,
        |v| v.as_str().to_owned(),
    );
    check(
        &OverheadPhase::ALL,
        |v| v as usize,
        |v| v.as_str().to_owned(),
    );
    check(&Applied::ALL, |v| v as usize, |v| v.as_str().to_owned());
    check(&ActorKind::ALL, |v| v as usize, |v| v.as_str().to_owned());
    check(&PanicPlace::ALL, |v| v as usize, |v| v.as_str().to_owned());
    check(
        &Ending::ALL,
        |v| v as usize,
        |v| format!("{}/{}", v.outcome(), v.reason()),
    );
}

#[test]
fn nineteen_endings_are_legal_for_roles_other_than_first() {
    let legal = Ending::ALL
        .iter()
        .filter(|ending| !ending.is_diversion())
        .count();
    assert_eq!((Ending::ALL.len(), legal), (22, 19));
    for ending in Ending::ALL.iter().filter(|ending| ending.is_diversion()) {
        assert!(ending.outcome() == "error" && ending.reason().starts_with("diverted_"));
    }
}
