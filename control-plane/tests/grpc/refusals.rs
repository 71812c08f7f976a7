//! What is refused, in which words, and in which order.

use std::collections::BTreeMap;

use prost::Message;
use serin_control_plane::grpc::v1::{
    ChangeOptions, ChangeResponse, DeleteRequest, GetRequest, ListRequest, PutProviderRequest,
    PutRouteRequest, PutTokenRequest, SetTrafficRequest, providers_client::ProvidersClient,
    routes_client::RoutesClient, tokens_client::TokensClient,
};
use serin_proto::{token::Role, v1};
use tonic::{Code, Request, Status, client::Grpc, codegen::http::uri::PathAndQuery};
use tonic_prost::ProstCodec;

use crate::{
    stage::{Stage, chat, if_match, provider, traffic},
    wait::soon,
};

/// `google.rpc.Status`, as clients of other services read it.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.ErrorInfo`
#[derive(Clone, PartialEq, Message)]
struct ErrorInfo {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(string, tag = "2")]
    domain: String,
    #[prost(btree_map = "string, string", tag = "3")]
    metadata: BTreeMap<String, String>,
}

/// `google.rpc.BadRequest`
#[derive(Clone, PartialEq, Message)]
struct BadRequest {
    #[prost(message, repeated, tag = "1")]
    field_violations: Vec<Violation>,
}

#[derive(Clone, PartialEq, Message)]
struct Violation {
    #[prost(string, tag = "1")]
    field: String,
    #[prost(string, tag = "2")]
    description: String,
    #[prost(string, tag = "3")]
    reason: String,
}

fn detail<M: Message + Default>(status: &Status, name: &str) -> Option<M> {
    let whole = RpcStatus::decode(status.details()).expect("a google.rpc.Status");
    assert_eq!(
        (whole.code, &*whole.message),
        (status.code() as i32, status.message())
    );
    let url = format!("type.googleapis.com/google.rpc.{name}");
    let found = whole.details.into_iter().find(|any| any.type_url == url)?;
    Some(M::decode(&found.value[..]).expect(name))
}

fn info(status: &Status) -> ErrorInfo {
    detail(status, "ErrorInfo").expect("every refusal has one")
}

fn set(traffic: v1::Traffic, options: Option<ChangeOptions>) -> SetTrafficRequest {
    SetTrafficRequest {
        route: "chat".to_owned(),
        traffic: Some(traffic),
        options,
    }
}

#[tokio::test]
async fn a_stale_revision_is_aborted_and_tells_the_one_there_is() {
    let (stage, revision) = Stage::with_chat().await;
    let mut routes = RoutesClient::new(stage.line(Role::Operator));
    let changed = routes
        .set_traffic(set(traffic(90.0, 10.0), if_match(revision)))
        .await;
    let current = changed.unwrap().into_inner().revision;
    let stale = routes
        .set_traffic(set(traffic(80.0, 20.0), if_match(revision)))
        .await
        .unwrap_err();
    assert_eq!(stale.code(), Code::Aborted, "{stale:?}");
    let told = info(&stale);
    assert_eq!(
        (told.reason.as_str(), told.domain.as_str()),
        ("stale", "serin")
    );
    assert_eq!(told.metadata["revision"], current.to_string());
    let bare = routes
        .set_traffic(set(traffic(80.0, 20.0), None))
        .await
        .unwrap_err();
    assert_eq!(bare.code(), Code::FailedPrecondition, "{bare:?}");
    assert_eq!(info(&bare).reason, "precondition_required");
    let exists = ChangeOptions {
        if_exists: true,
        ..ChangeOptions::default()
    };
    routes
        .set_traffic(set(traffic(80.0, 20.0), Some(exists)))
        .await
        .unwrap();
}

#[tokio::test]
async fn every_fault_is_told_with_its_pointer() {
    let (stage, revision) = Stage::with_chat().await;
    let mut routes = RoutesClient::new(stage.line(Role::Operator));
    let short = routes
        .set_traffic(set(traffic(95.0, 4.0), if_match(revision)))
        .await
        .unwrap_err();
    assert_eq!(short.code(), Code::InvalidArgument, "{short:?}");
    assert_eq!(info(&short).reason, "invalid_document");
    let faults: BadRequest = detail(&short, "BadRequest").expect("faults");
    assert_eq!(faults.field_violations[0].field, "/weights", "{faults:?}");

    let mut providers = ProvidersClient::new(stage.line(Role::Admin));
    let wrong = v1::Provider {
        dialect: "latin".to_owned(),
        base_url: "http://169.254.169.254/v1".to_owned(),
        ..provider("wrong")
    };
    let put = PutProviderRequest {
        provider: Some(wrong),
        options: None,
    };
    let both = providers.put(put).await.unwrap_err();
    let faults: BadRequest = detail(&both, "BadRequest").expect("faults");
    let pointers: Vec<&str> = faults
        .field_violations
        .iter()
        .map(|one| &*one.field)
        .collect();
    assert_eq!(pointers, ["/dialect", "/baseUrl"], "{faults:?}");
    assert!(
        faults
            .field_violations
            .iter()
            .all(|one| !one.reason.is_empty())
    );
}

#[tokio::test]
async fn a_message_that_contradicts_itself_or_lacks_its_matter_is_refused() {
    let (stage, revision) = Stage::with_chat().await;
    let mut routes = RoutesClient::new(stage.line(Role::Admin));
    let both = ChangeOptions {
        if_match: Some(revision),
        if_absent: true,
        ..ChangeOptions::default()
    };
    let refused = [
        routes
            .set_traffic(set(traffic(90.0, 10.0), Some(both)))
            .await
            .unwrap_err(),
        routes.put(PutRouteRequest::default()).await.unwrap_err(),
        routes
            .list(ListRequest {
                limit: 1_001,
                page_token: String::new(),
            })
            .await
            .unwrap_err(),
    ];
    for status in refused {
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert_eq!(info(&status).reason, "invalid_request");
    }
    let unnamed = v1::Route {
        name: "../keys/web".to_owned(),
        ..chat()
    };
    let put = PutRouteRequest {
        route: Some(unnamed),
        options: None,
    };
    let unnamed = routes.put(put).await.unwrap_err();
    assert_eq!(info(&unnamed).reason, "invalid_document", "{unnamed:?}");
    let nobody = GetRequest {
        name: "chat/../chat".to_owned(),
    };
    assert_eq!(routes.get(nobody).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn who_has_no_valid_token_is_refused_before_anything_else() {
    let stage = Stage::new().await;
    for secret in [None, Some("wrong"), Some("")] {
        let mut routes = RoutesClient::new(stage.line_of(secret));
        let listed = routes.list(ListRequest::default()).await.unwrap_err();
        assert_eq!(listed.code(), Code::Unauthenticated, "{secret:?}");
        let put = routes.put(PutRouteRequest::default()).await.unwrap_err();
        assert_eq!(put.code(), Code::Unauthenticated, "{secret:?}");
        assert_eq!(info(&put).reason, "unauthenticated");
    }
    let mut routes = RoutesClient::new(stage.channel());
    let mut twice = Request::new(ListRequest::default());
    for secret in ["viewer-secret", "admin-secret"] {
        let value = format!("Bearer {secret}").parse().unwrap();
        twice.metadata_mut().append("authorization", value);
    }
    assert_eq!(
        routes.list(twice).await.unwrap_err().code(),
        Code::Unauthenticated
    );
}

#[tokio::test]
async fn a_role_may_do_what_the_contract_says_and_is_told_so_first() {
    let (stage, revision) = Stage::with_chat().await;
    let before = stage.store.revision();
    for role in [Role::Viewer, Role::Operator] {
        let mut routes = RoutesClient::new(stage.line(role));
        let mut tokens = TokensClient::new(stage.line(role));
        assert!(routes.list(ListRequest::default()).await.is_ok());
        // Each of these messages is malformed or about nothing, too.
        let mut refused = vec![
            routes.put(PutRouteRequest::default()).await.map(drop),
            routes.delete(DeleteRequest::default()).await.map(drop),
            tokens.list(ListRequest::default()).await.map(drop),
            tokens.get(GetRequest::default()).await.map(drop),
            tokens.put(PutTokenRequest::default()).await.map(drop),
        ];
        if role == Role::Viewer {
            let set = set(traffic(90.0, 10.0), if_match(revision));
            refused.push(routes.set_traffic(set).await.map(drop));
        }
        for answer in refused {
            let status = answer.unwrap_err();
            assert_eq!(status.code(), Code::PermissionDenied, "{role} {status:?}");
            assert_eq!(info(&status).reason, "forbidden");
        }
    }
    assert_eq!(stage.store.revision(), before, "nothing was written");
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_and_the_connection_goes_on() {
    let stage = Stage::new().await;
    let mut providers = ProvidersClient::new(stage.line(Role::Admin));
    let large = v1::Provider {
        base_url: "x".repeat(2_000_000),
        ..provider("large")
    };
    let put = PutProviderRequest {
        provider: Some(large),
        options: None,
    };
    let refused = providers.put(put).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange, "{refused:?}");
    assert!(providers.list(ListRequest::default()).await.is_ok());
}

#[tokio::test]
async fn a_store_that_is_away_is_unavailable() {
    let (stage, _) = Stage::with_chat().await;
    stage.store.partition();
    let mut routes = RoutesClient::new(stage.line(Role::Viewer));
    let away = routes.list(ListRequest::default()).await.unwrap_err();
    assert_eq!(away.code(), Code::Unavailable, "{away:?}");
    assert_eq!(info(&away).reason, "store_unavailable");
    stage.store.heal();
    assert!(routes.list(ListRequest::default()).await.is_ok());
}

#[tokio::test]
async fn a_call_has_the_id_its_caller_gave_it() {
    let stage = Stage::new().await;
    let mut routes = RoutesClient::new(stage.line(Role::Viewer));
    let ask = |id: Option<&str>| {
        let mut request = Request::new(ListRequest::default());
        if let Some(id) = id {
            request
                .metadata_mut()
                .insert("x-request-id", id.parse().unwrap());
        }
        request
    };
    let told = routes.list(ask(Some("mine-1"))).await.unwrap();
    assert_eq!(told.metadata().get("x-request-id").unwrap(), "mine-1");
    for not_sane in [None, Some("with space"), Some("")] {
        let told = routes.list(ask(not_sane)).await.unwrap();
        let id = told.metadata().get("x-request-id").unwrap();
        assert_eq!(id.as_bytes().len(), 26, "{id:?}");
    }
    let mut nobody = RoutesClient::new(stage.channel());
    let refused = nobody.list(ask(Some("mine-2"))).await.unwrap_err();
    assert_eq!(info(&refused).metadata["requestId"], "mine-2");
}

#[tokio::test]
async fn who_has_no_valid_token_is_told_before_a_message_is_there() {
    let stage = Stage::new().await;
    let mut line = Grpc::new(stage.line_of(Some("wrong")));
    line.ready().await.expect("a connection");
    let never = Request::new(tokio_stream::pending::<PutRouteRequest>());
    let path = PathAndQuery::from_static("/serin.v1.Routes/Put");
    let codec = ProstCodec::<PutRouteRequest, ChangeResponse>::default();
    let answer = soon("an answer", line.client_streaming(never, path, codec)).await;
    let refused = answer.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused:?}");
}

#[tokio::test]
async fn wrong_tokens_lock_nobody_out_who_has_a_right_one() {
    let (stage, _) = Stage::with_chat().await;
    let mut wrong = RoutesClient::new(stage.line_of(Some("wrong")));
    let mut codes = Vec::new();
    for _ in 0..30 {
        let refused = wrong.list(ListRequest::default()).await.unwrap_err();
        codes.push(refused.code());
    }
    assert!(codes.contains(&Code::ResourceExhausted), "{codes:?}");
    let mut right = RoutesClient::new(stage.line(Role::Viewer));
    assert!(right.list(ListRequest::default()).await.is_ok());
}
