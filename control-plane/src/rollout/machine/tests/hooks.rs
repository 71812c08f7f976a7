//! Webhooks and gates: who is asked when, and what an answer does.

use serde_json::{Value as Json, json};

use super::{drive::Drive, source::Mood};
use crate::{
    analysis::judge::Guard,
    rollout::{
        event::{Effect, Event, HookAnswer, Verb},
        state::{Phase, Sub},
    },
};

fn hooks(hooks: &[(&str, &str)]) -> Json {
    let hook = |(name, kind): &(&str, &str)| json!({"name": name, "type": kind, "url": "http://a.example"});
    let hooks: Vec<Json> = hooks.iter().map(hook).collect();
    json!({"analysis": {"webhooks": hooks}})
}

/// Numbers of the questions that the newest step asks, by webhook.
fn asked(drive: &Drive) -> Vec<(usize, u32)> {
    let effects = drive.effects.iter();
    effects
        .filter_map(|effect| match effect {
            Effect::Ask { webhook, n } => Some((*webhook, *n)),
            Effect::Deliver { .. } => None,
        })
        .collect()
}

#[test]
fn a_question_keeps_its_number_until_it_is_answered() {
    let mut drive = Drive::new(hooks(&[("ok", "confirm-rollout")]));
    drive.until(Mood::Healthy, "t2");
    let first = asked(&drive);
    assert_eq!(first.len(), 1);
    let seq = drive.state.hooks["ok"].seq;
    drive.tick(Mood::Healthy);
    assert_eq!(asked(&drive), first);
    assert_eq!(drive.state.hooks["ok"].seq, seq);
    drive.answer("ok", HookAnswer::No);
    assert!(asked(&drive).is_empty(), "ticks ask");
    drive.tick(Mood::Healthy);
    assert!(asked(&drive)[0].1 > first[0].1);
    // An answer to the first question comes too late.
    let late = Event::Hook {
        name: "ok".to_owned(),
        n: first[0].1,
        answer: HookAnswer::Yes,
    };
    drive.event(&late).unwrap();
    assert_eq!(drive.tick(Mood::Healthy), None);
    drive.answer("ok", HookAnswer::Yes);
    assert_eq!(drive.tick(Mood::Healthy), Some("t4"));
    drive.verified();
}

#[test]
fn all_webhooks_of_a_gate_must_say_yes() {
    let mut drive = Drive::new(hooks(&[("a", "confirm-rollout"), ("b", "confirm-rollout")]));
    drive.until(Mood::Healthy, "t2");
    drive.answer("a", HookAnswer::Yes);
    for answer in [HookAnswer::No, HookAnswer::Wait, HookAnswer::Unanswered] {
        drive.answer("b", answer);
        assert_eq!(drive.tick(Mood::Healthy), None);
        assert_eq!(
            drive.state.counters.failed_checks.len(),
            0,
            "a closed gate is no failure"
        );
    }
    drive.answer("b", HookAnswer::Yes);
    assert_eq!(drive.tick(Mood::Healthy), Some("t4"));
}

#[test]
fn preflight_waits_for_its_webhooks_and_fails_at_the_threshold() {
    let with = hooks(&[
        ("smoke", "pre-rollout"),
        ("more", "confirm-traffic-increase"),
    ]);
    let mut drive = Drive::new(with);
    drive.until(Mood::Healthy, "t2");
    drive.answer("smoke", HookAnswer::Yes);
    assert_eq!(drive.tick(Mood::Healthy), None);
    assert_eq!(asked(&drive).len(), 1, "it has passed");
    let mut opened = drive.clone();
    opened.answer("more", HookAnswer::Yes);
    assert_eq!(opened.tick(Mood::Healthy), Some("t5"));
    let mut failing = Drive::new(hooks(&[("smoke", "pre-rollout")]));
    failing.until(Mood::Healthy, "t2");
    for answer in [
        HookAnswer::No,
        HookAnswer::Unanswered,
        HookAnswer::Wait,
        HookAnswer::No,
        HookAnswer::No,
    ] {
        assert_eq!(failing.answer("smoke", answer), None);
        failing.tick(Mood::Healthy);
    }
    assert_eq!(failing.answer("smoke", HookAnswer::No), Some("t9"));
    assert_eq!(failing.state.phase, Phase::Failed);
    failing.verified();
}

#[test]
fn a_load_test_is_asked_at_each_tick_and_its_failures_count_within_a_step() {
    let mut drive = Drive::in_step(hooks(&[("load", "rollout")]), 0);
    drive.tick(Mood::Unclear);
    assert_eq!(asked(&drive).len(), 1);
    for _ in 0..4 {
        assert_eq!(drive.answer("load", HookAnswer::No), None);
        assert_eq!(drive.tick(Mood::Healthy), None, "a failed check holds");
    }
    drive.answer("load", HookAnswer::Wait);
    assert_eq!(
        drive.tick(Mood::Healthy),
        None,
        "wait holds, and is not counted"
    );
    drive.answer("load", HookAnswer::Yes);
    assert_eq!(drive.tick(Mood::Healthy), Some("t7"));
    assert!(
        drive.state.counters.failed_checks.is_empty(),
        "counted per step"
    );
    drive.until(Mood::Healthy, "t6");
    drive.tick(Mood::Healthy);
    assert_eq!(
        drive.tick(Mood::Healthy),
        None,
        "it has to pass in this step"
    );
    for _ in 0..4 {
        drive.answer("load", HookAnswer::Unanswered);
        drive.tick(Mood::Healthy);
    }
    assert_eq!(drive.answer("load", HookAnswer::Unanswered), Some("t9"));
    drive.verified();
}

#[test]
fn an_increase_is_confirmed_each_time_and_after_the_last_step_no_more() {
    let with = hooks(&[("more", "confirm-traffic-increase")]);
    let mut drive = Drive::in_step(with, 0);
    assert_eq!(drive.tick(Mood::Healthy), None);
    assert_eq!(drive.state.phase, Phase::Progressing(Sub::Gated));
    assert_eq!(asked(&drive).len(), 1);
    drive.answer("more", HookAnswer::Yes);
    assert_eq!(drive.tick(Mood::Healthy), Some("t7"));
    drive.until(Mood::Healthy, "t6");
    drive.tick(Mood::Healthy);
    assert_eq!(drive.tick(Mood::Healthy), None, "closed again after use");
    drive.answer("more", HookAnswer::Yes);
    assert_eq!(drive.tick(Mood::Healthy), Some("t7"));
    drive.until(Mood::Healthy, "t17").verified();
}

#[test]
fn a_stored_gate_and_its_webhooks_must_both_be_open() {
    let mut with = hooks(&[
        ("more", "confirm-traffic-increase"),
        ("promote", "confirm-promotion"),
    ]);
    with["steps"] = json!([{"weight": 1, "gate": "confirm-traffic-increase"}, {"weight": 2}]);
    with["promotion"] = json!({"gate": "confirm-promotion"});
    let mut drive = Drive::in_step(with, 0);
    let set = |name: &str| Verb::Gate {
        gate: name.to_owned(),
        open: true,
    };
    drive.tick(Mood::Healthy);
    drive.answer("more", HookAnswer::Yes);
    assert_eq!(drive.tick(Mood::Healthy), None);
    drive.verb(set("confirm-traffic-increase")).unwrap();
    assert_eq!(drive.tick(Mood::Healthy), Some("t7"));
    assert!(
        !drive.state.gates["confirm-traffic-increase"].open,
        "closed after use"
    );
    drive.until(Mood::Healthy, "t7");
    assert_eq!(drive.state.phase, Phase::WaitingPromotion);
    drive.verb(set("confirm-promotion")).unwrap();
    drive.answer("promote", HookAnswer::No);
    assert_eq!(drive.tick(Mood::Healthy), None);
    drive.answer("promote", HookAnswer::Yes);
    assert_eq!(drive.tick(Mood::Unclear), None);
    assert_eq!(drive.tick(Mood::Healthy), Some("t17"));
    drive.verified();
}

#[test]
fn roll_back_now_is_obeyed_at_once_by_whomever_it_is_said() {
    for kind in [
        "confirm-rollout",
        "pre-rollout",
        "rollout",
        "confirm-traffic-increase",
        "confirm-promotion",
        "rollback",
    ] {
        let mut drive = Drive::new(hooks(&[("it", kind)]));
        for _ in 0..60 {
            if drive.state.hooks.get("it").is_some_and(|hook| hook.asked) {
                break;
            }
            drive.tick(Mood::Healthy);
        }
        let answer = if kind == "rollback" {
            HookAnswer::Yes
        } else {
            HookAnswer::Rollback
        };
        assert_eq!(drive.answer("it", answer), Some("t11"), "{kind}");
        assert_eq!(drive.state.guard, Some(Guard::Webhook));
        assert_eq!(drive.state.phase, Phase::Failed);
        drive.verified();
    }
}

#[test]
fn the_rollback_webhook_is_asked_while_it_waits_and_while_it_is_suspended() {
    let mut drive = Drive::new(hooks(&[("ok", "confirm-rollout"), ("back", "rollback")]));
    drive.until(Mood::Healthy, "t2");
    assert_eq!(asked(&drive).len(), 2);
    assert_eq!(drive.answer("back", HookAnswer::No), None);
    drive.answer("ok", HookAnswer::Yes);
    drive.until(Mood::Healthy, "t6");
    drive.verb(Verb::Pause { suspend: true }).unwrap();
    drive.tick(Mood::Healthy);
    assert_eq!(drive.answer("back", HookAnswer::Yes), Some("t11"));
}

#[test]
fn a_query_out_of_its_range_counts_against_its_limit() {
    let metric = |name: &str, mode: &str, limit| json!({"name": name, "query": "up", "mode": mode, "failureLimit": limit, "thresholdRange": {"min": 1}});
    let with = json!({"analysis": {"metrics": [{"name": "errors"},
        metric("score", "enforce", 2), metric("asked", "pauseOnly", 1), metric("watched", "observe", 1)]}});
    let drive = Drive::in_step(with, 0);
    let told = |mood| {
        let mut drive = drive.clone();
        let told: Vec<Option<&str>> = (0..4).map(|_| drive.tick(mood)).collect();
        drive.verified();
        told
    };
    // A pass advances even beside a failed check, unless its limit is passed in this very step.
    let mut enforced = drive.clone();
    enforced.verb(Verb::Pause { suspend: false }).unwrap();
    let moves: Vec<_> = (0..3).map(|_| enforced.tick(Mood::Off("score"))).collect();
    assert_eq!(moves, [None, None, Some("t9")]);
    assert_eq!(told(Mood::Off("watched"))[0], Some("t7"));
    let mut paused = drive.clone();
    paused.tick(Mood::Unclear);
    paused.verb(Verb::Pause { suspend: false }).unwrap();
    paused.tick(Mood::Off("asked"));
    paused.verb(Verb::Resume).unwrap();
    assert_eq!(paused.tick(Mood::Off("asked")), Some("t8"));
}
