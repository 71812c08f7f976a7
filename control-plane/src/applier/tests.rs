//! What `serin up` does with its file and its first token.

use serde_json::json;
use serin_store::MemoryStore;

use super::*;
use crate::stage::{Stage, parsed};

fn settings() -> Settings {
    let any = ([127, 0, 0, 1], 0).into();
    Settings {
        listen: any,
        grpc_listen: any,
        tokens: Vec::new(),
        allowed_networks: serin_proto::address::Networks::default(),
        metrics_source: crate::settings::MetricsSource::None,
        id: "test".to_owned(),
        flagger_aliases: false,
        version: "0",
        commit: "none",
    }
}

#[tokio::test]
async fn a_file_is_applied_in_the_name_of_who_started_the_process() {
    let memory = MemoryStore::new();
    let applier = Applier::new(&settings(), Arc::clone(&memory) as Arc<dyn Store>);
    let file = v1::File {
        server: Some(v1::Server::default()),
        tiers: vec![v1::Tier {
            name: "gold".to_owned(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let dry = Apply {
        dry_run: true,
        ..Apply::default()
    };
    let would = applier.apply("file:serin.yaml", &file, dry).await.unwrap();
    assert_eq!((would.changes.len(), would.audit_id), (1, None));
    let done = applier
        .apply("file:serin.yaml", &file, Apply::default())
        .await
        .unwrap();
    let stage = Stage::beside(&memory).await;
    let audit = stage.audit().await;
    let [(revision, record)] = audit.as_slice() else {
        panic!("{audit:?}")
    };
    assert_eq!(*revision, done.revision);
    let actor = json!({"name": "file:serin.yaml", "role": "admin", "via": "file"});
    assert_eq!(
        (&record["actor"], &record["sourceIp"]),
        (&actor, &json!(null))
    );
}

#[tokio::test]
async fn the_first_admin_is_made_where_there_is_none_and_once() {
    let memory = MemoryStore::new();
    let store = || Arc::clone(&memory) as Arc<dyn Store>;
    let known = Settings {
        tokens: vec![crate::settings::SettingsToken {
            name: "root".to_owned(),
            role: Role::Admin,
            sha256: Digest::of(b"x"),
        }],
        ..settings()
    };
    let (one, two) = (Digest::of(b"one"), Digest::of(b"two"));
    assert!(
        !Applier::new(&known, store())
            .first_admin(one)
            .await
            .unwrap(),
        "the settings have one"
    );
    let applier = Applier::new(&settings(), store());
    assert!(applier.first_admin(one).await.unwrap());
    assert!(!applier.first_admin(two).await.unwrap(), "now there is one");
    let stage = Stage::beside(&memory).await;
    let token = stage.stored("tokens/admin").await.unwrap();
    assert_eq!(parsed(&token.value)["sha256"], json!(one.to_string()));
    assert_eq!(stage.audit().await.len(), 1);

    let expired =
        json!({"role": "admin", "sha256": one.to_string(), "expiresAt": "2020-01-01T00:00:00Z"});
    stage
        .write_raw("tokens/admin", Some(expired.to_string().as_bytes()))
        .await;
    let refused = applier.first_admin(two).await.unwrap_err();
    assert_eq!(refused.code(), "stale", "what is there is not overwritten");
}
