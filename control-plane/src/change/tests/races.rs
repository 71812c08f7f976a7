//! Others write at the same time, and the view is behind: nothing wrong is ever written, and
//! nothing right is refused for it.

use std::sync::Arc;

use serde_json::{Value as Json, json};
use serin_proto::key::Kind;
use serin_store::{Key, MemoryStore, Op};

use crate::{
    change::{self, Precondition, Refusal},
    stage::{
        News, Stage, admin, asked, body, is_nothing_newer, key, parsed, provider, route, route_of,
        told,
    },
};

fn aliased(alias: &str) -> Json {
    let mut route = route(&["a"], json!({"weights": {"a": 100}}));
    route["aliases"] = json!([alias]);
    route
}

fn of(provider: &str) -> Json {
    route_of(provider, &["a"], json!({"weights": {"a": 100}}))
}

/// Two replicas of one store, the first with news held back until it asks.
async fn behind() -> (Stage, Stage) {
    let one = Stage::new().await.with_chat().await;
    let other = Stage::beside(&one.memory).await;
    one.staged.news(News::WhenAsked);
    (one, other)
}

#[tokio::test]
async fn a_view_that_is_behind_writes_nothing_that_clashes() {
    let (late, other) = behind().await;
    other.put(Kind::Route, "theirs", &aliased("gpt-4")).await;
    let put = late
        .try_put(Kind::Route, "mine", &aliased("gpt-4"), Precondition::None)
        .await;
    assert_eq!(told(&put.unwrap_err()), [("alias_taken", "/aliases/0")]);
    assert!(late.stored("config/routes/mine").await.is_none());
    let first = late.staged.sent();
    let guarded = first.last().unwrap().compares.iter().any(is_nothing_newer);
    assert!(guarded, "it was sent, and its guard refused it: {first:?}");
}

#[tokio::test]
async fn a_secret_is_one_keys_alone_whoever_is_behind() {
    let (late, other) = behind().await;
    let document = json!({"secrets": [{"sha256": "a".repeat(64)}], "routes": ["*"]});
    other.put(Kind::Key, "theirs", &document).await;
    let put = late
        .try_put(Kind::Key, "mine", &document, Precondition::None)
        .await;
    assert_eq!(
        told(&put.unwrap_err()),
        [("duplicate_secret", "/secrets/0/sha256")]
    );
}

#[tokio::test]
async fn what_a_document_names_is_there_when_it_is_written() {
    let (late, other) = behind().await;
    other.put(Kind::Provider, "q", &provider()).await;
    late.plane
        .view
        .caught_up(late.memory.revision())
        .await
        .unwrap();
    other.try_delete(Kind::Provider, "q").await.unwrap();
    let put = late
        .try_put(Kind::Route, "mine", &of("q"), Precondition::None)
        .await;
    assert_eq!(
        told(&put.unwrap_err()),
        [("unknown_provider", "/targets/0/provider")]
    );
}

#[tokio::test]
async fn what_others_began_to_need_is_not_deleted() {
    let (late, other) = behind().await;
    other.put(Kind::Provider, "q", &provider()).await;
    other.put(Kind::Tier, "gold", &json!({})).await;
    late.plane
        .view
        .caught_up(late.memory.revision())
        .await
        .unwrap();
    other.put(Kind::Route, "theirs", &of("q")).await;
    other
        .put(Kind::Key, "k", &json!({"tier": "gold", "routes": ["*"]}))
        .await;
    for (kind, name) in [(Kind::Provider, "q"), (Kind::Tier, "gold")] {
        let refused = late.try_delete(kind, name).await.unwrap_err();
        assert_eq!(refused.code(), "in_use", "{name}: {refused}");
    }
}

#[tokio::test]
async fn a_view_that_is_behind_refuses_nothing_that_is_right() {
    let (late, other) = behind().await;
    other.put(Kind::Provider, "q", &provider()).await;
    late.put(Kind::Route, "mine", &of("q")).await;
    // An apply reads all of it at one revision that is no older than the call.
    other.put(Kind::Provider, "r", &provider()).await;
    let mut route = of("r");
    route["name"] = json!("applied");
    let file = body(&json!({"routes": [route]}));
    change::apply(
        &late.plane,
        &admin(),
        file,
        false,
        asked(Precondition::None),
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn a_file_is_judged_again_when_what_it_rests_on_moves_between_reading_and_writing() {
    let named = |mut document: Json, name: &str| {
        document["name"] = json!(name);
        document
    };
    let secret = |name: &str| json!({"name": name, "secrets": [{"sha256": "a".repeat(64)}]});
    let theirs = named(aliased("gpt-4"), "theirs").to_string();
    // What is written in between, where, what the file then says, and the fault.
    #[rustfmt::skip]
    let table = [
        ("config/routes/theirs", Some(theirs), json!({"routes": [named(aliased("gpt-4"), "mine")]}), ("alias_taken", "/routes/0/aliases/0")),
        ("config/keys/theirs", Some(secret("theirs").to_string()), json!({"keys": [secret("mine")]}), ("duplicate_secret", "/keys/0/secrets/0/sha256")),
        ("config/providers/q", None, json!({"routes": [named(of("q"), "mine")]}), ("unknown_provider", "/routes/0/targets/0/provider")),
        ("config/tiers/gold", None, json!({"keys": [{"name": "mine", "tier": "gold"}]}), ("unknown_tier", "/keys/0/tier")),
    ];
    for (key, value, file, fault) in table {
        let stage = Stage::new().await.with_chat().await;
        stage.put(Kind::Provider, "q", &provider()).await;
        stage.put(Kind::Tier, "gold", &json!({})).await;
        let at = Key::new(key).unwrap();
        stage.staged.meddle(move |n| {
            let value = value.clone();
            let op = value.map_or(Op::Delete(at.clone()), |value| {
                Op::Put(at.clone(), value.into(), None)
            });
            (n == 0).then_some(op)
        });
        let blank = asked(Precondition::None);
        let applied = change::apply(&stage.plane, &admin(), body(&file), false, blank).await;
        assert_eq!(told(&applied.unwrap_err()), [fault], "{key}");
    }
}

#[tokio::test]
async fn live_traffic_that_moves_meanwhile_is_kept_as_it_moved() {
    let stage = Stage::new().await.with_chat().await;
    let mut moved = parsed(&stage.stored("config/routes/chat").await.unwrap().value);
    moved["traffic"] = json!({"weights": {"b": 100}});
    stage.staged.meddle(move |n| {
        let chat = Key::new("config/routes/chat").unwrap();
        (n == 0).then(|| Op::Put(chat, moved.to_string().into(), None))
    });
    let mut wider = route(&["a", "b", "c"], json!({"weights": {"a": 100}}));
    wider["name"] = json!("chat");
    let file = body(&json!({"routes": [wider]}));
    let blank = asked(Precondition::None);
    let applied = change::apply(&stage.plane, &admin(), file, false, blank)
        .await
        .unwrap();
    let stored = parsed(&stage.stored("config/routes/chat").await.unwrap().value);
    assert_eq!(stored["traffic"], json!({"weights": {"b": 100.0}}));
    assert_eq!(applied.traffic_kept.len(), 1);
    assert_eq!(stored["targets"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_view_that_never_catches_up_refuses_for_that_reason() {
    let (late, other) = behind().await;
    late.staged.news(News::Never);
    other.put(Kind::Provider, "q", &provider()).await;
    let put = late
        .try_put(Kind::Route, "mine", &of("q"), Precondition::None)
        .await;
    let refused = put.unwrap_err();
    assert_eq!(
        (refused.status(), refused.code()),
        (503, "store_unavailable"),
        "{refused}"
    );
}

#[tokio::test]
async fn who_rests_on_what_never_rests_is_told_after_five_tries() {
    let stage = Stage::new().await.with_chat().await;
    let other = route(&["a"], json!({"weights": {"a": 100}}));
    stage.staged.meddle(move |n| {
        let key = Key::new("config/routes/busy").unwrap();
        let mut busy = other.clone();
        busy["name"] = json!("busy");
        (n < 100).then(|| Op::Put(key, busy.to_string().into(), None))
    });
    let put = stage
        .try_put(Kind::Route, "mine", &aliased("x"), Precondition::None)
        .await;
    let refused = put.unwrap_err();
    assert_eq!((refused.status(), refused.code()), (409, "conflict"));
    assert_eq!(
        stage.audit().await.len(),
        2,
        "no record of what was not done"
    );
    // One fewer, and it is done.
    stage.staged.meddle(|_| None);
    let other = route(&["a"], json!({"weights": {"a": 100}}));
    stage.staged.meddle(move |n| {
        let key = Key::new("config/routes/busy").unwrap();
        let mut busy = other.clone();
        busy["name"] = json!("busy");
        (n < 4).then(|| Op::Put(key, busy.to_string().into(), None))
    });
    stage.put(Kind::Route, "mine", &aliased("x")).await;
}

#[tokio::test]
async fn who_is_overtaken_between_reading_and_writing_is_told_so() {
    let stage = Stage::new().await.with_chat().await;
    let now = stage.stored("config/providers/p").await.unwrap();
    let value = now.value.clone();
    stage.staged.meddle(move |n| {
        let key = Key::new("config/providers/p").unwrap();
        (n == 0).then(|| Op::Put(key, value.clone(), None))
    });
    let etag = Precondition::OneOf(vec![now.mod_revision]);
    let refused = stage
        .try_put(Kind::Provider, "p", &provider(), etag)
        .await
        .unwrap_err();
    assert_eq!(refused.status(), 412);
    let newer = stage
        .stored("config/providers/p")
        .await
        .unwrap()
        .mod_revision;
    assert_eq!(refused.current(), Some(newer));
}

/// Adds 1 to a number in the document as often as it can; gives how often it was told 412.
async fn fight(stage: &Stage, name: &'static str, rounds: usize) -> (usize, usize) {
    let (mut won, mut lost) = (0, 0);
    for _ in 0..rounds {
        let entry = stage.stored("config/providers/p").await.unwrap();
        let mut document = parsed(&entry.value);
        let count = document["headers"]["n"]
            .as_str()
            .unwrap_or("0")
            .parse::<u64>()
            .unwrap();
        document["headers"] = json!({"n": (count + 1).to_string(), "by": name});
        let etag = Precondition::OneOf(vec![entry.mod_revision]);
        let key = key(Kind::Provider, "p");
        match change::put(&stage.plane, &admin(), key, body(&document), asked(etag)).await {
            Ok(_) => won += 1,
            Err(Refusal::Stale { .. }) => lost += 1,
            Err(other) => panic!("{other}"),
        }
    }
    (won, lost)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_writers_that_fight_each_change_is_one_ones_and_no_update_is_lost() {
    let memory = MemoryStore::new();
    let one = Arc::new(Stage::beside(&memory).await);
    let two = Arc::new(Stage::beside(&memory).await);
    one.put(Kind::Provider, "p", &provider()).await;
    let writers: Vec<_> = [(&one, "a"), (&two, "b"), (&one, "c"), (&two, "d")]
        .into_iter()
        .map(|(stage, name)| {
            let stage = Arc::clone(stage);
            tokio::spawn(async move { fight(&stage, name, 50).await })
        })
        .collect();
    let (mut won, mut lost) = (0, 0);
    for writer in writers {
        let (w, l) = writer.await.unwrap();
        (won, lost) = (won + w, lost + l);
    }
    assert_eq!(won + lost, 200);
    assert!(lost > 0, "nobody met anybody: the test shows nothing");
    let document = parsed(&one.stored("config/providers/p").await.unwrap().value);
    assert_eq!(
        document["headers"]["n"],
        json!(won.to_string()),
        "each success is one step"
    );
    assert_eq!(one.audit().await.len(), won + 1, "one record each");
}
