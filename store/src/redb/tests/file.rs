//! What is refused: a folder in use, a file that is damaged, empty, foreign or newer. Nothing of it
//! is ever replaced by an empty store.

use std::{
    fs::{self, File, OpenOptions},
    io::{Seek as _, SeekFrom, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use ::redb::{Database, TableDefinition};

use super::{commit, everything, open, put, read, revision};
use crate::redb::{OpenError, RedbStore, folder::FILE};

/// A store of some size in a folder of its own.
async fn filled() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = open(folder.path());
    for n in 0..30 {
        let value = format!("{n}-").repeat(200);
        revision(commit(&store, vec![put(&format!("config/{n:02}"), &value)]).await);
    }
    folder
}

fn refused(folder: &Path) -> OpenError {
    RedbStore::open(folder).expect_err("it must be refused")
}

#[tokio::test]
async fn a_folder_in_use_is_refused_until_it_is_free() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("data");
    let store = open(&path);
    revision(commit(&store, vec![put("config/a", "1")]).await);
    let expected = format!(
        "{} is in use by another serin (stop it, or choose another --data-dir)",
        path.display()
    );
    assert_eq!(refused(&path).to_string(), expected);
    drop(store);
    assert!(read(&open(&path), "config/a").await.is_some());
}

#[tokio::test]
async fn only_we_may_read_what_we_make() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("data");
    let _store = open(&path);
    let mode = |path: &Path| {
        fs::metadata(path)
            .expect("it is there")
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode(&path.join(FILE)), 0o600);
    assert_eq!(mode(&path), 0o700);
}

#[tokio::test]
async fn a_file_that_was_cut_is_refused_and_left_alone() {
    let folder = filled().await;
    let path = folder.path().join(FILE);
    let whole = fs::read(&path).expect("a file");
    for length in [0, 1, 100, 511, 4_096, whole.len() / 2, whole.len() - 4_096] {
        fs::write(&path, &whole[..length]).expect("a file of ours");
        assert_refused_and_untouched(folder.path(), &whole[..length]);
    }
    fs::write(&path, &whole).expect("a file of ours");
    assert_eq!(everything(&open(folder.path())).await.entries.len(), 30);
}

#[tokio::test]
async fn a_file_of_something_else_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for bytes in [
        b"providers: []\n".repeat(1_000),
        vec![0; 1 << 20],
        vec![0xff; 5_000],
    ] {
        fs::write(folder.path().join(FILE), &bytes).expect("a file of ours");
        assert_refused_and_untouched(folder.path(), &bytes);
    }
}

/// Bytes that change within the file are found, or are in no use: never another content.
#[tokio::test]
async fn a_byte_that_changed_is_found_or_does_not_matter() {
    let folder = filled().await;
    let path = folder.path().join(FILE);
    let expected = everything(&open(folder.path())).await;
    let whole = fs::read(&path).expect("a file");
    let mut found = 0;
    for at in (0..whole.len()).step_by(whole.len() / 150) {
        fs::write(&path, &whole).expect("a file of ours");
        let mut file = OpenOptions::new().write(true).open(&path).expect("a file");
        file.seek(SeekFrom::Start(at as u64)).expect("within it");
        file.write_all(&[whole[at] ^ 0x5a]).expect("a file of ours");
        drop(file);
        match RedbStore::open(folder.path()) {
            Ok(store) => assert_eq!(everything(&store).await, expected, "byte {at}"),
            Err(error) => {
                assert!(error.to_string().contains(FILE), "{error}");
                found += 1;
            }
        }
    }
    assert!(found > 0, "no change was found");
}

#[tokio::test]
async fn a_newer_format_is_refused_by_its_number() {
    let folder = filled().await;
    let path = folder.path().join(FILE);
    write_meta(&path, "format", "2");
    let error = refused(folder.path());
    assert!(
        matches!(error, OpenError::Newer { format: 2, .. }),
        "{error}"
    );
    assert!(error.to_string().contains(FILE), "{error}");
    write_meta(&path, "format", "1");
    assert_eq!(everything(&open(folder.path())).await.entries.len(), 30);
}

#[tokio::test]
async fn tables_that_do_not_fit_together_are_damage() {
    let rows = [
        ("revision", "7"),
        ("compacted", "3"),
        ("revision", "x"),
        ("format", ""),
    ];
    for (name, value) in rows {
        let folder = filled().await;
        write_meta(&folder.path().join(FILE), name, value);
        let error = refused(folder.path());
        assert!(
            matches!(error, OpenError::Damaged { .. }),
            "{name}: {error}"
        );
    }
}

#[tokio::test]
async fn a_beginning_that_was_cut_short_is_begun_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let unfinished = folder.path().join(format!("{FILE}.new"));
    fs::write(&unfinished, b"half a page").expect("a file of ours");
    let store = open(folder.path());
    revision(commit(&store, vec![put("config/a", "1")]).await);
    assert!(!unfinished.exists());
}

#[tokio::test]
async fn a_store_keeps_its_identity_and_others_have_another() {
    let (folder, other) = (filled().await, filled().await);
    let identity = async |folder: &Path| everything(&open(folder)).await.identity;
    let first = identity(folder.path()).await;
    assert_eq!(identity(folder.path()).await, first);
    assert_ne!(identity(other.path()).await, first);
}

fn assert_refused_and_untouched(folder: &Path, bytes: &[u8]) {
    let error = refused(folder);
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains(FILE), "{error}");
    let now = fs::read(folder.join(FILE)).expect("it is there");
    assert_eq!(now.len(), bytes.len(), "its length, of {error}");
}

fn write_meta(path: &Path, name: &str, value: &str) {
    const META: TableDefinition<&str, &str> = TableDefinition::new("meta");
    File::open(path).expect("a file");
    let database = Database::open(path).expect("a database");
    let txn = database.begin_write().expect("a transaction");
    {
        let mut meta = txn.open_table(META).expect("a table");
        meta.insert(name, value).expect("a row");
    }
    txn.commit().expect("a commit");
}
