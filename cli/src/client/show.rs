//! What is listed, as tables: one table a kind, the columns that people look for.
//!
//! Whatever a table leaves out is in `-o json` and `-o yaml`, which show items as they came.

use crate::{
    args::remote::{Form, Seen},
    exit::Failed,
    output, traffic_words,
    tree::Tree,
};

/// Longest text of a table's last column, in characters.
const TEXT_CHARACTERS_MAX: usize = 60;
/// Digits of a digest that are shown.
const DIGEST_DIGITS: usize = 8;

/// Items of one kind: a table of them, or `tree` as it came.
pub(crate) fn text(kind: Seen, items: &[Tree], tree: &Tree, form: Form) -> Result<String, Failed> {
    match form {
        Form::Json => output::json(tree),
        Form::Yaml => output::yaml(tree),
        Form::Table => Ok(table(kind, items)),
    }
}

/// The table of one kind.
pub(crate) fn table(kind: Seen, items: &[Tree]) -> String {
    match kind {
        Seen::Providers => columns(["NAME", "DIALECT", "BASE URL", "CREDENTIAL"], items, |p| {
            [
                at(p, "name"),
                at(p, "dialect"),
                at(p, "baseUrl"),
                credential(p),
            ]
        }),
        Seen::Routes => columns(["NAME", "ALIASES", "TARGETS", "TRAFFIC"], items, |route| {
            let traffic = route.get("traffic").unwrap_or(&Tree::Null);
            let traffic = traffic_words::summary(traffic);
            [
                at(route, "name"),
                joined(route, "aliases"),
                names(route),
                traffic,
            ]
        }),
        Seen::Keys => columns(
            ["NAME", "ROUTES", "TIER", "STATE", "SECRETS"],
            items,
            |key| {
                let disabled = key.get("disabled") == Some(&Tree::Bool(true));
                let state = if disabled { "disabled" } else { "enabled" };
                let (name, tier) = (at(key, "name"), at(key, "tier"));
                [
                    name,
                    joined(key, "routes"),
                    tier,
                    state.to_owned(),
                    secrets(key),
                ]
            },
        ),
        Seen::Tiers => tiers(items),
        Seen::Tokens => columns(["NAME", "ROLE", "SHA256", "EXPIRES"], items, |token| {
            let digest = cut(&at(token, "sha256"), DIGEST_DIGITS);
            [
                at(token, "name"),
                at(token, "role"),
                digest,
                at(token, "expiresAt"),
            ]
        }),
        Seen::Routers => routers(items),
        Seen::Audit => columns(["AT", "ACTOR", "VERB", "KEY", "REASON"], items, |record| {
            let reason = shortened(&at(record, "reason"));
            [
                seconds(&at(record, "at")),
                at(record, "actor/name"),
                at(record, "verb"),
                keys(record),
                reason,
            ]
        }),
    }
}

fn tiers(items: &[Tree]) -> String {
    columns(
        [
            "NAME",
            "REQUESTS/MIN",
            "TOKENS/MIN",
            "CONCURRENCY",
            "BUDGET",
        ],
        items,
        |tier| {
            [
                at(tier, "name"),
                at(tier, "limits/requestsPerMinute"),
                at(tier, "limits/tokensPerMinute"),
                at(tier, "limits/concurrency"),
                budget(tier),
            ]
        },
    )
}

/// Routers, and below them each document that one of them could not take.
fn routers(items: &[Tree]) -> String {
    let head = [
        "ID", "STATE", "APPLIED", "LAG", "SOURCE", "HOLD", "REJECTED", "VERSION", "ADMIN",
    ];
    let mut text = columns(head, items, |router| {
        [
            "id",
            "state",
            "appliedRevision",
            "lag",
            "source",
            "hold",
            "rejectedCount",
            "version",
            "adminAddress",
        ]
        .map(|field| at(router, field))
    });
    let mut rejected = Vec::new();
    for router in items {
        let list = router.get("rejected").map(Tree::items).unwrap_or_default();
        rejected.extend(list.iter().map(|document| {
            let serving = at(document, "servingRevision");
            let serving = if serving.is_empty() {
                "nothing".to_owned()
            } else {
                serving
            };
            let key = at(document, "key");
            let [code, revision] = ["code", "modRevision"].map(|field| at(document, field));
            [
                at(router, "id"),
                key,
                revision,
                serving,
                code,
                shortened(&at(document, "message")),
            ]
        }));
    }
    if !rejected.is_empty() {
        let head = [
            "ROUTER", "REJECTED", "REVISION", "SERVES", "CODE", "MESSAGE",
        ];
        text = format!("{text}\n{}", output::table(head, &rejected));
    }
    text
}

fn columns<const N: usize>(
    head: [&str; N],
    items: &[Tree],
    row: impl Fn(&Tree) -> [String; N],
) -> String {
    let rows: Vec<[String; N]> = items.iter().map(row).collect();
    output::table(head, &rows)
}

/// The value a path leads to; empty where there is none.
fn at(tree: &Tree, path: &str) -> String {
    match tree.at(path) {
        None | Some(Tree::Null) => String::new(),
        Some(value) => value.to_string(),
    }
}

fn joined(tree: &Tree, field: &str) -> String {
    let items = tree.get(field).map(Tree::items).unwrap_or_default();
    items
        .iter()
        .map(Tree::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

fn names(route: &Tree) -> String {
    let targets = route.get("targets").map(Tree::items).unwrap_or_default();
    let name = |target: &Tree| {
        format!(
            "{} ({}/{})",
            at(target, "name"),
            at(target, "provider"),
            at(target, "model")
        )
    };
    targets.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn credential(provider: &Tree) -> String {
    let found = ["env", "file"].iter().find_map(|from| {
        let name = at(provider, &format!("credential/{from}"));
        (!name.is_empty()).then(|| format!("{from} {name}"))
    });
    found.unwrap_or_default()
}

fn secrets(key: &Tree) -> String {
    let secret = |secret: &Tree| {
        let (digest, ends) = (at(secret, "sha256"), at(secret, "expiresAt"));
        let digest = cut(&digest, DIGEST_DIGITS);
        if ends.is_empty() {
            digest
        } else {
            format!("{digest} until {ends}")
        }
    };
    let secrets = key.get("secrets").map(Tree::items).unwrap_or_default();
    secrets.iter().map(secret).collect::<Vec<_>>().join(", ")
}

fn budget(tier: &Tree) -> String {
    let (usd, period) = (at(tier, "budget/usd"), at(tier, "budget/period"));
    if usd.is_empty() {
        usd
    } else {
        format!("{usd} USD / {period}")
    }
}

/// What a record is about: one key, or those of an apply.
fn keys(record: &Tree) -> String {
    let changes = record.get("changes").map(Tree::items).unwrap_or_default();
    match changes {
        [] => at(record, "key"),
        [only] => at(only, "key"),
        [first, rest @ ..] => format!("{} and {} more", at(first, "key"), rest.len()),
    }
}

/// A moment without the parts of a second.
fn seconds(moment: &str) -> String {
    match moment.split_once('.') {
        Some((whole, _)) => format!("{whole}Z"),
        None => moment.to_owned(),
    }
}

fn shortened(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let short = cut(line, TEXT_CHARACTERS_MAX);
    if short.len() < text.len() {
        short + "…"
    } else {
        short
    }
}

fn cut(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(kind: Seen, items: serde_json::Value) -> Vec<String> {
        let items: Vec<Tree> = serde_json::from_value(items).unwrap();
        table(kind, &items).lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_route_is_shown_with_where_its_requests_go() {
        let routes = json!([{"name": "chat", "aliases": ["gpt-4", "x"],
            "targets": [{"name": "gpt", "provider": "openai", "model": "gpt-4.1"}],
            "traffic": {"weights": {"gpt": 100.0}, "fallback": ["gpt"]}}]);
        assert_eq!(
            shown(Seen::Routes, routes),
            [
                "NAME   ALIASES    TARGETS                TRAFFIC",
                "chat   gpt-4, x   gpt (openai/gpt-4.1)   gpt 100; fallback gpt",
            ]
        );
    }

    #[test]
    fn a_key_is_shown_with_the_beginnings_of_its_digests_and_their_ends() {
        let keys = json!([{"name": "web", "routes": ["*"], "disabled": true, "secrets": [
            {"sha256": "9f86d081884c7d65"}, {"sha256": "0123456789", "expiresAt": "2027-01-01T00:00:00Z"}]}]);
        assert_eq!(
            shown(Seen::Keys, keys)[1],
            "web    *               disabled   9f86d081, 01234567 until 2027-01-01T00:00:00Z"
        );
    }

    #[test]
    fn routers_tell_who_holds_and_what_they_could_not_take() {
        let routers = json!([
            {"id": "r1", "state": "live", "appliedRevision": 7, "lag": 0, "source": "store", "hold": null,
             "rejectedCount": 1, "version": "0.1.0", "adminAddress": "10.0.0.1:8081", "rejected": [
                {"key": "config/routes/a", "modRevision": 7, "code": "weights_sum", "message": "sum to 0", "servingRevision": 4}]},
            {"id": "r2", "state": "live", "appliedRevision": 5, "lag": 2, "source": "cache", "hold": "empty", "rejectedCount": 0},
        ]);
        assert_eq!(
            shown(Seen::Routers, routers),
            [
                "ID   STATE   APPLIED   LAG   SOURCE   HOLD    REJECTED   VERSION   ADMIN",
                "r1   live    7         0     store            1          0.1.0     10.0.0.1:8081",
                "r2   live    5         2     cache    empty   0",
                "",
                "ROUTER   REJECTED          REVISION   SERVES   CODE          MESSAGE",
                "r1       config/routes/a   7          4        weights_sum   sum to 0",
            ]
        );
    }

    #[test]
    fn an_audit_record_names_its_keys_and_the_beginning_of_its_reason() {
        let long = "x".repeat(100);
        let records = json!([
            {"at": "2026-11-21T17:23:49.391938025Z", "actor": {"name": "ada"}, "verb": "apply", "reason": long,
             "changes": [{"key": "config/routes/a"}, {"key": "config/keys/b"}]},
            {"at": "T", "actor": {"name": "ada"}, "verb": "put", "key": "config/routes/a", "reason": "two\nlines"},
        ]);
        let lines = shown(Seen::Audit, records);
        assert!(
            lines[1].contains("config/routes/a and 1 more")
                && lines[1].starts_with("2026-11-21T17:23:49Z ")
                && lines[1].ends_with("xx…"),
            "{lines:?}"
        );
        assert!(
            lines[2].ends_with("config/routes/a              two…"),
            "{lines:?}"
        );
    }
}
