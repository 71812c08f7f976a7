//! What is wrong with a history: gaps, repeats, skipped steps, windows counted twice. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use serin_tests::rollouts::number;
use serin_tests::rollouts::record::{events, name, span, window};

/// All records of a route, oldest first → everything wrong with them.
pub(crate) fn faults(records: &[Value]) -> Vec<String> {
    let mut faults = chain(records);
    let mut by_rollout: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for record in records {
        let id = record["rolloutId"].as_str().unwrap_or_default();
        by_rollout.entry(id).or_default().push(record);
    }
    for (id, records) in by_rollout {
        faults.extend(
            of_rollout(&records)
                .into_iter()
                .map(|fault| format!("{id}: {fault}")),
        );
    }
    faults
}

/// Time of each passed exposure by the windows of its own, in the source's milliseconds.
pub(crate) fn judged_ms(records: &[Value]) -> Vec<u64> {
    let mut all = Vec::new();
    let mut sum = 0;
    for record in records {
        let windows = events([record]).filter_map(window).map(span);
        sum += windows.map(|(from, to)| to - from).sum::<u64>();
        match name(record) {
            "t6" => sum = 0,
            "t7" | "t17" | "t18" => all.push(sum),
            _ => {}
        }
    }
    all
}

fn chain(records: &[Value]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut nonces = BTreeSet::new();
    let first = records
        .first()
        .map(|record| number(&record["seq"]))
        .unwrap_or_default();
    let mut hash: Option<&Value> = None;
    let mut before = "";
    for (record, expected) in records.iter().zip(first..) {
        let seq = number(&record["seq"]);
        if seq != expected {
            faults.push(format!("record {expected} is missing before {seq}"));
        }
        // Who takes another's place comes with its end, in one transaction.
        let takes_its_place = (before, name(record)) == ("t12", "t1");
        if !nonces.insert(record["nonce"].as_str().unwrap_or_default()) && !takes_its_place {
            faults.push(format!("record {seq} has the nonce of another one"));
        }
        before = name(record);
        if hash.is_some_and(|hash| record["prevHash"] != *hash) {
            faults.push(format!(
                "record {seq} does not name the hash of the one before"
            ));
        }
        hash = Some(&record["hash"]);
    }
    faults
}

fn of_rollout(records: &[&Value]) -> Vec<String> {
    let mut faults = Vec::new();
    let promotions = records
        .iter()
        .filter(|record| record["decision"] == "promote")
        .count();
    if promotions > 1 {
        faults.push(format!("promoted {promotions} times"));
    }
    for once in [
        "t1", "t2", "t3", "t4", "t5", "t10", "t11", "t12", "t18", "t19", "t20",
    ] {
        let times = records.iter().filter(|record| name(record) == once).count();
        if times > 1 {
            faults.push(format!("{once} was made {times} times"));
        }
    }
    let mut step = None;
    let mut is_opened = false;
    let mut has_ended = false;
    for record in records {
        let (seq, name) = (number(&record["seq"]), name(record));
        let by_itself = record["actor"]["type"] == "auto";
        let new = record["after"]["step"].as_u64();
        let raised = new > step;
        if raised && by_itself && new != Some(step.map_or(0, |step| step + 1)) {
            faults.push(format!("record {seq} goes from step {step:?} to {new:?}"));
        }
        if name == "t7" && by_itself && !raised && record["to"]["phase"] != "WaitingPromotion" {
            faults.push(format!("record {seq} passes a step and goes nowhere"));
        }
        let rises = ["t7", "t17", "t17a"].contains(&name);
        if rises && by_itself && record["verdict"]["kind"] != "pass" {
            faults.push(format!(
                "record {seq} ({name}) rests on {}",
                record["verdict"]
            ));
        }
        if rises && by_itself && !is_opened {
            faults.push(format!("record {seq} ({name}) had no exposure of its own"));
        }
        if has_ended && name != "t20" {
            faults.push(format!("record {seq} ({name}) comes after the end"));
        }
        let share = |point: &Value| point["share"].as_f64().unwrap_or_default();
        is_opened = match name {
            "t6" => true,
            _ if share(&record["after"]) != share(&record["before"]) => false,
            _ => is_opened,
        };
        step = new.or(step);
        let to = record["to"]["phase"].as_str().unwrap_or_default();
        has_ended |= ["Succeeded", "Failed", "Aborted", "Superseded"].contains(&to);
    }
    faults.extend(overlaps(records));
    faults
}

/// Each increment is consumed once: windows follow each other.
fn overlaps(records: &[&Value]) -> Vec<String> {
    let windows = events(records.iter().copied()).filter_map(window).map(span);
    let windows: Vec<(u64, u64)> = windows.filter(|(from, to)| to > from).collect();
    let pairs = windows.windows(2);
    let overlapping = pairs.filter(|pair| pair[1].0 < pair[0].1);
    overlapping
        .map(|pair| format!("windows overlap: {pair:?}"))
        .collect()
}
