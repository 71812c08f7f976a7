//! Tokens made, used, revoked.

use std::net::IpAddr;

use serde_json::{Value as Json, json};
use serin_proto::token::Role;
use serin_store::MemoryStore;

use crate::{
    auth::{Denied, Via},
    change::{self, Changed, Precondition, Refusal},
    read::{self, Part},
    secret::Digest,
    stage::{ADMIN_SECRET, Stage, admin, asked, body, told},
};

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

async fn put(stage: &Stage, name: &str, token: Json) -> Result<Changed, Refusal> {
    let asked = asked(Precondition::None);
    change::put_token(&stage.plane, &admin(), name, body(&token), asked).await
}

fn token(role: &str, secret: &str, expires_at: &str) -> Json {
    let sha256 = Digest::of(secret.as_bytes()).to_string();
    json!({"role": role, "sha256": sha256, "expiresAt": expires_at})
}

fn who(stage: &Stage, secret: &str) -> Result<(String, Role), Denied> {
    let header = format!("Bearer {secret}");
    let found = stage
        .plane
        .identify(Some(header.as_bytes()), HERE, Via::Rest);
    found.map(|actor| (actor.name, actor.role))
}

#[tokio::test]
async fn a_token_holds_from_the_answer_on_and_its_end_too() {
    let stage = Stage::new().await;
    assert_eq!(who(&stage, "s1"), Err(Denied::Unknown));
    let made = put(&stage, "ci", token("operator", "s1", ""))
        .await
        .unwrap();
    assert_eq!(who(&stage, "s1"), Ok(("ci".to_owned(), Role::Operator)));
    assert_eq!(made.document.unwrap()["name"], "ci");

    let replace = asked(Precondition::OneOf(vec![made.revision]));
    let other = body(&token("viewer", "s2", ""));
    change::put_token(&stage.plane, &admin(), "ci", other, replace)
        .await
        .unwrap();
    assert_eq!(
        who(&stage, "s1"),
        Err(Denied::Unknown),
        "the old secret ended"
    );
    assert_eq!(who(&stage, "s2"), Ok(("ci".to_owned(), Role::Viewer)));

    let exists = asked(Precondition::Exists);
    change::delete_token(&stage.plane, &admin(), "ci", exists)
        .await
        .unwrap();
    assert_eq!(who(&stage, "s2"), Err(Denied::Unknown));

    let audit = stage.audit().await;
    let verbs: Vec<(&Json, &Json)> = audit.iter().map(|(_, r)| (&r["verb"], &r["key"])).collect();
    let key = json!("tokens/ci");
    assert_eq!(
        verbs,
        [
            (&json!("put"), &key),
            (&json!("put"), &key),
            (&json!("delete"), &key)
        ]
    );
    let digest = Digest::of(b"s1").to_string();
    assert_eq!(audit[0].1["after"]["sha256"], json!(digest[..8]));
}

#[tokio::test]
async fn before_the_tokens_of_the_store_were_read_nobody_is_said_to_be_wrong() {
    let memory = MemoryStore::new();
    let stage = Stage::unheard(&memory);
    assert!(!stage.plane.is_ready());
    assert_eq!(
        who(&stage, ADMIN_SECRET),
        Ok(("root".to_owned(), Role::Admin))
    );
    for _ in 0..100 {
        assert_eq!(who(&stage, "s1"), Err(Denied::NotYet));
    }
    let refusal = Refusal::from(Denied::NotYet);
    assert_eq!(
        (refusal.status(), refusal.code()),
        (503, "store_unavailable")
    );
}

#[tokio::test]
async fn who_is_not_known_stays_out() {
    let stage = Stage::new().await;
    put(&stage, "old", token("admin", "old", "2020-01-01T00:00:00Z"))
        .await
        .unwrap();
    put(&stage, "new", token("admin", "new", "2999-01-01T00:00:00Z"))
        .await
        .unwrap();
    stage.write_raw("tokens/odd", Some(b"{garbage")).await;
    assert_eq!(who(&stage, "new"), Ok(("new".to_owned(), Role::Admin)));
    assert_eq!(who(&stage, "old"), Err(Denied::Expired));
    assert_eq!(
        who(&stage, ADMIN_SECRET),
        Ok(("root".to_owned(), Role::Admin))
    );
    // A digest is no secret.
    assert_eq!(
        who(&stage, &Digest::of(b"new").to_string()),
        Err(Denied::Unknown)
    );
    let malformed = [
        &b"Bearer "[..],
        b"new",
        b"Basic new",
        b"Bearer a b",
        b"Bearer \xff",
    ];
    for header in malformed {
        let found = stage.plane.identify(Some(header), HERE, Via::Rest);
        assert_eq!(found, Err(Denied::Malformed), "{header:?}");
    }
    let long = format!("Bearer {}", "x".repeat(257));
    let found = stage.plane.identify(Some(long.as_bytes()), HERE, Via::Rest);
    assert_eq!(found, Err(Denied::Malformed));
    assert_eq!(
        stage.plane.identify(None, HERE, Via::Rest),
        Err(Denied::Missing)
    );
}

#[tokio::test]
async fn an_address_that_guesses_is_not_heard_for_a_while_but_a_right_token_always_is() {
    let stage = Stage::new().await;
    let guesses = (0..30).map(|i| who(&stage, &format!("guess-{i}")));
    let unheard = guesses
        .filter(|told| matches!(told, Err(Denied::TooMany { .. })))
        .count();
    assert!(
        (8..=10).contains(&unheard),
        "{unheard} of 30 guesses were not heard"
    );
    let malformed = stage.plane.identify(Some(b"none"), HERE, Via::Rest);
    assert!(matches!(malformed, Err(Denied::TooMany { .. })));
    let root = Ok(("root".to_owned(), Role::Admin));
    assert_eq!(who(&stage, ADMIN_SECRET), root);
    let again = stage
        .plane
        .identify_again(Some(b"Bearer guess-0"), HERE, Via::Rest);
    assert_eq!(again, Err(Denied::Unknown), "a stream that is over says so");
    let header = format!("bearer {ADMIN_SECRET}");
    let elsewhere = stage
        .plane
        .identify(Some(header.as_bytes()), [192, 0, 2, 9].into(), Via::Grpc);
    assert!(elsewhere.is_ok());
}

#[tokio::test]
async fn a_token_that_cannot_be_meant_is_refused() {
    let stage = Stage::new().await;
    let cut = json!({"role": "viewer", "sha256": "9f86d081"});
    #[rustfmt::skip]
    let table = [
        ("a",    json!({"role": "root"}),                     422, vec![("missing", "/sha256"), ("unknown_word", "/role")]),
        ("a",    cut,                                         422, vec![("bad_secret", "/sha256")]),
        ("a",    token("viewer", "s", "tomorrow"),            422, vec![("bad_time", "/expiresAt")]),
        ("a",    json!({"rolle": "viewer"}),                  400, vec![("unknown_field", "/rolle")]),
        ("A_b",  token("viewer", "s", ""),                    422, vec![("bad_name", "/name")]),
        ("root", token("viewer", "s", ""),                    422, vec![("name_taken", "/name")]),
    ];
    for (name, token, status, expected) in table {
        let refused = put(&stage, name, token.clone()).await.unwrap_err();
        let mut faults = told(&refused);
        faults.sort_unstable();
        assert_eq!(
            (refused.status(), faults),
            (status, expected),
            "{name} {token}: {refused}"
        );
    }
}

#[tokio::test]
async fn tokens_are_listed_with_their_names_and_never_with_a_secret() {
    let stage = Stage::new().await;
    put(&stage, "b", token("viewer", "sb", "")).await.unwrap();
    put(&stage, "a", token("admin", "sa", "2999-01-01T00:00:00Z"))
        .await
        .unwrap();
    let part = Part {
        limit: 1,
        page_token: None,
    };
    let first = read::tokens(&stage.plane, &admin(), &part).await.unwrap();
    let next = Part {
        limit: 1,
        page_token: first.next_page_token.clone(),
    };
    let second = read::tokens(&stage.plane, &admin(), &next).await.unwrap();
    assert_eq!(first.items[0].json["name"], "a");
    assert_eq!(second.items[0].json["name"], "b");
    assert_eq!(second.next_page_token, None);
    let one = read::token(&stage.plane, &admin(), "a").await.unwrap();
    assert_eq!(one.json, first.items[0].json);
    assert_eq!(
        read::token(&stage.plane, &admin(), "c")
            .await
            .unwrap_err()
            .status(),
        404
    );
}
