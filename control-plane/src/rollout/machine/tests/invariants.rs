//! I1–I6, I9–I12 of rollout.md 4.5, as far as one committed step shows them.

use serin_proto::v1;

use crate::{
    analysis::verdict::Verdict,
    rollout::{
        event::{Decision, share_of},
        machine::stand,
        plan::Plan,
        record::Record,
        state::{PauseReason, Phase, State, Sub},
        traffic,
    },
};

/// Whether a step that was just committed keeps them; `record` is the newest of the history.
#[track_caller]
pub(in crate::rollout) fn hold(
    before: Option<&State>,
    after: &State,
    record: Option<&Record>,
    traffic: &v1::Traffic,
) {
    of_state(after, traffic);
    let Some(before) = before.filter(|before| before.rollout_id == after.rollout_id) else {
        return;
    };
    let has_moved = after.seq != before.seq;
    if !has_moved {
        // I1: what people see changes with a record alone.
        assert_eq!((before.share, before.step), (after.share, after.step), "I1");
        assert_eq!(before.phase.word(), after.phase.word(), "I1");
        assert_eq!(before.pause_reasons, after.pause_reasons, "I1");
    }
    let record = record.filter(|_| has_moved);
    if let Some(record) = record {
        assert_eq!(after.seq, before.seq + 1, "I2");
        assert_eq!(record.seq, after.seq, "I2");
        rises(before, after, record);
        is_kept(after);
    }
    assert!(after.failed || !before.failed, "I6");
    assert!(after.promoted || !before.promoted, "I5");
    assert!(after.cursor_ms >= before.cursor_ms, "I11");
    assert!(after.asks >= before.asks, "I12");
    if before.phase.is_terminal() {
        assert_eq!(before.phase, after.phase, "I10");
        assert!(
            record.is_none_or(|record| record.transition == "t20"),
            "I10"
        );
    }
}

fn of_state(state: &State, traffic: &v1::Traffic) {
    let hundredths = |w: &f64| u32::from(share_of(*w).hundredths());
    let sum: u32 = traffic.weights.values().map(hundredths).sum();
    assert_eq!(sum, 10_000, "{traffic:?}");
    assert_eq!(*traffic, traffic::wanted(state, traffic), "I1");
    let is_exposing = matches!(
        state.phase,
        Phase::Progressing(_)
            | Phase::WaitingPromotion
            | Phase::Promoting(_)
            | Phase::Baking(_)
            | Phase::Paused
    );
    let is_canary = !traffic.canary.is_empty();
    assert_eq!(is_canary, !state.phase.is_terminal(), "I9");
    assert_eq!(is_canary, traffic.rollout.is_some(), "I9");
    if state.share > 0.0 && state.phase != Phase::Succeeded {
        assert!(is_exposing, "I9: {:?} at {} %", state.phase, state.share);
    }
    assert_eq!(
        state.phase == Phase::Paused,
        !state.pause_reasons.is_empty()
    );
    assert_eq!(state.phase == Phase::Paused, state.paused_in.is_some());
    assert!(state.pause_reasons.is_sorted_by(|a, b| a < b));
}

/// It reads back as it was written, and is not long.
fn is_kept(state: &State) {
    let json = serde_json::to_string(state).unwrap();
    assert_eq!(serde_json::from_str::<State>(&json).unwrap(), *state);
    assert!(json.len() < 32 * 1_024, "{} bytes", json.len());
}

/// I3, I4, I5, I6: what may raise a share.
fn rises(before: &State, after: &State, record: &Record) {
    let is_by_hand = ["t14", "t15", "t20", "t21", "t22"].contains(&record.transition.as_str());
    let is_promotion = record.decision == Decision::Promote;
    assert_eq!(is_promotion, after.promoted && !before.promoted, "I5");
    if let (Some(step), Some(was)) = (after.step, before.step)
        && before.plan == after.plan
    {
        assert!(step <= was + 1, "I3");
    }
    let rises = after.share > before.share && !after.phase.is_terminal();
    if !rises || before.step.is_none() {
        return;
    }
    assert!(!before.failed, "I6");
    if is_by_hand {
        let returns = before.lowered_from == Some(after.share);
        assert!(returns || record.transition == "t21", "I4");
        return;
    }
    let told = record.verdict.as_ref().map(|told| told.kind);
    assert_eq!(told, Some(Verdict::Pass), "I4: {record:?}");
    assert!(!before.pause_reasons.contains(&PauseReason::User), "I4");
    let plan = Plan::of(before).unwrap();
    assert!(!stand(before, &plan).warming, "I4");
    let is_judged = matches!(
        before.phase,
        Phase::WaitingPromotion
            | Phase::Progressing(Sub::Analysing | Sub::Gated)
            | Phase::Promoting(Sub::Analysing)
    );
    assert!(
        is_judged && before.exposure_start_ms > 0,
        "I4: {:?}",
        before.phase
    );
}
