//! What rests on the context, what is warned of, what is not yet enforced.
//!
//! The faults themselves, each with line and column, are in the table of `tests/faults.rs`, which
//! reads files as people write them.

use time::macros::datetime;

use super::*;
use crate::yaml;

fn warned(text: &str) -> Vec<String> {
    let read = yaml::read("f", text).unwrap_or_else(|faults| panic!("{faults:#?}"));
    read.warnings
        .iter()
        .map(|w| format!("{} {}", w.pointer, w.code))
        .collect()
}

const PROVIDER: &str = "providers: [{name: p, dialect: openai, baseUrl: 'https://a.example'}]\n";

fn two_targets(traffic: &str, rest: &str) -> String {
    let targets = "[{name: a, provider: p, model: m}, {name: b, provider: p, model: m}]";
    format!("{PROVIDER}routes: [{{name: r, targets: {targets}, traffic: {{{traffic}}}{rest}}}]")
}

#[rustfmt::skip]
#[test]
fn what_may_surprise_its_author_is_warned_of() {
    let key = |routes: &str| format!("{}\nkeys: [{{name: k{routes}}}]", two_targets("weights: {a: 100}", ""));
    let table: [(String, &[&str]); 10] = [
        (two_targets("weights: {a: 100}", ""), &[]),
        (two_targets("weights: {a: 50, b: 50}, fallback: [a]", ""), &[]),
        (two_targets("weights: {a: 50, b: 50}", ""), &["/routes/0/traffic no_fallback"]),
        (two_targets("weights: {a: 100}, canary: b", ""), &["/routes/0/traffic no_fallback"]),
        (two_targets("weights: {a: 100}, canary: b, fallback: [a]", ", affinity: [conversation, key]"), &["/routes/0/affinity/1 constant_affinity"]),
        (two_targets("weights: {a: 100}", ", affinity: [key]"), &[]),
        (key(""), &["/keys/0/routes no_routes"]),
        (key(", routes: []"), &["/keys/0/routes no_routes"]),
        (key(", routes: [nope, r]"), &["/keys/0/routes/0 unknown_route"]),
        (key(", routes: ['*']"), &[]),
    ];
    for (text, expected) in table {
        assert_eq!(warned(&text), expected, "{text}");
    }
}

#[test]
fn every_field_that_is_not_yet_enforced_is_named_once_it_is_written() {
    let text = include_str!("../../tests/golden/documents.yaml");
    let read = yaml::read("f", text).unwrap_or_else(|faults| panic!("{faults:#?}"));
    let warning = read
        .warnings
        .iter()
        .find(|w| w.code == "not_yet_enforced")
        .unwrap();
    for (path, _) in pending::PENDING {
        let name = path.replace('/', ".");
        assert!(
            warning.message.contains(&name),
            "{name} is not in {}",
            warning.message
        );
    }
    assert_eq!(
        read.warnings
            .iter()
            .filter(|w| w.code == "not_yet_enforced")
            .count(),
        1
    );
}

#[test]
fn what_is_not_written_or_off_is_not_named() {
    let server = "server: {metrics: {flaggerAliases: false}, cors: {origins: []}, etcd: null}\n";
    let route = two_targets(
        "weights: {a: 100}",
        ", onClientDisconnect: cancel, breaker: {}",
    );
    assert_eq!(warned(&format!("{server}{route}")), [""; 0]);
    let drained = two_targets(
        "weights: {a: 100}",
        ", onClientDisconnect: drain, cache: {ttl: 5s}",
    );
    let read = yaml::read("f", &drained).unwrap();
    let expected = "accepted, not yet enforced in this release: routes.*.cache, \
                    routes.*.onClientDisconnect";
    assert_eq!(read.warnings[0].message, expected);
}

#[test]
fn the_control_planes_settings_are_enforced() {
    let server = "server: {etcd: {caFile: /a}, controlPlane: {listen: '127.0.0.1:8090', grpcListen: '127.0.0.1:8091', \
                  prometheus: 'http://u:p@prometheus:9090/prefix', \
                  tokens: [{name: a, role: admin, env: A}]}}";
    assert_eq!(warned(server), [""; 0]);
    let bad = yaml::read(
        "f",
        "server: {controlPlane: {prometheus: 'prometheus:9090'}}",
    );
    assert!(bad.is_err());
}

#[test]
fn a_secret_that_has_expired_is_not_live() {
    let secret = |name: &str, expires_at: &str| v1::Secret {
        env: name.to_owned(),
        expires_at: expires_at.to_owned(),
        ..v1::Secret::default()
    };
    let secrets = vec![
        secret("A", "2026-01-01T00:00:00Z"),
        secret("B", ""),
        secret("C", "2027-01-01T00:00:00Z"),
    ];
    let key = v1::Key {
        name: "k".to_owned(),
        secrets,
        ..v1::Key::default()
    };
    let file = v1::File {
        keys: vec![key],
        ..v1::File::default()
    };
    let faults_at = |now| {
        let findings = validate(
            &file,
            &Context {
                now,
                ..Context::default()
            },
        );
        findings
            .faults
            .iter()
            .map(|fault| fault.code)
            .collect::<Vec<_>>()
    };
    assert_eq!(faults_at(None), ["too_many_secrets"]);
    assert_eq!(
        faults_at(Some(datetime!(2025-12-31 23:59:59 UTC))),
        ["too_many_secrets"]
    );
    assert_eq!(faults_at(Some(datetime!(2026-01-01 00:00:00 UTC))), [""; 0]);
}

#[test]
fn networks_of_the_context_replace_those_of_the_file() {
    let text = "server: {allowedNetworks: [10.0.0.0/8]}\n\
                providers: [{name: p, dialect: simulated, baseUrl: 'http://127.0.0.1:8070'}]";
    let judged = |networks: Option<&[&str]>| {
        let networks = networks.map(|texts| Networks::parse(texts).unwrap());
        yaml::read_in(
            "f",
            text,
            &Context {
                networks,
                ..Context::default()
            },
        )
        .is_ok()
    };
    assert!(!judged(None));
    assert!(!judged(Some(&[])));
    assert!(judged(Some(&["127.0.0.0/8"])));
}

#[test]
fn a_refused_address_names_the_way_out() {
    let told = |url: &str| {
        let text = format!("providers: [{{name: p, dialect: openai, baseUrl: '{url}'}}]");
        yaml::read("f", &text).unwrap_err()[0].message.clone()
    };
    let table = [
        (
            "http://127.0.0.1:8070",
            "127.0.0.1 is a loopback address: add 127.0.0.0/8 to server.allowedNetworks",
        ),
        (
            "http://localhost",
            "localhost is a loopback name: add 127.0.0.0/8 to server.allowedNetworks",
        ),
        (
            "http://10.1.2.3",
            "10.1.2.3 is a private address: add 10.0.0.0/8 to server.allowedNetworks",
        ),
        (
            "http://2852039166",
            "169.254.169.254 is a cloud's metadata address: never allowed for a provider",
        ),
        (
            "http://134744072",
            "spells the address 8.8.8.8 in an unusual way: write 8.8.8.8",
        ),
    ];
    for (url, expected) in table {
        assert_eq!(told(url), expected, "{url}");
    }
}
