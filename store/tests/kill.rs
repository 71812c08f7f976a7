//! `kill -9` at any moment: each acknowledged transaction is there, and the store opens.
//!
//! This program starts itself again as the process that is killed. That one writes from several
//! tasks, so that commits hold several transactions, and prints a line for each answer it got.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsStr,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use bytes::Bytes;
use serin_store::{Key, Op, Outcome, Page, RedbStore, Scope, Store as _, Txn};
use tokio::runtime::{Builder, Runtime};

const ROUNDS: u64 = 40;
const WRITERS: u64 = 4;
/// Longest life of a writing process after its first answer.
const LIFE_MAX_MS: u64 = 60;
/// Longest wait for the first answer, and for the end of a process that was killed.
const WITHIN: Duration = Duration::from_secs(30);

/// Set for the process that writes: the folder of the store.
const FOLDER: &str = "SERIN_TEST_KILLED_STORE";
const OURSELVES: &str = "what_was_acknowledged_survives_kills_at_any_moment";

#[test]
fn what_was_acknowledged_survives_kills_at_any_moment() {
    if let Some(folder) = env::var_os(FOLDER) {
        runtime().block_on(write_until_killed(Path::new(&folder)));
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut acknowledged = BTreeMap::new();
    for round in 0..ROUNDS {
        let before = acknowledged.len();
        let mut writing = Writing::start(folder.path());
        writing.read_until_first(&mut acknowledged);
        if round % 10 == 0 {
            let error = RedbStore::open(folder.path()).expect_err("it is in use");
            assert!(
                error.to_string().contains("is in use by another serin"),
                "{error}"
            );
        }
        let life = (round * 7_919 + 13) % (LIFE_MAX_MS * 1_000);
        writing.read_for(Duration::from_micros(life), &mut acknowledged);
        writing.kill(&mut acknowledged);
        assert!(
            acknowledged.len() > before,
            "round {round}: nothing was written"
        );
        runtime().block_on(assert_there(folder.path(), &acknowledged, round));
    }
}

/// Each transaction: its writer and number, and the revision it was told.
type Acknowledged = BTreeMap<(u64, u64), u64>;

struct Writing {
    process: Child,
    lines: mpsc::Receiver<String>,
}

impl Writing {
    fn start(folder: &Path) -> Self {
        let program = env::current_exe().expect("this program");
        let mut process = Command::new(program)
            .args([
                OsStr::new("--exact"),
                OsStr::new(OURSELVES),
                OsStr::new("--nocapture"),
            ])
            .env(FOLDER, folder)
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts");
        let out = process.stdout.take().expect("stdout was piped");
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { process, lines }
    }

    fn read_until_first(&mut self, acknowledged: &mut Acknowledged) {
        let before = acknowledged.len();
        while acknowledged.len() == before {
            let line = self.lines.recv_timeout(WITHIN);
            note(&line.expect("it writes soon"), acknowledged);
        }
    }

    fn read_for(&self, life: Duration, acknowledged: &mut Acknowledged) {
        // A line that comes late ends the wait too: any moment is as good as another.
        let tick = Duration::from_micros(200);
        let mut left = life;
        while left > Duration::ZERO {
            match self.lines.recv_timeout(tick.min(left)) {
                Ok(line) => note(&line, acknowledged),
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => panic!("it ended by itself"),
            }
            left = left.saturating_sub(tick);
        }
    }

    /// What it printed before it died counts.
    fn kill(mut self, acknowledged: &mut Acknowledged) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it was started here");
        while let Ok(line) = self.lines.recv_timeout(WITHIN) {
            note(&line, acknowledged);
        }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Takes an answer's line: `ack WRITER NUMBER REVISION .`; the last one may be cut.
fn note(line: &str, acknowledged: &mut Acknowledged) {
    let words: Vec<&str> = line.split(' ').collect();
    if let ["ack", writer, n, revision, "."] = words[..] {
        let number = |text: &str| text.parse().expect("a number of ours");
        acknowledged.insert((number(writer), number(n)), number(revision));
    }
}

async fn write_until_killed(folder: &Path) {
    let store = RedbStore::open(folder).expect("the last one was killed");
    let writers = (0..WRITERS).map(|writer| tokio::spawn(write(Arc::clone(&store), writer)));
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("no panic");
    }
}

/// Numbers its transactions on from what is there.
async fn write(store: Arc<RedbStore>, writer: u64) {
    let (entry, _) = store.get(&counter(writer)).await.expect("memory answers");
    let next = entry.map_or(0, |entry| entry.version);
    for n in next.. {
        let ops = vec![
            Op::Put(counter(writer), Bytes::from(n.to_string()), None),
            Op::Put(numbered(writer, n), Bytes::from(vec![b'x'; 200]), None),
        ];
        let txn = Txn {
            ops,
            ..Txn::default()
        };
        match store.txn(txn).await {
            Ok(Outcome::Committed(revision)) => println!("ack {writer} {n} {revision} ."),
            other => panic!("{other:?}"),
        }
    }
}

async fn assert_there(folder: &Path, acknowledged: &Acknowledged, round: u64) {
    let store = RedbStore::open(folder).expect("it opens after a kill");
    let listing = store.list(Scope::Documents, Page::whole()).await;
    let listing = listing.expect("memory answers");
    let there: BTreeMap<&Key, u64> = listing
        .entries
        .iter()
        .map(|entry| (&entry.key, entry.mod_revision.0))
        .collect();
    for ((writer, n), revision) in acknowledged {
        let found = there.get(&numbered(*writer, *n));
        assert_eq!(found, Some(revision), "round {round}: {n} of {writer}");
    }
    // Whole transactions: as many numbers as the counter says.
    for writer in 0..WRITERS {
        let counted = listing.entries.iter().find(|e| e.key == counter(writer));
        let counted = counted.map_or(0, |entry| entry.version);
        let prefix = format!("config/{writer}-");
        let numbers = there.keys().filter(|key| key.as_str().starts_with(&prefix));
        assert_eq!(
            numbers.count() as u64,
            counted,
            "round {round}: of {writer}"
        );
    }
}

fn counter(writer: u64) -> Key {
    Key::new(format!("config/{writer}")).expect("a short key")
}

fn numbered(writer: u64, n: u64) -> Key {
    Key::new(format!("config/{writer}-{n}")).expect("a short key")
}

fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}
