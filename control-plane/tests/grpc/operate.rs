//! Routers, adoption, and what the control plane counts of itself.

use std::net::SocketAddr;

use serin_control_plane::grpc::v1::{
    AdoptRequest, ListRequest, ListRoutersRequest, Router, audit_client::AuditClient,
    routers_client::RoutersClient, routes_client::RoutesClient, store_client::StoreClient,
};
use serin_proto::{
    fleet::{Hold, RejectedDocument, RouterReport, Source},
    key::StoreKey,
    token::Role,
};
use serin_store::{Key, Op, Store as _, Txn};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::Code;

use crate::{
    stage::Stage,
    wait::{eventually, soon},
};

async fn report(stage: &Stage, id: &str, report: &RouterReport) {
    let key = Key::from(&StoreKey::Router(id.to_owned()));
    let value = serde_json::to_vec(report).expect("JSON");
    let txn = Txn {
        ops: vec![Op::Put(key, value.into(), None)],
        ..Txn::default()
    };
    stage.store.txn(txn).await.expect("a reachable store");
}

async fn routers(stage: &Stage) -> Vec<Router> {
    let mut routers = RoutersClient::new(stage.line(Role::Viewer));
    let listed = routers.list(ListRoutersRequest {}).await;
    listed.expect("a list").into_inner().items
}

/// The text of one scrape.
async fn scrape(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.expect("a listener");
    let request = "GET /metrics HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";
    let sent = stream.write_all(request.as_bytes()).await;
    sent.expect("an open connection");
    let mut answer = String::new();
    let read = soon("a scrape", stream.read_to_string(&mut answer)).await;
    read.expect("text");
    answer
}

#[tokio::test]
async fn a_router_that_reports_is_told_of_with_what_it_serves() {
    let (stage, revision) = Stage::with_chat().await;
    let reported = RouterReport {
        version: "1.2.3".to_owned(),
        boot_id: "boot".to_owned(),
        admin_address: "10.0.0.1:8081".to_owned(),
        applied_revision: revision,
        source: Source::Cache,
        hold: Some(Hold::HistoryDiffers),
        rejected_count: 1,
        rejected: vec![RejectedDocument {
            key: "config/routes/bad".to_owned(),
            mod_revision: 3,
            code: "unreadable".to_owned(),
            message: "is no JSON".to_owned(),
            serving_revision: Some(2),
        }],
        ..RouterReport::default()
    };
    report(&stage, "router-1", &reported).await;
    let there = |all: &Vec<Router>| all.first().is_some_and(|router| router.lag == 0);
    let all = eventually("the router is there", async || routers(&stage).await, there).await;
    assert_eq!(all.len(), 1);
    let router = &all[0];
    assert_eq!(
        (router.id.as_str(), router.applied_revision),
        ("router-1", revision)
    );
    let words = [&router.state, &router.source, &router.hold].map(String::as_str);
    assert_eq!(words, ["live", "cache", "history_differs"]);
    assert_eq!(router.rejected[0].serving_revision, Some(2));
    assert_eq!((router.lag, router.rejected_count), (0, 1));
}

#[tokio::test]
async fn a_router_that_is_behind_has_a_lag_and_one_that_left_is_not_told_of() {
    let (stage, revision) = Stage::with_chat().await;
    let behind = RouterReport {
        applied_revision: revision - 1,
        ..RouterReport::default()
    };
    report(&stage, "router-1", &behind).await;
    let lags = |all: &Vec<Router>| all.first().is_some_and(|router| router.lag == 1);
    eventually("the lag is told", async || routers(&stage).await, lags).await;
    let key = Key::from(&StoreKey::Router("router-1".to_owned()));
    let txn = Txn {
        ops: vec![Op::Delete(key)],
        ..Txn::default()
    };
    stage.store.txn(txn).await.unwrap();
    eventually("it has left", async || routers(&stage).await, Vec::is_empty).await;
}

#[tokio::test]
async fn a_store_is_adopted_by_an_admin_and_the_record_says_why() {
    let stage = Stage::new().await;
    let adopt = AdoptRequest {
        reason: "restored from last night".to_owned(),
        ..AdoptRequest::default()
    };
    let mut operator = StoreClient::new(stage.line(Role::Operator));
    let refused = operator.adopt(adopt.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let mut admin = StoreClient::new(stage.line(Role::Admin));
    let adopted = admin.adopt(adopt).await.unwrap().into_inner();
    assert_eq!(adopted.ulid.len(), 26);
    let key = Key::from(&StoreKey::Adopted);
    let (entry, _) = stage.store.get(&key).await.unwrap();
    let mark: serde_json::Value = serde_json::from_slice(&entry.unwrap().value).unwrap();
    assert_eq!(mark["ulid"], adopted.ulid);
    let mut audit = AuditClient::new(stage.line(Role::Viewer));
    let records = audit
        .list(ListRequest::default())
        .await
        .unwrap()
        .into_inner()
        .items;
    let told: Vec<(&str, &str)> = records
        .iter()
        .map(|record| (&*record.verb, &*record.reason))
        .collect();
    assert_eq!(told, [("adopt", "restored from last night")]);
}

#[tokio::test]
async fn a_scrape_tells_calls_transactions_documents_and_who_leads() {
    let (stage, revision) = Stage::with_chat().await;
    let mut routes = RoutesClient::new(stage.line_of(Some("wrong")));
    routes.list(ListRequest::default()).await.unwrap_err();
    let lines = [
        "serin_cp_grpc_requests_total{method=\"serin.v1.Routes/Put\",code=\"OK\"} 1",
        "serin_cp_grpc_requests_total{method=\"serin.v1.Routes\",code=\"UNAUTHENTICATED\"} 1",
        "serin_cp_auth_failures_total{reason=\"unknown\"} 1",
        "serin_cp_documents{kind=\"routes\"} 1",
        "serin_cp_documents{kind=\"keys\"} 0",
        "serin_cp_leader 1",
        "serin_cp_store_watch_up 1",
        "serin_cp_store_txn_total{backend=\"memory\",result=\"conflict\"} 0",
        "serin_cp_routers{state=\"live\"} 0",
        "serin_cp_watch_clients 0",
    ];
    let missing = |text: &String| -> Vec<&str> {
        let is_missing = |line: &&str| !text.lines().any(|told| told.trim_end() == *line);
        lines.into_iter().filter(is_missing).collect()
    };
    let scraped = async || scrape(stage.rest).await;
    let told = |text: &String| missing(text).is_empty();
    let text = eventually("all lines are there", scraped, told).await;
    let number = |name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|number| number.trim().parse().ok())
            .expect(name)
    };
    assert!(number("serin_cp_store_revision ") >= revision as f64);
    let ok = "serin_cp_store_txn_total{backend=\"memory\",result=\"ok\"} ";
    assert!(
        number(ok) >= 3.0,
        "a provider, a route, a claim to lead\n{text}"
    );
    let records = "serin_cp_audit_entries_total{kind=\"routes\",verb=\"put\"} ";
    assert_eq!(number(records), 1.0);
}
