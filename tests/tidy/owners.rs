//! Crates that one file of ours knows, so that changing our mind about them changes one file.
//!
//! The clock and the environment have owners too; clippy's `disallowed-methods` holds those.

use crate::source::{bare, paths};
use crate::tree::File;

/// A crate and the beginning of the only paths that may name it. Other crates of ours do not
/// depend on it, or name it for their own reasons.
const OWNERS: [(&str, &str, &str); 3] = [
    ("awc", "control-plane/src/", "control-plane/src/http"),
    ("awc", "router/src/", "router/src/provider/client"),
    ("prometheus", "router/src/", "router/src/record/metrics"),
];

/// Faults of one file.
pub(crate) fn check(file: &File) -> Vec<String> {
    let code = bare(&file.text);
    let mut faults = Vec::new();
    for (root, within, owner) in OWNERS {
        if !file.path.starts_with(within) || file.path.starts_with(owner) {
            continue;
        }
        for (line, _) in paths(&code, root) {
            faults.push(format!("{}:{line}: only {owner} knows {root}", file.path));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_is_named_by_its_owner_alone() {
        let table = [
            ("router/src/provider/client.rs", "use awc::Client;", 0),
            ("router/src/request/relay.rs", "let a: awc::Client;", 1),
            (
                "router/src/record/metrics/mod.rs",
                "use prometheus::{a, b};",
                0,
            ),
            ("router/src/record/mod.rs", "use prometheus::{a, b};", 2),
            ("router/src/record/mod.rs", "// awc::Client", 0),
            ("tests/bench/load.rs", "use awc::Client;", 0),
        ];
        for (path, text, count) in table {
            assert_eq!(check(&File::new(path, text)).len(), count, "{path}: {text}");
        }
    }
}
