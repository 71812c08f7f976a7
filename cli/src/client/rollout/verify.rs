//! `serin rollout history --verify`: what was checked and found true, or the first place that is
//! not, for people. Pure.

use serin_control_plane::rollout::{
    record::Record,
    verify::{Broken, Verified, verify},
};

use super::words::text;
use crate::{exit::Failed, tree::Tree};

/// Says of the records of a rollout, oldest first, what was found true.
///
/// # Errors
/// [`Failed::Error`]: the first place that is not true, or what cannot be read.
pub(super) fn verified(records: &[Tree]) -> Result<String, Failed> {
    let read = |record: &Tree| {
        let json = serde_json::to_value(record).unwrap_or_default();
        serde_json::from_value::<Record>(json).map_err(|error| {
            let seq = text(record, "seq");
            Failed::because(format!(
                "the history cannot be verified: record {seq} is none: {error}"
            ))
        })
    };
    let records: Vec<Record> = records.iter().map(read).collect::<Result<_, _>>()?;
    match verify(&records) {
        _ if records.is_empty() => Err(Failed::because("there are no records to verify")),
        Ok(verified) => Ok(held(&records, &verified)),
        Err(broken) => Err(Failed::because(fault(&records, &broken))),
    }
}

fn held(records: &[Record], found: &Verified) -> String {
    let rollout = records.last().map_or("", |record| &record.rollout_id);
    let [from, to] = [records.first(), records.last()].map(|of| of.map_or(0, |record| record.seq));
    let replayed = found.records - found.unreplayed - found.outdated;
    let (records, events) = (found.records, count(found.events, "event", "events"));
    let mut lines = vec![
        format!("the history of rollout {rollout} is true"),
        row(
            "records",
            &format!("{records}, seq {from} to {to}: each hash and each link holds"),
        ),
    ];
    if replayed > 0 {
        let decisions = found.decisions;
        lines.push(row(
            "decisions",
            &format!("{decisions} of the controller, made again from {events}: the same"),
        ));
        let of = count(found.evidence, "record", "records");
        lines.push(row(
            "evidence",
            &format!("of {of}, made again from what was counted: the same"),
        ));
    }
    if found.outdated > 0 {
        let of = count(found.outdated, "record", "records");
        let why = format!("decisions and evidence of {of}: an older release began their rollout");
        lines.push(row("unchecked", &why));
    }
    if found.unreplayed > 0 {
        let of = count(found.unreplayed, "record", "records");
        let why = format!("decisions and evidence of {of}: their rollout's beginning is not kept");
        lines.push(row("unchecked", &why));
    }
    lines.push(row("head", &found.head));
    lines.join("\n")
}

fn fault(records: &[Record], broken: &Broken) -> String {
    let (seq, found) = (broken.seq, &broken.difference);
    let at = records.iter().position(|record| record.seq == seq);
    let what = at
        .map(|at| &records[at])
        .map_or_else(String::new, |record| {
            format!(" ({}, {})", record.transition, record.at)
        });
    let before = match at.unwrap_or_default() {
        0 => "it is the first one; nothing behind it was checked".to_owned(),
        n => {
            let of = count(n as u64, "record", "records");
            format!("{of} before it hold; nothing behind it was checked")
        }
    };
    [
        format!("the history is not true: record {seq}{what}"),
        row("where", &found.at),
        row("stored", &found.stored),
        row("recomputed", &found.recomputed),
        row("checked", &before),
    ]
    .join("\n")
}

fn row(name: &str, what: &str) -> String {
    format!("  {name:<10}  {what}")
}

/// `1 record`, `2 records`
fn count(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A record whose rollout began before what is kept.
    fn record() -> Record {
        let mut record: Record = serde_json::from_value(json!({
            "version": 1, "seq": "9", "rolloutId": "7f3a09c2b1d4", "nonce": "n", "at": "T9",
            "actor": {"type": "auto", "id": "controller", "via": "controller"},
            "transition": "t9", "decision": "roll_back", "reason": "harm",
            "from": {"phase": "Progressing", "sub": "Analysing"}, "to": {"phase": "Failed"},
            "after": {"step": 0, "share": 0}, "events": [], "evidence": {},
            "planHash": "p", "candidateHash": "c", "prevHash": "8", "hash": "",
        }))
        .unwrap();
        record.hash = record.expected_hash();
        record
    }

    fn listed(record: &Record) -> Vec<Tree> {
        let json = serde_json::to_value(record).unwrap();
        vec![serde_json::from_value(json).unwrap()]
    }

    #[test]
    fn a_true_history_is_told_by_what_was_checked_and_its_head() {
        let found = Verified {
            records: 34,
            rollouts: 1,
            events: 128,
            decisions: 6,
            evidence: 32,
            outdated: 2,
            unreplayed: 0,
            head: "5e0c".to_owned(),
        };
        let told = "the history of rollout 7f3a09c2b1d4 is true\n  \
             records     34, seq 9 to 9: each hash and each link holds\n  \
             decisions   6 of the controller, made again from 128 events: the same\n  \
             evidence    of 32 records, made again from what was counted: the same\n  \
             unchecked   decisions and evidence of 2 records: an older release began their rollout\n  \
             head        5e0c";
        assert_eq!(held(&[record()], &found), told);
    }

    #[test]
    fn what_cannot_be_checked_is_said_and_is_no_fault() {
        let record = record();
        let told = verified(&listed(&record)).unwrap();
        let expected = format!(
            "the history of rollout 7f3a09c2b1d4 is true\n  \
             records     1, seq 9 to 9: each hash and each link holds\n  \
             unchecked   decisions and evidence of 1 record: their rollout's beginning is not kept\n  \
             head        {}",
            record.hash
        );
        assert_eq!(told, expected);
    }

    #[test]
    fn a_fault_is_told_by_its_place_and_both_sides() {
        let mut record = record();
        let (stored, reason) = (record.hash.clone(), "all is well".to_owned());
        record.reason = reason;
        let told = verified(&listed(&record)).unwrap_err();
        let expected = format!(
            "the history is not true: record 9 (t9, T9)\n  \
             where       /hash\n  \
             stored      {stored}\n  \
             recomputed  {}\n  \
             checked     it is the first one; nothing behind it was checked",
            record.expected_hash()
        );
        assert_eq!(told.to_string(), expected);
        assert!(matches!(told, Failed::Error(_)), "exit code 1");
        let broken: Tree = serde_json::from_value(json!({"seq": "3"})).unwrap();
        let told = verified(&[broken]).unwrap_err().to_string();
        assert!(told.contains("cannot be verified: record 3"), "{told}");
        assert!(matches!(verified(&[]), Err(Failed::Error(_))));
    }
}
