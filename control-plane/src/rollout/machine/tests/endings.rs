//! Each transition of rollout.md 4.4 from T9 on: taken when it may be, and not before.

use serde_json::json;

use super::{
    drive::{Drive, plan},
    source::Mood,
};
use crate::{
    analysis::judge::Guard,
    rollout::{
        event::{Event, Undo, Verb},
        machine::{Refused, Wanted, wanted},
        state::{PauseReason, Phase, Sub},
    },
};

#[rustfmt::skip]
#[test]
fn t9_does_about_harm_what_the_plan_says() {
    for (word, share, phase) in [("rollback", 0.0, Phase::Failed), ("stepBack", 1.0, Phase::Paused), ("freeze", 5.0, Phase::Paused)] {
        let mut drive = Drive::in_step(json!({"onFail": word}), 1);
        assert_eq!(drive.tick(Mood::Harmful), Some("t9"), "{word}");
        assert_eq!((drive.state.share, drive.state.phase), (share, phase), "{word}");
        assert!(drive.state.failed);
        if phase == Phase::Paused {
            assert_eq!(drive.state.pause_reasons, [PauseReason::Frozen]);
            for _ in 0..20 {
                let moved = drive.tick(Mood::Healthy);
                assert!(matches!(moved, None | Some("t6" | "checkpoint")), "{moved:?}");
            }
            assert_eq!(drive.tick(Mood::Broken), Some("t11"), "guards act even so");
        }
        drive.verified();
    }
    let mut drive = Drive::in_step(json!({"onFail": "stepBack"}), 0);
    assert_eq!(drive.tick(Mood::Harmful), Some("t9"));
    assert_eq!(drive.state.share, 0.0, "no step was passed");
}

#[test]
fn t11_guards_act_in_every_active_phase_warming_paused_and_suspended_too() {
    let mut drive = Drive::new(json!({}));
    drive.until(Mood::Healthy, "t6");
    let mut warming = drive.clone();
    assert_eq!(warming.tick(Mood::Broken), Some("t11"));
    let told = warming
        .history
        .last()
        .and_then(|record| record.verdict.clone());
    assert_eq!(told.map(|told| told.kind.as_str()), Some("fail"));
    let mut seen = 0;
    for _ in 0..40 {
        drive.tick(Mood::Healthy);
        let is_exposed = drive.state.exposure_start_ms > 0 && !drive.state.phase.is_terminal();
        for suspend in [false, true] {
            let mut paused = drive.clone();
            if is_exposed && paused.verb(Verb::Pause { suspend }).is_ok() {
                assert_eq!(
                    paused.tick(Mood::Broken),
                    Some("t11"),
                    "{:?}",
                    drive.state.phase
                );
                assert_eq!(paused.state.guard, Some(Guard::BreakerOpen));
                assert_eq!(paused.state.phase, Phase::Failed);
                paused.verified();
                seen += 1;
            }
        }
    }
    assert!(seen > 10, "{seen}");
    let target = "gpt".to_owned();
    let mut drive = Drive::in_step(json!({}), 1);
    let moved = drive.event(&Event::Redefined { target }).unwrap();
    assert_eq!(
        (moved, drive.state.guard),
        (Some("t11"), Some(Guard::DefinitionChanged))
    );
}

#[test]
fn t12_another_candidate_takes_the_place_in_one_go() {
    let mut drive = Drive::in_step(json!({}), 1);
    let seq = drive.state.seq;
    let other = plan(&json!({"candidate": "gemini"}));
    assert_eq!(drive.start(&other, "beef", false).unwrap(), "superseded");
    let [.., old, new] = &drive.history[..] else {
        panic!("two records")
    };
    assert_eq!(
        (old.transition.as_str(), old.to, old.seq),
        ("t12", Phase::Superseded, seq + 1)
    );
    assert_eq!(
        (new.transition.as_str(), new.to, new.seq),
        ("t1", Phase::Pending, seq + 2)
    );
    assert_eq!(
        drive
            .traffic()
            .weights
            .get("claude")
            .copied()
            .unwrap_or_default(),
        0.0
    );
    assert_eq!(drive.traffic().weights["gpt"], 66.67);
    assert_eq!(drive.traffic().canary, "gemini");
    assert_eq!(
        (drive.state.cursor_ms, drive.state.salt.as_str()),
        (0, "salt-2")
    );
    drive.until(Mood::Healthy, "t18").verified();
    // The same candidate, defined otherwise.
    let mut drive = Drive::in_step(json!({}), 1);
    assert_eq!(
        drive.start(&plan(&json!({})), "0ther", false).unwrap(),
        "superseded"
    );
    assert_eq!(drive.state.settle_ms, 60_000);
    // One of the stable targets.
    let stable = plan(&json!({"candidate": "gpt"}));
    let refused = drive.start(&stable, "x", false).unwrap_err();
    assert_eq!(refused, Refused::CandidateIsStable("gpt".to_owned()));
    drive.verified();
}

#[test]
fn t13_a_changed_plan_holds_from_the_next_step_on() {
    let mut drive = Drive::in_step(json!({}), 0);
    assert_eq!(
        drive.start(&plan(&json!({})), "c0ffee", false).unwrap(),
        "same"
    );
    let changed = plan(&json!({"steps": [{"weight": 1}, {"weight": 10}, {"weight": 20}]}));
    assert_eq!(drive.start(&changed, "c0ffee", false).unwrap(), "t13");
    assert_eq!(drive.start(&changed, "c0ffee", false).unwrap(), "same");
    assert_eq!(
        (drive.state.share, drive.state.rollout_id.as_str()),
        (1.0, "rollout-1")
    );
    assert_eq!(drive.tick(Mood::Healthy), Some("t7"));
    assert_eq!((drive.state.share, drive.state.step), (10.0, Some(1)));
    assert_eq!(drive.state.plan, changed);
    let fixed = plan(&json!({"analysis": {"alpha": 0.5}}));
    assert!(matches!(
        drive.start(&fixed, "c0ffee", false),
        Err(Refused::Invalid(_))
    ));
    let anew = plan(&json!({"planPolicy": "restart"}));
    assert_eq!(drive.start(&anew, "c0ffee", false).unwrap(), "superseded");
    drive.until(Mood::Healthy, "t18").verified();
}

#[test]
fn t14_and_t22_a_pause_stops_the_clocks_and_not_the_analysis() {
    let mut drive = Drive::in_step(json!({"steps": [{"weight": 1, "minDuration": "600s"}]}), 0);
    let exposure_ms = drive.state.clocks.exposure_ms;
    assert_eq!(
        drive.verb(Verb::Pause { suspend: false }).unwrap(),
        Some("t22")
    );
    for _ in 0..9 {
        assert_eq!(drive.tick(Mood::Healthy), None);
    }
    assert_eq!(drive.state.clocks.exposure_ms, exposure_ms);
    assert_eq!(drive.state.cursor_ms, drive.at * 1_000);
    assert_eq!(drive.state.share, 1.0);
    assert_eq!(drive.verb(Verb::Resume).unwrap(), Some("t14"));
    assert_eq!(drive.state.phase, Phase::Progressing(Sub::Analysing));
    drive.verb(Verb::Pause { suspend: false }).unwrap();
    assert_eq!(
        drive.tick(Mood::Harmful),
        Some("t9"),
        "a pause protects nobody from harm"
    );
    drive.verified();
}

#[test]
fn suspended_only_guards_act_and_a_failure_is_not_forgotten() {
    let with = json!({"analysis": {"blindMax": "60s"}});
    let mut drive = Drive::in_step(with, 1);
    drive.verb(Verb::Pause { suspend: true }).unwrap();
    for mood in [Mood::Harmful, Mood::Healthy, Mood::Quiet] {
        assert_eq!(drive.tick(mood), None);
    }
    for _ in 0..12 {
        let moved = drive.tick(Mood::Down);
        assert!(matches!(moved, None | Some("checkpoint")), "{moved:?}");
    }
    assert_eq!(drive.state.share, 5.0);
    assert_eq!(drive.verb(Verb::Resume).unwrap(), Some("t22"));
    assert_eq!(drive.tick(Mood::Healthy), Some("t9"));
    drive.verified();
}

#[test]
fn t16_blind_too_long_goes_back_to_the_last_passed_share_and_does_the_step_anew() {
    let mut drive = Drive::in_step(json!({"analysis": {"blindMax": "100s"}}), 2);
    assert_eq!(drive.state.share, 25.0);
    drive.until(Mood::Down, "t8").until(Mood::Down, "t16");
    assert_eq!(drive.state.share, 5.0);
    let both = [PauseReason::MetricsUnavailable, PauseReason::Blind];
    assert_eq!(drive.state.pause_reasons, both);
    assert_eq!(drive.tick(Mood::Down), None);
    assert_eq!(drive.tick(Mood::Healthy), Some("t6"));
    assert_eq!(drive.tick(Mood::Healthy), Some("t15"));
    assert_eq!(drive.state.share, 25.0);
    assert_eq!(drive.state.phase, Phase::Progressing(Sub::Applying));
    assert_eq!(drive.tick(Mood::Healthy), Some("t6"));
    drive.verified();
    // Without a passed step nothing is left; what is inconclusive is not blind.
    let mut drive = Drive::in_step(json!({"analysis": {"blindMax": "100s"}}), 0);
    for _ in 0..30 {
        assert_ne!(drive.tick(Mood::Unclear), Some("t16"));
    }
    drive.until(Mood::Down, "t16");
    assert_eq!(drive.state.share, 0.0);
    assert_eq!(wanted(&drive.state, true), Wanted::Check);
    assert_eq!(drive.tick(Mood::Healthy), Some("t15"));
    assert_eq!(drive.state.share, 1.0);
    drive.verified();
}

#[test]
fn t17a_rises_to_the_promotion_in_steps_of_its_own() {
    let with = json!({"steps": [{"weight": 50}], "promotion": {"stepWeight": 20}});
    let mut drive = Drive::in_step(with, 0);
    let mut shares = Vec::new();
    for _ in 0..40 {
        if let Some(name @ ("t17a" | "t17" | "t18")) = drive.tick(Mood::Healthy) {
            shares.push((name, drive.state.share));
        }
    }
    let expected = [
        ("t17a", 70.0),
        ("t17a", 90.0),
        ("t17", 99.0),
        ("t18", 100.0),
    ];
    assert_eq!(shares, expected);
    drive.verified();
}

#[test]
fn t18_needs_a_pass_for_the_whole_bake_and_the_lease_is_off() {
    let mut drive = Drive::in_step(json!({"promotion": {"bake": "60s"}}), 2);
    assert_eq!(drive.tick(Mood::Healthy), Some("t17"));
    assert_eq!(
        (drive.state.share, drive.traffic().weights["claude"]),
        (99.0, 99.0)
    );
    assert_eq!(drive.traffic().rollout.as_ref().unwrap().exposure_ttl, "");
    assert_eq!(drive.tick(Mood::Healthy), Some("t6"));
    for _ in 0..5 {
        assert_eq!(drive.tick(Mood::Healthy), None);
    }
    assert_eq!(drive.tick(Mood::Unclear), None);
    assert_eq!(drive.tick(Mood::Healthy), Some("t18"));
    drive.verified();
}

#[test]
fn t19_and_t20_take_a_promotion_back_in_one_step() {
    let is_base = |drive: &Drive| {
        let traffic = drive.traffic();
        let weighted = traffic.weights.iter().filter(|(_, weight)| **weight > 0.0);
        let weighted: Vec<(&str, f64)> = weighted.map(|(name, w)| (name.as_str(), *w)).collect();
        weighted == [("gpt", 66.67), ("llama", 33.33)] && traffic.canary.is_empty()
    };
    let mut baking = Drive::in_step(json!({"onFail": "freeze"}), 2);
    baking
        .until(Mood::Healthy, "t17")
        .until(Mood::Healthy, "t6");
    baking.tick(Mood::Healthy);
    let mut failed = baking.clone();
    assert_eq!(failed.tick(Mood::Harmful), Some("t19"));
    assert!(is_base(&failed) && failed.state.phase == Phase::Failed);
    for verb in [Verb::Abort, Verb::Undo(Undo::default())] {
        let mut ended = baking.clone();
        assert_eq!(ended.verb(verb).unwrap(), Some("t19"));
        assert!(is_base(&ended) && ended.state.phase == Phase::Aborted);
        ended.verified();
    }
    baking.until(Mood::Healthy, "t18");
    let undo = |since_end_ms, traffic_unchanged| {
        Verb::Undo(Undo {
            since_end_ms,
            traffic_unchanged,
        })
    };
    assert!(
        baking
            .verb(undo(86_400_001, true))
            .unwrap_err()
            .why
            .contains("undoWindow")
    );
    assert!(
        baking
            .verb(undo(1, false))
            .unwrap_err()
            .why
            .contains("no longer")
    );
    assert_eq!(baking.verb(undo(1, true)).unwrap(), Some("t20"));
    assert!(is_base(&baking) && baking.state.phase == Phase::Succeeded);
    assert_eq!(baking.verb(undo(1, true)).unwrap_err().legal, [""; 0]);
    baking.verified();
}

#[test]
fn after_a_failure_not_even_a_resume_raises_the_share() {
    let mut drive = Drive::in_step(json!({"onFail": "freeze"}), 2);
    drive.event(&Event::Lowered { share: 3.0 }).unwrap();
    drive.verb(Verb::Pause { suspend: true }).unwrap();
    drive.until(Mood::Healthy, "t6");
    drive.tick(Mood::Healthy);
    drive.tick(Mood::Harmful);
    assert_eq!(drive.verb(Verb::Resume).unwrap(), Some("t14"));
    assert_eq!(drive.state.share, 3.0);
    assert_eq!(drive.tick(Mood::Healthy), Some("t9"));
    drive.verified();
}

#[test]
fn t21_a_share_lowered_by_hand_pauses_and_a_resume_does_the_step_anew() {
    let mut drive = Drive::in_step(json!({}), 2);
    assert_eq!(drive.event(&Event::Lowered { share: 30.0 }).unwrap(), None);
    assert_eq!(drive.event(&Event::Lowered { share: 0.0 }).unwrap(), None);
    assert_eq!(
        drive.event(&Event::Lowered { share: 3.0 }).unwrap(),
        Some("t21")
    );
    assert_eq!((drive.state.share, drive.state.manual), (3.0, true));
    assert_eq!(drive.state.pause_reasons, [PauseReason::User]);
    assert_eq!(
        drive.tick(Mood::Healthy),
        Some("t6"),
        "what is left is watched"
    );
    drive.tick(Mood::Healthy);
    assert_eq!(drive.clone().tick(Mood::Harmful), Some("t9"));
    assert_eq!(
        drive.event(&Event::Lowered { share: 2.0 }).unwrap(),
        Some("t21")
    );
    assert_eq!(drive.verb(Verb::Resume).unwrap(), Some("t14"));
    assert_eq!(
        (drive.state.share, drive.state.phase),
        (25.0, Phase::Progressing(Sub::Applying))
    );
    drive.until(Mood::Healthy, "t17");
    assert_eq!(
        drive.event(&Event::Lowered { share: 50.0 }).unwrap(),
        Some("t21")
    );
    assert_eq!(drive.verb(Verb::Resume).unwrap(), Some("t14"));
    assert_eq!(
        (drive.state.share, drive.state.phase),
        (99.0, Phase::Baking(Sub::Applying))
    );
    drive.until(Mood::Healthy, "t18").verified();
}
