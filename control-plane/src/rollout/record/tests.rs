//! Records as they are stored: a chain, its canonical spelling, the first state in the first.

use serde_json::{Value as Json, json};

use super::Record;
use crate::rollout::{
    canonical,
    machine::tests::{drive::Drive, source::Mood},
};

#[test]
fn a_record_reads_back_and_names_the_one_before() {
    let mut drive = Drive::new(json!({}));
    drive.until(Mood::Healthy, "t18");
    let mut prev_hash = "";
    for (i, record) in drive.history.iter().enumerate() {
        let read: Record = serde_json::from_slice(&record.bytes()).unwrap();
        assert_eq!(read.bytes(), record.bytes());
        // A computed 5.0 is read back as 5.
        let evidence = record.evidence.clone();
        assert_eq!(Record { evidence, ..read }, *record);
        assert_eq!(record.seq, i as u64 + 1);
        assert_eq!(record.prev_hash, prev_hash);
        assert_eq!(record.state.is_some(), record.transition == "t1");
        prev_hash = &record.hash;
    }
    assert_eq!(drive.state.last_hash, prev_hash);
    assert!(drive.state.events.is_empty());
}

#[test]
fn the_hash_is_what_anybody_makes_of_the_stored_bytes() {
    let mut drive = Drive::new(json!({}));
    drive.until(Mood::Healthy, "t6");
    for record in &drive.history {
        let mut stored: Json = serde_json::from_slice(&record.bytes()).unwrap();
        let told = stored.as_object_mut().unwrap().remove("hash").unwrap();
        assert_eq!(told, canonical::sha256(&canonical::json(&stored)));
    }
    let last: Json = serde_json::from_slice(&drive.history.last().unwrap().bytes()).unwrap();
    assert_eq!(last["seq"], "4");
    assert_eq!(
        last["from"],
        json!({"phase": "Progressing", "sub": "Applying"})
    );
    assert_eq!(
        last["to"],
        json!({"phase": "Progressing", "sub": "Warming"})
    );
    assert_eq!(last["actor"]["type"], "auto");
    assert_eq!(last["decision"], "hold");
    assert_eq!(last["after"], json!({"step": 0, "share": 1}));
}
