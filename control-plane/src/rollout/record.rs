//! The history: one record per transition, each naming the hash of the one before. Pure.
//!
//! A record takes along every event since the last one, so that whoever has the records can make
//! every state again (`verify.rs`). The first of a rollout has its first state, which holds the
//! plan. What its metrics had to show is told beside it, for whoever replays nothing.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::{
    canonical,
    event::{Decision, Effect, Kept, Step},
    machine::wall,
    plan::{Plan, Test},
    state::{BY_HAND_CHARS_MAX, ByHand, Phase, State, Told, text_u64},
};
use crate::analysis::{
    explain::{self, Row, Side},
    judge::Guard,
};

/// How records are written now. Since 1 the evidence is that of the record's own rollout after its
/// events, so that it can be made again; before, a start that took a rollout's place wrote its own.
pub const VERSION: u32 = 1;

/// One transition of one rollout, as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// [`VERSION`] of the program that wrote it.
    #[serde(skip_serializing_if = "is_first", default)]
    pub version: u32,
    /// Of the route, across rollouts, without a gap.
    #[serde(with = "text_u64")]
    pub seq: u64,
    pub rollout_id: String,
    /// Of the transaction: whose answer was lost finds its own record by it.
    pub nonce: String,
    /// RFC 3339.
    pub at: String,
    pub actor: Actor,
    /// What somebody asked for; absent if nobody did.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub verb: String,
    /// `t1` … `t22`, `t17a`, `gate`, `rebase`, `checkpoint`
    pub transition: String,
    pub decision: Decision,
    /// For people.
    pub reason: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from: Option<Phase>,
    pub to: Phase,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub before: Option<Point>,
    pub after: Point,
    /// Since the last record; the last of them made the transition.
    pub events: Vec<Kept>,
    /// What the metrics had to show: [`evidence`] of the state after its events.
    pub evidence: Json,
    /// What it was decided by.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub verdict: Option<Told>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub guard: Option<Guard>,
    pub plan_hash: String,
    pub candidate_hash: String,
    /// The first state, with its plan: of T1 alone.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub state: Option<Box<State>>,
    pub prev_hash: String,
    /// SHA-256 over the canonical JSON of the record without this member; `prevHash` is in it.
    pub hash: String,
}

/// Where a rollout stood.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Point {
    pub step: Option<u32>,
    /// Percent.
    pub share: f64,
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    #[serde(rename = "type")]
    pub kind: ActorKind,
    pub id: String,
    /// `api`, `grpc`, `controller`
    pub via: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActorKind {
    Auto,
    User,
    System,
}

/// What a record says that no state holds.
#[derive(Clone, Debug)]
pub struct Said {
    pub actor: Actor,
    /// Empty: nobody asked.
    pub verb: String,
    /// A person's own words, in place of the machine's.
    pub reason: Option<String>,
    pub nonce: String,
    /// Unix seconds.
    pub at: u64,
}

/// A transition ready to be committed.
#[derive(Clone, Debug)]
pub struct Written {
    pub record: Record,
    /// To be stored with it: its events are in the record now.
    pub state: State,
    pub effects: Vec<Effect>,
}

impl Record {
    /// As it is stored.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        canonical::json(&serde_json::to_value(self).unwrap_or_default()).into_bytes()
    }

    /// What somebody did to the rollout in it; `None`: it went on by itself, or a gate or the other
    /// targets were moved, which says nothing about where it stands.
    #[must_use]
    pub fn by_hand(&self) -> Option<ByHand> {
        let is_beside = ["gate", "rebase"].contains(&self.transition.as_str());
        let is_asked = self.actor.kind == ActorKind::User && !self.verb.is_empty() && !is_beside;
        let shortened = |text: &str| match text.char_indices().nth(BY_HAND_CHARS_MAX) {
            Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
            None => text.to_owned(),
        };
        is_asked.then(|| ByHand {
            verb: self.verb.clone(),
            by: self.actor.id.clone(),
            reason: shortened(&self.reason),
            at: self.at.clone(),
        })
    }

    /// What its `hash` must be.
    #[must_use]
    pub fn expected_hash(&self) -> String {
        let mut json = serde_json::to_value(self).unwrap_or_default();
        if let Json::Object(members) = &mut json {
            members.remove("hash");
        }
        canonical::sha256(&canonical::json(&json))
    }
}

/// The record of a step that made a transition; `before` is the newest state of the route, of
/// whatever rollout. `None` for a step without a transition: its state is stored alone.
#[must_use]
pub fn write(before: Option<&State>, step: Step, said: Said) -> Option<Written> {
    let moved = step.transition?;
    let mut state = step.state;
    let same = before.filter(|before| before.rollout_id == state.rollout_id);
    let mut record = Record {
        version: VERSION,
        seq: state.seq,
        rollout_id: state.rollout_id.clone(),
        nonce: said.nonce,
        at: wall(said.at),
        actor: said.actor,
        verb: said.verb,
        transition: moved.name.to_owned(),
        decision: moved.decision,
        reason: said.reason.unwrap_or(moved.reason),
        from: same.map(|before| before.phase),
        to: state.phase,
        before: same.map(point),
        after: point(&state),
        events: std::mem::take(&mut state.events),
        evidence: evidence(&state),
        verdict: moved.verdict,
        guard: state.guard,
        plan_hash: state.plan_hash.clone(),
        candidate_hash: state.candidate.hash.clone(),
        state: None,
        prev_hash: before.map_or_else(String::new, |before| before.last_hash.clone()),
        hash: String::new(),
    };
    if same.is_none() {
        record.state = Some(Box::new(state.clone()));
    }
    record.hash = record.expected_hash();
    state.last_hash.clone_from(&record.hash);
    state.by_hand = record.by_hand().or(state.by_hand);
    Some(Written {
        record,
        state,
        effects: step.effects,
    })
}

/// What the metrics of a state have to show, by name. Counts and means by arm: `n`, `e` or `mean`, and
/// `logE` with the `limit` at which it acts. A check that counts: its newest `value`, how often it
/// `failed` in this step. What is not known is left out. Null: its plan cannot be read.
#[must_use]
pub fn evidence(state: &State) -> Json {
    let Ok(plan) = Plan::of(state) else {
        return Json::Null;
    };
    let rows = explain::metrics(&plan.analysis, &state.analysis);
    let rows = rows.into_iter().zip(&plan.analysis.metrics);
    let told = rows.map(|(row, metric)| {
        let mut told = figures(&row);
        if matches!(metric.test, Test::Query { .. } | Test::Literal { .. }) {
            let failed = state.counters.failed_checks.get(&row.name);
            let failed = failed.copied().unwrap_or_default();
            told.insert("failed".to_owned(), failed.into());
        } else {
            told.insert("logE".to_owned(), row.harm.log_evidence.into());
            told.insert("limit".to_owned(), row.harm.log_threshold.into());
        }
        (row.name, Json::Object(told))
    });
    Json::Object(told.collect())
}

fn figures(row: &Row) -> Map<String, Json> {
    let arms = |of: fn(Side) -> Json| {
        let both = [("canary", of(row.canary)), ("stable", of(row.stable))];
        let known = both.into_iter().filter(|(_, value)| !value.is_null());
        let known = known.map(|(arm, value)| (arm.to_owned(), value));
        known.collect::<Map<String, Json>>()
    };
    let figures = [
        ("n", arms(|side| side.n.into())),
        ("e", arms(|side| side.e.into())),
        ("mean", arms(|side| side.mean.into())),
        ("value", arms(|side| side.value.into())),
    ];
    let known = figures.into_iter().filter(|(_, arms)| !arms.is_empty());
    known
        .map(|(name, arms)| (name.to_owned(), Json::Object(arms)))
        .collect()
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands out references"
)]
fn is_first(version: &u32) -> bool {
    *version == 0
}

pub(super) fn point(state: &State) -> Point {
    Point {
        step: state.step,
        share: state.share,
    }
}

#[cfg(test)]
mod tests;
