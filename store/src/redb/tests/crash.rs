//! Power is lost at any point: what was acknowledged is there, whole, and the file opens.
//!
//! A run of transactions is recorded as what it did to the file. Then the file is made up as a disk
//! may hold it after a crash: everything up to the last sync before it, and of what came later any
//! part, the newest write torn.

use std::{fs, path::Path};

use super::{backend::Hand, commit, everything, open, put, read, revision};
use crate::redb::{RedbStore, folder::FILE, tests::backend::Done};

const TXNS: u64 = 40;
/// Crashes that are tried, spread over the whole run.
const CRASHES: usize = 200;

#[tokio::test]
async fn what_was_acknowledged_survives_a_crash_at_any_point() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let hand = Hand::new();
    let store = RedbStore::open_by(folder.path(), hand.opener()).expect("an empty folder");
    // The operation after which a transaction was acknowledged.
    let mut acknowledged = Vec::new();
    for n in 0..TXNS {
        let (text, large) = (n.to_string(), "x".repeat(usize::try_from(n).unwrap() * 200));
        let ops = vec![
            put(&format!("config/{n}"), &text),
            put("config/last", &text),
            put("config/large", &large),
        ];
        let at = revision(commit(&store, ops).await);
        acknowledged.push((hand.done(), at, n));
    }
    let (before, done) = hand.log();
    drop(store);
    assert!(done.len() > CRASHES, "only {} operations", done.len());
    let disk = tempfile::tempdir().expect("a temporary folder");
    for crash in 0..CRASHES {
        let at = crash * done.len() / CRASHES;
        let file = state(&before, &done[..at], luck(crash));
        fs::write(disk.path().join(FILE), file).expect("a folder of ours");
        let mut kept = acknowledged.iter().filter(|(after, ..)| *after <= at);
        let newest = kept.next_back().map(|(_, revision, n)| (revision.0, *n));
        assert_kept(disk.path(), newest).await;
    }
}

/// Which of the last operations got to the disk: often all or none, else a mixture.
fn luck(crash: usize) -> u64 {
    match crash % 8 {
        0 => 0,
        1 => u64::MAX,
        _ => (crash as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15),
    }
}

async fn assert_kept(folder: &Path, newest: Option<(u64, u64)>) {
    let store = open(folder);
    let (revision, count) = newest.map_or((1, 0), |(revision, n)| (revision, n + 1));
    let listing = everything(&store).await;
    let now = listing.revision.0;
    assert!(
        now == revision || now == revision + 1,
        "{now} after {revision}"
    );
    // The one under way when it happened is there as a whole or not at all.
    let there = count + (now - revision);
    assert_eq!(
        listing.entries.len() as u64,
        if there == 0 { 0 } else { there + 2 }
    );
    for n in 0..there {
        let entry = read(&store, &format!("config/{n}")).await;
        assert_eq!(entry.map(|e| e.value), Some(n.to_string().into()));
    }
    let last = read(&store, "config/last").await;
    assert_eq!(
        last.map(|entry| entry.version),
        (there > 0).then_some(there)
    );
}

/// A disk after a crash behind these operations. Each bit of `luck` says of one that was not
/// synced whether it got there.
fn state(before: &[u8], done: &[Done], luck: u64) -> Vec<u8> {
    let mut disk = before.to_vec();
    let synced = done.iter().rposition(|done| matches!(done, Done::Sync));
    let synced = synced.map_or(0, |at| at + 1);
    for (at, operation) in done.iter().enumerate() {
        let lucky = luck.rotate_right(u32::try_from(at % 64).unwrap()) & 1 == 1;
        if at < synced || lucky {
            let torn = at + 1 == done.len() && at >= synced;
            apply(&mut disk, operation, torn);
        }
    }
    disk
}

fn apply(disk: &mut Vec<u8>, operation: &Done, torn: bool) {
    match operation {
        Done::Write(offset, data) => {
            let written = if torn { data.len() / 2 } else { data.len() };
            let offset = usize::try_from(*offset).expect("a small file");
            let end = offset + written;
            if disk.len() < end {
                disk.resize(end, 0);
            }
            disk[offset..end].copy_from_slice(&data[..written]);
        }
        Done::Length(length) => disk.resize(usize::try_from(*length).expect("a small file"), 0),
        Done::Sync => {}
    }
}
