//! In each phase, what is waited for stands in words, and what a person could do.

use serde_json::{Value as Json, json};
use serin_proto::unit::Revision;

use crate::rollout::{
    event::{FleetSeen, Verb},
    explained,
    machine::tests::{drive::Drive, source::Mood},
    plan::Plan,
    state::{ByHand, Phase, Sub},
};

fn next(drive: &Drive) -> Json {
    let plan = Plan::compile(&drive.state.plan).unwrap();
    let fleet = (FleetSeen::default(), Revision(7));
    explained::whole(&drive.state, &plan, fleet, 0)["next"].clone()
}

fn text(drive: &Drive) -> String {
    next(drive)["text"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn before_the_first_share_it_says_what_is_missing_and_for_how_long_yet() {
    let mut drive = Drive::new(json!({"progressDeadline": "60s"}));
    drive.tick(Mood::Down);
    let expected = "1 % when it is ready: connect: refused; it fails in 50s";
    assert_eq!(text(&drive), expected);
    drive.until(Mood::Healthy, "t2");
    assert_eq!(text(&drive), "1 % when it is ready");
    drive.tick(Mood::Broken);
    let expected = "1 % when it is ready: claude is down, or its breaker open, on 2 of 3 \
                    routers; it fails in 50s";
    assert_eq!(text(&drive), expected);

    let hook = json!([{"name": "ok", "type": "confirm-rollout", "url": "http://a.example/"}]);
    let mut drive = Drive::new(json!({"analysis": {"webhooks": hook}}));
    drive.until(Mood::Healthy, "t2");
    assert_eq!(text(&drive), "1 % when webhook ok open");
}

#[test]
fn within_a_step_it_says_all_that_holds_the_next() {
    let hooks = json!([
        {"name": "load", "type": "rollout", "url": "http://a.example/"},
        {"name": "more", "type": "confirm-traffic-increase", "url": "http://a.example/"},
    ]);
    let plan = json!({
        "steps": [
            {"weight": 5, "minDuration": "60s", "minSamples": 900, "gate": "go-on"},
            {"weight": 25, "minDuration": "60s", "minSamples": 900, "certificate": true},
        ],
        "promotion": {"gate": "all"},
        "analysis": {"webhooks": hooks},
    });
    let mut drive = Drive::in_step(plan, 0);
    drive.state.hooks.clear();
    drive.state.clocks.exposure_ms = 10_000;
    drive.state.analysis.judged.canary.n = 100;
    let told = next(&drive);
    let expected = "25 % when: 900 samples of errors, 50s more, webhook load passed, \
                    webhook more open, gate closed";
    assert_eq!(told["text"], expected);
    assert_eq!(told["command"], "serin rollout gate chat go-on --open");

    drive.state.step = Some(1);
    let told = next(&drive);
    let expected = "99 % when: 900 samples of errors, 50s more, webhook load passed, gate closed";
    assert_eq!(told["text"], expected);
    assert_eq!(
        (&told["gate"], &told["share"]),
        (&json!("all"), &json!(99.0))
    );
    drive.state.phase = Phase::Progressing(Sub::Warming);
    assert!(
        text(&drive).starts_with("99 % when: it is warm, "),
        "{}",
        text(&drive)
    );
}

#[test]
fn a_pause_says_who_ends_it_and_an_end_who_made_it() {
    let mut drive = Drive::in_step(json!({}), 0);
    while drive.state.phase != Phase::Paused {
        drive.tick(Mood::Down);
    }
    let told = next(&drive);
    let by_itself = "it is paused: MetricsUnavailable; it goes on by itself when the metrics can \
                     be read again";
    assert_eq!(told["text"], by_itself);
    assert_eq!(told["command"], Json::Null, "nobody has to do anything");

    let by = |verb: &str, reason: &str| {
        Some(ByHand {
            verb: verb.to_owned(),
            by: "ada".to_owned(),
            reason: reason.to_owned(),
            at: String::new(),
        })
    };
    let mut drive = Drive::in_step(json!({}), 0);
    drive.verb(Verb::Pause { suspend: false }).unwrap();
    assert_eq!(text(&drive), "it is paused: User");
    drive.state.by_hand = by("pause", "lunch");
    assert_eq!(text(&drive), "it is paused: User by ada: lunch");
    assert_eq!(next(&drive)["command"], "serin rollout resume chat");
    drive.verb(Verb::Abort).unwrap();
    drive.state.by_hand = by("abort", "aborted by hand");
    assert_eq!(text(&drive), "aborted by ada");
    drive.state.by_hand = by("abort", "not today");
    assert_eq!(text(&drive), "aborted by ada: not today");
}
