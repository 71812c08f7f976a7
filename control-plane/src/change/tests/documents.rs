//! One document written, refused, deleted.

use serde_json::{Value as Json, json};
use serin_proto::{key::Kind, token::Role, unit::Revision};
use serin_store::Scope;

use crate::{
    change::{self, Asked, Precondition, Refusal},
    read::{self, Part},
    stage::{Stage, actor, admin, asked, body, key, parsed, provider, route, told},
};

#[tokio::test]
async fn a_document_is_created_then_replaced_by_who_knows_it_and_the_audit_tells_both() {
    let stage = Stage::new().await.with_chat().await;
    let first = stage.stored("config/routes/chat").await.unwrap();
    let wider = route(&["a", "b", "c"], Json::Null);
    let etag = Precondition::OneOf(vec![first.mod_revision]);
    let changed = stage
        .try_put(Kind::Route, "chat", &wider, etag)
        .await
        .unwrap();
    assert!(!changed.created);

    let entry = stage.stored("config/routes/chat").await.unwrap();
    assert_eq!(
        entry.mod_revision, changed.revision,
        "the answer's revision is the ETag"
    );
    assert_eq!(
        Some(parsed(&entry.value)),
        changed.document,
        "the answer is what is stored"
    );
    let (revision, record) = stage.audit().await.pop().unwrap();
    assert_eq!(
        revision, changed.revision,
        "the record is of the same transaction"
    );
    assert_eq!(record["id"], json!(changed.audit));
    let expected = json!({
        "id": record["id"], "at": record["at"],
        "actor": {"name": "the-admin", "role": "admin", "via": "rest"},
        "sourceIp": "192.0.2.1", "requestId": "req-1", "verb": "put", "reason": "because",
        "key": "config/routes/chat", "before": parsed(&first.value), "after": changed.document,
    });
    assert_eq!(record, expected);
    assert!(
        record["at"].as_str().unwrap().ends_with('Z'),
        "{}",
        record["at"]
    );
    let verbs: Vec<Json> = stage
        .audit()
        .await
        .into_iter()
        .map(|(_, r)| r["before"].clone())
        .collect();
    assert_eq!(
        &verbs[..2],
        [Json::Null, Json::Null],
        "nothing was before a creation"
    );
}

#[tokio::test]
async fn what_is_there_is_not_overwritten_by_who_does_not_know_it() {
    let stage = Stage::new().await.with_chat().await;
    let now = stage
        .stored("config/providers/p")
        .await
        .unwrap()
        .mod_revision;
    let before = stage.memory.revision();
    let old = Precondition::OneOf(vec![Revision(now.0 - 1)]);
    // Precondition, the answer.
    let table = [
        (Precondition::None, 428, "precondition_required"),
        (old, 412, "stale"),
        (Precondition::Absent, 412, "stale"),
    ];
    for (precondition, status, code) in table {
        let shown = format!("{precondition:?}");
        let put = stage
            .try_put(Kind::Provider, "p", &provider(), precondition)
            .await;
        let refused = put.unwrap_err();
        assert_eq!(
            (refused.status(), refused.code()),
            (status, code),
            "{shown}"
        );
        assert_eq!(refused.current(), Some(now), "{shown}");
    }
    let gone = stage
        .try_put(Kind::Provider, "no", &provider(), Precondition::Exists)
        .await;
    assert_eq!(gone.unwrap_err().code(), "stale");
    assert_eq!(stage.memory.revision(), before, "nothing was written");
}

#[tokio::test]
async fn every_fault_is_told_with_its_place_and_nothing_is_written() {
    let stage = Stage::new().await.with_chat().await;
    let before = stage.memory.revision();
    let weights = |w: Json| route(&["a", "b"], json!({"weights": w}));
    let digest = "9f86d081";
    let secrets = |secret: Json| json!({"secrets": [secret], "routes": ["*"]});
    let metadata = json!({"dialect": "openai", "baseUrl": "http://169.254.169.254/v1"});
    let mut two = weights(json!({"a": 100}));
    two["targets"][0]["provider"] = json!("nobody");
    two["targets"][1]["provider"] = json!("noone");
    #[rustfmt::skip]
    let table = [
        (Kind::Route,    weights(json!({"a": 99})),         422, vec![("weights_sum", "/traffic/weights")]),
        (Kind::Route,    weights(json!({"a": 50, "x": 50})), 422, vec![("unknown_target", "/traffic/weights/x")]),
        (Kind::Route,    two,                               422, vec![("unknown_provider", "/targets/0/provider"), ("unknown_provider", "/targets/1/provider")]),
        (Kind::Route,    route(&["a"], Json::Null),         422, vec![("missing", "/traffic")]),
        (Kind::Route,    json!({"nmae": "x", "traffic": {"weights": {"a": "1"}}}), 400, vec![("unknown_field", "/nmae"), ("wrong_type", "/traffic/weights/a")]),
        (Kind::Route,    json!({"name": "other"}),          422, vec![("name_differs", "/name")]),
        (Kind::Key,      secrets(json!({"sha256": digest})), 422, vec![("bad_secret", "/secrets/0/sha256")]),
        (Kind::Key,      secrets(json!({"env": "SECRET"})), 422, vec![("bad_secret", "/secrets/0/env")]),
        (Kind::Key,      json!({"tier": "none"}),           422, vec![("unknown_tier", "/tier")]),
        (Kind::Provider, metadata,                          422, vec![("forbidden_address", "/baseUrl")]),
    ];
    for (kind, document, status, expected) in table {
        let put = stage
            .try_put(kind, "new", &document, Precondition::None)
            .await;
        let refused = put.unwrap_err();
        let mut faults = told(&refused);
        faults.sort_unstable();
        assert_eq!(
            (refused.status(), faults),
            (status, expected),
            "{document}: {refused}"
        );
    }
    let bad_name = stage
        .try_put(Kind::Provider, "Bad_Name", &provider(), Precondition::None)
        .await;
    assert_eq!(told(&bad_name.unwrap_err()), [("bad_name", "/name")]);
    assert_eq!(stage.memory.revision(), before, "nothing was written");
}

#[tokio::test]
async fn a_document_over_256_kib_is_refused_as_too_large() {
    let stage = Stage::new().await;
    let mut large = provider();
    large["headers"] = json!({"x": "y".repeat(256 * 1024)});
    let put = stage
        .try_put(Kind::Provider, "p", &large, Precondition::None)
        .await;
    let refused = put.unwrap_err();
    assert_eq!(
        (refused.status(), refused.code()),
        (413, "document_too_large")
    );
}

#[tokio::test]
async fn each_role_does_what_it_may_and_nothing_else() {
    let stage = Stage::new().await.with_chat().await;
    let plane = &stage.plane;
    let before = stage.memory.revision();
    let code = |done: Result<(), Refusal>| done.map_or_else(|no| no.code(), |()| "done");
    for role in Role::ALL {
        let who = actor(role);
        // Refused for what they are, or for what they ask; nothing is to be written here.
        let none = Asked::default;
        let documents = || body(&json!({}));
        let put = change::put(
            plane,
            &who,
            key(Kind::Provider, "p"),
            body(&provider()),
            none(),
        )
        .await;
        let delete = change::delete(plane, &who, key(Kind::Provider, "p"), none()).await;
        let apply = change::apply(plane, &who, documents(), false, none()).await;
        let token = change::put_token(plane, &who, "root", body(&json!({})), none()).await;
        let revoke = change::delete_token(plane, &who, "root", none()).await;
        let adopt = change::adopt(plane, &who, body(&json!({})), none()).await;
        let weights = body(&json!({"weights": {"a": 100}}));
        let traffic = change::put_traffic(plane, &who, "chat", weights, none()).await;
        let tokens = read::tokens(
            plane,
            &who,
            &Part {
                limit: 1,
                page_token: None,
            },
        )
        .await;
        let audit = read::audit(
            plane,
            &who,
            &read::Filter::default(),
            &Part {
                limit: 1,
                page_token: None,
            },
        )
        .await;
        let told = [
            code(put.map(drop)),
            code(delete.map(drop)),
            code(apply.map(drop)),
            code(token.map(drop)),
            code(revoke.map(drop)),
            code(adopt.map(drop)),
            code(tokens.map(drop)),
            code(traffic.map(drop)),
            code(audit.map(drop)),
        ];
        let (no, pre, bad) = ("forbidden", "precondition_required", "invalid_document");
        let expected = match role {
            Role::Viewer => [no, no, no, no, no, no, no, no, "done"],
            Role::Operator => [no, no, no, no, no, no, no, pre, "done"],
            Role::Admin => [pre, pre, "done", bad, pre, bad, "done", pre, "done"],
        };
        assert_eq!(told, expected, "{role}");
    }
    assert_eq!(stage.memory.revision(), before, "nothing was written");
}

#[tokio::test]
async fn a_dry_run_tells_all_and_writes_nothing() {
    let stage = Stage::new().await.with_chat().await;
    let before = stage.memory.revision();
    let dry = |precondition| Asked {
        dry_run: true,
        ..asked(precondition)
    };
    let wider = route(&["a", "b", "c"], Json::Null);
    let chat = key(Kind::Route, "chat");
    let exists = Precondition::Exists;
    let admin = admin();
    let put = change::put(
        &stage.plane,
        &admin,
        chat.clone(),
        body(&wider),
        dry(exists.clone()),
    );
    let put = put.await.unwrap();
    assert_eq!(
        put.difference
            .before
            .as_ref()
            .map(|b| b["targets"].as_array().unwrap().len()),
        Some(2)
    );
    assert_eq!(
        put.difference
            .after
            .as_ref()
            .map(|a| a["targets"].as_array().unwrap().len()),
        Some(3)
    );
    assert_eq!(put.audit, None);
    let delete = change::delete(&stage.plane, &admin, chat, dry(exists.clone()))
        .await
        .unwrap();
    assert_eq!((delete.difference.after, delete.audit), (None, None));
    let used = change::delete(&stage.plane, &admin, key(Kind::Provider, "p"), dry(exists)).await;
    assert_eq!(used.unwrap_err().code(), "in_use");
    assert_eq!(stage.memory.revision(), before, "nothing was written");
}

#[tokio::test]
async fn what_others_need_stays() {
    let stage = Stage::new().await.with_chat().await;
    stage.put(Kind::Tier, "gold", &json!({})).await;
    stage
        .put(Kind::Key, "k", &json!({"tier": "gold", "routes": ["*"]}))
        .await;
    for (kind, name, user) in [(Kind::Provider, "p", "chat"), (Kind::Tier, "gold", "k")] {
        let refused = stage.try_delete(kind, name).await.unwrap_err();
        assert_eq!(
            (refused.status(), refused.code()),
            (409, "in_use"),
            "{refused}"
        );
        assert!(refused.faults()[0].message.contains(user), "{refused}");
    }
    for (kind, name) in [
        (Kind::Route, "chat"),
        (Kind::Key, "k"),
        (Kind::Provider, "p"),
        (Kind::Tier, "gold"),
    ] {
        stage.try_delete(kind, name).await.unwrap();
    }
    assert!(stage.all(Scope::Documents).await.is_empty());
    let (_, record) = stage.audit().await.pop().unwrap();
    assert_eq!(
        (&record["verb"], &record["after"]),
        (&json!("delete"), &Json::Null)
    );
    assert_eq!(record["before"]["name"], "gold");
}
