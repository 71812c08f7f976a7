//! A true history is found true; whatever is changed in it is found, and where it is.

mod evidence;

use serde_json::json;

use super::verify_by;
use crate::rollout::{
    event::{Decision, Event, Reading, Verb},
    machine::tests::{
        drive::Drive,
        source::{Mood, Script},
    },
    record::{ActorKind, Record},
    state::{Phase, State},
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

/// In the record of which transition, what somebody changes, and where it is found.
type Lie = (&'static str, fn(&mut Record), &'static str);

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
    let decided = |record: &&Record| {
        record.actor.kind == ActorKind::Auto && record.decision != Decision::Hold
    };
    let decisions = history.iter().filter(decided).count() as u64;
    assert!(decisions > 2, "{history:#?}");
    assert_eq!(verified.decisions, decisions);
    assert_eq!(
        (verified.evidence, verified.outdated),
        (verified.records, 0)
    );
    assert_eq!(verified.head, history.last().unwrap().hash);
    let second = history.iter().rposition(|r| r.transition == "t1").unwrap();
    let verified = verify_by(&Script, &history[second - 2..]).unwrap();
    assert_eq!((verified.rollouts, verified.unreplayed), (1, 2));
    assert_eq!(verified.evidence + 2, verified.records);
}

#[test]
fn a_changed_record_is_found_by_its_hash() {
    for i in 0..history().len() {
        let mut changed = history();
        changed[i].reason.push('!');
        let broken = verify_by(&Script, &changed).unwrap_err();
        assert_eq!(broken.seq, changed[i].seq);
        assert_eq!(broken.difference.at, "/hash");
        assert_eq!(broken.difference.stored, changed[i].hash);
        assert_eq!(broken.difference.recomputed, changed[i].expected_hash());
        let mut missing = history();
        missing.remove(i);
        // What was trimmed at the beginning, or is yet to come, cannot be missed.
        let is_end = i == 0 || i == missing.len();

        assert_eq!(verify_by(&Script, &missing).is_ok(), is_end, "{i}");
    }
}

const LIES: [Lie; 21] = [
    ("t7", |record| record.decision = Decision::Hold, "/decision"),
    ("t7", |record| record.verdict = None, "/verdict"),
    (
        "t7",
        |record| record.before.as_mut().unwrap().share = 2.0,
        "/before/share",
    ),
    (
        "t7",
        |record| record.from = Some(Phase::WaitingPromotion),
        "/from/phase",
    ),
    (
        "t7",
        |record| record.candidate_hash = "beef".to_owned(),
        "/candidateHash",
    ),
    (
        "t7",
        |record| record.plan_hash = "beef".to_owned(),
        "/planHash",
    ),
    (
        "t7",
        |record| record.actor.kind = ActorKind::User,
        "/actor/type",
    ),
    (
        "t7",
        |record| record.rollout_id = "another".to_owned(),
        "/rolloutId",
    ),
    ("t1", |record| record.from = Some(Phase::Failed), "/from"),
    ("t1", |record| first(record).share = 50.0, "/state/share"),
    (
        "t1",
        |record| first(record).phase = Phase::Preflight,
        "/state/phase",
    ),
    (
        "t1",
        |record| first(record).promoted = true,
        "/state/promoted",
    ),
    (
        "t1",
        |record| first(record).analysis.restarts = 1,
        "/state/analysis/restarts",
    ),
    (
        "t1",
        |record| first(record).plan.on_fail = "freeze".to_owned(),
        "/state/planHash",
    ),
    (
        "t1",
        |record| first(record).candidate.hash = "beef".to_owned(),
        "/candidateHash",
    ),
    ("t7", |record| record.after.share = 50.0, "/after/share"),
    (
        "t7",
        |record| record.to = Phase::WaitingPromotion,
        "/to/phase",
    ),
    (
        "t7",
        |record| record.transition = "t17".to_owned(),
        "/transition",
    ),
    (
        "t9",
        |record| record.guard = Some(crate::analysis::judge::Guard::FailFast),
        "/guard",
    ),
    ("t7", |record| record.events.clear(), "/events"),
    ("t9", without_errors, "/transition"),
];

#[test]
fn a_decision_that_its_events_do_not_make_is_found_though_all_hashes_are_right() {
    for (name, lie, at) in LIES {
        let mut changed = history();
        let record = changed.iter_mut().find(|r| r.transition == name).unwrap();
        let seq = record.seq;
        lie(record);
        let broken = verify_by(&Script, &rehashed(changed)).unwrap_err();
        assert_eq!((broken.seq, &*broken.difference.at), (seq, at), "{broken}");
    }
    verify_by(&Script, &rehashed(history())).unwrap();
}

fn first(record: &mut Record) -> &mut State {
    record.state.as_mut().unwrap()
}

/// Nothing of the candidate's has failed.
fn without_errors(record: &mut Record) {
    for kept in &mut record.events {
        if let Event::Tick(tick) = &mut kept.event
            && let Reading::Window(window) = &mut tick.reading
        {
            window.counts.values_mut().for_each(|w| w[0].canary.e = 0);
        }
    }
}
