//! Each transition of rollout.md 4.4 up to T8: taken when it may be, and not before.

use serde_json::json;

use super::{
    drive::{Drive, plan},
    source::Mood,
};
use crate::rollout::{
    event::{Reading, Verb},
    machine::{Refused, Wanted, wanted},
    state::{PauseReason, Phase, Sub},
};

const NOTHING: &[PauseReason] = &[];

#[test]
fn a_plan_without_gates_goes_from_start_to_success() {
    let mut drive = Drive::new(json!({}));
    assert_eq!(drive.state.phase, Phase::Pending);
    assert_eq!(drive.traffic().canary, "claude");
    assert_eq!(drive.traffic().weights["claude"], 0.0);
    let mut told = Vec::new();
    for _ in 0..60 {
        told.extend(drive.tick(Mood::Healthy));
    }
    let expected = ["t2", "t5", "t6", "t7", "t6", "t7", "t6", "t17", "t6", "t18"];
    told.retain(|name| *name != "checkpoint");
    assert_eq!(told, expected);
    assert_eq!(drive.state.phase, Phase::Succeeded);
    assert_eq!(drive.traffic().weights["claude"], 100.0);
    assert_eq!(drive.traffic().canary, "");
    assert_eq!(drive.traffic().fallback, ["gpt"]);
    drive.verified();
}

#[test]
fn t1_takes_a_candidate_that_serves_nobody_and_no_other() {
    let mut drive = Drive::new(json!({}));
    drive.verb(Verb::Abort).unwrap();
    let stable = plan(&json!({"candidate": "gpt"}));
    let refused = drive.start(&stable, "x", false).unwrap_err();
    assert_eq!(refused, Refused::CandidateIsStable("gpt".to_owned()));
    let unknown = plan(&json!({"candidate": "nobody", "steps": [{"weight": 0}]}));
    let Refused::Invalid(faults) = drive.start(&unknown, "x", false).unwrap_err() else {
        panic!("it was not invalid");
    };
    let codes: Vec<&str> = faults.iter().map(|fault| fault.code).collect();
    assert_eq!(codes, ["steps_do_not_rise", "unknown_target"]);

    // A canary set by hand may be rolled out; beside it no other.
    let traffic = drive.route.traffic.as_mut().unwrap();
    traffic.canary = "claude".to_owned();
    traffic.weights.insert("claude".to_owned(), 10.0);
    traffic.weights.insert("gpt".to_owned(), 56.67);
    let other = plan(&json!({"candidate": "gemini"}));
    let refused = drive.start(&other, "x", false).unwrap_err();
    assert_eq!(refused, Refused::OtherCanary("claude".to_owned()));
    assert_eq!(drive.start(&plan(&json!({})), "x", false).unwrap(), "t1");
    assert_eq!(drive.state.base_weights["gpt"], 62.97);
    drive.verified();
}

#[test]
fn t2_waits_for_routers_series_and_queries() {
    let mut drive = Drive::new(json!({}));
    drive.fleet.acked = 2;
    assert_eq!(drive.tick(Mood::Healthy), None);
    drive.fleet.acked = 3;
    assert_eq!(drive.tick(Mood::Down), None);
    assert_eq!(drive.tick(Mood::Mute), None);
    for (series, fault) in [(2, None), (3, Some("no such function"))] {
        let Reading::Checked(mut checked) = drive.reading(Mood::Healthy) else {
            panic!("it wants a check");
        };
        checked.canary_series_on = series;
        checked.faults.extend(fault.map(str::to_owned));
        drive.at += 10;
        assert_eq!(drive.tick_with(Reading::Checked(checked)), None);
    }
    drive.fleet.live = 0;
    assert_eq!(drive.tick(Mood::Healthy), None);
    drive.fleet.live = 3;
    drive.fleet.store_changed = true;
    assert_eq!(drive.tick(Mood::Healthy), None);
    drive.fleet.store_changed = false;
    assert_eq!(drive.tick(Mood::Healthy), Some("t2"));
    assert_eq!(drive.state.phase, Phase::Preflight);
}

#[test]
fn t3_ends_what_does_not_begin_in_time_and_says_what_was_missing() {
    let mut drive = Drive::new(json!({"progressDeadline": "30s"}));
    drive.fleet.acked = 1;
    assert_eq!(drive.tick(Mood::Healthy), None);
    assert_eq!(drive.tick(Mood::Healthy), None);
    assert_eq!(drive.tick(Mood::Healthy), Some("t3"));
    assert_eq!(drive.state.phase, Phase::Failed);
    assert_eq!(
        drive.state.ended_because,
        "not ready in time: 1 of 3 routers acknowledged"
    );
    assert!(!drive.state.failed);
}

#[test]
fn a_candidate_redefined_since_its_last_rollout_waits_until_its_old_streams_have_ended() {
    let mut drive = Drive::new(json!({}));
    drive.verb(Verb::Abort).unwrap();
    drive.at += 20;
    drive.start(&plan(&json!({})), "0ther", false).unwrap();
    assert_eq!(drive.state.settle_ms, 40_000);
    for _ in 0..3 {
        assert_eq!(drive.tick(Mood::Healthy), None);
    }
    assert_eq!(drive.tick(Mood::Healthy), Some("t2"));
    let mut same = Drive::new(json!({}));
    same.verb(Verb::Abort).unwrap();
    same.start(&plan(&json!({})), "c0ffee", false).unwrap();
    assert_eq!(same.state.settle_ms, 0);
}

#[test]
fn t5_waits_until_the_candidate_is_up() {
    let mut drive = Drive::new(json!({}));
    drive.until(Mood::Healthy, "t2");
    assert_eq!(drive.tick(Mood::Broken), None);
    assert_eq!(drive.tick(Mood::Down), None);
    assert_eq!(drive.tick(Mood::Healthy), Some("t5"));
    assert_eq!(drive.traffic().weights["claude"], 1.0);
    assert_eq!(
        drive.traffic().rollout.as_ref().unwrap().exposure_ttl,
        "60s"
    );
}

#[test]
fn t6_waits_for_all_routers_and_nothing_before_it_is_counted() {
    let mut drive = Drive::new(json!({}));
    drive.until(Mood::Healthy, "t5");
    drive.fleet.acked = 2;
    assert_eq!(wanted(&drive.state, drive.is_all_acked()), Wanted::Nothing);
    assert_eq!(drive.tick(Mood::Healthy), None);
    drive.fleet.acked = 3;
    assert_eq!(drive.tick(Mood::Down), None);
    assert_eq!(drive.tick(Mood::Healthy), Some("t6"));
    assert_eq!(drive.state.exposure_start_ms, drive.at * 1_000);
    assert_eq!(drive.state.cursor_ms, drive.at * 1_000);
    assert_eq!(drive.state.phase, Phase::Progressing(Sub::Warming));
    assert_eq!(drive.state.warmup_ms, 10_000);
    // Consumed, not judged.
    assert_eq!(drive.tick(Mood::Harmful), None);
    assert_eq!(drive.state.phase, Phase::Progressing(Sub::Analysing));
    assert_eq!(drive.tick(Mood::Harmful), Some("t9"));
}

#[test]
fn a_warm_up_is_as_long_as_the_stable_arm_needs() {
    let mut drive = Drive::new(json!({"analysis": {"warmup": ""}}));
    drive.until(Mood::Healthy, "t5");
    for (p99, expected) in [
        (Some(45_000), 45_000),
        (Some(600_000), 60_000),
        (None, 10_000),
    ] {
        let mut drive = drive.clone();
        drive.at += 10;
        let Reading::Opening(mut opening) = drive.reading(Mood::Healthy) else {
            panic!("it wants an opening");
        };
        opening.stable_p99_ms = p99;
        assert_eq!(drive.tick_with(Reading::Opening(opening)), Some("t6"));
        assert_eq!(drive.state.warmup_ms, expected);
    }
}

#[test]
fn t7_waits_for_a_pass_for_time_and_for_its_gate() {
    let with = json!({"steps": [{"weight": 1, "minDuration": "60s", "gate": "go"}, {"weight": 2}]});
    let mut drive = Drive::in_step(with, 0);
    for _ in 0..4 {
        assert_eq!(drive.tick(Mood::Healthy), None);
        assert_eq!(drive.state.phase, Phase::Progressing(Sub::Analysing));
    }
    assert_eq!(drive.tick(Mood::Healthy), None);
    assert_eq!(drive.state.phase, Phase::Progressing(Sub::Gated));
    assert_eq!(drive.tick(Mood::Unclear), None);
    assert_eq!(drive.state.phase, Phase::Progressing(Sub::Analysing));
    let open = Verb::Gate {
        gate: "go".to_owned(),
        open: true,
    };
    assert_eq!(drive.verb(open).unwrap(), Some("gate"));
    assert_eq!(drive.tick(Mood::Unclear), None);
    assert_eq!(drive.tick(Mood::Down), None);
    assert_eq!(drive.tick(Mood::Healthy), Some("t7"));
    assert_eq!((drive.state.step, drive.state.passed), (Some(1), Some(0)));
    assert_eq!(drive.state.share, 2.0);
    drive.verified();
}

#[test]
fn t8_pauses_when_the_source_is_silent_too_long_and_t15_goes_on() {
    let mut drive = Drive::in_step(json!({}), 1);
    for _ in 0..4 {
        assert_eq!(drive.tick(Mood::Down), None);
    }
    let cursor_ms = drive.state.cursor_ms;
    assert_eq!(drive.tick(Mood::Down), Some("t8"));
    assert_eq!(drive.state.pause_reasons, [PauseReason::MetricsUnavailable]);
    assert_eq!(drive.state.share, 5.0);
    assert_eq!(drive.tick(Mood::Down), None);
    assert_eq!(drive.state.cursor_ms, cursor_ms);
    assert_eq!(drive.tick(Mood::Unclear), Some("t15"));
    assert_eq!(drive.state.phase, Phase::Progressing(Sub::Analysing));
    // The window reached back to the cursor: nothing was lost.
    assert_eq!(drive.state.cursor_ms, drive.at * 1_000);
    let mut drive = Drive::in_step(json!({"analysis": {"onProviderError": "pause"}}), 1);
    assert_eq!(drive.tick(Mood::Partial), Some("t8"));
    drive.verified();
}

#[rustfmt::skip]
#[test]
fn no_traffic_holds_pauses_or_fails_as_the_plan_says() {
    for (word, at_once, then, phase) in [
        ("hold", None, "t8", Phase::Paused), ("pause", Some("t8"), "", Phase::Paused), ("fail", None, "t9", Phase::Failed),
    ] {
        let with = json!({"analysis": {"onNoData": word, "inconclusiveDeadline": "60s"}});
        let mut drive = Drive::in_step(with, 1);
        assert_eq!(drive.tick(Mood::Quiet), at_once, "{word}");
        if at_once.is_none() {
            drive.until(Mood::Quiet, then);
        }
        assert_eq!(drive.state.phase, phase, "{word}");
        if phase == Phase::Paused {
            assert_eq!(drive.state.pause_reasons, [PauseReason::Inconclusive]);
            assert_eq!(drive.state.share, 5.0);
            assert_eq!(drive.tick(Mood::Quiet), None);
            // Traffic is back, whatever it says.
            assert_eq!(drive.tick(Mood::Unclear), Some("t15"));
        }
        drive.verified();
    }
}

#[test]
fn what_stays_unclear_pauses_and_only_a_pass_goes_on() {
    let mut drive = Drive::in_step(json!({"analysis": {"inconclusiveDeadline": "60s"}}), 1);
    drive.until(Mood::Unclear, "t8");
    assert_eq!(drive.tick(Mood::Unclear), None);
    assert_eq!(drive.tick(Mood::Healthy), Some("t15"));
    assert_eq!(drive.state.step, Some(1));
    assert_eq!(drive.tick(Mood::Healthy), Some("t7"));
}

#[test]
fn routers_that_do_not_acknowledge_pause_it_until_they_do() {
    let mut drive = Drive::in_step(json!({}), 0);
    drive.until(Mood::Healthy, "t7");
    drive.fleet.acked = 1;
    assert_eq!(drive.tick(Mood::Healthy), None);
    assert_eq!(drive.tick(Mood::Healthy), None);
    assert_eq!(drive.tick(Mood::Healthy), Some("t8"));
    assert_eq!(drive.state.pause_reasons, [PauseReason::RoutersLagging]);
    drive.fleet.acked = 3;
    assert_eq!(drive.tick(Mood::Healthy), Some("t6"));
    assert_eq!(drive.tick(Mood::Healthy), Some("t15"));
    assert_eq!(drive.state.pause_reasons, NOTHING);
}

#[test]
fn a_share_that_is_warm_is_not_said_to_be_warming_up() {
    let mut drive = Drive::in_step(json!({}), 0);
    let told = |drive: &Drive| drive.state.verdict.clone().unwrap().why;
    assert_eq!(told(&drive), "warm: counts are judged from now on");
    drive.tick(Mood::Healthy);
    assert_ne!(told(&drive), "warm: counts are judged from now on");
}
