//! Rollouts by gRPC: the same as by REST, with types.

use serin_control_plane::grpc::v1::{
    GetRolloutRequest, ListRolloutsRequest, PauseRolloutRequest, RolloutVerbRequest,
    SetGateRequest, SetTrafficRequest, StartRolloutRequest, VerbOptions,
    rollouts_client::RolloutsClient, routes_client::RoutesClient,
};
use serin_proto::{token::Role, v1};
use tonic::{Code, Status};

use crate::stage::{Stage, if_match, traffic};

/// A control plane whose route `chat` has all its traffic at `gpt`, and `claude` beside it.
async fn stage() -> Stage {
    let (stage, revision) = Stage::with_chat().await;
    let mut routes = RoutesClient::new(stage.line(Role::Admin));
    let idle = SetTrafficRequest {
        route: "chat".to_owned(),
        traffic: Some(traffic(100.0, 0.0)),
        options: if_match(revision),
    };
    routes.set_traffic(idle).await.expect("it can be moved");
    stage
}

/// The word for programs, with which every refusal begins.
fn word(status: &Status) -> &str {
    let (word, _) = status.message().split_once(':').unwrap_or_default();
    word
}

fn plan(candidate: &str) -> v1::Rollout {
    let step = |weight, gate: &str| v1::RolloutStep {
        weight: Some(weight),
        gate: gate.to_owned(),
        ..v1::RolloutStep::default()
    };
    v1::Rollout {
        route: "chat".to_owned(),
        candidate: candidate.to_owned(),
        steps: vec![step(5.0, "go-on"), step(50.0, "")],
        ..v1::Rollout::default()
    }
}

fn start(candidate: &str) -> StartRolloutRequest {
    StartRolloutRequest {
        rollout: Some(plan(candidate)),
        reason: "cheaper".to_owned(),
        ..StartRolloutRequest::default()
    }
}

fn verb(id: &str, expected_seq: Option<u64>) -> RolloutVerbRequest {
    let options = VerbOptions {
        expected_seq,
        ..VerbOptions::default()
    };
    RolloutVerbRequest {
        id: id.to_owned(),
        options: Some(options),
    }
}

#[tokio::test]
async fn a_rollout_is_started_told_gated_and_aborted() {
    let stage = stage().await;
    let mut rollouts = RolloutsClient::new(stage.line(Role::Operator));
    let started = rollouts.start(start("claude")).await.unwrap().into_inner();
    assert!(started.created);
    let state = started.rollout.unwrap();
    assert_eq!((&*state.phase, state.seq, state.share), ("Pending", 1, 0.0));
    assert_eq!(state.candidate, "claude");
    assert_eq!(state.plan.as_ref().map(|plan| plan.steps.len()), Some(2));
    let id = state.rollout_id;

    let get = || GetRolloutRequest { id: id.clone() };
    let got = rollouts.get(get()).await.unwrap().into_inner();
    assert_eq!(got.rollout.unwrap().rollout_id, id);
    let list = ListRolloutsRequest {
        phase: "Pending".to_owned(),
        ..ListRolloutsRequest::default()
    };
    let listed = rollouts.list(list).await.unwrap().into_inner();
    assert_eq!(listed.items.len(), 1);
    let history = rollouts.history(get()).await.unwrap().into_inner();
    assert_eq!(history.items[0].transition, "t1");
    assert_eq!(history.items[0].hash.len(), 64);
    let analysis = rollouts.analysis(get()).await.unwrap().into_inner();
    assert!(analysis.legal.contains(&"abort".to_owned()), "{analysis:?}");

    let gate = SetGateRequest {
        id: id.clone(),
        gate: "go-on".to_owned(),
        open: true,
        options: None,
    };
    let gated = rollouts.set_gate(gate).await.unwrap().into_inner();
    let gates = gated.rollout.unwrap().gates;
    assert_eq!(gates.get("go-on"), Some(&true));

    let aborted = rollouts.abort(verb(&id, None)).await.unwrap().into_inner();
    assert_eq!(aborted.rollout.unwrap().phase, "Aborted");
}

#[tokio::test]
async fn refusals_say_by_code_and_word_what_to_do() {
    let stage = stage().await;
    let mut rollouts = RolloutsClient::new(stage.line(Role::Operator));
    let stable = rollouts.start(start("gpt")).await.unwrap_err();
    assert_eq!(
        (stable.code(), word(&stable)),
        (Code::FailedPrecondition, "candidate_is_stable")
    );
    let missing = rollouts.start(StartRolloutRequest::default()).await;
    assert_eq!(missing.unwrap_err().code(), Code::InvalidArgument);
    let unknown = rollouts
        .abort(verb("000000000000", None))
        .await
        .unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);

    let started = rollouts.start(start("claude")).await.unwrap().into_inner();
    let id = started.rollout.unwrap().rollout_id;
    let stale = rollouts.abort(verb(&id, Some(7))).await.unwrap_err();
    assert_eq!((stale.code(), word(&stale)), (Code::Aborted, "stale_seq"));
    let illegal = rollouts.resume(verb(&id, None)).await.unwrap_err();
    assert_eq!(
        (illegal.code(), word(&illegal)),
        (Code::FailedPrecondition, "illegal_verb")
    );
    assert!(illegal.message().contains("abort"), "{illegal:?}");
    let mut viewer = RolloutsClient::new(stage.line(Role::Viewer));
    let pause = PauseRolloutRequest {
        id,
        ..PauseRolloutRequest::default()
    };
    let forbidden = viewer.pause(pause).await.unwrap_err();
    assert_eq!(forbidden.code(), Code::PermissionDenied);
}
