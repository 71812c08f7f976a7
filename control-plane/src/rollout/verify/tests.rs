//! A true history is found true; whatever is changed in it is found.

use serde_json::json;

use super::verify_by;
use crate::rollout::{
    event::{Decision, Event, Reading, Verb},
    machine::tests::{
        drive::Drive,
        source::{Mood, Script},
    },
    record::{ActorKind, Record},
    state::Phase,
};

/// Two rollouts: one fails, one is promoted by hand.
fn history() -> Vec<Record> {
    let mut drive = Drive::in_step(json!({}), 1);
    drive.until(Mood::Harmful, "t9");
    let same = drive.state.plan.clone();
    drive.start(&same, "c0ffee", true).unwrap();
    drive.until(Mood::Healthy, "t6");
    drive.verb(Verb::Promote { full: true }).unwrap();
    drive.until(Mood::Healthy, "t18");
    drive.history
}

/// What somebody changes in a record.
type Lie = fn(&mut Record);

/// As somebody would who knows how hashes are made.
fn rehashed(mut records: Vec<Record>) -> Vec<Record> {
    let mut prev_hash = records
        .first()
        .map(|r| r.prev_hash.clone())
        .unwrap_or_default();
    for record in &mut records {
        record.prev_hash = prev_hash;
        record.hash = record.expected_hash();
        prev_hash = record.hash.clone();
    }
    records
}

#[test]
fn a_true_history_is_found_true_whole_or_from_its_midst() {
    let history = history();
    let verified = verify_by(&Script, &history).unwrap();
    assert_eq!(verified.records, history.len() as u64);
    assert_eq!((verified.rollouts, verified.unreplayed), (2, 0));
    assert!(verified.events > 10, "{verified:?}");
    let second = history.iter().rposition(|r| r.transition == "t1").unwrap();
    let verified = verify_by(&Script, &history[second - 2..]).unwrap();
    assert_eq!((verified.rollouts, verified.unreplayed), (1, 2));
}

#[test]
fn a_changed_record_is_found_by_its_hash() {
    for i in 0..history().len() {
        let mut changed = history();
        changed[i].reason.push('!');
        let broken = verify_by(&Script, &changed).unwrap_err();
        assert_eq!(broken.seq, changed[i].seq);
        assert!(broken.why.contains("hash"), "{broken}");
        let mut missing = history();
        missing.remove(i);
        // What was trimmed at the beginning, or is yet to come, cannot be missed.
        let is_end = i == 0 || i == missing.len();

        assert_eq!(verify_by(&Script, &missing).is_ok(), is_end, "{i}");
    }
}

#[test]
fn a_decision_that_its_events_do_not_make_is_found_though_all_hashes_are_right() {
    let lies: [(&str, Lie); 19] = [
        ("t7", |record| record.decision = Decision::Hold),
        ("t7", |record| record.verdict = None),
        ("t7", |record| record.before.as_mut().unwrap().share = 2.0),
        ("t7", |record| record.from = Some(Phase::WaitingPromotion)),
        ("t7", |record| record.candidate_hash = "beef".to_owned()),
        ("t7", |record| record.actor.kind = ActorKind::User),
        ("t1", |record| record.from = Some(Phase::Failed)),
        ("t1", |record| {
            let first = record.state.as_mut().unwrap();
            first.share = 50.0;
            record.after.share = 50.0;
        }),
        ("t1", |record| {
            record.state.as_mut().unwrap().phase = Phase::Preflight;
            record.to = Phase::Preflight;
        }),
        ("t1", |record| {
            record.state.as_mut().unwrap().promoted = true
        }),
        ("t1", |record| {
            record.state.as_mut().unwrap().analysis.restarts = 1
        }),
        ("t1", |record| {
            record.state.as_mut().unwrap().plan.on_fail = "freeze".to_owned();
        }),
        ("t1", |record| {
            record.state.as_mut().unwrap().candidate.hash = "beef".to_owned();
        }),
        ("t7", |record| record.after.share = 50.0),
        ("t7", |record| record.to = Phase::WaitingPromotion),
        ("t7", |record| record.transition = "t17".to_owned()),
        ("t9", |record| {
            record.guard = Some(crate::analysis::judge::Guard::FailFast)
        }),
        ("t7", |record| record.events.clear()),
        ("t9", |record| {
            for kept in &mut record.events {
                if let Event::Tick(tick) = &mut kept.event
                    && let Reading::Window(window) = &mut tick.reading
                {
                    window.counts.values_mut().for_each(|w| w[0].canary.e = 0);
                }
            }
        }),
    ];
    for (name, lie) in lies {
        let mut changed = history();
        let record = changed.iter_mut().find(|r| r.transition == name).unwrap();
        let seq = record.seq;
        lie(record);
        let broken = verify_by(&Script, &rehashed(changed)).unwrap_err();
        assert_eq!(broken.seq, seq, "{broken}");
        assert!(!broken.why.contains("hash"), "{broken}");
    }
    verify_by(&Script, &rehashed(history())).unwrap();
}
