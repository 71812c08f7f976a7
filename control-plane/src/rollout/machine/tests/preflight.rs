//! Before the first share: what is waited for is told, and not for ever.

use serde_json::json;

use super::{drive::Drive, source::Mood};
use crate::{
    analysis::verdict::Verdict,
    rollout::{
        event::{HookAnswer, Verb},
        state::Phase,
    },
};

fn told(drive: &Drive) -> (Verdict, &str) {
    let told = drive.state.verdict.as_ref().unwrap();
    (told.kind, &told.why)
}

#[test]
fn a_candidate_that_is_down_is_named_and_fails_its_rollout_at_the_deadline() {
    let mut drive = Drive::new(json!({"progressDeadline": "60s"}));
    drive.until(Mood::Healthy, "t2");
    assert_eq!(drive.tick(Mood::Broken), None);
    let why = "claude is down, or its breaker open, on 2 of 3 routers";
    assert_eq!(told(&drive), (Verdict::Inconclusive, why));
    for _ in 0..4 {
        assert_eq!(drive.tick(Mood::Broken), None);
    }
    assert_eq!(drive.tick(Mood::Broken), Some("t3"));
    assert_eq!(drive.state.phase, Phase::Failed);
    assert_eq!(
        drive.state.ended_because,
        format!("not ready in time: {why}")
    );
    assert!(!drive.state.failed);
    drive.verified();
}

#[test]
fn the_deadline_of_the_probe_begins_anew_with_each_answer_that_it_is_up() {
    let hook = json!([{"name": "load", "type": "pre-rollout", "url": "http://a.example/"}]);
    let plan = json!({"progressDeadline": "60s", "analysis": {"webhooks": hook}});
    let mut drive = Drive::new(plan);
    drive.until(Mood::Healthy, "t2");
    for _ in 0..5 {
        assert_eq!(drive.tick(Mood::Broken), None);
    }
    drive.tick(Mood::Healthy);
    let why = "webhook load (pre-rollout) has not answered yet";
    assert_eq!(told(&drive), (Verdict::Inconclusive, why));
    // A webhook that says "wait" is waited for.
    drive.answer("load", HookAnswer::Wait);
    for _ in 0..20 {
        assert_ne!(drive.tick(Mood::Healthy), Some("t3"));
        assert!(
            told(&drive).1.starts_with("webhook load"),
            "{:?}",
            told(&drive)
        );
    }
    for _ in 0..5 {
        assert_eq!(drive.tick(Mood::Broken), None);
    }
    assert_eq!(drive.tick(Mood::Broken), Some("t3"));
}

#[test]
fn a_source_that_cannot_be_asked_is_an_error_before_the_first_share_too() {
    let mut drive = Drive::new(json!({}));
    drive.tick(Mood::Down);
    assert_eq!(drive.state.phase, Phase::Pending);
    assert_eq!(told(&drive), (Verdict::Error, "connect: refused"));
    drive.until(Mood::Healthy, "t2");
    drive.tick(Mood::Down);
    assert_eq!(drive.state.phase, Phase::Preflight);
    // No fault of the candidate's, however long it lasts.
    for _ in 0..100 {
        assert_ne!(drive.tick(Mood::Down), Some("t3"));
        assert_eq!(told(&drive), (Verdict::Error, "connect: refused"));
    }
    assert_eq!(drive.tick(Mood::Healthy), Some("t5"));
}

#[test]
fn what_is_refused_is_none_of_the_choices() {
    let mut drive = Drive::new(json!({"promotion": {"gate": "go"}}));
    drive.until(Mood::Healthy, "t5");
    let nosuch = Verb::Gate {
        gate: "nosuch".to_owned(),
        open: true,
    };
    let illegal = drive.verb(nosuch).unwrap_err();
    assert!(!illegal.legal.contains(&"gate"), "{illegal:?}");
    assert!(illegal.legal.contains(&"abort"), "{illegal:?}");
}
