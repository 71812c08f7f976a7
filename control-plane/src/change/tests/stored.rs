//! What lies in the store already: unreadable, faulty elsewhere, digests, expired secrets.

use serde_json::{Value as Json, json};
use serin_proto::{key::Kind, token::Role};

use crate::{
    change::{self, Precondition},
    read::{self, Part},
    stage::{Stage, actor, admin, asked, body, key, provider, route, route_of, told},
};

#[tokio::test]
async fn what_cannot_be_read_says_so_and_heals_by_being_written_or_deleted() {
    let stage = Stage::new().await.with_chat().await;
    let (plane, viewer) = (&stage.plane, actor(Role::Viewer));
    for (name, garbage) in [("x", &b"{garbage"[..]), ("y", br#"{"targets": 5}"#)] {
        let revision = stage
            .write_raw(&format!("config/routes/{name}"), Some(garbage))
            .await;
        let refused = read::document(plane, &viewer, &key(Kind::Route, name))
            .await
            .unwrap_err();
        assert_eq!(
            (refused.status(), refused.code()),
            (409, "unreadable_document")
        );
        assert_eq!(refused.current(), Some(revision), "its ETag is told");
        let traffic = body(&json!({"weights": {"a": 100}}));
        let exists = asked(Precondition::Exists);
        let moved = change::put_traffic(plane, &admin(), name, traffic, exists).await;
        assert_eq!(moved.unwrap_err().code(), "unreadable_document");
    }
    let part = Part {
        limit: 10,
        page_token: None,
    };
    let listed = read::documents(plane, &viewer, Kind::Route, &part)
        .await
        .unwrap();
    let names: Vec<&str> = listed
        .unreadable
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!((names, listed.items.len()), (vec!["x", "y"], 1));

    let spec = route(&["a"], Json::Null);
    let etag = |revision| Precondition::OneOf(vec![revision]);
    let revision = listed.unreadable[0].revision;
    let no_traffic = stage.try_put(Kind::Route, "x", &spec, etag(revision)).await;
    assert_eq!(
        told(&no_traffic.unwrap_err()),
        [("missing", "/traffic")],
        "there is no live one"
    );
    let whole = route(&["a"], json!({"weights": {"a": 100}}));
    let healed = stage
        .try_put(Kind::Route, "x", &whole, etag(revision))
        .await
        .unwrap();
    assert_eq!((healed.created, healed.difference.before), (false, None));
    stage.try_delete(Kind::Route, "y").await.unwrap();
    let listed = read::documents(plane, &viewer, Kind::Route, &part)
        .await
        .unwrap();
    assert_eq!((listed.unreadable.len(), listed.items.len()), (0, 2));
}

#[tokio::test]
async fn a_fault_elsewhere_refuses_no_change() {
    let stage = Stage::new().await.with_chat().await;
    stage
        .write_raw("config/routes/broken", Some(b"{garbage"))
        .await;
    let orphan = route_of("gone", &["a"], json!({"weights": {"a": 100}})).to_string();
    stage
        .write_raw("config/routes/orphan", Some(orphan.as_bytes()))
        .await;
    stage.put(Kind::Provider, "q", &provider()).await;
    stage.try_delete(Kind::Provider, "q").await.unwrap();
}

#[tokio::test]
async fn digests_are_whole_for_who_may_write_them_and_cut_for_all_others() {
    let stage = Stage::new().await;
    let digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let document = json!({"secrets": [{"sha256": digest}], "routes": ["*"]});
    let put = stage.put(Kind::Key, "web", &document).await;
    let web = key(Kind::Key, "web");
    let shown = |json: &Json| json["secrets"][0]["sha256"].as_str().unwrap().to_owned();
    assert_eq!(shown(&put.document.unwrap()), digest);
    assert_eq!(shown(&put.difference.after.unwrap()), "9f86d081");
    for role in Role::ALL {
        let read = read::document(&stage.plane, &actor(role), &web)
            .await
            .unwrap();
        let expected = if role == Role::Admin {
            digest
        } else {
            "9f86d081"
        };
        assert_eq!(shown(&read.json), expected, "{role}");
    }
    let (_, record) = stage.audit().await.pop().unwrap();
    assert_eq!(shown(&record["after"]), "9f86d081");
    assert!(
        !record.to_string().contains(&digest[8..]),
        "no record has the rest of it"
    );
}

#[tokio::test]
async fn a_secret_that_has_expired_does_not_count_as_live() {
    let stage = Stage::new().await;
    let secret =
        |digit: &str, expires: &str| json!({"sha256": digit.repeat(64), "expiresAt": expires});
    let past = "2020-01-01T00:00:00Z";
    let three = |first: Json| json!({"secrets": [first, secret("2", ""), secret("3", "2999-01-01T00:00:00Z")], "routes": ["*"]});
    let live = stage
        .try_put(Kind::Key, "k", &three(secret("1", "")), Precondition::None)
        .await;
    assert_eq!(told(&live.unwrap_err()), [("too_many_secrets", "/secrets")]);
    stage.put(Kind::Key, "k", &three(secret("1", past))).await;
}

#[tokio::test]
async fn what_is_larger_than_any_document_heals_too() {
    let stage = Stage::new().await.with_chat().await;
    let large = format!("{{\"name\": \"{}\"}}", "x".repeat(700_000));
    for name in ["x", "y"] {
        let at = format!("config/routes/{name}");
        stage.write_raw(&at, Some(large.as_bytes())).await;
    }
    let whole = route(&["a"], json!({"weights": {"a": 100}}));
    let healed = stage.put(Kind::Route, "x", &whole).await;
    let marker = json!({"unreadable": true, "bytes": large.len()});
    assert_eq!(healed.difference.before, Some(marker.clone()));
    stage.try_delete(Kind::Route, "y").await.unwrap();
    let (_, record) = stage.audit().await.pop().unwrap();
    assert_eq!(record["before"], marker);
}

#[tokio::test]
async fn a_route_whose_traffic_is_null_has_none() {
    let stage = Stage::new().await;
    let stored = br#"{"name": "n", "targets": [], "traffic": null}"#;
    stage.write_raw("config/routes/n", Some(stored)).await;
    let shown = read::traffic(&stage.plane, &actor(Role::Viewer), "n").await;
    assert_eq!(shown.unwrap().json, json!({}));
}

#[tokio::test]
async fn an_adoption_is_newer_than_the_one_before_though_that_clock_was_ahead() {
    let stage = Stage::new().await;
    let ahead = r#"{"ulid": "7ZZZZZZZZZ0000000000000000", "by": "x", "reason": "y"}"#;
    stage
        .write_raw("config/adopted", Some(ahead.as_bytes()))
        .await;
    let reason = body(&json!({"reason": "restored"}));
    let asked = asked(Precondition::None);
    let adopted = change::adopt(&stage.plane, &admin(), reason, asked).await;
    assert_eq!(adopted.unwrap().ulid, "7ZZZZZZZZZ0000000000000001");
}
