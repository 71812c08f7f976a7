//! Which verb may be used when, what it does, and what is told to who may not.

use serde_json::json;

use super::{
    drive::{Drive, plan},
    source::Mood,
};
use crate::rollout::{
    event::{HookAnswer, Undo, Verb},
    machine::legal,
    state::{PauseReason, Phase, Sub},
};

const EVERYTHING: [&str; 9] = [
    "pause",
    "resume",
    "promote",
    "promote full",
    "abort",
    "undo",
    "retry",
    "skip-step",
    "gate",
];

fn verb(word: &str) -> Verb {
    match word {
        "pause" => Verb::Pause { suspend: false },
        "resume" => Verb::Resume,
        "promote" => Verb::Promote { full: false },
        "promote full" => Verb::Promote { full: true },
        "abort" => Verb::Abort,
        "undo" => Verb::Undo(Undo {
            since_end_ms: 0,
            traffic_unchanged: true,
        }),
        "retry" => Verb::Retry,
        "skip-step" => Verb::SkipStep,
        _ => Verb::Gate {
            gate: "go".to_owned(),
            open: true,
        },
    }
}

fn gated() -> serde_json::Value {
    json!({
        "steps": [{"weight": 1, "gate": "go"}, {"weight": 5}],
        "promotion": {"gate": "confirm-promotion", "stepWeight": 50},
        "analysis": {"webhooks": [{"name": "ok", "type": "confirm-rollout", "url": "http://a.example"}]},
    })
}

/// A rollout in each phase, and the verbs that may be used there.
fn everywhere() -> Vec<(Drive, Vec<&'static str>)> {
    let open = |gate: &str| Verb::Gate {
        gate: gate.to_owned(),
        open: true,
    };
    let mut all = Vec::new();
    let mut drive = Drive::new(gated());
    all.push((drive.clone(), vec!["abort", "gate"]));
    drive.until(Mood::Healthy, "t2");
    assert_eq!(drive.state.phase, Phase::WaitingRollout);
    all.push((drive.clone(), vec!["abort", "gate", "promote"]));
    drive.answer("ok", HookAnswer::Yes);
    drive.until(Mood::Healthy, "t4");
    all.push((drive.clone(), vec!["abort", "gate", "pause"]));
    drive.until(Mood::Healthy, "t6");
    let in_step = vec!["abort", "gate", "pause", "promote full", "skip-step"];
    all.push((drive.clone(), in_step));
    drive.tick(Mood::Healthy);
    drive.tick(Mood::Healthy);
    assert_eq!(drive.state.phase, Phase::Progressing(Sub::Gated));
    let at_gate = vec![
        "abort",
        "gate",
        "pause",
        "promote",
        "promote full",
        "skip-step",
    ];
    all.push((drive.clone(), at_gate));
    let mut paused = drive.clone();
    paused.verb(verb("pause")).unwrap();
    let by_hand = vec![
        "abort",
        "gate",
        "pause",
        "promote",
        "promote full",
        "resume",
    ];
    all.push((paused.clone(), by_hand));
    paused.verb(Verb::Pause { suspend: true }).unwrap();
    all.push((paused, vec!["abort", "gate", "pause", "resume"]));
    let mut ended = drive.clone();
    ended.verb(Verb::Abort).unwrap();
    all.push((ended, vec!["retry"]));
    drive.verb(open("go")).unwrap();
    drive.until(Mood::Healthy, "t7").until(Mood::Healthy, "t7");
    assert_eq!(drive.state.phase, Phase::WaitingPromotion);
    let waiting = vec!["abort", "gate", "pause", "promote", "promote full"];
    all.push((drive.clone(), waiting));
    drive.verb(open("confirm-promotion")).unwrap();
    drive.until(Mood::Healthy, "t17a");
    all.push((
        drive.clone(),
        vec!["abort", "gate", "pause", "promote full"],
    ));
    drive.until(Mood::Healthy, "t17");
    all.push((drive.clone(), vec!["abort", "gate", "pause", "undo"]));
    let mut paused = drive.clone();
    paused.verb(verb("pause")).unwrap();
    let in_bake = vec!["abort", "gate", "pause", "promote", "resume", "undo"];
    all.push((paused, in_bake));
    drive.until(Mood::Healthy, "t18");
    all.push((drive.clone(), vec!["undo"]));
    let mut frozen = Drive::in_step(json!({"onFail": "freeze"}), 0);
    frozen.until(Mood::Harmful, "t9");
    all.push((frozen, vec!["abort", "retry"]));
    let mut failed = Drive::in_step(json!({}), 0);
    failed.until(Mood::Harmful, "t9");
    all.push((failed, vec!["retry"]));
    all
}

#[test]
fn a_verb_works_where_it_is_legal_and_elsewhere_names_those_that_are() {
    for (drive, expected) in everywhere() {
        let phase = drive.state.phase;
        let mut told = legal(&drive.state);
        told.sort_unstable();
        assert_eq!(told, expected, "{phase:?}");
        for word in EVERYTHING {
            let mut tried = drive.clone();
            match tried.verb(verb(word)) {
                Ok(_) => assert!(expected.contains(&word), "{word} in {phase:?}"),
                Err(illegal) => {
                    assert!(!expected.contains(&word), "{word} in {phase:?}: {illegal}");
                    assert_eq!(illegal.verb, word);
                    assert!(illegal.why.contains(phase.word()), "{illegal}");
                    assert_eq!(tried.state, drive.state);
                }
            }
            tried.verified();
        }
    }
}

#[test]
fn an_abort_works_from_everywhere_and_gives_the_traffic_back() {
    for (mut drive, _) in everywhere() {
        if drive.state.phase.is_terminal() {
            continue;
        }
        let moved = drive.verb(Verb::Abort).unwrap();
        assert!(matches!(moved, Some("t10" | "t19")), "{moved:?}");
        assert_eq!(drive.state.phase, Phase::Aborted);
        assert_eq!(drive.traffic().weights["gpt"], 66.67);
        assert_eq!(drive.traffic().weights["llama"], 33.33);
        assert_eq!(drive.traffic().rollout, None);
    }
}

#[test]
fn promote_passes_once_what_it_waits_for() {
    let mut drive = Drive::new(gated());
    drive.until(Mood::Healthy, "t2");
    assert_eq!(drive.verb(verb("promote")).unwrap(), Some("t4"));
    drive.until(Mood::Healthy, "t6");
    drive.tick(Mood::Healthy);
    drive.tick(Mood::Healthy);
    assert_eq!(drive.verb(verb("promote")).unwrap(), Some("t7"));
    assert!(drive.state.manual);
    drive.until(Mood::Healthy, "t7");
    drive.tick(Mood::Unclear);
    let illegal = drive.verb(verb("promote")).unwrap_err();
    assert!(illegal.why.contains("no pass"), "{illegal}");
    drive.tick(Mood::Healthy);
    assert_eq!(drive.verb(verb("promote")).unwrap(), Some("t17a"));
    drive.verified();
}

#[test]
fn promote_full_goes_to_the_bake_at_once_and_never_after_a_failure() {
    let mut drive = Drive::in_step(gated(), 0);
    assert_eq!(drive.verb(verb("promote full")).unwrap(), Some("t21"));
    assert_eq!(
        (drive.state.share, drive.state.phase),
        (99.0, Phase::Baking(Sub::Applying))
    );
    drive.until(Mood::Healthy, "t18").verified();
    let mut drive = Drive::in_step(json!({}), 0);
    drive.verb(Verb::Pause { suspend: true }).unwrap();
    drive.tick(Mood::Harmful);
    drive.verb(Verb::Resume).unwrap();
    for word in ["promote full", "skip-step"] {
        let illegal = drive.verb(verb(word)).unwrap_err();
        assert!(illegal.why.contains("has failed"), "{illegal}");
    }
}

#[test]
fn a_skipped_step_is_not_passed() {
    let mut drive = Drive::in_step(json!({"onFail": "stepBack"}), 0);
    assert_eq!(drive.verb(Verb::SkipStep).unwrap(), Some("t21"));
    assert_eq!((drive.state.share, drive.state.passed), (5.0, None));
    drive.until(Mood::Healthy, "t6");
    drive.tick(Mood::Healthy);
    assert_eq!(drive.clone().tick(Mood::Harmful), Some("t9"));
    assert_eq!(drive.verb(Verb::SkipStep).unwrap(), Some("t21"));
    drive.until(Mood::Healthy, "t6");
    assert!(
        drive.verb(Verb::SkipStep).is_err(),
        "the last share is not warm yet"
    );
    drive.tick(Mood::Healthy);
    assert_eq!(drive.verb(Verb::SkipStep).unwrap(), Some("t21"));
    assert_eq!(
        (drive.state.share, drive.state.phase),
        (25.0, Phase::WaitingPromotion)
    );
    assert!(drive.verb(Verb::SkipStep).is_err());
    drive.verified();
}

#[test]
fn a_retry_is_a_rollout_of_its_own() {
    let mut drive = Drive::in_step(json!({"onFail": "freeze"}), 0);
    drive.until(Mood::Harmful, "t9");
    assert_eq!(drive.verb(Verb::Retry).unwrap(), None);
    let same = drive.state.plan.clone();
    assert_eq!(drive.start(&same, "c0ffee", true).unwrap(), "superseded");
    assert_eq!(
        (drive.state.phase, drive.state.failed),
        (Phase::Pending, false)
    );
    drive.until(Mood::Healthy, "t5").verb(Verb::Abort).unwrap();
    assert_eq!(drive.start(&same, "c0ffee", true).unwrap(), "t1");
    drive.verified();
    // A changed plan does not clear a failure either.
    let mut drive = Drive::in_step(json!({"onFail": "freeze"}), 0);
    drive.until(Mood::Harmful, "t9");
    let changed = plan(&json!({"onFail": "freeze", "promotion": {"bake": "1s"}}));
    assert_eq!(
        drive.start(&changed, "c0ffee", false).unwrap(),
        "superseded"
    );
}

#[test]
fn a_gate_is_one_that_the_plan_names() {
    let mut drive = Drive::in_step(gated(), 0);
    let gate = |gate: &str, open| Verb::Gate {
        gate: gate.to_owned(),
        open,
    };
    assert_eq!(drive.verb(gate("go", true)).unwrap(), Some("gate"));
    assert_eq!(drive.verb(gate("go", true)).unwrap(), None);
    assert_eq!(drive.verb(gate("go", false)).unwrap(), Some("gate"));
    let illegal = drive.verb(gate("stop", true)).unwrap_err();
    assert!(illegal.why.contains("go, confirm-promotion"), "{illegal}");
    drive.verified();
}

#[test]
fn who_resumes_past_a_metric_that_pauses_is_not_stopped_by_it_again() {
    let with = json!({"analysis": {"metrics": [{"name": "errors"}, {"name": "cost", "mode": "pauseOnly"}]}});
    let mut drive = Drive::in_step(with, 0);
    assert_eq!(drive.tick(Mood::Costly), Some("t8"));
    assert_eq!(drive.state.pause_reasons, [PauseReason::Inconclusive]);
    assert_eq!(drive.tick(Mood::Costly), None);
    assert_eq!(drive.clone().tick(Mood::Healthy), Some("t15"));
    assert_eq!(drive.verb(Verb::Resume).unwrap(), Some("t15"));
    assert_eq!(drive.tick(Mood::Costly), Some("t7"));
    drive.verified();
}

#[test]
fn after_a_pause_at_a_gate_all_but_the_gate_has_to_be_seen_once_more() {
    let mut drive = Drive::in_step(gated(), 0);
    drive.tick(Mood::Healthy);
    assert_eq!(drive.state.phase, Phase::Progressing(Sub::Gated));
    drive.verb(verb("pause")).unwrap();
    drive.tick(Mood::Unclear);
    drive.verb(Verb::Resume).unwrap();
    assert!(drive.verb(verb("promote")).is_err());
    drive.tick(Mood::Healthy);
    assert_eq!(drive.verb(verb("promote")).unwrap(), Some("t7"));
}

#[test]
fn a_pause_in_another_pause_is_one_more_reason() {
    let mut drive = Drive::in_step(json!({"analysis": {"onProviderError": "pause"}}), 0);
    drive.until(Mood::Down, "t8");
    assert_eq!(drive.verb(verb("pause")).unwrap(), Some("t22"));
    assert_eq!(drive.verb(verb("pause")).unwrap(), None);
    assert_eq!(drive.tick(Mood::Healthy), Some("t15"));
    assert_eq!(drive.state.pause_reasons, [PauseReason::User]);
    assert_eq!(drive.tick(Mood::Healthy), None);
    assert_eq!(drive.verb(verb("promote")).unwrap(), Some("t14"));
    drive.verified();
}
