//! Checks of one file's text: header, size, left-overs, sleeping, machine paths, the Makefile.

use crate::source::{bare, is_test_file, line_of, words};
use crate::tree::File;

const LINES_MAX: usize = 400;
const TARGETS_MAX: usize = 12;
const RECIPE_LINES_MAX: usize = 3;
/// The one file of the stage that may wait for time; a bench keeps a pace and is no test.
const WAITS: &str = "tests/src/eventually.rs";
const BENCH: &str = "tests/bench/";

/// Line 1 says why the file exists; the file can be read in one sitting.
pub(crate) fn header_and_size(file: &File) -> Vec<String> {
    let mut faults = Vec::new();
    if !file.text.starts_with("//!") {
        faults.push(format!(
            "{}:1: the first line must be `//!` and say why",
            file.path
        ));
    }
    let lines = file.text.lines().count();
    if lines > LINES_MAX {
        faults.push(format!(
            "{}: {lines} lines; at most {LINES_MAX}: split it",
            file.path
        ));
    }
    faults
}

/// No `#[ignore]`, no `dbg!`, `todo!`, `unimplemented!`, no lint silenced without a reason.
pub(crate) fn left_overs(file: &File) -> Vec<String> {
    let code = bare(&file.text);
    let mut faults = Vec::new();
    for needle in ["#[ignore", "dbg!", "todo!", "unimplemented!"] {
        for (at, _) in code.match_indices(needle) {
            faults.push(format!("{}:{}: {needle}", file.path, line_of(&code, at)));
        }
    }
    for opening in ["#[allow(", "#![allow(", "#[expect(", "#![expect("] {
        for (at, _) in code.match_indices(opening) {
            let attribute = code[at..].split(']').next().unwrap_or_default();
            if opening.contains("allow") || words(attribute, "reason").next().is_none() {
                let line = line_of(&code, at);
                let better = "write `#[expect(lint, reason = \"…\")]`";
                faults.push(format!("{}:{line}: {opening}…): {better}", file.path));
            }
        }
    }
    faults
}

/// Tests wait with `eventually`, which has a deadline and shows what it saw.
pub(crate) fn sleeping(file: &File) -> Vec<String> {
    if file.path == WAITS || file.path.starts_with(BENCH) {
        return Vec::new();
    }
    let code = bare(&file.text);
    let tests = if is_test_file(&file.path) {
        Some(0)
    } else {
        code.find("#[cfg(test)]")
    };
    let Some(tests) = tests else {
        return Vec::new();
    };
    let calls = words(&code[tests..], "sleep").chain(words(&code[tests..], "sleep_until"));
    calls
        .map(|at| {
            format!(
                "{}:{}: a test that sleeps",
                file.path,
                line_of(&code, tests + at)
            )
        })
        .collect()
}

/// Nothing names a folder of one computer or the host of a package registry.
pub(crate) fn places(file: &File) -> Vec<String> {
    if file.path == "Cargo.lock" {
        return Vec::new();
    }
    // Put together here, so that this file does not name what it forbids.
    let needles = [
        ["/wo", "rk/"],
        ["/ro", "ot/"],
        ["pypi", ".org"],
        ["pythonhosted", ".org"],
        ["npmjs", ".org"],
        ["proxy.golang", ".org"],
        ["static.crates", ".io"],
        ["index.crates", ".io"],
        ["deb.debian", ".org"],
    ];
    let mut faults = Vec::new();
    for needle in needles.map(|parts| parts.concat()) {
        for (at, _) in file.text.match_indices(&needle) {
            faults.push(format!(
                "{}:{}: names {needle}",
                file.path,
                line_of(&file.text, at)
            ));
        }
    }
    faults
}

/// At most twelve targets of at most three lines.
pub(crate) fn makefile(file: &File) -> Vec<String> {
    let mut faults = Vec::new();
    let (mut targets, mut recipe) = (0, 0);
    for (at, line) in file.text.lines().enumerate() {
        if line.starts_with('\t') {
            recipe += 1;
        } else if is_target(line) {
            (targets, recipe) = (targets + 1, 0);
        }
        if recipe == RECIPE_LINES_MAX + 1 {
            let more = "more than three lines in a target: make it a script";
            faults.push(format!("{}:{}: {more}", file.path, at + 1));
        }
    }
    if targets > TARGETS_MAX {
        faults.push(format!(
            "{}: {targets} targets; at most {TARGETS_MAX}",
            file.path
        ));
    }
    faults
}

fn is_target(line: &str) -> bool {
    let Some((name, rest)) = line.split_once(':') else {
        return false;
    };
    let named = line.starts_with(|c: char| c.is_alphanumeric() || c == '$');
    named && !rest.starts_with('=') && !name.contains('=')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many faults each check finds in made-up files: one that is right, others that are not.
    #[test]
    fn each_check_can_fail() {
        type Check = fn(&File) -> Vec<String>;
        let long = format!("//! why\n{}", "x\n".repeat(LINES_MAX));
        let thirteen = "t:\n\tx\n".repeat(13);
        let machine = ["a = \"/ro", "ot/.cargo\""].concat();
        let host = ["https://pypi", ".org/simple"].concat();
        let table: [(Check, &str, &str, usize); 22] = [
            (header_and_size, "a/b.rs", "//! why\n", 0),
            (header_and_size, "a/b.rs", "use x;\n//! why\n", 1),
            (header_and_size, "a/b.rs", &long, 1),
            (left_overs, "a/b.rs", "//! dbg!(1)\nlet a = \"todo!\";", 0),
            (
                left_overs,
                "a/b.rs",
                "#[ignore]\nfn a() { dbg!(1); todo!() }",
                3,
            ),
            (left_overs, "a/b.rs", "fn a() { unimplemented!() }", 1),
            (
                left_overs,
                "a/b.rs",
                "#[allow(clippy::all)]\n#![allow(x)]",
                2,
            ),
            (left_overs, "a/b.rs", "#[expect(dead_code)]", 1),
            (
                left_overs,
                "a/b.rs",
                "#[expect(dead_code, reason = \"soon\")]",
                0,
            ),
            (
                sleeping,
                "a/src/b.rs",
                "fn a() { tokio::time::sleep(b) }",
                0,
            ),
            (
                sleeping,
                "a/src/b.rs",
                "#[cfg(test)]\nmod t { fn a() { thread::sleep(b) } }",
                1,
            ),
            (sleeping, "tests/story/a.rs", "use tokio::time::sleep;", 1),
            (sleeping, "a/src/tests.rs", "sleep_until(b)", 1),
            (sleeping, WAITS, "sleep(b)", 0),
            (places, "a.md", "see docs/adr", 0),
            (places, "a.toml", &machine, 1),
            (places, "a.txt", &host, 1),
            (
                makefile,
                "Makefile",
                ".PHONY: a b\nX := y:z\na: b\n\tx\n",
                0,
            ),
            (makefile, "Makefile", "a:\n\tx\n\tx\n\tx\n", 0),
            (makefile, "Makefile", "a:\n\tx\n\tx\n\tx\n\tx\n", 1),
            (makefile, "Makefile", &thirteen, 1),
            (makefile, "Makefile", "$(X)/y: z\n\tx\n", 0),
        ];
        for (check, path, text, faults) in table {
            let found = check(&File::new(path, text));
            assert_eq!(found.len(), faults, "{path}: {text}\n{found:?}");
        }
    }
}
