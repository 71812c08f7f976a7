//! Who gets in, and that nobody learns why not.
//!
//! Tables of headers as callers and guessers send them, at one fixed moment. The secrets are made
//! here and hashed as documents hold them.

use super::*;

const NOW_MS: u64 = 1_800_000_000_000; // 2027-01-15T08:00:00Z

fn hex(secret: &str) -> String {
    digest(&SHA256, secret.as_bytes())
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn secret(text: &str, expires_at: &str) -> v1::Secret {
    v1::Secret {
        sha256: hex(text),
        expires_at: expires_at.into(),
        ..Default::default()
    }
}

fn key(name: &str, secrets: &[v1::Secret], routes: &[&str]) -> v1::Key {
    v1::Key {
        name: name.into(),
        secrets: secrets.to_vec(),
        routes: routes.iter().map(ToString::to_string).collect(),
        ..Default::default()
    }
}

fn keyring() -> Keyring {
    let web = [
        secret("sk-old", "2027-01-15T08:00:01Z"),
        secret("sk-new", ""),
    ];
    let past = [
        secret("sk-past", "2027-01-15T08:00:00Z"),
        secret("sk-unclear", "next year"),
        v1::Secret {
            sha256: "abc".into(),
            ..Default::default()
        },
    ];
    let off = key("off", &[secret("sk-off", "")], &["*"]);
    let keys = [
        key("web", &web, &["chat", "batch"]),
        key("past", &past, &["*"]),
        v1::Key {
            disabled: true,
            ..off
        },
        key(
            "offset",
            &[secret("sk-offset", "2027-01-15T10:00:00.001+02:00")],
            &["*", "x"],
        ),
        key("none", &[secret("sk-none", "")], &[]),
    ];
    Keyring::build(keys.iter())
}

fn find(authorization: &str) -> Result<String, Denied> {
    let found = keyring().find(Some(authorization.as_bytes()), NOW_MS)?;
    Ok(found.name.to_string())
}

#[test]
fn only_a_live_secret_finds_its_caller() {
    let long = format!("Bearer {}", "x".repeat(256));
    let too_long = format!("Bearer {}", "x".repeat(257));
    let stored = format!("Bearer {}", hex("sk-new"));
    let table = [
        ("Bearer sk-old", Ok("web")),
        ("Bearer sk-new", Ok("web")),
        ("bearer sk-new", Ok("web")),
        ("BEARER  sk-new ", Ok("web")),
        ("Bearer sk-offset", Ok("offset")),
        ("Bearer sk-past", Err(Denied::Expired)),
        ("Bearer sk-unclear", Err(Denied::Expired)),
        ("Bearer sk-off", Err(Denied::Disabled)),
        ("Bearer sk-ne", Err(Denied::Unknown)),
        ("Bearer sk-newx", Err(Denied::Unknown)),
        ("Bearer SK-NEW", Err(Denied::Unknown)),
        (&stored, Err(Denied::Unknown)),
        (&long, Err(Denied::Unknown)),
        (&too_long, Err(Denied::Malformed)),
        ("Bearer", Err(Denied::Malformed)),
        ("Bearer ", Err(Denied::Malformed)),
        ("Bearersk-new", Err(Denied::Malformed)),
        ("Basic sk-new", Err(Denied::Malformed)),
        ("sk-new", Err(Denied::Malformed)),
        ("Bearer sk-new, sk-old", Err(Denied::Malformed)),
        ("Bearer sk-n\u{fc}w", Err(Denied::Malformed)),
        ("Bearer sk-\u{7f}", Err(Denied::Malformed)),
        ("", Err(Denied::Malformed)),
    ];
    for (authorization, expected) in table {
        assert_eq!(
            find(authorization),
            expected.map(str::to_owned),
            "{authorization:?}"
        );
    }
    assert_eq!(keyring().find(None, NOW_MS), Err(Denied::Missing));
    assert_eq!(
        keyring().find(Some(b"Bearer \xff"), NOW_MS),
        Err(Denied::Malformed)
    );
}

#[test]
fn a_secret_ends_at_its_millisecond() {
    let keyring = keyring();
    let at = |now_ms| keyring.find(Some(b"Bearer sk-old"), now_ms).is_ok();
    assert!(at(NOW_MS + 999));
    assert!(!at(NOW_MS + 1_000));
}

#[test]
fn every_denial_has_the_same_words() {
    let all = [
        Denied::Missing,
        Denied::Malformed,
        Denied::Unknown,
        Denied::Expired,
        Denied::Disabled,
    ];
    for denied in all {
        assert_eq!(denied.public_message(), Denied::Unknown.public_message());
    }
}

#[test]
fn a_caller_may_use_what_its_key_names_and_nothing_else() {
    let caller = |secret: &str| {
        let authorization = format!("Bearer {secret}");
        keyring()
            .find(Some(authorization.as_bytes()), NOW_MS)
            .expect("a live secret")
    };
    let web = caller("sk-new");
    assert!(web.may_use("chat") && web.may_use("batch"));
    assert!(!web.may_use("cha") && !web.may_use("chat2") && !web.may_use("*"));
    let offset = caller("sk-offset");
    assert!(offset.may_use("anything"));
    let none = caller("sk-none");
    assert!(!none.may_use("chat") && !none.may_use(""));
}
