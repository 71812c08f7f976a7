//! The stream of changes.

use serin_control_plane::{
    Digest,
    grpc::v1::{
        DeleteRequest, PutProviderRequest, PutTokenRequest, WatchRequest, WatchResponse,
        documents_client::DocumentsClient, providers_client::ProvidersClient,
        tokens_client::TokensClient,
    },
};
use serin_proto::{token::Role, v1};
use tonic::{Code, Status, Streaming};

use crate::{
    stage::{Stage, if_match, provider},
    wait::{eventually, soon},
};

async fn watch(stage: &Stage, after: Option<u64>) -> Result<Streaming<WatchResponse>, Status> {
    let mut documents = DocumentsClient::new(stage.line(Role::Viewer));
    let stream = documents.watch(WatchRequest { after }).await?;
    Ok(stream.into_inner())
}

async fn next(stream: &mut Streaming<WatchResponse>) -> Result<WatchResponse, Status> {
    let message = soon("the next message", stream.message()).await?;
    Ok(message.expect("the stream goes on"))
}

async fn put(stage: &Stage, name: &str) -> u64 {
    let mut providers = ProvidersClient::new(stage.line(Role::Admin));
    let put = PutProviderRequest {
        provider: Some(provider(name)),
        options: None,
    };
    let written = providers.put(put).await.expect("a provider");
    written.into_inner().revision
}

fn keys(message: &WatchResponse) -> Vec<(&str, bool)> {
    let changes = message.changes.iter();
    changes
        .map(|change| (change.key.as_str(), change.document.is_some()))
        .collect()
}

#[tokio::test]
async fn a_change_is_told_once_with_its_revision_and_the_document() {
    let stage = Stage::new().await;
    let mut stream = watch(&stage, None).await.unwrap();
    let begins = next(&mut stream).await.unwrap();
    assert_eq!(begins.changes, []);
    let written = put(&stage, "a").await;
    let told = next(&mut stream).await.unwrap();
    assert_eq!(told.revision, written);
    assert!(written > begins.revision);
    assert_eq!(keys(&told), [("config/providers/a", true)]);
    let document: serde_json::Value =
        serde_json::from_str(told.changes[0].document.as_ref().unwrap()).unwrap();
    assert_eq!(document["dialect"], "simulated");
    let delete = DeleteRequest {
        name: "a".to_owned(),
        options: if_match(written),
    };
    let mut providers = ProvidersClient::new(stage.line(Role::Admin));
    let deleted = providers
        .delete(delete)
        .await
        .unwrap()
        .into_inner()
        .revision;
    let told = next(&mut stream).await.unwrap();
    assert_eq!(
        (told.revision, keys(&told)),
        (deleted, vec![("config/providers/a", false)])
    );
}

#[tokio::test]
async fn who_comes_back_with_a_revision_misses_nothing() {
    let stage = Stage::new().await;
    let first = put(&stage, "a").await;
    let (second, third) = (put(&stage, "b").await, put(&stage, "c").await);
    let mut stream = watch(&stage, Some(first)).await.unwrap();
    let mut told = Vec::new();
    for _ in 0..3 {
        let message = next(&mut stream).await.unwrap();
        told.push((message.revision, message.changes.len()));
    }
    assert_eq!(told, [(first, 0), (second, 1), (third, 1)]);
}

#[tokio::test]
async fn history_that_is_gone_is_said_to_be() {
    let stage = Stage::new().await;
    put(&stage, "a").await;
    let early = watch(&stage, Some(0)).await.map(drop).unwrap_err();
    assert_eq!(early.code(), Code::OutOfRange, "{early:?}");
    assert!(
        early.message().starts_with("compacted: "),
        "{}",
        early.message()
    );
}

#[tokio::test]
async fn a_reader_whose_token_is_gone_is_cut() {
    let stage = Stage::new().await;
    let mut tokens = TokensClient::new(stage.line(Role::Admin));
    let token = PutTokenRequest {
        name: "made".to_owned(),
        token: Some(v1::Token {
            role: "viewer".to_owned(),
            sha256: Digest::of(b"made-secret").to_string(),
            expires_at: String::new(),
        }),
        options: None,
    };
    let revision = tokens.put(token).await.unwrap().into_inner().revision;
    let mut documents = DocumentsClient::new(stage.line_of(Some("made-secret")));
    let open = async || documents.watch(WatchRequest::default()).await.ok();
    let opened = eventually("the token opens", open, Option::is_some).await;
    let mut stream = opened.unwrap().into_inner();
    next(&mut stream).await.unwrap();
    let delete = DeleteRequest {
        name: "made".to_owned(),
        options: if_match(revision),
    };
    tokens.delete(delete).await.unwrap();
    let mut count = 0;
    let change = async || {
        count += 1;
        put(&stage, &format!("p{count}")).await;
        next(&mut stream).await.err().map(|status| status.code())
    };
    let is_cut = |code: &Option<Code>| *code == Some(Code::Unauthenticated);
    eventually("a change finds it cut", change, is_cut).await;
}

#[tokio::test]
async fn a_stream_ends_with_its_control_plane_and_does_not_hold_it() {
    let stage = Stage::new().await;
    let mut stream = watch(&stage, None).await.unwrap();
    next(&mut stream).await.unwrap();
    stage.end().await;
    let ended = soon("the end", stream.message()).await.unwrap_err();
    assert_eq!(ended.code(), Code::Unavailable, "{ended:?}");
}
