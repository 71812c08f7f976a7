//! Inside the router: a file uses its own level and those below.
//!
//!   4 lib, server …   3 request   2 worker, snapshot, target …   1 pure rules
//! Every file of `router/src` has a level, by its own line in the table or by its folder's, so a
//! new one cannot escape. The longest entry that fits counts. Tests may look anywhere.

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

/// The level of a file of `router/src`, given without ending: `target/gate`.
pub(crate) fn level(file: &str) -> Option<u8> {
    let fits = |entry: &str| entry == file || (entry.ends_with('/') && file.starts_with(entry));
    let best = LEVELS
        .iter()
        .filter(|(entry, _)| fits(entry))
        .max_by_key(|(entry, _)| entry.len());
    best.map(|(_, level)| *level)
}

/// Faults of all files below `router/src`.
pub(crate) fn of_router(files: &[File]) -> Vec<String> {
    let router: BTreeMap<&str, &File> = files
        .iter()
        .filter(|file| !is_test_file(&file.path))
        .filter_map(|file| {
            let name = file.path.strip_prefix("router/src/")?.strip_suffix(".rs")?;
            Some((name, file))
        })
        .collect();
    router
        .iter()
        .flat_map(|(name, file)| of_file(name, file, &router))
        .collect()
}

fn of_file(name: &str, file: &File, router: &BTreeMap<&str, &File>) -> Vec<String> {
    let Some(own) = level(name) else {
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
        let Some(target) = resolve(&path, router) else {
            continue;
        };
        if target == "lib" || level(&target).is_none_or(|theirs| theirs <= own) {
            continue;
        }
        let theirs = level(&target).unwrap_or_default();
        faults.push(format!(
            "{}:{line}: level {own} uses {} of level {theirs}",
            file.path,
            path.join("::")
        ));
    }
    faults
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
fn resolve(path: &[String], router: &BTreeMap<&str, &File>) -> Option<String> {
    (1..=path.len()).rev().find_map(|count| {
        let name = path[..count].join("/");
        let folder = format!("{name}/mod");
        [name, folder]
            .into_iter()
            .find(|name| router.contains_key(name.as_str()))
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
        of_router(&files)
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
