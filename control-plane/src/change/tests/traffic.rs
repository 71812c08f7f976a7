//! Live traffic: moved by one call, kept where only the spec is written.

use serde_json::{Value as Json, json};
use serin_proto::{key::Kind, token::Role};

use crate::{
    change::{self, Asked, Changed, Precondition, Refusal},
    read,
    stage::{Stage, actor, admin, asked, body, parsed, route, told},
};

async fn moved(stage: &Stage, traffic: Json, asked: Asked) -> Result<Changed, Refusal> {
    let operator = actor(Role::Operator);
    change::put_traffic(&stage.plane, &operator, "chat", body(&traffic), asked).await
}

#[tokio::test]
async fn traffic_is_replaced_as_a_whole_and_the_spec_stays() {
    let stage = Stage::new().await.with_chat().await;
    let before = stage.stored("config/routes/chat").await.unwrap();
    let all =
        json!({"weights": {"a": 90, "b": 10}, "canary": "b", "fallback": ["a"], "reason": "try b"});
    let etag = asked(Precondition::OneOf(vec![before.mod_revision]));
    let first = moved(&stage, all, etag).await.unwrap();
    let less = json!({"weights": {"b": 100}});
    let second = moved(&stage, less.clone(), asked(Precondition::Exists))
        .await
        .unwrap();
    let shown = second.document.unwrap();
    assert_eq!(
        shown,
        json!({"weights": {"b": 100.0}}),
        "what is left out is none"
    );

    let entry = stage.stored("config/routes/chat").await.unwrap();
    assert_eq!(entry.mod_revision, second.revision, "one value, one ETag");
    let (mut old, mut new) = (parsed(&before.value), parsed(&entry.value));
    assert_eq!(new["traffic"], shown);
    (old["traffic"], new["traffic"]) = (Json::Null, Json::Null);
    assert_eq!(old, new);
    let read = read::traffic(&stage.plane, &actor(Role::Viewer), "chat")
        .await
        .unwrap();
    assert_eq!((read.json, read.revision), (shown, second.revision));

    let audit = stage.audit().await;
    let [.., (at, one), (_, two)] = audit.as_slice() else {
        panic!("{audit:?}")
    };
    assert_eq!(*at, first.revision);
    assert_eq!(
        (&one["verb"], &one["reason"]),
        (&json!("traffic"), &json!("try b"))
    );
    assert_eq!(one["key"], "config/routes/chat");
    assert_eq!(one["before"], json!({"weights": {"a": 100.0}}));
    assert_eq!(one["after"], two["before"]);
    assert_eq!(two["reason"], "because", "said beside the body");
}

#[tokio::test]
async fn traffic_is_refused_with_pointers_into_its_body() {
    let stage = Stage::new().await.with_chat().await;
    let before = stage.memory.revision();
    let etag = || asked(Precondition::Exists);
    #[rustfmt::skip]
    let table = [
        (json!({"weights": {"a": 99}}),             422, vec![("weights_sum", "/weights")]),
        (json!({"weights": {"a": 50, "x": 50}}),    422, vec![("unknown_target", "/weights/x")]),
        (json!({}),                                 422, vec![("missing", "/weights")]),
        (json!({"weights": {"a": 100}, "canary": "x", "fallback": ["a", "a"]}), 422, vec![("duplicate_fallback", "/fallback/1"), ("unknown_target", "/canary")]),
        (json!({"weights": {"a": "100"}}),          400, vec![("wrong_type", "/weights/a")]),
        (json!({"wieghts": {"a": 100}}),            400, vec![("unknown_field", "/wieghts")]),
        (json!({"weights": {"a": 100}, "rollout": {"id": "mine"}}), 422, vec![("not_writable", "/rollout")]),
    ];
    for (traffic, status, expected) in table {
        let refused = moved(&stage, traffic.clone(), etag()).await.unwrap_err();
        let mut faults = told(&refused);
        faults.sort_unstable();
        assert_eq!(
            (refused.status(), faults),
            (status, expected),
            "{traffic}: {refused}"
        );
    }
    let good = json!({"weights": {"a": 100}});
    let blind = moved(&stage, good.clone(), asked(Precondition::None))
        .await
        .unwrap_err();
    assert_eq!(blind.status(), 428);
    let nowhere = change::put_traffic(&stage.plane, &admin(), "no", body(&good), etag()).await;
    assert_eq!(nowhere.unwrap_err().status(), 404);
    assert_eq!(stage.memory.revision(), before, "nothing was written");
}

#[tokio::test]
async fn a_spec_without_traffic_keeps_the_live_one() {
    let stage = Stage::new().await.with_chat().await;
    let live = json!({"weights": {"a": 90, "b": 10}, "fallback": ["b"]});
    moved(&stage, live, asked(Precondition::Exists))
        .await
        .unwrap();
    let live = stage
        .put(Kind::Route, "chat", &route(&["a", "b", "new"], Json::Null))
        .await
        .document;
    let live = live.unwrap()["traffic"].clone();
    assert_eq!(
        live,
        json!({"weights": {"a": 90.0, "b": 10.0}, "fallback": ["b"]})
    );

    let without_b = route(&["a", "new"], Json::Null);
    let refused = stage
        .try_put(Kind::Route, "chat", &without_b, Precondition::Exists)
        .await;
    assert_eq!(told(&refused.unwrap_err()), [("target_in_use", "/targets")]);
    let with = route(&["a", "new"], json!({"weights": {"a": 99, "new": 1}}));
    let put = stage.put(Kind::Route, "chat", &with).await;
    assert_eq!(
        put.document.unwrap()["traffic"],
        json!({"weights": {"a": 99.0, "new": 1.0}})
    );
}

#[tokio::test]
async fn what_belongs_to_a_rollout_stays() {
    let stage = Stage::new().await.with_chat().await;
    let mut running = parsed(&stage.stored("config/routes/chat").await.unwrap().value);
    let rollout = json!({"id": "r1", "salt": "s"});
    running["traffic"]["rollout"] = rollout.clone();
    stage
        .write_raw("config/routes/chat", Some(running.to_string().as_bytes()))
        .await;
    let traffic = json!({"weights": {"b": 100}});
    moved(&stage, traffic.clone(), asked(Precondition::Exists))
        .await
        .unwrap();
    stage
        .put(Kind::Route, "chat", &route(&["a", "b"], traffic))
        .await;
    let stored = parsed(&stage.stored("config/routes/chat").await.unwrap().value);
    assert_eq!(stored["traffic"]["rollout"], rollout);
}
