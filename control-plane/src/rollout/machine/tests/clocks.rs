//! Clocks, the cursor, what is kept and what is told.

use serde_json::json;

use super::{drive::Drive, source::Mood};
use crate::rollout::{
    event::{Effect, Event, Reading, Receiver, Tick, Verb},
    state::{PauseReason, Phase, Sub},
};

#[test]
fn another_store_holds_everything_until_it_is_adopted() {
    let mut drive = Drive::in_step(json!({}), 1);
    drive.fleet.store_changed = true;
    assert_eq!(drive.tick(Mood::Healthy), Some("t8"));
    assert_eq!(drive.state.pause_reasons, [PauseReason::StoreChanged]);
    assert!(drive.verb(Verb::Resume).is_err());
    drive.verb(Verb::Pause { suspend: false }).unwrap();
    assert_eq!(drive.verb(Verb::Resume).unwrap(), Some("t14"));
    assert_eq!(drive.state.pause_reasons, [PauseReason::StoreChanged]);
    drive.fleet.store_changed = false;
    assert_eq!(drive.tick(Mood::Healthy), Some("t15"));
    drive.verified();
}

#[test]
fn time_in_which_nobody_could_commit_is_no_exposure() {
    let mut drive = Drive::in_step(json!({"steps": [{"weight": 25, "minDuration": "200s"}]}), 0);
    drive.at += 300;
    assert_eq!(drive.tick(Mood::Healthy), Some("t8"));
    assert_eq!(drive.state.phase, Phase::Progressing(Sub::Applying));
    assert_eq!(drive.tick(Mood::Healthy), Some("t6"));
    assert_eq!(drive.state.clocks.exposure_ms, 0);
    // A clock that jumps alone is no gap, and makes no step shorter: the leader's, the source's.
    let steps = json!({"steps": [{"weight": 25, "minDuration": "200s"}]});
    let mut leader = Drive::in_step(steps.clone(), 0);
    let exposure_ms = leader.state.clocks.exposure_ms;
    leader.at += 10;
    let reading = leader.reading(Mood::Healthy);
    leader.at += 3_590;
    assert_eq!(leader.tick_with(reading), None);
    assert_eq!(leader.state.phase, Phase::Progressing(Sub::Analysing));
    assert_eq!(leader.state.clocks.exposure_ms, exposure_ms + 10_000);
    let mut source = Drive::in_step(steps, 0);
    source.at += 120;
    let reading = source.reading(Mood::Healthy);
    source.at -= 110;
    assert_eq!(source.tick_with(reading), None);
    assert_eq!(source.state.phase, Phase::Progressing(Sub::Analysing));
    assert_eq!(source.state.clocks.exposure_ms, exposure_ms + 10_000);
    // A source that was away for as long lost nothing: ticks went on.
    let with = json!({"steps": [{"weight": 25, "minDuration": "200s"}], "analysis": {"consecutiveErrorLimit": 99}});
    let mut drive = Drive::in_step(with, 0);
    for _ in 0..15 {
        drive.tick(Mood::Down);
    }
    assert!(matches!(
        drive.tick(Mood::Healthy),
        None | Some("checkpoint")
    ));
    assert_eq!(drive.state.phase, Phase::Progressing(Sub::Analysing));
    drive.verified();
}

#[test]
fn a_tick_counts_for_two_intervals_at_most() {
    let mut drive = Drive::new(json!({"progressDeadline": "60s"}));
    drive.fleet.acked = 0;
    for _ in 0..2 {
        let tick = Tick {
            elapsed_ms: 3_600_000,
            fleet: drive.fleet,
            reading: Reading::None,
        };
        assert_eq!(drive.event(&Event::Tick(Box::new(tick))).unwrap(), None);
    }
    assert_eq!(drive.state.clocks.step_ms, 40_000);
}

#[test]
fn a_window_that_was_counted_is_not_counted_again() {
    let mut drive = Drive::in_step(json!({}), 1);
    drive.at += 10;
    let again = drive.reading(Mood::Harmful);
    let Reading::Window(mut measured) = again else {
        panic!("it wants a window")
    };
    measured.from -= 1;
    let cursor_ms = drive.state.cursor_ms;
    assert_eq!(drive.tick_with(Reading::Window(measured)), None);
    assert_eq!(drive.state.cursor_ms, cursor_ms);
    assert_eq!(drive.state.verdict.as_ref().unwrap().kind.as_str(), "error");
}

#[test]
fn events_are_moved_into_the_history_before_there_are_many() {
    let mut drive = Drive::in_step(json!({"steps": [{"weight": 1, "minDuration": "6000s"}]}), 0);
    let share = drive.state.share;
    for _ in 0..100 {
        drive.tick(Mood::Healthy);
        assert!(drive.state.events.len() < 20);
    }
    let checkpoints = drive
        .history
        .iter()
        .filter(|r| r.transition == "checkpoint");
    assert_eq!(checkpoints.count(), 5);
    assert_eq!(drive.state.share, share);
    drive.verified();
}

#[test]
fn every_transition_is_told_to_who_wants_to_hear_it() {
    let with = json!({"analysis": {
        "webhooks": [{"name": "log", "type": "event", "url": "http://a.example"},
                     {"name": "after", "type": "post-rollout", "url": "http://a.example"}],
        "alerts": [{"name": "chat", "url": "http://a.example"}, {"name": "pager", "severity": "error", "url": "http://a.example"}]}});
    let mut drive = Drive::in_step(with, 0);
    let told = |drive: &Drive| -> Vec<(Receiver, String)> {
        let effects = drive.effects.iter();
        effects
            .filter_map(|effect| match effect {
                Effect::Deliver { message, .. } => Some((message.to, message.name.clone())),
                Effect::Ask { .. } => None,
            })
            .collect()
    };
    let (log, after) = (
        (Receiver::Webhook, "log".to_owned()),
        (Receiver::Webhook, "after".to_owned()),
    );
    let (chat, pager) = (
        (Receiver::Alert, "chat".to_owned()),
        (Receiver::Alert, "pager".to_owned()),
    );
    drive.tick(Mood::Healthy);
    assert_eq!(told(&drive), [log.clone(), chat.clone()]);
    drive.tick(Mood::Healthy);
    assert_eq!(
        told(&drive),
        std::slice::from_ref(&log),
        "T6 is no news for a chat"
    );
    drive.tick(Mood::Healthy);
    drive.tick(Mood::Harmful);
    assert_eq!(told(&drive), [log, after, chat, pager]);
    let Some(Effect::Deliver { message, n }) = drive.effects.last() else {
        panic!("it was told")
    };
    assert_eq!(
        (message.phase.as_str(), message.at.seq),
        ("Failed", drive.state.seq)
    );
    assert_eq!(
        (message.at.verdict.as_str(), *n),
        ("fail", drive.state.asks)
    );
    assert!(message.text.contains("90 of 100"), "{}", message.text);
}
