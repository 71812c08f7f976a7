//! What was said, counted or defined before does not act on what comes later.

use serde_json::{Value as Json, json};

use super::{
    drive::{Drive, plan},
    source::Mood,
};
use crate::{
    analysis::sample::Answered,
    rollout::{
        event::{HookAnswer, Reading, Verb},
        state::{PauseReason, Phase, Sub},
    },
};

fn hook(name: &str, kind: &str, url: &str) -> Json {
    json!({"analysis": {"webhooks": [{"name": name, "type": kind, "url": url}]}})
}

/// A tick whose window answers these queries.
fn answers(drive: &mut Drive, values: &[(&str, f64)]) -> Option<&'static str> {
    drive.at += 10;
    let Reading::Window(mut window) = drive.reading(Mood::Healthy) else {
        panic!("it wants a window")
    };
    for (name, value) in values {
        let value = Answered::Value(*value);
        window.queries.insert((*name).to_owned(), value);
    }
    drive.tick_with(Reading::Window(window))
}

/// A tick at which the source is no further than at the last.
fn nothing_new(drive: &mut Drive, mood: Mood) -> Option<&'static str> {
    drive.at += 10;
    let Reading::Window(mut window) = drive.reading(mood) else {
        panic!("it wants a window")
    };
    window.to = window.from;
    drive.tick_with(Reading::Window(window))
}

fn replan(drive: &mut Drive, with: &Json) {
    assert_eq!(drive.start(&plan(with), "c0ffee", false), Ok("t13"));
}

#[test]
fn a_webhook_that_opened_a_gate_is_asked_anew_when_something_else_held_meanwhile() {
    let with = hook("more", "confirm-traffic-increase", "http://a.example");
    let mut drive = Drive::in_step(with, 0);
    drive.tick(Mood::Healthy);
    drive.answer("more", HookAnswer::Yes);
    drive.tick(Mood::Unclear);
    assert_eq!(drive.tick(Mood::Healthy), None);
    assert_eq!(drive.state.phase, Phase::Progressing(Sub::Gated));
    drive.answer("more", HookAnswer::No);
    assert_eq!(drive.tick(Mood::Healthy), None);
    drive.verified();
    let with = hook("last", "confirm-promotion", "http://a.example");
    let mut drive = Drive::in_step(with, 2);
    drive.until(Mood::Healthy, "t7");
    drive.answer("last", HookAnswer::Yes);
    drive.verb(Verb::Pause { suspend: false }).unwrap();
    drive.tick(Mood::Healthy);
    drive.verb(Verb::Resume).unwrap();
    assert_eq!(drive.tick(Mood::Healthy), None);
    drive.answer("last", HookAnswer::Yes);
    assert_eq!(drive.tick(Mood::Healthy), Some("t17"));
    drive.verified();
}

#[test]
fn who_resumes_past_one_metric_is_still_stopped_by_another() {
    let with = json!({"analysis": {"metrics": [{"name": "errors"}, {"name": "cost", "mode": "pauseOnly"},
        {"name": "output-tokens", "maxRatio": 2, "mode": "pauseOnly"}]}});
    let mut drive = Drive::in_step(with, 0);
    let both = [("cost", 2.0), ("output-tokens", 2.0)];
    assert_eq!(answers(&mut drive, &both), Some("t8"));
    assert_eq!(drive.verb(Verb::Resume).unwrap(), Some("t15"));
    assert_eq!(answers(&mut drive, &both), Some("t8"));
    assert_eq!(drive.state.paused_for, "output-tokens");
    assert_eq!(drive.verb(Verb::Resume).unwrap(), Some("t15"));
    assert_eq!(answers(&mut drive, &both), Some("t7"));
    // So is a query that is out of its range: it holds until it pauses, and then nothing any more.
    let with = json!({"analysis": {"metrics": [{"name": "errors"},
        {"name": "asked", "query": "up", "mode": "pauseOnly", "failureLimit": 1, "thresholdRange": {"min": 1}}]}});
    let mut drive = Drive::in_step(with, 0);
    assert_eq!(answers(&mut drive, &[("asked", 0.0)]), None);
    assert_eq!(answers(&mut drive, &[("asked", 0.0)]), Some("t8"));
    assert_eq!(drive.verb(Verb::Resume).unwrap(), Some("t15"));
    assert_eq!(answers(&mut drive, &[("asked", 0.0)]), Some("t7"));
    drive.verified();
}

#[test]
fn flaggers_counting_pauses_at_the_threshold_where_it_may_only_pause() {
    let metric = json!({"name": "request-success-rate", "judge": "threshold", "mode": "pauseOnly", "thresholdRange": {"min": 99}});
    let mut drive = Drive::in_step(
        json!({"analysis": {"metrics": [metric], "threshold": 3}}),
        0,
    );
    let off = [("request-success-rate", 0.0)];
    assert_eq!(answers(&mut drive, &off), None);
    assert_eq!(answers(&mut drive, &off), None);
    assert_eq!(answers(&mut drive, &off), Some("t8"));
    assert_eq!(drive.state.pause_reasons, [PauseReason::Inconclusive]);
}

#[test]
fn a_plan_with_further_steps_is_not_promoted_past_them() {
    let gate = json!({"promotion": {"gate": "confirm-promotion"}});
    let mut drive = Drive::in_step(gate.clone(), 2);
    drive.until(Mood::Healthy, "t7");
    assert_eq!(drive.state.phase, Phase::WaitingPromotion);
    let mut more = gate;
    more["steps"] = json!([{"weight": 1}, {"weight": 5}, {"weight": 25}, {"weight": 75}]);
    let mut paused = drive.clone();
    paused.verb(Verb::Pause { suspend: false }).unwrap();
    replan(&mut paused, &more);
    paused.verb(Verb::Resume).unwrap();
    replan(&mut drive, &more);
    for mut drive in [drive, paused] {
        assert_eq!(drive.tick(Mood::Healthy), Some("t7"));
        assert_eq!((drive.state.share, drive.state.step), (75.0, Some(3)));
        drive.verified();
    }
}

#[test]
fn what_a_changed_plan_defines_otherwise_has_said_and_counted_nothing() {
    let with = |names: &[&str], url: &str, points: u32| {
        let mut metrics = vec![
            json!({"name": "errors"}),
            json!({"name": "ttft", "margin": {"points": points}}),
        ];
        metrics.extend(names.iter().map(|name| json!({"name": name, "query": "up", "failureLimit": 9, "thresholdRange": {"min": 1}})));
        json!({"analysis": {"metrics": metrics, "threshold": 3, "webhooks": [{"name": "last", "type": "confirm-promotion", "url": url}]}})
    };
    let (a, b) = ("http://a.example", "http://b.example");
    let both = ["score", "asked"];
    let mut drive = Drive::in_step(with(&both, a, 5), 2);
    drive.until(Mood::Healthy, "t7");
    answers(&mut drive, &[("score", 0.0), ("asked", 0.0)]);
    assert_eq!(drive.state.counters.failed_checks.len(), 2);
    drive.answer("last", HookAnswer::Yes);
    let mut fewer = drive.clone();
    replan(&mut fewer, &with(&["score"], a, 5));
    let counted: Vec<&String> = fewer.state.counters.failed_checks.keys().collect();
    assert_eq!(counted, ["score"]);
    assert_eq!(
        fewer.tick(Mood::Healthy),
        Some("t17"),
        "its webhook is the same"
    );
    let mut moved = drive.clone();
    replan(&mut moved, &with(&both, b, 5));
    assert_eq!(
        moved.tick(Mood::Healthy),
        None,
        "another webhook has not answered"
    );
    // Bounds of a redefined metric are read when an exposure begins.
    let mut redefined = drive.clone();
    replan(&mut redefined, &with(&both, a, 7));
    assert_eq!(redefined.state.phase, Phase::Progressing(Sub::Applying));
    assert_eq!(redefined.state.share, 25.0);
    let mut late = Drive::in_step(with(&both, a, 5), 2);
    replan(&mut late, &with(&both, a, 7));
    assert_eq!(late.tick(Mood::Healthy), Some("t7"));
    assert_eq!(late.state.phase, Phase::Progressing(Sub::Applying));
    for drive in [fewer, moved, redefined, late] {
        drive.verified();
    }
}

#[test]
fn while_the_source_has_nothing_new_guards_look_on_and_nobody_is_blind() {
    let mut drive = Drive::new(json!({"analysis": {"blindMax": "20s"}}));
    drive.until(Mood::Healthy, "t6");
    for _ in 0..6 {
        assert_eq!(nothing_new(&mut drive, Mood::Healthy), None);
    }
    assert_eq!(nothing_new(&mut drive.clone(), Mood::Broken), Some("t11"));
    // One that never goes on is as good as none.
    let is_blind = (0..40).any(|_| nothing_new(&mut drive, Mood::Healthy) == Some("t16"));
    assert!(is_blind, "{:?}", drive.state.clocks);
    drive.verified();
}

#[test]
fn a_pause_while_the_source_was_away_is_no_exposure() {
    let with = json!({"steps": [{"weight": 25, "minDuration": "600s"}], "analysis": {"consecutiveErrorLimit": 99}});
    let mut drive = Drive::in_step(with, 0);
    let exposure_ms = drive.state.clocks.exposure_ms;
    drive.tick(Mood::Down);
    drive.verb(Verb::Pause { suspend: false }).unwrap();
    for _ in 0..5 {
        drive.tick(Mood::Down);
    }
    drive.verb(Verb::Resume).unwrap();
    drive.tick(Mood::Healthy);
    assert_eq!(drive.state.clocks.exposure_ms, exposure_ms + 20_000);
    drive.verified();
}

#[test]
fn streams_of_an_older_definition_are_waited_for_whoever_came_between() {
    let mut drive = Drive::in_step(json!({}), 0);
    drive.verb(Verb::Abort).unwrap();
    drive.at += 10;
    assert_eq!(
        drive.start(&plan(&json!({"candidate": "gemini"})), "b", false),
        Ok("t1")
    );
    drive.verb(Verb::Abort).unwrap();
    drive.at += 10;
    assert_eq!(drive.start(&plan(&json!({})), "redefined", false), Ok("t1"));
    assert_eq!(drive.state.settle_ms, 40_000);
    drive.verb(Verb::Abort).unwrap();
    drive.at += 60;
    assert_eq!(drive.start(&plan(&json!({})), "once more", false), Ok("t1"));
    assert_eq!(drive.state.settle_ms, 0);
    drive.verified();
}
