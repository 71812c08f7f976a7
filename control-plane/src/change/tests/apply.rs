//! A file applied: all of it or nothing, once.

use std::{
    future::{Future as _, poll_fn},
    task::Poll,
};

use serde_json::{Value as Json, json};
use serin_proto::{token::Role, unit::Revision};
use serin_store::Scope;

use crate::{
    change::{self, Applied, Asked, IdempotencyKey, Precondition, Refusal},
    secret::Digest,
    stage::{
        Stage, actor, admin, asked, body, eventually, parsed, provider, route, route_of, told,
    },
};

fn named(mut document: Json, name: &str) -> Json {
    document["name"] = json!(name);
    document
}

fn file() -> Json {
    json!({
        "providers": [named(provider(), "p")],
        "tiers": [{"name": "gold"}],
        "routes": [named(route(&["a", "b"], json!({"weights": {"a": 100}})), "chat")],
        "keys": [{"name": "web", "tier": "gold", "routes": ["chat"], "secrets": [{"sha256": "a".repeat(64)}]}],
        "reason": "first",
    })
}

async fn apply(stage: &Stage, file: &Json, traffic: bool) -> Result<Applied, Refusal> {
    change::apply(
        &stage.plane,
        &admin(),
        body(file),
        traffic,
        asked(Precondition::None),
    )
    .await
}

fn keys(applied: &Applied) -> Vec<&str> {
    applied.changes.iter().map(|one| one.key.as_str()).collect()
}

#[tokio::test]
async fn a_file_is_applied_in_one_revision_with_one_record_and_then_changes_nothing() {
    let stage = Stage::new().await;
    let first = apply(&stage, &file(), false).await.unwrap();
    let all = [
        "config/providers/p",
        "config/tiers/gold",
        "config/routes/chat",
        "config/keys/web",
    ];
    assert_eq!(keys(&first), all);
    for entry in stage.all(Scope::Documents).await {
        assert_eq!(entry.mod_revision, first.revision, "{}", entry.key);
    }
    let audit = stage.audit().await;
    let [(revision, record)] = audit.as_slice() else {
        panic!("{audit:?}")
    };
    assert_eq!(*revision, first.revision);
    assert_eq!(
        (&record["verb"], &record["reason"]),
        (&json!("apply"), &json!("first"))
    );
    assert_eq!(record["changes"].as_array().unwrap().len(), 4);
    assert_eq!(
        record["changes"][3]["after"]["secrets"][0]["sha256"],
        "aaaaaaaa"
    );
    assert!(
        record.get("key").is_none() && record.get("before").is_none(),
        "{record}"
    );

    let again = apply(&stage, &file(), false).await.unwrap();
    assert_eq!((keys(&again), &again.audit_id), (vec![], &None));
    assert_eq!(
        stage.memory.revision(),
        first.revision,
        "nothing was written"
    );
}

#[tokio::test]
async fn live_traffic_is_left_alone_told_and_replaced_when_asked_for() {
    let stage = Stage::new().await;
    apply(&stage, &file(), false).await.unwrap();
    let live = json!({"weights": {"a": 70, "b": 30}});
    let etag = asked(Precondition::Exists);
    change::put_traffic(&stage.plane, &admin(), "chat", body(&live), etag)
        .await
        .unwrap();
    let mut wider = file();
    wider["routes"][0]["targets"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "c", "provider": "p", "model": "m"}));

    let kept = apply(&stage, &wider, false).await.unwrap();
    assert_eq!(keys(&kept), ["config/routes/chat"]);
    let traffic = |json: &Json| json["traffic"]["weights"].clone();
    let stored = stage.stored("config/routes/chat").await.unwrap();
    assert_eq!(
        traffic(&parsed(&stored.value)),
        json!({"a": 70.0, "b": 30.0}),
        "c has nothing"
    );
    let [told_kept] = kept.traffic_kept.as_slice() else {
        panic!("{kept:?}")
    };
    assert_eq!(told_kept.route, "chat");
    assert_eq!(told_kept.live, json!({"weights": {"a": 70.0, "b": 30.0}}));
    assert_eq!(told_kept.written, json!({"weights": {"a": 100.0}}));
    assert_eq!(
        apply(&stage, &wider, false)
            .await
            .unwrap()
            .traffic_kept
            .len(),
        1,
        "told each time"
    );

    let mut without_b = file();
    without_b["routes"][0]["targets"]
        .as_array_mut()
        .unwrap()
        .remove(1);
    let refused = apply(&stage, &without_b, false).await.unwrap_err();
    assert_eq!(told(&refused), [("target_in_use", "/routes/0/targets")]);
    assert!(
        refused.faults()[0].message.contains("--traffic"),
        "{refused}"
    );

    let replaced = apply(&stage, &without_b, true).await.unwrap();
    assert_eq!(replaced.traffic_kept, []);
    let stored = stage.stored("config/routes/chat").await.unwrap();
    assert_eq!(traffic(&parsed(&stored.value)), json!({"a": 100.0}));
}

#[tokio::test]
async fn one_fault_refuses_the_whole_file_and_all_are_told() {
    let stage = Stage::new().await;
    let mut bad = file();
    bad["providers"][0]["baseUrl"] = json!("http://169.254.169.254/");
    bad["routes"][0]["targets"][1]["provider"] = json!("nobody");
    bad["keys"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "web", "routes": []}));
    let twice = apply(&stage, &bad, false).await.unwrap_err();
    assert_eq!(told(&twice), [("duplicate_name", "/keys/1/name")]);
    bad["keys"].as_array_mut().unwrap().pop();
    let refused = apply(&stage, &bad, false).await.unwrap_err();
    let mut faults = told(&refused);
    faults.sort_unstable();
    let expected = [
        ("forbidden_address", "/providers/0/baseUrl"),
        ("unknown_provider", "/routes/0/targets/1/provider"),
    ];
    assert_eq!(
        (refused.status(), faults),
        (422, expected.to_vec()),
        "{refused}"
    );
    let form = json!({"routes": [{"name": "x", "nmae": 1}], "reason": 5});
    let malformed = apply(&stage, &form, false).await.unwrap_err();
    let mut faults = told(&malformed);
    faults.sort_unstable();
    assert_eq!(
        (malformed.status(), faults),
        (
            400,
            vec![
                ("unknown_field", "/routes/0/nmae"),
                ("wrong_type", "/reason")
            ]
        )
    );
    assert_eq!(stage.memory.revision(), Revision(1), "nothing was written");
}

#[tokio::test]
async fn more_than_one_transaction_takes_is_refused_and_says_to_send_parts() {
    let stage = Stage::new().await;
    let providers = |count: usize| -> Vec<Json> {
        (0..count)
            .map(|i| named(provider(), &format!("p{i}")))
            .collect()
    };
    let many = apply(&stage, &json!({"providers": providers(101)}), false)
        .await
        .unwrap_err();
    assert_eq!(
        (many.status(), many.code()),
        (413, "document_too_large"),
        "{many}"
    );
    assert!(many.to_string().contains("parts"), "{many}");
    apply(&stage, &json!({"providers": providers(100)}), false)
        .await
        .unwrap();

    // A hundred routes that name a hundred providers rest on too much for one transaction.
    let routes = |count: usize| -> Vec<Json> {
        let one = |i: usize| {
            let own = route_of(&format!("p{i}"), &["a"], json!({"weights": {"a": 100}}));
            named(own, &format!("r{i}"))
        };
        (0..count).map(one).collect()
    };
    let wide = apply(&stage, &json!({"routes": routes(100)}), false)
        .await
        .unwrap_err();
    assert_eq!(wide.status(), 413, "{wide}");
    apply(&stage, &json!({"routes": routes(50)}), false)
        .await
        .unwrap();

    let large: Vec<Json> = (0..8)
        .map(|i| {
            let mut one = named(provider(), &format!("large{i}"));
            one["headers"] = json!({"x": "y".repeat(200 * 1024)});
            one
        })
        .collect();
    let heavy = apply(&stage, &json!({"providers": large}), false)
        .await
        .unwrap_err();
    assert_eq!(heavy.status(), 413, "{heavy}");
}

fn again(header: &str, body: &Json) -> Asked {
    Asked {
        idempotency: Some(IdempotencyKey {
            sha256: Digest::of(header.as_bytes()),
            body_sha256: Digest::of(body.to_string().as_bytes()),
        }),
        ..asked(Precondition::None)
    }
}

#[tokio::test]
async fn a_request_sent_again_is_answered_again_and_done_once() {
    let stage = Stage::new().await;
    let send = |who: Role, key: &'static str, file: Json| {
        let plane = &stage.plane;
        async move {
            let asked = again(key, &file);
            change::apply(plane, &actor(who), body(&file), false, asked).await
        }
    };
    let first = send(Role::Admin, "k1", file()).await.unwrap();
    let second = send(Role::Admin, "k1", file()).await.unwrap();
    assert_eq!(second, first, "revision and all");
    assert_eq!(stage.audit().await.len(), 1);
    let other = json!({"providers": [named(provider(), "q")]});
    let reused = send(Role::Admin, "k1", other.clone()).await.unwrap_err();
    assert_eq!(
        (reused.status(), reused.code()),
        (422, "idempotency_key_reused")
    );
    send(Role::Admin, "k2", other).await.unwrap();
    assert_eq!(stage.audit().await.len(), 2);
    let entries = stage.all(Scope::Idempotency).await;
    assert_eq!(entries.len(), 2);
    let kept = parsed(&entries[0].value);
    assert!(
        kept["expiresAt"].is_string() && kept["status"] == 200,
        "{kept}"
    );

    // Adoptions are kept the same way.
    let reason = json!({"reason": "restored"});
    let admin = admin();
    let adopt = || change::adopt(&stage.plane, &admin, body(&reason), again("k3", &reason));
    let (one, two) = (adopt().await.unwrap(), adopt().await.unwrap());
    assert_eq!(one, two);
    let mark = parsed(&stage.stored("config/adopted").await.unwrap().value);
    assert_eq!(
        mark,
        json!({"ulid": one.ulid, "by": "the-admin", "reason": "restored"})
    );
    assert_eq!(stage.audit().await.len(), 3);
}

#[tokio::test]
async fn an_answer_whose_time_is_over_is_forgotten() {
    let stage = Stage::new().await;
    let admin = admin();
    let send = || {
        change::apply(
            &stage.plane,
            &admin,
            body(&file()),
            false,
            again("k", &file()),
        )
    };
    send().await.unwrap();
    let entry = stage.all(Scope::Idempotency).await.remove(0);
    let mut kept = parsed(&entry.value);
    kept["expiresAt"] = json!("2020-01-01T00:00:00Z");
    stage
        .write_raw(entry.key.as_str(), Some(kept.to_string().as_bytes()))
        .await;
    stage.write_raw("config/keys/web", None).await;
    let done = send().await.unwrap();
    assert_eq!(keys(&done), ["config/keys/web"], "done anew");
}

#[tokio::test]
async fn the_same_request_at_once_is_done_once() {
    let stage = Stage::new().await;
    let replica = Stage::beside(&stage.memory).await;
    let file = file();
    let mut running = Vec::new();
    for i in 0..20 {
        let plane = if i % 2 == 0 {
            &stage.plane
        } else {
            &replica.plane
        };
        let asked = again("k", &file);
        let (plane, body) = (plane.clone(), body(&file));
        running.push(tokio::spawn(async move {
            change::apply(&plane, &admin(), body, false, asked).await
        }));
    }
    let mut answers = Vec::new();
    for one in running {
        answers.push(one.await.unwrap().unwrap());
    }
    let written = answers.iter().filter(|one| one.audit_id.is_some()).count();
    assert!(answers.iter().all(|one| *one == answers[0]), "{answers:?}");
    assert_eq!((written, stage.audit().await.len()), (20, 1));
}

#[tokio::test]
async fn begun_work_is_finished_though_the_client_hung_up() {
    let stage = Stage::new().await;
    let file = file();
    let admin = admin();
    let send = || change::apply(&stage.plane, &admin, body(&file), false, again("k", &file));
    let mut hung_up = Box::pin(send());
    let once = poll_fn(|context| Poll::Ready(hung_up.as_mut().poll(context).is_pending()));
    assert!(once.await, "begun, and not done");
    drop(hung_up);
    eventually(|| stage.audit(), |audit| audit.len() == 1).await;
    assert_eq!(
        keys(&send().await.unwrap()).len(),
        4,
        "what the first would have answered"
    );
    assert_eq!(stage.audit().await.len(), 1);
}

#[tokio::test]
async fn a_file_heals_what_cannot_be_read() {
    let stage = Stage::new().await;
    apply(&stage, &file(), false).await.unwrap();
    stage
        .write_raw("config/routes/chat", Some(b"{garbage"))
        .await;
    let healed = apply(&stage, &file(), false).await.unwrap();
    assert_eq!(
        (keys(&healed), &healed.changes[0].before),
        (vec!["config/routes/chat"], &None)
    );
    assert_eq!(
        stage
            .stored("config/routes/chat")
            .await
            .map(|e| parsed(&e.value)["name"].clone()),
        Some(json!("chat"))
    );
}
