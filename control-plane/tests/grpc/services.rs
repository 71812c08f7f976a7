//! What is there without a token: which services there are, and whether they serve.

use serin_proto::token::Role;
use serin_store::MemoryStore;
use tonic::Status;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use crate::{
    stage::Stage,
    wait::{eventually, soon},
};

const SERVICES: [&str; 10] = [
    "serin.v1.Audit",
    "serin.v1.Documents",
    "serin.v1.Keys",
    "serin.v1.Providers",
    "serin.v1.Rollouts",
    "serin.v1.Routers",
    "serin.v1.Routes",
    "serin.v1.Store",
    "serin.v1.Tiers",
    "serin.v1.Tokens",
];

async fn reflect(stage: &Stage, request: MessageRequest) -> MessageResponse {
    let mut client = ServerReflectionClient::new(stage.channel());
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(request),
    };
    let requests = tokio_stream::once(request);
    let answers = client.server_reflection_info(requests).await;
    let mut answers = answers.expect("a stream").into_inner();
    let answer = soon("an answer", answers.message()).await;
    let answer = answer.expect("no error").expect("one answer");
    answer.message_response.expect("a message")
}

#[tokio::test]
async fn reflection_lists_every_service_and_tells_its_messages() {
    let stage = Stage::new().await;
    let listed = reflect(&stage, MessageRequest::ListServices(String::new())).await;
    let MessageResponse::ListServicesResponse(listed) = listed else {
        panic!("{listed:?}");
    };
    let mut names: Vec<String> = listed.service.into_iter().map(|one| one.name).collect();
    names.sort();
    let (own, others): (Vec<&str>, Vec<&str>) = names
        .iter()
        .map(String::as_str)
        .partition(|name| name.starts_with("serin."));
    assert_eq!(own, SERVICES);
    assert_eq!(
        others,
        [
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection"
        ]
    );
    for symbol in [
        "serin.v1.Routes.SetTraffic",
        "serin.v1.Traffic",
        "serin.v1.RolloutState",
        "serin.v1.Token",
    ] {
        let found = reflect(
            &stage,
            MessageRequest::FileContainingSymbol(symbol.to_owned()),
        )
        .await;
        let is_found = matches!(found, MessageResponse::FileDescriptorResponse(_));
        assert!(is_found, "{symbol}: {found:?}");
    }
}

#[tokio::test]
async fn the_whole_and_each_service_say_that_they_serve() {
    let stage = Stage::new().await;
    let mut health = HealthClient::new(stage.channel());
    for service in SERVICES.into_iter().chain([""]) {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let answer = health.check(request).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service:?}");
    }
}

#[tokio::test]
async fn who_has_seen_no_documents_yet_does_not_say_that_it_serves() {
    let store = MemoryStore::new();
    store.partition();
    let stage = Stage::over(store);
    let answered = |status: &Result<_, Status>| status.is_ok();
    let first = eventually("an answer", async || stage.health().await, answered).await;
    assert_eq!(first.unwrap(), ServingStatus::NotServing);
    stage.store.heal();
    stage.serves().await;
}

#[tokio::test]
async fn it_ends_though_clients_stay_connected() {
    let stage = Stage::new().await;
    let mut health = HealthClient::new(stage.channel());
    let request = HealthCheckRequest::default();
    let mut follow = health.watch(request).await.unwrap().into_inner();
    let serving = soon("a status", follow.message()).await.unwrap().unwrap();
    assert_eq!(serving.status(), ServingStatus::Serving);
    let _idle = stage.line(Role::Viewer);
    stage.end().await;
}
