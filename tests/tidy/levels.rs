//! Inside router and control plane: a file uses its own level and those below.
//!
//!   router         4 lib, server …      3 request   2 worker, snapshot, target …   1 pure rules
//!   control plane  4 lib                3 api, grpc 2 change, view, fleet, leader … 1 pure rules
//! Every file of theirs has a level, by its own line in the table or by its folder's, so a new one
//! cannot escape. The longest entry that fits counts. Tests may look anywhere.

use std::collections::BTreeMap;

use crate::source::{is_test_file, paths, shipped};
use crate::tree::File;

/// A file, or with a closing slash a folder, and its level. `target/` and `provider/` hold owners
/// beside pure rules: there every file says which it is.
const LEVELS: [(&str, u8); 44] = [
    ("lib", 4),
    ("server", 4),
    ("admin", 4),
    ("drain", 4),
    ("request/", 3),
    ("request/parse", 1),
    ("request/members", 1),
    ("request/fields", 1),
    ("request/deadline", 1),
    ("worker", 2),
    ("clock", 2),
    // Plain facts of one process; whoever holds something may be made from them.
    ("settings", 2),
    ("snapshot/", 2),
    ("route/", 2),
    ("record/", 2),
    ("record/cost", 1),
    ("cache/", 2),
    ("target/mod", 2),
    ("target/actor", 2),
    ("target/gate", 2),
    ("target/probe", 2),
    ("target/breaker", 1),
    ("target/window", 1),
    ("target/health", 1),
    ("provider/mod", 2),
    ("provider/client", 2),
    ("provider/address", 2),
    ("provider/credential", 2),
    ("provider/dialect", 1),
    ("provider/dialect/", 1),
    ("provider/sse", 1),
    ("provider/usage", 1),
    ("provider/nesting", 1),
    ("provider/splice", 1),
    ("provider/content", 1),
    ("provider/failure", 1),
    ("auth", 1),
    ("auth/", 1),
    ("limit", 1),
    ("limit/", 1),
    ("pick", 1),
    ("pick/", 1),
    ("retry", 1),
    ("retry/", 1),
];

/// The same inside the control plane.
const CONTROL_PLANE: [(&str, u8); 44] = [
    ("lib", 4),
    // A stage for tests inside the crate.
    ("stage/", 4),
    ("api/", 3),
    ("grpc/", 3),
    ("applier", 3),
    ("plane", 2),
    ("background", 2),
    ("auth/", 2),
    ("auth/role", 1),
    ("change/", 2),
    ("change/asked", 1),
    ("change/guard", 1),
    ("change/live", 1),
    ("read", 2),
    ("view/", 2),
    ("fleet", 2),
    ("fleet/", 2),
    ("leader", 2),
    ("care", 2),
    ("metrics/", 2),
    ("clock", 2),
    ("secret", 1),
    ("settings", 2),
    ("analysis/", 1),
    ("analysis/reader/", 2),
    ("http", 2),
    ("http/", 2),
    ("failpoint", 2),
    ("care/", 2),
    ("rollout/", 2),
    ("rollout/mod", 1),
    ("rollout/supervisor", 3),
    ("rollout/runner", 3),
    ("rollout/plan", 1),
    ("rollout/plan/", 1),
    ("rollout/state", 1),
    ("rollout/event", 1),
    ("rollout/machine/", 1),
    ("rollout/traffic", 1),
    ("rollout/canonical", 1),
    ("rollout/definition", 1),
    ("rollout/record", 1),
    ("rollout/verify", 1),
    ("rollout/verify/", 1),
];

/// A crate whose files have levels.
pub(crate) struct Layered {
    folder: &'static str,
    levels: &'static [(&'static str, u8)],
}

pub(crate) const LAYERED: [Layered; 2] = [
    Layered {
        folder: "router/src/",
        levels: &LEVELS,
    },
    Layered {
        folder: "control-plane/src/",
        levels: &CONTROL_PLANE,
    },
];

/// The level of a file, given by its path in the repository; `None` outside the layered crates.
pub(crate) fn level(path: &str) -> Option<u8> {
    let layered = LAYERED.iter().find(|l| path.starts_with(l.folder))?;
    layered.level(path.strip_prefix(layered.folder)?.strip_suffix(".rs")?)
}

impl Layered {
    /// The level of a file, given without folder and ending: `target/gate`.
    fn level(&self, file: &str) -> Option<u8> {
        let fits = |entry: &str| entry == file || (entry.ends_with('/') && file.starts_with(entry));
        let best = self
            .levels
            .iter()
            .filter(|(entry, _)| fits(entry))
            .max_by_key(|(entry, _)| entry.len());
        best.map(|(_, level)| *level)
    }

    /// Faults of all its files.
    pub(crate) fn check(&self, files: &[File]) -> Vec<String> {
        let own: BTreeMap<&str, &File> = files
            .iter()
            .filter(|file| !is_test_file(&file.path))
            .filter_map(|file| {
                let name = file.path.strip_prefix(self.folder)?.strip_suffix(".rs")?;
                Some((name, file))
            })
            .collect();
        own.iter()
            .flat_map(|(name, file)| self.of_file(name, file, &own))
            .collect()
    }

    fn of_file(&self, name: &str, file: &File, all: &BTreeMap<&str, &File>) -> Vec<String> {
        let Some(own) = self.level(name) else {
            return vec![format!(
                "{}: no level: give it one in tests/tidy/levels.rs",
                file.path
            )];
        };
        let code = shipped(&file.text);
        let mut used = paths(&code, "crate");
        used.extend(
            paths(&code, "super")
                .into_iter()
                .map(|(line, path)| (line, above(name, path))),
        );
        let mut faults = Vec::new();
        for (line, path) in used {
            let Some(target) = resolve(&path, all) else {
                continue;
            };
            let theirs = self.level(&target).unwrap_or_default();
            if target == "lib" || theirs <= own {
                continue;
            }
            faults.push(format!(
                "{}:{line}: level {own} uses {} of level {theirs}",
                file.path,
                path.join("::")
            ));
        }
        faults
    }
}

/// The path from the crate's root of what `file` calls `super::path`.
fn above(file: &str, path: Vec<String>) -> Vec<String> {
    let mut module: Vec<String> = file.split('/').map(str::to_owned).collect();
    if module
        .last()
        .is_some_and(|last| last == "mod" || last == "lib")
    {
        module.pop();
    }
    module.pop();
    let mut rest = path.into_iter().peekable();
    while rest.next_if(|part| part == "super").is_some() {
        module.pop();
    }
    module.extend(rest);
    module
}

/// The file in which a path from the root ends: the longest prefix that is one.
fn resolve(path: &[String], files: &BTreeMap<&str, &File>) -> Option<String> {
    (1..=path.len()).rev().find_map(|count| {
        let name = path[..count].join("/");
        let folder = format!("{name}/mod");
        [name, folder]
            .into_iter()
            .find(|name| files.contains_key(name.as_str()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(path: &str, text: &str) -> Vec<String> {
        let others = [
            ("lib", ""),
            ("request/mod", ""),
            ("request/parse", ""),
            ("target/mod", ""),
            ("target/gate", ""),
            ("target/breaker", ""),
            ("pick/assign", ""),
            ("worker", ""),
        ];
        let others = others.iter().filter(|(name, _)| *name != path);
        let mut files: Vec<File> = others
            .map(|(name, text)| File::new(&format!("router/src/{name}.rs"), text))
            .collect();
        files.push(File::new(&format!("router/src/{path}.rs"), text));
        LAYERED[0].check(&files)
    }

    #[rustfmt::skip]
    #[test]
    fn a_file_may_look_down_but_not_up() {
        let table = [
            ("target/gate",    "use crate::target::breaker::Breaker;",              0),
            ("target/gate",    "use super::breaker::Breaker; use super::Handle;",   0),
            ("target/breaker", "use crate::target::gate::Gate;",                    1),
            ("target/breaker", "use super::gate::Gate;",                            1),
            ("target/breaker", "use super::Handle;",                                1),
            ("target/breaker", "//! see crate::target::gate\n",                     0),
            ("target/breaker", "#[cfg(test)]\nmod t { use crate::worker::W; }",     0),
            ("pick/assign",    "use crate::{pick::plan, worker::Worker};",          1),
            ("pick/assign",    "fn f() { crate::request::parse::read() }",          0),
            ("pick/assign",    "fn f() { super::super::worker::W }",                1),
            ("request/parse",  "use super::answer;",                                1),
            ("request/mod",    "use crate::{worker::Worker, target};",              0),
            ("worker",         "use crate::request;",                               1),
            ("target/novelty", "",                                                  1),
            ("novelty",        "",                                                  1),
            ("pick/novelty",   "",                                                  0),
        ];
        for (path, text, count) in table {
            let found = faults(path, text);
            assert_eq!(found.len(), count, "{path}: {text}\n{found:?}");
        }
    }
}
