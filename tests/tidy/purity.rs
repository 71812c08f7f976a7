//! Pure files: time, draws and measurements are arguments; nothing waits, nothing does I/O.
//!
//! Which files: level 1 of router and control plane, a few decisions that live beside their owner, and all of
//! `proto`. Their tests may do as they like.

use crate::levels::level;
use crate::source::{is_test_file, line_of, paths, shipped, words};
use crate::tree::File;

/// Pure although their level is higher, or outside the router. A closing slash names a folder.
const ALSO_PURE: [&str; 11] = [
    "router/src/snapshot/build",
    "router/src/snapshot/lineage",
    "control-plane/src/change/audit.rs",
    "control-plane/src/change/plan.rs",
    "control-plane/src/change/precondition.rs",
    "control-plane/src/change/refusal.rs",
    "store/src/txn.rs",
    "store/src/ledger/",
    "store/src/watch/cursor.rs",
    "store/src/watch/backoff.rs",
    "proto/src/",
];
/// Where blocks of headers are made once, so that requests need not.
const BUILDS: &str = "router/src/snapshot/build";
const WORDS: [&str; 2] = ["async", "await"];
/// Crates that wait, draw, measure or speak to somebody.
const CRATES: [&str; 6] = [
    "awc",
    "tokio",
    "rand",
    "serin_store",
    "prometheus",
    "tracing",
];
const CALLS: [&str; 3] = ["Instant::now", "SystemTime::now", "now_utc"];
const STD: [&str; 5] = ["fs", "env", "process", "thread", "net"];
/// Addresses are values: only sockets are I/O.
const NET_VALUES: [&str; 8] = [
    "IpAddr",
    "Ipv4Addr",
    "Ipv6Addr",
    "SocketAddr",
    "SocketAddrV4",
    "SocketAddrV6",
    "AddrParseError",
    "self",
];
/// Keys and transactions are values: only a store is I/O.
const STORE_VALUES: [&str; 8] = [
    "Compare", "Entry", "Error", "Key", "Op", "Range", "Scope", "Txn",
];

/// Faults of one file; none if it need not be pure.
pub(crate) fn check(file: &File) -> Vec<String> {
    if !must_be_pure(&file.path) {
        return Vec::new();
    }
    let code = shipped(&file.text);
    let mut faults = Vec::new();
    for needle in WORDS.into_iter().chain(CALLS) {
        let found = words(&code, needle).map(|at| (line_of(&code, at), needle.to_owned()));
        faults.extend(found);
    }
    for (at, _) in code.match_indices("actix") {
        // Names and addresses of HTTP are values: a snapshot is built of them. Level 1 needs none.
        let values = file.path.starts_with(BUILDS) && code[at..].starts_with("actix_web::http::");
        if !values {
            faults.push((line_of(&code, at), "actix".to_owned()));
        }
    }
    for root in CRATES {
        let value = |path: &[String]| {
            let first = path.first().map(String::as_str).unwrap_or_default();
            root == "serin_store" && STORE_VALUES.contains(&first)
        };
        let found = paths(&code, root).into_iter();
        let found = found.filter(|(_, path)| !value(path));
        faults.extend(found.map(|(line, path)| (line, format!("{root}::{}", path.join("::")))));
    }
    for (line, path) in paths(&code, "std") {
        let first = path.first().map(String::as_str).unwrap_or_default();
        let value = first == "net"
            && path
                .get(1)
                .is_some_and(|p| NET_VALUES.contains(&p.as_str()));
        if STD.contains(&first) && !value {
            faults.push((line, format!("std::{}", path.join("::"))));
        }
    }
    let say = |(line, what)| format!("{}:{line}: {what} in a pure file", file.path);
    faults.into_iter().map(say).collect()
}

fn must_be_pure(path: &str) -> bool {
    if is_test_file(path) {
        return false;
    }
    level(path) == Some(1) || ALSO_PURE.iter().any(|entry| path.starts_with(entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rustfmt::skip]
    #[test]
    fn each_impurity_is_found() {
        let pure = "router/src/target/breaker.rs";
        let table = [
            (pure, "fn after(&mut self, now: Instant) {}",                   0),
            (pure, "//! never async\nlet a = \"tokio\";",                    0),
            (pure, "async fn a() {}",                                        1),
            (pure, "use serin_store::{Compare, Key};",                       0),
            (pure, "a.await",                                                1),
            (pure, "let now = Instant::now();",                              1),
            (pure, "std::time::SystemTime::now()",                           1),
            (pure, "use actix_web::HttpRequest;",                            1),
            (pure, "use awc::Client; use tokio::net; use rand::Rng;",        3),
            (pure, "use serin_store::Follower;",                             1),
            (pure, "let url = settings.prometheus;",                         0),
            (pure, "use std::{collections::BTreeMap, env, fs::File};",       2),
            (pure, "use std::net::{IpAddr, TcpStream};",                     1),
            (pure, "#[cfg(test)]\nmod tests { use tokio::time; }",           0),
            ("router/src/target/gate.rs", "async fn a() {}",                 0),
            ("router/src/pick/new.rs", "async fn a() {}",                    1),
            ("router/src/pick/tests.rs", "async fn a() {}",                  0),
            ("router/src/snapshot/build.rs", "async fn a() {}",              1),
            ("router/src/snapshot/build.rs", "use actix_web::http::Uri;",    0),
            ("router/src/snapshot/build.rs", "use actix_web::HttpRequest;",  1),
            ("router/src/snapshot/watcher.rs", "async fn a() {}",            0),
            ("proto/src/validate/route.rs", "std::fs::read(a)",              1),
            ("store/src/file.rs", "async fn a() {}",                         0),
        ];
        for (path, text, count) in table {
            let found = check(&File::new(path, text));
            assert_eq!(found.len(), count, "{path}: {text}\n{found:?}");
        }
    }
}
