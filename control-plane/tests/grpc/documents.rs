//! Documents, traffic and tokens: written, read, listed, deleted.

use serin_control_plane::{
    Digest,
    grpc::v1::{
        ApplyRequest, ChangeOptions, DeleteRequest, GetRequest, ListRequest, PutKeyRequest,
        PutProviderRequest, PutTierRequest, PutTokenRequest, SetTrafficRequest,
        audit_client::AuditClient, documents_client::DocumentsClient, keys_client::KeysClient,
        providers_client::ProvidersClient, routes_client::RoutesClient, tiers_client::TiersClient,
        tokens_client::TokensClient,
    },
};
use serin_proto::{token::Role, v1};
use serin_store::{Key, Op, Store as _, Txn};
use tonic::Code;

use crate::{
    stage::{Stage, after, chat, if_match, provider, traffic},
    wait::eventually,
};

fn named(name: &str) -> GetRequest {
    GetRequest {
        name: name.to_owned(),
    }
}

fn delete(name: &str, revision: u64) -> DeleteRequest {
    DeleteRequest {
        name: name.to_owned(),
        options: if_match(revision),
    }
}

#[tokio::test]
async fn traffic_is_set_by_one_call_and_told_back() {
    let (stage, revision) = Stage::with_chat().await;
    let mut routes = RoutesClient::new(stage.line(Role::Operator));
    let set = SetTrafficRequest {
        route: "chat".to_owned(),
        traffic: Some(traffic(90.0, 10.0)),
        options: if_match(revision),
    };
    let changed = routes.set_traffic(set).await.unwrap().into_inner();
    assert!(changed.revision > revision && !changed.created);
    let told = routes
        .get_traffic(named("chat"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(told.traffic, Some(traffic(90.0, 10.0)));
    assert_eq!(told.revision, changed.revision);
    let route = routes.get(named("chat")).await.unwrap().into_inner();
    assert_eq!(
        route.revision, changed.revision,
        "spec and traffic are one value"
    );
    assert_eq!(route.route.unwrap().targets, chat().targets);
}

#[tokio::test]
async fn a_document_is_written_read_listed_and_deleted() {
    let stage = Stage::new().await;
    let mut providers = ProvidersClient::new(stage.line(Role::Admin));
    for name in ["b", "a", "c"] {
        let put = PutProviderRequest {
            provider: Some(provider(name)),
            options: None,
        };
        providers.put(put).await.unwrap();
    }
    let one = providers.get(named("a")).await.unwrap().into_inner();
    assert_eq!(one.provider, Some(provider("a")));
    let mut seen = Vec::new();
    let mut page_token = String::new();
    for _ in 0..2 {
        let ask = ListRequest {
            limit: 2,
            page_token,
        };
        let page = providers.list(ask).await.unwrap().into_inner();
        seen.extend(
            page.items
                .into_iter()
                .map(|item| item.provider.unwrap().name),
        );
        page_token = page.next_page_token;
    }
    assert_eq!(
        (seen, page_token.as_str()),
        (vec!["a".into(), "b".into(), "c".into()], "")
    );
    let gone = providers
        .delete(delete("a", one.revision))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(gone.difference.unwrap().after, None);
    let error = providers.get(named("a")).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
}

#[tokio::test]
async fn keys_and_tiers_are_documents_like_others() {
    let stage = Stage::new().await;
    let mut tiers = TiersClient::new(stage.line(Role::Admin));
    let tier = v1::Tier {
        name: "premium".to_owned(),
        ..v1::Tier::default()
    };
    let put = PutTierRequest {
        tier: Some(tier.clone()),
        options: None,
    };
    let revision = tiers.put(put).await.unwrap().into_inner().revision;
    let digest = Digest::of(b"sk-serin-web").to_string();
    let key = v1::Key {
        name: "web".to_owned(),
        routes: vec!["*".to_owned()],
        tier: "premium".to_owned(),
        secrets: vec![v1::Secret {
            sha256: digest.clone(),
            ..v1::Secret::default()
        }],
        ..v1::Key::default()
    };
    let mut keys = KeysClient::new(stage.line(Role::Admin));
    let put = PutKeyRequest {
        key: Some(key.clone()),
        options: None,
    };
    keys.put(put).await.unwrap();
    let told = keys
        .get(named("web"))
        .await
        .unwrap()
        .into_inner()
        .key
        .unwrap();
    assert_eq!(told, key, "an admin puts back what was read");
    let mut viewer = KeysClient::new(stage.line(Role::Viewer));
    let told = viewer
        .list(ListRequest::default())
        .await
        .unwrap()
        .into_inner();
    let told = told.items[0].key.as_ref().unwrap();
    assert_eq!(told.secrets[0].sha256, digest[..8]);
    assert_eq!(
        tiers
            .list(ListRequest::default())
            .await
            .unwrap()
            .into_inner()
            .items
            .len(),
        1
    );
    let error = tiers.delete(delete("premium", revision)).await.unwrap_err();
    assert_eq!(error.code(), Code::FailedPrecondition, "{error:?}");
    assert!(
        error.message().starts_with("in_use: "),
        "{}",
        error.message()
    );
}

#[tokio::test]
async fn a_dry_run_tells_the_difference_and_writes_nothing() {
    let (stage, revision) = Stage::with_chat().await;
    let mut routes = RoutesClient::new(stage.line(Role::Operator));
    let before = stage.store.revision();
    let set = SetTrafficRequest {
        route: "chat".to_owned(),
        traffic: Some(traffic(0.0, 100.0)),
        options: Some(ChangeOptions {
            if_match: Some(revision),
            dry_run: true,
            ..ChangeOptions::default()
        }),
    };
    let changed = routes.set_traffic(set).await.unwrap().into_inner();
    let weight = after(&changed)["weights"]["claude"].clone();
    let weight = weight
        .as_f64()
        .or_else(|| after(&changed)["traffic"]["weights"]["claude"].as_f64());
    assert_eq!(weight, Some(100.0));
    assert_eq!(changed.audit_id, "");
    assert_eq!(stage.store.revision(), before);
}

#[tokio::test]
async fn an_apply_is_done_once_under_its_key_and_recorded_with_who_asked() {
    let stage = Stage::new().await;
    let mut documents = DocumentsClient::new(stage.line(Role::Admin));
    let apply = ApplyRequest {
        providers: vec![provider("sim")],
        routes: vec![chat()],
        reason: "first documents".to_owned(),
        idempotency_key: "one".to_owned(),
        ..ApplyRequest::default()
    };
    let first = documents.apply(apply.clone()).await.unwrap().into_inner();
    let keys: Vec<&str> = first
        .changes
        .iter()
        .map(|change| change.key.as_str())
        .collect();
    assert_eq!(keys, ["config/providers/sim", "config/routes/chat"]);
    let again = documents.apply(apply.clone()).await.unwrap().into_inner();
    assert_eq!(again, first);
    let other = ApplyRequest {
        reason: "another request".to_owned(),
        ..apply
    };
    let error = documents.apply(other).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument, "{error:?}");

    let mut audit = AuditClient::new(stage.line(Role::Viewer));
    let records = audit
        .list(ListRequest::default())
        .await
        .unwrap()
        .into_inner()
        .items;
    assert_eq!(records.len(), 1, "{records:?}");
    let actor = records[0].actor.clone().unwrap();
    assert_eq!(
        (actor.name.as_str(), actor.role.as_str()),
        ("admin", "admin")
    );
    assert_eq!(actor.via, "grpc");
    assert_eq!(records[0].reason, "first documents");
    assert_eq!(records[0].changes.len(), 2);
    assert_eq!(
        (&records[0].id, records[0].revision),
        (&first.audit_id, first.revision)
    );
    assert_eq!(records[0].source_ip, "127.0.0.1");
}

#[tokio::test]
async fn a_token_that_was_made_opens_and_one_that_is_gone_does_not() {
    let stage = Stage::new().await;
    let mut tokens = TokensClient::new(stage.line(Role::Admin));
    let digest = Digest::of(b"made-secret").to_string();
    let put = PutTokenRequest {
        name: "made".to_owned(),
        token: Some(v1::Token {
            role: "viewer".to_owned(),
            sha256: digest.clone(),
            expires_at: String::new(),
        }),
        options: None,
    };
    let revision = tokens.put(put).await.unwrap().into_inner().revision;
    let told = tokens.get(named("made")).await.unwrap().into_inner();
    assert_eq!(told.token.unwrap().sha256, digest);
    assert_eq!((told.name.as_str(), told.revision), ("made", revision));
    let listed = tokens
        .list(ListRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(listed.items.len(), 1);

    let mut routes = RoutesClient::new(stage.line_of(Some("made-secret")));
    let opens = async |routes: &mut RoutesClient<_>| {
        let listed = routes.list(ListRequest::default()).await;
        listed.err().map(|error| error.code())
    };
    let open = async || opens(&mut routes).await;
    eventually("it opens", open, |code| code.is_none()).await;
    tokens.delete(delete("made", revision)).await.unwrap();
    let closed = async || opens(&mut routes).await;
    let is_closed = |code: &Option<Code>| *code == Some(Code::Unauthenticated);
    eventually("it does not open", closed, is_closed).await;
}

#[tokio::test]
async fn a_stored_document_is_told_as_routers_read_it() {
    let (stage, _) = Stage::with_chat().await;
    let odd = br#"{"name": "odd", "targets": [], "traffic": null, "ofTomorrow": {"a": [1]}}"#;
    let values = [("odd", &odd[..]), ("bad", b"{garbage")];
    for (name, value) in values {
        let key = Key::new(format!("config/routes/{name}")).unwrap();
        let txn = Txn {
            ops: vec![Op::Put(key, value.to_vec().into(), None)],
            ..Txn::default()
        };
        stage.store.txn(txn).await.unwrap();
    }
    let mut routes = RoutesClient::new(stage.line(Role::Viewer));
    let listed = routes.list(ListRequest::default()).await.unwrap();
    let listed = listed.into_inner();
    let names: Vec<&str> = listed
        .items
        .iter()
        .map(|item| &*item.route.as_ref().unwrap().name)
        .collect();
    assert_eq!(names, ["chat", "odd"]);
    assert_eq!(listed.unreadable[0].name, "bad");
    assert!(routes.get(named("odd")).await.is_ok());
    let traffic = routes.get_traffic(named("odd")).await.unwrap();
    assert_eq!(traffic.into_inner().traffic, Some(v1::Traffic::default()));
}
