//! Runners come and go with the leadership.

use super::*;
use crate::{leader::Leadership, rollout::supervisor};

#[tokio::test]
async fn a_rollout_that_runs_has_a_runner_while_we_lead_and_none_soon_after() {
    let rig = Rig::new().await;
    let plane = Arc::clone(&rig.stage.plane);
    rig.start(plan()).await;
    let task = tokio::spawn(supervisor::run(Arc::clone(&plane)));
    let state = || async {
        rig.stage
            .stored("rollouts/chat/state")
            .await
            .unwrap()
            .version
    };
    assert_eq!(state().await, 1, "nobody leads");
    let held = || async { Arc::strong_count(&plane) };
    let before = held().await;
    plane.leadership.send_replace(Leadership {
        leading: Some(rig.fence),
    });
    eventually(state, |version| *version > 1).await;
    assert!(held().await > before, "a runner is there");
    plane.leadership.send_replace(Leadership::default());
    eventually(held, |count| *count == before).await;
    task.abort();
}

#[tokio::test]
async fn every_route_has_a_runner_of_its_own_and_one_that_ended_has_none() {
    let rig = Rig::new().await;
    let plane = Arc::clone(&rig.stage.plane);
    rig.start(plan()).await;
    let task = tokio::spawn(supervisor::run(Arc::clone(&plane)));
    plane.leadership.send_replace(Leadership {
        leading: Some(rig.fence),
    });
    let version = || async {
        rig.stage
            .stored("rollouts/chat/state")
            .await
            .unwrap()
            .version
    };
    eventually(version, |version| *version > 1).await;
    rig.verb(Verb::Abort).await.unwrap();
    let running = || async { plane.rollouts.running().len() };
    eventually(running, |running| *running == 0).await;
    let held = || async { Arc::strong_count(&plane) };
    let stands = held().await;
    eventually(held, |count| *count < stands).await;
    task.abort();
}
