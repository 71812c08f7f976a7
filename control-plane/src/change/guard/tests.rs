//! Which guards a change has: the table of the design.

use serin_proto::{address::Networks, document::Document};

use super::*;

/// A view at revision 50 with providers `p`@11 and `q`@12 and a tier `gold`@13.
fn admission() -> Admission {
    let mut admission = Admission::new(Networks::default());
    let provider = |name| {
        format!(r#"{{"name":"{name}","dialect":"openai","baseUrl":"https://{name}.example/v1"}}"#)
    };
    for (name, revision) in [("p", 11), ("q", 12)] {
        let key = format!("config/providers/{name}");
        admission.put(
            &key,
            provider(name).as_bytes(),
            Revision(1),
            Revision(revision),
        );
    }
    admission.put(
        "config/tiers/gold",
        br#"{"name":"gold"}"#,
        Revision(1),
        Revision(13),
    );
    admission.admit();
    admission
}

fn shown(guards: &[Compare]) -> Vec<String> {
    let show = |guard: &Compare| match guard {
        Compare::ModRevision(key, revision) => format!("{key}@{revision}"),
        Compare::CreateRevision(key, revision) => format!("{key}^{revision}"),
        Compare::NothingNewer(range, revision) => format!("{}*<={revision}", range.prefix()),
    };
    guards.iter().map(show).collect()
}

fn read(kind: Kind, json: &str) -> Document {
    Document::read_strict(kind, json.as_bytes()).unwrap()
}

fn route(rest: &str) -> Document {
    let targets = r#"[{"name":"a","provider":"q"},{"name":"b","provider":"p"},
                      {"name":"c","provider":"p"},{"name":"d","provider":"none"}]"#;
    read(
        Kind::Route,
        &format!(r#"{{"name":"r","targets":{targets}{rest}}}"#),
    )
}

fn key_with(rest: &str) -> Document {
    read(Kind::Key, &format!(r#"{{"name":"k"{rest}}}"#))
}

#[test]
fn a_write_rests_on_what_it_names_and_on_nothing_new_that_could_clash() {
    let admission = admission();
    let seen = Seen {
        admission: &admission,
        at: Revision(50),
    };
    let named = [
        "config/providers/none@0",
        "config/providers/p@11",
        "config/providers/q@12",
    ];
    let with_routes = [&named[..], &["config/routes/*<=50"]].concat();
    let aliased = r#","aliases":["x"]"#;
    let (one, two) = ("1".repeat(64), "2".repeat(64));
    let secrets = |digests: &[&str]| {
        let secret = |digest: &&str| format!(r#"{{"sha256":"{digest}"}}"#);
        let list: Vec<String> = digests.iter().map(secret).collect();
        format!(r#","secrets":[{}]"#, list.join(","))
    };
    let provider = read(Kind::Provider, r#"{"name":"p"}"#);
    let tier = read(Kind::Tier, r#"{"name":"gold"}"#);
    let table = [
        (route(""), Some(route("")), named.to_vec()),
        (route(""), None, with_routes.clone()),
        (route(aliased), Some(route("")), with_routes.clone()),
        (route(""), Some(route(aliased)), with_routes),
        (provider.clone(), Some(provider), vec![]),
        (tier.clone(), None, vec![]),
        (
            key_with(r#","tier":"gold""#),
            Some(key_with("")),
            vec!["config/tiers/gold@13"],
        ),
        (key_with(&secrets(&[&one])), None, vec!["config/keys/*<=50"]),
        (
            key_with(&secrets(&[&one])),
            Some(key_with(&secrets(&[&one, &two]))),
            vec![],
        ),
        (
            key_with(&secrets(&[&one, &two])),
            Some(key_with(&secrets(&[&one]))),
            vec!["config/keys/*<=50"],
        ),
    ];
    for (document, before, expected) in table {
        let guards = of_put(&document, before.as_ref(), seen);
        assert_eq!(shown(&guards), expected, "{document:?} over {before:?}");
    }
}

#[test]
fn a_deletion_rests_on_nothing_new_that_could_need_it() {
    let admission = admission();
    let seen = Seen {
        admission: &admission,
        at: Revision(50),
    };
    let table = [
        (Kind::Provider, vec!["config/routes/*<=50"]),
        (Kind::Tier, vec!["config/keys/*<=50"]),
        (Kind::Route, vec![]),
        (Kind::Key, vec![]),
    ];
    for (kind, expected) in table {
        assert_eq!(shown(&of_delete(kind, seen)), expected, "{kind:?}");
    }
}

#[test]
fn an_apply_rests_on_what_it_names_and_does_not_write() {
    let admission = admission();
    let seen = Seen {
        admission: &admission,
        at: Revision(50),
    };
    let documents = [route(""), key_with(r#","tier":"gold""#)];
    let written = BTreeSet::from([
        documents[0].key(),
        DocumentKey {
            kind: Kind::Provider,
            name: "p".to_owned(),
        },
    ]);
    let guards = of_apply(documents.iter(), &written, seen);
    assert_eq!(
        shown(&guards),
        [
            "config/providers/none@0",
            "config/providers/q@12",
            "config/tiers/gold@13",
            "config/routes/*<=50",
            "config/keys/*<=50",
        ]
    );
}
