//! A disk that is really full: a file system of a few megabytes, in a mount namespace of its own.
//!
//! This program starts itself again inside (`unshare`, which needs root or user namespaces). Writes
//! are refused as full, reads go on, and once there is room again so do writes.

use std::{env, ffi::OsStr, fs, path::Path, process::Command, sync::Arc};

use bytes::Bytes;
use serin_store::{Error, Key, Op, Outcome, Page, RedbStore, Result, Scope, Store as _, Txn};
use serin_tests::eventually;

/// Set for the process that has the small disk: where it is.
const DISK: &str = "SERIN_TEST_SMALL_DISK";
const OURSELVES: &str = "a_full_disk_refuses_writes_and_nothing_else";
/// Enough for any run, which ends when the disk is full.
const WRITES_MAX: usize = 10_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_writes_and_nothing_else() {
    if let Some(disk) = env::var_os(DISK) {
        return on_a_small_disk(Path::new(&disk)).await;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mount = "mount -t tmpfs -o size=6m none \"$0\" && exec \"$@\"";
    let done = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", mount])
        .arg(folder.path())
        .arg(env::current_exe().expect("this program"))
        .args([OsStr::new("--exact"), OsStr::new(OURSELVES)])
        .env(DISK, folder.path())
        .output()
        .expect("unshare (util-linux) runs");
    let (out, err) = (&done.stdout, &done.stderr);
    let told = [out, err].map(|told| String::from_utf8_lossy(told));
    assert!(done.status.success(), "{}\n{}", told[0], told[1]);
    assert!(told[0].contains("1 passed"), "{}", told[0]);
}

async fn on_a_small_disk(disk: &Path) {
    let others = disk.join("others");
    fs::write(&others, vec![1; 2 << 20]).expect("there is room");
    let data = disk.join("data");
    let store = RedbStore::open(&data).expect("there is room");
    let mut written = 0;
    let refusal = loop {
        match write(&store, written).await {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
        assert!(written < WRITES_MAX, "it is never full");
    };
    let refused = matches!(refusal, Error::Full(_) | Error::Unknown { .. });
    assert!(refused, "{refusal:?}");
    assert!(written > 0, "nothing was written");
    let refusal = write(&store, written).await;
    assert!(matches!(refusal, Err(Error::Full(_))), "{refusal:?}");
    assert!(count(&store).await >= written, "reads go on");
    fs::remove_file(&others).expect("it is there");
    let within = std::time::Duration::from_secs(30);
    let again = async || write(&store, written).await;
    let room = eventually("room again", within, again, Result::is_ok).await;
    assert!(room.is_ok());
    let listing = store.list(Scope::All, Page::whole()).await;
    drop(store);
    let reopened = RedbStore::open(&data).expect("a whole file");
    assert_eq!(reopened.list(Scope::All, Page::whole()).await, listing);
}

async fn write(store: &Arc<RedbStore>, n: usize) -> Result<Outcome> {
    let name = Key::new(format!("config/{n}")).expect("a short key");
    let txn = Txn {
        ops: vec![Op::Put(name, Bytes::from(vec![b'x'; 10_000]), None)],
        ..Txn::default()
    };
    store.txn(txn).await
}

async fn count(store: &Arc<RedbStore>) -> usize {
    let listing = store.list(Scope::All, Page::whole()).await;
    listing.expect("memory answers").entries.len()
}
