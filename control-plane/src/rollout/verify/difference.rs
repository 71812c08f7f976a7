//! Where what is stored differs first from what it should be. Pure.
//!
//! What was counted, chosen or named must be the very same. A number that was computed may differ by
//! as much as two machines' logarithms do, where that is allowed.

use std::{collections::BTreeSet, fmt};

use serde_json::Value as Json;

/// Below, computed numbers are as good as 0: the tolerance is a part of no less.
const SCALE_MIN: f64 = 1e-3;

/// One place of a record that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at} is {stored}, and should be {recomputed}")]
pub struct Difference {
    /// A JSON pointer: `/evidence/errors/logE`.
    pub at: String,
    /// As JSON, or in words.
    pub stored: String,
    /// The same of what its events come to.
    pub recomputed: String,
}

impl Difference {
    pub(super) fn new(
        at: impl Into<String>,
        stored: impl fmt::Display,
        recomputed: impl fmt::Display,
    ) -> Self {
        Self {
            at: at.into(),
            stored: stored.to_string(),
            recomputed: recomputed.to_string(),
        }
    }
}

/// The first place at which two values differ: in the order of their members' names. `tolerance` is
/// relative, and for computed numbers alone: those that are no integers where they are recomputed.
pub(super) fn compare(
    at: &str,
    stored: &Json,
    recomputed: &Json,
    tolerance: f64,
) -> Result<(), Difference> {
    match (stored, recomputed) {
        (Json::Object(left), Json::Object(right)) => {
            let names: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            for name in names {
                let at = format!("{at}/{name}");
                match (left.get(name), right.get(name)) {
                    (Some(left), Some(right)) => compare(&at, left, right, tolerance)?,
                    (left, right) => return Err(Difference::new(at, shown(left), shown(right))),
                }
            }
            return Ok(());
        }
        (Json::Array(left), Json::Array(right)) => {
            for i in 0..left.len().max(right.len()) {
                let at = format!("{at}/{i}");
                match (left.get(i), right.get(i)) {
                    (Some(left), Some(right)) => compare(&at, left, right, tolerance)?,
                    (left, right) => return Err(Difference::new(at, shown(left), shown(right))),
                }
            }
            return Ok(());
        }
        _ if is_close(stored, recomputed, tolerance) => return Ok(()),
        _ => {}
    }
    Err(Difference::new(
        at,
        shown(Some(stored)),
        shown(Some(recomputed)),
    ))
}

fn is_close(stored: &Json, recomputed: &Json, tolerance: f64) -> bool {
    if stored == recomputed {
        return true;
    }
    let (Some(left), true) = (stored.as_f64(), recomputed.is_f64()) else {
        return false;
    };
    let right = recomputed.as_f64().unwrap_or(f64::NAN);
    let scale = left.abs().max(right.abs()).max(SCALE_MIN);
    // Canonical JSON writes 5.0 as 5: without a tolerance they are still one number.
    (left - right).abs() <= tolerance * scale
}

fn shown(value: Option<&Json>) -> String {
    match value {
        None | Some(Json::Null) => "nothing".to_owned(),
        Some(Json::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_difference_is_named_by_its_place_and_both_sides() {
        let told = json!({"a": {"n": 2_000_000, "logE": 0.5}, "b": ["x", null]});
        let table = [
            ("/a/n", json!(2_000_001), "2000001", "2000000"),
            ("/a/n", json!(2_000_000.5), "2000000.5", "2000000"),
            ("/a/n", json!("2000000"), "2000000", "2000000"),
            ("/a/logE", json!(0.500_001), "0.500001", "0.5"),
            ("/a", json!({}), "nothing", "0.5"),
            ("/a/more", json!(0), "0", "nothing"),
            ("/b/0", json!("y"), "y", "x"),
            ("/b/1", json!(0), "0", "nothing"),
            ("/b", json!(["x"]), "nothing", "nothing"),
        ];
        for (at, lie, stored, recomputed) in table {
            let mut changed = told.clone();
            match changed.pointer_mut(at) {
                Some(member) => *member = lie,
                None => changed["a"]["more"] = lie,
            }
            let found = compare("", &changed, &told, 1e-6).unwrap_err();
            assert!(found.at.starts_with(at), "{found}");
            assert_eq!((&*found.stored, &*found.recomputed), (stored, recomputed));
        }
        compare("", &told, &told, 0.0).unwrap();
    }

    #[test]
    fn computed_numbers_may_differ_by_the_tolerance_alone() {
        let at = |stored: f64, recomputed: f64, tolerance| {
            compare("", &json!(stored), &json!(recomputed), tolerance).is_ok()
        };
        assert!(at(4.600_002, 4.6, 1e-6));
        assert!(!at(4.600_005, 4.6, 1e-6));
        assert!(!at(4.600_002, 4.6, 0.0));
        assert!(at(1e-17, 0.0, 1e-6), "as good as 0");
        assert!(!at(1e-8, 0.0, 1e-6));
        assert!(!at(-4.6, 4.6, 1e-6));
        compare("", &json!(5), &json!(5.0), 0.0).unwrap();
        compare("", &json!(null), &json!(5.0), 1e-6).unwrap_err();
    }
}
