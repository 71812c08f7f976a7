//! What a file promises its followers: every version, no half ones, no secret in the clear.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serin_proto::unit::Revision;
use tempfile::TempDir;

use super::{Version, follow, hex, listing, read, read_text};
use crate::{Watch, watch::Event};

/// One route with this share for target `a`, and one key.
fn text(share: u8, secret: &str) -> String {
    let rest = 100 - share;
    format!(
        "providers: [{{name: p, dialect: openai, baseUrl: \"https://api.example.com/v1\"}}]\n\
         routes:\n  - name: chat\n    targets:\n\
         \x20     - {{name: a, provider: p, model: m}}\n      - {{name: b, provider: p, model: n}}\n\
         \x20   traffic: {{weights: {{a: {share}, b: {rest}}}, fallback: [a, b]}}\n\
         keys: [{{name: app, secrets: [{secret}], routes: [\"*\"]}}]\n"
    )
}

fn digest_of(secret: &str) -> String {
    hex(ring::digest::digest(&ring::digest::SHA256, secret.as_bytes()).as_ref())
}

fn some_digest() -> String {
    format!("{{sha256: {}}}", digest_of("sk"))
}

fn folder_with(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("serin.yaml");
    fs::write(&path, text).expect("a file");
    (folder, path)
}

fn replace(path: &Path, text: &str) {
    let next = path.with_extension("next");
    fs::write(&next, text).expect("a file");
    fs::rename(&next, path).expect("a rename");
}

fn version(path: &Path) -> Version {
    read(path, None).expect("a valid file")
}

/// The next event that is more than a sign of life.
async fn news(follower: &mut Watch) -> Event {
    let next = async {
        loop {
            match follower.next().await {
                Some(Event::Progress(_)) => {}
                Some(event) => return event,
                None => panic!("the source has ended"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), next)
        .await
        .expect("news within 10 s")
}

#[test]
fn a_secret_in_a_file_becomes_its_digest() {
    let (_folder, path) = folder_with("sk-serin-in-a-file\n");
    let secret = format!("{{file: \"{}\"}}", path.display());
    let version = read_text("t", &text(50, &secret), None).expect("a valid text");
    let stored = &version.file.keys[0].secrets[0];
    assert_eq!(stored.sha256, digest_of("sk-serin-in-a-file"));
    assert_eq!(
        (&*stored.env, &*stored.file),
        ("", ""),
        "the reference is gone"
    );
}

#[test]
fn a_secret_that_cannot_be_read_is_a_fault_that_names_its_place() {
    let rows = [
        (
            "{env: SERIN_TEST_NEVER_SET}",
            "environment variable SERIN_TEST_NEVER_SET is not set",
        ),
        ("{file: /nowhere/at/all}", "cannot read /nowhere/at/all"),
    ];
    for (secret, told) in rows {
        let message = read_text("t.yaml", &text(50, secret), None)
            .unwrap_err()
            .to_string();
        assert!(message.contains(told), "{message}");
        assert!(message.contains("/keys/0/secrets/0"), "{message}");
    }
}

#[test]
fn what_did_not_change_keeps_its_revision() {
    let listed = |share, revision, before| {
        let file = read_text("t", &text(share, &some_digest()), None)
            .expect("a valid text")
            .file;
        listing(&file, Revision(revision), before)
    };
    let first = listed(50, 1, None);
    let second = listed(60, 2, Some(&first));
    let changed = second
        .entries
        .iter()
        .filter(|entry| entry.mod_revision == Revision(2));
    let changed: Vec<String> = changed.map(|entry| entry.key.to_string()).collect();
    assert_eq!(changed, ["config/routes/chat"]);
}

#[tokio::test]
async fn each_version_replaced_by_a_rename_is_told_and_a_faulty_one_changes_nothing() {
    let (_folder, path) = folder_with(&text(50, &some_digest()));
    let first = version(&path);
    let (follower, _nudge) = follow(path.clone(), &first, None).expect("a thread");
    let (mut follower, _) = follower.follow();
    let Event::Reset(begun) = news(&mut follower).await else {
        panic!("no listing at first")
    };
    assert_eq!(begun.revision, Revision(1));
    replace(&path, &text(60, &some_digest()));
    let Event::Reset(changed) = news(&mut follower).await else {
        panic!("no second listing")
    };
    assert_eq!(changed.revision, Revision(2));
    replace(&path, "routes:\n  - name: [\n");
    let Event::Refused(faults) = news(&mut follower).await else {
        panic!("not refused")
    };
    assert_eq!((faults[0].line, faults.len()), (Some(2), 1), "{faults:?}");
    replace(&path, &text(70, &some_digest()));
    let Event::Reset(healed) = news(&mut follower).await else {
        panic!("no listing after it")
    };
    assert_eq!(
        healed.revision,
        Revision(3),
        "a refused version takes no revision"
    );
}

#[tokio::test]
async fn a_file_that_is_gone_ends_nothing() {
    let (_folder, path) = folder_with(&text(50, &some_digest()));
    let (follower, nudge) = follow(path.clone(), &version(&path), None).expect("a thread");
    let (mut follower, _) = follower.follow();
    assert!(matches!(news(&mut follower).await, Event::Reset(_)));
    fs::remove_file(&path).expect("a file to remove");
    assert!(matches!(news(&mut follower).await, Event::Down(..)));
    replace(&path, &text(60, &some_digest()));
    assert!(matches!(news(&mut follower).await, Event::Reset(_)));
    nudge.reread();
    let after = tokio::time::timeout(Duration::from_secs(10), follower.next()).await;
    assert_eq!(
        after.expect("a reading at once"),
        Some(Event::Progress(Revision(2))),
        "nothing new"
    );
}
