//! A file that is whole reads back; one that is not is never used, and never a crash.

use std::{os::unix::fs::PermissionsExt as _, sync::Arc};

use tempfile::TempDir;

use super::*;
use crate::record::metrics::Metrics;

fn saved(revision: u64) -> Saved {
    let document = |key: &str, value: &[u8]| SavedDocument {
        key: key.to_owned(),
        value: value.to_vec(),
        create_revision: Revision(2),
        mod_revision: Revision(revision),
    };
    Saved {
        identity: "01J".to_owned(),
        revision: Revision(revision),
        adopted: Some(Ulid::from_parts(1_700_000_000_000, 42)),
        last_contact_unix_ms: 1_700_000_000_123,
        saved_unix_ms: 1_700_000_000_456,
        documents: vec![
            document("config/routes/a", br#"{"name": "a"}"#),
            document("config/routes/quoted", "\"\\ \u{1f426}\n".as_bytes()),
            document("config/garbage", &[0xff, 0x00, b'"']),
        ],
        last_good: vec![document("config/routes/a", br#"{"name":"a"}"#)],
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn put(folder: &TempDir, name: &str, bytes: &[u8]) {
    fs::write(folder.path().join(name), bytes).expect("a file in a temporary folder");
}

/// A folder with one file and the one before it, and the bytes of the former.
fn two_saved() -> (TempDir, Vec<u8>) {
    let folder = folder();
    for revision in [8, 9] {
        write(folder.path(), &saved(revision)).expect("a temporary folder can be written to");
    }
    let bytes = fs::read(folder.path().join(CURRENT)).expect("it was written");
    (folder, bytes)
}

#[test]
fn what_was_saved_reads_back_byte_by_byte() {
    let folder = folder();
    assert_eq!(read(folder.path()), None, "nothing yet");
    let deep = folder.path().join("a/b");
    write(&deep, &saved(9)).expect("folders are made");
    assert_eq!(read(&deep), Some(saved(9)));
    let mode = fs::metadata(deep.join(CURRENT)).expect("a file");
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);
}

#[test]
fn the_first_line_tells_format_length_and_checksum() {
    let (_folder, bytes) = two_saved();
    let text = String::from_utf8(bytes).expect("text");
    let (head, body) = text.split_once('\n').expect("two lines");
    let words: Vec<&str> = head.split(' ').collect();
    assert_eq!(words[..2], ["serin-snapshot", "1"]);
    assert_eq!(words[2], body.len().to_string());
    assert_eq!((words.len(), words[3].len()), (4, 64));
    let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
    let fields: Vec<&str> = body
        .as_object()
        .map(|fields| fields.keys().map(String::as_str).collect())
        .expect("an object");
    let expected = [
        "identity",
        "revision",
        "adopted",
        "lastContact",
        "savedAt",
        "documents",
        "lastGood",
    ];
    assert!(
        expected.iter().all(|field| fields.contains(field)),
        "{fields:?}"
    );
}

#[test]
fn a_file_cut_anywhere_is_not_used_and_the_one_before_it_is() {
    let (folder, bytes) = two_saved();
    for length in (0..bytes.len()).step_by(64).chain([1, bytes.len() - 1]) {
        put(&folder, CURRENT, &bytes[..length]);
        assert_eq!(read(folder.path()), Some(saved(8)), "cut at {length}");
        put(&folder, PREVIOUS, &bytes[..length]);
        assert_eq!(read(folder.path()), None, "both cut at {length}");
        put(&folder, PREVIOUS, &encode(&saved(8)).expect("JSON"));
    }
    put(&folder, CURRENT, &bytes);
    assert_eq!(read(folder.path()), Some(saved(9)), "whole again");
}

#[test]
fn a_file_with_one_wrong_bit_is_not_used() {
    let (folder, bytes) = two_saved();
    for at in 0..bytes.len() {
        let mut wrong = bytes.clone();
        wrong[at] ^= 1;
        put(&folder, CURRENT, &wrong);
        assert_eq!(read(folder.path()), Some(saved(8)), "byte {at}");
    }
}

#[test]
fn what_is_no_file_of_this_version_is_not_used() {
    let (folder, bytes) = two_saved();
    let body = bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .expect("a line");
    let body = &bytes[body + 1..];
    let with_head = |head: &str| [head.as_bytes(), body].concat();
    let long = vec![b'x'; 10_000];
    let junk = [
        with_head(&format!("serin-snapshot 2 {} x\n", body.len())),
        with_head("serin-snapshot 1\n"),
        with_head("serin-snapshot 1 many x\n"),
        with_head("serin-snapshot 1 18446744073709551616 x\n"),
        with_head("\n"),
        [&bytes[..], b"more"].concat(),
        long,
        vec![0xff; 300],
    ];
    for bytes in junk {
        put(&folder, CURRENT, &bytes);
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
        assert_eq!(read(folder.path()), Some(saved(8)), "{shown:?}");
    }
    fs::remove_file(folder.path().join(DAMAGED)).expect("the last of them");
    fs::create_dir(folder.path().join(CURRENT)).expect("a folder in its place");
    assert_eq!(read(folder.path()), Some(saved(8)), "a folder");
}

#[test]
fn a_damaged_file_never_takes_the_place_of_the_good_one_before_it() {
    let (folder, bytes) = two_saved();
    put(&folder, CURRENT, &bytes[..bytes.len() / 2]);
    assert_eq!(read(folder.path()), Some(saved(8)));
    write(folder.path(), &saved(10)).expect("a folder that can be written to");
    fs::remove_file(folder.path().join(CURRENT)).expect("a file");
    assert_eq!(read(folder.path()), Some(saved(8)), "it is still there");
}

#[test]
fn whatever_a_crash_left_the_next_file_is_written() {
    let (folder, bytes) = two_saved();
    put(&folder, TEMPORARY, &bytes[..bytes.len() / 2]);
    assert_eq!(
        read(folder.path()),
        Some(saved(9)),
        "a half file is not looked at"
    );
    // Between its two renames a crash leaves no current file.
    fs::rename(folder.path().join(CURRENT), folder.path().join(PREVIOUS)).expect("a file");
    assert_eq!(read(folder.path()), Some(saved(9)));
    write(folder.path(), &saved(10)).expect("it is written all the same");
    assert_eq!(read(folder.path()), Some(saved(10)));
    let names = fs::read_dir(folder.path()).expect("a folder");
    assert_eq!(names.count(), 2, "nothing else stays");
}

#[actix_rt::test]
async fn a_disk_that_takes_nothing_is_counted_and_the_newest_is_written_once_it_does() {
    let folder = folder();
    let state = folder.path().join("state");
    fs::write(&state, "no folder").expect("a file in its place");
    let metrics = Metrics::new(1, "test", "none");
    let mut writer = Writer::start(state.clone(), Arc::clone(&metrics)).expect("a thread");
    writer.give(saved(8));
    assert!(!writer.is_free());
    assert!(!writer.freed().await, "not written");
    let failures = &metrics.process.snapshot_write_failures;
    assert_eq!(failures.load(std::sync::atomic::Ordering::Relaxed), 1);
    fs::remove_file(&state).expect("a file");
    writer.give(saved(9));
    // Handed over while the one before is written and rested from: it is the last.
    writer.finish(Some(saved(10))).await;
    assert_eq!(read(&state), Some(saved(10)));
    assert_eq!(
        read_file(&state.join(PREVIOUS)).expect("whole"),
        Some(saved(9))
    );
}
